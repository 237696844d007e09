"""From a model to everything that is counted about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from roofline.binding import UNBOUND, Binding
from roofline.conventions import Causal
from roofline.errors import OptionError, printable
from roofline.graph.fusion import fuse, report
from roofline.graph.reading.read import read
from roofline.graph.totals.costs import CallCost, call_cost, call_costs, unmask
from roofline.graph.totals.layers import call_layers, group_layers
from roofline.graph.totals.liveness import Activations, activations
from roofline.graph.walking.resolve import resolve
from roofline.graph.walking.resolved import ResolvedGraph
from roofline.graph.walking.weights import StoredTotals, reads_of, totals
from roofline.layer import MIXTURES, Layer
from roofline.node import Tensor
from roofline.number_format import plural
from roofline.ops import Kind
from roofline.reading import quote

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, slots=True)
class GraphCount:
    """A model's counts, in the views that a workload shows."""

    name: str
    model: onnx.ModelProto
    path: Path | None
    source: str
    layers: tuple[Layer, ...]
    untaken: tuple[Layer, ...]
    """The calls of branches that are not taken, which store weights too."""
    fused_layers: tuple[Layer, ...]
    fusions: Mapping[str, int]
    """How many groups each fusion pattern took part in."""
    stored: StoredTotals
    written: Activations
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    notes: tuple[str, ...]
    batch: int
    batch_assumed_for: tuple[str, ...]


def count(
    model: str | Path | onnx.ModelProto,
    *,
    name: str | None = None,
    binding: Binding = UNBOUND,
    fused: bool = True,
) -> GraphCount:
    """Read, resolve and count a model.

    Args:
        model: A file, or a model in memory.
        name: What to call it; the file's name without its suffix, or the graph's, unless given.
        binding: Sizes and values that the model leaves open, and what is counted of masked attention.
        fused: Whether the calls are wanted as runtimes fuse them, too; that takes a third of the time.

    Raises:
        ModelError: The model is not well formed, or a dimension has no size.
        OptionError: It is neither a path nor a model.
    """
    path = Path(model) if isinstance(model, (str, Path)) else None
    proto, own_name, source = _open(model)
    name = name or own_name
    graph = resolve(proto, name=name, binding=binding)
    executed, idle = reads_of(graph)
    exact = call_costs(graph)
    costs = unmask(exact) if binding.causal is Causal.FULL else exact
    groups = fuse(graph) if fused else ()
    layers = call_layers(graph, costs, executed)
    return GraphCount(
        name,
        proto,
        path,
        source,
        layers,
        call_layers(
            replace(graph, nodes=graph.idle), [call_cost(call) for call in graph.idle], idle
        ),
        group_layers(graph, groups, costs, executed),
        report(groups),
        totals([*executed, *idle]),
        activations(graph),
        graph.inputs,
        graph.outputs,
        (
            *graph.notes,
            *_attention_notes(exact, binding.causal),
            *_expert_notes(graph),
            *_limit_notes(layers),
        ),
        graph.batch,
        graph.batch_assumed_for,
    )


def _open(model: str | Path | onnx.ModelProto) -> tuple[onnx.ModelProto, str, str]:
    """Return a model, what it is called where nobody says so, and what its counts come from."""
    if isinstance(model, (str, Path)):
        path = Path(model)
        return read(model), printable(path.stem), f"counted from {path.name}"
    if not hasattr(model, "graph"):
        raise OptionError(
            f"model is {quote(model)}, not a path or an onnx.ModelProto",
            repair="Give the path of an ONNX file",
        )
    return model, model.graph.name or "model", "counted from a model in memory"


def _attention_notes(costs: Sequence[CallCost], causal: Causal) -> list[str]:
    """Return how masked attention was counted, where there is any."""
    masked = sum(call.cost.masked_macs for call in costs)
    if not masked:
        return []
    if causal is Causal.FULL:
        return ["causal and windowed attention is counted by its full square"]
    return [
        "causal and windowed attention is counted by the scores that its mask leaves "
        f"({plural(masked, 'MAC')} less than the full square; --causal full counts them)"
    ]


def _limit_notes(layers: Sequence[Layer]) -> list[str]:
    """Return which counts are upper limits, and why."""
    found: dict[str, list[str]] = {}
    for layer in layers:
        if layer.at_most and layer.kind is not Kind.VIEW and not layer.unknown:
            found.setdefault(layer.note, []).append(layer.name)
    return [
        f"{note} ({plural(len(names), 'layer')}, the first {names[0]!r})"
        for note, names in found.items()
    ]


def _expert_notes(graph: ResolvedGraph) -> list[str]:
    if not any(resolved.node.op_type in MIXTURES for resolved in graph.nodes):
        return []
    return [
        "of mixtures of experts the weights are those of the experts that the tokens are expected to reach, "
        "each choosing uniformly; no bound where routing is skewed"
    ]
