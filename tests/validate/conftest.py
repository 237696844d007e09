"""What the measurement tests share: a small model, and a backend that joins as a third party's does."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save

HERE = Path(__file__).parent


@pytest.fixture
def small_model(tmp_path):
    """``y = softmax(relu(x·W)·V)`` with stored weights, batch 2."""
    random = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array(random.standard_normal((8, 16)).astype(np.float32), "W"),
        numpy_helper.from_array(random.standard_normal((16, 4)).astype(np.float32), "V"),
    ]
    nodes = [
        helper.make_node("MatMul", ["x", "W"], ["h"]),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("MatMul", ["r", "V"], ["s"]),
        helper.make_node("Softmax", ["s"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes, "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 4])],
        weights,
    )  # fmt: skip
    path = tmp_path / "small.onnx"
    opsets = [helper.make_opsetid("", 17)]
    save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return path


@pytest.fixture
def fake_backend(tmp_path, monkeypatch):
    """Install the fake backend as a distribution with an entry point, for this process and its children."""
    site = tmp_path / "site"
    info = site / "fake_backend-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fake-backend\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[roofline.backends]\nfake = fake_backend\n")
    (site / "fake_backend.py").write_text((HERE / "fake_backend.py").read_text())
    monkeypatch.setenv("PYTHONPATH", str(site) + os.pathsep + os.environ.get("PYTHONPATH", ""))
    from roofline.validate.measuring.backend import backends

    assert "onnxruntime" in backends
    if "fake" not in backends:
        monkeypatch.syspath_prepend(str(site))
        __import__("fake_backend")
    yield "fake"
    backends._entries.pop("fake", None)
    sys.modules.pop("fake_backend", None)
