"""How far a run is and how long it will still take."""
import sys
import time

from comparing.works import KAFKA

# Seconds that a slice takes beside what is measured, by kind; of kinds without slices the whole work.
BESIDE = {"produce": 0.5, "fetch": 0.2, "mixed": 0.7, "latency": 0.8, "java-produce": 6, "java-consume": 6,
          "librdkafka-produce": 1.5, "librdkafka-consume": 1.5, "client": 9, "client-latency": 14}
WHOLE = {"start": 0, "idle": 0, "binary": 0.5, "open": 150, "many": 60}


class Progress:
    def __init__(self, args, chosen):
        self.args, self.chosen = args, chosen
        self.total = len(chosen) * args.sittings
        self.done = 0
        self.began = self.last = time.monotonic()
        self.spent = self.planned = 0.0
        self.current = None

    def seconds_of(self, work):
        """A guess; note() corrects it by what the works before took."""
        if work.kind in WHOLE:
            return WHOLE[work.kind]
        client = "client" in work.more
        count = max(1, round(self.args.pairs * work.pairs)) * 2 + (0 if work.seconds >= 5 or client else 2)
        each = max(self.args.slice, work.seconds * self.args.scale) if not client else 0
        made_once = 20 if work.more.get("keep") else 0  # topics of 1,000 partitions
        return count * (each + BESIDE[work.kind]) + made_once

    def starts_of(self, chosen):
        return self.args.warm + 10 if any(rival == KAFKA for _, rival in chosen) else 2

    def listed(self):
        lines = [f"{work.name:42} {rival:16} {self.seconds_of(work):4.0f} s" for work, rival in self.chosen]
        total = (sum(self.seconds_of(w) for w, _ in self.chosen) + self.starts_of(self.chosen)) * self.args.sittings
        return "\n".join([*lines, f"about {total / 60:.0f} minutes with starting and warming"])

    def note(self, work, rival):
        self.finish()
        left = [self.seconds_of(w) for w, _ in (self.chosen * self.args.sittings)[self.done:]]
        pace = self.spent / self.planned if self.planned > 20 else 1
        seconds = sum(left) * min(max(pace, 0.5), 3) + (self.starts_of(self.chosen) if self.done == 0 else 0)
        print(f"compare: {self.done + 1} of {self.total}: {work.name} against {rival}; about {seconds / 60:.1f} min left",
              file=sys.stderr, flush=True)
        self.current, self.last = work, time.monotonic()

    def finish(self):
        if self.current is None:
            return
        took = time.monotonic() - self.last
        if self.done > 0:  # the first one started and warmed the brokers
            self.spent += took
            self.planned += self.seconds_of(self.current)
        self.done += 1
        self.current = None

    def end(self):
        self.finish()
        print(f"compare: measured after {(time.monotonic() - self.began) / 60:.1f} min", file=sys.stderr, flush=True)
