"""ctest entries run by us, so that every GoogleTest case counts and not every binary."""
import json
import os
import re
import subprocess
import tempfile


def ctest_entries(directory, labels):
    """[{name, command, target, timeout, cwd, env}] of the tests that carry one of the labels."""
    done = subprocess.run(["ctest", "--show-only=json-v1"], cwd=directory, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"ctest: {done.stderr[-500:]}")
    out = []
    for test in json.loads(done.stdout)["tests"]:
        p = {x["name"]: x["value"] for x in test.get("properties", [])}
        if not set(p.get("LABELS", [])) & set(labels):
            continue
        command = test.get("command")
        # A binary that is not built yet has no command; its test is named like its target (mr_test).
        binary = command is None or command[0].startswith(os.path.abspath(directory) + os.sep)
        out.append({"name": test["name"], "command": command,
                    "target": (os.path.basename(command[0]) if command else test["name"]) if binary else None,
                    "timeout": p.get("TIMEOUT", 300), "cwd": p.get("WORKING_DIRECTORY", directory),
                    "env": dict(x.split("=", 1) for x in p.get("ENVIRONMENT", []))})
    return sorted(out, key=lambda e: -e["timeout"])


def run_entry(entry, more):
    """[(status, name, detail)] of one entry: its GoogleTest cases, or itself when it is another program."""
    name = entry["name"]
    if entry["command"] is None:
        return [("failed", name, "not built")]
    with tempfile.TemporaryDirectory() as d:
        results = os.path.join(d, "results.json")
        command = list(entry["command"]) + more
        if entry["target"]:
            command.append("--gtest_brief=1")
        try:
            done = subprocess.run(command, cwd=entry["cwd"], timeout=entry["timeout"] * 2, capture_output=True, text=True,
                                  errors="replace", stdin=subprocess.DEVNULL,
                                  env={**os.environ, **entry["env"], "GTEST_OUTPUT": f"json:{results}"})
        except subprocess.TimeoutExpired as e:
            return [("failed", name, f"not done after {entry['timeout'] * 2} s\n{str(e.stdout)[-2000:]}")]
        output = (done.stdout + done.stderr)[-6000:]
        if not os.path.exists(results):
            return [("passed", name, "") if done.returncode == 0 else ("failed", name, f"exit {done.returncode}\n{output}")]
        try:
            with open(results) as f:
                cases = read_cases(name, json.load(f))
        except ValueError:
            return [("failed", name, f"unreadable results, exit {done.returncode}\n{output}")]
        if done.returncode != 0 and not any(c[0] == "failed" for c in cases):
            cases.append(("failed", name, f"exit {done.returncode} although every case passed\n{output}"))
        return cases


def read_cases(binary, results):
    out = []
    for suite in results.get("testsuites", []):
        for case in suite.get("testsuite", []):
            name = f"{binary}: {suite['name']}.{case['name']}"
            if case.get("failures"):
                text = "\n".join(f["failure"] for f in case["failures"])
                out.append(("failed", name, text[:3000]))
            elif case.get("result") == "SKIPPED":
                why = re.sub(r"\s+", " ", " ".join(str(s.get("message", "")) for s in case.get("skipped", [])))
                out.append(("skipped", name, why or "skipped by the test"))
            elif case.get("status") == "NOTRUN":
                continue
            else:
                out.append(("passed", name, ""))
    return out
