"""How the bodies of If, Loop and Scan pass channels on.

Spec: https://onnx.ai/onnx/operators/onnx__If.html, https://onnx.ai/onnx/operators/onnx__Loop.html,
https://onnx.ai/onnx/operators/onnx__Scan.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from roofline.compress.call import Call, Results
from roofline.compress.labels import Axes, fixed_labels
from roofline.graph.reading.reads import subgraphs

Values = dict[str, Axes]


@dataclass(frozen=True, slots=True)
class Passing:
    """How one control-flow operator hands values to its bodies and takes their results."""

    enter: Callable[[Call, Values], None]
    """Label the inputs of the bodies, before these are walked."""
    leave: Callable[[Call, Values], Results]
    """Tie what the bodies give, and return the labels of the call's own results."""


def _tie(call: Call, first: Axes | None, second: Axes | None) -> Axes | None:
    """Tie two values that are the same at run time, one or the other; return the labels of either."""
    if first is None or second is None or len(first) != len(second):
        for axes in (first, second):
            call.fix_all(axes or (), "it passes on a value of unknown rank")
        return None
    for left, right in zip(first, second, strict=True):
        call.tie(left, right)
    return tuple(
        left if len(left) == len(right) else fixed_labels(None)
        for left, right in zip(first, second, strict=True)
    )


def _no_inputs(_call: Call, _values: Values) -> None:
    """A branch of an If takes no inputs."""


def _if(call: Call, values: Values) -> Results:
    """Tie what both branches give."""
    then, other = list(subgraphs(call.node))
    return [
        _tie(call, values.get(first.name), values.get(second.name))
        for first, second in zip(then.output, other.output, strict=True)
    ]


def _loop_enter(call: Call, values: Values) -> None:
    """Hand the initial values to the body."""
    (body,) = subgraphs(call.node)
    for entry in body.input[:2]:
        values[entry.name] = ()
    for position, entry in enumerate(body.input[2:], 2):
        if (axes := values.get(call.operand(position))) is not None:
            values[entry.name] = axes


def _loop(call: Call, values: Values) -> Results:
    """Tie what is carried before and after a trip; rows of all trips are stacked in front."""
    (body,) = subgraphs(call.node)
    carried = [entry.name for entry in body.input[2:]]
    given = [entry.name for entry in body.output[1:]]
    return [
        *_carry(call, values, carried, given),
        *(_stack(values.get(name), 0) for name in given[len(carried) :]),
    ]


def _carry(
    call: Call, values: Mapping[str, Axes], before: Sequence[str], after: Sequence[str]
) -> list[Axes | None]:
    return [
        _tie(call, values.get(first), values.get(second))
        for first, second in zip(before, after, strict=False)
    ]


def _stack(axes: Axes | None, axis: int) -> Axes | None:
    if axes is None:
        return None
    at = axis % (len(axes) + 1)
    return (*axes[:at], fixed_labels(None), *axes[at:])


def _scan_axis(call: Call, name: str, count: int, place: int) -> int:
    axes = call.attribute(name, (0,) * count)
    return int(axes[place])


def _scan_enter(call: Call, values: Values) -> None:
    """Hand the states and slices of the scanned values to the body; the axis that is scanned stays."""
    (body,) = subgraphs(call.node)
    slices = call.integer("num_scan_inputs", 0)
    states = len(body.input) - slices
    for position, entry in enumerate(body.input):
        axes = values.get(call.operand(position))
        if axes is None:
            continue
        if position >= states:
            axis = _scan_axis(call, "scan_input_axes", slices, position - states) % max(
                len(axes), 1
            )
            call.fix(axes[axis], "it runs along these channels")
            axes = (*axes[:axis], *axes[axis + 1 :])
        values[entry.name] = axes


def _scan(call: Call, values: Values) -> Results:
    """Tie what is carried before and after a step; rows of all steps are stacked along their axes."""
    (body,) = subgraphs(call.node)
    states = len(body.input) - call.integer("num_scan_inputs", 0)
    carried = [entry.name for entry in body.input[:states]]
    given = [entry.name for entry in body.output]
    rows = given[states:]
    return [
        *_carry(call, values, carried, given[:states]),
        *(
            _stack(values.get(name), _scan_axis(call, "scan_output_axes", len(rows), place))
            for place, name in enumerate(rows)
        ),
    ]


PASSING: Mapping[str, Passing] = {
    "If": Passing(_no_inputs, _if),
    "Loop": Passing(_loop_enter, _loop),
    "Scan": Passing(_scan_enter, _scan),
}
"""What passes values between a call and its bodies, by operator."""


def find_passing(call: Call) -> Passing | None:
    """Return how a call hands values to its bodies; None for one that holds none, or whose form is not followed."""
    # Scan's first version has a batch axis and lengths of sequences.
    if call.node.domain not in ("", "ai.onnx") or (call.op_type == "Scan" and call.opset < 9):
        return None
    return PASSING.get(call.op_type)
