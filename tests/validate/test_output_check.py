"""Outputs are compared by the datatype that ran and the size of what they were computed from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from roofline.validate.measuring.output_check import TOLERANCES, coarsest, compare_outputs
from roofline.validate.measuring.products import (
    product_datatypes,
    storage_form,
    stored_bits,
    with_magnitudes,
)
from roofline.validate.records.executed import StoredAs, describe_execution

STEP = 2.0**-23
"""Rounding step of fp32 at one."""


def check(got, wanted, magnitude=0.0, datatype="fp32"):
    return compare_outputs(
        [np.array(got)], [np.array(wanted)], by="r", datatype=datatype, magnitude=magnitude
    )


@pytest.mark.parametrize(
    ("outputs", "informative"),
    [([0.5], True), ([1.0], False), ([0.0], False), ([2.0, 1.0], True), ([1.0, 0.0, 0.0], False), ([3.0, 3.0], False)],
)  # fmt: skip
def test_constant_or_saturated_outputs_say_little(outputs: list[float], informative: bool) -> None:
    assert check(outputs, outputs).informative is informative


def test_without_a_magnitude_the_error_is_relative_to_the_outputs() -> None:
    wanted = np.linspace(1e-6, 1e-5, 8)
    assert not check(wanted + 1.8e-7, wanted).passed
    assert check(wanted + 0.9e-3 * 1e-5, wanted).passed


def test_small_outputs_keep_the_rounding_of_what_they_were_computed_from() -> None:
    # A detector's map of rejected pixels: values up to 1e-5 after products up to 4, 1.8e-7 apart.
    wanted = np.linspace(1e-6, 1e-5, 8)
    found = check(wanted + 1.8e-7, wanted, magnitude=4.0)
    assert found.floor == 4.0 * STEP
    assert found.passed
    assert found.informative
    assert not check(wanted + 1.01 * found.floor, wanted, magnitude=4.0).passed


def test_outputs_within_rounding_alone_say_little() -> None:
    wanted = np.linspace(1e-7, 1e-6, 8)
    found = check(np.zeros(8), wanted, magnitude=100.0)
    assert found.passed
    assert not found.informative


def test_large_outputs_are_held_to_their_own_size() -> None:
    wanted = np.linspace(1.0, 10.0, 8)
    assert not check(wanted + 0.02, wanted, magnitude=1000.0).passed


@pytest.mark.parametrize("magnitude", [np.nan, np.inf])
def test_a_magnitude_that_is_no_number_gives_no_floor(magnitude: float) -> None:
    assert check([1.0, 2.0], [1.0, 2.0], magnitude).floor == 0


@pytest.mark.parametrize("datatype", sorted(TOLERANCES))
def test_the_floor_follows_the_datatype(datatype: str) -> None:
    # Integers are exact: they are not rounded at all.
    step = {"fp64": 2**-52, "fp32": 2**-23, "fp16": 2**-10, "bf16": 2**-7}.get(datatype, 0)
    assert check([1.0, 2.0], [1.0, 2.0], 8.0, datatype).floor == 8 * step


def two_products() -> onnx.ModelProto:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["wide"]),
        helper.make_node("Sub", ["wide", "wide"], ["none"]),
        helper.make_node("MatMul", ["none", "w"], ["y"]),
    ]
    weights = numpy_helper.from_array(np.diag([3.0, -5.0]).astype(np.float32), "w")
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2])], [weights],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def test_the_largest_result_of_every_product_is_given(tmp_path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(two_products(), path)
    from onnx.reference import ReferenceEvaluator

    model = onnx.load_model_from_string(with_magnitudes(path))
    x = np.array([[2.0, 4.0]], np.float32)
    output, first, second = ReferenceEvaluator(model).run(None, {"x": x})
    assert output.tolist() == [[0, 0]]
    assert (float(first), float(second)) == (20.0, 0.0)


def quantized(kind: int, op_type: str) -> onnx.ModelProto:
    scale = helper.make_tensor("s", TensorProto.FLOAT, [], [0.5])
    weight = helper.make_tensor("w", kind, [2, 2], [1, 2, 3, 4])
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "s"], ["wide"]),
        helper.make_node(op_type, ["wide", "wide"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes, "g", [], [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 2])], [scale, weight],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])


@pytest.mark.parametrize(
    ("kind", "stored", "bits"),
    [
        (TensorProto.INT4, StoredAs.PACKED, 4),
        (TensorProto.INT2, StoredAs.PACKED, 2),
        (TensorProto.INT8, StoredAs.DEQUANTIZED, 0),
    ],
)
def test_dequantized_weights_are_multiplied_as_floats(
    kind: int, stored: StoredAs, bits: int
) -> None:
    model = quantized(kind, "MatMul")
    assert product_datatypes(model) == {"fp32"}
    assert storage_form(model) is stored
    assert stored_bits(model) == bits


def test_packed_weights_are_said_to_have_the_bits_that_they_have() -> None:
    packed = describe_execution(["fp32"], stored=StoredAs.PACKED, stored_bits=2)
    assert packed.label == "fp32, of 2-bit weights unpacked before the run"
    unknown = describe_execution(["fp32"], stored=StoredAs.PACKED)
    assert unknown.label == "fp32, of packed weights unpacked before the run"


@pytest.mark.parametrize("op_type", ["MatMulInteger", "QLinearMatMul", "QLinearConv"])
def test_integer_products_are_int8(op_type: str) -> None:
    model = quantized(TensorProto.INT8, "MatMul")
    model.graph.node[1].op_type = op_type
    assert product_datatypes(model) == {"int8"}


def test_products_in_bodies_count_too() -> None:
    inner = two_products().graph
    model = two_products()
    del model.graph.node[:]
    model.graph.node.append(
        helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
    )
    assert product_datatypes(model) == {"fp32"}


@pytest.mark.parametrize(
    ("executed", "kept", "expected"),
    [
        (["fp32"], ["fp16"], "fp16"),
        (["fp32"], ["fp32"], "fp32"),
        (["fp32"], [], "fp32"),
        (["fp16"], ["fp32"], "fp16"),
        (["int8"], ["fp16"], "int8"),
        (["fp32"], ["int8"], "fp32"),
        (["fp32", "int32"], ["fp32"], "int32"),
    ],
)
def test_the_coarser_rounding_decides(executed: list[str], kept: list[str], expected: str) -> None:
    assert coarsest(executed, kept) == expected


@pytest.mark.slow
@pytest.mark.parametrize("network", ["resnet18_cifar10", "mobilenet_v2_cifar10"])
def test_halves_that_a_runtime_widens_are_right(network: str, tmp_path) -> None:
    # The runtime computes runs of operators in fp32; the reference rounds to fp16 behind each.
    pytest.importorskip("onnxruntime")
    from roofline.validate.measuring.measure import measure
    from roofline.validate.records.compression import Compression
    from roofline.validate.records.request import Protocol, RunRequest

    asked = RunRequest(
        network, "onnxruntime", threads=1, compression=Compression(datatypes=("fp16",)),
        protocol=Protocol(runs=2, sampling_s=0.1),
    )  # fmt: skip
    run = measure(asked, folder=tmp_path)
    assert run.ok, run.reason
    assert run.executed.datatype == "fp32"
    assert run.check.tolerance == TOLERANCES["fp16"]
    assert run.check.max_rel_error > 1e-3


def test_a_file_of_more_than_a_gibibyte_is_not_watched(tmp_path: Path) -> None:
    large = tmp_path / "large.onnx"
    with large.open("wb") as file:
        file.truncate(2**30 + 1)
    assert with_magnitudes(large) is None
