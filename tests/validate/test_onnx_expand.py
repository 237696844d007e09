"""What is rewritten for TVM's importer computes what ONNX Runtime computes for the file as it is."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from roofline.validate.measuring.backend import UnsupportedModelError
from roofline.validate.onnx_rewrite.expand import expand, settle_shapes

from .small_models import computed, info, model_of

pytest.importorskip("onnxruntime", reason="the reference needs onnxruntime")
FLOAT, UINT8, INT8, INT32 = (
    TensorProto.FLOAT, TensorProto.UINT8, TensorProto.INT8, TensorProto.INT32,
)  # fmt: skip


def both(model, feed):
    """Return the results of a model and of its rewritten form, and the operators of that."""
    expected = computed(model, feed)
    written, _ = expand(model)
    operators = [(node.domain, node.op_type) for node in written.graph.node]
    return expected, computed(written, feed), operators


def looped(condition, *, steps=4):
    """Return a loop that doubles, adds the step's number, and keeps every state."""
    body = helper.make_graph(
        [
            helper.make_node("Cast", ["i"], ["real"], to=FLOAT),
            helper.make_node("Mul", ["state", "two"], ["twice"]),
            helper.make_node("Add", ["twice", "real"], ["next"]),
            helper.make_node("Identity", ["next"], ["row"]),
            *condition,
        ],
        "body",
        [info("i", [], TensorProto.INT64), info("go", [], TensorProto.BOOL), info("state", [3])],
        [info("on", [], TensorProto.BOOL), info("next", [3]), info("row", [3])],
        [numpy_helper.from_array(np.float32(2), "two")],
    )
    node = helper.make_node("Loop", ["n", "", "x"], ["y", "rows"], body=body)
    return model_of(
        [node],
        [info("x", [3])],
        [info("y", [3]), info("rows", [steps, 3])],
        {"n": np.int64(steps)},
    )


X3 = {"x": np.array([1, -2, 0.5], np.float32)}
TRUE = helper.make_node("Constant", [], ["on"], value=numpy_helper.from_array(np.array(True)))


@pytest.mark.parametrize("condition", [TRUE, helper.make_node("Identity", ["go"], ["on"])])
def test_loop(condition):
    expected, got, operators = both(looped([condition]), X3)
    assert ("", "Loop") not in operators
    # y = 2⁴x + 0·8 + 1·4 + 2·2 + 3
    assert np.allclose(expected[0], 16 * X3["x"] + 11)
    for one, wanted in zip(got, expected, strict=True):
        assert (one == wanted).all()


def test_a_loop_that_may_end_early_is_refused():
    ends = [
        helper.make_node("ReduceSum", ["next"], ["sum"], keepdims=0),
        helper.make_node("Less", ["sum", "two"], ["on"]),
    ]
    with pytest.raises(UnsupportedModelError, match="may end early"):
        expand(looped(ends))


def counted(last, *, ends="last", trips="", first=0, more=()):
    """Return a loop as TensorFlow's exporter writes it: a counter grows until it is the length."""
    body = helper.make_graph(
        [
            helper.make_node("Add", ["k", "one"], ["next_k"]),
            helper.make_node("Cast", ["next_k"], ["real"], to=FLOAT),
            helper.make_node("Add", ["state", "real"], ["next"]),
            helper.make_node("Identity", ["next"], ["row"]),
            *more,
            helper.make_node("Less", ["next_k", ends], ["on"]),
        ],
        "body",
        [info("i", [], TensorProto.INT64), info("go", [], TensorProto.BOOL),
         info("k", [], TensorProto.INT64), info("state", [3])],
        [info("on", [], TensorProto.BOOL), info("next_k", [], TensorProto.INT64), info("next", [3]),
         info("row", [3])],
    )  # fmt: skip
    nodes = [
        helper.make_node("Less", ["first", "last"], ["begins"]),
        helper.make_node(
            "Loop", [trips, "begins", "first", "x"], ["k_end", "y", "rows"], body=body
        ),
    ]
    stored = {
        "first": np.int64(first),
        "last": np.int64(last),
        "one": np.int64(1),
        "n": np.int64(2),
    }
    return model_of(nodes, [info("x", [3])], [info("y", [3]), info("rows", ["steps", 3])], stored)


@pytest.mark.parametrize(("trips", "steps"), [("", 5), ("n", 2)])
def test_a_loop_that_counters_end_is_written_out(trips: str, steps: int):
    expected, got, operators = both(counted(5, trips=trips), X3)
    assert ("", "Loop") not in operators
    assert expected[1].shape == (steps, 3)
    for one, wanted in zip(got, expected, strict=True):
        assert (one == wanted).all()


