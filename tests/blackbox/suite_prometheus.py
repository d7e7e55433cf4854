"""Debian's Prometheus scrapes a broker that real clients (kcat) use: what we hand out for it works there.

The page and the rules pass promtool, every expression of the dashboard has data, every alert's expression is answered.
"""
import contextlib
import json
import os
import re
import subprocess
import tempfile
import threading
import urllib.error
import urllib.parse
import urllib.request

from harness import ROOT, Suite, claim_port, install_debian, terminate, wait_until
from suite_groups import first_answer


def version():
    out = subprocess.run(["prometheus", "--version"], capture_output=True, text=True)
    found = re.search(r"version ([\d.]+)", out.stdout + out.stderr)
    return found.group(1) if found else ""


SUITE = Suite("prometheus", "Prometheus", version=version, prepare=lambda options: install_debian("prometheus", "kcat"))
RULES = os.path.join(ROOT, "deploy/prometheus/millrace.rules.yml")
RULE_TESTS = os.path.join(ROOT, "deploy/prometheus/millrace.rules.test.yml")
DASHBOARD = os.path.join(ROOT, "deploy/grafana/millrace.json")


def scenario(name):
    return SUITE.scenario(name, only="millrace")


def page(ctx):
    with urllib.request.urlopen(f"http://{ctx.broker.http}/metrics", timeout=30) as r:
        return r.read().decode()


def kcat(ctx, *args, stdin=None, check=True):
    done = subprocess.run(["kcat", "-b", ctx.broker.address, *args], input=stdin, capture_output=True, timeout=60)
    assert not check or done.returncode == 0, f"kcat {' '.join(args)}: {done.returncode} {done.stderr.decode()[-500:]}"


def use(ctx, topic, group):
    """One round of what clients do: records in, records out through a group, and one request that is refused."""
    kcat(ctx, "-P", "-t", topic, "-p", "-1", stdin=b"".join(b"line %d\n" % i for i in range(200)))
    kcat(ctx, "-G", group, "-X", "auto.offset.reset=earliest", "-e", "-q", topic)
    with ctx.broker.connect() as c:
        c.fetch(topic, 1 << 40)  # out of range: an error to be counted


def promtool(*args, stdin=None):
    done = subprocess.run(["promtool", *args], input=stdin, capture_output=True, text=True, timeout=60)
    said = done.stdout + done.stderr
    assert done.returncode == 0, f"promtool {' '.join(args)}: {done.returncode}\n{said[-2000:]}"
    return said


@scenario("promtool-check-metrics")
def check_metrics(ctx):
    """Names, units, types and help, with everything on the page that traffic brings."""
    use(ctx, ctx.topic(partitions=3), ctx.name("g"))
    said = promtool("check", "metrics", stdin=page(ctx))
    assert not said.strip(), said


@scenario("promtool-check-rules")
def check_rules(ctx):
    said = promtool("check", "rules", RULES)
    assert "SUCCESS" in said, said
    promtool("test", "rules", RULE_TESTS)
    with open(RULES) as f:
        alerts = set(re.findall(r"- alert: (\w+)", f.read()))
    with open(RULE_TESTS) as f:
        tested = set(re.findall(r"alertname: (\w+)", f.read()))
    assert alerts and alerts == tested, f"alerts without a test, or the other way round: {alerts ^ tested}"


class Prometheus:
    """Scrapes `target` once a second. Its files are gone afterwards."""

    def __init__(self, target):
        self.home = tempfile.TemporaryDirectory(prefix="prometheus-")
        self.target = target

    def __enter__(self):
        config = os.path.join(self.home.name, "prometheus.yml")
        with open(config, "w") as f:
            json.dump({"global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}, "rule_files": [RULES],
                       "scrape_configs": [{"job_name": "millrace", "static_configs": [{"targets": [self.target]}]}]}, f)
        self.address = f"127.0.0.1:{claim_port()}"
        self.log = open(os.path.join(self.home.name, "log"), "w+")
        self.process = subprocess.Popen(["prometheus", f"--config.file={config}", f"--web.listen-address={self.address}",
                                         f"--storage.tsdb.path={self.home.name}/data", "--log.level=warn"],
                                        stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        wait_until(self.ready, 30, "Prometheus is ready")
        return self

    def __exit__(self, *_):
        terminate(self.process)
        self.log.close()
        self.home.cleanup()

    def ready(self):
        if self.process.poll() is not None:
            self.log.seek(0)
            raise AssertionError(f"Prometheus ended with {self.process.returncode}: {self.log.read()[-2000:]}")
        with contextlib.suppress(OSError):
            with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=5) as r:
                return r.status == 200

    def get(self, path, **query):
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as r:
                return json.load(r)["data"]
        except urllib.error.HTTPError as e:
            raise AssertionError(f"{query}: {e.read().decode()[:500]}") from e

    def query(self, expression):
        return self.get("query", query=expression)["result"]


def expressions():
    """(panel, expression) of the dashboard, its variables filled in as Grafana does it."""
    with open(DASHBOARD) as f:
        dashboard = json.load(f)
    found = [(panel["title"], target["expr"]) for panel in dashboard["panels"] for target in panel.get("targets", [])]
    filled = []
    for title, expression in found:
        for name, value in (("$__rate_interval", "10s"), ("$instance", ".*"), ("$job", ".*")):
            expression = expression.replace(name, value)
        assert "$" not in expression, f"{title}: a variable that nobody sets: {expression}"
        filled.append((title, expression))
    assert len(filled) > 20, filled
    return filled


