"""A model to be counted, and what is to be said of its counts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from roofline.conventions import Causal
from roofline.errors import OptionError, printable
from roofline.graph.reading.read import read
from roofline.graph.totals.costs import CallCost
from roofline.graph.walking.resolved import ResolvedGraph
from roofline.layer import MIXTURES, Layer
from roofline.number_format import plural
from roofline.ops import Kind
from roofline.reading import quote

if TYPE_CHECKING:
    import onnx


def open_model(model: str | Path | onnx.ModelProto) -> tuple[onnx.ModelProto, str, str]:
    """Return a model, what it is called where nobody says so, and what its counts come from.

    Raises:
        ModelError: The file is absent, or is not a well-formed ONNX model.
        OptionError: It is neither a path nor a model.
    """
    if isinstance(model, (str, Path)):
        path = Path(model)
        return read(model), printable(path.stem), f"counted from {path.name}"
    if not hasattr(model, "graph"):
        raise OptionError(
            f"model is {quote(model)}, not a path or an onnx.ModelProto",
            repair="Give the path of an ONNX file",
        )
    return model, model.graph.name or "model", "counted from a model in memory"


def count_notes(
    graph: ResolvedGraph, costs: Sequence[CallCost], layers: Sequence[Layer], causal: Causal
) -> tuple[str, ...]:
    """Return what is to be said of counts: what was assumed, and where they are upper limits.

    Args:
        graph: The resolved graph.
        costs: What each call computes, of masked attention what its mask leaves.
        layers: The executed calls as layers.
        causal: How masked attention is counted.
    """
    masked = _attention_notes(costs, causal)
    return (*graph.notes, *masked, *_expert_notes(graph), *_limit_notes(layers))


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
