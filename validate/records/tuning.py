"""How a backend chose the programs of a run: whether schedules were sought."""

from __future__ import annotations

from enum import StrEnum

from roofline.conventions import choice
from roofline.surfaces import TUNING


class Tuning(StrEnum):
    """Whether schedules are sought for a network's kernels."""

    BACKEND_DEFAULT = ""
    """The first that a backend names: of requests only, never of a run."""
    NONE = "none"
    """The backend has nothing to tune."""
    UNTUNED = "untuned"
    """A compiler's default lowering: it says nothing about the machine."""
    TUNED = "tuned"

    @classmethod
    def of(cls, name: str) -> Tuning:
        """Return the tuning of a name.

        Raises:
            OptionError: There is none of that name.
        """
        return choice(cls, name, "tuning", TUNING)
