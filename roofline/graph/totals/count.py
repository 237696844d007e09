"""From a model to everything that is counted about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roofline.graph.fusion import fuse, report
from roofline.graph.reading.read import read
from roofline.graph.totals.census import Census, census
from roofline.graph.totals.costs import call_costs
from roofline.graph.totals.layers import call_layers, group_layers
from roofline.graph.walking.resolve import resolve
from roofline.graph.walking.weights import StoredTotals, reads_of, totals
from roofline.layer import Layer
from roofline.node import Tensor

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, slots=True)
class Counted:
    """A model's counts, in the views that a workload shows."""

    name: str
    model: onnx.ModelProto
    path: Path | None
    source: str
    layers: tuple[Layer, ...]
    fused_layers: tuple[Layer, ...]
    fusions: Mapping[str, int]
    """How many groups each fusion pattern took part in."""
    stored: StoredTotals
    census: Census
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    notes: tuple[str, ...]
    batch: int


def count(
    model: str | Path | onnx.ModelProto,
    *,
    name: str | None = None,
    batch: int | None = None,
    dims: Mapping[str, int] | None = None,
    inputs: Mapping[str, Sequence[int]] | None = None,
    values: Mapping[str, Any] | None = None,
) -> Counted:
    """Read, resolve and count a model.

    Args:
        model: A file, or a model in memory.
        name: What to call it; the file's name without its suffix, or the graph's, unless given.
        batch: Items per inference where the leading dimension is open.
        dims: Sizes of symbolic dimensions by name.
        inputs: Whole shapes of inputs by name.
        values: Values that decide shapes, branches or trips, by name.

    Raises:
        ModelError: The model is not well formed, or a dimension has no size.
    """
    if isinstance(model, (str, Path)):
        path, proto = Path(model), read(model)
        name = name or path.stem
        source = f"counted from {path.name}"
    else:
        path, proto = None, model
        name = name or model.graph.name or "model"
        source = "counted from a model in memory"
    graph = resolve(proto, name=name, batch=batch, dims=dims, inputs=inputs, values=values)
    executed, idle = reads_of(graph)
    costs = call_costs(graph)
    groups = fuse(graph)
    return Counted(
        name,
        proto,
        path,
        source,
        call_layers(graph, costs, executed),
        group_layers(graph, groups, costs, executed),
        report(groups),
        totals([*executed, *idle]),
        census(graph, costs),
        graph.inputs,
        graph.outputs,
        graph.notes,
        graph.batch,
    )
