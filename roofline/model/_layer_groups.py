"""The layers of networks as the time law is told them: like ones together, each group by what its layers require.

A group's numbers are relative to those of its network, so that they hold at any input size and batch: the law
multiplies them with the network's own multiply-accumulates, weights and activations.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import log, log2
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from roofline.model._core import Floats

ARITHMETIC = ("conv", "conv1", "depthwise", "grouped", "product", "batched", "attention")
"""Kinds of layers that multiply and accumulate: convolutions over a window, of 1x1, depthwise and in groups, products
with stored weights, products of two activations, and attention as one operator."""

OTHER = "other"
"""The kind of every further layer that computes or moves values; what runtimes fold away is none."""

KINDS = (*ARITHMETIC, OTHER)

WIDE = 64
"""Channels from which a layer's narrower side costs nothing more."""

KIND, MACS, ELEMENTS, WEIGHTS, NARROW, TIMES = range(6)
"""Columns of a group: the place of its kind in `KINDS`, shares of the network's multiply-accumulates and weights,
elements read and written per two activation elements, logarithm of its narrower channels over `WIDE` (0 where not
narrower), and its layers."""


class LayerCounts(NamedTuple):
    """What one layer of a network requires for one item, and how often the network has it."""

    kind: str
    macs: float
    elements: float
    """Read and written, weights aside; of `OTHER` twice those written."""
    written: float
    weights: float
    narrow: float
    """The fewer of its input and output channels, of a product of its columns; `WIDE` for no such thing."""
    times: float


@dataclass(frozen=True, slots=True)
class LayerGroups:
    """The groups of each run's network, those of one run behind those of the one before; a run can have none."""

    counts: NDArray[np.int64]
    """Groups of each run; 0 where the layers are not known."""
    values: Floats
    """(groups, 6); the columns are `KIND` to `TIMES`."""

    @property
    def run(self) -> NDArray[np.int64]:
        """The run of each group."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which runs have layers."""
        return self.counts > 0

    def take(self, rows: NDArray[Any]) -> LayerGroups:
        """Return the groups of some runs."""
        places = np.arange(len(self.counts))[rows]
        counts = self.counts[places]
        first = (np.cumsum(self.counts) - self.counts)[places]
        within = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        return LayerGroups(counts, self.values[np.repeat(first, counts) + within])


def no_layers(runs: int) -> LayerGroups:
    """Return the groups of runs whose layers are not known."""
    return LayerGroups(np.zeros(runs, np.int64), np.zeros((0, 6)))


def groups_of(networks: Sequence[Floats | None]) -> LayerGroups:
    """Return the groups of runs, each with what `group_layers` returns for its network or None."""
    counts = np.asarray([0 if each is None else len(each) for each in networks], np.int64)
    return LayerGroups(
        counts,
        np.concatenate([np.zeros((0, 6)), *(each for each in networks if each is not None)]),
    )


def joined_groups(parts: Sequence[LayerGroups]) -> LayerGroups:
    """Return the groups of several sets of runs as one, in order."""
    return LayerGroups(
        np.concatenate([part.counts for part in parts]),
        np.concatenate([part.values for part in parts]),
    )


def gather_alike(layers: Iterable[LayerCounts]) -> list[LayerCounts]:
    """Return layers with like ones together.

    Those are of one kind, of one power of four by the intensity of their arithmetic and by width, and of one of sixteen
    by how many weights an element meets.

    Each returned one stands for `times` layers and has the sums of what they require; `narrow` is their mean by
    multiply-accumulates, in logarithms.
    """
    found: dict[tuple[Any, ...], list[float]] = defaultdict(lambda: [0.0] * 6)
    for layer in layers:
        narrow = min(max(layer.narrow, 1.0), WIDE)
        alike: tuple[Any, ...] = (layer.kind,)
        if layer.kind != OTHER:
            moved = max(layer.elements, 1.0)
            alike += (
                round(log2(max(layer.macs, 1.0) / moved) / 2), round(log2(narrow) / 2),
                round(log2(max(layer.weights, 1.0) / moved) / 4),
            )  # fmt: skip
        macs = layer.macs * layer.times
        sums = (macs, layer.elements * layer.times, layer.written * layer.times,
                layer.weights * layer.times, macs * log(narrow), layer.times)  # fmt: skip
        found[alike] = [a + b for a, b in zip(found[alike], sums, strict=True)]
    return [
        LayerCounts(
            str(alike[0]), macs, elements, written, weights,
            float(np.exp(narrow / macs)) if macs else 0.0, times,
        )
        for alike, (macs, elements, written, weights, narrow, times) in sorted(found.items())
    ]  # fmt: skip


def group_layers(layers: Sequence[LayerCounts]) -> Floats | None:
    """Return the groups of a network, as `LayerGroups.values` has them; None for one without arithmetic.

    Args:
        layers: What `gather_alike` returns.
    """
    macs, weights = sum(each.macs for each in layers), sum(each.weights for each in layers)
    written = activation_elements(layers)
    if not macs or not written:
        return None
    return np.asarray(
        [
            (
                KINDS.index(each.kind), each.macs / macs, each.elements / (2 * written),
                each.weights / max(weights, 1.0), log(each.narrow / WIDE) if each.macs else 0.0, each.times,
            )
            for each in layers
        ]
    )  # fmt: skip


def activation_elements(layers: Sequence[LayerCounts]) -> float:
    """Return the elements that layers with multiply-accumulates write: the network's activations."""
    return sum(each.written for each in layers if each.kind != OTHER)
