"""Operating modes that stand for a number of threads, as calibrated platforms name them."""

from __future__ import annotations

import re


def mode_name(threads: int) -> str:
    """Return the operating mode of a calibrated platform for a number of threads."""
    return f"{threads}-thread" if threads == 1 else f"{threads}-threads"


def mode_threads(mode: str | None) -> int | None:
    """Return the number of threads a calibrated mode stands for, or None for any other mode.

    Args:
        mode: A mode, or a platform's key with its mode behind a colon.

    Example:
        >>> mode_threads("2-threads"), mode_threads("here:1-thread"), mode_threads("maxn")
        (2, 1, None)
    """
    match = re.search(r"(?:^|:)(\d+)-threads?$", mode or "")
    return int(match[1]) if match else None
