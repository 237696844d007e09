"""ONNX's own node tests as an oracle: models with real operand and result arrays, walked by the operator table."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import numpy_helper

from roofline.node import Array, Node, Tensor
from roofline.ops import Kind, lookup
from roofline.ops._datatypes import from_code

MODES = ("values", "types", "partial", "ranks", "nothing")
"""Operands known with their values; by type; with an unknown leading dimension; by rank; not at all."""


class MismatchError(AssertionError):
    """An inferred type or value is not the real one."""


class Case(NamedTuple):
    """One model with its operand and result arrays."""

    name: str
    model: onnx.ModelProto
    inputs: Sequence[Any]
    outputs: Sequence[Any]


@cache
def cases() -> tuple[Case, ...]:
    """Return every node test that ships with ONNX."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some cases overflow or divide by zero on purpose
        from onnx.backend.test.loader import load_model_tests

        found = load_model_tests(kind="node")
    result: list[Case] = []
    for case in found:
        for inputs, outputs in case.data_sets or ():
            result.append(Case(case.name, case.model, inputs, outputs))
    return tuple(result)


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Return a node's attributes as plain values; graphs are left out."""
    result: dict[str, Any] = {}
    for entry in node.attribute:
        if entry.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS):
            continue
        value = onnx.helper.get_attribute_value(entry)
        if isinstance(value, bytes):
            value = value.decode()
        elif isinstance(value, onnx.TensorProto):
            value = stored(value)
        elif isinstance(value, onnx.SparseTensorProto):
            value = Tensor("", tuple(value.dims), from_code(value.values.data_type))
        elif not isinstance(value, (int, float, str)):
            value = tuple(item.decode() if isinstance(item, bytes) else item for item in value)
        result[entry.name] = value
    return result


def stored(proto: onnx.TensorProto) -> Tensor:
    """Return a stored tensor with its value."""
    array = numpy_helper.to_array(proto)
    known = array if array.dtype.kind in "iufb" and array.dtype.name in _PLAIN else None
    return Tensor(
        proto.name,
        tuple(proto.dims),
        from_code(proto.data_type),
        constant=True,
        stored=True,
        value=known,
    )


_PLAIN = {
    "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64", "bool",
}  # fmt: skip


def _operand(info: onnx.ValueInfoProto, array: Any, mode: str) -> Tensor:
    """Return a graph input as it is known in a mode; sequences, optionals and strings have no type."""
    if isinstance(array, onnx.TensorProto):
        return replace(stored(array), name=info.name)
    if isinstance(array, np.generic):
        array = np.asarray(array)
    if not isinstance(array, np.ndarray) or info.type.WhichOneof("value") != "tensor_type":
        return Tensor(info.name)
    dtype = from_code(info.type.tensor_type.elem_type)
    shape: tuple[int | None, ...] = array.shape
    if mode == "partial" and shape:
        shape = (None, *shape[1:])
    if mode == "ranks":
        shape = (None,) * array.ndim
    if mode == "nothing":
        return Tensor(info.name)
    plain = array.dtype.name in _PLAIN and mode == "values"
    return Tensor(info.name, shape, dtype, value=array if plain else None)


def check(case: Case, mode: str) -> Mapping[str, Any]:
    """Walk one model and compare every result.

    Raises:
        MismatchError: An inferred dimension, datatype or value differs from the real result.
    """
    graph = case.model.graph
    opsets = {entry.domain: entry.version for entry in case.model.opset_import}
    known: dict[str, Tensor] = {tensor.name: stored(tensor) for tensor in graph.initializer}
    for info, array in zip(graph.input, case.inputs, strict=False):
        known[info.name] = _operand(info, array, mode)
    for proto in graph.node:
        _walk(proto, known, opsets)
    unknown: list[str] = []
    counts = {"results": 0, "resolved": 0, "values": 0}
    for info, real in zip(graph.output, case.outputs, strict=False):
        if not isinstance(real, np.ndarray) or info.type.WhichOneof("value") != "tensor_type":
            continue
        counts["results"] += 1
        found = known.get(info.name, Tensor(info.name))
        compare(found, real, from_code(info.type.tensor_type.elem_type))
        counts["resolved"] += found.elements is not None
        counts["values"] += found.value is not None
        if found.elements is None:
            unknown.append(graph.node[-1].op_type if len(graph.node) == 1 else "expanded")
    return {**counts, "unknown": unknown}


