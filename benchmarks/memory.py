"""Peak memory of a process of its own."""

from __future__ import annotations

from pathlib import Path


def peak_memory() -> float:
    """Return this program's peak memory in GB; `getrusage` would count what the parent held when it started this one."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1e6
