"""One node as a coupling rule sees it, and what rules say about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import onnx

from roofline.compress.labels import Atoms, Axes, Labels, fixed_labels
from roofline.graph.reading.reads import reads, subgraphs
from roofline.node import Array, Tensor
from roofline.precision import NUMBERS, DatatypeKind

Results = Sequence["Axes | None"]


@dataclass(frozen=True, slots=True)
class AttributeEdit:
    """An integer attribute, or list of them, that depends on how many channels stay."""

    node: int
    name: str
    entries: tuple[Labels | int, ...]
    """Each entry is a number, or labels of which the kept ones are counted."""
    scalar: bool
    per: int = 1
    """Each count is divided by this."""


@dataclass(frozen=True, slots=True)
class OperandEdit:
    """Entries of an integer operand (a target shape, bounds, sizes) that depend on how many channels stay."""

    node: int
    position: int
    entries: Mapping[int, tuple[Labels, ...]]
    """For each entry of the operand: labels of which the kept ones are counted."""
    values: tuple[int, ...]
    """The operand's present value."""
    indices: Labels | None = None
    """Labels of the axis that the operand's values index; the values are renumbered."""


Edit = AttributeEdit | OperandEdit


@dataclass(frozen=True, slots=True)
class Producer:
    """A layer whose filters make channels."""

    node: str
    """The layer's name."""
    tensor: str
    """The weight tensor, or the value made from it."""
    axis: int
    labels: Labels = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Obstacle:
    """An operator whose coupling is unknown, and the labels it touches."""

    op_type: str
    node: str
    why: str
    labels: tuple[Labels, ...] = field(compare=False, repr=False)


