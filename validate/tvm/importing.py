"""From ONNX to a Relax module whose kernels can be tuned: rewrites on the graph, then TVM's importer."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from roofline.errors import MeasurementError
from roofline.graph.reading.reads import read_counts, reads, rename_reads
from roofline.node import Array
from roofline.number_format import plural
from roofline.validate.measuring.backend import UnsupportedModelError
from roofline.validate.measuring.products import storage_form, stored_bits
from roofline.validate.onnx_rewrite.expand import expand, settle_shapes
from roofline.validate.onnx_rewrite.recurrence import DOMAIN
from roofline.validate.records.executed import Executed
from roofline.validate.tvm.executed import executed_datatypes as executed_in
from roofline.validate.tvm.lowering import lower
from roofline.validate.tvm.plan import Choose, Computation, arrange_convolutions, arrange_weights
from roofline.validate.tvm.recurrent import recurrent_layers

_UNSUPPORTED = (
    "QLinearConv", "QLinearMatMul", "QGemm", "ConvInteger", "LSTM", "GRU", "RNN", "Loop", "Scan",
    "DeformConv", "Col2Im", "Swish", "RotaryEmbedding",
)  # fmt: skip
"""Operators that TVM 0.27's importer does not know; named before it fails on them."""


def rewrite(model: Any) -> tuple[str, ...]:
    """Rewrite a model in place so that TVM makes fewer and better kernels of it.

    BatchNormalization after a convolution is folded into its weights; a two-operand Sum, which would
    become stack and reduce, becomes Add; Dropout goes; inputs that only repeat initializers go.

    Args:
        model: An ``onnx.ModelProto`` with weights.

    Returns:
        What was done, for the record.
    """
    graph = model.graph
    stored = {tensor.name for tensor in graph.initializer}
    inputs = [entry for entry in graph.input if entry.name not in stored]
    del graph.input[:]
    graph.input.extend(inputs)
    done: list[str] = []
    sums = [node for node in graph.node if node.op_type == "Sum" and len(node.input) == 2]
    for node in sums:
        node.op_type = "Add"
    if sums:
        done.append(f"{len(sums)} Sum as Add")
    folded = _fold_normalizations(graph)
    if folded:
        done.append(f"{folded} BatchNormalization folded")
    _drop_dropout(graph)
    return tuple(done)


def unsupported_operators(model: Any) -> tuple[str, ...]:
    """Return the operators of a model that TVM cannot import, sorted."""
    found = {node.op_type for node in model.graph.node if node.op_type in _UNSUPPORTED}
    found |= {
        node.op_type for node in model.graph.node if node.domain not in {"", "ai.onnx", DOMAIN}
    }
    return tuple(sorted(found))


@dataclass(frozen=True, slots=True)
class ImportedModule:
    """A module, and what was done to make it."""

    module: Any
    notes: tuple[str, ...]
    executed: Executed
    """What the arithmetic runs in, where it is not the datatype of the file's weights."""
    layers: Mapping[str, int] = field(default_factory=dict[str, int])
    """How many convolutions are computed by each algorithm; empty for TVM's own way."""


def import_model(
    path: Path, target: Any, how: Computation | None = None, choose: Choose | None = None
) -> ImportedModule:
    """Return the model as a Relax module with fused, unscheduled kernels.

    Args:
        path: An ONNX file with weights and fixed shapes.
        target: The TVM target to lower for.
        how: How its layers are computed; None is TVM's own way.
        choose: For the algorithm ``best``, that of a convolution.

    Raises:
        UnsupportedModelError: An operator cannot be imported.
    """
    how = how or Computation()
    onnx: Any = importlib.import_module("onnx")
    relax: Any = importlib.import_module("tvm.relax")
    frontend: Any = importlib.import_module("tvm.relax.frontend.onnx")
    tvm: Any = importlib.import_module("tvm")
    model = onnx.load(path)
    kept, bits = storage_form(model), stored_bits(model)
    model, expanded = expand(model)
    missing = unsupported_operators(model)
    if missing:
        raise UnsupportedModelError(f"TVM cannot import {', '.join(missing)}")
    done = (*expanded, *rewrite(model))
    with recurrent_layers():
        module = _module(relax, frontend, model)
    weighty = arrange_weights(module, how)
    module = weighty.module
    computed = executed_in(module, kept, bits)
    passes = relax.transform
    with target:
        module = tvm.transform.Sequential(
            [
                passes.DecomposeOpsForInference(),
                passes.CanonicalizeBindings(),
                passes.FoldConstant(),
            ]
        )(module)
    arranged = arrange_convolutions(module, target, how, choose)
    executed = weighty.executed if weighty.executed.datatype else computed
    convs = [node.name or node.output[0] for node in model.graph.node if node.op_type == "Conv"]
    notes = (*done, *weighty.notes, *arranged.notes, *_describe_algorithms(arranged.chosen, convs))
    module = lower(arranged.module, target, fast=how.blocked)
    return ImportedModule(module, notes, executed, arranged.layers)


