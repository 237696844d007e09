"""Figures of a run's samples: their median and quantiles."""

from __future__ import annotations

import math
from functools import lru_cache


def median(samples: tuple[float, ...]) -> float:
    """Return the median of samples, of which there is at least one."""
    ordered = _sort(samples)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def quantile(samples: tuple[float, ...], share: float) -> float:
    """Return a quantile of samples, of which there is at least one, linearly interpolated.

    Args:
        samples: In any order.
        share: 0 is the smallest, 0.5 the median, 1 the largest.
    """
    ordered = _sort(samples)
    position = share * (len(ordered) - 1)
    low = math.floor(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


@lru_cache(maxsize=1)
def _sort(samples: tuple[float, ...]) -> list[float]:
    # A table asks for it six times, and sorting samples takes longer than writing the row.
    return sorted(samples)
