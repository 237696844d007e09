"""Tells whether the machine is slowed just now: by a neighbour on the same core, another program, or its clock.

On a shared core the CPU time of a run changes by half and more, several times a second, and no counter says so. A
small fixed piece of work that is timed between samples does: the samples between two fast ones were not slowed.
"""

from __future__ import annotations

import bisect
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

SLOWED = 1.33
"""Time of the fixed work over its usual one from which the machine is slowed. A shared core gives 1.4 and more; a clock
that falls by wide vectors gives less than 1.3, which moved other work by less than a tenth."""

_GLANCE_RUNS = 5
_FIRST_GLANCES = 300
_PAUSE_S = 0.004
_BURST_S, _WARM_S = 0.002, 0.02
"""Seconds of a burst, and of a run from which none is made in vain before it: what it needs does not stay in caches."""
ENOUGH, AGREE = 3, 0.03
"""Bursts at full speed that are enough where they lie so near to one another."""
_QUANTILE = 0.2
"""Of the runs of a burst: low, for what disturbs one of them only adds."""
_USUAL = 0.05
"""Share of all glances that are quicker than the usual one: a clock that rose for a moment is none."""
FULL_SPEED = 1.12
"""Time of the fixed work over its usual one up to which the machine is at full speed."""
_ALIKE_SLOWED, _UNLIKE_SLOWED = 0.6, 0.4
"""The share of a slowing of the fixed work, in the logarithm, that other work shows too, and its deviation: 0.87 up to
a tenth, 0.6 up to a third, over 560 probes in a minute on one machine."""
_FEW, _OF_BURSTS = 3, 0.25
"""Bursts at full speed from which no others count, and the quantile of bursts: low, for a disturbance only adds."""

Step = Callable[[], None]
"""Does a piece of work once."""


def usual_s(ascending: Sequence[float]) -> float:
    """Return what the fixed work takes on a fast machine, of all seconds seen, ascending."""
    return ascending[int(len(ascending) * _USUAL)]


@dataclass(frozen=True, slots=True)
class Burst:
    """Some runs of each of several pieces of work, one piece after the other."""

    seconds: tuple[float, ...]
    """Of a run of each piece."""
    reference_s: tuple[float, ...]
    """Of the fixed work beside each: the mean of before and after."""

    def beside(self, usual: float) -> float:
        """Return the time of the fixed work beside it, the slowest, over its usual one."""
        return max(self.reference_s) / usual


@dataclass(frozen=True, slots=True)
class SampledTimes:
    """What bursts of several pieces of work say."""

    seconds: tuple[float, ...]
    """Of each piece, over bursts at full speed, else over the few that were slowed least, put back."""
    spread: float
    """Deviation of the logarithm of what the last piece takes more than the first, or takes where it is alone."""
    agreed: bool
    """Whether the last bursts said the same: more samples would say nothing else."""


def summarize_bursts(bursts: Sequence[Burst], usual: float) -> SampledTimes:
    """Return what bursts say together, when the fixed work usually takes so long."""
    by_speed = sorted(bursts, key=lambda burst: burst.beside(usual))
    full = sum(burst.beside(usual) <= FULL_SPEED for burst in bursts)
    used = by_speed[: max(full, _FEW)]
    slowed = np.log([max(burst.beside(usual) / FULL_SPEED, 1.0) for burst in used])
    taken = np.array([burst.seconds for burst in used]) * np.exp(-_ALIKE_SLOWED * slowed)[:, None]
    low: list[float] = np.quantile(taken, _OF_BURSTS, axis=0).tolist()
    more = taken[:, -1] - taken[:, 0] if taken.shape[1] > 1 else taken[:, 0]
    own = low[-1] - low[0] if len(low) > 1 else low[0]
    apart = float(np.median(np.abs(more - own)) / own) if own > 0 else 1.0
    # The deviation of a median, of values as far apart as their median distance says; and of what was put back.
    spread = math.hypot(1.86 * apart / len(used) ** 0.5, _UNLIKE_SLOWED * float(slowed.mean()))
    return SampledTimes(tuple(low), min(spread, 1.0), _agree(bursts, usual))


def _agree(bursts: Sequence[Burst], usual: float) -> bool:
    """Return whether the last bursts at full speed say the same of every piece of work."""
    last = [burst.seconds for burst in bursts if burst.beside(usual) <= FULL_SPEED][-ENOUGH:]
    seconds = np.array(last)
    return len(last) == ENOUGH and bool(
        (seconds.max(axis=0) <= (1.0 + AGREE) * seconds.min(axis=0)).all()
    )


