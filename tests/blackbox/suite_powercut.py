"""The real binary on a file system that forgets what was not synced: power cuts under load, round after round.

Each round ends in one of four ways: kill -9 at any time; all stands still at an exact file operation, then kill -9; the same
in the middle of the recovery that follows; an orderly stop. In each, the file system then loses everything that was not
synced, or a random part of it torn at 512 bytes. Producers live on through all of it.

  tests/blackbox/run.py powercut --rounds 1000 --seed 1       the long run, by hand
"""
import contextlib
import os
import random
import signal
import time

from crashfs import CrashFs
from harness import Context, Millrace, Suite, wait_until
from load import Churn, Idempotent, Writer, check, check_idempotent

SUITE = Suite("powercut", "raw frames")
ROUNDS = 50
TOPIC_LIFE = 5  # rounds, after which the next topic is written; so the directory stays small
STRONG, PLAIN, ONE = 3, 3, 4  # partitions 0-2 have idempotent producers, 3 a plain one with acks=all, 4 one with acks=1
OVERLAP = 300  # records before the last round's end that are read again each round; all of them once a topic ends


class PowerCutBroker(Millrace):
    """A broker whose data lie on a CrashFs."""

    def __init__(self, binary, fs, args=()):
        super().__init__(binary, directory=fs.home, args=args)
        self.fs = fs
        self.data = os.path.join(fs.mountpoint, "data")

    def cut(self, seed):
        """The death must not be waited for first: a broker that waits for a frozen disk dies only with the mount."""
        self.process.send_signal(signal.SIGKILL)
        lost = self.fs.crash(seed)
        self._wait(20)
        self.fs.mount()
        return lost

    def cut_while_starting(self, changes, seed):
        """Starts and cuts after so many changes; a start that needs fewer is cut once it is ready. Only the log may be asked
        whether it is: a look at the mount would wait for ever once that stands still."""
        self.forget_ready()
        said = os.path.getsize(self.log)
        self.fs.freeze_after(changes)
        self.launch()
        frozen = False

        def is_ready():
            with open(self.log, "rb") as log:
                log.seek(said)
                return b" app: ready " in log.read()

        def is_over():
            nonlocal frozen
            frozen = frozen or self.fs.wait_frozen(0.01)
            return frozen or self.process.poll() is not None or is_ready()
        wait_until(is_over, 30, "frozen or ready")
        assert self.process.poll() is None, f"millrace ended before it was ready:\n{self.log_tail()}"
        return self.cut(seed)


class Stage:
    """What is written for some rounds: a topic whose acks mean synced, one whose acks do not, and who writes to them."""

    def __init__(self, ctx, seed):
        small = {"segment.bytes": str(1 << 20)}
        self.ctx = ctx
        self.topic = ctx.topic(5, small)
        self.weak = ctx.topic(1, {**small, "flush.messages": "1000000"})
        self.producers = [Idempotent(lambda: ctx.broker.address, self.topic, p, seed + p) for p in range(STRONG)]
        self.verified = [0] * STRONG
        self.acked = {}
        self.next = {PLAIN: 0, ONE: 0, "weak": 0}
        self.writers = []
        for p in self.producers:
            p.start()

    def write(self, seed):
        address = self.ctx.broker.address
        self.writers = [Writer(address, self.topic, PLAIN, self.next[PLAIN], seed),
                        Writer(address, self.topic, ONE, self.next[ONE], seed + 1, acks=1),
                        Writer(address, self.weak, 0, self.next["weak"], seed + 2)]
        for w in self.writers:
            w.start()

    def join(self):
        for w in self.writers:
            w.join(30)
            assert w.error is None and not w.is_alive(), w.error or "a writer hangs"
        self.acked.update(self.writers[0].acked)

    def check(self, whole=False):
        with self.ctx.broker.connect() as c:
            c.wait_for_topic(self.topic, 5)
            c.wait_for_topic(self.weak, 1)
            for p in self.producers:
                if p.error:
                    raise p.error
                start = 0 if whole else max(0, self.verified[p.partition] - OVERLAP)
                end = check_idempotent(c, self.topic, p.partition, p.acked_end, start)
                self.verified[p.partition] = max(self.verified[p.partition], end)
            _, self.next[PLAIN] = check(c, self.topic, PLAIN, self.acked)
            _, self.next[ONE] = check(c, self.topic, ONE, {})
            _, self.next["weak"] = check(c, self.weak, 0, {})

    def finish(self):
        """Everything in flight gets through, is there, once; then the topics are deleted. Returns the records acknowledged."""
        for p in self.producers:
            p.end()
        self.check(whole=True)
        with self.ctx.broker.connect() as c:
            answer = c.call("DeleteTopics", 3, {"TopicNames": [self.topic, self.weak], "TimeoutMs": 10000})
            assert [r["ErrorCode"] for r in answer["Responses"]] == [0, 0], answer
        return sum(p.acked_end for p in self.producers) + len(self.acked)


