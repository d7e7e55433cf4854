"""Many consumer groups at once, with real clients, whose members come and go.

  tests/blackbox/run.py churn                      100 groups, a few rounds
  tests/blackbox/run.py churn --seconds 3600       by hand: an hour; prints the broker's memory every hundred rounds

What the memory allocator has taken and not given back counts too, and grows for a while: `gdb -p PID -batch -ex 'print
(int)malloc_trim(0)'` before a look shows what is in use.

A third of the groups are franz-go's, a third confluent-kafka-python's (librdkafka), and a third its again by KIP-848. In a
round ten groups get records, and one member of each leaves while another joins. In the end every group has read every record in
order, and no partition had two owners.
"""
import random
import time

from harness import Suite
from matrix import Play, Stage
from matrix_clients import CLIENTS

GROUPS, PARTITIONS, TOUCHED = 100, 3, 10
STAGES = [Stage(CLIENTS["franz"]), Stage(CLIENTS["confluent"]), Stage(CLIENTS["confluent848"])]


def prepare(options):
    for stage in STAGES:
        stage.client.prepare(options)


SUITE = Suite("churn", "franz-go, confluent-kafka-python with both protocols", prepare=prepare)


class Members:
    """The two members of one group; names are unique over all groups, since they share their drivers."""

    def __init__(self, ctx, number):
        self.play = Play(ctx, STAGES[number % len(STAGES)], PARTITIONS, stem="churn")
        self.number, self.count, self.names = number, 0, []

    def grow(self):
        self.count += 1
        self.names.append(f"g{self.number}-{self.count}")
        self.play.join(self.names[-1])

    def replace(self):
        self.play.leave(self.names.pop(0))
        self.grow()

    def settle(self):
        self.play.until_shared_by(*self.names, seconds=60)
        self.play.until_read(60)


def memory(pid):
    """What the broker has taken for itself, and that with its mapped files (the binary)."""
    with open(f"/proc/{pid}/status") as f:
        kib = {line.split(":")[0]: int(line.split()[1]) for line in f if line.startswith(("VmRSS", "RssAnon"))}
    return f"{kib['RssAnon']} KiB, resident {kib['VmRSS']} KiB"


@SUITE.scenario("hundred-groups", only="millrace")
def hundred_groups(ctx):
    rounds, seconds = ctx.options.rounds or 6, ctx.options.seconds or 0
    chance = random.Random(ctx.options.seed)
    groups = [Members(ctx, n) for n in range(GROUPS)]
    started, pid = time.monotonic(), ctx.broker.process.pid
    try:
        for _ in range(2):
            for group in groups:
                group.grow()
        for group in groups:
            group.play.send(n=2)
        for group in groups:
            group.settle()
        number = 0
        while number < rounds or time.monotonic() - started < seconds:
            number += 1
            touched = chance.sample(groups, TOUCHED)
            for group in touched:
                group.play.send(n=1)
                group.replace()
            for group in touched:
                group.settle()
            if number % 100 == 1 or number == rounds:
                print(f"     {time.monotonic() - started:.0f} s, round {number}: broker {memory(pid)}", flush=True)
        for group in groups:
            for name in group.names:
                group.play.leave(name)
            group.play.history.judge()
    finally:
        for stage in STAGES:
            stage.drop()
