"""Counts, times and the last line."""
import contextlib
import os
import time


def in_ci():
    return os.environ.get("CI", "").lower() in ("true", "1")


class Report:
    def __init__(self):
        self.counts = {"passed": 0, "failed": 0, "skipped": 0}
        self.failures, self.skips, self.second_tries, self.times = [], [], [], []
        self.current, self.build_seconds = "", 0.0

    @contextlib.contextmanager
    def building(self):
        """What is done inside counts as building."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.build_seconds += time.monotonic() - started

    @contextlib.contextmanager
    def part(self, name):
        self.current, self.build_seconds = name, 0.0
        before = dict(self.counts)
        started = time.monotonic()
        print(f"== {name}", flush=True)
        try:
            yield
        except KeyboardInterrupt:
            raise
        except Exception as e:
            self.failed(name, f"the part could not run: {type(e).__name__}: {e}")
        seconds = time.monotonic() - started
        got = {k: self.counts[k] - before[k] for k in before}
        skipped = f", {got['skipped']} skipped" if got["skipped"] else ""
        text = (f"{got['passed']} passed, {got['failed']} failed{skipped} in {seconds:.0f} s "
                f"({self.build_seconds:.0f} s of them build)")
        self.times.append((name, text))
        print(f"-- {name}: {text}", flush=True)

    def add(self, status, name, detail="", seconds=0.0):
        self.counts[status] += 1
        if status == "failed":
            self.failures.append((self.current, name))
            print(f"FAIL {name}" + (f": {detail}" if detail else ""), flush=True)
        elif status == "skipped":
            self.skips.append((self.current, name, detail))
            print(f"skip {name}: {detail}", flush=True)

    def passed(self, name):
        self.add("passed", name)

    def failed(self, name, detail=""):
        self.add("failed", name, detail)

    def second_try(self, name, detail):
        """It failed and passed when it ran once more; who calls it counts it."""
        self.second_tries.append((self.current, name))
        print(f"second try of {name} passed; the first: {detail}", flush=True)

    def not_run(self, name, reason):
        """Something outside could not be reached: a failure in CI, "not run" elsewhere."""
        self.add("failed" if in_ci() else "skipped", name, f"not run: {reason}")

    def finish(self):
        print("\n== summary")
        for name, text in self.times:
            print(f"{name:10} {text}")
        for part, name, detail in self.skips:
            print(f"skipped  {part}: {name}: {detail}")
        for part, name in self.second_tries:
            print(f"second try passed  {part}: {name}")
        for part, name in self.failures:
            print(f"FAILED   {part}: {name}")
        c = self.counts
        print(f"{c['passed']} passed, {c['failed']} failed" + (f", {c['skipped']} skipped" if c["skipped"] else ""))
        return 1 if c["failed"] or c["passed"] == 0 else 0
