"""Starts brokers, runs suites of scenarios against them, writes down what passed.

A suite is a list of scenarios in one client's language. Scenarios know the broker only by its address, so the same suite
runs against Millrace, against Apache Kafka (tools/reference-kafka) and against any other address: what passes against
Apache Kafka is a fact about the protocol, and what then fails against Millrace is ours.

Suites in other languages run as a child process that speaks JSON lines: it prints {"scenario": ..., "status": ...} for
what it did and {"request": ...} for what it wants of us (a restart, a look at the stored batches), and reads the answer
from stdin.
"""
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.request

import rawkafka

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.append(os.path.join(ROOT, "tools"))
from claimed_ports import claim_port, release_port  # noqa: E402
from fetched import fetched  # noqa: E402
NEVER_SYNCED = {"flush.messages": str((1 << 63) - 1)}  # for topics where the subject is not the disk; Kafka's default
SANITIZER = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|: runtime error: ")
REFERENCE = os.path.join(ROOT, "tools", "reference-kafka")


class Skip(Exception):
    """This scenario says nothing about this broker or client; the text says why."""


class Unreachable(Exception):
    """A registry or package that the suite needs is out of reach: a failure in CI, "not run" elsewhere."""


def cache_dir():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    path = os.path.join(base, "millrace")
    os.makedirs(path, exist_ok=True)
    return path


def in_ci():
    return os.environ.get("CI", "").lower() in ("true", "1")


def wait_until(test, seconds, what):
    """The only way to wait here: a condition with a limit, never a bare sleep."""
    deadline = time.monotonic() + seconds
    while True:
        got = test()
        if got:
            return got
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.01)


def least_seconds(work, tries=3):
    """How long it takes: a busy machine makes it slow once, what is slow itself is slow each time."""
    took = []
    for _ in range(tries):
        started = time.monotonic()
        work()
        took.append(time.monotonic() - started)
    return min(took)


def metric(broker, series):
    """What /metrics says of one series, labels and all."""
    with urllib.request.urlopen(f"http://{broker.http}/metrics", timeout=10) as r:
        lines = [line for line in r.read().decode().splitlines() if line.startswith(series + " ")]
    assert len(lines) == 1, f"{series}: {lines}"
    return float(lines[0].split()[-1])


# ---- brokers ------------------------------------------------------------------------------------------------------

class Broker:
    kind = "external"
    http = None
    log = os.devnull

    def __init__(self, address=None):
        self.address, self.ports = address, []

    def configure(self, settings):
        """Before start(); a broker that is not ours has been configured by somebody else."""

    def start(self):
        pass

    def stop(self, *_):
        raise Skip("this broker is not ours to stop")

    kill = restart = stop

    def close(self):
        pass

    def release_ports(self):
        while self.ports:
            release_port(self.ports.pop())

    def log_tail(self, n=30):
        with contextlib.suppress(FileNotFoundError):
            with open(self.log, errors="replace") as f:
                return "".join(f.readlines()[-n:])
        return ""

    def version(self):
        return "?"

    def connect(self, timeout=20):
        return rawkafka.Connection(self.address, timeout)


