"""What a run executes for quantized networks and for loops, and what it reads of weights."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from roofline import Workload
from roofline.model.executed_steps import Step, steps_of
from roofline.model.kinds import works
from roofline.model.machine_profile import Profile, Sample
from roofline.model.quantized_steps import on_integers

CHANNELS, SIZE, SIDE = 32, 28, 3
VALUES = CHANNELS * SIZE * SIZE
"""Elements of an image."""


def profile(**more: object) -> Profile:
    values: dict[str, object] = {
        "backend": "onnxruntime", "version": "0", "threads": 1, "peaks": {"fp32": 1e11, "int8": 4e11},
        "bandwidth": 1e10, "run_s": 5e-6, "layer_s": 1e-6, "lanes": 16,
        "samples": {"conv.kxk.fp32": (Sample((64, 64, 784, 9, 1), 0.5),)}, **more,
    }  # fmt: skip
    return Profile(**values)  # type: ignore[arg-type]


def value(name: str, shape: tuple[int, ...], kind: int = TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def model(nodes, inputs, output: str, stored) -> Workload:
    graph = helper.make_graph(
        nodes, "net", inputs, [helper.make_empty_tensor_value_info(output)], stored
    )
    opset = [helper.make_opsetid("", 17)]
    return Workload.from_onnx(
        helper.make_model(graph, opset_imports=opset, ir_version=8), name="net"
    )


def quantized(groups: int, *, behind: str = "", again: bool = False) -> Workload:
    """Return a convolution between quantizations; something may stand behind it, and in front of the second."""
    weight = np.zeros((CHANNELS, CHANNELS // groups, SIDE, SIDE), np.int8)
    stored = [
        numpy_helper.from_array(np.array(0.1, np.float32), "s"),
        numpy_helper.from_array(np.array(0, np.uint8), "z"),
        numpy_helper.from_array(np.array(0, np.int8), "n"),
        numpy_helper.from_array(weight, "w"),
    ]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], "first"),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"], "restore"),
        helper.make_node("DequantizeLinear", ["w", "s", "n"], ["f"], "weights"),
        helper.make_node("Conv", ["d", "f"], ["c"], "conv", group=groups, pads=[1] * 4),
    ]
    made = "c"
    if behind:
        nodes.append(helper.make_node(behind, ["c"], ["b"], "behind"))
        made = "b"
    if again:
        nodes.append(helper.make_node("Add", [made, made], ["sum"], "sum"))
        made = "sum"
    nodes.append(helper.make_node("QuantizeLinear", [made, "s", "z"], ["last"], "last"))
    return model(nodes, [value("x", (1, CHANNELS, SIZE, SIZE))], "last", stored)


def steps(workload: Workload, *patterns: str) -> dict[str, Step]:
    found = steps_of(workload, profile(patterns=frozenset(patterns)))
    assert found is not None
    return {step.layer: step for step in found}


@pytest.mark.parametrize(("groups", "form"), [(1, "kxk"), (CHANNELS, "depthwise")])
def test_a_convolution_operatorsreads_and_writes_a_byte_each_value(groups, form):
    work = steps(quantized(groups), "quantized")["conv"].work
    assert work is not None
    assert work.kind == f"conv.{form}.int8_static"
    # An image is read and one is written.
    assert work.bytes == 2 * VALUES
    assert work.weight_bytes == CHANNELS * (CHANNELS // groups) * SIDE**2


def test_a_convolution_whose_stored_weights_are_restored_is_of_a_kind_of_its_own():
    found = steps(quantized(1, behind="Tanh"), "quantized")
    work = found["conv"].work
    assert work is not None
    assert work.kind == "conv.restored.fp32"
    # In floating point, and no channel is filled up; patches are written once and read once, four bytes each.
    assert work.bytes == 2 * 4 * VALUES
    assert work.channels == ()
    assert work.patch_bytes == 8 * VALUES * SIDE**2
    # Its probes hold the dequantization of its weights: there is no step for it.
    assert list(found) == ["first", "restore", "conv", "behind", "last"]


def test_a_depthwise_convolution_in_floating_point_dequantizes_its_weights_apart():
    found = steps_of(
        quantized(CHANNELS, behind="Tanh"), profile(patterns=frozenset({"quantized"}))
    )
    assert found is not None
    kinds = [step.work.kind for step in found if step.layer == "conv" and step.work is not None]
    assert kinds == ["quantization.DequantizeLinear", "conv.depthwise.fp32"]


@pytest.mark.parametrize(
    ("behind", "again", "patterns", "executed"),
    [
        ("Relu", False, ("quantized", "clip_quantized"), False),
        # What was not measured to cost nothing is executed.
        ("Relu", False, ("quantized",), True),
        # Something else reads it before it is quantized, or it is more than a limit.
        ("Relu", True, ("quantized", "clip_quantized"), True),
        ("Tanh", False, ("quantized", "clip_quantized"), True),
    ],
)
def test_a_limit_before_a_quantization_is_part_of_it_where_that_was_measured(
    behind, again, patterns, executed
):
    found = steps(quantized(1, behind=behind, again=again), *patterns)
    assert ("behind" in found) == executed


def loop(trips: int, width: int, *, products: int = 1, carried: bool = False) -> Workload:
    """Return a loop of vectors times matrices, which are stored or carried from trip to trip."""
    weights = [
        numpy_helper.from_array(np.zeros((width, width), np.float32), f"w{number}")
        for number in range(products)
    ]
    inside = "carried" if carried else "w0"
    nodes = [
        helper.make_node("Identity", ["go"], ["on"]),
        helper.make_node("MatMul", ["state", inside], ["y0"], "product0"),
        *(
            helper.make_node("MatMul", [f"y{k - 1}", f"w{k}"], [f"y{k}"], f"product{k}")
            for k in range(1, products)
        ),
    ]
    last = f"y{products - 1}"
    takes = [
        value("i", (), TensorProto.INT64),
        value("go", (), TensorProto.BOOL),
        value("state", (1, width)),
    ]
    gives = [value("on", (), TensorProto.BOOL), value(last, (1, width))]
    if carried:
        takes.append(value("carried", (width, width)))
        gives.append(value("same", (width, width)))
        nodes.append(helper.make_node("Identity", ["carried"], ["same"]))
    body = helper.make_graph(nodes, "body", takes, gives)
    operands = ["m", "c", "x"] + (["w0"] if carried else [])
    results = ["out"] + (["unused"] if carried else [])
    node = helper.make_node("Loop", operands, results, "loop", body=body)
    stored = [
        numpy_helper.from_array(np.array(trips, np.int64), "m"),
        numpy_helper.from_array(np.array(True), "c"),
        *weights,
    ]
    return model([node], [value("x", (1, width))], "out", stored)


@pytest.mark.parametrize("carried", [False, True])
def test_every_trip_of_a_loop_reads_the_weights_of_its_products_again(carried):
    (step,) = [s for s in steps(loop(5, 8, carried=carried)).values() if s.work is not None]
    assert step.work is not None
    assert step.work.kind == "matmul.vector.fp32"
    assert step.work.weight_bytes == 4 * 8 * 8
    # Four of the five trips find them where the trip before has left them.
    assert step.work.reread_bytes == 4 * step.work.weight_bytes
    assert step.work.held_bytes == step.work.weight_bytes


def test_products_of_one_trip_compete_for_the_cache_that_holds_their_weights():
    found = [s.work for s in steps(loop(5, 8, products=3)).values() if s.work is not None]
    assert [work.held_bytes for work in found] == [3 * 4 * 8 * 8] * 3


def test_trips_take_the_pace_of_the_cache_that_holds_all_of_their_weights():
    streams = ((1e4, 100e9), (1e6, 10e9))
    known = profile(
        streams=streams, samples={"matmul.vector.fp32": (Sample((1.0, 512.0, 512.0, 1.0), 1.0),)}
    )
    found = steps_of(loop(11, 512), known)
    assert found is not None
    (work,) = [step.work for step in found if step.work is not None]
    once = 4 * 512**2
    # All eleven readings of 1 MB come at the pace of the second stream.
    assert known.floor_s(work, once) == pytest.approx((work.bytes + 11 * once) / 10e9, rel=1e-6)


def test_a_product_of_two_values_has_no_weights():
    nodes = [helper.make_node("MatMul", ["x", "y"], ["z"], "product")]
    (layer,) = model(nodes, [value("x", (1, 8)), value("y", (8, 8))], "z", []).layers
    work = works(layer)
    assert work is not None
    assert (work.kind, work.weight_bytes) == ("matmul.batched.fp32", 0)


def pair(between: str = "") -> Workload:
    """Return two convolutions on integers, one behind the other; something in floating point may stand between."""
    stored = [
        numpy_helper.from_array(np.array(0.1, np.float32), "s"),
        numpy_helper.from_array(np.array(0, np.uint8), "z"),
        numpy_helper.from_array(np.array(0, np.int8), "n"),
        numpy_helper.from_array(np.zeros((CHANNELS, CHANNELS, SIDE, SIDE), np.int8), "w"),
        *(numpy_helper.from_array(np.ones(CHANNELS, np.float32), name) for name in "abcd"),
    ]
    nodes = [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q0"], "q0")]
    for number in range(2):
        made = f"c{number}"
        nodes += [
            helper.make_node(
                "DequantizeLinear", [f"q{number}", "s", "z"], [f"d{number}"], f"d{number}"
            ),
            helper.make_node("DequantizeLinear", ["w", "s", "n"], [f"w{number}"], f"w{number}"),
            helper.make_node("Conv", [f"d{number}", f"w{number}"], [made], made, pads=[1] * 4),
            helper.make_node("QuantizeLinear", [made, "s", "z"], [f"q{number + 1}"], f"r{number}"),
        ]
        if number == 0 and between:
            more = ["a", "b", "c", "d"] if between == "BatchNormalization" else []
            nodes += [
                helper.make_node("DequantizeLinear", ["q1", "s", "z"], ["p"], "restore"),
                helper.make_node(between, ["p", *more], ["t"], "between"),
                helper.make_node("QuantizeLinear", ["t", "s", "z"], ["u"], "again"),
            ]
    if between:
        nodes[-4].input[0] = "u"
    nodes.append(helper.make_node("DequantizeLinear", ["q2", "s", "z"], ["e"], "end"))
    nodes.append(helper.make_node("GlobalAveragePool", ["e"], ["out"], "pool"))
    return model(nodes, [value("x", (1, CHANNELS, SIZE, SIZE))], "out", stored)


@pytest.mark.parametrize(
    ("between", "conversions"),
    [
        # To the first and from the last.
        ("", 2),
        # What takes values one by one leaves channels where they are, what knows of channels does not.
        ("Tanh", 2),
        ("BatchNormalization", 4),
    ],
)
def test_channels_are_moved_where_convolutions_operatorsmeet_others(between, conversions):
    known = profile(
        patterns=frozenset({"quantized"}),
        samples={
            "conv.kxk.int8_static": (Sample((32, 32, 784, 9, 1), 0.5),),
            "layout.convert_integers": (Sample((32, 784), 0.5),),
        },
    )
    found = steps_of(pair(between), known)
    assert found is not None
    moved = [step.work for step in found if step.work and step.work.kind.startswith("layout")]
    # A byte each value, read once and written once.
    assert [work.bytes for work in moved] == [2 * VALUES] * conversions


@pytest.mark.parametrize(("kind", "operators"), [("uint8", 2), ("int8", 0)])
def test_a_signed_value_of_several_convolutions_stays_in_floating_point(kind, operators):
    """ONNX Runtime's kernels take unsigned values: a signed one that two layers read is dequantized for both."""
    zero = numpy_helper.from_array(np.array(0, kind), "z")
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], "first"),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"], "restored"),
    ]
    for side in "ab":
        nodes += [
            helper.make_node(
                "DequantizeLinear", ["k", "s", "kz"], [f"w{side}"], f"weights_{side}"
            ),
            helper.make_node("Conv", ["d", f"w{side}"], [f"y{side}"], f"conv_{side}"),
            helper.make_node(
                "QuantizeLinear", [f"y{side}", "s", "z"], [f"q{side}"], f"last_{side}"
            ),
        ]
    nodes.append(helper.make_node("Concat", ["qa", "qb"], ["out"], "joined", axis=1))
    stored = [
        zero, numpy_helper.from_array(np.array(0.1, np.float32), "s"),
        numpy_helper.from_array(np.array(0, np.int8), "kz"),
        numpy_helper.from_array(np.ones((CHANNELS, CHANNELS, 1, 1), np.int8), "k"),
    ]  # fmt: skip
    found = on_integers(model(nodes, [value("x", (1, CHANNELS, SIZE, SIZE))], "out", stored))
    assert len(found.operators) == operators


@pytest.mark.parametrize(("operator", "others"), [("Add", []), ("Tanh", ["behind"])])
def test_a_convolution_that_takes_a_sum_in_takes_nothing_else(operator, others):
    kernel = numpy_helper.from_array(np.ones((CHANNELS, CHANNELS, 1, 1), np.float32), "w")
    read = ["y", "x"] if operator == "Add" else ["y"]
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["y"], "conv"),
        helper.make_node(operator, read, ["out"], "behind"),
    ]
    network = model(nodes, [value("x", (1, CHANNELS, SIZE, SIZE))], "out", [kernel])
    found = steps_of(network, profile(absorbed=frozenset({"residual"})))
    assert found is not None
    assert [step.layer for step in found if step.layer != "conv"] == others