class Call:
    """One node as a rule sees it: the labels of its operands, its attributes, and ways to tie, fix and edit.

    Args:
        node: The node.
        index: Its position in the graph.
        types: Shapes, datatypes and small values of the graph's values.
        values: Labels of the values met so far; stored tensors get theirs here on first use.
        state: What the pass collects.
        opset: Version of the node's operator set.
    """

    def __init__(
        self, node: onnx.NodeProto, index: int, types: Mapping[str, Tensor], values: dict[str, Axes],
        state: State, opset: int,
    ) -> None:  # fmt: skip
        self.node = node
        self.op_type = node.op_type
        self.index = index
        self.opset = opset
        self.name = layer_name(node)
        self._types = types
        self._values = values
        self._state = state
        self.atoms = state.atoms
        self._attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}

    def has(self, position: int) -> bool:
        """Return whether the operand at a position is given."""
        return position < len(self.node.input) and bool(self.node.input[position])

    def operand(self, position: int) -> str:
        """Return the name of the operand at a position; empty when absent."""
        return self.node.input[position] if position < len(self.node.input) else ""

    def axes(self, position: int) -> Axes:
        """Return the labels of an operand; an absent one has no axes."""
        return self._values.get(self.operand(position), ())

    def is_stored(self, position: int) -> bool:
        """Return whether an operand is made of stored weights."""
        tensor = self._types.get(self.operand(position))
        return tensor is not None and tensor.constant

    def value(self, position: int) -> Array | None:
        """Return the value of an operand when it is known completely."""
        tensor = self._types.get(self.operand(position))
        value = None if tensor is None else tensor.value
        if value is None or (value.dtype == object and any(entry is None for entry in value.flat)):
            return None
        return value

    def integers(self, position: int) -> tuple[int, ...] | None:
        """Return the value of an integer operand, flat, or None when it is not known."""
        value = self.value(position)
        return None if value is None else tuple(int(entry) for entry in value.reshape(-1))

    def output_axes(self, position: int = 0) -> Axes | None:
        """Return fixed labels in the shape of a result, or None when its rank is unknown."""
        name = self.node.output[position]
        shape = getattr(self._types.get(name), "shape", None)
        return None if shape is None else tuple(fixed_labels(size) for size in shape)

    def output_shape(self, position: int = 0) -> tuple[int, ...] | None:
        """Return the shape of a result, or None when a dimension of it is unknown."""
        tensor = self._types.get(self.node.output[position])
        if tensor is None or tensor.shape is None or None in tensor.shape:
            return None
        return tuple(size for size in tensor.shape if size is not None)

    def attribute(self, name: str, default: Any = None) -> Any:
        """Return an attribute, or the default."""
        return self._attributes.get(name, default)

    def integer(self, name: str, default: int) -> int:
        """Return an integer attribute, or the default."""
        return int(self._attributes.get(name, default))

    def tie(self, first: Labels, second: Labels) -> None:
        """Make the positions of two axes go together."""
        self.atoms.tie(
            first, second, f"{self.op_type} {self.name} joins it with an axis that is not pruned"
        )

    def fix(self, labels: Labels, why: str) -> None:
        """Make the positions of an axis stay."""
        if labels.any():
            self.atoms.fix(labels, f"{self.op_type} {self.name}: {why}")

    def fix_all(self, axes: Axes, why: str) -> None:
        """Make every position of a tensor stay."""
        for labels in axes:
            self.fix(labels, why)

    def tie_rows(self, rows: Labels) -> Labels:
        """Make the rows of a block of labels go together, and return the first."""
        for row in rows[1:]:
            self.tie(rows[0], row)
        return rows[0]

    def all_output_axes(self) -> Results:
        """Return fixed labels in the shapes of all results."""
        return [self.output_axes(i) if name else None for i, name in enumerate(self.node.output)]

    def keep_whole(self, why: str) -> Results:
        """Make every position of every operand stay."""
        for position in range(len(self.node.input)):
            self.fix_all(self.axes(position), why)
        return self.all_output_axes()

    def fresh(self, count: int) -> Labels:
        """Return new labels."""
        return self.atoms.fresh(count)

    def produce(self, position: int, axis: int) -> None:
        """Say that filters stored in an operand, one per position of an axis, make channels."""
        labels = self.axes(position)[axis]
        if labels.any():
            self._state.producers.append(Producer(self.name, self.operand(position), axis, labels))

    def count_attribute(self, name: str, labels: Labels, per: int = 1) -> None:
        """Say that an integer attribute is the number of kept labels, divided by ``per``."""
        if labels.any():
            self._state.edits.append(
                AttributeEdit(self.index, name, (labels,), scalar=True, per=per)
            )

    def list_attribute(self, name: str, entries: Sequence[Labels | int]) -> None:
        """Say that a list attribute holds numbers and counts of kept labels."""
        if any(not isinstance(entry, int) and entry.any() for entry in entries):
            self._state.edits.append(AttributeEdit(self.index, name, tuple(entries), scalar=False))

    def count_entries(
        self, position: int, values: Sequence[int], entries: Mapping[int, tuple[Labels, ...]]
    ) -> None:
        """Say that entries of an integer operand are numbers of kept labels."""
        counted = {at: parts for at, parts in entries.items() if any(part.any() for part in parts)}
        if counted:
            self._state.edits.append(OperandEdit(self.index, position, counted, tuple(values)))

    def renumber(self, position: int, values: Sequence[int], labels: Labels) -> None:
        """Say that an integer operand holds positions of a labelled axis."""
        if labels.any():
            self._state.edits.append(OperandEdit(self.index, position, {}, tuple(values), labels))

    def weight_like(self) -> bool:
        """Return whether the first result has a datatype that weights have."""
        tensor = self._types.get(self.node.output[0])
        return tensor is not None and holds_weights(tensor)

    def shuffles(self) -> bool:
        """Return whether the first result is only transposed and reshaped again."""
        uses = self._state.uses
        onward = uses.get(self.node.output[0], ())
        return bool(onward) and all(
            node.op_type == "Transpose"
            and all(
                after.op_type in {"Reshape", "Flatten"} for after in uses.get(node.output[0], ())
            )
            for node in onward
        )

    def block(self, why: str) -> Results:
        """Say that the coupling is unknown: pruning is refused if it would touch this node."""
        touched = [self._values[name] for name in reads(self.node) if name in self._values]
        labels = tuple(axis for axes in touched for axis in axes if axis.any())
        if labels:
            self._state.blocked.append(Obstacle(self.op_type, self.name, why, labels))
        return self.all_output_axes()


@dataclass(slots=True)
class State:
    """What one pass collects; it lives as long as the pass."""

    uses: Mapping[str, Sequence[onnx.NodeProto]] = field(
        default_factory=dict[str, Sequence[onnx.NodeProto]]
    )
    """The nodes that read each value, by an operand or in a subgraph."""
    atoms: Atoms = field(default_factory=Atoms)
    producers: list[Producer] = field(default_factory=list[Producer])
    blocked: list[Obstacle] = field(default_factory=list[Obstacle])
    edits: list[Edit] = field(default_factory=list[Edit])


def layer_name(node: onnx.NodeProto) -> str:
    """Return a node's name, or the name of its first result when it has none."""
    return node.name or next((name for name in node.output if name), node.op_type)


def inner_nodes(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Return the nodes of a node's subgraphs, at every depth."""
    return [
        found
        for graph in subgraphs(node)
        for inner in graph.node
        for found in (inner, *inner_nodes(inner))
    ]


def holds_weights(tensor: Tensor) -> bool:
    """Return whether a tensor has a datatype that weights have."""
    if tensor.dtype is None or tensor.dtype.kind not in NUMBERS:
        return False
    # 64-bit integers steer (shapes, axes, indices); they are never weights.
    return tensor.dtype.kind is DatatypeKind.FLOAT or tensor.dtype.bits < 64
