"""What can be read of the machine, and how busy it was meanwhile (Linux; elsewhere blank)."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import resource
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from roofline.validate.records.record import Environment

_IDLE_FIELDS = (3, 4)  # idle and iowait in /proc/stat
_STEAL_FIELD = 7
_PR_SET_PDEATHSIG = 1


def available_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory_bytes() -> int:
    """Return the machine's memory, or 0 where it cannot be read."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0


def peak_rss_bytes() -> int:
    """Return the largest resident set that this process has had.

    Linux counts the process that started this one into ``ru_maxrss``, so that a run started from a large program would
    be given that program's size: there the high-water mark of this process's own memory is read.
    """
    for line in read_text("/proc/self/status").splitlines():
        name, _, value = line.partition(":")
        if name == "VmHWM":
            return int(value.split()[0]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def cpu_name() -> str:
    """Return the CPU's model name."""
    return model_name(read_text("/proc/cpuinfo")) or platform.processor() or platform.machine()


def model_name(cpuinfo: str) -> str:
    """Return the model name in the text of ``/proc/cpuinfo``; on Arm boards the board's, if any."""
    fields = [line.partition(":") for line in cpuinfo.splitlines()]
    named = {key.strip(): value.strip() for key, _, value in fields}
    return named.get("model name") or named.get("Model") or named.get("Hardware") or ""


def vendor() -> str:
    """Return who made the CPU."""
    for line in read_text("/proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "vendor_id":
            known = {"AuthenticAMD": "AMD", "GenuineIntel": "Intel"}
            return known.get(value.strip(), value.strip())
    return "Apple" if platform.system() == "Darwin" else "unknown"


def package_version(name: str) -> str:
    """Return an installed distribution's version, or an empty string."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


@dataclass(frozen=True, slots=True)
class Busy:
    """A reading of the machine's CPU time and of this process's, in seconds."""

    total: float
    idle: float
    stolen: float
    own: float

    @classmethod
    def now(cls) -> Busy | None:
        """Take a reading, or return None where the machine does not tell."""
        return cls.of(read_text("/proc/stat"), sum(os.times()[:2]))

    @classmethod
    def of(cls, stat: str, own: float) -> Busy | None:
        """Return the reading in the text of ``/proc/stat``, or None where there is none.

        Args:
            stat: The text.
            own: Seconds of CPU time of the process that is measured.
        """
        first = stat.partition("\n")[0].split()
        if len(first) <= _STEAL_FIELD + 1 or first[0] != "cpu":
            return None
        ticks = [int(field) for field in first[1:9]]
        second = os.sysconf("SC_CLK_TCK")
        idle = sum(ticks[field] for field in _IDLE_FIELDS)
        return cls(sum(ticks) / second, idle / second, ticks[_STEAL_FIELD] / second, own)

    def shares_since(self, start: Busy) -> tuple[float, float] | None:
        """Return the shares of all CPU time that other processes and the hypervisor took since.

        The kernel counts in hundredths of a second, so a span under half a second says nothing:
        None.
        """
        total = self.total - start.total
        if total < 0.5:
            return None
        stolen = self.stolen - start.stolen
        used = total - (self.idle - start.idle) - stolen
        others = max(0.0, used - (self.own - start.own))
        return others / total, stolen / total


def share_taken_since(start: Busy | None) -> float:
    """Return the share of the machine's CPU time that others have taken; 0 where the system does not tell."""
    now = Busy.now()
    shares = None if start is None or now is None else now.shares_since(start)
    return sum(shares or ())


def end_with_parent(parent: int) -> None:
    """Have the kernel end this process when the one that started it dies, however it dies (Linux).

    A campaign that is killed must not leave a run behind that disturbs those after it.

    Args:
        parent: Its process id; when that process has gone already, this one ends at once.
    """
    if not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def describe(
    versions: Mapping[str, str], shares: tuple[float, float] | None, load: float | None
) -> Environment:
    """Return the record's account of this machine."""
    cpufreq = "/sys/devices/system/cpu/cpu0/cpufreq"
    frequency = read_text(f"{cpufreq}/scaling_cur_freq").strip()
    return Environment(
        host=socket.gethostname(),
        cpu=cpu_name(),
        cores=available_cores(),
        memory_bytes=memory_bytes(),
        governor=read_text(f"{cpufreq}/scaling_governor").strip(),
        frequency_hz=float(frequency) * 1e3 if frequency.isdigit() else None,
        load_average=load,
        others_share=shares[0] if shares else None,
        stolen_share=shares[1] if shares else None,
        versions={
            "python": platform.python_version(),
            "roofline": package_version("roofline"),
            "system": f"{platform.system()} {platform.release()}",
            **versions,
        },
    )


def load_average() -> float | None:
    """Return the one-minute load average, or None where there is none."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None


def read_text(path: str) -> str:
    """Return the text of a file, or an empty string where it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""
