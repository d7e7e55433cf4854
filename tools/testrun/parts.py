"""The parts of ./test."""
import json
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

from gtest import ctest_entries, run_entry

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RESULTS = os.path.join(ROOT, "build", "results")
JOBS = int(os.environ.get("JOBS", 0)) or os.cpu_count()


def build(preset, *targets):
    done = subprocess.run([os.path.join(ROOT, "tools/build"), preset, *targets], cwd=ROOT,
                          stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"preset {preset} does not build:\n{done.stderr}")


def build_tests(preset, *labels):
    """Builds only what the labelled tests need."""
    build(preset, "help")  # configures, so that the list of tests is there
    entries = ctest_entries(os.path.join(ROOT, "build", preset), labels)
    if targets := sorted({e["target"] for e in entries if e["target"]}):
        build(preset, *targets)


def build_asan():
    build_tests("asan", "unit", "sim")
    build("asan", "millrace")


# What a part builds before it runs its tests.
BUILDS = {"unit": lambda: build_tests("dev", "unit"), "sim": lambda: build_tests("dev", "sim"),
          "tidy": lambda: build_tests("dev", "tidy"), "blackbox": lambda: build("release", "millrace", "millrace_weighted", "crashfs", "groupload", "group_core", "kload", "bare", "client_load"),
          "clients": lambda: build("release", "millrace"), "reference": lambda: build("release", "millrace", "groupload"),
          "fuzz": lambda: build("fuzz"), "asan": build_asan, "tsan": lambda: build_tests("tsan", "unit")}


def run_ctest(report, preset, *labels, more=None):
    """Runs each built ctest entry and counts its GoogleTest cases. `more`: arguments for tests by name."""
    os.makedirs(RESULTS, exist_ok=True)
    entries = ctest_entries(os.path.join(ROOT, "build", preset), labels)
    if not entries:
        report.add("skipped", "+".join(labels), "no tests with this label yet")
        return
    with ThreadPoolExecutor(JOBS) as pool:
        for cases in pool.map(lambda e: run_entry(e, (more or {}).get(e["name"], [])), entries):
            for status, name, detail in cases:
                report.add(status, name, detail)


def unit(report, options):
    run_ctest(report, "dev", "unit")


def sim(report, options):
    run_ctest(report, "dev", "sim")


def tidy(report, options):
    run_ctest(report, "dev", "tidy")


# A hundred seeds run in part `sim`; under a sanitizer, many times slower, these say what there is to say.
FEWER_SEEDS = {"broker_sim_test": ["--seeds", "1-20", "--gtest_filter=BrokerSim.KeepsItsPromises"]}


# What reaches most of the real binary in half a minute: frames good and bad, an admin's calls, groups, a real client.
SMOKE = [("millrace", ["raw", "admin", "configs"]), ("millrace", ["robust", "groups"])]
SMOKE_KCAT = "metadata|zstd-acks-all|gzip-idempotent|nulls|restart|delete"


def asan(report, options):
    run_ctest(report, "asan", "unit", "sim", more=FEWER_SEEDS)
    binary = os.path.join(ROOT, "build", "asan", "millrace")
    more = ["--binary", binary, "--end-well"]
    blackbox_runs(report, *SMOKE, more=more)
    blackbox_runs(report, ("millrace", ["kcat"]), more=[*more, "--filter", SMOKE_KCAT])


# Simulated histories run in one thread, as all of part `sim` does: under the thread sanitizer they only take time.
ONE_THREAD = {"coordinator_test": ["--gtest_filter=-Histories.*:ConsumerHistories.*:HistoriesOfAWholeBroker.*:GroupLoad.*"],
              "metastore_test": ["--gtest_filter=-ClusterState.LostAnswersBreakNothing"]}


def tsan(report, options):
    run_ctest(report, "tsan", "unit", more=ONE_THREAD)


