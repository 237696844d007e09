"""Channel coupling of recurrent layers: a hidden unit goes from every gate, and from the recurrence."""

from __future__ import annotations

import numpy as np

from roofline.compress.coupling._registry import Call, Labels, Results, couples

_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


@couples("LSTM", "GRU", "RNN")
def recurrent(call: Call) -> Results:
    """Tie the hidden units over gates, directions, the recurrent matrix, states and biases.

    Spec: https://onnx.ai/onnx/operators/onnx__LSTM.html
    """
    gates = _GATES[call.op_type]
    x, w, r = call.axes(0), call.axes(1), call.axes(2)
    hidden = r[2]
    call.tie(x[2], w[2])
    for labels in (w[1], r[1]):
        _tie_gates(call, labels, hidden, gates)
    for labels in (x[0], w[0], r[0]):
        call.fix(labels, "steps and directions are not channels")
    if call.has(3):
        _tie_gates(call, call.axes(3)[1], hidden, 2 * gates)
        call.fix(call.axes(3)[0], "directions are not channels")
    for position in (5, 6):
        if call.has(position):
            call.tie(call.axes(position)[-1], hidden)
            call.fix_all(call.axes(position)[:-1], "directions are not channels")
    if call.has(7):
        _tie_gates(call, call.axes(7)[1], hidden, 3)
    call.produce(2, 2)
    call.count_attribute("hidden_size", hidden)
    return [
        _with_hidden(call, i, hidden) if name else None for i, name in enumerate(call.node.output)
    ]


@couples("DynamicQuantizeLSTM", domain="com.microsoft")
def dynamic_quantize_lstm(call: Call) -> Results:
    """Keep the layer whole: the state it feeds back is quantized by the range of all its units.

    Spec: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.DynamicQuantizeLSTM
    """
    return call.keep_whole(
        "it quantizes its state by the range of all units, so removing some would change the others"
    )


def _tie_gates(call: Call, labels: Labels, hidden: Labels, gates: int) -> None:
    call.tie(labels, np.tile(hidden, gates))


def _with_hidden(call: Call, position: int, hidden: Labels) -> tuple[Labels, ...] | None:
    axes = call.output_axes(position)
    return None if axes is None else (*axes[:-1], hidden)
