"""LSTM, GRU and RNN as one product for the inputs of all steps, and one operator for all the steps themselves.

The products of all steps with the input's weights, both directions together, are one matrix product, which any runtime
knows how to compute fast; what is left of each direction is `STEPS`, an operator of this program's own.
``DynamicQuantizeLSTM`` of ONNX Runtime keeps its products in integers: every operand is quantized over its whole range
just before its product.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from roofline.node import Array, Attributes
from roofline.validate.measuring.backend import UnsupportedModelError
from roofline.validate.onnx_rewrite.recurrence import DOMAIN, GATES, STEPS, Recurrence, activations
from roofline.validate.onnx_rewrite.scope import Scope, attributes_of, operand


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
    attributes: Attributes
    input_weights: tuple[_Weights, ...]
    recurrent: tuple[_Weights, ...]
    bias: Array
    """Directions × (input biases, recurrent biases)."""
    peepholes: Array | None

    @property
    def width(self) -> int:
        """Outputs of one direction's products: gates times hidden size."""
        return GATES[self.kind] * self.hidden

    def directions(self) -> list[Recurrence]:
        """Return what each direction computes."""
        named = activations(self.kind, len(self.reversed_), self.attributes)
        return [
            Recurrence(
                self.kind, self.steps, self.batch, self.hidden, named[place], self.bias.dtype.name,
                backwards=backwards, resets_late=_resets_late(self),
                coupled=bool(self.attributes.get("input_forget", 0)), peepholes=self.peepholes is not None,
                clip=self.attributes.get("clip"), quantized=self.recurrent[place].scale is not None,
                off_centre=bool(np.any(self.recurrent[place].zero)),
            )
            for place, backwards in enumerate(self.reversed_)
        ]  # fmt: skip


def shorten(scope: Scope, node: Any) -> bool:
    """Replace an LSTM, GRU, RNN or DynamicQuantizeLSTM by a product and the operator of all its steps.

    Raises:
        UnsupportedModelError: Its weights are no constants, or its sequences are of different lengths.
    """
    call = _read(scope, node)
    rows = _project(scope, node, call)
    made: list[list[str]] = []
    for direction, layer in enumerate(call.directions()):
        first = [_initial(scope, operand(node, place), call, direction) for place in (5, 6)]
        kept = _keep_weights(scope, call, direction)
        inputs = [rows[direction], *kept, *first]
        made.append(scope.emit(STEPS, inputs, 3, domain=DOMAIN, layer=layer.to_text()))
    _results(scope, node, call, made)
    return True


def _keep_weights(scope: Scope, call: _Call, direction: int) -> list[str]:
    """Store what a direction's steps read: weights, their scales and zero points, the late bias, peepholes."""
    weights, dtype = call.recurrent[direction], call.bias.dtype
    scale = np.ones(call.width, np.float32) if weights.scale is None else weights.scale
    zero = np.zeros(call.width, np.int32) if weights.zero is None else weights.zero
    late = call.bias[direction][call.width + 2 * call.hidden :][: call.hidden]
    if not _resets_late(call):
        late = np.zeros(call.hidden, dtype)
    peepholes = (
        np.zeros((3, call.hidden), dtype)
        if call.peepholes is None
        else call.peepholes[direction].reshape(3, call.hidden)
    )
    parts = {
        "weights": weights.matrix, "scale": scale.astype(np.float32), "zero": zero.astype(np.int32),
        "late": late, "peepholes": peepholes,
    }  # fmt: skip
    return [scope.constant(array, name) for name, array in parts.items()]


def _read(scope: Scope, node: Any) -> _Call:
    quantized = node.op_type == "DynamicQuantizeLSTM"
    kind = "LSTM" if quantized else node.op_type
    attributes = attributes_of(node)
    batch_first = bool(attributes.get("layout", 0))
    shape = scope.shape(node.input[0])
    batch, steps = (shape[0], shape[1]) if batch_first else (shape[1], shape[0])
    label = node.name or node.output[0]
    lengths = operand(node, 4)
    if lengths:
        known = scope.value(lengths)
        if known is None:
            known = scope.find_value(lengths)
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
        bias = np.zeros((len(reversed_), 2 * GATES[kind] * hidden), dtype)
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


