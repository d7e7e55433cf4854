#!/usr/bin/env python3
"""Runs black-box suites against a broker.

  tests/blackbox/run.py [--broker millrace|kafka|HOST:PORT] [--filter REGEX] [SUITE...]

Without names every suite runs. Each suite gets a broker of its own in a fresh directory. The last line is the count;
the results go to build/results/blackbox-BROKER.json (or --json), which tools/client-table reads.
"""
import argparse
import importlib
import os
import sys

import harness

MATRIX = ["matrix-kcat", "matrix-confluent", "matrix-python", "matrix-java", "matrix-aiokafka", "matrix-kafkajs", "matrix-platformatic",
          "matrix-franz", "matrix-sarama", "matrix-java848", "matrix-confluent848"]
SUITES = ["raw", "admin", "groups", "groups848", "configs", "kcat", "console", "python", "java", "crash", "crashfs", "powercut", "kafkadir", "groupdiff", "groupdiff848", "admindiff", "fulldisk", "compaction", "robust", "limits", "serve", "dirs", "cli", "cli_groups", "bench", "ops", "readme", "liar", "churn", "prometheus", "groupload", "compare", *MATRIX]


def suite_of(name):
    if name in MATRIX:
        return importlib.import_module("suite_matrix").SUITES[name]
    return importlib.import_module(f"suite_{name}").SUITE


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=", ".join(SUITES))
    parser.add_argument("--broker", default="millrace")
    parser.add_argument("--binary", help="millrace to test")
    parser.add_argument("--filter", help="only scenarios whose name matches")
    parser.add_argument("--json", help="results file")
    parser.add_argument("--keep", action="store_true", help="keep directories of failed suites")
    parser.add_argument("--end-well", action="store_true", help="after each suite millrace has to stop cleanly, without a sanitizer's word")
    parser.add_argument("--rounds", type=int, help="of the scenarios that crash again and again")
    parser.add_argument("--seconds", type=int, help="churn goes on for so long")
    parser.add_argument("--seed", type=int, default=1, help="of what is drawn by chance there")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    names = options.suites or SUITES
    for name in names:
        if name not in SUITES:
            parser.error(f"no suite {name!r}; there are {', '.join(SUITES)}")
    suites = [suite_of(name) for name in names]
    if options.list:
        for suite in suites:
            for name, _, only in suite.scenarios:
                print(f"{suite.name}/{name}" + (f" ({only})" if only else ""))
        return 0
    if options.broker == "millrace":
        options.binary = harness.find_binary(options.binary)

        def make():
            return harness.Millrace(options.binary)
    elif options.broker == "kafka":
        def make():
            return harness.ReferenceKafka()
        suites = [s for s in suites if s.name not in ("serve", "dirs", "cli", "ops", "readme", "crashfs", "powercut", "kafkadir", "groupdiff", "groupdiff848", "admindiff", "fulldisk", "compaction", "churn", "prometheus")]
    else:
        def make():
            return harness.Broker(options.broker)
    tally = harness.run_suites(suites, make, options)
    label = options.broker if options.broker in ("millrace", "kafka") else "external"
    default = f"blackbox-{label}.json" if not options.suites else f"blackbox-{label}-{'-'.join(names)}.json"
    if options.json or not options.filter:
        harness.write_results(options.json or os.path.join(harness.ROOT, "build/results", default), tally)
    print(tally.line())
    return 1 if tally.counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
