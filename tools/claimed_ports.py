"""Ports of this machine that nobody is given by chance.

A port that the kernel hands out (bind to 0) is anybody's again once it is closed: two questions in a row can have the same
answer, and a server that is killed and started again may find a stranger on it. claim_port() therefore stays out of the
range that the kernel hands out from, and a lock file tells the other processes of these tests which ports are spoken for.
"""
import fcntl
import os
import random
import socket
import tempfile

_held = {}  # port -> its open lock file, locked until this process ends


def handed_out():
    """First and last port that the kernel gives to whoever asks for any."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as f:
        first, last = map(int, f.read().split())
    return first, last


def candidates():
    """Every port that may be claimed, in an order of its own. Below 10000 live the defaults of well-known servers."""
    first, last = handed_out()
    every = range(10000, 65536)
    # Where the kernel hands out all of them, a claim is still one process's among these tests.
    order = [p for p in every if not first <= p <= last] or list(every)
    random.Random().shuffle(order)  # a generator of its own: the tests' seeds stay theirs
    return order


def _lock(port):
    """The locked file that stands for a port, or None where another process has it."""
    directory = os.path.join(tempfile.gettempdir(), f"millrace-ports-{os.getuid()}")
    os.makedirs(directory, exist_ok=True)
    file = open(os.path.join(directory, str(port)), "w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return file
    except OSError:
        file.close()
        return None


def claim_port():
    """A port on 127.0.0.1 that nobody listens on, this process's own until it ends."""
    for port in candidates():
        if port in _held or not (file := _lock(port)):
            continue
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                file.close()
                continue
        _held[port] = file
        return port
    raise OSError("every port from 10000 on is taken or claimed")


def release_port(port):
    """Another may claim it from now on."""
    _held.pop(port).close()
