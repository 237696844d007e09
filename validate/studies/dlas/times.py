"""Times as far as runs tell them, and what is computed of them: by intervals, or in pairs within each turn.

Rules compute ratios and leasts of times and ask whether the result lies below a limit. Of a program that was timed by
itself an interval is known, and so of what is computed from it. Programs that were timed in turns have a figure for
every turn: what is computed is computed within each turn, where what the hour does to the machine cancels.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from typing import Protocol, Self

from roofline.validate.analysis.configurations import Configuration

CONFIDENCE = 0.95
"""Of the interval of a median."""

MARGIN = 0.02
"""Share by which what is paired must be off a limit, in every session and on the same side."""

APART_S = 3600.0
"""Seconds between the first and the last of the sessions, at least."""


class Times(Protocol):
    """A time, or what was computed of several."""

    def over(self, other: Self, /) -> Self:
        """Return the ratio to another one."""
        ...

    def scale(self, factor: float) -> Self:
        """Return it times a factor."""
        ...

    def least(self, other: Self, /) -> Self:
        """Return the less of the two."""
        ...

    def is_below(self, limit: float) -> bool | None:
        """Tell whether it is less than a limit, or more; None where the runs leave that open."""
        ...

    @property
    def words(self) -> str:
        """What is known of a ratio beyond the times themselves, to be said behind them; empty for nothing."""
        ...


Clock = Callable[[Configuration], Times]
"""Returns the time of a configuration."""


@dataclass(frozen=True, slots=True)
class Span:
    """Between which bounds it lies.

    Example:
        >>> Span(1.0, 2.0).over(Span(4.0, 5.0)).is_below(1.0)
        True
        >>> Span(1.0, 3.0).over(Span(2.0, 4.0)).is_below(1.0) is None
        True
    """

    low: float
    high: float

    def over(self, other: Span, /) -> Span:
        """Return the ratio to another one."""
        return Span(self.low / other.high, self.high / other.low)

    def scale(self, factor: float) -> Span:
        """Return it times a factor."""
        return Span(self.low * factor, self.high * factor)

    def least(self, other: Span, /) -> Span:
        """Return the less of the two."""
        return Span(min(self.low, other.low), min(self.high, other.high))

    def is_below(self, limit: float) -> bool | None:
        """Tell whether it is less than a limit, or more; None where the limit lies between its bounds."""
        if self.high < limit:
            return True
        return False if self.low > limit else None

    @property
    def words(self) -> str:
        """Nothing: the bounds of the times say it all."""
        return ""


@dataclass(frozen=True, slots=True)
class TurnTimes:
    """A figure for every turn, session by session.

    Example:
        >>> hours = "2026-11-30T09:00:00+00:00", "2026-11-30T10:30:00+00:00"
        >>> left = TurnTimes({hours[0]: (1.0,) * 6, hours[1]: (1.5,) * 6})
        >>> right = TurnTimes({hours[0]: (1.1,) * 6, hours[1]: (1.65,) * 6})
        >>> left.over(right).is_below(1.0)
        True
    """

    sessions: Mapping[str, tuple[float, ...]]
    """By when the session began, ISO 8601."""

    def over(self, other: TurnTimes, /) -> TurnTimes:
        """Return the ratio to another one, turn by turn of the sessions that have both."""
        return self._with(other, lambda left, right: left / right)

    def scale(self, factor: float) -> TurnTimes:
        """Return it times a factor."""
        return self._with(self, lambda value, _: value * factor)

    def least(self, other: TurnTimes, /) -> TurnTimes:
        """Return the less of the two in every turn."""
        return self._with(other, min)

    def is_below(self, limit: float) -> bool | None:
        """Tell whether it is less than a limit in every session, or more in every session, by `MARGIN` at least.

        In a session the interval of the median over its turns counts, by ranks, of the logarithm of the figure over
        the limit. None where sessions disagree or one of the intervals reaches into the margin, and where the sessions
        are not two at least that began `APART_S` apart.
        """
        hours = [datetime.fromisoformat(when).timestamp() for when in self.sessions]
        if len(hours) < 2 or max(hours) - min(hours) < APART_S:
            return None
        spans = [
            median_interval([math.log(value / limit) for value in values])
            for values in self.sessions.values()
        ]
        margin = math.log1p(MARGIN)
        if all(high < -margin for _, high in spans):
            return True
        return False if all(low > margin for low, _ in spans) else None

    @property
    def words(self) -> str:
        """The median ratio of each session, and the interval of the median."""
        parts: list[str] = []
        for values in self.sessions.values():
            low, high = median_interval(values)
            parts.append(f"{statistics.median(values):.3g} ({low:.3g}–{high:.3g})")
        return f"; ratio {', '.join(parts)}" if parts else ""

    def _with(self, other: TurnTimes, compute: Callable[[float, float], float]) -> TurnTimes:
        return TurnTimes(
            {
                when: tuple(map(compute, values, other.sessions[when]))
                for when, values in self.sessions.items()
                if when in other.sessions
            }
        )


def span_of(entry: Configuration) -> Span:
    """Return between which bounds the time of a configuration lies."""
    return Span(entry.low_s, entry.high_s)


def least_of(times: Iterable[Times]) -> Times:
    """Return the least of some times."""
    return reduce(lambda left, right: left.least(right), times)


def median_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return between which of the values the median of what they are drawn from lies, with `CONFIDENCE` at least.

    The least and the greatest where there are too few values for that confidence.

    Example:
        >>> median_interval([5.0, 1.0, 2.0, 3.0, 4.0, 6.0])
        (1.0, 6.0)
        >>> median_interval([float(value) for value in range(1, 13)])
        (3.0, 10.0)
    """
    ordered, number = sorted(values), len(values)
    rank, below = 0, 1 / 2**number
    # Fewer than `rank + 1` of the values lie below the median with the probability `below`.
    while 2 * (below + math.comb(number, rank + 1) / 2**number) <= 1 - CONFIDENCE:
        rank += 1
        below += math.comb(number, rank) / 2**number
    return ordered[rank], ordered[number - 1 - rank]
