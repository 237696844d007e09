"""Which operators keep the channels of images packed, by the rules of fusion of a profile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from roofline.model.index_fusion import BY_INDEX

_FORMS = (
    "conv.1x1",
    "conv.kxk",
    "conv.depthwise.",
    "conv.grouped.",
    "conv.first",
    "conv.few",
)
_POOLS = frozenset({"AveragePool", "GlobalAveragePool", "MaxPool"})


@dataclass(frozen=True, slots=True)
class Packing:
    """What is done on packed channels."""

    forms: tuple[str, ...]
    """Beginnings of the kinds of convolutions that leave channels packed."""
    reads_plain: tuple[str, ...]
    """Beginnings of those among them that read channels as the graph has them, or pack them on their way."""
    whole_vectors: frozenset[str]
    """Operators on packed channels that take no channels which only fill up a vector."""
    staying: frozenset[str]
    """Operators that leave channels packed without that it is measured."""


PACKINGS: Mapping[str, Packing] = {
    "": Packing(
        _FORMS, ("conv.first", "conv.few"), _POOLS | {"Concat"}, frozenset({"GlobalAveragePool"})
    ),
    # A compiler fills up blocks itself, with zeros among the weights.
    BY_INDEX: Packing(
        (*_FORMS, "conv.unrolled", "conv.depthwise_unaligned"), ("conv.first", "conv.few"),
        frozenset({"Concat"}), _POOLS | {"Concat"},
    ),
}  # fmt: skip
"""By the rules of fusion of a profile."""
