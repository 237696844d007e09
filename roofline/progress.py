"""How long work tells of its progress."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

Report = Callable[[str, int, int], None]
"""Told what is being done, how many steps are done, and how many there are."""

Progress = Callable[[str], AbstractContextManager[Report]]
"""Opened with what the whole work is; yields what its steps are told to."""


def tell_nobody(what: str, done: int, total: int) -> None:
    """Tell nobody."""
