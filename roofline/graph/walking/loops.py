"""Loop and Scan: bodies walked once and counted by their trips, or trip by trip where shapes or branches change.

Spec: https://onnx.ai/onnx/operators/onnx__Loop.html and https://onnx.ai/onnx/operators/onnx__Scan.html.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from roofline.errors import ModelError
from roofline.graph.reading.order import label
from roofline.graph.walking.loop_plan import Plan, loop_plan
from roofline.graph.walking.resolved import ResolvedNode
from roofline.graph.walking.scans import scan_plan
from roofline.graph.walking.scope import Environment, Frame
from roofline.graph.walking.walk import Walker
from roofline.node import Array, Node, Shape, Tensor
from roofline.number_format import plural
from roofline.ops._datatypes import BOOL, INT64

if TYPE_CHECKING:
    from onnx import NodeProto

_MAX_TRIPS_APART = 4096
"""Trips that are walked one by one, when shapes or the end of the loop change from trip to trip."""

_MAX_CALLS_APART = 20_000
_MAX_CALLS_FOR_VALUES = 4000
"""Calls worth walking only to know the values a loop leaves."""

_MAX_NESTED = 6
_UNKNOWN_TRIPS = "its trip count depends on data"


@dataclass(frozen=True, slots=True)
class _Trip:
    """What one walk through the body gave."""

    goes_on: bool | None
    carried: tuple[Tensor, ...]
    rows: tuple[Tensor, ...]
    nodes: tuple[ResolvedNode, ...]


@dataclass(frozen=True, slots=True)
class _Walk:
    """All trips of a loop."""

    trips: int | None
    """None where the count depends on data."""
    carried: tuple[Tensor, ...]
    """The values that the last trip hands out."""
    rows: tuple[Tensor, ...]
    """What each trip gives a row of, with all trips' rows stacked."""
    nodes: tuple[ResolvedNode, ...]


def run_loop(walker: Walker, proto: NodeProto, environment: Environment, frame: Frame) -> None:
    """Walk a loop's body and type the loop's results.

    Raises:
        ModelError: The body does not fit the loop.
    """
    operands = walker.operands(proto, environment)
    name = walker.call_name(proto, frame)
    if frame.loops >= _MAX_NESTED:
        raise ModelError(
            f"{label(proto)} lies in {_MAX_NESTED} loops; more than that are no network's"
        )
    if proto.op_type == "Loop":
        plan = loop_plan(walker, proto, operands, name, frame)
    else:
        plan = scan_plan(proto, operands, name, frame)
    local = name[len(frame.prefix) :]
    walked = _run(walker, plan, environment, frame, local)
    walker.nodes.extend(walked.nodes)
    outputs = _results(walker, proto, plan, walked, frame)
    note = frame.note
    if walked.trips is None:
        note = note or _UNKNOWN_TRIPS
        walker.notes.append(
            f"{label(proto)}: {_UNKNOWN_TRIPS}, so its body is not counted; --value {name}=N gives the trips"
        )
    dynamic = not plan.constant or any(
        tensor is not None and not tensor.constant for tensor in outputs
    )
    outputs = [
        None if tensor is None else replace(tensor, constant=not dynamic) for tensor in outputs
    ]
    node = Node(proto.op_type, name, operands, tuple(outputs), {}, version=frame.opsets.get("", 0))
    walker.emit(node, frame, dynamic=dynamic, note=note)
    walker.bind(proto, outputs, environment, frame)


def _run(walker: Walker, plan: Plan, environment: Environment, frame: Frame, local: str) -> _Walk:
    """Return what the loop gives, its body walked once where every trip is alike."""
    if plan.trips == 0:
        first = _settle(
            walker, plan, environment, frame.inside(local, repeats=0, loops=1, container=plan.name)
        )
        return _of_trip(first, 0, plan.carried, ())
    inner = frame.inside(local, repeats=plan.trips or 1, loops=1, container=plan.name)
    before = (walker.undecided, len(walker.notes))
    trip = _settle(walker, plan, environment, inner)
    if walker.undecided > before[0] and plan.trips is not None:
        # The trip's number, or what it carries, may decide the branches that one walk for all could not.
        found = _decide(walker, plan, environment, frame, local, before)
        if found is not None:
            return found
    steady = _same_shapes(plan.carried, trip.carried) and not _is_unresolved(trip.nodes)
    ends_by_count = plan.trips is not None and (not plan.maximum or trip.goes_on is True)
    if steady and ends_by_count and plan.trips is not None:
        carried = _leave(walker, plan, trip, environment, frame, local)
        return _of_trip(trip, plan.trips, carried, trip.nodes)
    # Without a count and with a condition that stays true there is nothing to find trip by trip.
    endless = plan.trips is None and trip.goes_on is True
    found = None if endless else _walk_trips(walker, plan, environment, frame, local)
    if found is not None:
        return found
    if ends_by_count and plan.trips is not None:
        # The count is sure; what the body works on is not. Its unknown sizes are reported call by call.
        carried = _widen(plan.carried, trip.carried)
        return _of_trip(trip, plan.trips, carried, trip.nodes)
    uncounted = tuple(replace(node, note=node.note or _UNKNOWN_TRIPS) for node in trip.nodes)
    return _of_trip(trip, None, _widen(plan.carried, trip.carried), uncounted)


