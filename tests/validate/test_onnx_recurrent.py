"""Recurrent layers as one kernel for all steps compute in TVM what ONNX Runtime computes for the layer itself."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from roofline.validate.measuring.backend import UnsupportedModelError, backends
from roofline.validate.onnx_rewrite.expand import expand

from .small_models import computed

ort = pytest.importorskip("onnxruntime", reason="the reference needs onnxruntime")
# The layers' results have no shape in these models.
pytestmark = pytest.mark.filterwarnings("ignore:Field 'shape' of 'type'")
needs_tvm = pytest.mark.skipif(bool(backends.get("tvm").missing()), reason="TVM is missing")
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


def on_tvm(model, feed):
    """Return what TVM computes for a model, untuned on one thread."""
    from roofline.temporary import temporary_folder
    from roofline.validate.tvm.importing import by_position, import_model, input_names
    from roofline.validate.tvm.setup import load_tvm, local_target

    tvm = load_tvm()
    from tvm import relax

    target = local_target(tvm, 1)
    with temporary_folder() as folder:
        path = folder / "model.onnx"
        onnx.save(model, path)
        module = import_model(path, target).module
    machine = relax.VirtualMachine(tvm.compile(module, target), tvm.cpu())
    arrays = by_position(feed, input_names(module))
    machine.set_input("main", *[tvm.runtime.tensor(array) for array in arrays])
    machine.invoke_stateful("main")
    results = machine.get_outputs("main")
    return [results.numpy()] if hasattr(results, "numpy") else [one.numpy() for one in results]


def check(kind, **fields):
    model, feed = recurrent(kind, **fields)
    expected = computed(model, feed)
    for got, wanted in zip(on_tvm(model, feed), expected, strict=True):
        assert np.abs(got - wanted).max() <= 2e-6
    operators = [node.op_type for node in expand(model)[0].graph.node]
    assert kind not in operators
    return operators


@pytest.mark.tvm
@needs_tvm
@pytest.mark.parametrize(("bias", "states"), [(False, False), (True, True)])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_every_direction_with_and_without_bias_and_states(kind, direction, bias, states):
    operators = check(kind, direction=direction, bias=bias, states=states)
    ways = 2 if direction == "bidirectional" else 1
    # One product for the inputs of all steps, and one call for all steps of each direction.
    assert operators.count("MatMul") == 1
    assert operators.count("RecurrentSteps") == ways


@pytest.mark.tvm
@needs_tvm
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
        (
            "LSTM",
            {
                "activations": ["HardSigmoid", "Elu", "Softplus"],
                "activation_alpha": [0.3, 0.7],
                "activation_beta": [0.4],
            },
        ),
        (
            "GRU",
            {
                "activations": ["HardSigmoid", "Affine"],
                "activation_alpha": [0.3, 0.4],
                "activation_beta": [0.4, 0.1],
            },
        ),
        (
            "RNN",
            {"activations": ["ScaledTanh"], "activation_alpha": [0.8], "activation_beta": [0.6]},
        ),
        ("RNN", {"activations": ["ThresholdedRelu"], "activation_alpha": [0.2]}),
    ],
)
def test_variants(kind, fields):
    check(kind, **fields)


@pytest.mark.tvm
@needs_tvm
@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_batch_first_is_the_transposed_layer(kind, direction):
    """ONNX Runtime has no layout 1: the reference is its layout 0, on the same elements."""
    plain, feed = recurrent(kind, direction=direction)
    expected = computed(plain, feed)
    model, turned = recurrent(kind, direction=direction, layout=1)
    sequence, *last = on_tvm(model, turned)
    assert np.abs(sequence.transpose(1, 2, 0, 3) - expected[0]).max() <= 2e-6
    for got, wanted in zip(last, expected[1:], strict=True):
        assert np.abs(got.swapaxes(0, 1) - wanted).max() <= 2e-6


@pytest.mark.tvm
@needs_tvm
@pytest.mark.parametrize(
    ("direction", "stored_as"), [("forward", np.int8), ("bidirectional", np.uint8)]
)
def test_integer_products_of_a_dynamically_quantized_layer(direction, stored_as):
    random = np.random.default_rng(3)
    ways = 2 if direction == "bidirectional" else 1

    def drawn(*shape):
        limits = np.iinfo(stored_as)
        return random.integers(limits.min + 1, limits.max, shape, dtype=stored_as)

    stored = {
        "W": drawn(ways, INPUTS, 4 * HIDDEN),
        "R": drawn(ways, HIDDEN, 4 * HIDDEN),
        "B": random.standard_normal((ways, 8 * HIDDEN)).astype(np.float32),
        "s": np.full(ways, 0.01, np.float32),
        "z": np.full(ways, 131 if stored_as is np.uint8 else 0, stored_as),
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
    assert operators.count("MatMulInteger") == 1
    assert "MatMul" not in operators
    (got,) = on_tvm(model, feed)
    # A state on the edge between two integers may round the other way.
    assert np.abs(got - expected).max() <= 2 * 0.01
    assert np.median(np.abs(got - expected)) <= 1e-6


@pytest.mark.tvm
@needs_tvm
@pytest.mark.parametrize("lengths", [[STEPS, STEPS], [STEPS, STEPS - 1]])
def test_only_whole_sequences_are_computed(lengths):
    model, feed = recurrent("LSTM")
    expected = computed(model, feed)[0]
    array = np.array(lengths, np.int32)
    model.graph.initializer.append(numpy_helper.from_array(array, "lengths"))
    model.graph.node[0].input[4] = "lengths"
    if lengths[1] < STEPS:
        with pytest.raises(UnsupportedModelError, match="sequences of other lengths"):
            expand(model)
    else:
        assert np.abs(on_tvm(model, feed)[0] - expected).max() <= 2e-6


def test_a_long_sequence_takes_no_more_calls():
    model, _ = recurrent("GRU", states=False)
    short = len(expand(model)[0].graph.node)
    model, _ = recurrent("GRU", states=False)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 100_000
    assert len(expand(model)[0].graph.node) == short


def test_weights_that_are_computed_from_inputs_are_refused():
    model, _ = recurrent("RNN")
    kept = [tensor for tensor in model.graph.initializer if tensor.name != "W"]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    shape = [1, HIDDEN, INPUTS]
    model.graph.input.append(helper.make_tensor_value_info("W", TensorProto.FLOAT, shape))
    with pytest.raises(UnsupportedModelError, match="'W' are no constants"):
        expand(model)


@pytest.mark.tvm
@needs_tvm
def test_an_old_operator_set_is_raised_first():
    model, feed = recurrent("LSTM")
    model.opset_import[0].version = 9
    expected = computed(model, feed)
    for got, wanted in zip(on_tvm(model, feed), expected, strict=True):
        assert np.abs(got - wanted).max() <= 2e-6
