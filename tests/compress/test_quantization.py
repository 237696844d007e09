"""Quantization: the bytes of the what-if against formulas, and of written files against the what-if."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

import roofline
from roofline.binding import Binding
from roofline.compress import Quantization, Request, compress
from roofline.compress.quantization import parse_datatypes
from roofline.compress.writers._registry import WriteOptions, quantize, writers
from roofline.compress.writers.int8 import calibration_inputs
from roofline.compress.writers.weight_only import quantize_symmetrically
from roofline.errors import CompressionError, DatatypeError
from roofline.workload import Workload
from roofline.workloads import build

IMAGE = (1, 28, 28)
WIDTHS = (784, 256, 256, 256, 10)
WEIGHTS = sum(a * b for a, b in itertools.pairwise(WIDTHS))


@pytest.fixture(scope="module")
def mlp() -> Workload:
    return roofline.load("mlp_12_5")


@pytest.mark.parametrize(
    ("name", "bits", "activation_bits"),
    [
        ("fp64", 64, 64),
        ("fp16", 16, 16),
        ("bf16", 16, 16),
        ("fp8", 8, 8),
        ("int8", 8, 8),
        ("w4a8", 4, 8),
        ("w4a16", 4, 16),
        ("int4", 4, 4),
        ("ternary", 2, 2),
        ("int2", 2, 2),
        ("binary", 1, 1),
    ],
)
def test_bytes_are_linear_in_bits(
    mlp: Workload, name: str, bits: int, activation_bits: int
) -> None:
    changed = mlp.under(precision=name)
    rest = mlp.weight_bytes - 4 * WEIGHTS
    # Wide datatypes convert every stored float; narrow ones leave biases and normalization as they are.
    assert changed.weight_bytes == WEIGHTS * bits // 8 + (
        rest * bits // 32 if bits >= 16 else rest
    )
    assert changed.activation_bytes == pytest.approx(
        mlp.activation_bytes * activation_bits / 32, abs=len(mlp.layers)
    )
    assert changed.peak_activation_bytes == mlp.peak_activation_bytes * activation_bits // 32
    assert (changed.macs, changed.parameters) == (mlp.macs, mlp.parameters)
    assert changed.precision.name == name


def test_the_weights_alone_give_the_paper_intensity(mlp: Workload) -> None:
    # Two operations per weight, at a quarter of a byte per weight.
    linear = mlp.under(precision="int2")
    assert 2 * linear.macs / (WEIGHTS * 2 / 8) == 8
    assert sum(layer.weight_bytes for layer in linear.fused_layers) == linear.weight_bytes


def test_the_ends_can_stay_wide(mlp: Workload) -> None:
    narrow = mlp.under(precision="int4")
    wide = mlp.under(precision=Quantization("int4", wide={"first": "int8", "last": "fp16"}))
    first, last = WIDTHS[0] * WIDTHS[1], WIDTHS[-2] * WIDTHS[-1]
    # The last layer at fp16 also halves its own bias, if it has one.
    expected = narrow.weight_bytes + first * 4 // 8 + last * 12 // 8
    assert wide.weight_bytes == expected - sum(
        2 * (tensor.elements or 0)
        for layer in mlp.layers
        if layer.name == "fc4"
        for tensor in layer.weights
        if len(tensor.shape or ()) == 1
    )
    assert {layer.name: layer.datatype for layer in wide.layers if layer.cost.macs} == {
        "fc1": "int8", "fc2": "int4", "fc3": "int4", "fc4": "fp16",
    }  # fmt: skip
    assert wide.precision.name == "int4"
    assert "first=int8" in wide.variant


def test_a_pattern_alone_changes_only_its_layers(mlp: Workload) -> None:
    changed = mlp.under(precision={"fc2": "int8"})
    assert mlp.weight_bytes - changed.weight_bytes == 3 * WIDTHS[1] * WIDTHS[2]
    assert changed.precision is None


def test_state_has_a_datatype_of_its_own() -> None:
    from onnx import TensorProto, helper

    nodes = [helper.make_node("Add", ["x", "past_key"], ["present_key"])]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info(n, TensorProto.FLOAT, [4, 10]) for n in ("x", "past_key")],
        [helper.make_tensor_value_info("present_key", TensorProto.FLOAT, [4, 10])],
    )  # fmt: skip
    workload = Workload.from_onnx(helper.make_model(graph))
    changed = workload.under(precision=Quantization("fp16", state="int8"))
    sizes = {tensor.name: tensor.bytes for tensor in (*changed.inputs, *changed.outputs)}
    assert sizes == {"x": 80, "past_key": 40, "present_key": 40}


def test_a_table_of_totals_scales_with_the_width() -> None:
    table = Workload.from_table("cnv", ops=2_000_000, weights=1001, bits=8, source="a table")
    assert table.under(precision="int4").weight_bytes == 501


def test_precision_after_pruning_counts_the_pruned_weights(mlp: Workload) -> None:
    both = mlp.under(pruning=0.5, precision="int8")
    widths = (784, 128, 128, 128, 10)
    weights = sum(a * b for a, b in itertools.pairwise(widths))
    pruned = mlp.under(pruning=0.5)
    assert pruned.weight_bytes - both.weight_bytes == 3 * weights
    with pytest.raises(CompressionError, match="channels are pruned before"):
        mlp.under(precision="int8").under(pruning=0.5)


@pytest.mark.parametrize("name", list(writers))
@pytest.mark.parametrize("block", [None, 32])
def test_a_written_file_runs_and_has_the_predicted_bytes(name: str, block: int | None) -> None:
    if block and not name.startswith("w"):
        pytest.skip("only weight-only datatypes have blocks")
    model = build("cnv_25", weights="random")
    request = Request(quantization=Quantization(name), options=WriteOptions(block=block))
    done = compress(model, request)
    assert done.agrees
    assert (done.scale_bytes > 0) == (block is not None)
    feed = {"input": np.random.default_rng(0).standard_normal((1, 3, 32, 32)).astype(np.float32)}
    exact = session(model).run(None, feed)[0]
    kind = np.float16 if name == "fp16" else np.float32
    result = session(done.model).run(None, {"input": feed["input"].astype(kind)})[0]
    error = np.abs(result - exact).max() / np.abs(exact).max()
    # A weight is off by half a step at most; errors of independent weights largely cancel.
    bound = {
        "fp16": 0.01, "bf16": 0.03, "int8": 0.15, "fp8": 0.3, "int4": 0.8, "int2": 3, "ternary": 3,
    }.get(name) or {"w8": 0.1, "w4": 0.8, "w2": 3}[name[:2]]  # fmt: skip
    assert error < bound


def session(model: onnx.ModelProto) -> ort.InferenceSession:
    return ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def test_dynamic_int8_has_the_same_weight_bytes() -> None:
    model = build("mlp_12_5", weights="random")
    done = compress(
        model, Request(quantization=Quantization("int8"), options=WriteOptions(dynamic=True))
    )
    assert done.counted.weight_bytes == done.predicted.weight_bytes
    assert any(
        node.op_type in {"MatMulInteger", "DynamicQuantizeLinear"}
        for node in done.model.graph.node
    )


def test_layers_named_stay_fp32_in_the_file() -> None:
    model = build("mlp_12_5", weights="random")
    request = parse_datatypes(["int8", "first=fp32", "fc3=fp32"])
    done = compress(model, Request(quantization=request))
    assert done.agrees
    floats = {
        t.name
        for t in done.model.graph.initializer
        if t.data_type == onnx.TensorProto.FLOAT and len(t.dims) == 2
    }
    assert len(floats) == 2


def test_calibration_data_are_used(tmp_path: Path) -> None:
    model = build("mlp_12_5", weights="random")
    small = {"input": np.full((2, *IMAGE), 0.01, np.float32)}
    large = {"input": np.full((2, *IMAGE), 100, np.float32)}

    def scales(data: dict[str, np.ndarray]) -> float:
        file = quantize(model, Quantization("int8"), WriteOptions(calibration=data))
        return max(
            float(onnx.numpy_helper.to_array(t))
            for t in file.graph.initializer
            if t.name.endswith("_scale")
        )

    assert scales(large) > 100 * scales(small)
    with pytest.raises(CompressionError, match="no array 'input'"):
        quantize(
            model,
            Quantization("int8"),
            WriteOptions(calibration={"other": np.zeros((1, *IMAGE), np.float32)}),
        )


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_symmetric_integers_are_within_half_a_step(bits: int) -> None:
    weights = np.random.default_rng(0).standard_normal((8, 70)).astype(np.float32)
    top = 2 ** (bits - 1) - 1
    values, scale = quantize_symmetrically(weights, bits)
    assert np.abs(values).max() == top
    assert np.abs(values * scale - weights).max() <= scale / 2 * 1.0001
    blocked, scales = quantize_symmetrically(weights, bits, 1, 32)
    assert scales.shape == (8, 3)
    spread = np.repeat(scales, 32, axis=1)[:, :70]
    assert (np.abs(blocked * spread - weights) <= spread / 2 * 1.0001).all()


@pytest.mark.parametrize(
    ("texts", "error", "message"),
    [
        (["int9"], DatatypeError, "unknown datatype 'int9'"),
        (["int8", "fp16"], CompressionError, "two datatypes for the network"),
        (["int8", "nolayer=fp32"], CompressionError, "'nolayer' matches no layer"),
        (["binary"], CompressionError, "no tool here writes binary"),
        (["fp4"], CompressionError, "no tool here writes fp4"),
        (["first=fp32"], CompressionError, "no datatype for the network"),
        (["int8", "first=fp16"], CompressionError, "can keep layers at fp32, not at fp16"),
        (["int8", "state=int8"], CompressionError, "the datatype of state is a what-if"),
    ],
)
def test_what_cannot_be_written_is_refused(
    texts: list[str], error: type[Exception], message: str
) -> None:
    model = build("mlp_12_5", weights="random")
    with pytest.raises(error, match=message):
        quantize(model, parse_datatypes(texts))


def test_a_shared_bias_is_copied_beside_values_of_like_names() -> None:
    """The quantizer numbers its copies of a bias: `b` becomes `b0`, which another value may be called already."""
    text = """<ir_version: 8, opset_import: ["" : 17]>
