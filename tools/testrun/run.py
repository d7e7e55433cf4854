#!/usr/bin/env python3
"""Builds and runs Millrace's tests.

  ./test                       everything
  ./test PART...               unit sim tidy gates blackbox clients reference fuzz asan tsan
  ./test --list                what the parts hold

  unit       unit tests of every room, and the house rules that run as ctest label unit
  sim        simulation tests (real code on a fake clock, disk and network)
  tidy       house rules: layers, banned calls, layout, stale generated files
  gates      clockless gates: system calls, allocations, instructions
  blackbox   the real binary: raw frames, kill -9, power cuts, a full disk, garbage, command line, HTTP, README's commands
  clients    the client matrix against Millrace: clients in five languages from Debian, PyPI, Maven, npm and the Go proxy, and
             Kafka's console tools; one whose toolchain is not on this machine is skipped, and says so
  reference  the same client suites against Apache Kafka (Maven): what they expect is right; its tools and broker read our
             directories, ours takes over its. What fails against Kafka has a second try, and the summary names it
  fuzz       libFuzzer targets, each for --fuzz-seconds (10)
  asan       unit and simulation tests, and a smoke test of the real binary, under address and undefined-behaviour sanitizers
  tsan       unit tests under the thread sanitizer

A part that needs Maven, PyPI, npm or the Go proxy and cannot reach it says so by name: a failure when CI=true, "not run" elsewhere.
The last line is the count: each GoogleTest case, ctest entry, black-box scenario and fuzz target counts one.
JOBS sets the number of parallel jobs (all cores unless set). Results are written to build/results.
"""
import argparse
import sys

import parts
from ahead import Ahead
from report import Report


def main():
    parser = argparse.ArgumentParser(prog="./test", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART")
    parser.add_argument("--fuzz-seconds", type=int, default=10)
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    unknown = [p for p in options.parts if p not in parts.PARTS]
    if unknown:
        parser.error(f"no part {unknown[0]!r}; there are {' '.join(parts.PARTS)}")
    chosen = [p for p in parts.PARTS if not options.parts or p in options.parts]
    if options.list:
        print("\n".join(chosen))
        return 0
    report = Report()
    try:
        run(chosen, report, options)
    except KeyboardInterrupt:
        report.failed("interrupted", "Ctrl-C")
    return report.finish()


def run(chosen, report, options):
    ahead = None
    try:
        for i, name in enumerate(chosen):
            if ahead and name not in parts.WAITING:
                ahead.stop()
                ahead = None
            with report.part(name):
                if name in parts.BUILDS:
                    with report.building():
                        parts.BUILDS[name]()
                later = [p for p in chosen[i:] if p in parts.BUILDS and p not in parts.WAITING]
                if name in parts.WAITING and later and not ahead:
                    ahead = Ahead(later)
                parts.PARTS[name](report, options)
    finally:
        if ahead:
            ahead.stop()


if __name__ == "__main__":
    sys.exit(main())
