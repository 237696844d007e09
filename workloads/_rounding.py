"""How the mobile networks round scaled channels."""

from __future__ import annotations


def multiple_of_8(channels: float) -> int:
    """Return the nearest multiple of 8, at least 8 and never below 90 % of what was asked.

    Example:
        >>> multiple_of_8(38.4), multiple_of_8(18)
        (40, 24)
    """
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded
