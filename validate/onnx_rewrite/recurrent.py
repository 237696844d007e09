"""LSTM, GRU and RNN written out step by step in plain products, sums and activations.

The products of all steps with the input's weights, both directions together, are one matrix product; each step then
has the product with the recurrent weights alone. Equations: https://onnx.ai/onnx/operators/onnx__LSTM.html,
onnx__GRU.html and onnx__RNN.html. ``DynamicQuantizeLSTM`` of ONNX Runtime keeps its products in integers: every
operand is quantized over its whole range just before its product.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from roofline.node import Array
from roofline.number_format import plural
from roofline.validate.measuring.backend import UnsupportedModelError
from roofline.validate.onnx_rewrite.control import MOST_STEPS
from roofline.validate.onnx_rewrite.scope import Scope, attributes_of, operand

_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
_DEFAULTS = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}
_PLAIN = ("Sigmoid", "Tanh", "Relu", "Softsign", "Softplus")
_PARAMETRIC = {
    "LeakyRelu": {"alpha": 0.01},
    "Elu": {"alpha": 1.0},
    "HardSigmoid": {"alpha": 0.2, "beta": 0.5},
}
"""Activations with parameters, and the values that hold where the call gives none."""

Activate = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class _Weights:
    """A matrix to multiply with, inputs × outputs, as it is or in 8-bit integers."""

    matrix: Array
    scale: Array | None = None
    """Of every output; None for weights in floating point."""
    zero: Array | None = None

    def product(self, scope: Scope, rows: str) -> str:
        """Append the product of rows with this matrix."""
        if self.scale is None or self.zero is None:
            return scope.call("MatMul", rows, scope.constant(self.matrix, "weights"))
        integers, scale, zero = scope.emit("DynamicQuantizeLinear", [rows], 3)
        operands = [integers, scope.constant(self.matrix, "weights"), zero]
        if self.zero.any():
            operands.append(scope.constant(self.zero, "zero"))
        total = scope.call("Cast", scope.call("MatMulInteger", *operands), to=1)
        step = scope.call("Mul", scale, scope.constant(self.scale, "scale"))
        return scope.call("Mul", total, step)


@dataclass(frozen=True, slots=True)
class _Call:
    """A recurrent layer as the file calls it."""

    kind: str
    steps: int
    batch: int
    hidden: int
    batch_first: bool
    reversed_: tuple[bool, ...]
    """For each direction, whether it begins at the last step."""
    attributes: Mapping[str, Any]
    input_weights: tuple[_Weights, ...]
    recurrent: tuple[_Weights, ...]
    bias: Array
    """Directions × (input biases, recurrent biases)."""
    peepholes: Array | None

    @property
    def width(self) -> int:
        """Outputs of one direction's products: gates times hidden size."""
        return _GATES[self.kind] * self.hidden

    def activations(self, scope: Scope, direction: int) -> list[Activate]:
        """Return what appends each activation of a direction."""
        each = len(_DEFAULTS[self.kind])
        named = self.attributes.get("activations") or _DEFAULTS[self.kind] * len(self.reversed_)
        return [
            # ONNX Runtime clips what goes into the gates, not the cell on its way out.
            _activation(scope, name, self.attributes, clipped=place < 2)
            for place, name in enumerate(named[direction * each : (direction + 1) * each])
        ]


def write_out(scope: Scope, node: Any) -> bool:
    """Replace an LSTM, GRU, RNN or DynamicQuantizeLSTM by the calls of all its steps.

    Raises:
        UnsupportedModelError: Its weights are no constants, it has too many steps, or its sequences are of
            different lengths.
    """
    call = _read(scope, node)
    rows = _projected(scope, node, call)
    sequences: list[str] = []
    lasts: list[list[str]] = []
    for direction, backwards in enumerate(call.reversed_):
        states = [_initial(scope, operand(node, place), call, direction) for place in (5, 6)]
        made: list[str] = []
        step = _steps_of(scope, call, direction)
        order = range(call.steps)
        for place in reversed(order) if backwards else order:
            states = step(rows[direction][place], states)
            made.append(states[0])
        if backwards:
            made.reverse()
        sequences.append(_rejoined(scope, made, 0))
        lasts.append(states)
    _results(scope, node, call, sequences, lasts)
    return True


def _read(scope: Scope, node: Any) -> _Call:
    quantized = node.op_type == "DynamicQuantizeLSTM"
    kind = "LSTM" if quantized else node.op_type
    attributes = attributes_of(node)
    batch_first = bool(attributes.get("layout", 0))
    shape = scope.shape(node.input[0])
    batch, steps = (shape[0], shape[1]) if batch_first else (shape[1], shape[0])
    label = node.name or node.output[0]
    if steps > MOST_STEPS:
        raise UnsupportedModelError(
            f"{node.op_type} {label!r} has {plural(steps, 'step')}; TVM gets them written out, at most {MOST_STEPS}"
        )
    lengths = operand(node, 4)
    if lengths:
        known = scope.value(lengths)
        if known is None:
            known = scope.decided(lengths)
        if known is None or (known != steps).any():
            raise UnsupportedModelError(f"{node.op_type} {label!r} has sequences of other lengths")
    input_weights = _weights(scope, node, 1, 8 if quantized else 0)
    recurrent = _weights(scope, node, 2, 10 if quantized else 0)
    hidden = recurrent[0].matrix.shape[0]
    way = attributes.get("direction", "forward")
    reversed_ = (False, True) if way == "bidirectional" else (way == "reverse",)
    dtype = np.dtype(np.float32) if quantized else input_weights[0].matrix.dtype
    bias = _constant(scope, node, 3)
    if bias is None:
        bias = np.zeros((len(reversed_), 2 * _GATES[kind] * hidden), dtype)
    peepholes = _constant(scope, node, 7) if kind == "LSTM" else None
    return _Call(
        kind, steps, batch, hidden, batch_first, reversed_, attributes, input_weights, recurrent, bias, peepholes,
    )  # fmt: skip