def _walk(proto: onnx.NodeProto, known: dict[str, Tensor], opsets: Mapping[str, int]) -> None:
    node = Node(
        proto.op_type,
        proto.name or proto.op_type,
        tuple(known.get(name, Tensor(name)) if name else None for name in proto.input),
        tuple(Tensor(name) if name else None for name in proto.output),
        attributes(proto),
        proto.domain,
        opsets.get(proto.domain, 0),
    )
    row = lookup(node)
    types = row.shape(node) if row.shape else ()
    values = row.value(node) if row.value else ()
    outputs: list[Tensor | None] = []
    for index, output in enumerate(node.outputs):
        kind = types[index] if index < len(types) else None
        value = values[index] if index < len(values) else None
        if output is None:
            outputs.append(None)
            continue
        shape, dtype = kind or (None, None)
        if value is not None and shape is not None and not agree(shape, value.shape):
            raise MismatchError(
                f"{node.op_type}: shape {shape}, but a value of shape {value.shape}"
            )
        outputs.append(replace(output, shape=shape, dtype=dtype, value=value))
        known[output.name] = outputs[-1]  # type: ignore[assignment]
    if (
        row.kind is not Kind.UNSUPPORTED
        and row.cost
        and all(out is None or out.elements is not None for out in outputs)
        and all(tensor is None or tensor.elements is not None for tensor in node.operands)
    ):
        cost = row.cost(replace(node, outputs=tuple(outputs)))
        if cost.macs < 0 or cost.other_ops < 0:
            raise MismatchError(f"{node.op_type}: negative cost {cost}")


def agree(shape: tuple[int | None, ...], real: tuple[int, ...]) -> bool:
    """Return whether a shape with unknowns may be the real one."""
    return len(shape) == len(real) and all(
        a is None or a == b for a, b in zip(shape, real, strict=True)
    )


def compare(found: Tensor, real: Array, dtype: Any) -> None:
    """Compare what was inferred with a real result."""
    if found.shape is not None and not agree(found.shape, real.shape):
        raise MismatchError(f"shape {found.shape} instead of {real.shape}")
    if found.dtype is not None and found.dtype != dtype:
        raise MismatchError(f"datatype {found.dtype.name} instead of {dtype.name}")
    if found.value is None:
        return
    if found.value.dtype == object:
        pairs = zip(found.value.ravel().tolist(), real.ravel().tolist(), strict=True)
        if any(a is not None and a != b for a, b in pairs):
            raise MismatchError(f"value {found.value.tolist()} instead of {real.tolist()}")
    elif not np.allclose(
        found.value.astype(float), real.astype(float), rtol=2e-3, atol=1e-3, equal_nan=True
    ):
        raise MismatchError(f"value {found.value.tolist()!r:.80} instead of {real.tolist()!r:.80}")
    elif found.value.dtype != real.dtype:
        raise MismatchError(f"value of type {found.value.dtype} instead of {real.dtype}")


def missing() -> list[str]:
    """Return the operators of ai.onnx that no row describes, or whose row has no shape function."""
    found: list[str] = []
    for name in sorted(
        {schema.name for schema in onnx.defs.get_all_schemas_with_history() if schema.domain == ""}
    ):
        row = lookup(Node(name, "", ()))
        if row.kind is Kind.UNSUPPORTED or (row.shape is None and row.kind is not Kind.CONTROL):
            found.append(name)
    return found
