"""A second try is for what failed against Apache Kafka alone, and a second failure counts."""
import unittest
from types import SimpleNamespace
from unittest import mock

import parts
from report import Report


def suite(**outcomes):
    return {"suite": "s", "scenarios": [{"name": n, "status": o, "detail": f"{n} {o}"} for n, o in outcomes.items()]}


class SecondTry(unittest.TestCase):
    def runs(self, broker, first, second):
        self.asked = []

        def run(broker, suites, more, name="blackbox"):
            self.asked.append((name, *more))
            return [second if name == "second-try" else first], SimpleNamespace(stdout="", stderr="", returncode=1)

        report = Report()
        with mock.patch.object(parts, "blackbox_run", run), mock.patch("builtins.print"):
            parts.blackbox_runs(report, (broker, ["s"]))
        return report

    def test_what_passes_then_is_passed_and_named(self):
        report = self.runs("kafka", suite(a="passed", b="failed"), suite(b="passed"))
        self.assertEqual((report.counts["passed"], report.counts["failed"]), (2, 0))
        self.assertEqual([name for _, name in report.second_tries], ["kafka/s/b"])
        self.assertEqual(self.asked[1:], [("second-try", "--filter", "^(b)$")])

    def test_what_fails_again_is_failed(self):
        report = self.runs("kafka", suite(b="failed"), suite(b="failed"))
        self.assertEqual((report.counts["failed"], report.second_tries), (1, []))

    def test_a_suite_that_could_not_start_runs_as_a_whole(self):
        report = self.runs("kafka", suite(s="failed"), suite(a="passed", b="failed"))
        self.assertEqual(self.asked[1:], [("second-try",)])
        self.assertEqual((report.counts["passed"], report.failures), (1, [("", "kafka/s/b")]))
        self.assertEqual(report.second_tries, [("", "kafka/s/s")])

    def test_a_suite_that_could_not_go_on_keeps_what_passed(self):
        report = self.runs("kafka", suite(a="passed", b="failed", **{"the suite's process": "failed"}),
                           suite(a="failed", b="passed", c="passed"))
        self.assertEqual((report.counts["passed"], report.counts["failed"]), (3, 0))

    def test_a_suite_that_could_not_start_twice_is_failed(self):
        for second in (suite(s="failed"), suite(s="skipped"), suite()):
            report = self.runs("kafka", suite(s="failed"), second)
            self.assertEqual((report.counts["failed"], report.second_tries), (1, []))

    def test_what_did_not_run_again_is_failed(self):
        self.assertEqual(self.runs("kafka", suite(b="failed"), suite()).counts["failed"], 1)

    def test_millrace_has_one_try(self):
        report = self.runs("millrace", suite(b="failed"), suite(b="passed"))
        self.assertEqual((report.counts["failed"], len(self.asked)), (1, 1))


if __name__ == "__main__":
    unittest.main()