class Tally:
    def __init__(self):
        self.lost = {}
        self.ends = {}
        self.records = 0

    def add(self, end, lost):
        self.ends[end] = self.ends.get(end, 0) + 1
        for name, n in lost.items():
            self.lost[name] = self.lost.get(name, 0) + n

    def __str__(self):
        return f"{self.records} records acknowledged; ends: {self.ends}; {self.lost}"


def end_round(broker, chance, tally):
    """Ends the life of the broker and of the machine under it; leaves a fresh mount."""
    seed = chance.randrange(1 << 32) if chance.random() < 0.65 else None
    if chance.random() < 0.1:
        code = broker.stop()
        assert code == 0, f"SIGTERM: exit code {code}\n{broker.log_tail()}"
        tally.add("stop", broker.fs.crash(seed))
        broker.fs.mount()
        return
    if chance.random() < 0.5:
        broker.fs.freeze_after(chance.randrange(1, 200))
        broker.fs.wait_frozen(2)
        tally.add("frozen", broker.cut(seed))
    else:
        tally.add("kill", broker.cut(seed))
    while chance.random() < 0.25:
        tally.add("frozen while starting", broker.cut_while_starting(chance.randrange(1, 40), seed))


def rounds(ctx, count, seed):
    chance = random.Random(seed)
    stage, tally = None, Tally()
    for round in range(count):
        if stage is None:
            stage = Stage(ctx, round * 100)
        churn = Churn(ctx)
        churn.start()
        stage.write(round * 1000 + seed)
        time.sleep(chance.uniform(0.1, 0.5))  # the load itself; when the cut comes must not matter
        end_round(ctx.broker, chance, tally)
        churn.stopped.set()
        churn.join(30)
        stage.join()
        ctx.broker.start()
        try:
            stage.check()
            with ctx.broker.connect() as c:
                churn.check(c)
        except Exception as e:
            raise AssertionError(f"round {round} of seed {seed}: {e}") from e
        with ctx.broker.connect() as c:
            c.call("DeleteTopics", 3, {"TopicNames": sorted(churn.created), "TimeoutMs": 10000})
        if round % TOPIC_LIFE == TOPIC_LIFE - 1 or round == count - 1:
            tally.records += stage.finish()
            stage = None
            if count > ROUNDS:
                print(f"     {round + 1} rounds: {tally}", flush=True)
    return tally


@contextlib.contextmanager
def power_cut_broker(ctx):
    fs = CrashFs()
    broker = PowerCutBroker(ctx.options.binary, fs.mount())
    try:
        yield Context(broker.start(), ctx.options)
    except BaseException:
        print("".join(f"     | {line}\n" for line in broker.log_tail(40).splitlines()))
        raise
    finally:
        broker.close()
        fs.close()


@SUITE.scenario("a-broker-that-does-not-sync-is-caught", only="millrace")
def caught(ctx):
    """The checks see a lost ack: the same load on a topic that asks for no sync fails them after one cut."""
    with power_cut_broker(ctx) as on:
        topic = on.topic(1, {"flush.messages": "1000000"})
        producer = Idempotent(lambda: on.broker.address, topic, 0, 1)
        producer.start()
        wait_until(lambda: producer.acked_end > 100, 20, "acknowledged records")
        producer.ending.set()
        producer.join(20)
        on.broker.cut(None)
        on.broker.start()
        with on.broker.connect() as c:
            c.wait_for_topic(topic)
            try:
                check_idempotent(c, topic, 0, producer.acked_end)
            except AssertionError as e:
                assert "were acknowledged" in str(e), e
                return
        raise AssertionError("records that were never synced survived, or nobody missed them")


@SUITE.scenario("power-cuts-under-load", only="millrace")
def power_cuts(ctx):
    count = ctx.options.rounds or ROUNDS
    seed = ctx.options.seed
    with power_cut_broker(ctx) as on:
        tally = rounds(on, count, seed)
    print(f"     {count} rounds of seed {seed}: {tally}", flush=True)
    if count >= ROUNDS:
        assert all(tally.ends.get(e) for e in ("stop", "frozen", "kill", "frozen while starting")), tally
        assert all(n > 0 for n in tally.lost.values()), f"nothing was at stake: {tally}"
