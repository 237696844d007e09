"""All steps of a recurrent layer in one kernel: the loop over time is in the code, whatever its length.

A kernel gets what the inputs add to every gate at every step, and computes the states. Equations:
https://onnx.ai/onnx/operators/onnx__LSTM.html, onnx__GRU.html and onnx__RNN.html.
"""
# Loops and expressions of TVM's builder carry no types.
# pyright: basic

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from roofline.validate.onnx_rewrite.recurrence import Activation, Recurrence
from roofline.validate.tvm.sparse import vector_lanes

# Keeps a kernel from being fused with its neighbours, as it is made of plain loops.
_OPAQUE = 8

# Products of one step from which its columns are spread over cores: starting a parallel loop takes about a microsecond.
_SMALL = 1 << 17


def packed_shape(layer: Recurrence) -> tuple[int, int, int]:
    """Return the shape of recurrent weights as the kernel reads them: [blocks of outputs, hidden, lanes]."""
    # A GRU that resets early multiplies its gates before its candidate: no block may hold outputs of both.
    early = layer.kind == "GRU" and not layer.resets_late
    lanes = vector_lanes(layer.hidden if early else layer.width)
    return layer.width // lanes, layer.hidden, lanes


def recurrent_steps(layer: Recurrence) -> Any:
    """Return the kernel of one direction.

    Its buffers are the rows [steps, batch, width] of what the inputs add, recurrent weights by `packed_shape`, their
    scales and zero points [width] (both read by quantized layers alone), the candidate's recurrent bias [hidden],
    peepholes [3, hidden], the first states [batch, hidden] twice; and the results: all states [steps, batch, hidden],
    the last state and the last cell [batch, hidden].
    """
    builder: Any = importlib.import_module("tvm.script.ir_builder")
    with builder.IRBuilder() as made:
        script = builder.tirx
        with script.prim_func(is_private=True, s_tir=True):
            script.func_name("recurrent_steps")
            _Steps(layer, script).write()
    return made.get()


