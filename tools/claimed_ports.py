"""Ports of this machine that nobody is given by chance.

A port that the kernel hands out (bind to 0) is anybody's again once it is closed: two questions in a row can have the same
answer, and a server that is killed and started again may find a stranger on it. claim_port() therefore stays out of the
range that the kernel hands out from, and a lock tells the other processes of these tests which ports are spoken for.
"""
import fcntl
import os
import random
import socket
import tempfile
import threading

_held = set()
_guard = threading.Lock()
_locks = None  # a file with a byte for each port, locked as long as the port is held, at most until this process ends


def handed_out():
    """First and last port that the kernel gives to whoever asks for any."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as f:
        first, last = map(int, f.read().split())
    return first, last


def candidates():
    """Every port that may be claimed, from one at random on. Below 10000 live the defaults of well-known servers."""
    first, last = handed_out()
    every = range(10000, 65536)
    # Where the kernel hands out all of them, a claim is still one process's among these tests.
    ports = [p for p in every if not first <= p <= last] or list(every)
    at = random.Random().randrange(len(ports))  # a generator of its own: the tests' seeds stay theirs
    return ports[at:] + ports[:at]


def _lock(port):
    """False where another process has it."""
    global _locks
    if _locks is None:
        _locks = open(os.path.join(tempfile.gettempdir(), f"millrace-ports-{os.getuid()}.lock"), "w")
    try:
        fcntl.lockf(_locks, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        return True
    except OSError:
        return False


def _unlock(port):
    fcntl.lockf(_locks, fcntl.LOCK_UN, 1, port)


def _free(port):
    with socket.socket() as s:
        try:
            s.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


def claim_port():
    """A port on 127.0.0.1 that nobody listens on, this process's own until it ends."""
    with _guard:
        for port in candidates():
            if port in _held or not _lock(port):
                continue
            if _free(port):
                _held.add(port)
                return port
            _unlock(port)
    raise OSError("every port from 10000 on is taken or claimed")


def release_port(port):
    """Another may claim it from now on."""
    with _guard:
        _held.remove(port)
        _unlock(port)
