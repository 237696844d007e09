"""Resolving a graph: which calls run, how often, and on which shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from roofline.graph.types import ResolvedGraph

if TYPE_CHECKING:
    import onnx


def resolve(
    model: onnx.ModelProto,
    *,
    name: str,
    batch: int | None = None,
    dims: Mapping[str, int] | None = None,
    inputs: Mapping[str, Sequence[int]] | None = None,
    values: Mapping[str, float | Sequence[float]] | None = None,
) -> ResolvedGraph:
    """Return the executed calls of a model with every tensor typed.

    Args:
        model: The model, with or without its weights.
        name: What to call it in the result and in messages.
        batch: Leading dimension of every input whose leading dimension is symbolic; 1 unless given.
        dims: Sizes of symbolic dimensions by name.
        inputs: Whole shapes of inputs by name; an empty one is a scalar.
        values: Values of inputs (or of other small values) that decide shapes, branches or trips, by name.

    Raises:
        DimensionError: A dimension has no size; the message names the input, the dimension and the flag.
        ModelError: The graph breaks a rule of the format.
    """
    raise NotImplementedError
