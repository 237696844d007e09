from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save

from roofline.validate.measuring.measure import measure
from roofline.validate.records.record import Status
from roofline.validate.records.request import Protocol, RunRequest

pytestmark = [pytest.mark.tvm, pytest.mark.slow]
pytest.importorskip("tvm")
pytest.importorskip("onnxruntime")


@pytest.mark.parametrize("algorithm", ["direct", "gemm"])
def test_a_pruned_network_is_tuned_around_its_sparse_kernels(tmp_path, algorithm):
    random = np.random.default_rng(0)
    kernels = [
        random.standard_normal((32, channels, 3, 3)).astype(np.float32) for channels in (3, 32)
    ]
    # The first layer stays dense, the second one keeps a twentieth of its weights.
    kernels[1][random.random(kernels[1].shape) > 0.05] = 0
    stored = [numpy_helper.from_array(kernel, f"W{i}") for i, kernel in enumerate(kernels)]
    nodes = [
        helper.make_node("Conv", ["x", "W0"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "W1"], ["y"], pads=[1, 1, 1, 1]),
    ]
    shape = [1, 3, 16, 16]
    graph = helper.make_graph(
        nodes, "pruned",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 32, 16, 16])],
        stored,
    )  # fmt: skip
    path = tmp_path / "pruned.onnx"
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    options = RunRequest(
        "",
        tuning="tuned", trials=4, tuning_budget_s=60.0, threads=1, algorithm=algorithm,
        options={"sparse_format": "csr"}, protocol=Protocol(runs=5, time_limit_s=300.0),
    )  # fmt: skip
    record = measure(replace(options, network=str(path), backend="tvm"), folder=tmp_path / "cache")
    assert record.status is Status.OK, record.reason
    assert record.check.passed
    assert any("1 layer sparse" in note for note in record.notes), record.notes
    # The sparse kernel is its own schedule: it is no kernel that went untuned.
    assert not any("sparse" in name for name in record.untuned_kernels)
