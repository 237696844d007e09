"""A program's weights lie beside its code, each once, and come back as they were."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from roofline.errors import MeasurementError
from roofline.validate.measuring.backend import backends

pytestmark = [
    pytest.mark.tvm,
    pytest.mark.skipif(bool(backends.get("tvm").missing()), reason="TVM is missing"),
]


def test_large_constants_are_parameters_and_leave_the_library(tmp_path) -> None:
    from tvm import relax

    from roofline.validate.tvm import weights
    from roofline.validate.tvm.importing import import_model
    from roofline.validate.tvm.setup import load_tvm, local_target

    tvm = load_tvm()
    random = np.random.default_rng(0)
    large = random.standard_normal((64, 512)).astype(np.float32)
    small = random.standard_normal(64).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Add", ["x", "small"], ["sum"]),
            helper.make_node("MatMul", ["sum", "large"], ["y"]),
        ],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 512])],
        [numpy_helper.from_array(large, "large"), numpy_helper.from_array(small, "small")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, tmp_path / "model.onnx")
    target = local_target(tvm, 1)
    module = import_model(tmp_path / "model.onnx", target).module
    detached = weights.detach(module)
    assert len(detached.module["main"].params) == 2
    assert [array.nbytes for array in detached.weights] == [large.nbytes]
    sizes = []
    for name, kept in (("with", module), ("without", detached.module)):
        library = tmp_path / f"{name}.so"
        tvm.compile(kept, target).export_library(str(library))
        sizes.append(library.stat().st_size)
    assert sizes[0] - sizes[1] > 0.9 * large.nbytes

    path = tmp_path / "program.weights"
    forms = weights.write(detached.weights, path)
    assert path.stat().st_size == large.nbytes
    tensors = weights.read(path, forms)
    machine = relax.VirtualMachine(
        tvm.runtime.load_module(str(tmp_path / "without.so")), tvm.cpu()
    )
    inputs = random.standard_normal((2, 64)).astype(np.float32)
    result = machine["main"](tvm.runtime.tensor(inputs), *tensors).numpy()
    assert np.allclose(result, (inputs + small) @ large, atol=1e-4)

    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(MeasurementError, match="is cut off"):
        weights.read(path, forms)
