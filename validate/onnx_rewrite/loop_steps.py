"""How many steps a Loop makes: by its trip count, or by a condition that counters alone decide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from roofline.compress.reference import compute
from roofline.graph.reading.reads import reads
from roofline.node import Array
from roofline.number_format import plural
from roofline.validate.measuring.backend import UnsupportedModelError
from roofline.validate.onnx_rewrite.scope import Scope, attributes_of, operand

MOST_STEPS = 512
"""Steps up to which a loop is written out."""
_ENDLESS = 1 << 31


def count_steps(scope: Scope, node: Any, body: Any) -> int:
    """Return how many steps a Loop makes.

    Raises:
        UnsupportedModelError: That is not known before the run, or they are too many.
    """
    label = node.name or node.output[0]
    count, condition = operand(node, 0), operand(node, 1)
    limit = _number(scope, count) if count else None
    begins = True if not condition else _find_value(scope, condition)
    if (count and limit is None) or begins is None:
        raise UnsupportedModelError(
            f"the steps of the Loop {label!r} are not known before the run"
        )
    if not np.all(begins) or limit == 0:
        return 0
    if _stays_true(scope, body):
        if limit is None or limit >= _ENDLESS:
            raise UnsupportedModelError(f"the Loop {label!r} never ends by itself")
        check_steps(node, limit)
        return limit
    steps = _count_by_condition(scope, node, body, limit)
    if steps is None:
        raise UnsupportedModelError(
            f"the Loop {label!r} may end early, by a condition in its body"
        )
    return steps


def check_steps(node: Any, steps: int) -> None:
    """Refuse a loop that is too long to be written out.

    Raises:
        UnsupportedModelError: It is.
    """
    if steps > MOST_STEPS:
        raise _too_long(node, plural(steps, "step"))


def _too_long(node: Any, steps: str) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"{node.op_type} {node.name or node.output[0]!r} has {steps}; TVM gets loops written out, of at "
        f"most {MOST_STEPS}"
    )


def _find_value(scope: Scope, name: str) -> Array | None:
    found = scope.find_value(name)
    return scope.value(name) if found is None else found


def _number(scope: Scope, name: str) -> int | None:
    found = _find_value(scope, name)
    return None if found is None else int(found.ravel()[0])


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


def _count_by_condition(scope: Scope, node: Any, body: Any, limit: int | None) -> int | None:
    """Return after how many steps the condition ends a loop; None where more than counters is in it.

    Frameworks write loops over a sequence so: a counter grows until it is the length.
    """
    counter, go, *names = (entry.name for entry in body.input)
    updates = dict(zip(names, (entry.name for entry in body.output[1:]), strict=False))
    state, calls = _what_decides(body, updates)
    given = dict(zip(names, node.input[2:], strict=True))
    inside = {name for call in calls for name in call.output}
    inside |= {counter, go, *names, *(tensor.name for tensor in body.initializer)}
    outside = {name for call in calls for name in reads(call)} - inside
    outside |= {body.output[0].name, *(updates[name] for name in state)} - inside
    values: dict[str, Array] = {}
    for name, source in {
        **{name: name for name in outside},
        **{n: given[n] for n in state},
    }.items():
        found = _find_value(scope, source)
        if found is None:
            return None
        values[name] = found
    most = MOST_STEPS if limit is None else min(limit, MOST_STEPS)
    results = [body.output[0].name, *(updates[name] for name in state)]
    for step in range(most):
        values |= {counter: np.array(step, np.int64), go: np.array(True)}
        made = {**values, **compute(calls, values, results, scope.opsets, body.initializer)}
        if any(name not in made for name in results):
            return None
        if not np.all(made[results[0]]):
            return step + 1
        values |= {name: made[updates[name]] for name in state}
    if limit is None or limit > MOST_STEPS:
        raise _too_long(node, f"more than {MOST_STEPS} steps")
    return limit


def _what_decides(body: Any, updates: Mapping[str, str]) -> tuple[list[str], list[Any]]:
    """Return the carried values that a condition depends on, from step to step, and the calls that make it and them."""
    makers = {name: call for call in body.node for name in call.output}
    wanted, seen = [body.output[0].name], set[str]()
    while wanted:
        name = wanted.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in makers:
            wanted.extend(reads(makers[name]))
        elif name in updates:
            wanted.append(updates[name])
    calls = [call for call in body.node if seen.intersection(call.output)]
    return [name for name in updates if name in seen], calls