def test_a_loop_that_the_data_may_end_is_refused_though_it_counts_too():
    more = [
        helper.make_node("ReduceMax", ["next"], ["most"], keepdims=0),
        helper.make_node("Cast", ["most"], ["end"], to=TensorProto.INT64),
    ]
    with pytest.raises(UnsupportedModelError, match="may end early"):
        expand(counted(5, ends="end", more=more))


def test_a_loop_that_counters_end_too_late_is_refused():
    with pytest.raises(UnsupportedModelError, match=r"more than 512 steps"):
        expand(counted(1000))


@pytest.mark.parametrize("length", [1, 3, 4])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_reversed_sequence(axis: int, length: int):
    node = helper.make_node(
        "ReverseSequence", ["x", "n"], ["y"], time_axis=axis, batch_axis=1 - axis
    )
    shape = [4, 2, 3] if axis == 0 else [2, 4, 3]
    model = model_of([node], [info("x", shape)], [info("y", shape)], {"n": np.full(2, length)})
    feed = {"x": np.arange(24, dtype=np.float32).reshape(shape)}
    expected, got, operators = both(model, feed)
    assert ("", "ReverseSequence") not in operators
    assert (got[0] == expected[0]).all()


def test_reversed_sequences_of_several_lengths_are_refused():
    node = helper.make_node("ReverseSequence", ["x", "n"], ["y"])
    model = model_of([node], [info("x", [4, 2])], [info("y", [4, 2])], {"n": np.array([4, 3])})
    with pytest.raises(UnsupportedModelError, match="lengths of ReverseSequence 'y' differ"):
        expand(model)


@pytest.mark.parametrize("kind", [TensorProto.INT2, TensorProto.UINT2, TensorProto.INT4])
def test_narrow_weights_are_widened(kind: int):
    node = helper.make_node("DequantizeLinear", ["w", "s"], ["real"])
    product = helper.make_node("MatMul", ["x", "real"], ["y"])
    model = model_of(
        [node, product], [info("x", [1, 2])], [info("y", [1, 3])], {"s": np.float32(0.5)}
    )
    model.opset_import[0].version = 25
    low = 0 if kind == TensorProto.UINT2 else -1
    values = np.array([[low, 0, 1], [1, low, 1]])
    model.graph.initializer.append(helper.make_tensor("w", kind, [2, 3], values.ravel().tolist()))
    written, _ = expand(model)
    assert "DequantizeLinear" not in {call.op_type for call in written.graph.node}
    got = computed(written, {"x": np.array([[2, 4]], np.float32)})
    assert (got[0] == np.array([[2, 4]]) @ values * 0.5).all()


def test_a_loop_of_too_many_steps_is_refused():
    with pytest.raises(UnsupportedModelError, match=r"1,000 steps.*at most 512"):
        expand(looped([TRUE], steps=1000))


def test_a_branch_inside_a_loop_reads_what_is_around_it():
    then = helper.make_graph(
        [helper.make_node("Add", ["state", "x"], ["t"])], "t", [], [info("t", [3])]
    )
    other = helper.make_graph(
        [helper.make_node("Neg", ["state"], ["e"])], "e", [], [info("e", [3])]
    )
    body = helper.make_graph(
        [
            helper.make_node("Less", ["i", "one"], ["first"]),
            helper.make_node("If", ["first"], ["next"], then_branch=then, else_branch=other),
            helper.make_node("Identity", ["go"], ["on"]),
        ],
        "body",
        [info("i", [], TensorProto.INT64), info("go", [], TensorProto.BOOL), info("state", [3])],
        [info("on", [], TensorProto.BOOL), info("next", [3])],
    )
    node = helper.make_node("Loop", ["n", "", "x"], ["y"], body=body)
    model = model_of(
        [node], [info("x", [3])], [info("y", [3])], {"n": np.int64(3), "one": np.int64(1)}
    )
    expected, got, operators = both(model, X3)
    assert not {("", "If"), ("", "Loop")} & set(operators)
    # doubled in the first step, then its sign changed twice
    assert (expected[0] == 2 * X3["x"]).all()
    assert (got[0] == expected[0]).all()


