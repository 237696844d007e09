"""The oracle of channel pruning: the dense network with removed channels zeroed at their consumers, run unoptimized."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from roofline.binding import UNBOUND, Binding
from roofline.compress.channels import prune
from roofline.compress.pruning import PruningPlan
from roofline.compress.request import Pruning
from roofline.graph import resolve
from roofline.precision import DatatypeKind

# Operands through which each operator takes channels in; a recurrent layer takes its own state in through R, and
# DynamicQuantizeLinear stands before integer products.
CONSUMERS = {
    "Conv": (0,),
    "ConvTranspose": (0,),
    "Gemm": (0, 1),
    "MatMul": (0, 1),
    "Einsum": (0, 1),
    "LSTM": (0, 2),
    "GRU": (0, 2),
    "RNN": (0, 2),
    "DynamicQuantizeLinear": (0,),
    "Attention": (0, 1, 2),
    "GroupQueryAttention": (0, 1, 2),
    "DeformConv": (0,),
}


def weight(name: str, *dims: int, seed: int = 0) -> onnx.TensorProto:
    """Return random weights that keep activations near one; no two tensors of a graph are alike."""
    chance = np.random.default_rng((seed, *name.encode()))
    scale = (2 / max(1, int(np.prod(dims[1:])))) ** 0.5
    return numpy_helper.from_array((chance.standard_normal(dims) * scale).astype(np.float32), name)


def integers(name: str, *values: int) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(values, np.int64), name)


def graph(
    nodes: Sequence[onnx.NodeProto],
    stored: Sequence[onnx.TensorProto],
    *shape: int,
    outputs: Sequence[str] = ("y",),
    opset: int = 21,
) -> onnx.ModelProto:
    """Return a model with the input ``x``."""
    made = helper.make_graph(
        list(nodes),
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        list(stored),
    )
    opsets = [helper.make_opsetid("", opset)]
    opsets += [
        helper.make_opsetid(domain, 1) for domain in {node.domain for node in nodes} if domain
    ]
    model = helper.make_model(made, opset_imports=opsets, ir_version=10)
    types = resolve(model, name="test").types
    for output in model.graph.output:
        for size in types[output.name].shape or ():
            dim = output.type.tensor_type.shape.dim.add()
            if size is not None:
                dim.dim_value = size
    return model


def masked(model: onnx.ModelProto, plan: PruningPlan, binding: Binding) -> onnx.ModelProto:
    """Return the dense model with the channels that a plan removes multiplied by zero at every consumer."""
    types = resolve(model, name="dense", binding=binding).types
    dense = onnx.ModelProto()
    dense.CopyFrom(model)
    nodes: list[onnx.NodeProto] = []
    for index, node in enumerate(model.graph.node):
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        for position in CONSUMERS.get(node.op_type, ()):
            name = node.input[position]
            if not name:
                continue
            tensor = types[name]
            recurrent = position == 2 and node.op_type in {"LSTM", "GRU", "RNN"}
            if (
                (tensor.constant and not recurrent)
                or tensor.dtype is None
                or tensor.dtype.kind != "float"
            ):
                continue
            for axis, kept in plan.kept.get(name, {}).items():
                if recurrent and axis != 2:
                    continue
                shape = [1] * len(tensor.shape)
                shape[axis] = tensor.shape[axis]
                mask = np.zeros(shape, np.float32)
                mask[
                    tuple(list(kept) if i == axis else slice(None) for i in range(len(shape)))
                ] = 1
                made = f"mask_{index}_{position}_{axis}"
                nodes.append(
                    helper.make_node("Constant", [], [made], value=numpy_helper.from_array(mask))
                )
                nodes.append(
                    helper.make_node("Mul", [copy.input[position], made], [f"{made}_out"])
                )
                copy.input[position] = f"{made}_out"
        nodes.append(copy)
    del dense.graph.node[:]
    dense.graph.node.extend(nodes)
    del dense.graph.value_info[:]
    return dense


def feeds(model: onnx.ModelProto, binding: Binding) -> dict[str, np.ndarray]:
    chance = np.random.default_rng(1)
    given: dict[str, np.ndarray] = {}
    values = binding.values
    for tensor in resolve(model, name="model", binding=binding).inputs:
        if tensor.name in values:
            given[tensor.name] = np.array(values[tensor.name], np.int64)
        elif tensor.dtype.kind is DatatypeKind.FLOAT:
            kind = np.float16 if tensor.dtype.bits == 16 else np.float32
            given[tensor.name] = chance.standard_normal(tensor.shape).astype(kind)
        else:
            name = {"bool": "bool"}.get(
                tensor.dtype.kind, f"{tensor.dtype.kind}{tensor.dtype.bits}"
            )
            given[tensor.name] = chance.integers(0, 2, tensor.shape).astype(name)
    return given


def run(model: onnx.ModelProto, given: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    options = ort.SessionOptions()
    # Unoptimized, so that both networks compute in the same order.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, dict(given))


def in_double(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model with every float32 tensor in float64."""

    def widen(tensor: onnx.TensorProto) -> None:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            values = numpy_helper.to_array(tensor).astype(np.float64)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))

    double = onnx.ModelProto()
    double.CopyFrom(model)
    for tensor in double.graph.initializer:
        widen(tensor)
    for node in double.graph.node:
        for attribute in node.attribute:
            widen(attribute.t)
    for value in (*double.graph.input, *double.graph.output):
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT:
            value.type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    return double


def run_in_double(model: onnx.ModelProto, given: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Run with ONNX's own reference operators in float64, where a law holds to the last digits."""
    wide = {
        name: array.astype(np.float64) if array.dtype == np.float32 else array
        for name, array in given.items()
    }
    return ReferenceEvaluator(in_double(model)).run(None, wide)


def assert_prunes(
    model: onnx.ModelProto,
    request: Pruning | float | Mapping[str, float],
    *,
    rounding: float = 1e-5,
    evaluate: Callable[[onnx.ModelProto, Mapping[str, np.ndarray]], list[np.ndarray]] = run,
    binding: Binding = UNBOUND,
) -> PruningPlan:
    """Prune; the result is valid, runs, and computes what the masked dense network computes."""
    pruned = prune(model, request, binding=binding)
    onnx.checker.check_model(pruned.model)
    given = feeds(model, binding)
    expected = evaluate(masked(model, pruned.plan, binding), given)
    shapes = [output.shape for output in run(pruned.model, given)]
    assert shapes == [dense.shape for dense in expected]
    for dense, small in zip(expected, evaluate(pruned.model, given), strict=True):
        top = float(np.abs(dense.astype(np.float64)).max(initial=0))
        np.testing.assert_allclose(
            small, dense, rtol=0, atol=rounding * top + min(1e-6, rounding / 10)
        )
    return pruned.plan


def dims_of(model: onnx.ModelProto, name: str) -> list[int]:
    return next(list(tensor.dims) for tensor in model.graph.initializer if tensor.name == name)