def _of_trip(
    trip: _Trip, trips: int | None, carried: tuple[Tensor, ...], nodes: tuple[ResolvedNode, ...]
) -> _Walk:
    """Return the trips of a loop that are all as this one."""
    return _Walk(trips, carried, tuple(_stack(row, trips) for row in trip.rows), nodes)


def _decide(
    walker: Walker,
    plan: Plan,
    environment: Environment,
    frame: Frame,
    local: str,
    before: tuple[int, int],
) -> _Walk | None:
    """Walk every trip, and return what was found where that decides every branch.

    Args:
        walker: The walk.
        plan: The loop.
        environment: The values around it.
        frame: Where it lies.
        local: Its name there.
        before: How many branches had been chosen blindly, and how many notes taken, before the loop was met.
    """
    undecided, notes = before
    withdrawn = walker.notes[notes:]
    del walker.notes[notes:]
    blind = walker.undecided
    found = _walk_trips(walker, plan, environment, frame, local)
    if found is not None and walker.undecided == blind:
        walker.undecided = undecided
        return found
    walker.notes[notes:] = withdrawn
    return None


def _settle(walker: Walker, plan: Plan, environment: Environment, frame: Frame) -> _Trip:
    """Walk the body as any trip sees it: carried values unknown, dependence on inputs carried round until it stays."""
    carried = tuple(replace(tensor, value=None) for tensor in plan.carried)
    trip = _trip(walker, plan, environment, frame, carried, None)
    for _ in range(2):
        merged = tuple(
            replace(old, constant=old.constant and new.constant)
            for old, new in zip(carried, trip.carried, strict=True)
        )
        if not _same_shapes(carried, trip.carried):
            merged = _widen(merged, trip.carried)
        if merged == carried:
            break
        carried = merged
        trip = _trip(walker, plan, environment, frame, carried, None)
    return trip


