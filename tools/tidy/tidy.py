#!/usr/bin/env python3
"""House rules that a machine can see. Usage: tidy.py [--root DIR] [--build DIR] [--all-format] [CHECK ...]

Checks: rooms, banned, headers, format, sizes, generated. Without names, all. Prints "file:line: check: sentence" for each
breach and ends with 1 when there is one; "note:" lines are to look at and fail nothing. Rules: rules.json beside this file.
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = (".h", ".cc")


class Tree:
    """The files that belong to the project, with their text read once."""

    def __init__(self, root, rules):
        self.root = root
        self.rules = rules
        self.files = []
        for top in rules["trees"]:
            for folder, folders, names in os.walk(os.path.join(root, top)):
                folders[:] = sorted(f for f in folders if f not in ("build", "node_modules", ".git"))
                for name in sorted(names):
                    if name.endswith(SOURCE):
                        self.files.append(os.path.relpath(os.path.join(folder, name), root))
        self._text = {}

    def text(self, path):
        if path not in self._text:
            with open(os.path.join(self.root, path), encoding="utf-8", errors="replace") as f:
                self._text[path] = f.read()
        return self._text[path]

    def code(self, path):
        return strip(self.text(path))


TOKEN = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(?P<d>[^()\s\\]{0,16})\(.*?\)(?P=d)"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.S)


def strip(text):
    """Without comments and without the inside of strings; lines and includes stay where they are."""

    def blank(match):
        token = match.group(0)
        if token[0] == '"':
            start = text.rfind("\n", 0, match.start()) + 1
            if text[start:match.start()].lstrip().startswith("#"):
                return token  # an include
        if token[0] == "'" and match.start() and text[match.start() - 1].isalnum():
            return token  # 100'000'000
        return '""' if token[0] in "\"'R" and "\n" not in token else re.sub(r"[^\n]", " ", token)

    return TOKEN.sub(blank, text)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def row_of(rules):
    return {room: row for row, rooms in enumerate(rules["rows"]) for room in rooms}


INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+"([^"]+)"', re.M)


def check_rooms(tree):
    """A room includes only itself and rooms on lower rows; nothing in src but unit tests includes what stands beside src."""
    rows = row_of(tree.rules)
    for path in tree.files:
        parts = path.split(os.sep)
        if parts[0] != "src":
            continue
        room = parts[1]
        if room not in rows:
            yield path, 1, f"room '{room}' has no row in rules.json"
            continue
        code = tree.code(path)
        for match in INCLUDE.finditer(code):
            target = match.group(1)
            other = target.split("/")[0]
            line = line_of(code, match.start())
            if "/" not in target or other in (".", ".."):
                yield path, line, f'"{target}": includes name the room: "{room}/..."'
            elif other == room:
                continue
            elif other == "sim" and path.endswith(("_test.cc", "_fixture.h")):
                continue  # unit tests may run on the simulated disk and clock
            elif other in rows:
                if rows[other] >= rows[room]:
                    yield path, line, (f"'{room}' (row {rows[room]}) may not use '{other}' (row {rows[other]}): "
                                       "only rooms on lower rows")
            else:
                yield path, line, f'"{target}" is in no room of src'


def check_banned(tree):
    """What only one room may use stays there."""
    excepted = {(e["file"], e["rule"]) for e in tree.rules["exceptions"]}
    used = set()
    for rule in tree.rules["banned"]:
        pattern = re.compile(rule["pattern"])
        for path in tree.files:
            if path.split(os.sep)[0] not in rule["trees"] or any(path.startswith(a) for a in rule["allowed"]):
                continue
            code = tree.code(path)
            match = pattern.search(code)
            if not match:
                continue
            if (path, rule["name"]) in excepted:
                used.add((path, rule["name"]))
                continue
            yield path, line_of(code, match.start()), f"{rule['name']} ({match.group(0).strip()}): use {rule['instead']}"
    for e in tree.rules["exceptions"]:
        if not e.get("reason"):
            yield e["file"], 1, "an exception needs a reason"
        if e["file"] in tree.files and (e["file"], e["rule"]) not in used:
            yield e["file"], 1, f"the exception for '{e['rule']}' is no longer needed: take it out of rules.json"


def check_headers(tree):
    """Headers begin with #pragma once and bring no names into their users."""
    for path in tree.files:
        if not path.endswith(".h"):
            continue
        code = tree.code(path)
        first = next((line for line in code.split("\n") if line.strip()), "")
        # X-macro lists are included many times on purpose and say so in their first line.
        if first.strip() != "#pragma once" and "included many times" not in tree.text(path)[:400]:
            yield path, 1, "a header starts with #pragma once"
        for match in re.finditer(r"^[ \t]*using namespace [\w:]+", code, re.M):
            yield path, line_of(code, match.start()), "no 'using namespace' in a header"


