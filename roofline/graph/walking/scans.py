"""The parts of a Scan: what it carries, what it reads step by step, and how many steps there are.

Spec: https://onnx.ai/onnx/operators/onnx__Scan.html
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from roofline.errors import ModelError
from roofline.graph.reading.order import label
from roofline.graph.walking.attribute_types import attribute_values
from roofline.graph.walking.loop_plan import Plan
from roofline.graph.walking.scope import Frame
from roofline.node import Attributes, Tensor
from roofline.number_format import plural

if TYPE_CHECKING:
    from onnx import NodeProto


def scan_plan(
    proto: NodeProto, operands: tuple[Tensor | None, ...], name: str, frame: Frame
) -> Plan:
    """Return a Scan's parts.

    Raises:
        ModelError: The attributes do not fit the operands, or the scanned lengths differ.
    """
    attributes = attribute_values(frame.attributes_of(proto))
    version = frame.opsets.get("", 0)
    count = attributes.get("num_scan_inputs")
    present = [tensor for tensor in operands if tensor is not None]
    if version == 8:
        # Operator set 8 has lengths first and a batch axis before the scanned one.
        present = [tensor for tensor in operands[1:] if tensor is not None]
    if not isinstance(count, int) or not 0 < count <= len(present):
        raise ModelError(
            f"{label(proto)}: attribute 'num_scan_inputs' does not fit its {plural(len(present), 'operand')}"
        )
    carried, scanned = present[: len(present) - count], present[len(present) - count :]
    axes = _axes(proto, attributes, "scan_input_axes") or [0] * count
    if len(axes) != count:
        raise ModelError(
            f"{label(proto)}: attribute 'scan_input_axes' must have "
            f"{plural(count, 'entry', 'entries')}, it has {len(axes)}"
        )
    if version == 8:
        return _batched_plan(proto, carried, scanned, name, frame)
    slices: list[Tensor] = []
    lengths: set[int | None] = set()
    for tensor, axis in zip(scanned, axes, strict=True):
        if tensor.shape is None:
            slices.append(tensor)
            lengths.add(None)
            continue
        if not -len(tensor.shape) <= axis < len(tensor.shape):
            raise ModelError(f"{label(proto)}: axis {axis} is not one of {list(tensor.shape)}")
        place = axis % len(tensor.shape)
        lengths.add(tensor.shape[place])
        shape = (*tensor.shape[:place], *tensor.shape[place + 1 :])
        slices.append(replace(tensor, shape=shape, value=None))
    return Plan(
        frame.body(proto, "body"), name, tuple(carried), tuple(slices), _one_length(proto, lengths),
        all(tensor.constant for tensor in slices), tuple(_axes(proto, attributes, "scan_output_axes")),
    )  # fmt: skip


def _axes(proto: NodeProto, attributes: Attributes, name: str) -> list[int]:
    """Return the axes that an attribute lists; none when it is absent."""
    found: Any = attributes.get(name)
    if found is None:
        return []
    if not isinstance(found, tuple) or not all(
        isinstance(axis, int) for axis in cast("tuple[Any, ...]", found)
    ):
        raise ModelError(f"{label(proto)}: attribute {name!r} must be a list of integers")
    return list(cast("tuple[int, ...]", found))


def _batched_plan(
    proto: NodeProto, carried: list[Tensor], scanned: list[Tensor], name: str, frame: Frame
) -> Plan:
    """Return the parts of a Scan of operator set 8, whose steps run once for each item of the batch."""
    shapes = [tensor.shape for tensor in scanned]
    if any(shape is None or len(shape) < 2 for shape in shapes):
        raise ModelError(
            f"{label(proto)}: scanned operands of operator set 8 have a batch and a step axis"
        )
    batches = {shape[0] for shape in shapes if shape is not None}
    steps = _one_length(proto, {shape[1] for shape in shapes if shape is not None})
    items = batches.pop() if len(batches) == 1 else None
    inner = [
        replace(tensor, shape=tensor.shape and tensor.shape[1:], value=None) for tensor in carried
    ]
    slices = [
        replace(tensor, shape=tensor.shape and tensor.shape[2:], value=None) for tensor in scanned
    ]
    trips = None if steps is None or items is None else steps * items
    return Plan(
        frame.body(proto, "body"), name, tuple(inner), tuple(slices), trips,
        all(tensor.constant for tensor in slices), items=items,
    )  # fmt: skip


def _one_length(proto: NodeProto, lengths: set[int | None]) -> int | None:
    known = {length for length in lengths if length is not None}
    if len(known) > 1:
        raise ModelError(f"{label(proto)} scans operands of different lengths: {sorted(known)}")
    return known.pop() if known else None
