"""The shipped laws of decoders: what a token takes for one user on one machine, and served to many."""

from __future__ import annotations

import json
from collections.abc import Mapping
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
    known: tuple[str, ...]
    """Machines or systems it was fitted to."""
    runs: int
    sha256: str
    """Digest of the table."""

    def width(self, group: str) -> float:
        """Return the half-width of a group of runs."""
        return self.widths.get(group, self.widths["other"])


@cache
def shipped_laws() -> Mapping[str, FittedLaw]:
    """Return the laws by quantity: ``decode``, ``prefill`` (one user), ``tpot``, ``ttft`` (served)."""
    text = files("roofline.model").joinpath(NAME).read_text(encoding="utf-8")
    document: dict[str, dict[str, Any]] = json.loads(text)
    return {
        name: FittedLaw(
            SumLaw(entry["law"]["factors"]), entry["widths"], tuple(entry["known"]), entry["runs"],
            entry["sha256"],
        )
        for name, entry in document.items()
    }  # fmt: skip


def to_document(laws: Mapping[str, FittedLaw]) -> str:
    """Return laws as the text of the shipped file."""
    return json.dumps({name: asdict(law) for name, law in laws.items()}, indent=1) + "\n"
