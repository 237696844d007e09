"""The shipped laws of decoders: what a token takes for one user on one machine, and served to many."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from roofline.model.sum_law import SumLaw

NAME = "decoder_laws.json"


@dataclass(frozen=True, slots=True)
class FittedLaw:
    """A law, and how far off it was on runs that it was fitted without."""

    law: SumLaw
    widths: Mapping[str, float]
    """Logarithmic half-widths that held 80 % of such runs: by group, and ``other``."""
    within: Mapping[str, float]
    """The same around the mean of a run's own installation: a machine with its host and its software."""
    known: tuple[str, ...]
    """Machines or systems it was fitted to."""
    runs: int
    sha256: str
    """Digest of the table."""

    def width(self, group: str) -> float:
        """Return the half-width of a group of runs."""
        return self.widths.get(group, self.widths["other"])

    def correct(self, group: str, off: Sequence[float]) -> tuple[float, float]:
        """Return by how much figures of a machine move its logarithmic times, and the half-width that is left.

        What is off has two parts: how an installation differs from its class, which its figures share, and how each
        run differs from the installation's own. The first is taken as far as the figures bear it out (a mean that is
        shrunk towards zero by the ratio of both variances).

        Args:
            group: Of the machine.
            off: Of each figure, the logarithm of its time over the expected one.
        """
        width = self.width(group)
        if not off:
            return 0.0, width
        own = min(self.within.get(group, self.within["other"]), width) ** 2
        between, count = width**2 - own, len(off)
        share = count * between / (count * between + own) if width else 0.0
        return share * sum(off) / count, math.sqrt((1 - share) * between + own)


@cache
def shipped_laws() -> Mapping[str, FittedLaw]:
    """Return the laws by quantity: ``decode``, ``prefill`` (one user), ``tpot``, ``ttft`` (served)."""
    text = files("roofline.model").joinpath(NAME).read_text(encoding="utf-8")
    document: dict[str, dict[str, Any]] = json.loads(text)
    return {
        name: FittedLaw(
            SumLaw(entry["law"]["factors"]), entry["widths"], entry["within"], tuple(entry["known"]),
            entry["runs"], entry["sha256"],
        )
        for name, entry in document.items()
    }  # fmt: skip


def to_document(laws: Mapping[str, FittedLaw]) -> str:
    """Return laws as the text of the shipped file."""
    return json.dumps({name: asdict(law) for name, law in laws.items()}, indent=1) + "\n"
