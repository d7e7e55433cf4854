"""Generated conversations with two brokers at once, answer by answer: what suite_groupdiff and suite_admindiff share."""
import concurrent.futures
import contextlib
import random
import subprocess
import sys

import rawkafka as rk
from harness import REFERENCE, ReferenceKafka, Suite, Unreachable, wait_until
from suite_groups import LOADING, NOT_AVAILABLE, NOT_COORDINATOR


def prepare(options):
    done = subprocess.run([sys.executable, REFERENCE, "fetch"], capture_output=True, text=True)
    if done.returncode != 0:
        raise Unreachable("Apache Kafka from Maven Central: " + done.stderr.strip()[-200:])


def suite(name):
    return Suite(name, "Apache Kafka", prepare=prepare, version=lambda: subprocess.run(
        [sys.executable, REFERENCE, "version"], capture_output=True, text=True).stdout.strip())


@contextlib.contextmanager
def reference(settings=()):
    kafka = ReferenceKafka(settings)
    try:
        kafka.start()
        yield kafka
    finally:
        kafka.close()


class Mask:
    """Takes out of the answers of one broker what may differ. What it made itself (`made`: field -> letter and test) is
    written as M1, M2... in order of appearance, so that one that is repeated where another should stand is seen. `written`:
    field -> what stands there instead of its value."""

    def __init__(self, left_out, made, written=None):
        self.left_out, self.made, self.written, self.names = left_out, made, written or {}, {}

    def name(self, value, field, add=True):
        letter, is_made = self.made[field]
        if not value or not is_made(value):
            return value
        if not add:
            return self.names.get(value, "?")
        return self.names.setdefault(value, f"{letter}{len(self.names) + 1}")

    def of(self, value, field=None, add=True):
        if field in self.written:
            return self.written[field](value)
        if isinstance(value, dict):
            return {k: self.of(v, k, add) for k, v in value.items() if k not in self.left_out}
        if isinstance(value, list):
            # New names are given in an order that does not depend on that of the list.
            in_order = sorted(value, key=lambda v: repr(self.of(v, None, False)))
            return sorted((self.of(v, None, add) for v in in_order), key=repr)
        return self.name(value, field, add) if field in self.made else value


class Talk:
    """One conversation with both sides, drawn by a seed."""

    def __init__(self, seed, sides):
        self.random, self.sides, self.said = random.Random(seed), sides, []

    def version(self, api, low=0):
        first, last = rk.api_range(api)
        return self.random.choice([last, last, self.random.randint(max(first, low), last)])

    def kind(self, weights):
        return self.random.choices(list(weights), list(weights.values()))[0]

    def told(self, ours, theirs, lines=12):
        """The last sentences, and what only one side has answered to the last of them."""
        only = [f"   first  {a}" for a in ours if a not in theirs] + [f"   second {a}" for a in theirs if a not in ours]
        return "\n".join([*self.said[-lines:], *only[:30]])


def converse(one, seeds, at_a_time):
    """Holds a conversation per seed, some at a time: `one(seed)` gives the talk and what differed, or None. The count of
    sentences; fails with the first difference."""
    def held(seed):
        talk, difference = one(seed)
        assert difference is None, f"seed {seed}: answers differ\n{difference}"
        return len(talk.said)
    with concurrent.futures.ThreadPoolExecutor(at_a_time) as pool:
        return sum(pool.map(held, seeds))


def coordinated(address, group):
    """Waits until `group` has a coordinator there."""
    def asked():
        with rk.Connection(address) as c:
            if c.call("FindCoordinator", 1, {"Key": group, "KeyType": 0})["ErrorCode"] != 0:
                return False
            code = c.call("OffsetFetch", 5, {"GroupId": group, "Topics": []})["ErrorCode"]
            return code not in (LOADING, NOT_AVAILABLE, NOT_COORDINATOR)
    wait_until(asked, 60, "a coordinator at " + address)
