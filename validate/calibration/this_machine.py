"""The platform of the machine that runs are made on."""

from __future__ import annotations

from collections.abc import Sequence

from roofline.progress import Progress
from roofline.spec import Platform
from roofline.spec import platform as find_platform
from roofline.spec.detecting import detect
from roofline.spec.thread_modes import mode_name
from roofline.validate.calibration.calibrate import kept_calibration
from roofline.validate.measuring.backend import backends
from roofline.validate.measuring.environment import cpu_name


def this_machine(platform: str | None, threads: int, progress: Progress) -> Platform:
    """Return the platform of this machine: the file named, or one calibrated once and kept.

    Args:
        platform: Key or path; None for the kept calibration.
        threads: Threads the run will use; picks the operating mode of a calibration. 0 is its default.
        progress: Called with what is done where it takes long; tells of its progress meanwhile.

    Raises:
        PlatformError: The file cannot be read, or has no mode for that many threads.
    """
    if platform is not None:
        return find_platform(platform)
    with progress("calibrating this machine") as report:
        path = kept_calibration(threads=threads, report=report)
    return find_platform(f"{path}:{mode_name(threads)}" if threads else str(path))


def doubt_of(machine: Platform, backend_names: Sequence[str], device: str = "") -> str | None:
    """Return what is to be said of efficiencies against a machine that this one is not; None where it is this one.

    A shipped machine is known by its processor's name, or a GPU by that which its driver gives, and a calibration
    bears it.

    Args:
        machine: What runs are compared with.
        backend_names: The backends that make them.
        device: What they are asked to run on; empty where they choose.
    """
    cpu = cpu_name()
    known = {
        device for name in backend_names for device in backends.get(name).capabilities.devices
    }
    found = detect(cpu)
    if device == "cpu" or known == {"cpu"}:
        found = found[:1]
    key = machine.key.partition(":")[0]
    if any(
        entry.name.casefold() in machine.specification.name.casefold() or entry.platform == key
        for entry in found
    ):
        return None
    cpu = " with ".join(entry.name for entry in found)
    return (
        f"{machine.key} ({machine.specification.name}) is not this machine ({cpu}), on which the runs are made: "
        "efficiency is no share of what this machine could reach"
    )


def machine_threads(machine: Platform) -> int:
    """Return the threads a calibrated platform's numbers are for, or 0 for every core."""
    return machine.threads or 0
