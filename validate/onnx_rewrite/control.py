"""Loops and branches written out: the taken branch, and every step of a loop whose number of steps is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from roofline.graph.reading.reads import rename_reads
from roofline.validate.measuring.backend import UnsupportedModelError
from roofline.validate.onnx_rewrite.loop_steps import check_steps, count_steps
from roofline.validate.onnx_rewrite.scope import Scope, attributes_of


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
    """Write out every step of a Loop whose number of steps is known before the run."""
    body = attributes_of(node)["body"]
    trips = count_steps(scope, node, body)
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
    check_steps(node, trips)
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


def _index(scope: Scope, place: int) -> str:
    return scope.constant(np.array(place, np.int64), "step")


def _stack(scope: Scope, rows: list[str], axis: int, node: Any) -> str:
    if not rows:
        raise UnsupportedModelError(f"the {node.op_type} {node.output[0]!r} has no steps to stack")
    lifted = [scope.call("Unsqueeze", row, scope.integers(axis)) for row in rows]
    return scope.call("Concat", *lifted, axis=axis)