def _walk_trips(
    walker: Walker, plan: Plan, environment: Environment, frame: Frame, local: str
) -> _Walk | None:
    """Walk every trip with its own values; None when the end or a size still depends on data."""
    limit = _MAX_TRIPS_APART if plan.trips is None else plan.trips
    size = max(len(plan.body.node), 1)
    limit = min(limit, _MAX_TRIPS_APART, max(_MAX_CALLS_APART - walker.apart, 0) // size)
    carried, nodes = plan.carried, list[ResolvedNode]()
    rows: list[tuple[Tensor, ...]] = []
    for index in range(limit):
        inner = replace(
            frame.inside(f"{local}[{index}]", loops=1, container=plan.name),
            storage=f"{frame.storage}{local}/",
        )
        walker.apart += size
        trip = _trip(walker, plan, environment, inner, carried, index)
        if plan.maximum and trip.goes_on is None:
            return None
        nodes += trip.nodes
        rows.append(trip.rows)
        carried = trip.carried
        if plan.maximum and trip.goes_on is False:
            break
    else:
        if limit != plan.trips:
            return None
    stacked = tuple(_join_rows(column) for column in zip(*rows, strict=True))
    return _Walk(len(rows), carried, stacked, tuple(nodes))


def _leave(
    walker: Walker, plan: Plan, trip: _Trip, environment: Environment, frame: Frame, local: str
) -> tuple[Tensor, ...]:
    """Return what a steady loop leaves, with values where they are cheap to know."""
    known = any(tensor.value is not None for tensor in plan.carried)
    if known and (plan.trips or 0) * max(len(plan.body.node), 1) <= _MAX_CALLS_FOR_VALUES:
        found = _walk_trips(walker, plan, environment, frame, local)
        if found is not None:
            return found.carried
    return tuple(replace(tensor, value=None) for tensor in trip.carried)


def _trip(
    walker: Walker,
    plan: Plan,
    environment: Environment,
    frame: Frame,
    carried: tuple[Tensor, ...],
    index: int | None,
) -> _Trip:
    body, prefix = plan.body, frame.prefix
    given: list[Tensor] = []
    if plan.counted:
        number: Array | None = None if index is None else np.array(index, np.int64)
        # Inside the body the condition has just been found true.
        given.append(Tensor("", (), INT64, constant=plan.constant, value=number))
        given.append(Tensor("", (), BOOL, constant=plan.constant, value=np.array(True)))
    given += [*carried, *plan.slices]
    if len(given) != len(body.input):
        raise ModelError(
            f"the body of {plan.name!r} takes {plural(len(body.input), 'value')}, the loop hands it {len(given)}"
        )
    named: dict[str, Tensor] = {}
    for entry, tensor in zip(body.input, given, strict=True):
        named[entry.name] = replace(tensor, name=prefix + entry.name, stored=False)
        walker.sequences.alias(tensor, prefix + entry.name)
    with walker.collect() as ran:
        inner = walker.graph(body, named, environment, frame)
    walker.notes.extend(ran.notes)
    found = [inner.find(entry.name) for entry in body.output]
    results = tuple(tensor if tensor is not None else Tensor("") for tensor in found)
    goes_on: bool | None = None
    if plan.counted:
        if not results:
            raise ModelError(f"the body of {plan.name!r} gives no condition")
        value = results[0].value
        goes_on = None if value is None or value.size != 1 else bool(value.ravel()[0])
        results = results[1:]
    if len(results) < len(carried):
        raise ModelError(f"the body of {plan.name!r} gives fewer values than the loop carries")
    return _Trip(goes_on, results[: len(carried)], results[len(carried) :], tuple(ran.nodes))


def _same_shapes(before: tuple[Tensor, ...], after: tuple[Tensor, ...]) -> bool:
    return all(old.shape == new.shape for old, new in zip(before, after, strict=True))


def _widen(before: tuple[Tensor, ...], after: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Return types that hold for both: a dimension that differs is unknown."""
    found: list[Tensor] = []
    for old, new in zip(before, after, strict=True):
        shape: Shape | None = None
        if old.shape is not None and new.shape is not None and len(old.shape) == len(new.shape):
            shape = tuple(a if a == b else None for a, b in zip(old.shape, new.shape, strict=True))
        found.append(replace(old, shape=shape, value=None, constant=old.constant and new.constant))
    return tuple(found)


def _is_unresolved(nodes: tuple[ResolvedNode, ...]) -> bool:
    return any(
        tensor is not None and (tensor.shape is None or None in tensor.shape)
        for resolved in nodes
        for tensor in resolved.node.outputs
    )


def _stack(row: Tensor, trips: int | None) -> Tensor:
    """Return one trip's row as all trips' rows, stacked on a new leading axis."""
    return replace(row, shape=None if row.shape is None else (trips, *row.shape), value=None)


def _join_rows(column: tuple[Tensor, ...]) -> Tensor:
    """Return the rows that trips gave one by one, stacked; they must have one shape."""
    alike = len({tensor.shape for tensor in column}) == 1
    constant = all(tensor.constant for tensor in column)
    first = replace(column[0], constant=constant)
    return _stack(first, len(column)) if alike else replace(first, shape=None, value=None)


def _batch_shape(shape: Shape, items: int, stacked: bool) -> Shape:
    """Return a result's shape with the batch in front; its steps were stacked once for every item."""
    if not stacked:
        return (items, *shape)
    steps = None if shape[0] is None else shape[0] // max(items, 1)
    return (items, steps, *shape[1:])


def _results(
    walker: Walker,
    proto: NodeProto,
    plan: Plan,
    walked: _Walk,
    frame: Frame,
) -> list[Tensor | None]:
    """Return the loop's own results: what is carried out, then the rows of all trips."""
    last, rows = walked.carried, walked.rows
    outputs: list[Tensor | None] = []
    for place, name in enumerate(proto.output):
        if not name:
            outputs.append(None)
            continue
        flat = frame.prefix + name
        row = place - len(last)
        if row >= len(rows):
            raise ModelError(
                f"{label(proto)} gives {plural(len(proto.output), 'result')}, its body {len(last) + len(rows)}"
            )
        source = last[place] if row < 0 else rows[row]
        walker.sequences.alias(source, flat)
        shape = source.shape
        if plan.items is not None and shape is not None:
            shape = _batch_shape(shape, plan.items, row >= 0)
        if row >= 0 and shape and row < len(plan.stack_axes) and plan.stack_axes[row]:
            axis = plan.stack_axes[row] % len(shape)
            rest = shape[1:]
            shape = (*rest[:axis], shape[0], *rest[axis:])
        outputs.append(replace(source, name=flat, shape=shape, stored=False))
    return outputs
