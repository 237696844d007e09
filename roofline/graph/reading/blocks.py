"""How many channels of ONNX Runtime's blocks (NCHWc) are the network's own, where the file tells it.

ONNX Runtime fills channels up to whole blocks of 8 or 16 as it saves a model, in the weights and biases of both sides
of a value. What is the network's own shows where the file states the shape of the value that a call was made for, where
a value leaves the blocks (`ReorderOutput` states it), where the bias was left as it was, where groups or a
concatenation need whole blocks, and in every value of the same channels. The values of weights, zero where they fill
up, are not read.

Source: onnxruntime/core/optimizer/nchwc_transformer.cc.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

DOMAIN = "com.microsoft.nchwc"
_SUFFIX = "_nchwc"
"""What ONNX Runtime puts behind the name of a call's result to name the call over blocks that it makes of it."""
_MADE = "reorder"
"""How ONNX Runtime begins the names of the weights and biases it writes anew."""


def own_channels(graph: GraphProto) -> Mapping[str, int]:
    """Return the network's own channels of results of blocked convolutions, by name, where they are known.

    Example:
        >>> from onnx import GraphProto
        >>> own_channels(GraphProto())
        {}
    """
    if not any(node.domain == DOMAIN for node in graph.node):
        return {}
    alike = _ChannelForest()
    declared = _declared_channels(graph)
    stored = {entry.name: tuple(entry.dims) for entry in graph.initializer}
    convolved: dict[str, int] = {}
    known: dict[str, int] = {}
    blocked: set[str] = set()
    whole: set[str] = set()
    for node in graph.node:
        if not node.output:
            continue
        inside = [name for name in node.input if name in blocked]
        if node.domain == DOMAIN and node.name.endswith(_SUFFIX):
            channels = declared.get(node.name.removesuffix(_SUFFIX))
            if channels is not None:
                known[node.output[0]] = channels
        if node.domain == DOMAIN and node.op_type == "ReorderOutput":
            known.update(dict.fromkeys(inside, _integer(node, "channels")))
            continue
        if node.domain == DOMAIN and node.op_type == "Conv" and len(node.input) > 1:
            shape = stored.get(node.input[1], ())
            if len(shape) == 4:
                convolved[node.output[0]] = shape[0]
                _convolution(node, shape, known, alike)
        elif node.domain != DOMAIN and node.op_type == "Concat":
            whole.update(inside)
        elif inside:
            alike.join([*inside, node.output[0]])
        if node.domain == DOMAIN or inside:
            blocked.add(node.output[0])
    # Only values without fill-ups are put side by side.
    unfilled = {alike.root(name) for name in whole}
    known.update({name: size for name, size in convolved.items() if alike.root(name) in unfilled})
    by_class = {alike.root(name): channels for name, channels in known.items()}
    return {
        name: channels
        for name, filled in convolved.items()
        if 0 < (channels := by_class.get(alike.root(name), 0)) <= filled
    }


def _declared_channels(graph: GraphProto) -> Mapping[str, int]:
    """Return the channels of values whose shape the file states: ONNX Runtime keeps what the model stated before."""
    found: dict[str, int] = {}
    for entry in graph.value_info:
        sizes = entry.type.tensor_type.shape.dim
        if len(sizes) == 4 and sizes[1].dim_value > 0:
            found[entry.name] = sizes[1].dim_value
    return found


def _convolution(
    node: NodeProto, weight: tuple[int, ...], known: dict[str, int], alike: _ChannelForest
) -> None:
    out, groups = node.output[0], _integer(node, "group", 1)
    if groups > 1 and weight[1] == 1 and groups == weight[0]:
        alike.join([node.input[0], out])
    elif groups > 1:
        known[out] = weight[0]
    if len(node.input) > 3 and node.input[3]:
        alike.join([node.input[3], out])
    bias = node.input[2] if len(node.input) > 2 else ""
    # The weight's name shows that names are as ONNX Runtime gave them; it keeps a bias that needs no filling up.
    if bias and node.input[1].startswith(_MADE) and not bias.startswith(_MADE):
        known[out] = weight[0]


def _integer(node: NodeProto, name: str, default: int = 0) -> int:
    return next((entry.i for entry in node.attribute if entry.name == name), default)


@dataclass(slots=True)
class _ChannelForest:
    """Names of values that have the same channels, as a forest."""

    parent: dict[str, str] = field(default_factory=dict[str, str])

    def root(self, name: str) -> str:
        while (above := self.parent.get(name, name)) != name:
            self.parent[name] = name = self.parent.get(above, above)
        return name

    def join(self, names: Iterable[str]) -> None:
        first, *others = names
        for other in others:
            self.parent[self.root(other)] = self.root(first)
