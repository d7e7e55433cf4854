"""The arithmetic and the pages of bench/compare: pairs whose result is known, a result with every kind of row."""
import json
import os
import socket
import subprocess
import sys
import tempfile
import unittest
from html.parser import HTMLParser

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from comparing import metrics, page, ratios, report, rivals, slices, works  # noqa: E402

FIGURES = {"server_cpu_s": 1.0, "bytes": 2e9, "messages": 4e6, "seconds": 0.5, "p50_ms": 1, "p90_ms": 2, "p99_ms": 3,
           "p999_ms": 4, "ready_ms": 10, "rss_mb": 20, "core_percent": 0.1, "mb_on_disk": 5}


def doubled(figures):
    return {**figures, "server_cpu_s": figures["server_cpu_s"] * 2, "seconds": figures["seconds"] * 2}


def result_of(rows):
    return {"date": "2026-01-02", "quick": False, "machine": {"cpu": "a <cpu>", "cores": 2, "memory_mb": 1, "kernel": "6"},
            "commit": "0123456789abcdef", "versions": {"millrace": "millrace 1", "kafka": "4"}, "warm_s": 30, "sittings": 1,
            "slice_s": 0.5, "seconds": 60, "left_out": [{"rival": "x & y", "why": "no <reason>"}], "rows": rows}


class Balanced(HTMLParser):
    """Fails on an element that is closed and was not open."""
    VOID = {"meta", "line", "circle", "br"}

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], {}

    def handle_starttag(self, tag, attrs):
        self.seen[tag] = self.seen.get(tag, 0) + 1
        if tag not in self.VOID and tag != "html":
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID and tag != "html":
            assert self.open and self.open.pop() == tag, tag


class Ratios(unittest.TestCase):
    def test_the_ratio_is_of_pairs_and_not_of_medians(self):
        # The host became ten times slower between the pairs; within each, ours costs half.
        found = ratios.summary([1, 10, 100, 1, 10], [2, 20, 200, 2, 20])
        self.assertEqual((found["ratio"], found["ci"]), (0.5, [0.5, 0.5]))
        self.assertEqual((found["ours"], found["theirs"]), (10, 20))

    def test_the_interval_holds_the_median_and_widens_with_the_spread(self):
        narrow = ratios.interval([1.0, 1.01, 0.99, 1.0, 1.02, 0.98, 1.0, 1.01])
        wide = ratios.interval([1.0, 1.5, 0.5, 1.0, 1.9, 0.4, 1.0, 1.1])
        self.assertTrue(narrow[0] <= 1.0 <= narrow[1] and wide[0] <= 1.0 <= wide[1])
        self.assertGreater(wide[1] - wide[0], narrow[1] - narrow[0])

    def test_two_pairs_give_their_range(self):
        self.assertEqual(ratios.interval([0.5, 0.7]), [0.5, 0.7])

    def test_pairs_across_a_change_of_phase_are_dropped_while_enough_stay(self):
        self.assertTrue(ratios.moved([100, 120]))
        self.assertFalse(ratios.moved([100, 114]))
        steady, shaken = ({}, {}, False), ({}, {}, True)
        self.assertEqual(len(ratios.kept([steady] * 4 + [shaken] * 2)), 4)
        self.assertEqual(len(ratios.kept([steady] * 2 + [shaken] * 2)), 4)

    def test_nothing_to_divide_by_is_refused(self):
        with self.assertRaises(ValueError):
            ratios.summary([1.0], [0.0])


