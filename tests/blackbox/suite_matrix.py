"""The client matrix: the same scenarios for every client library, each told to a driver of its own (tests/clients/README.md).

  tests/blackbox/run.py [--broker kafka] matrix-confluent matrix-java ...

What is checked of all: every record sent is read, in order, nothing dropped, doubled, flipped or invented; records come again
only after a crash or restart, and then from the last commit; no partition has two owners at once, nor in one generation.
"""
import threading

import rawkafka as rk
from harness import Suite, wait_until
from matrix import Play, Stage, Violation
from matrix_clients import CLIENTS

SCENARIOS = []


def scenario(name, *needs):
    """`needs`: of matrix_clients.EVERYTHING, or what modern() adds; a client that lacks one has no such scenario."""
    def keep(function):
        SCENARIOS.append((name, function, set(needs)))
        return function
    return keep


class MatrixSuite(Suite):
    def __init__(self, client):
        super().__init__(f"matrix-{client.key}", client.label, version=lambda: self.stage.version, prepare=client.prepare)
        self.stage = Stage(client)
        self.settings = client.settings

    def run(self, broker, options, report):
        try:
            super().run(broker, options, report)
        finally:
            self.stage.drop()


# ---- topics, produce

@scenario("topics", "admin")
def topics(ctx, stage):
    driver = stage.main(ctx.broker.address)
    name = ctx.name("made")
    driver.call("create", topic=name, partitions=3)
    with ctx.broker.connect() as c:
        c.wait_for_topic(name, 3)
    assert name in driver.call("list"), "not listed"
    driver.call("delete", topic=name)
    wait_until(lambda: name not in driver.call("list"), 15, "the deleted topic is no longer listed")


@scenario("configs", "configs")
def configs(ctx, stage):
    """IncrementalAlterConfigs and DescribeConfigs: set, set another, unset, refused."""
    driver = stage.main(ctx.broker.address)
    name = ctx.topic(configs={"retention.ms": "60000"})
    for edits, after in (({"set": {"max.message.bytes": "4096", "cleanup.policy": "compact"}, "unset": []},
                          {"retention.ms": "60000", "max.message.bytes": "4096", "cleanup.policy": "compact"}),
                         ({"set": {"max.message.bytes": "8192"}, "unset": ["retention.ms", "cleanup.policy"]},
                          {"max.message.bytes": "8192"})):
        driver.call("alter", topic=name, **edits)
        wait_until(lambda after=after: driver.call("configs", topic=name) == after, 15, f"the topic sets {after}")
    try:
        driver.call("alter", topic=name, set={"retention.ms": "soon"}, unset=[])
        refused = ""
    except AssertionError as e:
        refused = str(e)
    assert "retention.ms" in refused or "INVALID_CONFIG" in refused, f"a bad value: {refused!r}"
    assert driver.call("configs", topic=name) == {"max.message.bytes": "8192"}, "after a refusal"


@scenario("topics-grow-and-trim", "partitions")
def grow_and_trim(ctx, stage):
    """The client's admin adds partitions and deletes records; what is left is read where it was."""
    driver = stage.main(ctx.broker.address)
    topic = ctx.topic(partitions=1)
    with ctx.broker.connect() as c:
        driver.call("grow", topic=topic, partitions=3)
        c.wait_for_topic(topic, 3)
        for p in range(3):
            for _ in range(4):
                assert c.produce(topic, rk.batch([b"x", b"y"]), partition=p)["ErrorCode"] == 0
        driver.call("trim", topic=topic, offsets={"0": 3, "2": 8})
        starts = [c.list_offset(topic, -2, p)["Offset"] for p in range(3)]
        assert starts == [3, 0, 8], starts
        for wrong in (lambda: driver.call("grow", topic=topic, partitions=2),
                      lambda: driver.call("trim", topic=topic, offsets={"1": 99})):
            try:
                wrong()
            except AssertionError:
                continue
            raise Violation("the client was not told of an error")


def produce(ctx, stage, codec):
    """With acks 0, 1 and all, and idempotent; read back by the same client, looked up as stored."""
    with Play(ctx, stage, 2) as play:
        for acks in (0, 1, -1):
            play.send(n=60, codec=codec, acks=acks, idempotent=False)
        if "idempotent" in stage.client.can:
            play.send(n=60, codec=codec, acks=-1, idempotent=True)
        if "assign" in stage.client.can:
            play.assign("reader", p0=0, p1=0)
        else:
            play.join("reader")
        play.until_read()
        play.history.judge(in_group="assign" not in stage.client.can)
        for p in (0, 1):
            with ctx.broker.connect() as c:
                stored = c.all_batches(play.topic, p)
            # A batch that would grow by compression goes out without.
            codecs = {b["codec"] for b in stored}
            assert codec in codecs <= {codec, "none"}, f"stored codecs {codecs}"
            ids = {b["producer_id"] for b in stored}
            assert max(ids) >= 0 or "idempotent" not in stage.client.can, "no producer id is stored"