class Millrace(Broker):
    """`millrace serve` in a directory of its own. A restart keeps ports and data, so the ports are claimed."""
    kind = "millrace"

    def __init__(self, binary, directory=None, args=(), env=None):
        super().__init__()
        self.ports = [claim_port(), claim_port()]
        self.address, self.http = (f"127.0.0.1:{port}" for port in self.ports)
        self.binary = binary
        self.home = directory or tempfile.mkdtemp(prefix="millrace-test-")
        self.owns_home = directory is None
        self.data = os.path.join(self.home, "data")
        self.log = os.path.join(self.home, "broker.log")
        self.args = list(args)
        self.env = env
        self.process = None

    def configure(self, settings):
        for s in settings:
            self.args += ["--set", s]

    def command(self):
        return [self.binary, "serve", "--data-dir", self.data, "--kafka", self.address, "--http", self.http, *self.args]

    def forget_ready(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self.data, "ready.json"))

    def launch(self):
        self.forget_ready()
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={**os.environ, **self.env} if self.env else None)

    def start(self, seconds=30):
        self.launch()
        ready = os.path.join(self.data, "ready.json")

        def is_ready():
            code = self.process.poll()
            assert code is None, f"millrace ended with {code} before it was ready:\n{self.log_tail()}"
            return os.path.exists(ready)
        wait_until(is_ready, seconds, "ready.json")
        with open(ready) as f:
            self.ready = json.load(f)
        self.address, self.http = self.ready["kafka"], self.ready["http"]
        return self

    def stop(self, seconds=20):
        """SIGTERM; returns the exit code."""
        self.process.terminate()
        return self._wait(seconds)

    def kill(self):
        self.process.kill()
        return self._wait(20)

    def _wait(self, seconds):
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"millrace did not end within {seconds} s of the signal\n{self.log_tail()}") from None

    def restart(self, how="term"):
        code = self.kill() if how == "kill" else self.stop()
        if how == "term":
            assert code == 0, f"SIGTERM: exit code {code}"
        self.start()

    def close(self, keep=False):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.release_ports()
        if self.owns_home and not keep:
            shutil.rmtree(self.home, ignore_errors=True)

    def end_well(self):
        """A clean stop after all that has happened, and nothing that a sanitizer would have said."""
        if self.process.poll() is None:
            code = self.stop(60)
            assert code == 0, f"SIGTERM: exit code {code}\n{self.log_tail(60)}"
        with open(self.log, errors="replace") as f:
            said = [line for line in f if SANITIZER.search(line)]
        assert not said, f"a sanitizer speaks: {said[0].strip()}\n{self.log_tail(60)}"

    def version(self):
        try:
            out = subprocess.run([self.binary, "version"], capture_output=True, text=True, timeout=5)
            return (out.stdout.split("\n")[0] or "?").strip()
        except (OSError, subprocess.TimeoutExpired):
            return "?"


class ReferenceKafka(Broker):
    kind = "kafka"

    def __init__(self, settings=()):
        super().__init__()
        self.settings = list(settings)
        self.started = False
        self.begin()

    def begin(self):
        self.ports = [claim_port()]
        self.address = f"127.0.0.1:{self.ports[0]}"
        self.home = tempfile.mkdtemp(prefix="kafka-test-")
        self.log = os.path.join(self.home, "kafka.log")

    def configure(self, settings):
        self.settings += settings

    def launch(self):
        command = [sys.executable, REFERENCE, "start", "--dir", self.home, "--daemon",
                   "--kafka", self.address]
        for s in self.settings:
            command += ["--set", s]
        return subprocess.run(command, capture_output=True, text=True)

    def start(self):
        """It is not what is tested: the first time it may fail to come up once, on a busy machine or where a port is taken."""
        done = self.launch()
        if done.returncode not in (0, 3) and not self.started:
            print(f"     Apache Kafka did not start and is tried once more: {done.stderr.strip()[-500:]}\n{self.log_tail(5)}", flush=True)
            self.close()
            self.begin()
            done = self.launch()
        if done.returncode == 3:
            raise Unreachable("Apache Kafka from Maven Central: " + done.stderr.strip()[-200:])
        assert done.returncode == 0, done.stderr
        with open(os.path.join(self.home, "ready.json")) as f:
            self.address = json.load(f)["kafka"]
        self.started = True
        return self

    def stop(self, *flags):
        subprocess.run([sys.executable, REFERENCE, "stop", "--dir", self.home, *flags], check=True)
        return 0

    def kill(self):
        self.stop("--kill")
        return -9

    def restart(self, how="term"):
        self.kill() if how == "kill" else self.stop()
        self.start()

    def close(self, keep=False):
        self.kill()
        self.release_ports()
        if not keep:
            shutil.rmtree(self.home, ignore_errors=True)

    def version(self):
        return subprocess.run([sys.executable, REFERENCE, "version"], capture_output=True, text=True).stdout.strip()


