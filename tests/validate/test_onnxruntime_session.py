"""A session of ONNX Runtime runs what a file computes, also where that is not what the file declares."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, save

from roofline.validate.backends.onnxruntime import OnnxRuntimeSession


def test_an_output_of_another_shape_than_declared_is_run_again_and_again(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, "n"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2])],
    )  # fmt: skip
    path = tmp_path / "declared.onnx"
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    session = OnnxRuntimeSession(path, 1)
    given = np.asarray([[-1, 0, 1, 2, 3]], np.float32)
    session.bind({"x": given})
    for _ in range(3):
        session.step()
        assert session.outputs()[0].tolist() == [[0, 0, 1, 2, 3]]


def test_what_fails_for_another_reason_fails(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("Reshape", ["x", "shape"], ["y"])], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [helper.make_tensor("shape", TensorProto.INT64, [2], [2, 2])],
    )  # fmt: skip
    path = tmp_path / "wrong.onnx"
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    session = OnnxRuntimeSession(path, 1)
    session.bind({"x": np.ones(5, np.float32)})
    with pytest.raises(Exception, match=r"[Rr]eshape"):
        session.step()
