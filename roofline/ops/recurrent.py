"""Recurrent networks, over all steps, directions and gates.

MACs are ``T x B x (elements of W + elements of R)``. The other operations per step, batch item,
direction and hidden unit: the input's and state's parts and the biases are summed (2 per gate: one
sum, one bias), the activations cost their own, and the state's update is counted as the spec's
equations write it.

Spec: https://onnx.ai/onnx/operators/onnx__LSTM.html,
https://onnx.ai/onnx/operators/onnx__GRU.html, https://onnx.ai/onnx/operators/onnx__RNN.html
"""

from __future__ import annotations

from collections.abc import Sequence

from roofline.cost import Cost
from roofline.node import Node
from roofline.ops._attributes import choice, flag, malformed_error, maybe_integer, texts
from roofline.ops._counts import has, in_dims, input_elements
from roofline.ops._registry import MICROSOFT, TensorType, define
from roofline.ops._shapes import Dim, divide, dtype, merge, ranked_shape
from roofline.ops.activation import OPS_PER_ELEMENT
from roofline.ops.matmul import DYNAMIC_QUANTIZE

_GATES = {"RNN": 1, "GRU": 3, "LSTM": 4, "DynamicQuantizeLSTM": 4}
_DEFAULTS = {
    "RNN": ("Tanh",),
    "GRU": ("Sigmoid", "Tanh"),
    "LSTM": ("Sigmoid", "Tanh", "Tanh"),
    "DynamicQuantizeLSTM": ("Sigmoid", "Tanh", "Tanh"),
}
# How often each activation function runs per hidden unit and step: LSTM's first serves three gates, GRU's two.
_RUNS = {"RNN": (1,), "GRU": (2, 1), "LSTM": (3, 1, 1), "DynamicQuantizeLSTM": (3, 1, 1)}
# The state's update: LSTM f*c + i*g, o*h (4); GRU r*h, (1 - z)*n + z*h (5).
_UPDATES = {"RNN": 0, "GRU": 5, "LSTM": 4, "DynamicQuantizeLSTM": 4}


def _directions(node: Node) -> int:
    word = choice(node, "direction", "forward", ("forward", "reverse", "bidirectional"))
    return 2 if word == "bidirectional" else 1


def _is_quantized(node: Node) -> bool:
    return node.op_type == "DynamicQuantizeLSTM"


def _hidden_size(node: Node) -> Dim:
    """Return the hidden size, from its attribute or the recurrent weight; they must agree."""
    stated = maybe_integer(node, "hidden_size")
    if stated is not None and stated < 1:
        raise malformed_error(node, f"attribute 'hidden_size' must be positive, it is {stated}")
    weights = ranked_shape(node, 2, 3)
    if weights is None:
        return stated
    gates = _GATES[node.op_type]
    # ONNX Runtime's quantized weights are transposed: [directions, hidden, gates x hidden].
    found = (
        weights[1]
        if _is_quantized(node)
        else divide(node, weights[1], gates, "the recurrent weight's rows")
    )
    return merge(node, stated, found, "attribute 'hidden_size' and the recurrent weight's size")


def _recurrent_type(node: Node) -> Sequence[TensorType | None]:
    """Return the whole sequence, the last hidden state, and for LSTM the last cell state."""
    data, weights = ranked_shape(node, 0, 3), ranked_shape(node, 1, 3)
    directions, hidden, kind = _directions(node), _hidden_size(node), dtype(node, 0)
    if weights is not None:
        merge(
            node,
            weights[0],
            directions,
            "the weight's first dimension and the number of directions",
        )
        features = weights[1] if _is_quantized(node) else weights[2]
        merge(
            node,
            None if data is None else data[2],
            features,
            "the operand's and the weight's features",
        )
    first, second = (None, None) if data is None else (data[0], data[1])
    if flag(node, "layout"):
        state = (first, directions, hidden)
        return (((first, second, directions, hidden), kind), (state, kind), (state, kind))
    state = (directions, second, hidden)
    return (((first, directions, second, hidden), kind), (state, kind), (state, kind))


def _recurrent_cost(node: Node) -> Cost:
    """Count ``T x B x (elements of W + elements of R)`` MACs, and the operations of the gates."""
    first, second, features = in_dims(node, 0, 3)
    in_dims(node, 1, 3)
    directions, hidden = _directions(node), _hidden_size(node)
    calls = first * second * directions * (hidden or 0)
    gates = _GATES[node.op_type]
    functions = texts(node, "activations") or _DEFAULTS[node.op_type]
    known = {name.lower(): ops for name, ops in OPS_PER_ELEMENT.items()} | {
        "affine": 2,
        "scaledtanh": 3,
    }
    activations = sum(
        runs * known.get(name.lower(), 1)
        for runs, name in zip(_RUNS[node.op_type], functions, strict=False)
    )
    per_unit = gates * (1 + has(node, 3)) + activations + _UPDATES[node.op_type]
    peepholes = 6 * has(node, 7) if gates == 4 else 0
    quantizing = (
        DYNAMIC_QUANTIZE * first * second * (features + directions * (hidden or 0))
        if _is_quantized(node)
        else 0
    )
    macs = first * second * (input_elements(node, 1) + input_elements(node, 2))
    return Cost(macs, calls * (per_unit + peepholes) + quantizing)


define("RNN", "GRU", cost=_recurrent_cost, shape=_recurrent_type, weights=(1, 2, 3))
define("LSTM", cost=_recurrent_cost, shape=_recurrent_type, weights=(1, 2, 3, 7))
define(
    "DynamicQuantizeLSTM", domain=MICROSOFT, cost=_recurrent_cost, shape=_recurrent_type, weights=(1, 2, 3, 7),
    quantizers=(8, 9, 10, 11),
)  # fmt: skip
