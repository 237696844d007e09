"""Small ONNX graphs written in a line or two each, and what a case of the suite is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import roofline
from roofline.workload import Workload

FLOAT = TensorProto.FLOAT
INT64 = TensorProto.INT64
MS = "com.microsoft"

Dims = Sequence[int | str | None] | None
"""Sizes, symbols, or None for a value whose shape the file does not give."""


@dataclass(frozen=True)
class Case:
    """A graph and the counts that follow from the operator's definition."""

    name: str
    build: Callable[[], onnx.ModelProto]
    macs: int
    parameters: int = 0
    weight_bytes: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)

    def check(self, folder: Path) -> Workload:
        """Count the graph from a file and compare."""
        workload = count(self.build(), folder, **self.options)
        assert workload.macs == self.macs
        assert workload.parameters == self.parameters
        assert workload.weight_bytes == self.weight_bytes
        return workload


def count(model: onnx.ModelProto, folder: Path, **options: Any) -> Workload:
    """Write a model and count it through the public entry."""
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return roofline.load(path, **options)


def weight(name: str, *shape: int, dtype: Any = np.float32, value: float = 0) -> TensorProto:
    return numpy_helper.from_array(np.full(shape, value, dtype), name)


def packed(name: str, element: int, bits: int, *shape: int) -> TensorProto:
    """A stored tensor of a datatype numpy lacks, all zeros."""
    size = -(-int(np.prod(shape)) * bits // 8)
    return helper.make_tensor(name, element, shape, bytes(size), raw=True)


def values(name: str, numbers: Any, dtype: Any = np.int64) -> TensorProto:
    return numpy_helper.from_array(np.array(numbers, dtype), name)


def node(
    op: str, inputs: str, outputs: str, domain: str = "", **attributes: Any
) -> onnx.NodeProto:
    """A call with blank-separated names; ``_`` is an absent operand."""
    read = ["" if name == "_" else name for name in inputs.split()]
    written = ["" if name == "_" else name for name in outputs.split()]
    return helper.make_node(op, read, written, name=written[0], domain=domain, **attributes)


def value_info(name: str, dims: Dims, element: int = FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, element, dims)


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Any],
    outputs: str,
    weights: Sequence[TensorProto] = (),
    *,
    functions: Sequence[onnx.FunctionProto] = (),
    opset: int = 21,
    ir: int = 10,
    domains: Mapping[str, int] | None = None,
    element: int = FLOAT,
    result: int | None = None,
) -> onnx.ModelProto:
    """A whole model; ``inputs`` maps a name to its dims, or to ``(element type, dims)``."""
    typed = [
        value_info(name, given[1], given[0])
        if isinstance(given, tuple)
        else value_info(name, given, element)
        for name, given in inputs.items()
    ]
    graph = helper.make_graph(
        list(nodes),
        "g",
        typed,
        [value_info(name, None, result or element) for name in outputs.split()],
        list(weights),
    )
    imports = {"": opset, **(domains or {})}
    if any(call.domain == MS for call in nodes):
        imports[MS] = 1
    opsets = [helper.make_opsetid(domain, version) for domain, version in imports.items()]
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir, functions=list(functions))


def body(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    weights: Sequence[TensorProto] = (),
    name: str = "body",
) -> onnx.GraphProto:
    return helper.make_graph(list(nodes), name, list(inputs), list(outputs), list(weights))


def loop_body(
    nodes: Sequence[onnx.NodeProto], carried: str, result: str, *scans: str
) -> onnx.GraphProto:
    """The body of a Loop that carries one value and never asks to stop."""
    return body(
        [*nodes, node("Identity", "go", "go_on")],
        [
            value_info("i", [], INT64),
            value_info("go", [], TensorProto.BOOL),
            value_info(carried, None),
        ],
        [
            value_info("go_on", [], TensorProto.BOOL),
            value_info(result, None),
            *(value_info(s, None) for s in scans),
        ],
    )
