"""Each check finds a planted breach and is silent on the same tree without it."""
import io
import os
import subprocess
import sys
import tempfile
import unittest
from contextlib import redirect_stdout

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tidy  # noqa: E402

RULES = {
    "rows": [["base"], ["runtime", "model"], ["storage", "wire"], ["server"]],
    "trees": ["src", "sim"],
    "function_lines_max": 5,
    "file_lines_max": 20,
    "banned": [
        {"name": "clocks", "pattern": r"\bsteady_clock\b", "trees": ["src", "sim"], "allowed": ["src/runtime/"],
         "instead": "Clock"},
        {"name": "Beast", "pattern": r"#include <boost/beast", "trees": ["src"], "allowed": ["src/server/http/"],
         "instead": "server/http"},
    ],
    "exceptions": [],
    "generated": [],
}


class TidyTest(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.root = self.dir.name
        self.rules = {k: (list(v) if isinstance(v, list) else v) for k, v in RULES.items()}
        self.write("src/base/a.h", "#pragma once\nint a();\n")
        self.write("src/storage/log.h", '#pragma once\n#include "base/a.h"\n')
        self.write("sim/world.h", '#pragma once\n#include "storage/log.h"\n#include "wire/w.h"\n')

    def tearDown(self):
        self.dir.cleanup()

    def write(self, path, text):
        full = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as f:
            f.write(text)

    def run_check(self, name):
        self.notes = io.StringIO()
        with redirect_stdout(self.notes):
            return [(path, line) for _, path, line, _ in tidy.run(self.root, self.rules, [name])]

    def test_rooms(self):
        self.assertEqual(self.run_check("rooms"), [])
        self.write("src/base/up.cc", '#include "base/a.h"\n#include "storage/log.h"\n')
        self.write("src/storage/side.cc", '// #include "wire/w.h" is only a comment\n#include "wire/w.h"\n')
        self.write("src/server/out.cc", '#include "sim/world.h"\n#include "near.h"\n#include "base/a.h"\n')
        self.write("src/storage/log_test.cc", '#include "sim/world.h"\n')
        self.write("src/attic/x.cc", "")
        self.assertEqual(sorted(self.run_check("rooms")),
                         [("src/attic/x.cc", 1), ("src/base/up.cc", 2), ("src/server/out.cc", 1),
                          ("src/server/out.cc", 2), ("src/storage/side.cc", 2)])

    def test_banned(self):
        self.write("src/runtime/clock.cc", "auto t = steady_clock::now();\n")
        self.write("src/server/http/parser.cc", "#include <boost/beast/http.hpp>\n")
        self.write("src/storage/ok.cc", '// steady_clock\nauto s = "steady_clock"; auto n = 1\'000\'000;\n')
        self.assertEqual(self.run_check("banned"), [])
        self.write("src/storage/bad.cc", "\nauto t = std::chrono::steady_clock::now();\n")
        self.write("sim/bad.cc", "using C = steady_clock;\n")
        self.write("src/server/kafka.cc", "#include <boost/beast/core.hpp>\n")
        self.assertEqual(sorted(self.run_check("banned")),
                         [("sim/bad.cc", 1), ("src/server/kafka.cc", 1), ("src/storage/bad.cc", 2)])

    def test_exceptions_are_needed_and_have_reasons(self):
        self.write("src/storage/bad.cc", "steady_clock\n")
        self.rules["exceptions"] = [{"file": "src/storage/bad.cc", "rule": "clocks", "reason": "because"}]
        self.assertEqual(self.run_check("banned"), [])
        self.rules["exceptions"][0]["reason"] = ""
        self.assertEqual(len(self.run_check("banned")), 1)
        self.write("src/storage/bad.cc", "\n")
        self.rules["exceptions"][0]["reason"] = "because"
        self.assertEqual(len(self.run_check("banned")), 1, "no longer needed")

    def test_headers(self):
        self.write("src/base/list.h", "// X(...) rows; included many times, so without a guard.\nX(a)\n")
        self.assertEqual(self.run_check("headers"), [])
        self.write("src/base/b.h", "int b();\n")
        self.write("src/base/c.h", "// words first\n#pragma once\nusing namespace std;\n")
        self.assertEqual(sorted(self.run_check("headers")), [("src/base/b.h", 1), ("src/base/c.h", 3)])

    @unittest.skipIf(tidy.shutil.which("clang-format-19") is None, "no clang-format-19")
    def test_format(self):
        self.assertEqual(self.run_check("format"), [])
        self.write("src/base/ugly.cc", "int a ( ) ;\n")
        self.assertEqual(self.run_check("format"), [("src/base/ugly.cc", 1)])

    @unittest.skipIf(tidy.shutil.which("clang-format-19") is None, "no clang-format-19")
    def test_format_of_changed_files(self):
        def git(*args):
            subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", *args], cwd=self.root, check=True,
                           capture_output=True)
        self.write("src/base/old.cc", "int a ( ) ;\n")
        git("init", "-b", "main")
        git("add", ".")
        git("commit", "-m", "old")
        self.write("src/base/new.cc", "int b ( ) ;\n")
        found = tidy.run(self.root, self.rules, ["format"], all_format=False)
        self.assertEqual([f[1] for f in found], ["src/base/new.cc"])

    def test_sizes(self):
        self.assertEqual(self.run_check("sizes"), [])
        self.assertEqual(self.notes.getvalue(), "")
        body = "".join(f"  a({i});\n" for i in range(6))
        self.write("src/base/long.cc", "void short_one(int x) {\n  if (x) {\n  }\n}\nvoid long_one(int x) {\n" + body
                   + "}\n" + "\n" * 10)
        self.run_check("sizes")
        self.assertIn("long.cc: 22 lines", self.notes.getvalue())
        self.assertIn("long.cc:5: function of 8 lines", self.notes.getvalue())
        self.assertNotIn("long.cc:1:", self.notes.getvalue())

    def test_generated(self):
        self.write("docs/x.md", "now\n")
        self.rules["generated"] = [{"file": "docs/x.md", "command": ["/bin/echo", "now"]}]
        self.assertEqual(self.run_check("generated"), [])
        self.rules["generated"] = [{"file": "docs/x.md", "command": ["/bin/echo", "later"]}]
        self.assertEqual(self.run_check("generated"), [("docs/x.md", 1)])
        self.rules["generated"] = [{"file": "docs/x.md", "command": ["/bin/false"]}]
        self.assertEqual(self.run_check("generated"), [("docs/x.md", 1)])
        self.rules["generated"] = [{"file": "docs/x.md", "command": ["{build}/none"]}]
        self.assertEqual(self.run_check("generated"), [])
        self.assertIn("not checked", self.notes.getvalue())


if __name__ == "__main__":
    unittest.main()