class _Steps:
    """Writes the kernel of one layer."""

    def __init__(self, layer: Recurrence, script: Any) -> None:
        self._t, self._layer = script, layer
        hidden, batch, width = layer.hidden, layer.batch, layer.width
        stored = "int8" if layer.quantized else layer.dtype

        def declare(name: str, shape: tuple[int, ...], dtype: str = layer.dtype) -> Any:
            return script.arg(name, script.Buffer(shape, dtype))

        self._rows = declare("rows", (layer.steps, batch, width))
        self._weights = declare("weights", packed_shape(layer), stored)
        self._scale = declare("scale", (width,), "float32")
        self._zero = declare("zero", (width,), "int32")
        self._bias = declare("bias", (hidden,))
        self._peepholes = declare("peepholes", (3, hidden))
        self._first = [declare(name, (batch, hidden)) for name in ("state", "cell")]
        self._sequence = declare("sequence", (layer.steps, batch, hidden))
        self._last = [declare(name, (batch, hidden)) for name in ("last_state", "last_cell")]

    def write(self) -> None:
        """Write all steps."""
        t, layer = self._t, self._layer
        t.func_attr({"tirx.noalias": True, "op_pattern": _OPAQUE})
        self._total = t.alloc_buffer((layer.batch, layer.width), layer.dtype)
        self._reset = t.alloc_buffer((layer.batch, layer.hidden), layer.dtype)
        self._integers = t.alloc_buffer((layer.batch, layer.hidden), "int32")
        self._range = t.alloc_buffer((4,), "float32")
        with self._elements() as (n, j):
            for kept, first in zip(self._last, self._first, strict=True):
                t.buffer_store(kept, first[n, j], [n, j])
        with t.serial(0, layer.steps) as count:
            step = layer.steps - 1 - count if layer.backwards else count
            {"LSTM": self._lstm, "GRU": self._gru, "RNN": self._rnn}[layer.kind](step)
            with self._elements() as (n, j):
                t.buffer_store(self._sequence, self._last[0][n, j], [step, n, j])

    def _rnn(self, step: Any) -> None:
        state = self._last[0]
        self._multiply(state, 0, self._layer.width)
        with self._elements() as (n, j):
            value = self._rows[step, n, j] + self._total[n, j]
            self._t.buffer_store(state, self._activate(0, value), [n, j])

    def _lstm(self, step: Any) -> None:
        layer, hidden = self._layer, self._layer.hidden
        state, cell = self._last
        self._multiply(state, 0, layer.width)
        with self._elements() as (n, j):

            def gate(place: int) -> Any:
                column = place * hidden + j
                return self._rows[step, n, column] + self._total[n, column]

            def add_peephole(value: Any, place: int) -> Any:
                return value + cell[n, j] * self._peepholes[place, j] if layer.peepholes else value

            # The gates' order in the file: input, output, forget, cell.
            enter = self._compute_once(self._activate(0, add_peephole(gate(0), 0)))
            forget = (
                self._constant_one() - enter
                if layer.coupled
                else self._activate(0, add_peephole(gate(2), 2))
            )
            fresh = forget * cell[n, j] + enter * self._activate(1, gate(3))
            self._t.buffer_store(cell, fresh, [n, j])
            leave = self._activate(0, add_peephole(gate(1), 1))
            self._t.buffer_store(state, leave * self._activate(2, cell[n, j]), [n, j])

    def _gru(self, step: Any) -> None:
        layer, hidden, late = self._layer, self._layer.hidden, self._layer.resets_late
        state = self._last[0]
        self._multiply(state, 0, layer.width if late else 2 * hidden)

        def gate(n: Any, j: Any, place: int) -> Any:
            column = place * hidden + j
            return self._activate(0, self._rows[step, n, column] + self._total[n, column])

        if not late:
            with self._elements() as (n, j):
                self._t.buffer_store(self._reset, gate(n, j, 1) * state[n, j], [n, j])
            self._multiply(self._reset, 2 * hidden, hidden)
        with self._elements() as (n, j):
            column = 2 * hidden + j
            proposed = self._total[n, column]
            if late:
                proposed = gate(n, j, 1) * (proposed + self._bias[j])
            made = self._activate(1, self._rows[step, n, column] + proposed)
            update = self._compute_once(gate(n, j, 0))
            fresh = (self._constant_one() - update) * made + update * state[n, j]
            self._t.buffer_store(state, fresh, [n, j])

    def _multiply(self, source: Any, first: int, columns: int) -> None:
        """Write a product of [batch, hidden] with some of the weights' columns into the same columns of the total."""
        t, layer = self._t, self._layer
        if layer.quantized:
            self._quantize(source)
        _, depth, lanes = packed_shape(layer)
        sums = "int32" if layer.quantized else layer.dtype
        loop = t.parallel if layer.batch * depth * columns >= _SMALL else t.serial
        operand = self._integers if layer.quantized else source
        begin = first // lanes
        with loop(0, columns // lanes) as o, t.serial(0, layer.batch) as n:
            total = t.alloc_buffer((lanes,), sums, scope="local")
            block = begin + o
            with t.vectorized(0, lanes) as v:
                t.buffer_store(total, self._constant(0, sums), [v])
            with t.serial(0, depth) as k, t.vectorized(0, lanes) as v:
                weight = self._weights[block, k, v]
                if layer.quantized:
                    weight = t.cast(weight, "int32")
                    weight = weight - self._zero[block * lanes + v] if layer.off_centre else weight
                t.buffer_store(total, total[v] + operand[n, k] * weight, [v])
            with t.vectorized(0, lanes) as v:
                value = total[v]
                if layer.quantized:
                    column = block * lanes + v
                    value = t.cast(value, "float32") * (self._range[2] * self._scale[column])
                t.buffer_store(self._total, value, [n, block * lanes + v])

    def _quantize(self, source: Any) -> None:
        """Write the states as 8-bit integers, and their scale; the range contains zero, as in ONNX Runtime."""
        t = self._t
        low, high, scale, middle = ([place] for place in range(4))
        kept = self._range
        zero, one, most = (self._constant(value, "float32") for value in (0, 1, 255))
        t.buffer_store(kept, zero, low)
        t.buffer_store(kept, zero, high)
        with self._elements() as (n, j):
            t.buffer_store(kept, t.min(kept[0], source[n, j]), low)
            t.buffer_store(kept, t.max(kept[1], source[n, j]), high)
        span = kept[1] - kept[0]
        t.buffer_store(kept, t.if_then_else(span > zero, span / most, one), scale)
        # Halves go to the even neighbour.
        centre = t.nearbyint(zero - kept[0] / kept[2])
        t.buffer_store(kept, t.max(zero, t.min(most, centre)), middle)
        with self._elements() as (n, j):
            value = t.nearbyint(source[n, j] / kept[2]) + kept[3]
            value = t.max(zero, t.min(most, value)) - kept[3]
            t.buffer_store(self._integers, t.cast(value, "int32"), [n, j])

    def _activate(self, place: int, value: Any) -> Any:
        layer = self._layer
        # ONNX Runtime clips what goes into the gates, not the cell on its way out.
        if layer.clip is not None and place < 2:
            value = self._t.max(
                self._constant(-layer.clip), self._t.min(self._constant(layer.clip), value)
            )
        activation = layer.activations[place]
        return _ACTIVATIONS[activation.name](
            self._t, self._compute_once(value), activation, self._constant
        )

    def _compute_once(self, value: Any) -> Any:
        """Compute a value once that is read several times."""
        kept = self._t.alloc_buffer((1,), self._layer.dtype, scope="local")
        self._t.buffer_store(kept, value, [0])
        return kept[0]

    def _constant_one(self) -> Any:
        return self._constant(1)

    def _constant(self, value: float, dtype: str = "") -> Any:
        tirx: Any = importlib.import_module("tvm.tirx")
        return tirx.const(value, dtype or self._layer.dtype)

    @contextmanager
    def _elements(self) -> Iterator[tuple[Any, Any]]:
        """Loop over all states of a step."""
        with self._t.serial(0, self._layer.batch) as n, self._t.serial(0, self._layer.hidden) as j:
            yield n, j


Constant = Callable[[float], Any]


def _sigmoid(t: Any, x: Any, _: Activation, constant: Constant) -> Any:
    return constant(1) / (constant(1) + t.exp(constant(0) - x))


def _relu(t: Any, x: Any, _: Activation, constant: Constant) -> Any:
    return t.max(x, constant(0))


def _softsign(t: Any, x: Any, _: Activation, constant: Constant) -> Any:
    return x / (constant(1) + t.fabs(x))


def _softplus(t: Any, x: Any, _: Activation, constant: Constant) -> Any:
    # The larger part is taken out of the logarithm: it would overflow.
    far = t.exp(constant(0) - t.fabs(x))
    return t.max(x, constant(0)) + t.log(constant(1) + far)


def _leaky(t: Any, x: Any, how: Activation, constant: Constant) -> Any:
    return t.if_then_else(x < constant(0), x * constant(how.alpha), x)


def _elu(t: Any, x: Any, how: Activation, constant: Constant) -> Any:
    below = constant(how.alpha) * (t.exp(t.min(x, constant(0))) - constant(1))
    return t.if_then_else(x < constant(0), below, x)


def _hard_sigmoid(t: Any, x: Any, how: Activation, constant: Constant) -> Any:
    line = x * constant(how.alpha) + constant(how.beta)
    return t.max(constant(0), t.min(constant(1), line))


def _affine(_: Any, x: Any, how: Activation, constant: Constant) -> Any:
    return x * constant(how.alpha) + constant(how.beta)


def _threshold(t: Any, x: Any, how: Activation, constant: Constant) -> Any:
    return t.if_then_else(x > constant(how.alpha), x, constant(0))


def _scaled_tanh(t: Any, x: Any, how: Activation, constant: Constant) -> Any:
    return constant(how.alpha) * t.tanh(x * constant(how.beta))


_ACTIVATIONS: dict[str, Callable[[Any, Any, Activation, Constant], Any]] = {
    "Sigmoid": _sigmoid, "Tanh": lambda t, x, *_: t.tanh(x), "Relu": _relu, "Softsign": _softsign,
    "Softplus": _softplus, "LeakyRelu": _leaky, "Elu": _elu, "HardSigmoid": _hard_sigmoid, "Affine": _affine,
    "ThresholdedRelu": _threshold, "ScaledTanh": _scaled_tanh,
}  # fmt: skip
