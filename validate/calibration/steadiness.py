"""Tells whether the machine is slowed just now: by a neighbour on the same core, another program, or its clock.

On a shared core the CPU time of a run changes by half and more, several times a second, and no counter says so. A
small fixed piece of work that is timed between samples does: the samples between two fast ones were not slowed.
"""

from __future__ import annotations

import bisect
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

SLOWED = 1.33
"""Time of the fixed work over its usual one from which the machine is slowed. A shared core gives 1.4 and more; a clock
that falls by wide vectors gives less than 1.3, which moved other work by less than a tenth."""

_GLANCE_RUNS = 5
_FIRST_GLANCES = 300
_PAUSE_S = 0.004
_BURST_S = 0.002
ENOUGH, AGREE, _FULL_SPEED = 3, 0.03, 1.1
"""Bursts in a row at full speed, the share by which they may lie apart so that no more are taken, and the time of the
fixed work over its usual one up to which a machine is at full speed."""
_QUANTILE, _OF_BURSTS = 0.2, 0.25
"""Of the runs of a burst, and of bursts that were not slowed: low, for what is left of a disturbance only adds."""


def usual_s(ascending: Sequence[float], threads: int) -> float:
    """Return what the fixed work takes on a fast machine: with one thread the least of all seconds seen, ascending.

    With several it is what one in ten take: threads wait for one another, and once in a while they need not.
    """
    return ascending[0 if threads == 1 else len(ascending) // 10]


@dataclass(frozen=True, slots=True)
class SampledTimes:
    """Seconds of several pieces of work, taken in turn."""

    seconds: tuple[float, ...]
    """Of each piece, over samples that were not slowed; over the least slowed where each was."""
    reference_s: float
    """Seconds of the fixed work beside those samples."""
    agreed: bool = False
    """Whether the last bursts said the same, on a machine at full speed: more samples would say nothing else."""


@dataclass(frozen=True, slots=True)
class _Burst:
    seconds: tuple[float, ...]
    reference_s: float


class Steadiness:
    """Watches a fixed piece of work, and takes samples of others while it is fast."""

    def __init__(
        self,
        step: Callable[[], None],
        clock: Callable[[], float],
        patience_s: float,
        threads: int = 1,
    ) -> None:
        """Watch.

        Args:
            step: Does the fixed work once; it takes some microseconds.
            clock: Tells seconds: of the CPU, or on the wall.
            patience_s: Seconds in all that may be lost to a slowed machine, waiting and in vain.
            threads: Threads that the fixed work runs on.
        """
        self._step, self._clock, self._threads = step, clock, threads
        self._seen = sorted(self._glance_s() for _ in range(_FIRST_GLANCES))
        self.patience_s = patience_s

    def _glance_s(self) -> float:
        found: list[float] = []
        for _ in range(_GLANCE_RUNS):
            begin = self._clock()
            self._step()
            found.append(self._clock() - begin)
        return min(found)

    def reference_s(self) -> float:
        """Return the seconds of the fixed work just now."""
        found = self._glance_s()
        bisect.insort(self._seen, found)
        return found

    def is_slowed(self, reference_s: float) -> bool:
        """Return whether the machine was slowed when the fixed work took so long."""
        return reference_s >= SLOWED * usual_s(self._seen, self._threads)

    def sample(
        self, steps: Sequence[Callable[[], None]], sampling_s: float, *, least_runs: int, longest_s: float,
        until_agreed: bool = True,
    ) -> SampledTimes:  # fmt: skip
        """Return the seconds of pieces of work, from short bursts of each in turn, until enough of them agree.

        Args:
            steps: Do each piece once.
            sampling_s: Seconds of samples of each that are enough where bursts do not agree.
            least_runs: Runs of each that are needed then, whatever they take.
            longest_s: Seconds after which nothing more is taken that was slowed.
            until_agreed: Whether to stop where bursts agree.
        """
        bursts: list[_Burst] = []
        fast: list[_Burst] = []
        end = time.perf_counter() + longest_s
        spent, runs = 0.0, 0
        before = self._wait(end)
        while not (until_agreed and self._agree(fast)) and (
            spent < sampling_s or runs < least_runs
        ):
            begin, most = time.perf_counter(), before
            taken: list[list[float]] = []
            for step in steps:
                taken.append(self._burst(step))
                before = self.reference_s()
                most = max(most, before)
            values = tuple(float(np.quantile(seconds, _QUANTILE)) for seconds in taken)
            bursts.append(_Burst(values, most))
            if self.is_slowed(most) and self.patience_s > 0 and time.perf_counter() < end:
                self.patience_s -= time.perf_counter() - begin
                before = self._wait(end)
                continue
            fast.append(bursts[-1])
            spent += min(sum(seconds) for seconds in taken)
            runs += min(len(seconds) for seconds in taken)
        return replace(self._summary(bursts), agreed=self._agree(fast))

    def _agree(self, fast: Sequence[_Burst]) -> bool:
        """Return whether the last bursts say the same of every piece of work, at full speed."""
        last = fast[-ENOUGH:]
        limit = _FULL_SPEED * usual_s(self._seen, self._threads)
        if len(last) < ENOUGH or any(burst.reference_s > limit for burst in last):
            return False
        seconds = np.array([burst.seconds for burst in last])
        return bool((seconds.max(axis=0) <= (1.0 + AGREE) * seconds.min(axis=0)).all())

    def _wait(self, end: float) -> float:
        """Wait until the machine is fast, until some time or the end of patience; return the fixed work's seconds."""
        found = self.reference_s()
        while self.is_slowed(found) and self.patience_s > 0 and time.perf_counter() < end:
            time.sleep(_PAUSE_S)
            self.patience_s -= _PAUSE_S
            found = self.reference_s()
        return found

    def _burst(self, step: Callable[[], None]) -> list[float]:
        found: list[float] = []
        begin = last = self._clock()
        while last - begin < _BURST_S:
            step()
            now = self._clock()
            found.append(now - last)
            last = now
        return found

    def _summary(self, bursts: Sequence[_Burst]) -> SampledTimes:
        least = min(burst.reference_s for burst in bursts)
        limit = (
            SLOWED * usual_s(self._seen, self._threads)
            if not self.is_slowed(least)
            else 1.05 * least
        )
        chosen = [burst for burst in bursts if burst.reference_s <= limit]
        seconds = np.quantile(np.array([burst.seconds for burst in chosen]), _OF_BURSTS, axis=0)
        return SampledTimes(
            tuple(float(value) for value in seconds), max(burst.reference_s for burst in chosen)
        )
