"""Recurrent layers written out compute what ONNX Runtime computes for the layer itself."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from roofline.validate.measuring.backend import UnsupportedModelError
from roofline.validate.onnx_rewrite.expand import expand

ort = pytest.importorskip("onnxruntime", reason="the reference needs onnxruntime")
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
STEPS, BATCH, INPUTS, HIDDEN = 5, 2, 3, 4


def recurrent(kind, *, direction="forward", bias=True, states=True, peepholes=False, **attributes):
    """Return a model of one layer and its inputs, all random."""
    random = np.random.default_rng(0)

    def draw(*shape):
        return random.standard_normal(shape).astype(np.float32)

    ways = 2 if direction == "bidirectional" else 1
    width = GATES[kind] * HIDDEN
    stored = {"W": draw(ways, width, INPUTS), "R": draw(ways, width, HIDDEN)}
    feed = {"x": draw(STEPS, BATCH, INPUTS)}
    operands = ["x", "W", "R", "B" if bias else "", ""]
    if bias:
        stored["B"] = draw(ways, 2 * width)
    for name in ("h", "c")[: 2 if kind == "LSTM" else 1]:
        operands.append(name if states else "")
        if states:
            feed[name] = draw(ways, BATCH, HIDDEN)
    if peepholes:
        operands.append("P")
        stored["P"] = draw(ways, 3 * HIDDEN)
    if attributes.get("layout"):
        feed = {name: np.ascontiguousarray(array.swapaxes(0, 1)) for name, array in feed.items()}
    outputs = ["Y", "Y_h", "Y_c"][: 3 if kind == "LSTM" else 2]
    node = helper.make_node(
        kind, operands, outputs, hidden_size=HIDDEN, direction=direction, **attributes
    )
    graph = helper.make_graph(
        [node],
        "recurrent",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, a.shape) for name, a in feed.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in stored.items()],
    )  # fmt: skip
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9
    ), feed


def computed(model, feed):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(model.SerializeToString(), options).run(None, feed)


def check(kind, **fields):
    model, feed = recurrent(kind, **fields)
    expected = computed(model, feed)
    written, notes = expand(model)
    assert notes == (f"rewritten: 1 {kind}",)
    operators = [node.op_type for node in written.graph.node]
    assert kind not in operators
    for got, wanted in zip(computed(written, feed), expected, strict=True):
        assert np.abs(got - wanted).max() <= 2e-6
    return operators


@pytest.mark.parametrize("states", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_every_direction_with_and_without_bias_and_states(kind, direction, bias, states):
    operators = check(kind, direction=direction, bias=bias, states=states)
    ways = 2 if direction == "bidirectional" else 1
    # One product for the inputs of all steps; a GRU that resets early has two more in every step.
    assert operators.count("MatMul") == 1 + STEPS * ways * (2 if kind == "GRU" else 1)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("LSTM", {"peepholes": True}),
        ("LSTM", {"input_forget": 1}),
        ("LSTM", {"clip": 0.5}),
        ("GRU", {"linear_before_reset": 1}),
        ("GRU", {"linear_before_reset": 1, "bias": False}),
        ("RNN", {"clip": 0.3}),
        ("RNN", {"activations": ["Relu"]}),
        ("RNN", {"activations": ["LeakyRelu"]}),
        ("GRU", {"activations": ["HardSigmoid", "Softsign"]}),
        ("LSTM", {"activations": ["HardSigmoid", "Relu", "Tanh"]}),
    ],
)
def test_variants(kind, fields):
    check(kind, **fields)


@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_batch_first_is_the_transposed_layer(kind, direction):
    """ONNX Runtime has no layout 1: the reference is its layout 0, on the same elements."""
    plain, feed = recurrent(kind, direction=direction)
    expected = computed(plain, feed)
    model, turned = recurrent(kind, direction=direction, layout=1)
    sequence, *last = computed(expand(model)[0], turned)
    assert np.abs(sequence.transpose(1, 2, 0, 3) - expected[0]).max() <= 2e-6
    for got, wanted in zip(last, expected[1:], strict=True):
        assert np.abs(got.swapaxes(0, 1) - wanted).max() <= 2e-6


@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_integer_products_of_a_dynamically_quantized_layer(direction):
    random = np.random.default_rng(3)
    ways = 2 if direction == "bidirectional" else 1
    stored = {
        "W": random.integers(-127, 127, (ways, INPUTS, 4 * HIDDEN), dtype=np.int8),
        "R": random.integers(-127, 127, (ways, HIDDEN, 4 * HIDDEN), dtype=np.int8),
        "B": random.standard_normal((ways, 8 * HIDDEN)).astype(np.float32),
        "s": np.full(ways, 0.01, np.float32),
        "z": np.zeros(ways, np.int8),
    }
    operands = ["x", "W", "R", "B", "", "", "", "", "s", "z", "s", "z"]
    node = helper.make_node(
        "DynamicQuantizeLSTM", operands, ["Y"],
        hidden_size=HIDDEN, direction=direction, domain="com.microsoft",
    )  # fmt: skip
    graph = helper.make_graph(
        [node],
        "quantized",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [STEPS, 1, INPUTS])],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in stored.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    feed = {"x": random.standard_normal((STEPS, 1, INPUTS)).astype(np.float32)}
    (expected,) = computed(model, feed)
    written, _ = expand(model)
    operators = [one.op_type for one in written.graph.node]
    assert operators.count("MatMulInteger") == 1 + STEPS * ways
    assert "MatMul" not in operators
    (got,) = computed(written, feed)
    # A state on the edge between two integers may round the other way.
    assert np.abs(got - expected).max() <= 2 * 0.01
    assert np.median(np.abs(got - expected)) <= 1e-6


@pytest.mark.parametrize("lengths", [[STEPS, STEPS], [STEPS, STEPS - 1]])
def test_only_whole_sequences_are_written_out(lengths):
    model, feed = recurrent("LSTM")
    expected = computed(model, feed)[0]
    array = np.array(lengths, np.int32)
    model.graph.initializer.append(numpy_helper.from_array(array, "lengths"))
    model.graph.node[0].input[4] = "lengths"
    if lengths[1] < STEPS:
        with pytest.raises(UnsupportedModelError, match="sequences of other lengths"):
            expand(model)
    else:
        assert np.abs(computed(expand(model)[0], feed)[0] - expected).max() <= 2e-6


def test_too_many_steps_are_named():
    model, _ = recurrent("GRU", states=False)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1000
    with pytest.raises(UnsupportedModelError, match=r"1,000 steps.*at most 512"):
        expand(model)


def test_weights_that_are_computed_from_inputs_are_refused():
    model, _ = recurrent("RNN")
    kept = [tensor for tensor in model.graph.initializer if tensor.name != "W"]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    shape = [1, HIDDEN, INPUTS]
    model.graph.input.append(helper.make_tensor_value_info("W", TensorProto.FLOAT, shape))
    with pytest.raises(UnsupportedModelError, match="'W' are no constants"):
        expand(model)


def test_an_old_operator_set_is_raised_first():
    model, feed = recurrent("LSTM")
    model.opset_import[0].version = 9
    expected = computed(model, feed)
    written, _ = expand(onnx.ModelProto.FromString(model.SerializeToString()))
    for got, wanted in zip(computed(written, feed), expected, strict=True):
        assert np.abs(got - wanted).max() <= 2e-6