g (float[1,4,6,6] x) => (float[1,4,6,6] y) <float[4,4,1,1] w1, float[4,4,1,1] w2, float[4] b> {
  h = Conv(x, w1, b)  b0 = Conv(h, w2, b)  n = Neg(b0)  y = Relu(n)
}"""
    model = onnx.parser.parse_model(text)
    chance = np.random.default_rng(0)
    for entry in model.graph.value_info:
        shape = [size.dim_value for size in entry.type.tensor_type.shape.dim]
        values = chance.standard_normal(shape).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(values, entry.name))
    del model.graph.value_info[:]
    written = compress(model, Request(quantization=Quantization("int8"))).model
    fed = {"x": chance.random((1, 4, 6, 6), np.float32)}
    dense, narrow = (
        ort.InferenceSession(one.SerializeToString(), providers=["CPUExecutionProvider"]).run(
            None, fed
        )[0]
        for one in (model, written)
    )
    assert np.abs(dense - narrow).max() < 0.1 * np.abs(dense).max() + 0.1


def test_calibration_feeds_the_values_that_decide_branches() -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]>
g (float[1,4] x, int64 rate) => (float[1,4] y) { r = Cast<to=1>(rate)  y = Mul(x, r) }"""
    options = WriteOptions(binding=Binding(values={"rate": 16000}))
    fed = list(calibration_inputs(onnx.parser.parse_model(text), options))
    assert [(item["rate"].item(), item["rate"].dtype) for item in fed] == [
        (16000, np.int64)
    ] * len(fed)
    assert len({item["x"].tobytes() for item in fed}) == len(fed) > 1


