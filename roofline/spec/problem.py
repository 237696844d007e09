"""What is wrong in a platform file, where, and how to mend it: one line each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One broken rule in a platform file."""

    path: tuple[str | int, ...]
    """Where in the file: ``("peaks", "int8", "unit")``."""
    rule: str
    """What is wrong."""
    repair: str = ""
    """How to mend it."""
    line: int | None = None
    """The line of the file, from 1, where it is known."""

    @property
    def where(self) -> str:
        """The path as a reader would type it: ``peaks.int8.unit``, ``memories[0].bandwidth``."""
        return dotted_path(self.path)

    @property
    def sentence(self) -> str:
        """What is wrong, and where, without how to mend it."""
        place = (f"line {self.line}" if self.line else "", self.where)
        return ": ".join(part for part in (*place, self.rule) if part)

    def __str__(self) -> str:
        text = f"{self.sentence}. {self.repair}" if self.repair else self.sentence
        return " ".join(text.split())


def dotted_path(path: Sequence[str | int]) -> str:
    """Return a path in a file as text.

    Example:
        >>> dotted_path(("memories", 0, "bandwidth"))
        'memories[0].bandwidth'
    """
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text