@pytest.mark.parametrize("backwards", [0, 1])
@pytest.mark.parametrize("axis", [0, 1])
def test_scan(axis, backwards):
    body = helper.make_graph(
        [
            helper.make_node("Add", ["sum", "part"], ["next"]),
            helper.make_node("Identity", ["next"], ["row"]),
        ],
        "body",
        [info("sum", [3]), info("part", [3])],
        [info("next", [3]), info("row", [3])],
    )
    node = helper.make_node(
        "Scan", ["s", "x"], ["y", "rows"], body=body, num_scan_inputs=1, scan_input_axes=[axis],
        scan_input_directions=[backwards], scan_output_axes=[1], scan_output_directions=[backwards],
    )  # fmt: skip
    shape = [4, 3] if axis == 0 else [3, 4]
    model = model_of(
        [node],
        [info("x", shape)],
        [info("y", [3]), info("rows", [3, 4])],
        {"s": np.zeros(3, np.float32)},
    )
    feed = {"x": np.arange(12, dtype=np.float32).reshape(shape)}
    expected, got, operators = both(model, feed)
    assert ("", "Scan") not in operators
    assert (expected[0] == feed["x"].sum(axis=axis)).all()
    for one, wanted in zip(got, expected, strict=True):
        assert (one == wanted).all()


NARROW = 63
"""The largest stored weight: sums of two products fit into 16 bits, at which ONNX Runtime caps them without VNNI."""


def quantities(random, middle=120):
    return {
        "sx": np.float32(0.02), "zx": np.uint8(middle), "sw": np.float32(0.02),
        "sy": np.float32(0.07), "zy": np.uint8(100), "b": random.integers(-500, 500, 6).astype(np.int32),
    }  # fmt: skip


def near(got, wanted, seldom=0.02):
    """At most one unit of the quantized result, and that seldom."""
    gap = np.abs(got.astype(np.int64) - wanted.astype(np.int64))
    assert gap.max() <= 1
    assert (gap > 0).mean() <= seldom
    assert len(np.unique(wanted)) > 5


@pytest.mark.parametrize("channels", [False, True])
@pytest.mark.parametrize("unsigned", [False, True])
def test_qlinear_convolution(unsigned, channels):
    random = np.random.default_rng(0)
    weights = random.integers(-NARROW, NARROW, (6, 4, 3, 3))
    stored = quantities(random) | {
        "w": (weights + 128).astype(np.uint8) if unsigned else weights.astype(np.int8),
        "zw": np.uint8(128) if unsigned else np.int8(0),
    }
    if channels:
        stored["sw"] = (random.random(6) * 0.01 + 0.005).astype(np.float32)
        stored["zw"] = np.full(6, stored["zw"])
    node = helper.make_node(
        "QLinearConv", ["x", "sx", "zx", "w", "sw", "zw", "sy", "zy", "b"], ["y"], pads=[1] * 4
    )
    model = model_of(
        [node], [info("x", [1, 4, 7, 7], UINT8)], [info("y", [1, 6, 7, 7], UINT8)], stored
    )
    feed = {"x": random.integers(0, 256, (1, 4, 7, 7), dtype=np.uint8)}
    expected, got, operators = both(model, feed)
    assert [name for _, name in operators].count("Conv") == 1
    near(got[0], expected[0])


@pytest.mark.parametrize("constant", [False, True])
def test_qlinear_matrix_product(constant):
    random = np.random.default_rng(0)
    weights = random.integers(-NARROW, NARROW, (16, 12), dtype=np.int8)
    stored = quantities(random) | {"zw": np.int8(0)}
    inputs, feed = [info("x", [5, 16], UINT8)], {}
    feed["x"] = random.integers(0, 256, (5, 16), dtype=np.uint8)
    if constant:
        stored["w"] = weights
    else:
        inputs.append(info("w", [16, 12], INT8))
        feed["w"] = weights
    node = helper.make_node("QLinearMatMul", ["x", "sx", "zx", "w", "sw", "zw", "sy", "zy"], ["y"])
    model = model_of([node], inputs, [info("y", [5, 12], UINT8)], stored)
    expected, got, operators = both(model, feed)
    assert ("", "QLinearMatMul") not in operators
    near(got[0], expected[0])


@pytest.mark.parametrize(
    ("kernel", "fields"),
    [
        ((6, 4, 3, 3), {"pads": [1, 1, 1, 1]}),
        ((6, 4, 3, 2), {"strides": [2, 1], "pads": [0, 1, 1, 0]}),
        ((6, 2, 3, 3), {"group": 2, "dilations": [2, 1]}),
        ((6, 4, 1, 1), {}),
    ],
)
@pytest.mark.parametrize("middle", [False, True])
def test_integer_convolution_is_exact(kernel, fields, middle):
    random = np.random.default_rng(0)
    stored = {"w": random.integers(0, 256, kernel, dtype=np.uint8)}
    operands = ["x", "w"]
    if middle:
        stored |= {"zx": np.uint8(120), "zw": np.uint8(131)}
        operands += ["zx", "zw"]
    node = helper.make_node("ConvInteger", operands, ["y"], **fields)
    model = model_of([node], [info("x", [2, 4, 7, 7], UINT8)], [info("y", None, INT32)], stored)
    feed = {"x": random.integers(0, 256, (2, 4, 7, 7), dtype=np.uint8)}
    expected, got, _ = both(model, feed)
    assert (got[0] == expected[0]).all()


