"""Sequences and optionals: which tensors they hold, as far as the graph tells without running it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from roofline.node import Array, Node, Shape, Tensor
from roofline.ops._attributes import flag, integer, malformed_error, translate_errors
from roofline.ops._datatypes import BOOL, INT64
from roofline.ops._shapes import axis_of

SEQUENCE_OPERATORS = frozenset({
    "SequenceConstruct", "SequenceEmpty", "SequenceInsert", "SequenceErase", "SequenceAt", "SequenceLength",
    "SplitToSequence", "ConcatFromSequence", "Optional", "OptionalGetElement", "OptionalHasElement",
})  # fmt: skip
"""Operators whose operands or results are sequences or optionals; Identity of one keeps its name's contents unknown."""

_MOST = 1 << 16
"""Elements of a sequence that are followed one by one; the length of a longer one counts as unknown."""

Contents = tuple[Tensor, ...] | None
"""The tensors of a sequence in order; None when their number is unknown."""


@dataclass(slots=True)
class Sequences:
    """The contents of every sequence met so far, by the name of its value."""

    _contents: dict[str, Contents] = field(default_factory=dict[str, Contents])
    _empty: set[str] = field(default_factory=set[str])
    """Names of optionals that hold nothing."""

    def contents(self, tensor: Tensor | None) -> Contents:
        """Return what a sequence holds."""
        return None if tensor is None else self._contents.get(tensor.name)

    def remember(self, name: str, contents: Contents) -> None:
        """Note what a sequence holds."""
        self._contents[name] = contents

    def alias(self, tensor: Tensor, name: str) -> None:
        """Let another name stand for a sequence too."""
        if tensor.name in self._contents:
            self._contents[name] = self._contents[tensor.name]
        if tensor.name in self._empty:
            self._empty.add(name)

    def type_results(self, node: Node) -> Node:
        """Return a call on sequences with its results typed; a resulting sequence is remembered."""
        output = node.outputs[0] if node.outputs else None
        if output is None:
            return node
        with translate_errors(node):
            return replace(node, outputs=(self._result(node, output),))

    def _result(self, node: Node, output: Tensor) -> Tensor:
        first = node.operand(0)
        held = self.contents(first)
        match node.op_type:
            case "SequenceLength":
                count = None if held is None else np.array(len(held), np.int64)
                return replace(output, shape=(), dtype=INT64, value=count)
            case "SequenceAt":
                return self._element(output, held, _index(node, 1))
            case "ConcatFromSequence":
                return _join(node, output, held)
            case "OptionalHasElement":
                empty = first is None or first.name in self._empty
                known = None if first is None or first.shape is None else np.array(True)
                return replace(
                    output, shape=(), dtype=BOOL, value=np.array(False) if empty else known
                )
            case "Optional" | "OptionalGetElement":
                self._contents[output.name] = held
                if first is None or first.name in self._empty:
                    self._empty.add(output.name)
                return output if first is None else replace(first, name=output.name, stored=False)
            case _:
                self._contents[output.name] = _change(node, held)
                return output

    def _element(self, output: Tensor, held: Contents, index: int | None) -> Tensor:
        if not held:
            return output
        if index is not None and -len(held) <= index < len(held):
            return replace(held[index], name=output.name, constant=output.constant, stored=False)
        alike = {(tensor.shape, tensor.dtype) for tensor in held}
        if len(alike) == 1:
            return replace(output, shape=held[0].shape, dtype=held[0].dtype)
        return output


def _index(node: Node, position: int) -> int | None:
    value = node.value(position)
    return (
        None
        if value is None or value.size != 1 or value.ravel()[0] is None
        else int(value.ravel()[0])
    )


def _change(node: Node, held: Contents) -> Contents:
    match node.op_type:
        case "SequenceConstruct":
            return tuple(tensor for tensor in node.operands if tensor is not None)
        case "SequenceEmpty":
            return ()
        case "SequenceInsert":
            added = node.operand(1)
            place = len(held or ()) if node.operand(2) is None else _index(node, 2)
            if held is None or added is None or place is None:
                return None
            place = place + len(held) if place < 0 else place
            return (*held[:place], added, *held[place:])
        case "SequenceErase":
            place = len(held or ()) - 1 if node.operand(1) is None else _index(node, 1)
            if not held or place is None:
                return None
            place %= len(held)
            return (*held[:place], *held[place + 1 :])
        case "SplitToSequence":
            return _split(node)
        case _:
            return None


def _split(node: Node) -> Contents:
    source, split = node.operand(0), node.value(1)
    axis = integer(node, "axis", 0)
    if (
        source is None
        or source.shape is None
        or not -len(source.shape) <= axis < len(source.shape)
    ):
        return None
    axis %= len(source.shape)
    total = source.shape[axis]
    if total is None or (node.operand(1) is not None and split is None):
        return None
    keep = flag(node, "keepdims", default=True) or split is not None
    sizes = _part_sizes(node, total, split)
    if sizes is None:
        return None
    before, after = source.shape[:axis], source.shape[axis + 1 :]
    return tuple(
        Tensor(
            f"{source.name}[{place}]", (*before, size, *after) if keep else (*before, *after), source.dtype,
            constant=source.constant,
        )
        for place, size in enumerate(sizes)
    )  # fmt: skip


def _part_sizes(node: Node, total: int, split: Array | None) -> Sequence[int] | None:
    """Return the sizes of the parts of an axis; None when they are more than are worth following one by one."""
    if split is not None and split.ndim:
        sizes = [int(size) for size in split.ravel()]
        if min(sizes, default=0) < 0 or sum(sizes) != total:
            raise malformed_error(
                node, f"its parts must sum to the axis's {total}, they are {sizes[:8]}"
            )
        return sizes
    step = 1 if split is None else int(split)
    if step < 1:
        raise malformed_error(node, f"the size of its parts must be positive, it is {step}")
    if -(-total // step) > _MOST:
        return None
    return [min(step, total - start) for start in range(0, total, step)]


def _join(node: Node, output: Tensor, held: Contents) -> Tensor:
    if not held or held[0].shape is None:
        return output
    first: Shape = held[0].shape
    stacked = flag(node, "new_axis")
    rank = len(first) + int(stacked)
    axis = axis_of(node, integer(node, "axis", 0), rank, scalar=True)
    if any(tensor.shape is not None and len(tensor.shape) != len(first) for tensor in held):
        raise malformed_error(node, "the tensors that it joins must have one rank")
    if stacked:
        shape: Shape = (*first[:axis], len(held), *first[axis:])
    else:
        sizes = [None if tensor.shape is None else tensor.shape[axis] for tensor in held]
        total = None if None in sizes else sum(size for size in sizes if size is not None)
        shape = (*first[:axis], total, *first[axis + 1 :])
    return replace(output, shape=shape, dtype=held[0].dtype)
