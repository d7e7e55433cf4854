"""What is read off a slice: unit, whether more is better, and how it comes from the figures."""

METRICS = {
    "cpu_s_per_gb": ("broker CPU seconds per GB", False, lambda f: f["server_cpu_s"] / (f["bytes"] / 1e9)),
    "cpu_s_per_m_msgs": ("broker CPU seconds per million messages", False,
                         lambda f: f["server_cpu_s"] / (f["messages"] / 1e6)),
    "mb_per_s": ("MB/s", True, lambda f: f["bytes"] / 1e6 / f["seconds"]),
    "msg_per_s": ("messages/s", True, lambda f: f["messages"] / f["seconds"]),
    "p50_ms": ("p50 ms", False, lambda f: f["p50_ms"]),
    "p90_ms": ("p90 ms", False, lambda f: f["p90_ms"]),
    "p99_ms": ("p99 ms", False, lambda f: f["p99_ms"]),
    "p999_ms": ("p99.9 ms", False, lambda f: f["p999_ms"]),
    "ready_ms": ("ms to ready", False, lambda f: f["ready_ms"]),
    "rss_mb": ("MB resident", False, lambda f: f["rss_mb"]),
    "core_percent": ("% of a core", False, lambda f: f["core_percent"]),
    "mb_on_disk": ("MB on disk", False, lambda f: f["mb_on_disk"]),
}
