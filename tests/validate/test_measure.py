from __future__ import annotations

import os
import time
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from roofline.errors import (
    DimensionError,
    MeasurementError,
    MissingPackageError,
    ModelError,
    NetworkError,
    OptionError,
)
from roofline.validate.measuring.backend import backends
from roofline.validate.measuring.measure import measure
from roofline.validate.records.record import Status
from roofline.validate.records.request import Protocol, RunRequest

pytest.importorskip("onnxruntime", reason="the reference is computed by ONNX Runtime")

SHORT = Protocol(runs=7, sampling_s=5.0, time_limit_s=300.0)


def run(model, tmp_path, mode="ok", protocol=SHORT, machine="", **fields):
    request = RunRequest(str(model), "fake", protocol=protocol, options={"mode": mode}, **fields)
    return measure(request, machine=machine, folder=tmp_path / "cache")


def test_a_third_partys_backend_is_run_and_checked(small_model, tmp_path, fake_backend):
    record = run(small_model, tmp_path, threads=2, machine="here")
    assert record.status is Status.OK
    assert len(record.samples_s) == 7
    assert record.first_s is not None
    assert record.job.batch == 2
    assert record.throughput_fps == 2 / np.median(record.samples_s)
    assert record.check.passed
    assert record.check.informative
    assert record.machine == "here"
    assert record.peak_rss_bytes > 10e6
    # The backend's variables are set before its process starts.
    assert record.environment.versions["threads seen"] == "2"


@pytest.mark.parametrize(
    ("mode", "status", "reason"),
    [
        ("crash", Status.FAILED, "crashed (SIGABRT) in the step 'running'"),
        ("crash while preparing", Status.FAILED, "crashed (SIGABRT) in the step 'preparing'"),
        ("raise", Status.FAILED, "no such kernel"),
        ("exit", Status.FAILED, "exit code 7"),
        ("killed", Status.OUT_OF_MEMORY, "SIGKILL"),
        ("refused", Status.OUT_OF_MEMORY, "could not get the memory"),
        ("wrong", Status.WRONG, "relative error"),
        ("shape", Status.WRONG, "has shape"),
        ("nan", Status.WRONG, "not a number"),
    ],
)
def test_whatever_a_backend_does_is_one_record(
    small_model, tmp_path, fake_backend, mode, status, reason
):
    record = run(small_model, tmp_path, mode)
    assert record.status is status
    assert reason in record.reason
    assert "\n" not in record.reason
    # What is wrong is never timed as right.
    assert record.samples_s == ()
    assert record.throughput_fps is None


def test_a_hang_is_ended_at_the_time_limit(small_model, tmp_path, fake_backend):
    start = time.monotonic()
    record = run(small_model, tmp_path, "hang", replace(SHORT, time_limit_s=8.0))
    assert record.status is Status.TIMEOUT
    assert record.reason == "ended after the time limit of 8 s in the step 'running'"
    assert time.monotonic() - start < 60


def test_memory_is_limited(small_model, tmp_path, fake_backend):
    record = run(small_model, tmp_path, "allocate", replace(SHORT, memory_limit_bytes=600 << 20))
    assert record.status is Status.OUT_OF_MEMORY
    assert "0.629 GB" in record.reason


def test_sampling_stops_when_its_time_is_up(small_model, tmp_path, fake_backend):
    record = run(small_model, tmp_path, protocol=replace(SHORT, runs=10**9, sampling_s=0.2))
    assert 3 <= len(record.samples_s) < 10**6
    assert record.wall_s < 2
    slow = run(small_model, tmp_path, protocol=replace(SHORT, sampling_s=0.0))
    assert len(slow.samples_s) == 3


def test_progress_is_reported(small_model, tmp_path, fake_backend):
    seen = []
    options = RunRequest("", protocol=SHORT)
    folder = tmp_path / "cache"
    measure(replace(options, network=str(small_model), backend="fake"), folder=folder,
        report=lambda what, done, total: seen.append((what, done, total)),
    )  # fmt: skip
    assert ("preparing", 1, 2) in seen


def test_weights_that_a_file_lacks_are_random_and_the_same_each_time(small_model, tmp_path):
    model = onnx.load(small_model)
    for tensor in model.graph.initializer:
        tensor.ClearField("raw_data")
    bare = tmp_path / "bare.onnx"
    onnx.save(model, bare)
    options = RunRequest("", protocol=SHORT, threads=1)
    runs = [
        measure(replace(options, network=str(bare), backend="onnxruntime"), folder=tmp_path / name)
        for name in ("one", "two")
    ]
    assert [record.status for record in runs] == [Status.OK] * 2
    assert runs[0].notes == ("2 weights are random (seed 0)",)
    files = [sorted((tmp_path / name).rglob("model.onnx"))[0] for name in ("one", "two")]
    assert files[0].read_bytes() == files[1].read_bytes()
    filled = onnx.load(files[0]).graph.initializer
    spread = np.frombuffer(filled[0].raw_data, np.float32).std()
    # He initialization: variance 2 / 8 inputs, 128 samples.
    assert spread == pytest.approx(np.sqrt(2 / 8), rel=0.25)


def test_a_light_models_constants_become_weights(tmp_path):
    shape = helper.make_tensor("shape", TensorProto.INT64, [2], [8, 4])
    value = helper.make_tensor("value", TensorProto.FLOAT, [1], [0.02])
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["W"], value=value),
        helper.make_node("MatMul", ["x", "W"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes, "light",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 4])], [shape],
    )  # fmt: skip
    path = tmp_path / "light.onnx"
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    options = RunRequest("", protocol=SHORT, batch=3, threads=1)
    record = measure(
        replace(options, network=str(path), backend="onnxruntime"), folder=tmp_path / "cache"
    )
    assert record.status is Status.OK
    assert record.job.batch == 3
    assert record.check.informative


def test_bad_input_is_an_error_and_no_record(small_model, tmp_path, fake_backend):
    text = tmp_path / "text.onnx"
    text.write_text("not a model")
    with pytest.raises(ModelError, match=r"text\.onnx"):
        run(text, tmp_path)
    with pytest.raises(NetworkError, match="no_such_network"):
        run("no_such_network", tmp_path)
    with pytest.raises(DimensionError, match="fixed at 2"):
        run(small_model, tmp_path, batch=4)
    with pytest.raises(OptionError, match="tuning"):
        run(small_model, tmp_path, tuning="tuned")
    with pytest.raises(OptionError, match="trials"):
        run(small_model, tmp_path, trials=-1)
    with pytest.raises(MeasurementError, match="unknown backend"):
        measure(RunRequest(str(small_model), "fakee"))


def test_a_missing_package_is_named(small_model, tmp_path, fake_backend, monkeypatch):
    monkeypatch.setattr(backends.get("fake"), "missing", lambda: "fake-runtime", raising=False)
    with pytest.raises(MissingPackageError, match="fake-runtime"):
        run(small_model, tmp_path)


def test_no_process_is_left_behind(small_model, tmp_path, fake_backend):
    run(small_model, tmp_path, "hang", replace(SHORT, time_limit_s=8.0))
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