def _module(relax: Any, frontend: Any, model: Any) -> Any:
    """Import a model; where TVM cannot, or leaves shapes open, once more with what shapes decide worked out first."""
    try:
        return _module_of_known_shapes(relax, frontend, model)
    except Exception as error:
        kind = type(error).__name__
        text = str(error).strip().splitlines()
        what = f"{kind}: {text[-1] if text else ''}"
        raise UnsupportedModelError(f"TVM cannot import the model ({what})") from error


def _module_of_known_shapes(relax: Any, frontend: Any, model: Any) -> Any:
    try:
        module = frontend.from_onnx(model)
        failure = None
    except Exception as error:
        module, failure = None, error
    if module is not None and not _has_open_shapes(relax, module):
        return module
    settled = settle_shapes(model)
    if settled is not None:
        return frontend.from_onnx(settled)
    if failure is not None:
        raise failure
    return module


def _has_open_shapes(relax: Any, module: Any) -> bool:
    """Return whether a module has tensors whose dimensions are not known."""
    found: list[bool] = []

    def visit(expression: Any) -> None:
        kind: Any = getattr(expression, "ty", None)
        if isinstance(kind, relax.TensorType) and not isinstance(kind.shape, relax.ShapeExpr):
            found.append(True)

    for _, function in module.functions_items():
        if isinstance(function, relax.Function):
            relax.analysis.post_order_visit(function, visit)
    return bool(found)


def _fold_normalizations(graph: Any) -> int:
    from onnx import numpy_helper

    constants = {tensor.name: tensor for tensor in graph.initializer}
    makers = {output: node for node in graph.node for output in node.output}
    uses = read_counts(graph)
    gone: list[Any] = []
    for node in graph.node:
        maker = makers.get(node.input[0]) if node.op_type == "BatchNormalization" else None
        if maker is None or maker.op_type != "Conv" or uses[node.input[0]] != 1:
            continue
        names = [*node.input[1:5], *maker.input[1:]]
        if any(name not in constants for name in names if name) or len(node.output) > 1:
            continue
        values = [numpy_helper.to_array(constants[name]) for name in names if name]
        weight, bias = _fold(values, _attribute(node, "epsilon", 1e-5))
        for part, array in (("weight", weight), ("bias", bias)):
            tensor = numpy_helper.from_array(array, f"{node.output[0]} {part}")
            graph.initializer.append(tensor)
            constants[tensor.name] = tensor
        first, output = maker.input[0], node.output[0]
        del maker.input[:]
        maker.input.extend([first, f"{output} weight", f"{output} bias"])
        maker.output[0] = output
        makers[output] = maker
        gone.append(node)
    _remove(graph, gone)
    return len(gone)


def _fold(values: list[Array], epsilon: float) -> tuple[Array, Array]:
    """Return ``scale·(W·x + b − mean)/√(variance + ε) + shift`` as one weight and bias."""
    scale, shift, mean, variance, weight = values[:5]
    bias = values[5] if len(values) > 5 else np.zeros_like(mean)
    factor = (scale / np.sqrt(variance + epsilon)).astype(weight.dtype)
    shape = (-1,) + (1,) * (weight.ndim - 1)
    return weight * factor.reshape(shape), ((bias - mean) * factor + shift).astype(weight.dtype)


def _drop_dropout(graph: Any) -> None:
    outputs = {entry.name for entry in graph.output}
    names: dict[str, str] = {}
    gone: list[Any] = []
    for node in graph.node:
        if names.keys() & set(reads(node)):
            node.CopyFrom(rename_reads(node, names))
        training = len(node.input) > 2 and node.input[2]
        if node.op_type == "Dropout" and not training and node.output[0] not in outputs:
            names[node.output[0]] = node.input[0]
            gone.append(node)
    _remove(graph, gone)


def _remove(graph: Any, gone: list[Any]) -> None:
    for node in gone:
        graph.node.remove(node)
    used = read_counts(graph)
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _attribute(node: Any, name: str, default: float) -> float:
    return next((entry.f for entry in node.attribute if entry.name == name), default)


def input_names(module: Any) -> list[str]:
    """Return the parameters of the module's main function, in order."""
    return [str(parameter.name) for parameter in module["main"].params]


def by_position(inputs: Mapping[str, Array], names: list[str]) -> list[Array]:
    """Return inputs in the order of a module's parameters.

    TVM renames what is no identifier (``gpu_0/data_0``), so names are compared with all other
    characters as underscores; what is still unknown keeps the order of the file.

    Raises:
        MeasurementError: There are more or fewer inputs than parameters.
    """
    if len(inputs) != len(names):
        raise MeasurementError(
            f"the program takes {plural(len(names), 'input')}, the model {len(inputs)}"
        )
    plain = {"".join(c if c.isalnum() else "_" for c in name): a for name, a in inputs.items()}
    if all(name in plain for name in names):
        return [plain[name] for name in names]
    return list(inputs.values())


def _describe_algorithms(chosen: Sequence[str], layers: Sequence[str]) -> tuple[str, ...]:
    """Return which layers got which algorithm; without names where some convolutions went another way."""
    if not chosen or len(chosen) != len(layers):
        return ()
    parts = [
        f"{name}: " + ", ".join(layer for layer, algorithm in zip(layers, chosen, strict=True) if algorithm == name)
        for name in sorted(set(chosen))
    ]  # fmt: skip
    return ("algorithm of each convolution: " + "; ".join(parts),)
