"""Loops and branches written out: the taken branch, and every step of a loop whose number of steps is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from roofline.graph.reading.reads import rename_reads
from roofline.number_format import plural
from roofline.validate.measuring.backend import UnsupportedModelError
from roofline.validate.onnx_rewrite.scope import Scope, attributes_of, operand

MOST_STEPS = 512
"""Steps up to which a loop is written out."""
_ENDLESS = 1 << 31


def take_branch(scope: Scope, node: Any) -> bool:
    """Replace an If whose condition is known by the branch that is taken."""
    chosen = scope.find_value(node.input[0])
    if chosen is None:
        chosen = scope.value(node.input[0])
    if chosen is None:
        return False
    attributes = attributes_of(node)
    branch = attributes["then_branch" if bool(chosen.ravel()[0]) else "else_branch"]
    results = inline(scope, branch, {})
    for name, result in zip(node.output, results, strict=False):
        scope.bind(name, result)
    return True


def unroll_loop(scope: Scope, node: Any) -> bool:
    """Write out every step of a Loop with a known trip count and a condition that stays true."""
    body = attributes_of(node)["body"]
    trips = _trips(scope, node, body)
    carried = list(node.input[2:])
    rows: list[list[str]] = [[] for _ in body.output[1 + len(carried) :]]
    for step in range(trips):
        counter = scope.constant(np.array(step, np.int64), "step")
        true = scope.constant(np.array(True), "true")
        names = [entry.name for entry in body.input]
        results = inline(scope, body, dict(zip(names, [counter, true, *carried], strict=True)))
        carried, made = results[1 : 1 + len(carried)], results[1 + len(carried) :]
        for column, row in zip(rows, made, strict=True):
            column.append(row)
    stacked = [_stack(scope, column, 0, node) for column in rows]
    for name, result in zip(node.output, [*carried, *stacked], strict=False):
        scope.bind(name, result)
    return True


def unroll_scan(scope: Scope, node: Any) -> bool:
    """Write out every step of a Scan."""
    if scope.opset < 9:
        raise UnsupportedModelError("Scan of operator set 8 has a batch dimension of its own")
    attributes = attributes_of(node)
    body, scanned = attributes["body"], attributes["num_scan_inputs"]
    split = len(node.input) - scanned
    carried, slices = list(node.input[:split]), list(node.input[split:])
    axes: list[int] = attributes.get("scan_input_axes") or [0] * scanned
    backwards = attributes.get("scan_input_directions") or [0] * scanned
    trips = scope.shape(slices[0])[axes[0]]
    _check_trips(node, trips)
    rows: list[list[str]] = [[] for _ in body.output[split:]]
    for step in range(trips):
        given = [
            scope.call(
                "Gather", name, _index(scope, trips - 1 - step if back else step), axis=axis
            )
            for name, axis, back in zip(slices, axes, backwards, strict=True)
        ]
        names = [entry.name for entry in body.input]
        results = inline(scope, body, dict(zip(names, [*carried, *given], strict=True)))
        carried = results[:split]
        for column, row in zip(rows, results[split:], strict=True):
            column.append(row)
    reversed_ = attributes.get("scan_output_directions") or [0] * len(rows)
    places = attributes.get("scan_output_axes") or [0] * len(rows)
    stacked = [
        _stack(scope, column[::-1] if back else column, axis, node)
        for column, axis, back in zip(rows, places, reversed_, strict=True)
    ]
    for name, result in zip(node.output, [*carried, *stacked], strict=False):
        scope.bind(name, result)
    return True


def inline(scope: Scope, graph: Any, given: Mapping[str, str]) -> list[str]:
    """Append a subgraph's calls under new names.

    Args:
        scope: Where they are appended.
        graph: The subgraph.
        given: What stands for its inputs.

    Returns:
        What stands for its outputs.
    """
    names: dict[str, Any] = dict(given)
    for tensor in graph.initializer:
        names[tensor.name] = scope.keep(tensor, tensor.name)
    for node in graph.node:
        copy = rename_reads(node, names)
        for position, name in enumerate(node.output):
            if name:
                names[name] = scope.fresh(name)
                copy.output[position] = names[name]
        scope.nodes.append(copy)
    results: list[Any] = [names.get(entry.name, entry.name) for entry in graph.output]
    return results


def _trips(scope: Scope, node: Any, body: Any) -> int:
    count, condition = operand(node, 0), operand(node, 1)
    label = node.name or node.output[0]
    known = None if not count else scope.find_value(count)
    if known is None and count:
        known = scope.value(count)
    if known is None or int(known.ravel()[0]) >= _ENDLESS:
        raise UnsupportedModelError(
            f"the steps of the Loop {label!r} are not known before the run"
        )
    begins = True if not condition else scope.find_value(condition)
    if begins is None and condition:
        begins = scope.value(condition)
    if begins is None or not np.all(begins) or not _stays_true(scope, body):
        raise UnsupportedModelError(
            f"the Loop {label!r} may end early, by a condition in its body"
        )
    trips = int(known.ravel()[0])
    _check_trips(node, trips)
    return trips


def _stays_true(scope: Scope, body: Any) -> bool:
    """Return whether a loop's condition is handed on as it is, or set to a constant that is true."""
    from onnx import numpy_helper

    makers = {name: node for node in body.node for name in node.output}
    stored = {tensor.name: tensor for tensor in body.initializer}
    name = body.output[0].name
    while name in makers and makers[name].op_type in {"Identity", "Cast"}:
        name = makers[name].input[0]
    if name == body.input[1].name:
        return True
    if name in stored:
        return bool(np.all(numpy_helper.to_array(stored[name])))
    if name in makers:
        value = attributes_of(makers[name]).get("value") if not makers[name].input else None
        return value is not None and bool(np.all(numpy_helper.to_array(value)))
    outer = scope.value(name)
    return outer is not None and bool(np.all(outer))


def _check_trips(node: Any, trips: int) -> None:
    if trips > MOST_STEPS:
        raise UnsupportedModelError(
            f"{node.op_type} {node.name or node.output[0]!r} has {plural(trips, 'step')}; TVM gets loops written out,"
            f" of at most {MOST_STEPS}"
        )


def _index(scope: Scope, place: int) -> str:
    return scope.constant(np.array(place, np.int64), "step")


def _stack(scope: Scope, rows: list[str], axis: int, node: Any) -> str:
    if not rows:
        raise UnsupportedModelError(f"the {node.op_type} {node.output[0]!r} has no steps to stack")
    lifted = [scope.call("Unsqueeze", row, scope.whole(axis)) for row in rows]
    return scope.call("Concat", *lifted, axis=axis)
