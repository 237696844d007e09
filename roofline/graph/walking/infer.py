"""Types and small values of one call's results."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from roofline.graph.reading.declared import dimensions
from roofline.graph.reading.tensors import MAX_ELEMENTS, check_size
from roofline.node import Array, Node, Tensor
from roofline.ops import Operator
from roofline.ops._attributes import translate_errors
from roofline.ops._datatypes import from_code
from roofline.ops._registry import TensorType

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from onnx import AttributeProto, NodeProto, ValueInfoProto

_MAX_VALUE_ELEMENTS = 4096


def infer_types(node: Node, row: Operator, proto: NodeProto) -> Node:
    """Return a call with its results typed, and valued where they are small and known.

    Args:
        node: The call; its results have names only.
        row: Its row in the operator table.
        proto: The same call in the file, for ONNX's own inference where the table has no shape function.

    Raises:
        ModelError: The operands and attributes break a rule of the operator.
    """
    types = _types(node, row, proto)
    known = len(types)
    outputs: list[Tensor | None] = []
    for place, output in enumerate(node.outputs):
        found = types[place] if place < known else None
        if output is None or found is None:
            outputs.append(output)
            continue
        shape, dtype = found
        if shape is not None:
            _check(shape, output.name)
        outputs.append(Tensor(output.name, shape, dtype, output.constant))
    if row.value is not None and outputs and outputs[0] is not None:
        _add_values(node, row, outputs)
    return Node(
        node.op_type,
        node.name,
        node.operands,
        tuple(outputs),
        node.attributes,
        node.domain,
        node.version,
    )


def _check(shape: tuple[int | None, ...], name: str) -> None:
    total = 1
    for size in shape:
        if size is not None:
            if size < 0:
                total = -1
                break
            total *= size
    if not 0 <= total <= MAX_ELEMENTS:
        check_size(shape, f"the value {name!r}")


def _types(node: Node, row: Operator, proto: NodeProto) -> Sequence[TensorType | None]:
    with translate_errors(node):
        if row.shape is not None:
            return row.shape(node)
        if not node.domain or node.domain.startswith("ai.onnx"):
            from roofline.graph.walking.fallback import onnx_types

            return onnx_types(node, proto)
    return ()


def _add_values(node: Node, row: Operator, outputs: list[Tensor | None]) -> None:
    """Replace results by valued ones where the values are small and known."""
    first = outputs[0]
    if row.value is None or first is None:
        return
    elements = first.elements
    if elements is not None and elements > _MAX_VALUE_ELEMENTS:
        return
    values: Sequence[Array | None] = row.value(node)
    for place, value in enumerate(values[: len(outputs)]):
        output = outputs[place]
        if value is None or output is None or value.size > _MAX_VALUE_ELEMENTS:
            continue
        if output.shape is not None and None not in output.shape and output.shape != value.shape:
            continue
        outputs[place] = replace(output, shape=value.shape, value=value)


def type_filled(node: Node, source: AttributeProto | None) -> Node:
    """Return a ConstantOfShape with its element type, which a numpy array cannot always tell.

    Args:
        node: The typed call.
        source: Its ``value`` as the file holds it.
    """
    first = node.outputs[0] if node.outputs else None
    if source is None or first is None:
        return node
    shape = node.operand(0)
    stored = shape is not None and shape.stored
    dtype = from_code(source.t.data_type) or first.dtype
    return replace(node, outputs=(replace(first, dtype=dtype, stored=stored),))


def annotate(
    node: Node, annotations: Mapping[str, ValueInfoProto], symbols: Mapping[str, int]
) -> Node:
    """Return an unknown operator's call with the types that the file itself states for its results.

    Raises:
        ModelError: A stated size is out of range.
    """
    return replace(
        node,
        outputs=tuple(
            output
            if output is None or output.shape is not None
            else _stated_tensor(output, annotations.get(output.name), symbols)
            for output in node.outputs
        ),
    )


def _stated_tensor(
    output: Tensor, entry: ValueInfoProto | None, symbols: Mapping[str, int]
) -> Tensor:
    if entry is None or not entry.type.tensor_type.HasField("shape"):
        return output
    tensor = entry.type.tensor_type
    dims = tuple(
        size if isinstance(size, int) else symbols.get(size or "")
        for size in dimensions(tensor.shape)
    )
    check_size(dims, f"the value {output.name!r}")
    return replace(output, shape=dims, dtype=from_code(tensor.elem_type))
