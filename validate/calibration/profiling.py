"""A machine's profile, from its microbenchmarks to the entry of its platform file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from roofline.model.machine_profile import Profile
from roofline.model.profile_text import as_entry
from roofline.number_format import plural
from roofline.validate.calibration.calibrate import SOURCE, Roofs
from roofline.validate.calibration.fitting import fit_profile
from roofline.validate.calibration.microbenchmarks import Times, measure_times
from roofline.validate.measuring.environment import available_cores, cpu_name, package_version

_DRIFTED = 1.15
"""Ratio of the reference probe's times from which the machine's clock is said not to hold."""


@dataclass(frozen=True, slots=True)
class TimedProfile:
    """A profile and the times it comes from."""

    profile: Profile
    times: Times

    @property
    def entry(self) -> dict[str, object]:
        """The profile as an entry of a platform file."""
        return as_entry(
            self.profile,
            datatype="fp32",
            tool=f"roofline {package_version('roofline')} calibrate",
            date=datetime.now(UTC).date().isoformat(),
            protocol=self.times.protocol,
            source=SOURCE,
        )

    @property
    def remarks(self) -> list[str]:
        """What is doubtful about it, one line each."""
        times = self.times
        threads = plural(times.threads, "thread")
        found: list[str] = []
        if times.drift > _DRIFTED:
            found.append(
                f"The machine was slowed while {times.backend} was measured on {threads}: a quarter of the samples "
                f"stand beside a product that took {times.drift:.2f} times its usual time and more. Calibrate again "
                "when it is quiet."
            )
        idle = 1.0 - times.threads / max(times.threads, available_cores())
        if times.taken > idle + 0.1:
            found.append(
                f"Others took {times.taken:.0%} of the CPU time while {times.backend} was measured on {threads}."
            )
        if times.failed:
            named = ", ".join(list(times.failed)[:5])
            found.append(
                f"{plural(len(times.failed), 'probe')} of {times.backend} could not be run ({named}): "
                "their kinds borrow from others."
            )
        return found


def measure_profile(
    backend: str, roofs: Roofs, *, report: Callable[[str, int, int], None] | None = None
) -> TimedProfile:
    """Measure the microbenchmarks with a backend and fit the profile.

    Args:
        backend: Name of a measurement backend.
        roofs: Peaks and bandwidth of this machine at the number of threads to run on.
        report: Told of progress.

    Raises:
        MeasurementError: The backend is not installed, or no probe could be run.
    """
    times = measure_times(backend, roofs.threads, report=report)
    return TimedProfile(fit_profile(times, roofs, cpu_name()), times)