def _constant(scope: Scope, node: Any, place: int) -> Array | None:
    name = operand(node, place)
    if not name:
        return None
    value = scope.value(name)
    if value is None:
        raise UnsupportedModelError(
            f"{node.op_type} {node.name or node.output[0]!r}: its weights {name!r} are no constants"
        )
    return value


def _weights(scope: Scope, node: Any, place: int, scales: int) -> tuple[_Weights, ...]:
    """Return the matrices of all directions; ``scales`` is the operand of quantized weights' scales."""
    stored = _constant(scope, node, place)
    if stored is None:
        raise UnsupportedModelError(f"{node.op_type} {node.output[0]!r} has no weights")
    if not scales:
        return tuple(_Weights(np.ascontiguousarray(matrix.T)) for matrix in stored)
    scale, zero = _constant(scope, node, scales), _constant(scope, node, scales + 1)
    if scale is None:
        raise UnsupportedModelError(f"{node.op_type} {node.output[0]!r} has no scales")
    zeros = np.zeros(scale.shape, stored.dtype) if zero is None else zero
    width = stored.shape[2]

    def wide(part: Array) -> Array:
        return np.ascontiguousarray(np.broadcast_to(part.reshape(-1), (width,)))

    return tuple(
        _Weights(matrix, wide(step), wide(middle))
        for matrix, step, middle in zip(stored, scale, zeros, strict=True)
    )


def _joined(parts: tuple[_Weights, ...]) -> _Weights:
    """Return matrices side by side."""
    if len(parts) == 1:
        return parts[0]
    scales = [part.scale for part in parts if part.scale is not None]
    zeros = [part.zero for part in parts if part.zero is not None]
    return _Weights(
        np.concatenate([part.matrix for part in parts], axis=1),
        np.concatenate(scales) if scales else None,
        np.concatenate(zeros) if zeros else None,
    )


def _projected(scope: Scope, node: Any, call: _Call) -> list[list[str]]:
    """Append the product of all steps with the input's weights; return its rows by direction and step."""
    name = node.input[0]
    if call.batch_first:
        name = scope.call("Transpose", name, perm=[1, 0, 2])
    weights = _joined(call.input_weights)
    flat = scope.call(
        "Reshape", name, scope.whole(call.steps * call.batch, weights.matrix.shape[0])
    )
    total = weights.product(scope, flat)
    bias = np.concatenate([_outer_bias(call, row) for row in call.bias])
    if bias.any():
        total = scope.call("Add", total, scope.constant(bias, "bias"))
    columns = _cut(scope, total, len(call.reversed_), call.width, 1)
    return [_cut(scope, column, call.steps, call.batch, 0) for column in columns]


def _outer_bias(call: _Call, row: Array) -> Array:
    """Return the biases that need no earlier state: all but, in some GRUs, the candidate's recurrent one."""
    outer, inner = row[: call.width], row[call.width :].copy()
    if _resets_late(call):
        inner[2 * call.hidden :] = 0
    return outer + inner


def _resets_late(call: _Call) -> bool:
    return call.kind == "GRU" and bool(call.attributes.get("linear_before_reset", 0))


def _cut(scope: Scope, name: str, parts: int, size: int, axis: int) -> list[str]:
    if parts == 1:
        return [name]
    return scope.emit("Split", [name, scope.whole(*[size] * parts)], parts, axis=axis)


def _initial(scope: Scope, name: str, call: _Call, direction: int) -> str:
    if not name:
        zeros = np.zeros((call.batch, call.hidden), call.bias.dtype)
        return scope.constant(zeros, "zeros")
    if len(call.reversed_) == 1:
        return scope.call("Reshape", name, scope.whole(call.batch, call.hidden))
    place = scope.constant(np.array(direction, np.int64), "direction")
    return scope.call("Gather", name, place, axis=1 if call.batch_first else 0)


def _steps_of(scope: Scope, call: _Call, direction: int) -> Callable[[str, list[str]], list[str]]:
    """Return what appends one step of a direction: from its projected input and states to its new states."""
    build = {"LSTM": _lstm, "GRU": _gru, "RNN": _rnn}[call.kind]
    return build(scope, call, direction)