def find_binary(given=None):
    for path in [given, os.environ.get("MILLRACE_BINARY"), os.path.join(ROOT, "build/release/millrace"),
                 os.path.join(ROOT, "build/dev/millrace")]:
        if path and os.access(path, os.X_OK):
            return os.path.abspath(path)
    raise SystemExit("no millrace binary: build it (./run does) or name it with --binary")


# ---- suites -------------------------------------------------------------------------------------------------------

class Context:
    """What a scenario gets: the suite's broker, fresh topic names, the options of the run."""
    _count = 0

    def __init__(self, broker, options):
        self.broker = broker
        self.options = options

    def name(self, stem="t"):
        Context._count += 1
        return f"{stem}-{os.getpid()}-{Context._count}"

    def topic(self, partitions=1, configs=None, stem="t"):
        name = self.name(stem)
        with self.broker.connect() as c:
            c.create_topic(name, partitions, configs)
        return name

    def only(self, kind, why=""):
        if self.broker.kind != kind:
            raise Skip(why or f"only for {kind}")


class Suite:
    """Scenarios in order of definition. `settings`: "name=value" of the broker, whichever it is."""

    def __init__(self, name, client, *, version=lambda: "", prepare=lambda options: None):
        self.name, self.client = name, client
        self.version, self.prepare = version, prepare
        self.scenarios = []
        self.settings = []
        self.child = None

    def scenario(self, name, only=None):
        def keep(function):
            self.scenarios.append((name, function, only))
            return function
        return keep

    def run(self, broker, options, report):
        self.prepare(options)
        if self.child:
            run_child(self, broker, options, report)
        for name, function, only in self.scenarios:
            if only and broker.kind != only:
                continue
            if options.filter and not re.search(options.filter, name):
                continue
            started = time.monotonic()
            try:
                function(Context(broker, options))
                status, detail = "passed", ""
            except Skip as e:
                status, detail = "skipped", str(e)
            except Unreachable:
                raise
            except (Exception, SystemExit) as e:
                status, detail = "failed", f"{type(e).__name__}: {e}"
                ours = [f for f in traceback.extract_tb(e.__traceback__)
                        if f.filename.startswith(ROOT) and not f.filename.endswith("harness.py")]
                shown = ours if options.verbose else ours[:1] + ours[1:][-2:]
                detail += "".join(f"\n     {os.path.basename(f.filename)}:{f.lineno} {f.line}" for f in shown)
            report(name, status, time.monotonic() - started, detail)


def run_child(suite, broker, options, report):
    """Runs a suite of another language. Its silence for `limit` seconds is a failure, and ends it."""
    command = suite.child(options) + ["--broker", broker.address]
    if options.filter:
        command += ["--filter", options.filter]
    log = tempfile.TemporaryFile("w+")
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, bufsize=1,
                             env={**os.environ, "TZ": "UTC"})
    limit = 180
    timer = None
    last = time.monotonic()
    seen = 0
    try:
        while True:
            timer = threading.Timer(limit, child.kill)
            timer.start()
            line = child.stdout.readline()
            timer.cancel()
            if not line:
                break
            try:
                message = json.loads(line)
            except ValueError:
                print("   ", line.rstrip(), file=sys.stderr)
                continue
            if "request" in message:
                try:
                    answer = serve_request(broker, message)
                except Exception as e:
                    answer = {"error": f"{type(e).__name__}: {e}"}
                child.stdin.write(json.dumps(answer) + "\n")
                child.stdin.flush()
            else:
                seen += 1
                now = time.monotonic()
                report(message["scenario"], message["status"], now - last, message.get("detail", ""))
                last = now
        code = child.wait(30)
        if code != 0 or (seen == 0 and not options.filter):
            log.seek(0)
            report("the suite's process", "failed", 0, f"exit code {code} after {seen} scenarios\n{log.read()[-2000:]}")
    finally:
        if timer:
            timer.cancel()
        if child.poll() is None:
            child.kill()
            child.wait()
        log.close()


