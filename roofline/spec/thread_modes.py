"""Operating modes that stand for a number of threads, as calibrations write them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast


def mode_name(threads: int) -> str:
    """Return what a calibration calls the operating mode of a number of threads."""
    return f"{threads}-thread" if threads == 1 else f"{threads}-threads"


def with_threads(mode: str, content: object) -> object:
    """Return what a file says of a mode, with the number of threads that older calibrations state in its name alone.

    Example:
        >>> with_threads("2-threads", {}), with_threads("maxn", {})
        ({'threads': 2}, {})
    """
    threads = re.fullmatch(r"(\d+)-threads?", mode)
    if threads is None or not isinstance(content, Mapping):
        return content
    return {"threads": int(threads[1]), **cast("Mapping[str, object]", content)}