for codec in rk.CODECS:
    scenario(f"produce-{codec}")(lambda ctx, stage, codec=codec: produce(ctx, stage, codec))
    SCENARIOS[-1][1].codec = codec


# ---- assigned consumption

@scenario("assigned", "assign")
def assigned(ctx, stage):
    """Partitions by hand, from the start, the middle and the end."""
    with Play(ctx, stage, 3) as play:
        play.send(n=50)
        play.assign("a", p0=0, p1=20, p2=50)
        h = play.history
        play.until(lambda: h.seen[0] == 50 and h.seen[1] == 50, "what was there")
        play.send(n=30)
        play.until_read()
        assert h.starts == {("a", 0): 0, ("a", 1): 20, ("a", 2): 50}, h.starts
        play.leave("a")
        h.judge(in_group=False)


def opened(play):
    """A member for a scenario about positions: assigned where the client can, else alone in a group."""
    if "assign" in play.client.can:
        play.assign("a", **{f"p{p}": 0 for p in range(play.history.partitions)})
    else:
        play.join("a", commit="manual")
    return "assign" not in play.client.can


@scenario("seek", "seek")
def seek(ctx, stage):
    with Play(ctx, stage, 2) as play:
        play.send(n=60)
        in_group = opened(play)
        play.until_read()
        h = play.history
        for offset in (10, 45, 0):
            since = len(h.events)
            play.tell("seek", "a", partition=0, offset=offset)
            play.until(lambda: any(e["p"] == 0 and e["o"][-1] == 59 for e in h.told("a", "records", since=since)),
                       f"partition 0 read again from {offset}")
        play.send(n=5)
        play.until_read()
        h.judge(in_group=in_group)


@scenario("pause-resume", "pause")
def pause(ctx, stage):
    """A paused partition is silent while the other goes on, and loses nothing."""
    with Play(ctx, stage, 2) as play:
        play.send(n=20)
        in_group = opened(play)
        play.until_read()
        h = play.history
        play.tell("pause", "a", partition=0)
        for _ in range(3):
            play.send(n=10)
            play.until(lambda: h.seen[1] == len(h.sent[1]), "the other partition goes on")
        assert h.seen[0] == 20, f"partition 0 was read up to {h.seen[0]} while paused"
        play.tell("resume", "a", partition=0)
        play.until_read()
        h.judge(in_group=in_group)


# ---- groups

@scenario("group-join-leave")
def join_leave(ctx, stage):
    """One member, two, one: on the way nothing is read twice, as each commits before it lets go."""
    with Play(ctx, stage) as play:
        play.send()
        play.join("a")
        play.until_read()
        play.join("b")
        play.until_shared_by("a", "b")
        play.send()
        play.until_read()
        play.leave("b")
        play.until_shared_by("a")
        play.send()
        play.until_read()
        play.leave("a")
        play.history.judge()


@scenario("group-kill")
def kill(ctx, stage):
    """kill -9: the others read on from exactly what the dead member committed."""
    with Play(ctx, stage) as play:
        by_hand = "manual" in stage.client.can
        victim = play.spawn()
        play.join("a", session=6000)
        play.join("v", session=6000, commit="manual" if by_hand else "auto", on=victim)
        play.until_shared_by("a", "v")
        play.send()
        play.until_read()
        lost = play.history.owned["v"].copy()
        last = 10 if by_hand else 25
        if by_hand:
            play.tell("commit", "v", offsets={p: last for p in lost})
        play.until(lambda: all(play.committed()[p] == last for p in lost), "what the victim commits")
        play.kill(victim)
        play.send()
        play.until_shared_by("a")
        play.until_read()
        began = {p: play.history.starts["a", p] for p in lost}
        play.leave("a")
        play.history.judge(again=True)
        assert set(began.values()) == {last}, f"read on from {began}, committed was {last}"


@scenario("static-restart", "static")
def static(ctx, stage):
    """A static member dies and comes back in time: it gets its partitions, the other member notices nothing."""
    with Play(ctx, stage) as play:
        first = play.spawn()
        play.join("a", session=30000, instance="i0")
        play.join("b", session=30000, instance="i1", on=first)
        play.until_shared_by("a", "b")
        play.send()
        play.until_read()
        h = play.history
        owned = h.owned["b"].copy()
        since = len(h.events)
        play.kill(first)
        play.join("b2", session=30000, instance="i1", on=play.spawn())
        play.until(lambda: h.owned["b2"] == owned, f"the returned member owns {owned}")
        play.send()
        play.until_read()
        noticed = h.told("a", "assigned", "revoked", "lost", since=since)
        assert not noticed, f"the other member saw a rebalance: {noticed}"
        h.judge(again=True)


