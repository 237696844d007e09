"""An independent count: ONNX's own shape inference and the definition of each operator, nothing of the package."""

import math
from dataclasses import dataclass

import onnx
import pytest


@dataclass(frozen=True)
class Counts:
    macs: int
    weights: int  # of convolutions and matrix products
    parameters: int
    trainable: int


def count(model):
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*inferred.value_info, *inferred.input, *inferred.output)
    }
    stored = {tensor.name: list(tensor.dims) for tensor in inferred.initializer}
    macs = weights = 0
    for node in inferred.node:
        if node.op_type not in {"Conv", "Gemm", "MatMul"}:
            continue
        results = math.prod(shapes[node.output[0]])
        if node.op_type == "Conv":
            macs += results * math.prod(stored[node.input[1]][1:])
        elif node.op_type == "Gemm":
            macs += results * stored[node.input[1]][1]  # transB: features, width
        else:
            macs += results * shapes[node.input[0]][-1]
        weights += math.prod(stored.get(node.input[1], [0]))
    statistics = {
        name
        for node in inferred.node
        if node.op_type == "BatchNormalization"
        for name in node.input[3:]
    }
    sizes = {
        tensor.name: math.prod(tensor.dims)
        for tensor in inferred.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT and tensor.dims
    }
    parameters = sum(sizes.values())
    return Counts(macs, weights, parameters, parameters - sum(sizes[name] for name in statistics))


@pytest.fixture(name="count", scope="session")
def _count():
    return count
