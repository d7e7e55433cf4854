"""The machine: its cores, its clocks, its caches, its scheduler."""
import glob
import os
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BROKER_CORE, LOAD_CORE = 0, min(1, os.cpu_count() - 1)


class Failed(Exception):
    """A work that could not be measured; the others go on."""


def say(text):
    print(f"compare: {text}", file=sys.stderr, flush=True)


def probe():
    """Turns of a busy loop on the broker's core within 10 ms: which phase of the host we are in."""
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {BROKER_CORE})
    until, turns = time.perf_counter() + 0.01, 0
    while time.perf_counter() < until:
        turns += 1
    os.sched_setaffinity(0, own)
    return turns


def cpu_seconds(pid):
    """CPU time of all threads of a process, ended ones too, to the nanosecond."""
    return time.clock_gettime((~pid << 3) | 2)


def status_mb(pid, field):
    with open(f"/proc/{pid}/status") as f:
        return next((int(line.split()[1]) * 1024 / 1e6 for line in f if line.startswith(field)), 0)


def rss_mb(pid):
    return status_mb(pid, "VmRSS")


def drop_caches(directory):
    """Files under `directory` are read from the disk next; how that was brought about."""
    os.sync()
    try:
        with open("/proc/sys/vm/drop_caches", "w") as f:
            f.write("1\n")
        return "page cache dropped"
    except OSError:
        for path in glob.glob(f"{directory}/**/*", recursive=True):
            if os.path.isfile(path):
                fd = os.open(path, os.O_RDONLY)
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(fd)
        return "files dropped from the page cache by posix_fadvise"


NICEST = -20


def priority_refused():
    """Why nothing here can run ahead of other processes; None when it can."""
    done = subprocess.run(["nice", "-n", str(NICEST), "true"], capture_output=True, text=True)
    return done.stderr.strip() or None


def set_ahead(pid, on):
    """All threads of a process run ahead of everything else, or as others do; those that give way to the others of their
    process go on doing so. (Linux: each thread has a nice value.)"""
    for thread in map(int, os.listdir(f"/proc/{pid}/task")):
        try:
            os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + (NICEST if on else -NICEST))
        except ProcessLookupError:
            pass  # ended meanwhile


def facts():
    with open("/proc/cpuinfo") as f:
        model = next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), "?")
    with open("/proc/meminfo") as f:
        memory = int(f.readline().split()[1]) // 1024
    return {"cpu": model, "cores": os.cpu_count(), "memory_mb": memory, "kernel": os.uname().release,
            "load_before": os.getloadavg()[0]}


def output(command):
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=10).stdout.strip()
    except (subprocess.TimeoutExpired, FileNotFoundError):
        return "unknown"
