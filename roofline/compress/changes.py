"""What changes beside the weights: attributes and integer operands that count or number channels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from roofline.compress.bodies import calls
from roofline.compress.coupling._registry import AttributeEdit, Edit, OperandEdit
from roofline.compress.labels import Labels
from roofline.errors import CompressionError
from roofline.node import Tensor

if TYPE_CHECKING:
    import onnx

Keeps = Callable[[Labels], NDArray[np.bool_]]


@dataclass(frozen=True, slots=True)
class AttributeChange:
    """A new value of an attribute."""

    node: int
    name: str
    value: int | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class OperandChange:
    """A new value of an integer operand."""

    node: int
    position: int
    values: tuple[int, ...]


Change = AttributeChange | OperandChange


def changes(
    edits: Iterable[Edit], keeps: Keeps, model: onnx.ModelProto, types: Mapping[str, Tensor]
) -> tuple[Change, ...]:
    """Return the edits of a coupling as new values, for the channels that stay.

    A target shape that is computed from other shapes follows them by itself; only the numbers written in it change.

    Raises:
        CompressionError: Two uses of one computed shape need different numbers in it.
    """
    found: dict[tuple[int, int | str], Change] = {}
    nodes = list(calls(model.graph))
    for edit in edits:
        for change in _resolve(edit, keeps, nodes, types):
            place = (
                change.node,
                change.name if isinstance(change, AttributeChange) else change.position,
            )
            if found.setdefault(place, change) != change:
                node = nodes[change.node]
                raise CompressionError(
                    f"{node.op_type} {node.name} computes a shape that two layers share, and pruning makes them differ"
                )
    return tuple(found.values())


def _resolve(
    edit: Edit, keeps: Keeps, nodes: Sequence[onnx.NodeProto], types: Mapping[str, Tensor]
) -> Iterable[Change]:
    if isinstance(edit, AttributeEdit):
        entries = tuple(
            entry if isinstance(entry, int) else int(keeps(entry).sum()) // edit.per
            for entry in edit.entries
        )
        changed = any(
            not isinstance(entry, int) and not keeps(entry).all() for entry in edit.entries
        )
        return (
            [AttributeChange(edit.node, edit.name, entries[0] if edit.scalar else entries)]
            if changed
            else []
        )
    return _operand(edit, keeps, nodes, types)


def _operand(
    edit: OperandEdit, keeps: Keeps, nodes: Sequence[onnx.NodeProto], types: Mapping[str, Tensor]
) -> Iterable[Change]:
    if edit.indices is not None:
        stays = keeps(edit.indices)
        renumbered, size = np.cumsum(stays) - 1, len(stays)
        at = [value % size for value in edit.values]
        if stays.all():
            return []
        return [
            OperandChange(
                edit.node, edit.position, tuple(int(renumbered[i]) for i in at if stays[i])
            )
        ]
    counts = {
        at: sum(int(keeps(part).sum()) for part in parts) for at, parts in edit.entries.items()
    }
    whole = {at: sum(len(part) for part in parts) for at, parts in edit.entries.items()}
    changed = {at: count for at, count in counts.items() if count != whole[at]}
    if not changed:
        return []
    node = nodes[edit.node]
    name = node.input[edit.position] if edit.position < len(node.input) else ""
    tensor = types.get(name)
    if not name or tensor is None or tensor.constant:
        values = tuple(counts.get(at, value) for at, value in enumerate(edit.values))
        return [OperandChange(edit.node, edit.position, values)]
    return _literals(name, changed, nodes, types)


def _literals(
    name: str,
    changed: Mapping[int, int],
    nodes: Sequence[onnx.NodeProto],
    types: Mapping[str, Tensor],
) -> list[Change]:
    """Return changes of the numbers written into a shape that a Concat puts together."""
    makers = {output: index for index, node in enumerate(nodes) for output in node.output}
    index = makers.get(name)
    while index is not None and nodes[index].op_type in {"Cast", "Identity"}:
        index = makers.get(nodes[index].input[0])
    if index is None or nodes[index].op_type != "Concat":
        return []
    found: list[Change] = []
    start = 0
    for position, part in enumerate(nodes[index].input):
        tensor = types.get(part)
        size = None if tensor is None else tensor.elements
        if tensor is None or size is None:
            break
        wanted = {at - start: count for at, count in changed.items() if start <= at < start + size}
        if wanted and tensor.constant and tensor.value is not None:
            values = [int(value) for value in tensor.value.reshape(-1)]
            found.append(
                OperandChange(
                    index, position, tuple(wanted.get(i, v) for i, v in enumerate(values))
                )
            )
        start += size
    return found
