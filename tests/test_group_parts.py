"""Which operators are part of a group that a runtime may run as one, and what the group takes."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from roofline import Workload
from roofline.model._group_parts import NORMALIZED_SUM, QUANTIZED_SOFTMAX, knows_shapes
from roofline.model.executed_steps import Step, steps_of
from roofline.model.machine_profile import Profile, Sample
from roofline.model.network_time import calibrated_time
from roofline.validate.calibration.groups import with_groups
from roofline.validate.calibration.measured_probe import MeasuredProbe
from roofline.validate.calibration.microbenchmarks import ProbeTimes, Times
from roofline.validate.calibration.probe_timing import run_request
from roofline.validate.calibration.probes import probes

TOKENS, WIDTH = 16, 32
FAST, SLOW = Sample((512.0,), 0.5), Sample((512.0,), 0.05)


def profile(*patterns: str, after: tuple[str, ...] = (), **samples: Sample) -> Profile:
    """Return a profile with patterns, and samples by kind, dots written as double underscores."""
    given = {kind.replace("__", "."): (sample,) for kind, sample in samples.items()}
    return Profile(
        backend="onnxruntime", version="0", threads=1, peaks={"fp32": 1e11}, bandwidth=1e10, run_s=5e-6, layer_s=1e-6,
        lanes=16, samples={"matmul.wide.fp32": (Sample((64, 64, 64, 1), 0.5),)} | given,
        patterns=frozenset(patterns), after_product=frozenset(after),
    )  # fmt: skip


def network(nodes, *, free: bool = False, stated: bool = False, inputs=("x", "y")) -> Workload:
    """Return a network of nodes; its first axis may be free, and the shapes of values in between stated."""
    sizes = ("n" if free else 1, TOKENS, WIDTH)
    floats = {"half": 0.5, "one": 1.0, "root": 1.4142135, "scale": 0.1}
    stored = [numpy_helper.from_array(np.array(v, np.float32), n) for n, v in floats.items()]
    stored.append(numpy_helper.from_array(np.array(0, np.uint8), "zero"))
    stored += [numpy_helper.from_array(np.full(WIDTH, 1.0, np.float32), n) for n in ("g", "b")]
    stored.append(numpy_helper.from_array(np.zeros((WIDTH, WIDTH), np.float32), "w"))
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes) for name in inputs],
        [helper.make_empty_tensor_value_info("out")],
        stored,
    )
    if stated:
        graph.value_info.append(helper.make_tensor_value_info("sum", TensorProto.FLOAT, sizes))
    opset = [helper.make_opsetid("", 17)]
    return Workload.from_onnx(
        helper.make_model(graph, opset_imports=opset, ir_version=8), name="net"
    )


def kinds(workload: Workload, known: Profile) -> dict[str, str]:
    found = steps_of(workload, known)
    assert found is not None
    return {step.layer: kind_of(step) for step in found}


def kind_of(step: Step) -> str:
    return "view" if step.work is None else step.work.kind


def normalization(**more: bool) -> Workload:
    """Return two values that are added and normalized; the sum may be read again."""
    nodes = [
        helper.make_node("Add", ["x", "y"], ["sum"], "sum"),
        helper.make_node("LayerNormalization", ["sum", "g", "b"], ["normal"], "normal", axis=-1),
    ]
    again = more.pop("again", False)
    last = "sum" if again else "x"
    nodes.append(helper.make_node("Add", ["normal", last], ["out"], "last"))
    return network(nodes, **more)


SUMS = {"group__normalized_sum": SLOW}


def test_a_sum_that_is_normalized_at_once_is_one_group_where_that_was_measured():
    assert kinds(normalization(), profile(**SUMS)) == {
        "normal": NORMALIZED_SUM,
        "last": "elementwise.Add.same",
    }
    assert set(kinds(normalization(), profile())) == {"sum", "normal", "last"}


def test_a_sum_that_is_read_again_is_no_part_of_a_normalization():
    assert set(kinds(normalization(again=True), profile(**SUMS))) == {"sum", "normal", "last"}


@pytest.mark.parametrize(("free", "stated", "known"), [
    (False, False, True), (True, True, True), (True, False, False),
])  # fmt: skip
def test_sums_are_taken_along_where_shapes_are_known_before_a_run(free, stated, known):
    workload = normalization(free=free, stated=stated)
    assert knows_shapes(workload) == known
    assert ("sum" not in kinds(workload, profile(**SUMS))) == known


def test_a_group_takes_its_values_over_what_was_measured():
    time = calibrated_time(normalization(), profile(**SUMS))
    assert time is not None
    (group,) = [layer for layer in time.layers if layer.kind == NORMALIZED_SUM]
    # Two passes over 512 values of four bytes at 10 GB/s, at a twentieth of it; scales and shifts are read, too.
    moved = 2 * 4 * TOKENS * WIDTH + 2 * 4 * WIDTH
    assert group.estimate.seconds == pytest.approx(1e-6 + moved / 1e10 / 0.05, rel=1e-6)


def softmax(behind: str) -> Workload:
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"], "first"),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["d"], "restore"),
        helper.make_node("Softmax", ["d"], ["s"], "softmax", axis=-1),
        helper.make_node(*(
            ("QuantizeLinear", ["s", "scale", "zero"], ["out"], "last")
            if behind == "QuantizeLinear"
            else (behind, ["s"], ["out"], "last")
        )),
    ]  # fmt: skip
    return network(nodes, inputs=("x",))


def test_a_softmax_between_quantizations_is_one_group_where_that_was_measured():
    known = profile(group__quantized_softmax=SLOW)
    found = kinds(softmax("QuantizeLinear"), known)
    assert found == {"first": "quantization.QuantizeLinear", "softmax": QUANTIZED_SOFTMAX}
    assert set(kinds(softmax("QuantizeLinear"), profile())) == {
        "first", "restore", "softmax", "last",
    }  # fmt: skip
    assert set(kinds(softmax("Abs"), known)) == {"first", "restore", "softmax", "last"}


def gelu(*, halved: bool) -> Workload:
    ends = (
        [("Mul", ["half", "grown"], ["h"], "halve"), ("Mul", ["v", "h"], ["out"], "times")]
        if halved
        else [("Mul", ["v", "grown"], ["h"], "times"), ("Mul", ["h", "half"], ["out"], "halve")]
    )
    calls = [
        ("MatMul", ["x", "w"], ["v"], "product"),
        ("Div", ["v", "root"], ["e"], "divide"),
        ("Erf", ["e"], ["f"], "erf"),
        ("Add", ["f", "one"], ["grown"], "grow"),
        *ends,
    ]
    return network([helper.make_node(*call) for call in calls], inputs=("x",))


@pytest.mark.parametrize("halved", [False, True])
def test_an_activation_runs_as_one_only_in_the_form_that_was_measured(halved):
    own, other = ("gelu_halved", "gelu") if halved else ("gelu", "gelu_halved")
    last = "times" if halved else "halve"
    assert kinds(gelu(halved=halved), profile(own))[last] == f"pattern.{own}"
    assert set(kinds(gelu(halved=halved), profile(own))) == {"product", last}
    apart = {"product", "divide", "erf", "grow", "times", "halve"}
    assert set(kinds(gelu(halved=halved), profile(other))) == apart


def test_a_product_behind_a_gate_is_no_part_of_it():
    calls = [
        ("MatMul", ["x", "w"], ["v"], "product"),
        ("HardSigmoid", ["v"], ["gate"], "gate"),
        ("Mul", ["v", "gate"], ["gated"], "gated"),
        ("Mul", ["gated", "half"], ["out"], "scale"),
    ]
    workload = network([helper.make_node(*call) for call in calls], inputs=("x",))
    found = kinds(workload, profile("hard_swish"))
    assert found["gated"] == "pattern.hard_swish"
    assert found["scale"] == "elementwise.Mul.scalar"


@pytest.mark.parametrize(("op_type", "executed"), [("Gemm", False), ("MatMul", True)])
def test_what_stands_behind_a_gemm_is_measured_apart_from_what_stands_behind_a_product(
    op_type, executed
):
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["r"], "flat"),
        helper.make_node(op_type, ["r", "w"], ["v"], "product"),
        helper.make_node("Relu", ["v"], ["out"], "relu"),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, TOKENS, WIDTH))],
        [helper.make_empty_tensor_value_info("out")],
        [
            numpy_helper.from_array(np.array([TOKENS, WIDTH], np.int64), "shape"),
            numpy_helper.from_array(np.zeros((WIDTH, WIDTH), np.float32), "w"),
        ],
    )
    opset = [helper.make_opsetid("", 17)]
    workload = Workload.from_onnx(
        helper.make_model(graph, opset_imports=opset, ir_version=8), name="net"
    )
    assert ("relu" in kinds(workload, profile(after=("Gemm.Relu",)))) == executed


@pytest.mark.parametrize(("free", "executed"), [(False, False), (True, True)])
def test_what_is_computed_of_shapes_runs_only_where_sizes_are_free(free, executed):
    nodes = [
        helper.make_node("Shape", ["x"], ["sizes"], "shape"),
        helper.make_node("Mul", ["sizes", "ones"], ["same"], "multiply"),
        helper.make_node("Relu", ["x"], ["r"], "relu"),
        helper.make_node("Reshape", ["r", "same"], ["out"], "view"),
    ]
    sizes = ("n" if free else 1, TOKENS, WIDTH)
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, sizes)],
        [helper.make_empty_tensor_value_info("out")],
        [numpy_helper.from_array(np.array([1, 1, 1], np.int64), "ones")],
    )
    opset = [helper.make_opsetid("", 17)]
    workload = Workload.from_onnx(
        helper.make_model(graph, opset_imports=opset, ir_version=8), name="net"
    )
    found = kinds(workload, profile())
    assert {"relu", "view"} <= set(found)
    assert ({"shape", "multiply"} <= set(found)) == executed
    assert ("multiply" in found) == executed


def measured(name: str, copy_s: float, known: Profile, plain_s: float = 0.0) -> Profile:
    """Return the profile with what one probe says that took so long a copy, beside its plain one."""
    (probe,) = [probe for probe in probes() if probe.name == name]
    plain = f"{name.partition(':')[0]}: none"
    of = {
        entry: ProbeTimes(1e-5, 1e-5 + seconds * probe.copies, probe.copies)
        for entry, seconds in ((name, copy_s), (plain, plain_s))
    }
    times = Times("onnxruntime", "0", 1, of)
    return with_groups([MeasuredProbe(probe, of[name])], known, times)


def test_a_group_is_sampled_by_two_passes_over_its_values():
    made = measured("group normalized_sum of 24576", 1e-4, profile())
    (sample,) = made.samples[NORMALIZED_SUM]
    assert sample.at == (24576.0,)
    assert sample.utilisation == pytest.approx(8 * 24576 / 1e10 / 1e-4)


@pytest.mark.parametrize(("more_s", "free"), [(0.1e-6, True), (0.9e-6, False)])
def test_what_a_gemm_does_on_its_way_out_adds_less_than_a_layer(more_s, free):
    known = profile(elementwise__Relu=Sample((64.0,), 1.0))
    made = measured("after a Gemm: Relu", 2e-6 + more_s, known, plain_s=2e-6)
    assert ("Gemm.Relu" in made.after_product) == free


def test_a_run_is_asked_for_in_single_precision_of_backends_that_compile():
    asked = run_request("net", "tvm", 2)
    assert (asked.datatype, asked.threads, asked.batch) == ("fp32", 2, 0)