@pytest.mark.parametrize("values", ["random", "zeros", "positive"])
def test_dynamic_quantization(values):
    random = np.random.default_rng(0)
    x = {"random": random.standard_normal(64), "zeros": np.zeros(64), "positive": np.ones(64)}[
        values
    ]
    node = helper.make_node("DynamicQuantizeLinear", ["x"], ["y", "s", "z"])
    outputs = [info("y", [64], UINT8), info("s", []), info("z", [], UINT8)]
    model = model_of([node], [info("x", [64])], outputs, {})
    expected, got, _ = both(model, {"x": x.astype(np.float32)})
    for one, wanted in zip(got, expected, strict=True):
        assert (one == wanted).all()


@pytest.mark.parametrize("middle", [False, True])
def test_four_bit_weights(middle):
    random = np.random.default_rng(0)
    depth, outputs, block = 64, 8, 32
    stored = {
        "w": random.integers(0, 256, (outputs, depth // block, block // 2), dtype=np.uint8),
        "s": (random.random(outputs * depth // block) * 0.1).astype(np.float32),
    }
    if middle:
        stored["z"] = random.integers(0, 256, outputs * (depth // block) // 2, dtype=np.uint8)
    node = helper.make_node(
        "MatMulNBits", ["x", *stored], ["y"],
        K=depth, N=outputs, bits=4, block_size=block, domain="com.microsoft",
    )  # fmt: skip
    model = model_of(
        [node], [info("x", [3, depth])], [info("y", [3, outputs])], stored, contributed=True
    )
    feed = {"x": random.standard_normal((3, depth)).astype(np.float32)}
    expected, got, operators = both(model, feed)
    assert operators[0] == ("", "MatMul")
    assert np.abs(got[0] - expected[0]).max() <= 1e-5 * np.abs(expected[0]).max()


@pytest.mark.parametrize("operator", ["QLinearAdd", "QLinearMul"])
def test_quantized_sums_and_products(operator):
    random = np.random.default_rng(0)
    stored = quantities(random) | {"s2": np.float32(0.03), "z2": np.uint8(90)}
    operands = ["x", "sx", "zx", "v", "s2", "z2", "sy", "zy"]
    node = helper.make_node(operator, operands, ["y"], domain="com.microsoft")
    shape = [3, 50]
    model = model_of(
        [node], [info("x", shape, UINT8), info("v", shape, UINT8)], [info("y", shape, UINT8)],
        stored, contributed=True,
    )  # fmt: skip
    feed = {name: random.integers(0, 256, shape, dtype=np.uint8) for name in ("x", "v")}
    expected, got, _ = both(model, feed)
    near(got[0], expected[0])


@pytest.mark.parametrize(
    ("operator", "fields"),
    [
        ("QLinearSigmoid", {}),
        ("QLinearLeakyRelu", {"alpha": 0.2}),
        ("QLinearGlobalAveragePool", {}),
        ("QLinearAveragePool", {"kernel_shape": [2, 2], "strides": [2, 2]}),
    ],
)
def test_quantized_activations_and_pools(operator, fields):
    random = np.random.default_rng(0)
    stored = quantities(random) | {"sy": np.float32(0.004), "zy": np.uint8(30)}
    operands = ["x", "sx", "zx", "sy", "zy"]
    node = helper.make_node(operator, operands, ["y"], domain="com.microsoft", **fields)
    model = model_of(
        [node],
        [info("x", [2, 24, 6, 6], UINT8)],
        [info("y", None, UINT8)],
        stored,
        contributed=True,
    )
    feed = {"x": random.integers(0, 256, (2, 24, 6, 6), dtype=np.uint8)}
    expected, got, _ = both(model, feed)
    # Averages of four integers, in steps of 1.25, often lie halfway between two results.
    near(got[0], expected[0], seldom=0.1 if operator == "QLinearAveragePool" else 0.02)


@pytest.mark.parametrize("transposed", [0, 1])
def test_quantized_gemm(transposed):
    random = np.random.default_rng(0)
    stored = quantities(random) | {"zw": np.int8(0)}
    stored["w"] = random.integers(
        -NARROW, NARROW, (6, 16) if transposed else (16, 6), dtype=np.int8
    )
    operands = ["x", "sx", "zx", "w", "sw", "zw", "b", "sy", "zy"]
    node = helper.make_node(
        "QGemm", operands, ["y"], alpha=1.0, transB=transposed, domain="com.microsoft"
    )
    model = model_of(
        [node], [info("x", [5, 16], UINT8)], [info("y", [5, 6], UINT8)], stored, contributed=True
    )
    expected, got, _ = both(model, {"x": random.integers(0, 256, (5, 16), dtype=np.uint8)})
    near(got[0], expected[0])


@pytest.mark.parametrize("causal", [0, 1])
def test_attention_by_its_definition(causal):
    random = np.random.default_rng(0)
    node = helper.make_node("Attention", ["q", "k", "v"], ["y"], is_causal=causal)
    shape = [1, 2, 5, 8]
    model = model_of(
        [node], [info(name, shape) for name in "qkv"], [info("y", shape)], {}, opset=23
    )
    feed = {name: random.standard_normal(shape).astype(np.float32) for name in "qkv"}
    scores = feed["q"] @ feed["k"].swapaxes(2, 3) / np.sqrt(8)
    if causal:
        scores = np.where(np.tri(5, dtype=bool), scores, -np.inf)
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    wanted = powers / powers.sum(axis=-1, keepdims=True) @ feed["v"]
    written, notes = expand(model)
    assert notes == ("rewritten: 1 Attention",)
    assert "Attention" not in [node.op_type for node in written.graph.node]
    assert np.abs(computed(written, feed)[0] - wanted).max() <= 1e-5


def test_swish_by_its_definition():
    node = helper.make_node("Swish", ["x"], ["y"], alpha=1.5)
    model = model_of([node], [info("x", [3])], [info("y", [3])], {}, opset=24)
    written, _ = expand(model)
    assert "Swish" not in [node.op_type for node in written.graph.node]
    got = computed(written, X3)[0]
    assert np.allclose(got, X3["x"] / (1 + np.exp(-1.5 * X3["x"])), atol=1e-6)


def test_both_results_of_a_layer_normalization_that_tvm_leaves_out():
    random = np.random.default_rng(0)
    node = helper.make_node("LayerNormalization", ["x", "s", "b"], ["y", "mean", "inverse"])
    stored = {name: random.random(6).astype(np.float32) for name in "sb"}
    outputs = [info("y", [4, 6]), info("mean", [4, 1]), info("inverse", [4, 1])]
    model = model_of([node], [info("x", [4, 6])], outputs, stored)
    feed = {"x": random.standard_normal((4, 6)).astype(np.float32)}
    expected, got, operators = both(model, feed)
    assert ("", "LayerNormalization") not in operators
    for one, wanted in zip(got, expected, strict=True):
        assert np.abs(one - wanted).max() <= 1e-5


def test_a_model_with_nothing_to_rewrite_stays_as_it_is():
    model = model_of(
        [helper.make_node("Relu", ["x"], ["y"])], [info("x", [3])], [info("y", [3])], {}
    )
    before = model.SerializeToString()
    written, notes = expand(model)
    assert notes == ()
    assert written.SerializeToString() == before


def rows_by_shape(opset: int):
    """Return a model of an old operator set that flattens all but the first dimension, by a shape handed around."""
    nodes = [
        helper.make_node("Shape", ["x"], ["all"]),
        helper.make_node("Identity", ["all"], ["same"]),
        helper.make_node("Slice", ["same"], ["rows"], axes=[0], starts=[0], ends=[1]),
        helper.make_node("Concat", ["rows", "rest"], ["shape"], axis=0),
        helper.make_node("Reshape", ["x", "shape"], ["y"]),
    ]
    model = model_of(nodes, [info("x", [2, 3, 4])], [info("y", [2, 12])], {"rest": np.array([-1])})
    model.opset_import[0].version, model.ir_version = opset, 8
    return model


def test_what_shapes_decide_is_settled_and_an_old_operator_set_brought_up():
    feed = {"x": np.arange(24, dtype=np.float32).reshape(2, 3, 4)}
    expected = computed(rows_by_shape(7), feed)
    settled = settle_shapes(rows_by_shape(7))
    assert settled is not None
    assert {node.op_type for node in settled.graph.node} <= {"Reshape", "Constant"}
    assert settled.opset_import[0].version == 13
    assert (computed(settled, feed)[0] == expected[0]).all()
    assert settle_shapes(settled) is None