class Works(unittest.TestCase):
    def test_every_work_can_be_done_and_read(self):
        self.assertEqual(len(works.BY_NAME), len(works.WORKS))
        for work in works.WORKS:
            self.assertIn(work.kind, slices.KINDS)
            self.assertTrue(all(m in metrics.METRICS for m in work.metrics), work.name)
            for flag in work.load[::2]:
                self.assertTrue(str(flag).startswith("--"), work.name)

    def test_headline_works_are_there_with_unmodified_clients(self):
        models = {w.name for w in works.WORKS if w.headline and w.kind in ("produce", "fetch", "mixed", "latency")}
        for client in works.CLIENTS:
            mirrored = {w.like: w for w in works.WORKS if w.like and w.more["client"] == client}
            self.assertEqual(set(mirrored), models)
            for like, work in mirrored.items():
                model = works.BY_NAME[like]
                self.assertEqual((work.metrics, work.own_side(), work.side(works.KAFKA)),
                                 (model.metrics, model.own_side(), model.side(works.KAFKA)), work.name)

    def test_an_ack_means_what_the_topic_is_told(self):
        work = works.BY_NAME["produce-1k-synced-vs-unsynced"]
        self.assertEqual(work.own_side(), ({}, works.SYNCED))
        self.assertEqual(work.side(works.KAFKA), ({}, works.CACHED))
        unsynced = works.BY_NAME["produce-1k-unsynced"]
        self.assertEqual(unsynced.side(works.BARE), unsynced.own_side())
        synced = works.BY_NAME["produce-1k-synced"]
        self.assertEqual(synced.side(works.KAFKA), ({"flush.messages": "1"}, works.SYNCED))


    def test_who_speaks_no_kafka_gets_the_same_window(self):
        for work in works.WORKS:
            if "rival_load" not in work.more:
                continue
            ours, theirs = dict(zip(work.load[::2], work.load[1::2])), work.more["rival_load"]
            self.assertEqual((ours["--connections"], ours["--records"] * ours["--in-flight"], ours["--size"]),
                             (theirs["connections"], theirs["in_flight"], theirs["size"]), work.name)
            self.assertEqual(ours["--records"], work.more["batch"], work.name)
            for rival in work.rivals:
                self.assertEqual(rivals.rival_for(rival, work.theirs).means, work.theirs, work.name)


    def test_what_rivals_read_again_and_again_stays_in_their_streams(self):
        work = works.BY_NAME["read-1k-hot"]
        flags = dict(zip(work.load[::2], work.load[1::2]))
        self.assertEqual(flags["--connections"], works.RIVAL_LOAD["connections"])
        self.assertEqual(work.more["rival_read"] % 1000, 0)  # kReadTogether of bench/rload
        self.assertEqual(work.more["rival_read"] % works.RIVAL_READ_BATCH, 0)
        self.assertLess(work.more["rival_read"], 100_000)  # where bench/rload has Redis cut
        for rival in work.rivals:
            self.assertTrue(hasattr(rivals.rival_for(rival, work.theirs), "read"))


class Rivals(unittest.TestCase):
    def test_ports_are_found_and_an_ended_process_has_none(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.assertNotIn(s.getsockname()[1], rivals.ports_of(os.getpid()))
            s.listen()
            self.assertIn(s.getsockname()[1], rivals.ports_of(os.getpid()))
        ended = subprocess.Popen(["true"])
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)  # its number stays
        self.assertEqual(rivals.ports_of(ended.pid), [])
        ended.wait()
        self.assertEqual(rivals.ports_of(ended.pid), [])


