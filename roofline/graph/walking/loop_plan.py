"""Loop and Scan brought to one form: what is carried, what is sliced, how many trips."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from roofline.errors import ModelError
from roofline.graph.walking.attribute_types import attribute_values
from roofline.graph.walking.scans import scan_parts
from roofline.graph.walking.scope import Frame
from roofline.graph.walking.walk import Walker
from roofline.node import Array, Tensor

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

_ENDLESS = 1 << 31
"""Exporters write the largest integer as the count of a loop that its condition ends."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A Loop or Scan brought to one form."""

    body: GraphProto
    name: str
    carried: tuple[Tensor, ...]
    """Values at the start of what each trip hands to the next."""
    slices: tuple[Tensor, ...]
    """What each trip reads one step of, with the step's shape."""
    counted: bool
    """Whether the body takes the trip's number and condition, and gives a condition (a Loop)."""
    trips: int | None
    maximum: bool
    """Whether the body's condition can end the loop before its trips are done."""
    stack_axes: tuple[int, ...]
    constant: bool
    """Whether trips and slices depend on no input of the graph."""
    items: int | None = None
    """Size of the batch axis that each result gets in front (Scan of operator set 8)."""


def plan_of(
    walker: Walker, proto: NodeProto, operands: tuple[Tensor | None, ...], name: str, frame: Frame
) -> Plan:
    """Return a loop's parts.

    Raises:
        ModelError: The loop has no body, or its attributes do not fit its operands.
    """
    body = frame.body(proto, "body")
    if proto.op_type == "Loop":
        return _loop(walker, body, operands, name)
    attributes = attribute_values(frame.attributes_of(proto))
    parts = scan_parts(proto, attributes, operands, frame.opsets.get("", 0))
    constant = all(tensor.constant for tensor in parts.slices)
    return Plan(
        body, name, parts.carried, parts.slices, False, parts.trips, False, parts.stack_axes, constant,
        parts.items,
    )  # fmt: skip


def _loop(
    walker: Walker,
    body: GraphProto,
    operands: tuple[Tensor | None, ...],
    name: str,
) -> Plan:
    count, condition = (*operands, None, None)[:2]
    carried = tuple(tensor or Tensor("") for tensor in operands[2:])
    trips = None if count is None else _whole_number(count.value)
    maximum = True
    if condition is not None and condition.value is not None and condition.value.size != 1:
        raise ModelError(f"the condition of the loop {name!r} is not one truth value")
    begins = (
        None if condition is None or condition.value is None else bool(condition.value.ravel()[0])
    )
    if name in walker.values:
        walker.used_values.add(name)
        trips, maximum = int(walker.values[name]), False
    elif begins is False:
        trips = 0
    elif trips is not None and trips >= _ENDLESS:
        trips = None
    elif condition is not None and condition.value is None:
        # The loop may not run at all; a known count is then only its most.
        trips = None
    constant = all(tensor.constant for tensor in (count, condition) if tensor is not None)
    return Plan(
        body, name, carried, (), True, None if trips is None else max(trips, 0), maximum, (), constant
    )  # fmt: skip


def _whole_number(value: Array | None) -> int | None:
    if value is None or value.size != 1 or value.ravel()[0] is None:
        return None
    return int(value.ravel()[0])