def test_scales_and_shapes_that_are_computed_stay_exact() -> None:
    """One of a resize's scales and what is computed with shapes, rounded to 255 steps, give other shapes."""
    text = """<ir_version: 8, opset_import: ["" : 17]>
g (float[1,4,9,9] x) => (float[1,N,M] y) {
  roi = Constant<value_floats: floats = []>()
  by = Constant<value_floats: floats = [1.0, 1.0, 2.0, 3.7]>()
  h = Conv(x, w)  r = Resize(h, roi, by)
  s = Shape(r)  f = Cast<to=1>(s)
  half = Constant<value_floats: floats = [1.0, 0.5, 2.0, 1.0]>()
  g = Mul(f, half)  i = Cast<to=7>(g)  t = Reshape(r, i)  y0 = Conv(t, v)
  three = Constant<value_ints: ints = [1, 3, -1]>()  y = Reshape(y0, three)
}"""
    model = onnx.parser.parse_model(text)
    chance = np.random.default_rng(0)
    for name, shape in (("w", (4, 4, 1, 1)), ("v", (3, 2, 1, 1))):
        values = chance.standard_normal(shape).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(values, name))
    written = compress(model, Request(quantization=Quantization("int8"))).model
    fed = {"x": chance.random((1, 4, 9, 9), np.float32)}
    dense, narrow = (
        ort.InferenceSession(one.SerializeToString(), providers=["CPUExecutionProvider"]).run(
            None, fed
        )[0]
        for one in (model, written)
    )
    assert narrow.shape == dense.shape == (1, 3, 36 * 33)
    assert np.abs(dense - narrow).max() < 0.05 * np.abs(dense).max()
    counted = Workload.from_onnx(written)
    assert counted.fully_counted
    assert counted.macs == Workload.from_onnx(model).macs


def test_what_another_quantizer_made_integer_is_left_so() -> None:
    """Products by integers with ranges taken at run time: their scales are no activations, and nothing is narrower."""
    integer = quantize(
        build("mlp_12_5", weights="random"), parse_datatypes(["int8"]), WriteOptions(dynamic=True)
    )
    again = compress(integer, Request(quantization=Quantization("int8"))).model
    kinds = [[node.op_type for node in one.graph.node] for one in (integer, again)]
    assert kinds[0].count("MatMulInteger") == kinds[1].count("MatMulInteger") == 4
    fed = {
        entry.name: np.random.default_rng(0).random(
            [size.dim_value or 1 for size in entry.type.tensor_type.shape.dim], np.float32
        )
        for entry in integer.graph.input
    }
    before, after = (
        ort.InferenceSession(one.SerializeToString(), providers=["CPUExecutionProvider"]).run(
            None, fed
        )[0]
        for one in (integer, again)
    )
    assert np.abs(before - after).max() < 0.1 * np.abs(before).max()