@scenario("every-expression-has-data")
def every_expression(ctx):
    topic, group = ctx.topic(partitions=3), ctx.name("g")
    done = threading.Event()
    failed = []

    def traffic():
        try:
            while not done.is_set():
                use(ctx, topic, group)
        except Exception as e:  # noqa: BLE001: told by the scenario
            failed.append(e)

    with Prometheus(ctx.broker.http) as p:
        thread = threading.Thread(target=traffic)
        thread.start()
        try:
            wait_until(lambda: p.query('up{job="millrace"} == 1'), 30, "a scrape")
            missing = expressions()

            def all_there():
                missing[:] = [(title, e) for title, e in missing
                              if not any(s["value"][1] != "NaN" for s in p.query(e))]
                return not missing or failed
            try:
                wait_until(all_there, 60, "data")
            except AssertionError:
                raise AssertionError("no data for " + "; ".join(f"{t}: {e}" for t, e in missing)) from None
            assert not failed, failed
            rules = [r for g in p.get("rules")["groups"] for r in g["rules"]]
            wait_until(lambda: all(r["health"] != "unknown" for r in [r for g in p.get("rules")["groups"] for r in g["rules"]]),
                       30, "the rules are evaluated")
            rules = [r for g in p.get("rules")["groups"] for r in g["rules"]]
            assert len(rules) > 10 and all(r["health"] == "ok" for r in rules), [(r["name"], r["lastError"]) for r in rules]
            names = set(re.findall(r"\b(?:millrace|queue|process)_\w+", " ".join(r["query"] for r in rules)))
            scraped = set(p.get("label/__name__/values")) | {"millrace_kafka_errors_total"}
            assert names <= scraped, f"alerts on what nobody exports: {names - scraped}"
            firing = [r["name"] for r in rules if r["state"] == "firing"]
            assert not firing, f"a healthy broker, and yet: {firing}"
        finally:
            done.set()
            thread.join()


@scenario("a-group-with-any-name-does-no-harm")
def hostile_names(ctx):
    """Prometheus takes nothing of a page with a byte that is no UTF-8, and clients choose the names of groups."""
    topic = ctx.topic()
    with ctx.broker.connect() as c:
        group = b'bad\xff\xfe"\\\n'
        first_answer(lambda: c.call("FindCoordinator", 1, {"Key": group, "KeyType": 0}))

        def commit():
            answer = c.call("OffsetCommit", 2, {"GroupId": group, "GenerationIdOrMemberEpoch": -1, "MemberId": "", "RetentionTimeMs": -1,
                                                "Topics": [{"Name": topic, "Partitions": [
                                                    {"PartitionIndex": 0, "CommittedOffset": 0, "CommittedMetadata": ""}]}]})
            return answer["Topics"][0]["Partitions"][0]
        assert first_answer(commit)["ErrorCode"] == 0
    with urllib.request.urlopen(f"http://{ctx.broker.http}/metrics", timeout=30) as r:
        text = r.read().decode()
    assert 'consumer_group="bad\ufffd\ufffd\\"\\\\\\n"' in text, [line for line in text.splitlines() if line.startswith("queue_consumer_lag")]
    promtool("check", "metrics", stdin=text)


@scenario("a-topic-takes-its-series-along")
def topic_goes(ctx):
    topic = ctx.topic(partitions=2)
    kcat(ctx, "-P", "-t", topic, stdin=b"one\ntwo\n")
    label = f'topic="{topic}"'
    lines = [line for line in page(ctx).splitlines() if label in line]
    for name in ("queue_messages_produced_total", "queue_produce_duration_seconds_bucket", "queue_partition_size_bytes",
                 "millrace_partition_log_end_offset"):
        assert any(line.startswith(name) for line in lines), f"no {name} in {lines}"
    produced = [line for line in lines if line.startswith("queue_messages_produced_total")]
    assert produced == [f"queue_messages_produced_total{{{label}}} 2"], produced
    bounds = [m.group(1) for line in lines if (m := re.match(r'queue_produce_duration_seconds_bucket.*le="([^"]+)"', line))]
    assert bounds == ["0.001", "0.005", "0.01", "0.025", "0.05", "0.1", "+Inf"], bounds
    with ctx.broker.connect() as c:
        c.call("DeleteTopics", 1, {"TopicNames": [topic], "TimeoutMs": 10000})
        wait_until(lambda: label not in page(ctx), 10, "the series are gone")
        c.create_topic(topic)
    assert f"queue_messages_produced_total{{{label}}} 0" in page(ctx).splitlines(), "made anew it begins at 0"


@scenario("many-partitions-are-bounded")
def bounded(ctx):
    """Beyond 1,000 partitions series are left out, and how many is said."""
    ctx.topic(partitions=1100)
    text = page(ctx)
    shown = len(re.findall(r"^queue_partition_size_bytes\{", text, re.M))
    left_out = int(re.search(r'^millrace_metrics_left_out\{what="partitions"\} (\d+)$', text, re.M).group(1))
    total = int(re.search(r"^millrace_partitions (\d+)$", text, re.M).group(1))
    assert shown == 1000 and left_out == total - 1000, (shown, left_out, total)
