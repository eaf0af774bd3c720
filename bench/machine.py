"""The machine that is measured on: its processors, its clocks, its limits, and what it is."""

import os
import platform
import resource
import subprocess
import time
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

_REPORTED = (
    "chatnest",
    "litestar",
    "uvicorn",
    "uvloop",
    "aiohttp",
    "openai",
    "httptools",
    "msgspec",
)
_SCHEDULER_CLOCK = 2
_SPARE_FILES = 100


class Cores:
    """Which processors a server has to itself, and which are for whatever asks and answers it."""

    def __init__(self, available: Iterable[int] | None = None) -> None:
        self._available = sorted(os.sched_getaffinity(0) if available is None else available)

    def server(self, processes: int = 1) -> set[int]:
        """One for each server process; all that there are, where they are too few."""
        if len(self._available) <= processes:
            return set(self._available)
        return set(self._available[:processes])

    def others(self, processes: int = 1) -> set[int]:
        """What the server's processes leave; all that there are, where they leave none."""
        return set(self._available[processes:] or self._available)


def processor_time_ns(process: psutil.Process) -> int:
    """What *process* and its descendants have used, in user and in system mode, of all threads.

    Linux tells it in nanoseconds to whoever asks for a process's clock; /proc/PID/stat counts the
    same in ticks of ten milliseconds, too coarse for runs of a tenth of a second.
    """
    return sum(_own_time_ns(each) for each in (process, *process.children(recursive=True)))


def _own_time_ns(process: psutil.Process) -> int:
    try:
        return time.clock_gettime_ns((~process.pid << 3) | _SCHEDULER_CLOCK)
    except OSError:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            return 0
        return round((times.user + times.system) * 1e9)


def resident_bytes(process: psutil.Process) -> int:
    """The resident memory of *process* and its descendants."""
    return sum(each.memory_info().rss for each in (process, *process.children(recursive=True)))


def raise_open_files() -> int:
    """Let this process and those that it starts have as many open files as the machine allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


def most_streams(wanted: int) -> int:
    """How many of *wanted* streams a server process can have open: each has two connections."""
    return min(wanted, (raise_open_files() - _SPARE_FILES) // 2)


def description() -> dict[str, str]:
    """What figures depend on, for whoever reads them."""
    load = " ".join(f"{average:.1f}" for average in os.getloadavg())
    return {
        "taken at": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "commit": _commit(),
        "processor": f"{_processor()}, {len(os.sched_getaffinity(0))} available",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": ", ".join(f"{name} {_version(name)}" for name in _REPORTED),
        "load before": load,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def _commit() -> str:
    asked = ("git", "describe", "--always", "--dirty", "--abbrev=12")
    try:
        said = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return said.stdout.strip()
