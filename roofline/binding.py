"""What a caller fixes about a graph: sizes and values that it leaves open, and what is counted of masked attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from roofline.conventions import Causal


@dataclass(frozen=True, slots=True)
class Binding:
    """Sizes and values that a graph leaves open.

    Example:
        >>> Binding(batch=8, dims={"sequence": 128}).batch
        8
    """

    batch: int | None = None
    """Leading dimension of every input whose leading dimension is symbolic; None is 1."""
    dims: Mapping[str, int] = field(default_factory=dict[str, int])
    """Sizes of symbolic dimensions by name, and of results whose sizes depend on values by the result's name
    (``name[axis]`` where it has several)."""
    inputs: Mapping[str, tuple[int, ...]] = field(default_factory=dict[str, "tuple[int, ...]"])
    """Whole shapes of inputs by name; an empty one is a scalar."""
    values: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Values of inputs (or of other values of the graph) that decide shapes, branches or trips, by name: a number, or
    a list of them. The name of a Loop gives its trips."""
    bound_sizes: bool = False
    """Whether sizes that depend on values (NonZero, NonMaxSuppression, ...) and are not given are taken at their
    operators' bounds; counts from them are "at most"."""
    causal: Causal = Causal.VISIBLE
    """Which scores of causal and windowed attention are counted."""


UNBOUND = Binding()
"""Nothing is fixed: sizes are the file's own, at batch 1 where it leaves that open."""


def assumed_batch(inputs: Sequence[str]) -> str:
    """Return the words for a batch of 1 that nobody gave.

    Args:
        inputs: Those whose leading dimension is symbolic, each with its symbol.
    """
    return (
        f"batch 1 taken for the symbolic leading dimension of {', '.join(inputs)} "
        "(--batch N changes it)"
    )
