"""How figures are written for people: significant digits, percent, decimal prefixes, and nouns that agree."""

from __future__ import annotations

import math
from typing import overload

_PREFIXES = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


@overload
def number(value: float, digits: int = 4) -> str: ...
@overload
def number(value: float | None, digits: int = 4) -> str | None: ...
def number(value: float | None, digits: int = 4) -> str | None:
    """Return a number with so many significant digits, from 1,000 on whole; None stays None.

    Example:
        >>> number(0.0123456), number(1234567.8), number(float("inf"))
        ('0.01235', '1,234,568', '∞')
    """
    if value is None:
        return None
    if math.isinf(value):
        return "∞" if value > 0 else "–∞"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}g}"


@overload
def percent(share: float, digits: int = 3) -> str: ...
@overload
def percent(share: float | None, digits: int = 3) -> str | None: ...
def percent(share: float | None, digits: int = 3) -> str | None:
    """Return a share in percent, never in powers of ten; None stays None.

    Example:
        >>> percent(0.5123), percent(1.0), percent(12.3456), percent(0.00001)
        ('51.2%', '100%', '1,235%', '0.001%')
    """
    if share is None:
        return None
    value = 100 * share
    if not math.isfinite(value):
        return f"{number(value)}%"
    if abs(value) >= 10**digits:
        return f"{value:,.0f}%"
    # As many decimals as leave the digits asked for.
    size = math.floor(math.log10(abs(value))) if value else 0
    text = f"{value:.{max(0, digits - 1 - size)}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text}%"


def plural(count: int, noun: str, many: str = "") -> str:
    """Return a count with its noun, which agrees with it.

    Example:
        >>> plural(1, "kernel"), plural(2000, "kernel"), plural(0, "entry", "entries")
        ('1 kernel', '2,000 kernels', '0 entries')
    """
    return f"{count:,} {noun if count == 1 else many or f'{noun}s'}"


def human(value: float, unit: str) -> str:
    """Return a number with four digits, a decimal prefix and its unit.

    Example:
        >>> human(4089184256, "MAC"), human(97, "B")
        ('4.089 GMAC', '97 B')
    """
    for factor, prefix in _PREFIXES:
        # What rounds up to the next prefix is written with it.
        if value >= factor * 0.99995:
            return f"{value / factor:.4g} {prefix}{unit}".rstrip()
    return f"{value:,.0f} {unit}".rstrip()
