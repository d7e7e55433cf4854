"""kill -9 under load: what was acknowledged to acks=all is there, exactly at its offset, round after round."""
import random
import time

from harness import Suite, wait_until
from load import Churn, Writer, check

SUITE = Suite("crash", "raw frames")
ROUNDS = 5


def rounds(ctx, partitions, seconds):
    topic = ctx.topic(partitions)
    acked = [{} for _ in range(partitions)]
    next_number = [0] * partitions
    total = 0
    chance = random.Random(7)
    for round in range(ROUNDS):
        writers = [Writer(ctx.broker.address, topic, p, next_number[p], round * 100 + p) for p in range(partitions)]
        for w in writers:
            w.start()
        if ctx.broker.kind == "millrace":  # the least that is asked of it below; a slow disk takes its time
            wait_until(lambda: sum(len(w.acked) for w in writers) > 100 or any(not w.is_alive() for w in writers), 30, "records that are acknowledged")
        time.sleep(seconds * (0.5 + chance.random()))  # the load itself; when the kill comes must not matter
        ctx.broker.restart("kill")
        for w in writers:
            w.join(30)
            assert w.error is None, w.error
            acked[w.partition].update(w.acked)
        with ctx.broker.connect() as c:
            c.wait_for_topic(topic, partitions)
            for p in range(partitions):
                _, next_number[p] = check(c, topic, p, acked[p])
        total = sum(len(a) for a in acked)
        assert total > 100 * (round + 1) or ctx.broker.kind != "millrace", f"only {total} records were acknowledged"
    return total


@SUITE.scenario("five-kills-one-partition")
def one_partition(ctx):
    rounds(ctx, 1, 0.6)


@SUITE.scenario("five-kills-eight-partitions")
def eight_partitions(ctx):
    rounds(ctx, 8, 0.8)


@SUITE.scenario("five-kills-while-topics-come-and-go")
def topics(ctx):
    """Topics whose creation was confirmed are there after the kill, those whose deletion was confirmed are not."""
    for round in range(ROUNDS):
        churn = Churn(ctx)
        churn.start()
        wait_until(lambda: churn.created or not churn.is_alive(), 30, "a topic")
        time.sleep(0.5)
        ctx.broker.restart("kill")
        churn.stopped.set()
        churn.join(30)
        assert churn.created, "nothing was created"
        with ctx.broker.connect() as c:
            churn.check(c, f"round {round}")