def _rnn(scope: Scope, call: _Call, direction: int) -> Callable[[str, list[str]], list[str]]:
    (activate,) = call.activations(scope, direction)
    weights = call.recurrent[direction]

    def step(row: str, states: list[str]) -> list[str]:
        return [activate(scope.call("Add", row, weights.product(scope, states[0]))), states[1]]

    return step


def _lstm(scope: Scope, call: _Call, direction: int) -> Callable[[str, list[str]], list[str]]:
    gate, candidate, out = call.activations(scope, direction)
    weights, hidden = call.recurrent[direction], call.hidden
    peepholes = None if call.peepholes is None else call.peepholes[direction].reshape(3, hidden)
    coupled = bool(call.attributes.get("input_forget", 0))

    def peeking(name: str, which: int, cell: str) -> str:
        if peepholes is None or not peepholes[which].any():
            return name
        seen = scope.call("Mul", cell, scope.constant(peepholes[which], "peephole"))
        return scope.call("Add", name, seen)

    def step(row: str, states: list[str]) -> list[str]:
        total = scope.call("Add", row, weights.product(scope, states[0]))
        enter, leave, forget, new = _cut(scope, total, 4, hidden, 1)
        enter = gate(peeking(enter, 0, states[1]))
        own = peeking(forget, 2, states[1])
        forget = _complement(scope, enter, call) if coupled else gate(own)
        kept = scope.call("Mul", forget, states[1])
        cell = scope.call("Add", kept, scope.call("Mul", enter, candidate(new)))
        leave = gate(peeking(leave, 1, cell))
        return [scope.call("Mul", leave, out(cell)), cell]

    return step


def _gru(scope: Scope, call: _Call, direction: int) -> Callable[[str, list[str]], list[str]]:
    gate, candidate = call.activations(scope, direction)
    hidden, weights = call.hidden, call.recurrent[direction]
    late = _resets_late(call)
    gates = _Weights(np.ascontiguousarray(weights.matrix[:, : 2 * hidden]))
    proposal = _Weights(np.ascontiguousarray(weights.matrix[:, 2 * hidden :]))
    bias = call.bias[direction][call.width + 2 * hidden :]

    def step(row: str, states: list[str]) -> list[str]:
        state = states[0]
        both, new = scope.emit("Split", [row, scope.whole(2 * hidden, hidden)], 2, axis=1)
        if late:
            product = weights.product(scope, state)
            sides = [product, scope.whole(2 * hidden, hidden)]
            inner, proposed = scope.emit("Split", sides, 2, axis=1)
            if bias.any():
                proposed = scope.call("Add", proposed, scope.constant(bias, "bias"))
        else:
            inner, proposed = gates.product(scope, state), ""
        update, reset = _cut(scope, gate(scope.call("Add", both, inner)), 2, hidden, 1)
        if late:
            proposed = scope.call("Mul", reset, proposed)
        else:
            proposed = proposal.product(scope, scope.call("Mul", reset, state))
        made = candidate(scope.call("Add", new, proposed))
        fresh = scope.call("Mul", _complement(scope, update, call), made)
        return [scope.call("Add", fresh, scope.call("Mul", update, state)), states[1]]

    return step


def _complement(scope: Scope, gate: str, call: _Call) -> str:
    return scope.call("Sub", scope.constant(np.ones((), call.bias.dtype), "one"), gate)


def _activation(
    scope: Scope, name: str, attributes: Mapping[str, Any], *, clipped: bool
) -> Activate:
    known = {one.lower(): one for one in (*_PLAIN, *_PARAMETRIC)}
    operator = known.get(name.lower())
    given = "activation_alpha" in attributes or "activation_beta" in attributes
    if operator is None or (operator in _PARAMETRIC and given):
        wanted = f"{name} with parameters of its own" if operator else name
        raise UnsupportedModelError(f"a recurrent layer has the activation {wanted}")
    parameters = _PARAMETRIC.get(operator, {})
    clip = attributes.get("clip")

    def activate(value: str) -> str:
        if clip is not None and clipped:
            bounds = [scope.constant(np.array(side, np.float32), "clip") for side in (-clip, clip)]
            value = scope.call("Clip", value, *bounds)
        return scope.call(operator, value, **parameters)

    return activate


def _rejoined(scope: Scope, parts: list[str], axis: int) -> str:
    return parts[0] if len(parts) == 1 else scope.call("Concat", *parts, axis=axis)


def _results(
    scope: Scope, node: Any, call: _Call, sequences: list[str], lasts: list[list[str]]
) -> None:
    names = [*node.output, "", "", ""][:3]
    if names[0]:
        shape = scope.whole(call.steps, 1, call.batch, call.hidden)
        every = [scope.call("Reshape", name, shape) for name in sequences]
        result = _rejoined(scope, every, 1)
        if call.batch_first:
            result = scope.call("Transpose", result, perm=[2, 0, 1, 3])
        scope.bind(names[0], result)
    single = scope.whole(*((call.batch, 1) if call.batch_first else (1, call.batch)), call.hidden)
    for place, name in enumerate(names[1:]):
        if name:
            ends = [scope.call("Reshape", states[place], single) for states in lasts]
            scope.bind(name, _rejoined(scope, ends, 1 if call.batch_first else 0))
