"""Loop and Scan brought to one form: what is carried, what is sliced, how many trips."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from roofline.errors import ModelError
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
    trips: int | None
    constant: bool
    """Whether trips and slices depend on no input of the graph."""
    stack_axes: tuple[int, ...] = ()
    """Where each result of the slices gets its steps."""
    counted: bool = False
    """Whether the body takes the trip's number and condition, and gives a condition (a Loop)."""
    maximum: bool = False
    """Whether the body's condition can end the loop before its trips are done."""
    items: int | None = None
    """Size of the batch axis that each result gets in front (Scan of operator set 8)."""


def loop_plan(
    walker: Walker, proto: NodeProto, operands: tuple[Tensor | None, ...], name: str, frame: Frame
) -> Plan:
    """Return a Loop's parts.

    Raises:
        ModelError: The loop has no body, or its condition is not one truth value.
    """
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
        frame.body(proto, "body"), name, carried, (), None if trips is None else max(trips, 0), constant,
        counted=True, maximum=maximum,
    )  # fmt: skip


def _whole_number(value: Array | None) -> int | None:
    if value is None or value.size != 1 or value.ravel()[0] is None:
        return None
    return int(value.ravel()[0])
