"""What a caller fixes about a graph's inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


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
    inputs: Mapping[str, Sequence[int]] = field(default_factory=dict[str, "Sequence[int]"])
    """Whole shapes of inputs by name; an empty one is a scalar."""
    values: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Values of inputs (or of other values of the graph) that decide shapes, branches or trips, by name: a number, or
    a list of them. The name of a Loop gives its trips."""
    bound_sizes: bool = False
    """Whether sizes that depend on values (NonZero, NonMaxSuppression, ...) and are not given are taken at their
    operators' bounds."""
