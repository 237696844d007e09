"""Operators that read other places than a convolution does: shapes as ONNX Runtime has them, MACs by hand."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from roofline.workload import Workload

from ..conformance.graphs import model, node, values

runtime = pytest.importorskip("onnxruntime")

F32 = np.float32


def drawn(name: str, *shape: int) -> onnx.TensorProto:
    return values(name, np.random.default_rng(5).standard_normal(shape), F32)


def attended() -> tuple[onnx.ModelProto, int]:
    """Return efficient channel attention: a convolution that runs along the channels."""
    nodes = [
        node("Conv", "x a", "h"),
        node("GlobalAveragePool", "h", "mean"),
        node("Reshape", "mean row", "in_row"),
        node("Conv", "in_row e", "mixed", pads=[1, 1]),
        node("Sigmoid", "mixed", "share"),
        node("Reshape", "share column", "gate"),
        node("Mul", "h gate", "gated"),
        node("Conv", "gated b", "y"),
    ]
    stored = [
        drawn("a", 8, 3, 1, 1), drawn("e", 1, 1, 3), drawn("b", 4, 8, 1, 1), values("row", [1, 1, 8]),
        values("column", [1, 8, 1, 1]),
    ]  # fmt: skip
    # 36 places; three neighbours of each of eight channels.
    macs = 36 * 8 * 3 + 8 * 3 + 36 * 4 * 8
    return model(nodes, {"x": [1, 3, 6, 6]}, "y", stored, opset=17, ir=8), macs


def deformed(groups: int, offset_groups: int) -> tuple[onnx.ModelProto, int]:
    """Return a convolution that samples where another one says."""
    nodes = [
        node("Conv", "x p", "offset", pads=[1] * 4),
        node(
            "DeformConv",
            "x d offset bias",
            "y",
            pads=[1] * 4,
            group=groups,
            offset_group=offset_groups,
        ),
    ]
    offsets = 18 * offset_groups
    stored = [drawn("p", offsets, 4, 3, 3), drawn("d", 8, 4 // groups, 3, 3), drawn("bias", 8)]
    macs = 36 * (offsets * 4 * 9 + 8 * (4 // groups) * 9)
    return model(nodes, {"x": [1, 4, 6, 6]}, "y", stored, opset=19, ir=9), macs


@pytest.mark.parametrize(
    ("built", "macs"),
    [attended(), deformed(1, 1), deformed(2, 1), deformed(1, 2)],
    ids=["channel attention", "deformable", "grouped", "two offsets"],
)
def test_shapes_are_those_of_a_run_and_macs_those_of_the_definition(
    built: onnx.ModelProto, macs: int
) -> None:
    counted = Workload.from_onnx(built)
    assert (counted.fully_counted, counted.macs) == (True, macs)
    open_ = onnx.ModelProto()
    open_.CopyFrom(built)
    names = [name for call in built.graph.node for name in call.output]
    del open_.graph.output[:]
    open_.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = runtime.InferenceSession(
        open_.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    shape = [entry.dim_value for entry in built.graph.input[0].type.tensor_type.shape.dim]
    real = dict(zip(names, session.run(names, {"x": np.ones(shape, F32)}), strict=True))
    shapes = {tensor.name: tensor.shape for layer in counted.layers for tensor in layer.outputs}
    assert shapes == {name: np.shape(result) for name, result in real.items()}
