"""The roofs of a machine, by which machines are compared with one another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from roofline.model._network_facts import held_bytes

if TYPE_CHECKING:
    from roofline.spec import Platform

COMPARED = frozenset({"fp32", "tf32", "bf16", "fp16", "fp8", "int8"})
"""The datatypes that peaks are compared at: no network of the evidence runs in fp64, and makers state int4 in ways of
their own."""


@dataclass(frozen=True, slots=True)
class Roofs:
    """The roofs of a machine of the evidence, by its platform file."""

    vendor: str
    peaks: Mapping[str, float]
    """OP/s per datatype."""
    bandwidth: float
    """Of the memory that weights come from, in B/s."""
    held: float
    """Bytes of weights that stay on the chip."""

    def compared(self) -> Mapping[str, float]:
        """Return the logarithms of the peaks that machines are compared at."""
        return {name: float(np.log(self.peaks[name])) for name in self.peaks if name in COMPARED}


def roofs_of(platform: Platform) -> Roofs:
    """Return the roofs of a machine that others are compared with."""
    return Roofs(
        platform.vendor, {name: peak.base for name, peak in platform.peaks.items()},
        platform.weight_bandwidth or platform.bandwidth, held_bytes(platform),
    )  # fmt: skip
