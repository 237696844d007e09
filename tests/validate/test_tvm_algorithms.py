"""Every convolution algorithm computes the convolution, checked against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from roofline.errors import MeasurementError
from roofline.validate.tvm.algorithms import ALGORITHMS, algorithm, apply

pytestmark = pytest.mark.tvm

# channels, filters, kernel, stride, pads, dilation, groups, size
CASES = {
    "same padding": (16, 32, 3, 1, [1, 1, 1, 1], 1, 1, 14),
    "stride and uneven padding": (3, 8, 3, 2, [0, 0, 1, 1], 1, 1, 15),
    "dilated 5x5": (8, 24, 5, 1, [2, 2, 2, 2], 2, 1, 16),
    "pointwise": (12, 20, 1, 1, [0, 0, 0, 0], 1, 1, 9),
    "depthwise": (16, 16, 3, 1, [1, 1, 1, 1], 1, 16, 10),
    "no padding, output no multiple of a tile": (5, 7, 3, 1, [0, 0, 0, 0], 1, 1, 11),
}
FALLS_BACK = {
    ("gemm", "depthwise"), ("spatial_pack", "depthwise"), ("winograd", "depthwise"), ("winograd", "pointwise"),
    ("winograd", "dilated 5x5"), ("winograd", "stride and uneven padding"),
}  # fmt: skip


def convolution(case: str) -> tuple[onnx.ModelProto, np.ndarray]:
    channels, filters, kernel, stride, pads, dilation, groups, size = CASES[case]
    random = np.random.default_rng(0)
    weight = random.standard_normal((filters, channels // groups, kernel, kernel)).astype(
        np.float32
    )
    node = helper.make_node(
        "Conv",
        ["x", "w"],
        ["y"],
        strides=[stride] * 2,
        pads=pads,
        dilations=[dilation] * 2,
        group=groups,
    )
    shape = [2, channels, size, size]
    reach = (kernel - 1) * dilation + 1
    out = [(size + pads[i] + pads[i + 2] - reach) // stride + 1 for i in (0, 1)]
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, filters, *out])],
        [numpy_helper.from_array(weight, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return model, random.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", ALGORITHMS)
def test_algorithm_computes_the_convolution(name: str, case: str) -> None:
    tvm = pytest.importorskip("tvm", reason="apache-tvm is not installed")
    onnxruntime = pytest.importorskip("onnxruntime", reason="the reference needs onnxruntime")
    from tvm import relax
    from tvm.relax.frontend.onnx import from_onnx

    model, inputs = convolution(case)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    expected = session.run(None, {"x": inputs})[0]
    target = tvm.target.Target({"kind": "llvm", "mcpu": "x86-64", "num-cores": 1})
    module, used = apply(from_onnx(model), target, lambda _: name)
    assert used == {("direct" if (name, case) in FALLS_BACK else name): 1}
    machine = relax.VirtualMachine(tvm.compile(module, target), tvm.cpu())
    result = machine["main"](tvm.runtime.tensor(inputs)).numpy()
    assert np.abs(result - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("mcpu", ["x86-64", "haswell"])
@pytest.mark.parametrize("case", [case for case in CASES if case != "depthwise"])
@pytest.mark.parametrize("name", ["gemm", "spatial_pack"])
def test_products_on_blocks_have_tiles_and_compute_the_convolution(name, case, mcpu, tmp_path):
    """With the vectors of another target than this machine's: its flags decide how wide a block is."""
    tvm = pytest.importorskip("tvm", reason="apache-tvm is not installed")
    onnxruntime = pytest.importorskip("onnxruntime", reason="the reference needs onnxruntime")
    from tvm import relax

    from roofline.validate.tvm.blocked.schedules import recognize
    from roofline.validate.tvm.blocked.tile_search import first_guess, schedule_blocks
    from roofline.validate.tvm.importing import import_model
    from roofline.validate.tvm.plan import Computation
    from roofline.validate.tvm.setup import lanes

    model, inputs = convolution(case)
    onnx.save(model, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(model.SerializeToString())
    expected = session.run(None, {"x": inputs})[0]
    target = tvm.target.Target({"kind": "llvm", "mcpu": mcpu, "num-cores": 1})
    width = lanes(target)
    assert width == {"x86-64": 4, "haswell": 8}[mcpu]
    module = import_model(tmp_path / "model.onnx", target, Computation(name)).module
    kernels = [
        recognize(function)
        for _, function in module.functions_items()
        if isinstance(function, tvm.tirx.PrimFunc)
    ]
    assert [kernel.lanes for kernel in kernels if kernel is not None] == [width]
    module = schedule_blocks(module, width, first_guess, tune_products=True)
    machine = relax.VirtualMachine(tvm.compile(module, target), tvm.cpu())
    result = machine["main"](tvm.runtime.tensor(inputs)).numpy()
    assert np.abs(result - expected).max() <= 1e-5 * np.abs(expected).max()


def test_unknown_algorithm_is_refused_with_the_nearest() -> None:
    with pytest.raises(MeasurementError, match=r"Did you mean 'winograd'\?"):
        algorithm("winogrd")