def _around_zero(part: Array) -> Array:
    """Return unsigned integers around 0 instead of around 128: their differences are the same."""
    return (part.astype(np.int16) - 128).astype(np.int8)


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
    if stored.dtype == np.uint8:
        stored, zeros = _around_zero(stored), _around_zero(zeros)
    width = stored.shape[2]

    def wide(part: Array) -> Array:
        return np.ascontiguousarray(np.broadcast_to(part.reshape(-1), (width,)))

    return tuple(
        _Weights(matrix, wide(step), wide(middle))
        for matrix, step, middle in zip(stored, scale, zeros, strict=True)
    )


def _join(parts: tuple[_Weights, ...]) -> _Weights:
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


def _project(scope: Scope, node: Any, call: _Call) -> list[str]:
    """Append the product of all steps with the input's weights; return [steps, batch, width] of each direction."""
    name = node.input[0]
    if call.batch_first:
        name = scope.call("Transpose", name, perm=[1, 0, 2])
    weights = _join(call.input_weights)
    flat = scope.call(
        "Reshape", name, scope.integers(call.steps * call.batch, weights.matrix.shape[0])
    )
    total = weights.product(scope, flat)
    bias = np.concatenate([_outer_bias(call, row) for row in call.bias])
    if bias.any():
        total = scope.call("Add", total, scope.constant(bias, "bias"))
    columns = _cut(scope, total, len(call.reversed_), call.width)
    shape = scope.integers(call.steps, call.batch, call.width)
    return [scope.call("Reshape", column, shape) for column in columns]


def _outer_bias(call: _Call, row: Array) -> Array:
    """Return the biases that need no earlier state: all but, in some GRUs, the candidate's recurrent one."""
    outer, inner = row[: call.width], row[call.width :].copy()
    if _resets_late(call):
        inner[2 * call.hidden :] = 0
    return outer + inner


def _resets_late(call: _Call) -> bool:
    return call.kind == "GRU" and bool(call.attributes.get("linear_before_reset", 0))


def _cut(scope: Scope, name: str, parts: int, size: int) -> list[str]:
    if parts == 1:
        return [name]
    return scope.emit("Split", [name, scope.integers(*[size] * parts)], parts, axis=1)


def _initial(scope: Scope, name: str, call: _Call, direction: int) -> str:
    if not name:
        zeros = np.zeros((call.batch, call.hidden), call.bias.dtype)
        return scope.constant(zeros, "zeros")
    if len(call.reversed_) == 1:
        return scope.call("Reshape", name, scope.integers(call.batch, call.hidden))
    place = scope.constant(np.array(direction, np.int64), "direction")
    return scope.call("Gather", name, place, axis=1 if call.batch_first else 0)


def _rejoin(scope: Scope, parts: list[str], axis: int) -> str:
    return parts[0] if len(parts) == 1 else scope.call("Concat", *parts, axis=axis)


def _results(scope: Scope, node: Any, call: _Call, made: list[list[str]]) -> None:
    names = [*node.output, "", "", ""][:3]
    if names[0]:
        shape = scope.integers(call.steps, 1, call.batch, call.hidden)
        every = [scope.call("Reshape", sequence, shape) for sequence, *_ in made]
        result = _rejoin(scope, every, 1)
        if call.batch_first:
            result = scope.call("Transpose", result, perm=[2, 0, 1, 3])
        scope.bind(names[0], result)
    single = scope.integers(
        *((call.batch, 1) if call.batch_first else (1, call.batch)), call.hidden
    )
    for place, name in enumerate(names[1:], start=1):
        if name:
            ends = [scope.call("Reshape", results[place], single) for results in made]
            scope.bind(name, _rejoin(scope, ends, 1 if call.batch_first else 0))
