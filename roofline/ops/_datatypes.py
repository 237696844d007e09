"""ONNX's element types as this package's datatypes, and numpy's, both ways.

Spec: https://onnx.ai/onnx/api/classes.html#tensorproto
"""

from __future__ import annotations

from typing import Any

import numpy as np

from roofline.node import Array, Node, Tensor
from roofline.ops._attributes import malformed_error, required_integer
from roofline.precision import DATATYPES, DataType

_CODES = (
    "", "fp32", "uint8", "int8", "uint16", "int16", "int32", "int64", "string", "bool", "fp16", "fp64", "uint32",
    "uint64", "complex64", "complex128", "bf16", "fp8_e4m3", "fp8_e4m3", "fp8_e5m2", "fp8_e5m2", "uint4", "int4",
    "fp4", "fp8_e8m0", "uint2", "int2", "fp6_e2m3", "fp6_e3m2",
)  # fmt: skip
_BY_CODE: dict[int, DataType] = {code: DATATYPES[name] for code, name in enumerate(_CODES) if name}
_BY_NAME: dict[str, DataType] = {
    "FLOAT": DATATYPES["fp32"], "DOUBLE": DATATYPES["fp64"], "FLOAT16": DATATYPES["fp16"],
} | {name.upper(): DATATYPES[name] for name in _CODES if name}  # fmt: skip

_NUMPY: dict[str, type[np.generic]] = {
    "fp64": np.float64, "fp32": np.float32, "fp16": np.float16, "bf16": np.float32, "int64": np.int64,
    "int32": np.int32, "int16": np.int16, "int8": np.int8, "uint64": np.uint64, "uint32": np.uint32,
    "uint16": np.uint16, "uint8": np.uint8, "bool": np.bool_,
}  # fmt: skip
_FROM_NUMPY: dict[Any, DataType] = {
    np.dtype(kind): DATATYPES[name] for name, kind in _NUMPY.items() if name != "bf16"
} | {
    np.dtype(np.complex64): DATATYPES["complex64"],
    np.dtype(np.complex128): DATATYPES["complex128"],
}

FLOAT32 = DATATYPES["fp32"]
INT64 = DATATYPES["int64"]
INT32 = DATATYPES["int32"]
UINT8 = DATATYPES["uint8"]
INT8 = DATATYPES["int8"]
BOOL = DATATYPES["bool"]
STRING = DATATYPES["string"]


def from_code(code: int) -> DataType | None:
    """Return the datatype of a TensorProto.DataType number, or None for one that is not known."""
    return _BY_CODE.get(code)


def from_numpy(array: Array) -> DataType | None:
    """Return the datatype of an array's elements; None for an object array, which may hold anything."""
    if array.dtype.kind in "US":
        return STRING
    return _FROM_NUMPY.get(array.dtype)


def numpy_type(datatype: DataType | None) -> type[np.generic] | None:
    """Return the numpy type that holds values of a datatype, or None when there is none."""
    return None if datatype is None else _NUMPY.get(datatype.name)


def target(node: Node, name: str) -> DataType:
    """Return the datatype that an attribute names: by number, or by word in Cast of opset 1 to 5."""
    value = node.attributes.get(name)
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    by_name = _BY_NAME.get(value.upper()) if isinstance(value, str) else None
    found = by_name or (
        None if isinstance(value, str) else from_code(required_integer(node, name))
    )
    if found is None:
        raise malformed_error(
            node, f"attribute {name!r} must name an element type, it is {value!r}"
        )
    return found


def target_or(node: Node, name: str, default: DataType | None) -> DataType | None:
    """Return the datatype that an attribute names, or the default when it is absent or zero."""
    value = node.attributes.get(name)
    absent = value is None or (isinstance(value, int) and value == 0)
    return default if absent else target(node, name)


def of(tensor: Tensor | None) -> DataType | None:
    """Return a tensor's datatype; None for an absent tensor."""
    return None if tensor is None else tensor.dtype
