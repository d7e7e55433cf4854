"""The drivers' side of the line protocol (tests/clients/README.md), and members that live in a thread of their own."""
import json
import os
import queue
import sys
import threading
import time
import traceback

_lock = threading.Lock()
_out = sys.stdout
sys.stdout = sys.stderr  # a library that prints must not break the protocol


def say(**message):
    text = json.dumps(message)
    with _lock:
        _out.write(text + "\n")
        _out.flush()


def event(e, m, **more):
    say(e=e, m=m, **more, at=time.time_ns() // 1000)


class Thread(threading.Thread):
    """A consumer whose library wants to be polled: calls and polls happen in this one thread, in order."""

    def __init__(self, name):
        super().__init__(daemon=True)
        self.member, self.calls, self.closed = name, queue.SimpleQueue(), False

    def run(self):
        try:
            self.open()
            while not self.closed:
                while not self.calls.empty():
                    function, done = self.calls.get()
                    try:
                        done.put((function(), None))
                    except Exception as e:
                        done.put((None, e))
                if not self.closed:
                    self.poll()
        except Exception as e:
            traceback.print_exc()
            say(e="error", m=self.member, text=f"{type(e).__name__}: {e}")
            while True:  # whoever still waits for an answer gets this one
                self.calls.get()[1].put((None, e))

    def call(self, function):
        done = queue.SimpleQueue()
        self.calls.put((function, done))
        value, error = done.get(timeout=60)
        if error:
            raise error
        return value


class Driver:
    """Operations are methods named like the request's `op`, with its fields as arguments."""

    def __init__(self, broker):
        self.broker, self.members, self.producers = broker, {}, {}

    def seek(self, m, partition, offset):
        self.members[m].call(lambda: self.members[m].seek(partition, offset))

    def pause(self, m, partition):
        self.members[m].call(lambda: self.members[m].pause(partition))

    def resume(self, m, partition):
        self.members[m].call(lambda: self.members[m].resume(partition))

    def commit(self, m, offsets):
        self.members[m].call(lambda: self.members[m].commit({int(p): o for p, o in offsets.items()}))

    def leave(self, m):
        member = self.members.pop(m)
        member.call(member.leave)


def serve(driver, version):
    say(e="ready", version=version)

    def one(request):
        ident, op = request.pop("id"), request.pop("op")
        try:
            say(id=ident, ok=getattr(driver, op)(**request))
        except Exception as e:
            traceback.print_exc()
            say(id=ident, error=f"{type(e).__name__}: {e}")
    for line in sys.stdin:
        threading.Thread(target=one, args=(json.loads(line),), daemon=True).start()
    os._exit(0)