class Report(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        found = {(w.name, rival): [(FIGURES, doubled(FIGURES), False)] * 4 for w in works.WORKS for rival in w.rivals}
        cls.left_out = []
        found["produce-zstd", works.KAFKA] = [(FIGURES, {**FIGURES, "server_cpu_s": 0}, False)]
        cls.rows = report.rows_of_all(found, {"e2e-1k-50pct": ": 1 of 2 messages/s"}, cls.left_out)

    def row(self, work, metric, rival=works.KAFKA):
        return next(r for r in self.rows if (r["work"], r["metric"], r["rival"]) == (work, metric, rival))

    def test_rows_say_what_was_measured(self):
        row = self.row("produce-1k-unsynced", "cpu_s_per_gb")
        self.assertEqual((row["ours"], row["theirs"], row["ratio"], row["pairs"]), (0.5, 1.0, 0.5, 4))
        self.assertEqual(row["durability"], {"ours": "page cache", "theirs": "page cache"})
        self.assertEqual(self.row("produce-1k-unsynced", "mb_per_s")["ratio"], 2.0)
        self.assertTrue(self.row("e2e-1k-50pct", "p50_ms")["shape"].endswith(": 1 of 2 messages/s"))
        wanted = {"work", "metric", "rival", "ours", "theirs", "ratio", "ci", "durability", "shape", "pairs"}
        self.assertTrue(all(wanted <= r.keys() for r in self.rows))
        json.dumps(self.rows)

    def test_a_work_that_makes_no_row_takes_no_other_with_it(self):
        self.assertEqual([x["work"] for x in self.left_out], ["produce-zstd"])
        self.assertEqual({r["work"] for r in self.rows}, set(works.BY_NAME) - {"produce-zstd"})

    def test_a_part_takes_the_place_of_its_rows_alone(self):
        part = [{**self.row("produce-1k-synced", "mb_per_s"), "ratio": 7.0, "commit": "later"}]
        old = result_of([r for r in self.rows if r["work"] != "fetch-1k-cold"])
        old["left_out"].append({"work": "produce-1k-synced", "rival": works.KAFKA, "why": "failed before"})
        whole = report.merged(old, result_of(part + [self.row("fetch-1k-cold", "mb_per_s")]))
        ratios_of = {(r["work"], r["metric"], r["rival"]): r["ratio"] for r in whole["rows"]}
        self.assertEqual(ratios_of["produce-1k-synced", "mb_per_s", works.KAFKA], 7.0)
        self.assertEqual(ratios_of["produce-1k-synced", "mb_per_s", works.BARE], 2.0)
        self.assertEqual(len(whole["rows"]), len(old["rows"]) + 1)
        order = [r["work"] for r in whole["rows"]]
        self.assertLess(order.index("burst-30p-consume"), order.index("fetch-1k-cold"))
        self.assertEqual(whole["left_out"], [{"rival": "x & y", "why": "no <reason>"}])
        self.assertEqual(report.commits(whole), "commits 0123456789 and later")
        self.assertEqual(report.commits(result_of(self.rows)), "commit 0123456789")

    def test_better_is_above_one_whatever_the_metric(self):
        self.assertEqual(page.times_better(self.row("produce-1k-unsynced", "cpu_s_per_gb")), (2, 2, 2))
        self.assertEqual(page.times_better(self.row("produce-1k-unsynced", "mb_per_s")), (2, 2, 2))
        self.assertEqual([page.verdict(1.1, 2), page.verdict(0.5, 0.9), page.verdict(0.9, 1.1)], ["good", "bad", "even"])

    def test_the_page_is_whole(self):
        text = page.page(result_of(self.rows))
        parser = Balanced()
        parser.feed(text)
        self.assertEqual(parser.open, [])
        self.assertEqual(parser.seen["svg"], len({r["rival"] for r in self.rows}))
        self.assertEqual(parser.seen["circle"], len(self.rows))
        self.assertIn("no &lt;reason&gt;", text)
        self.assertNotIn("<script", text)

    def test_the_readme_gets_the_headline_and_keeps_the_rest(self):
        text = report.headline(result_of(self.rows))
        self.assertIn("| produce-1k-synced |", text)
        self.assertNotIn("produce-gzip", text)
        self.assertNotIn("p90", text)
        self.assertIn("| fetch-1k-hot | broker CPU seconds per GB | 0.50 / 1.00: **0.50** | 0.50 / 1.00: **0.50** | 0.50 / 1.00: **0.50** |", text)
        works_table, clients_table = text.split(report.CLIENTS_SAY)
        self.assertLess(works_table.count("\n| "), 50)
        self.assertLess(clients_table.count("\n| "), 30)
        with tempfile.TemporaryDirectory() as home:
            path = os.path.join(home, "README.md")
            with open(path, "w") as f:
                f.write(f"before\n{report.OPEN_MARK}\nold\n{report.CLOSE_MARK}\nafter\n")
            report.update_readme(text, path)
            with open(path) as f:
                page_text = f.read()
        self.assertTrue(page_text.startswith("before\n") and page_text.endswith("\nafter\n"))
        self.assertNotIn("\nold\n", page_text)


if __name__ == "__main__":
    unittest.main()