def format_candidates(tree, everything):
    """Files that git has changed against main, or all."""
    if everything:
        return tree.files
    try:
        changed = subprocess.run(["git", "diff", "--name-only", "main...HEAD"], cwd=tree.root, capture_output=True,
                                 text=True, check=True).stdout.split("\n")
        changed += subprocess.run(["git", "status", "--porcelain", "--untracked-files=all"], cwd=tree.root,
                                  capture_output=True, text=True, check=True).stdout.split("\n")
        names = {line[3:] if line[2:3] == " " else line for line in changed if line}
    except (OSError, subprocess.CalledProcessError):
        return tree.files
    picked = [f for f in tree.files if f in names]
    return picked or tree.files  # on main itself: all


def check_format(tree, everything=True):
    """clang-format-19 would change nothing."""
    tool = shutil.which("clang-format-19")
    if tool is None:
        print("note: format not run: no clang-format-19")
        return
    files = format_candidates(tree, everything)
    running = []
    for i in range(2):
        part = files[i::2]
        if part:
            running.append(subprocess.Popen([tool, "--dry-run", "-Werror", "--ferror-limit=1", *part], cwd=tree.root,
                                            stderr=subprocess.PIPE, text=True))
    for process in running:
        _, errors = process.communicate()
        seen = set()
        for match in re.finditer(r"^(\S+?):(\d+):\d+: error", errors, re.M):
            if match.group(1) not in seen:
                seen.add(match.group(1))
                yield match.group(1), int(match.group(2)), "layout differs: clang-format-19 -i"
        if process.returncode != 0 and not seen:
            yield "clang-format-19", 1, errors.strip().split("\n")[0] if errors else "failed"


def functions(code):
    """(first line, lines) of the bodies that begin at the end of a line with ')' before the brace, outermost first."""
    stack = []
    lines = code.split("\n")
    opener = re.compile(r"\)[^;{}()]*\{\s*$")
    for number, line in enumerate(lines, 1):
        joined = (lines[number - 2].strip() + " " if number > 1 and ")" not in line else "") + line
        for column, c in enumerate(line):
            if c == "{":
                last = "{" not in line[column + 1:] and line[column + 1:].strip() == ""
                control = re.match(r"\s*(\}\s*)?(if|for|while|switch|catch|else|do|try|namespace)\b", line)
                is_function = last and opener.search(joined) and not control
                stack.append(number if is_function else 0)
            elif c == "}" and stack:
                begin = stack.pop()
                if begin and not any(stack_begin for stack_begin in stack):
                    yield begin, number - begin + 1


def check_sizes(tree):
    """Long files and functions are notes: look twice, a second idea may be inside."""
    for path in tree.files:
        code = tree.code(path)
        count = tree.text(path).count("\n")
        if count > tree.rules["file_lines_max"]:
            print(f"note: {path}: {count} lines (look twice past {tree.rules['file_lines_max']})")
        for line, length in functions(code):
            if length > tree.rules["function_lines_max"]:
                print(f"note: {path}:{line}: function of {length} lines (look twice past "
                      f"{tree.rules['function_lines_max']})")
    return iter(())


def check_generated(tree, build=None):
    """Committed files that a program of ours writes are what it would write now. An entry of "generated":
    {"file": "docs/x.md", "command": ["{build}/src/x/gen", "--flag"]}; the command prints the file."""
    for entry in tree.rules["generated"]:
        command = [part.replace("{build}", build or "build/dev").replace("{root}", tree.root)
                   for part in entry["command"]]
        program = command[0] if os.path.isabs(command[0]) else os.path.join(tree.root, command[0])
        if not os.path.exists(program) and shutil.which(command[0]) is None:
            print(f"note: {entry['file']} not checked: {command[0]} is not built")
            continue
        fresh = subprocess.run(command, cwd=tree.root, capture_output=True, text=True)
        try:
            with open(os.path.join(tree.root, entry["file"]), encoding="utf-8") as f:
                committed = f.read()
        except OSError:
            committed = None
        if fresh.returncode != 0:
            yield entry["file"], 1, f"its generator fails: {fresh.stderr.strip()[:200]}"
        elif fresh.stdout != committed:
            yield entry["file"], 1, f"is stale: run {' '.join(entry['command'])} > {entry['file']}"


def run(root, rules, checks=None, build=None, all_format=True):
    """[(check, file, line, sentence)]"""
    tree = Tree(root, rules)
    every = {
        "rooms": check_rooms,
        "banned": check_banned,
        "headers": check_headers,
        "format": lambda t: check_format(t, all_format),
        "sizes": check_sizes,
        "generated": lambda t: check_generated(t, build),
    }
    found = []
    for name in checks or every:
        found += [(name, *breach) for breach in every[name](tree)]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checks", nargs="*")
    parser.add_argument("--root", default=os.path.dirname(os.path.dirname(HERE)))
    parser.add_argument("--build", help="build directory, for generators")
    parser.add_argument("--changed-format", action="store_true", help="check the layout of changed files only")
    options = parser.parse_args()
    with open(os.path.join(HERE, "rules.json"), encoding="utf-8") as f:
        rules = json.load(f)
    found = run(options.root, rules, options.checks, options.build, not options.changed_format)
    for check, path, line, sentence in found:
        print(f"{path}:{line}: {check}: {sentence}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