def gates(report, options):
    """The script builds what it needs and prints "ok   NAME" and "FAIL NAME: why" lines."""
    script = os.path.join(ROOT, "tests/gates/run.sh")
    done = subprocess.run([script], cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    seen = 0
    for line in done.stdout.splitlines():
        word, _, rest = line.partition(" ")
        if word in ("ok", "FAIL"):
            seen += 1
            report.add("passed" if word == "ok" else "failed", rest.strip())
    if seen == 0 or (done.returncode != 0 and "FAIL" not in done.stdout):
        report.failed("gates", f"exit code {done.returncode}\n{(done.stdout + done.stderr)[-2000:]}")


def blackbox_run(broker, suites, more, name="blackbox"):
    """One tests/blackbox/run.py: its results by suite, or None where it wrote none, and what it printed."""
    os.makedirs(RESULTS, exist_ok=True)
    path = os.path.join(RESULTS, f"{name}-{broker}-{'-'.join(suites)}.json")
    if os.path.exists(path):
        os.unlink(path)
    done = subprocess.run([sys.executable, os.path.join(ROOT, "tests/blackbox/run.py"), "--broker", broker, "--json", path,
                           *more, *suites], cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if not os.path.exists(path):
        return None, done
    with open(path) as f:
        return json.load(f)["suites"], done


def failed_scenarios(found):
    return [s["name"] for suite in found for s in suite["scenarios"] if s["status"] == "failed"]


def no_scenarios(suite):
    """Names under which a suite says that it could not start or go on: no filter finds them."""
    return {suite["suite"], "the suite's process"}


def second_try(report, suites, found, more):
    """Apache Kafka is not what is tested here, and on two busy cores it or a client of its times out now and then: what failed
    against it runs once more, alone with a new broker, and both outcomes are printed. A suite that could not start runs as a whole.
    Millrace has no second try."""
    for name, suite in zip(suites, found):
        failed = failed_scenarios([suite])
        if not failed:
            continue
        whole = not no_scenarios(suite).isdisjoint(failed)
        only = [] if whole else ["--filter", f"^({'|'.join(map(re.escape, failed))})$"]
        again, _ = blackbox_run("kafka", [name], [*more, *only], name="second-try")
        seconds = {s["name"]: s for s in again[0]["scenarios"]} if again else {}
        if whole and seconds and no_scenarios(suite).isdisjoint(seconds):
            known = {s["name"] for s in suite["scenarios"]}
            for s in [s for s in suite["scenarios"] if s["name"] in no_scenarios(suite)]:
                report.second_try(f"kafka/{suite['suite']}/{s['name']}", s["detail"])
                suite["scenarios"].remove(s)
            suite["scenarios"] += [s for s in seconds.values() if s["name"] not in known]
        for s in suite["scenarios"]:
            second = seconds.get(s["name"])
            if s["status"] == "failed" and second and second["status"] == "passed":
                report.second_try(f"kafka/{suite['suite']}/{s['name']}", s["detail"])
                s.update(second)


def blackbox_runs(report, *runs, more=()):
    """Runs several tests/blackbox/run.py side by side (they mostly wait) and merges their results. `more`: arguments."""
    with ThreadPoolExecutor(JOBS) as pool:
        done_runs = list(zip(runs, pool.map(lambda run: blackbox_run(*run, more), runs)))
    for (broker, suites), (found, done) in done_runs:
        if found is None:
            report.failed(f"{broker}/{'+'.join(suites)}", f"exit code {done.returncode}\n{(done.stdout + done.stderr)[-3000:]}")
            continue
        if broker == "kafka" and failed_scenarios(found):
            second_try(report, suites, found, more)
        for suite in found:
            for s in suite["scenarios"]:
                report.add(s["status"], f"{broker}/{suite['suite']}/{s['name']}", s["detail"])
        if failed_scenarios(found):  # the broker's last words stand beside the scenarios
            print("".join(f"     {line}\n" for line in done.stdout.splitlines() if line.startswith("     |"))[-6000:])


# Which suites of tests/blackbox run together, against what. Those of one line share nothing but their turn.
BLACKBOX = [("millrace", ["raw", "admin", "groups", "groups848", "configs"]), ("millrace", ["robust", "limits", "serve", "cli", "cli_groups", "ops", "readme"]),
            ("millrace", ["crash", "crashfs"]), ("millrace", ["powercut", "fulldisk", "dirs"]), ("millrace", ["groupload", "compare", "bench"])]
# Longest first, each on its own, so that two at a time end together.
CLIENTS = [("millrace", suites) for suites in (
    ["java", "matrix-java"], ["matrix-python"], ["matrix-kcat"], ["python", "kcat"], ["matrix-platformatic"],
    ["matrix-confluent"], ["matrix-aiokafka"], ["matrix-kafkajs"], ["matrix-sarama"], ["matrix-franz"], ["matrix-java848"], ["matrix-confluent848"], ["churn"], ["console"], ["liar"], ["prometheus"])]
REFERENCE = [("millrace", ["kafkadir", "compaction"]), ("millrace", ["groupdiff"]), ("millrace", ["groupdiff848"]), ("millrace", ["admindiff"]), ("kafka", ["java"]),
             ("kafka", ["raw", "admin", "groups", "groups848", "configs", "python"]), ("kafka", ["kcat", "cli_groups", "bench", "groupload"]),
             ("kafka", ["matrix-java"]), ("kafka", ["matrix-confluent"]), ("kafka", ["console"])]


def forgotten_suites():
    """Suites in tests/blackbox that none of the parts runs against Millrace."""
    run = {suite.partition("-")[0] for broker, suites in BLACKBOX + CLIENTS + REFERENCE if broker == "millrace"
           for suite in suites}
    files = os.listdir(os.path.join(ROOT, "tests/blackbox"))
    return {name[len("suite_"):-len(".py")] for name in files if name.startswith("suite_") and name.endswith(".py")} - run


def blackbox(report, options):
    blackbox_runs(report, *BLACKBOX)
    if forgotten := forgotten_suites():
        report.failed("suites that no part runs", ", ".join(sorted(forgotten)))


def clients(report, options):
    skipped = report.counts["skipped"]
    blackbox_runs(report, *CLIENTS)
    if report.counts["skipped"] > skipped:
        report.add("skipped", "README's table of clients", "a client could not run")
        return
    done = subprocess.run([sys.executable, os.path.join(ROOT, "tools/client-table"), "--check"], capture_output=True, text=True)
    report.add("passed" if done.returncode == 0 else "failed", "README's table of clients", done.stdout + done.stderr)


def reference(report, options):
    blackbox_runs(report, *REFERENCE)


def fuzz(report, options):
    directory = os.path.join(ROOT, "build/fuzz/tests/fuzz")
    targets = sorted(t for t in os.listdir(directory) if t.startswith("fuzz_") and
                     os.access(os.path.join(directory, t), os.X_OK) and os.path.isfile(os.path.join(directory, t)))
    if not targets:
        report.failed("fuzz", "no targets were built")
        return
    work = tempfile.mkdtemp(prefix="millrace-fuzz-")
    seeds = os.path.join(directory, "make_fuzz_seeds")
    if os.path.exists(seeds):
        subprocess.run([seeds, work], check=True, stdout=subprocess.DEVNULL)

    def one(target):
        corpus = os.path.join(work, target)
        os.makedirs(corpus, exist_ok=True)
        done = subprocess.run([os.path.join(directory, target), f"-max_total_time={options.fuzz_seconds}",
                               "-max_len=8192", "-rss_limit_mb=2048", "-print_final_stats=1", corpus], cwd=work,
                              capture_output=True, text=True, errors="replace")
        return target, done

    with ThreadPoolExecutor(JOBS) as pool:
        for target, done in pool.map(one, targets):
            if done.returncode == 0:
                runs = [x for x in done.stderr.splitlines() if "number_of_executed_units" in x]
                print(f"     {target}: {runs[0].split()[-1] if runs else '?'} inputs")
                report.passed(target)
            else:
                kept = [f for f in os.listdir(work) if f.startswith(("crash-", "oom-", "timeout-", "leak-"))]
                report.failed(target, f"{done.stderr[-3000:]}\n     inputs kept in {work}: {' '.join(kept)}")


# These mostly wait for servers, clients and timeouts.
WAITING = ("blackbox", "clients", "reference")
PARTS = {"tidy": tidy, "unit": unit, "sim": sim, "gates": gates, "blackbox": blackbox, "clients": clients,
         "reference": reference, "fuzz": fuzz, "asan": asan, "tsan": tsan}
