"""A two-stage detector whose sizes values decide: every layer after them as ONNX Runtime has it at run time."""

from __future__ import annotations

import math
import re

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from roofline.binding import Binding
from roofline.workload import Workload

from ..conformance.graphs import INT64, model, node, values
from ..graph.test_sizes import WIDTH, optional
from .runtime import ran

runtime = pytest.importorskip("onnxruntime")

F32, BOOL = np.float32, TensorProto.BOOL
NEEDED = {"NonMaxSuppression", "TopK", "NonZero", "Compress", "Unique", "Range"}


def detector() -> onnx.ModelProto:
    """Propose boxes, take the best of them, look at each, and follow those that hold something."""
    random = np.random.default_rng(7)

    def drawn(name: str, *shape: int) -> TensorProto:
        return values(name, random.standard_normal(shape) / math.sqrt(shape[-1]), F32)

    side = np.arange(16)
    corners = np.stack([side.repeat(16), np.tile(side, 16)], axis=1) * 2
    anchors = np.concatenate([corners, corners + 3], axis=1)
    nodes = [
        node("Conv", "x k1", "feature", strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Conv", "feature k2", "score_map"),
        node("Reshape", "score_map by_class", "logit"),
        node("Sigmoid", "logit", "score"),
        node("NonMaxSuppression", "anchors score most overlap least", "picked"),
        node("Gather", "picked two", "place", axis=1),
        node("Gather", "flat_anchors place", "boxes"),
        node("Slice", "picked zero one axis", "of_image"),
        node("ReduceSum", "boxes axis", "size", keepdims=0),
        node("TopK", "size count", "best which"),
        node("Gather", "boxes which", "proposals"),
        node("Shape", "which", "how_many"),
        node("ConstantOfShape", "how_many", "image", value=values("v", [0])),
        node(
            "RoiAlign",
            "feature proposals image",
            "crops",
            output_height=4,
            output_width=4,
            spatial_scale=0.5,
        ),
        node("Conv", "crops k3", "seen"),
        node("Flatten", "seen", "flat"),
        node("Gemm", "flat w1", "answer"),
        node("Greater", "answer level", "mask"),
        node("NonZero", "mask", "found"),
        node("Gather", "found first", "rows"),
        node("Gather", "answer rows", "each"),
        node("MatMul", "each w2", "y1"),
        node("Unique", "rows", "distinct"),
        node("Gather", "answer distinct", "once"),
        node("MatMul", "once w2", "y2"),
        node("Gather", "mask first", "column", axis=1),
        node("Compress", "answer column", "kept", axis=0),
        node("MatMul", "kept w2", "y3"),
        node("Cast", "mask", "ones", to=INT64),
        node("ReduceSum", "ones", "total", keepdims=0),
        node("Range", "first total step", "steps"),
        node("Cast", "steps", "times", to=TensorProto.FLOAT),
        node("Unsqueeze", "times axis", "time"),
        node("MatMul", "time w3", "y4"),
    ]
    stored = [
        drawn("k1", 8, 3, 3, 3), drawn("k2", 2, 8, 1, 1), drawn("k3", 6, 8, 3, 3), drawn("w1", 24, 6),
        drawn("w2", 6, 5), drawn("w3", 1, 7), values("by_class", [1, 2, 256]), values("most", [20]),
        values("overlap", [0.4], F32), values("least", [0.5], F32), values("two", 2), values("zero", [0]),
        values("one", [1]), values("axis", [1]), values("first", 0), values("step", 1), values("level", 0.1, F32),
        values("anchors", anchors[None], F32), values("flat_anchors", anchors, F32),
    ]  # fmt: skip
    inputs = {"x": [1, 3, 32, 32], "count": (INT64, [1])}
    return model(nodes, inputs, "y1 y2 y3 y4", stored, opset=16, ir=8)


FED = {
    "x": np.random.default_rng(3).standard_normal((1, 3, 32, 32)).astype(F32),
    "count": np.array([9]),
}


def shapes() -> dict[str, tuple[int, ...]]:
    """Return the shape of every result of the detector, as ONNX Runtime has it."""
    open_ = detector()
    names = [name for call in open_.graph.node for name in call.output]
    del open_.graph.output[:]
    open_.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = runtime.InferenceSession(
        open_.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return {
        name: np.shape(result) for name, result in zip(names, session.run(names, FED), strict=True)
    }


def test_every_later_layer_is_as_it_runs() -> None:
    real = shapes()
    assert {call.op_type for call in detector().graph.node} >= NEEDED
    assert all(0 not in shape for shape in real.values())
    given: dict[str, int] = {}
    counted = Workload.from_onnx(detector())
    # A size that is not known hides those after it: each count names the next ones.
    while asked := {
        name for note in counted.notes for name in re.findall(r"--dim '([^']+)=N'", note)
    } - set(given):
        given |= {name: real[name][1] if name == "found" else real[name][0] for name in asked}
        counted = Workload.from_onnx(detector(), binding=Binding(dims=given))
    assert counted.fully_counted
    assert not counted.at_most
    assert {output.name: output.shape for output in counted.outputs} == {
        name: real[name] for name in ("y1", "y2", "y3", "y4")
    }
    macs, _ = ran(detector(), FED)
    assert counted.macs == macs
    by_name = {layer.name: layer for layer in counted.layers}
    later = [
        call
        for call in detector().graph.node
        if call.op_type in {"Conv", "Gemm", "MatMul", "RoiAlign"}
    ]
    assert len(later) == 9
    for call in later:
        name = call.output[0]
        assert by_name[name].cost.outputs == math.prod(real[name]), name


@pytest.mark.parametrize("given", [True, False])
def test_the_branch_of_an_optional_is_the_one_that_runs(given: bool) -> None:
    built = optional(None if given else False)
    built.ir_version = 8
    session = runtime.InferenceSession(
        built.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (y,) = session.run(None, {"o": np.ones((2, WIDTH), F32)})
    counted = Workload.from_onnx(built, binding=Binding(inputs={"o": (2, WIDTH)}))
    # A product with four columns, or the weight itself.
    assert y.shape == ((2, 4) if given else (WIDTH, 4))
    assert counted.macs == (math.prod(y.shape) * WIDTH if given else 0)
    assert counted.outputs[0].shape == y.shape
