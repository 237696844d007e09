"""The choices that every count and prediction states: what crosses the memory, which arithmetic, how often weights."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

from roofline.errors import OptionError, did_you_mean, own_spelling
from roofline.surfaces import Argument

E = TypeVar("E", bound=StrEnum)


class Traffic(StrEnum):
    """Which bytes cross the memory interface."""

    WEIGHTS = "weights"
    """Weights once per inference, of tables that are looked up the rows, and what is read and written of a cache."""
    WEIGHTS_IO = "weights_io"
    """Those, and the network's own inputs and outputs."""
    FUSED = "fused"
    """Of every fused layer its weights, inputs, outputs and cache."""
    UNFUSED = "unfused"
    """The same of every ONNX node."""
    RESIDENT = "resident"
    """What a machine's inner memory holds is not charged to the memory outside it: where all of it fits, the network's
    own inputs and outputs alone cross."""


class Operations(StrEnum):
    """Which arithmetic counts."""

    MACS = "macs"
    """Two operations for each multiply-accumulate and nothing else: the papers' convention."""
    ALL = "all"
    """Those, and all other arithmetic."""


class WeightsRead(StrEnum):
    """How often weights cross the memory interface."""

    PER_BATCH = "per-batch"
    PER_ITEM = "per-item"
    """The papers' batch-1 intensity at any batch."""


class Causal(StrEnum):
    """Which scores of causal and windowed attention are counted."""

    VISIBLE = "visible"
    """Those that the mask leaves: half the square and half the diagonal, or the window."""
    FULL = "full"
    """The whole square, as tools count that know no masks."""


def choice(kind: type[E], name: E | str, noun: str, given_by: Argument | None = None) -> E:
    """Return the choice of a name.

    Args:
        kind: The choices there are.
        name: One of them, or its name in whatever capitals.
        noun: What is chosen, for the message.
        given_by: The argument that it is given by, where each surface has one.

    Raises:
        OptionError: There is no such choice.

    Example:
        >>> choice(Operations, "macs", "choice of operations")
        <Operations.MACS: 'macs'>
    """
    if isinstance(name, kind):
        return name
    found = own_spelling(str(name), [entry.value for entry in kind])
    if found is None:
        names = [entry.value for entry in kind if entry.value]
        way = "Use" if given_by is None else f"Use {given_by} with"
        repair = did_you_mean(str(name), names) or f"{way} one of: {', '.join(names)}"
        raise OptionError(f"unknown {noun} {name!r}", repair=repair)
    return kind(found)
