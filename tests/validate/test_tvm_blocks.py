"""Networks on blocks of channels compute in TVM what ONNX Runtime computes, whatever the tile."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from roofline.validate.tvm.plan import Computation

pytestmark = pytest.mark.tvm


def network(nodes: list[onnx.NodeProto], stored: dict[str, np.ndarray], shape: list[int]) -> bytes:
    """Return a model from ``x`` of that shape to ``y``."""
    graph = helper.make_graph(
        nodes,
        "blocks",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in stored.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return onnx.shape_inference.infer_shapes(model).SerializeToString()


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def error(model: bytes, shape: list[int], tmp_path, *, every_tile: bool = False) -> float:
    """Return the largest relative error over ONNX Runtime, for the first guess or every tile of each kernel."""
    tvm = pytest.importorskip("tvm", reason="apache-tvm is not installed")
    ort = pytest.importorskip("onnxruntime", reason="the reference needs onnxruntime")
    from tvm import relax

    from roofline.validate.tvm.blocked import tile_search as _tvm_search
    from roofline.validate.tvm.importing import import_model

    (tmp_path / "model.onnx").write_bytes(model)
    target = tvm.target.Target({"kind": "llvm", "mcpu": "x86-64-v3", "num-cores": 1})
    x = random(*shape)
    expected = ort.InferenceSession(model).run(None, {"x": x})[0]
    worst = 0.0
    for place in range(20):
        module = import_model(tmp_path / "model.onnx", target, Computation("blocked")).module
        picked = Picked(place)
        module = _tvm_search.schedule_blocks(module, 8, picked)
        machine = relax.VirtualMachine(tvm.compile(module, target), tvm.cpu())
        result = machine["main"](tvm.runtime.tensor(x)).numpy()
        assert result.shape == expected.shape
        assert np.abs(expected).max() > 1e-3
        worst = max(worst, float(np.abs(result - expected).max() / np.abs(expected).max()))
        if picked.last or not every_tile:
            break
    return worst


class Picked:
    """Gives every kernel the tile at one place of its list, or its last."""

    def __init__(self, place: int) -> None:
        self.place = place
        self.last = True

    def __call__(self, kernel):
        from roofline.validate.tvm.blocked.tiles import neighbours, tiles

        first = tiles(kernel)
        found = list(dict.fromkeys([*first, *neighbours(kernel, first[0])]))
        self.last = self.last and self.place + 1 >= len(found)
        return found[min(self.place, len(found) - 1)]


@pytest.mark.parametrize(
    ("channels", "filters", "groups"),
    [(3, 16, 1), (16, 24, 1), (20, 10, 1), (32, 32, 32), (20, 20, 20), (32, 16, 2), (12, 12, 3)],
)
@pytest.mark.parametrize(("kernel", "stride", "pad"), [(3, 1, 1), (3, 2, 1), (1, 1, 0), (5, 2, 0)])
def test_convolution(channels, filters, groups, kernel, stride, pad, tmp_path) -> None:
    nodes = [
        helper.make_node(
            "Conv", ["x", "w", "b"], ["c"], strides=[stride] * 2, pads=[pad] * 4, group=groups
        ),
        helper.make_node("Relu", ["c"], ["y"]),
    ]
    stored = {"w": random(filters, channels // groups, kernel, kernel), "b": random(filters)}
    assert (
        error(network(nodes, stored, [2, channels, 11, 9]), [2, channels, 11, 9], tmp_path) < 1e-5
    )


@pytest.mark.parametrize("groups", [1, 32])
def test_every_tile(groups, tmp_path) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1] * 4, group=groups),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Add", ["r", "x"], ["y"]),
    ]
    model = network(nodes, {"w": random(32, 32 // groups, 3, 3)}, [1, 32, 8, 12])
    assert error(model, [1, 32, 8, 12], tmp_path, every_tile=True) < 1e-5


@pytest.mark.parametrize("outputs", [10, 24, 13, 1])
@pytest.mark.parametrize("shape", [[1, 12], [6, 12], [2, 3, 12]])
def test_matrix_product(outputs, shape, tmp_path) -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"]),
        helper.make_node("Add", ["m", "b"], ["y"]),
    ]
    stored = {"w": random(12, outputs), "b": random(outputs)}
    assert error(network(nodes, stored, shape), shape, tmp_path, every_tile=True) < 1e-5


@pytest.mark.parametrize("channels", [32, 12])
def test_layers_between(channels, tmp_path) -> None:
    """Pooling, squeeze and excite, a division, a concatenation, a reshape in the middle, a second output of a value."""
    names = {
        "w1": (channels, 3, 3, 3),
        "w2": (channels, channels, 1, 1),
        "w3": (8, 3 * channels, 3, 3),
    }
    stored = {name: random(*shape) for name, shape in names.items()}
    stored |= {
        "d": np.abs(random(1, channels, 1, 1)) + 1,
        "lo": np.array(-0.5, np.float32), "hi": np.array(6, np.float32),
        "shape": np.array([1, 3, channels, 5, 6]), "back": np.array([1, 3 * channels, 5, 6]),
    }  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], pads=[1] * 4),
        helper.make_node("Clip", ["a", "lo", "hi"], ["a1"]),
        helper.make_node("MaxPool", ["a1"], ["p"], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4),
        helper.make_node("AveragePool", ["p"], ["q"], kernel_shape=[3, 3], pads=[1] * 4),
        helper.make_node("GlobalAveragePool", ["p"], ["g"]),
        helper.make_node("Conv", ["g", "w2"], ["g2"]),
        helper.make_node("Sigmoid", ["g2"], ["s"]),
        helper.make_node("Mul", ["p", "s"], ["e"]),
        helper.make_node("Div", ["e", "d"], ["f"]),
        helper.make_node("Tanh", ["f"], ["t"]),
        helper.make_node("Concat", ["q", "t", "p"], ["k"], axis=1),
        helper.make_node("Reshape", ["k", "shape"], ["k1"]),
        helper.make_node("Transpose", ["k1"], ["k2"], perm=[0, 2, 1, 3, 4]),
        helper.make_node("Reshape", ["k2", "back"], ["k3"]),
        helper.make_node("Conv", ["k3", "w3"], ["y"], pads=[1] * 4),
    ]  # fmt: skip
    assert error(network(nodes, stored, [1, 3, 10, 12]), [1, 3, 10, 12], tmp_path) < 1e-5


def test_findings_are_kept(tmp_path) -> None:
    from roofline.validate.tvm.blocked.tile_search import Findings
    from roofline.validate.tvm.blocked.tiles import Kernel, Tile

    kernel = Kernel("blocked_conv2d", (1, 4, 8, 8, 16), (4, 3, 3, 16), "s1x1 d1x1 g1", 3, True)
    other = Kernel("blocked_conv2d", (1, 4, 8, 8, 16), (4, 3, 3, 16), "s2x2 d1x1 g1", 3, True)
    path = tmp_path / "kept.json"
    Findings(path).add(kernel, Tile(2, 1, 8, 4, rows_first=True), 1e-3, 9)
    again = Findings(path, {other.key: {"tile": [1, 1, 1, 1, 0, 0]}})
    assert again.tile(kernel) == Tile(2, 1, 8, 4, rows_first=True)
    assert again.tile(other) == Tile()
    assert Findings(path).tile(other) is None