@dataclass(slots=True)
class _Taken:
    """What has been taken of some pieces of work that are compared."""

    steps: Sequence[Step]
    bursts: list[Burst] = field(default_factory=list["Burst"])
    spent: float = 0.0
    """Seconds of samples at full speed, of the piece that has least."""
    runs: int = 0
    gone: float = 0.0
    """Seconds on the wall."""
    slow: bool = False
    """Whether a run of one takes so long that no burst of it is more than that run."""


class Steadiness:
    """Watches a fixed piece of work, and takes samples of others while it is fast."""

    def __init__(
        self, step: Step, clock: Callable[[], float], patience_s: float, known_s: float = np.inf
    ) -> None:
        """Watch.

        Args:
            step: Does the fixed work once; it takes some microseconds.
            clock: Tells seconds: of the CPU, or on the wall.
            patience_s: Seconds in all that may be lost to a slowed machine, waiting and in vain.
            known_s: Seconds that the fixed work usually took when it was watched before.
        """
        self._step, self._clock, self._known_s = step, clock, known_s
        self._seen = sorted(self._glance_s() for _ in range(_FIRST_GLANCES))
        self.patience_s = patience_s

    @property
    def usual_s(self) -> float:
        """Seconds of the fixed work on this machine where nothing slows it."""
        return min(usual_s(self._seen), self._known_s)

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
        return reference_s >= SLOWED * self.usual_s

    def bursts(
        self, works: Sequence[Sequence[Step]], sampling_s: float, *, least_runs: int, longest_s: float,
        until_agreed: bool = True,
    ) -> list[list[Burst]]:  # fmt: skip
        """Return bursts of works in turn, pass after pass, until enough of each agree.

        Passes lie apart in time, so that what slows the machine for a moment meets one burst of a work, and not all.

        Args:
            works: Pieces of each work; those of one are timed one right after the other.
            sampling_s: Seconds of samples of each piece that are enough where bursts do not agree.
            least_runs: Runs of each that are needed then, whatever they take.
            longest_s: Seconds of a work after which nothing more is taken that was slowed.
            until_agreed: Whether to stop where bursts agree.
        """
        every = [_Taken(steps) for steps in works]
        left = every
        while left:
            for taken in left:
                self._take(taken, longest_s)
            left = [
                taken
                for taken in left
                if not (until_agreed and _agree(taken.bursts, self.usual_s))
                and (taken.spent < sampling_s or taken.runs < least_runs)
            ]
        return [taken.bursts for taken in every]

    def _take(self, taken: _Taken, longest_s: float) -> None:
        """Take one burst of a work; of one that was slowed the time counts only where patience is at an end."""
        begin = time.perf_counter()
        end = begin + max(longest_s - taken.gone, 0.0)
        before = self._wait(end)
        values: list[float] = []
        beside: list[float] = []
        runs: list[list[float]] = []
        for step in taken.steps:
            runs.append(self._burst(step, warm=not taken.slow))
            after = self.reference_s()
            values.append(float(np.quantile(runs[-1], _QUANTILE)))
            beside.append((before + after) / 2)
            before = after
        taken.slow = max(values) > _WARM_S
        burst = Burst(tuple(values), tuple(beside))
        taken.bursts.append(burst)
        now = time.perf_counter()
        taken.gone += now - begin
        if burst.beside(self.usual_s) >= SLOWED and self.patience_s > 0 and now < end:
            self.patience_s -= now - begin
            return
        taken.spent += min(sum(seconds) for seconds in runs)
        taken.runs += min(len(seconds) for seconds in runs)

    def _wait(self, end: float) -> float:
        """Wait until the machine is fast, until some time or the end of patience; return the fixed work's seconds."""
        found = self.reference_s()
        while self.is_slowed(found) and self.patience_s > 0 and time.perf_counter() < end:
            time.sleep(_PAUSE_S)
            self.patience_s -= _PAUSE_S
            found = self.reference_s()
        return found

    def _burst(self, step: Step, *, warm: bool) -> list[float]:
        if warm:
            # Others ran since: the first run finds its operands in no cache.
            step()
        found: list[float] = []
        begin = last = self._clock()
        while last - begin < _BURST_S:
            step()
            now = self._clock()
            found.append(now - last)
            last = now
        return found