def serve_request(broker, message):
    if message["request"] == "restart":
        broker.restart(message.get("how", "term"))
        return {"kafka": broker.address}
    if message["request"] == "batches":
        with broker.connect() as c:
            found = c.all_batches(message["topic"], message.get("partition", 0))
        # Flat text beside the list, for languages without a JSON reader at hand.
        return {"codecs": ",".join(sorted({b["codec"] for b in found})),
                "producer_ids": ",".join(str(n) for n in sorted({b["producer_id"] for b in found})),
                "batches": [{k: v for k, v in b.items() if k != "raw"} for b in found]}
    raise ValueError(f"no such request: {message['request']}")


# ---- running ------------------------------------------------------------------------------------------------------

class Tally:
    """Prints each scenario as it ends and keeps it for the results file."""

    def __init__(self):
        self.suites = []
        self.counts = {"passed": 0, "failed": 0, "skipped": 0}

    def open(self, suite, broker):
        self.suites.append({"suite": suite.name, "client": suite.client, "client_version": "", "broker": broker.kind,
                            "scenarios": []})
        return self.suites[-1]

    def reporter(self, entry, broker):
        def report(name, status, seconds, detail=""):
            entry["scenarios"].append({"name": name, "status": status, "seconds": round(seconds, 3), "detail": detail})
            self.counts[status] += 1
            word = {"passed": "ok  ", "failed": "FAIL", "skipped": "skip"}[status]
            print(f"{word} {entry['suite']}/{name} ({seconds:.2f} s){': ' + detail if detail else ''}", flush=True)
            if status == "failed" and broker.kind == "millrace":
                tail = broker.log_tail(6)
                print("".join(f"     | {line[:200]}\n" for line in tail.splitlines()), end="", flush=True)
        return report

    def line(self):
        c = self.counts
        return f"{c['passed']} passed, {c['failed']} failed" + (f", {c['skipped']} skipped" if c["skipped"] else "")


def run_suites(suites, make_broker, options):
    tally = Tally()
    for suite in suites:
        broker = make_broker()
        broker.configure(suite.settings)
        entry = tally.open(suite, broker)
        report = tally.reporter(entry, broker)
        started = time.monotonic()
        failed_before = tally.counts["failed"]
        try:
            broker.start()
            suite.run(broker, options, report)
            entry["client_version"] = suite.version() or broker.version()
            if options.end_well and broker.kind == "millrace":
                began = time.monotonic()
                broker.end_well()
                report("ends-well", "passed", time.monotonic() - began)
        except Skip as e:
            report(suite.name, "skipped", 0, f"not run: {e}")
        except Unreachable as e:
            report(suite.name, "failed" if in_ci() else "skipped", 0, f"not run: {e}")
        except Exception as e:
            report(suite.name, "failed", 0, f"the suite could not run: {type(e).__name__}: {e}")
            if options.verbose:
                traceback.print_exc()
        finally:
            failed = tally.counts["failed"] > failed_before
            broker.close(keep=failed and options.keep) if broker.kind != "external" else None
            if failed and options.keep:
                print(f"     kept: {broker.home}")
        entry["broker_version"] = broker.version() if broker.kind != "external" else ""
        print(f"-- {suite.name} against {broker.kind}: {time.monotonic() - started:.1f} s", flush=True)
    return tally


def write_results(path, tally, apis=None):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".new", "w") as f:
        json.dump({"suites": tally.suites, "apis": apis or {}}, f, indent=1)
        f.write("\n")
    os.rename(path + ".new", path)


def install_debian(*packages):
    """Those that are missing; waits for whoever else installs some, and fetches the lists anew where they are too old."""
    done = subprocess.run([os.path.join(ROOT, "tools/install-packages"), "-"], input="\n".join(packages), capture_output=True, text=True)
    if done.returncode != 0:
        raise Unreachable(f"Debian packages {' '.join(packages)}: {done.stderr.strip()[-200:]}")


def terminate(process):
    """Ends a helper process of a scenario, whatever state it is in."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
