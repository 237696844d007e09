from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from roofline.validate.measuring.backend import backends
from roofline.validate.measuring.measure import measure
from roofline.validate.records.flag import FlagKind
from roofline.validate.records.record import Status
from roofline.validate.records.request import Protocol, RunRequest
from roofline.validate.tvm.importing import by_position, rewrite, unsupported_operators

PROTOCOL = Protocol(runs=20, sampling_s=5.0, time_limit_s=300.0)
OPSETS = [helper.make_opsetid("", 13)]


def convolutions():
    """Conv, BatchNormalization, Relu, a second of these, their Sum, and a Dropout in between."""
    random = np.random.default_rng(0)

    def stored(name, *dims, positive=False):
        array = random.standard_normal(dims).astype(np.float32)
        return numpy_helper.from_array(np.abs(array) + 0.5 if positive else array, name)

    weights = [stored("w", 8, 8, 3, 3), stored("v", 8, 8, 3, 3), stored("c", 8)]
    for layer in "ab":
        weights += [stored(f"{layer}{i}", 8, positive=i == 3) for i in range(4)]
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["1"], pads=[1] * 4),
        helper.make_node("BatchNormalization", ["1", "a0", "a1", "a2", "a3"], ["2"], epsilon=1e-3),
        helper.make_node("Relu", ["2"], ["3"]),
        helper.make_node("Dropout", ["3"], ["3d"]),
        helper.make_node("Conv", ["3d", "v", "c"], ["4"], pads=[1] * 4),
        helper.make_node("BatchNormalization", ["4", "b0", "b1", "b2", "b3"], ["5"]),
        helper.make_node("Sum", ["5", "3d"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes, "conv",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8, 6, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8, 6, 6])], weights,
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=OPSETS, ir_version=8)


def computed(model, feed):
    runtime = pytest.importorskip("onnxruntime")
    return runtime.InferenceSession(model.SerializeToString()).run(None, feed)[0]


def test_rewriting_keeps_what_the_model_computes():
    model = convolutions()
    feed = {"x": np.random.default_rng(1).standard_normal((1, 8, 6, 6)).astype(np.float32)}
    before = computed(model, feed)
    done = rewrite(model)
    assert done == ("1 Sum as Add", "2 BatchNormalization folded")
    assert [node.op_type for node in model.graph.node] == ["Conv", "Relu", "Conv", "Add"]
    onnx.checker.check_model(model)
    after = computed(model, feed)
    assert np.abs(after - before).max() <= 1e-5 * np.abs(before).max()


def test_a_result_that_others_use_too_is_not_folded_away():
    model = convolutions()
    model.graph.output.append(helper.make_tensor_value_info("1", TensorProto.FLOAT, None))
    rewrite(model)
    assert [node.op_type for node in model.graph.node][:2] == ["Conv", "BatchNormalization"]


def test_what_cannot_be_imported_is_named():
    model = convolutions()
    model.graph.node[0].op_type = "QLinearConv"
    model.graph.node[2].domain = "com.example"
    assert unsupported_operators(model) == ("QLinearConv", "Relu")


def test_inputs_are_found_under_tvms_names():
    one, two = np.ones(1), np.ones(2)
    assert by_position({"gpu_0/data_0": one, "b": two}, ["b", "gpu_0_data_0"])[0] is two


tvm_installed = pytest.mark.skipif(bool(backends.get("tvm").missing()), reason="TVM is missing")


@pytest.fixture
def convolution_file(tmp_path):
    path = tmp_path / "conv.onnx"
    onnx.save(convolutions(), path)
    return path


def on_tvm(path, tmp_path, tuning, **fields):
    options = RunRequest("", tuning=tuning, trials=4, threads=1, protocol=PROTOCOL, **fields)
    return measure(replace(options, network=str(path), backend="tvm"), folder=tmp_path / "cache")


@pytest.mark.tvm
@tvm_installed
def test_untuned_code_is_right_and_labelled(convolution_file, tmp_path):
    record = on_tvm(convolution_file, tmp_path, "untuned")
    assert record.status is Status.OK, record.reason
    assert record.check.max_rel_error < 1e-5
    assert len(record.untuned_kernels) == record.kernels > 0
    assert any(flag.kind is FlagKind.UNTUNED for flag in record.flags)
    assert "num-cores=1" in record.compiled_for


@pytest.mark.tvm
@tvm_installed
def test_tuning_reaches_every_kernel_and_is_kept(convolution_file, tmp_path):
    record = on_tvm(convolution_file, tmp_path, "tuned")
    assert record.status is Status.OK, record.reason
    assert record.check.max_rel_error < 1e-5
    assert record.untuned_kernels == ()
    seen = []
    options = RunRequest("", tuning="tuned", trials=4, threads=1, protocol=PROTOCOL)
    again = measure(replace(options, network=str(convolution_file), backend="tvm"), folder=tmp_path / "cache",
        report=lambda what, done, total: seen.append(what),
    )  # fmt: skip
    assert again.status is Status.OK
    assert not any(what.startswith("tuning") for what in seen)


@pytest.mark.tvm
@tvm_installed
def test_a_budget_too_small_for_all_kernels_is_stated(convolution_file, tmp_path):
    record = on_tvm(convolution_file, tmp_path, "tuned", tuning_budget_s=1e-3)
    assert record.status is Status.OK, record.reason
    assert record.untuned_kernels
    assert any("budget" in note for note in record.notes)
    assert record.tuning_finished is False
    # The next call goes on where this one stopped.
    again = on_tvm(convolution_file, tmp_path, "tuned")
    assert again.untuned_kernels == ()
    assert again.tuning_finished is True


@pytest.mark.tvm
@pytest.mark.slow
@tvm_installed
def test_a_tuned_mlp_beats_the_untuned_one(tmp_path):
    untuned = on_tvm("mlp_12_5", tmp_path, "untuned")
    tuned = on_tvm("mlp_12_5", tmp_path, "tuned")
    assert tuned.status is untuned.status is Status.OK
    assert tuned.min_s < untuned.min_s


@pytest.mark.tvm
@tvm_installed
def test_an_operator_tvm_lacks_is_a_failed_record(tmp_path):
    weight = numpy_helper.from_array(np.ones((1, 1, 2, 2), np.float32), "W")
    offset = numpy_helper.from_array(np.zeros((1, 8, 3, 3), np.float32), "O")
    node = helper.make_node("DeformConv", ["x", "W", "O"], ["y"])
    graph = helper.make_graph(
        [node], "deformable",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 3, 3])], [weight, offset],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 19)]
    path = tmp_path / "deformable.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    record = on_tvm(path, tmp_path, "untuned")
    assert record.status is Status.FAILED
    assert "DeformConv" in record.reason


@pytest.mark.tvm
@tvm_installed
def test_a_datatype_it_does_not_run_is_a_failed_record(convolution_file, tmp_path):
    record = on_tvm(convolution_file, tmp_path, "untuned", datatype="bf16")
    assert record.status is Status.FAILED
    assert "bf16" in record.reason
    assert replace(record.job, datatype="fp32").key != record.job.key