@scenario("cooperative", "cooperative")
def cooperative(ctx, stage):
    """Cooperative-sticky: who keeps a partition keeps reading it while others join and leave."""
    with Play(ctx, stage) as play:
        h = play.history
        play.join("a", strategy="cooperative")
        play.until_shared_by("a")
        play.send()
        play.until_read()
        since = len(h.events)
        play.join("b", strategy="cooperative")
        play.until_shared_by("a", "b")
        play.send()
        play.until_read()
        kept = h.owned["a"].copy()
        play.leave("b")
        play.until_shared_by("a")
        play.send()
        play.until_read()
        given_up = [p for e in h.told("a", "revoked", "lost", since=since) for p in e["p"]]
        assert len(kept) == 2 and len(given_up) == 2 and not kept & set(given_up), f"kept {kept}, gave up {given_up}"
        play.leave("a")
        h.judge()


def roll(play, strategy="range", instances=(None, None)):
    """Two members are exchanged one by one for such of the new protocol, and those for two of the classic one again. One comes
    before another leaves, but for a static one, which comes into the place of who left."""
    classic = play.spawn({"GROUP_PROTOCOL": "classic"})

    def come(name):
        at = "abcdef".index(name)
        play.join(name, on=classic if name in "abef" else None, strategy=strategy, instance=instances[at % 2])

    def settle(*names):
        play.until_shared_by(*names)
        play.send()
        play.until_read()
    for name in "ab":
        come(name)
    settle("a", "b")
    for first, second, third in ("abc", "bcd", "cde", "def"):
        if instances[0]:
            play.leave(first)
            come(third)
        else:
            come(third)
            settle(first, second, third)
            play.leave(first)
        settle(second, third)
    play.leave("e")
    settle("f")


@scenario("group-rolls-eager", "rolls")
def rolls_eager(ctx, stage):
    """From the classic protocol to the new one and back: on the way nothing is lost, and nothing is read twice."""
    with Play(ctx, stage) as play:
        roll(play)
        play.history.judge()


@scenario("group-rolls-cooperative", "rolls-cooperative")
def rolls_cooperative(ctx, stage):
    with Play(ctx, stage) as play:
        roll(play, strategy="cooperative")
        play.history.judge()


@scenario("group-rolls-static", "rolls")
def rolls_static(ctx, stage):
    with Play(ctx, stage) as play:
        roll(play, instances=("i0", "i1"))
        play.history.judge()


# ---- commits

@scenario("manual-commit", "manual")
def manual(ctx, stage):
    """The next member begins where the last one committed, not where it had read."""
    with Play(ctx, stage, 2) as play:
        play.send(n=50)
        play.join("a", commit="manual")
        play.until_read()
        play.tell("commit", "a", offsets={0: 20, 1: 31})
        assert play.committed() == {0: 20, 1: 31}, play.committed()
        play.leave("a")
        assert play.committed() == {0: 20, 1: 31}, "leaving must not commit"
        play.join("b", commit="manual")
        play.until(lambda: play.history.starts.get(("b", 0)) is not None and play.history.starts.get(("b", 1)) is not None, "b reads")
        assert (play.history.starts["b", 0], play.history.starts["b", 1]) == (20, 31), play.history.starts
        play.until(lambda: sum(e["o"][-1] == 49 for e in play.history.told("b", "records")) == 2, "b reads to the end")
        play.history.judge(again=True)


@scenario("auto-commit", "auto")
def auto(ctx, stage):
    """In the background, without being asked, and what is committed is not read again."""
    with Play(ctx, stage, 2) as play:
        play.send(n=50)
        play.join("a", commit="auto")
        play.until_read()
        play.until(lambda: play.committed() == {0: 50, 1: 50}, "offsets committed in the background")
        play.leave("a")
        play.send(n=10)
        play.join("b", commit="auto")
        play.until_read()
        play.history.judge()


# ---- the broker's restarts

def restart(ctx, stage, how):
    """Members and producer live through it; offsets that were committed before are not read again."""
    with Play(ctx, stage) as play:
        play.join("a")
        play.join("b")
        play.until_shared_by("a", "b")
        play.send()
        play.until_read()
        failed = []

        def more():
            try:
                play.send(n=40)
            except Exception as e:
                failed.append(e)
        sender = threading.Thread(target=more)
        sender.start()
        ctx.broker.restart(how)
        sender.join()
        if failed:
            raise failed[0]
        play.send()
        play.until_read(60)
        play.until_shared_by("a", "b", seconds=60)
        play.history.judge(again=True)


scenario("group-restart-clean")(lambda ctx, stage: restart(ctx, stage, "term"))
scenario("group-restart-kill")(lambda ctx, stage: restart(ctx, stage, "kill"))


def suite_of(client):
    suite = MatrixSuite(client)
    for name, function, needs in SCENARIOS:
        if needs <= client.can and getattr(function, "codec", "none") in client.codecs:
            suite.scenario(name)(lambda ctx, function=function: function(ctx, suite.stage))
    return suite


SUITES = {f"matrix-{key}": suite_of(client) for key, client in CLIENTS.items()}
