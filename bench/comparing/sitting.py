"""One sitting: brokers started when a work first wants them, works measured one after the other."""
import os
import shutil
import statistics
import time

from comparing import rivals, slices
from comparing.brokers import Bare, Kafka, Millrace
from comparing.machine import Failed, priority_refused, probe, say
from comparing.ratios import moved
from comparing.works import BARE, BY_NAME, CACHED, KAFKA, NEVER, TWIN

AHEAD_SHAPE = "; broker and load at nice -20"


class Sitting:
    def __init__(self, base, programs, args):
        self.base, self.programs, self.args = base, programs, args
        self.brokers, self.gone = {}, []
        self.capacities = {}  # by load
        self.notes = {}  # what became known about a work's shape
        shutil.rmtree(base, ignore_errors=True)
        os.makedirs(base)

    def broker(self, name, means):
        """The running broker of that name, started and warmed if need be."""
        key = (name, means) if name not in ("millrace", TWIN, KAFKA, BARE) else name
        if key in self.brokers and self.brokers[key].process.poll() is not None:
            say(f"{name} has ended by itself; see {self.brokers[key].directory}.log")
            self.gone.append(self.brokers.pop(key))
        if key not in self.brokers:
            broker = self.make(name, means, f"{self.base}/b{len(self.brokers) + len(self.gone)}").start()
            self.brokers[key] = broker
            time.sleep(self.args.settle)
            broker.first_ready_ms, broker.first_rss_mb = broker.ready_ms, broker.rss_mb()
            self.warm(broker)
        return self.brokers[key]

    def make(self, name, means, directory):
        kinds = {"millrace": Millrace, TWIN: Millrace, BARE: Bare, KAFKA: Kafka}
        if name in kinds:
            broker = kinds[name](name, directory, self.programs)
            if isinstance(broker, Millrace):
                broker.settings += tuple(self.args.set)
            return broker
        return rivals.rival_for(name, means)(name, directory, self.programs, self.args.rivals_dir)

    def warm(self, broker):
        """The JVM compiles what the slices will use; Millrace gets the same load for a tenth of the time."""
        if not isinstance(broker, (Kafka, Millrace)) or isinstance(broker, Bare):
            return
        until = time.monotonic() + self.args.warm * (1 if isinstance(broker, Kafka) else 0.1)
        if isinstance(broker, Kafka) and self.args.warm >= 1:
            say(f"warming {broker.name} for {self.args.warm:g} s")
        while time.monotonic() < until:
            for configs in ({}, {"flush.messages": "1"}, {"flush.messages": NEVER}):
                slices.produce(broker, BY_NAME["produce-1k-unsynced"], configs, 0.5, False)
            slices.fetch(broker, BY_NAME["fetch-1k-hot"], {}, 0.5, False)

    def pair_of(self, work, rival):
        """Both brokers with their topic settings."""
        if work.kind in slices.ALONE:
            made = [self.make(name, CACHED, f"{self.base}/alone-{name}") for name in ("millrace", rival)]
            return [(b, {}) for b in made]
        mine, _ = work.own_side()
        theirs, means = work.side(rival)
        return [(self.broker("millrace", work.ours), mine), (self.broker(rival, means), theirs)]

    def measure(self, work, rival):
        """[(our figures, theirs, whether the host changed phase)] of one work against one rival."""
        sides = self.pair_of(work, rival)
        seconds = self.seconds(work)
        if work.kind in slices.ALONE:
            return [self.alone(work, sides, seconds)]
        if work.kind in slices.ONCE:
            return [(*(slices.KINDS[work.kind](b, work) for b, _ in sides), False)]
        if work.kind in slices.CAPACITIES:
            return self.latencies(work, sides, seconds)
        run = slices.KINDS[work.kind]
        return self.pairs(work, rival, sides, lambda b, c, opposite: run(b, work, c, seconds, opposite and rival == TWIN))

    def seconds(self, work):
        return self.args.slice if not work.seconds else max(self.args.slice, work.seconds * self.args.scale)

    def count(self, work):
        return max(1, round(self.args.pairs * work.pairs))

    def pairs(self, work, rival, sides, run):
        """Slices A B B A ..., after one of each that does not count."""
        if work.seconds < 5 and "client" not in work.more:  # a client warms up by itself, or is measured with its start
            for (broker, configs), opposite in zip(sides, (False, True)):
                for _ in range(self.args.warm_slices if broker.name == KAFKA else 1):
                    run(broker, configs, opposite)
        out = []
        for i in range(self.count(work)):
            found, probes = [None, None], []
            for at in ((0, 1) if i % 2 == 0 else (1, 0)):
                probes.append(probe())
                found[at] = run(*sides[at], at == 1)
            out.append((*found, moved(probes)))
        return out

    def alone(self, work, sides, seconds):
        found = []
        for broker, _ in sides:
            broker.start()
            try:
                found.append(slices.KINDS[work.kind](broker, work, {}, seconds))
            finally:
                broker.stop()
                shutil.rmtree(broker.directory, ignore_errors=True)
        return (*found, False)

    def latencies(self, work, sides, seconds):
        refused = priority_refused()
        if refused:
            say(f"{work.name}: no higher priority: {refused}")
        try:
            for broker, _ in sides:
                broker.set_ahead(not refused)
            rate, note = work.more.get("rate"), ""
            if rate is None:
                slower = self.slower(work, sides)
                rate = max(1, round(slower * work.more["share"]))
                note = f": {rate:,} of {round(slower):,} messages/s"
            self.notes[work.name] = note + (f"; no higher priority: {refused}" if refused else AHEAD_SHAPE)
            return self.pairs(work, KAFKA, sides, lambda b, c, _: slices.KINDS[work.kind](b, work, c, seconds, rate))
        finally:
            for broker, _ in sides:
                broker.set_ahead(False)

    def slower(self, work, sides):
        """Messages a second that the slower of both takes in a closed window."""
        load = work.more.get("client")
        if load not in self.capacities:
            medians = []
            for broker, configs in sides:
                runs = [slices.CAPACITIES[work.kind](broker, work, configs, self.args.slice * 2) for _ in range(2 if load else 4)]
                medians.append(statistics.median(runs[1:]))
            self.capacities[load] = min(medians)
        return self.capacities[load]

    def stop(self):
        for broker in self.brokers.values():
            broker.stop()
        if not self.args.keep:
            shutil.rmtree(self.base, ignore_errors=True)


def measure_all(sitting, chosen, found, left_out, note):
    """Measures the chosen works into `found`: {(work, rival): pairs}. A work that fails is left out with the reason."""
    for work, rival in chosen:
        note(work, rival)
        try:
            found.setdefault((work.name, rival), []).extend(sitting.measure(work, rival))
        except Failed as why:
            say(f"{work.name} against {rival} left out: {why}")
            left_out.append({"work": work.name, "rival": rival, "why": str(why)[:500]})
