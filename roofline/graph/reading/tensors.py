"""ONNX tensors and attributes as this package's own plain values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

import numpy as np

from roofline.errors import ModelError
from roofline.node import Array, Shape, Tensor
from roofline.number_format import plural
from roofline.ops._datatypes import from_code
from roofline.ops.qonnx import finn_type
from roofline.precision import DataType, packed_bytes

if TYPE_CHECKING:
    from onnx import AttributeProto, GraphProto, SparseTensorProto, TensorProto

MAX_ELEMENTS = 1 << 50
"""A tensor with more elements than this (a petabyte of int8) is a mistake in the file or in the options."""

_EXTERNAL = 1
_MAX_VALUE_BYTES = 1 << 16

# The typed field that holds the elements when raw_data does not, and the numpy type of raw_data, by element type.
_STORAGE: Mapping[int, tuple[str, str]] = {
    1: ("float_data", "<f4"), 2: ("int32_data", "u1"), 3: ("int32_data", "i1"), 4: ("int32_data", "<u2"),
    5: ("int32_data", "<i2"), 6: ("int32_data", "<i4"), 7: ("int64_data", "<i8"), 9: ("int32_data", "?"),
    10: ("int32_data", "<f2"), 11: ("double_data", "<f8"), 12: ("uint64_data", "<u4"), 13: ("uint64_data", "<u8"),
}  # fmt: skip


def check_size(shape: Shape | None, what: str) -> None:
    """Refuse a shape with a negative dimension or an absurd number of elements.

    Raises:
        ModelError: The shape is impossible.
    """
    if not shape:
        return
    total = 1
    for size in shape:
        if size is not None:
            if size < 0:
                raise ModelError(f"{what} has a negative dimension: {list(shape)}")
            # An empty tensor may have huge other dimensions; they do not multiply.
            total *= size
    if total > MAX_ELEMENTS or max((size or 0) for size in shape) > MAX_ELEMENTS:
        raise ModelError(
            f"{what} would have {_approximately(total)} elements: {list(shape)}",
            repair="Check its declared dimensions",
        )


def _approximately(count: int) -> str:
    return f"10^{math.floor(math.log10(count))}" if count else "0"


def stored_tensor(proto: TensorProto, name: str) -> Tensor:
    """Return a stored tensor: its type, and its value when it is small and its data are there.

    Raises:
        ModelError: The dimensions or the type are impossible, or its external file lies outside the model's folder.
    """
    if proto.data_location == _EXTERNAL:
        _check_location(proto, name)
    shape = tuple(proto.dims)
    check_size(shape, f"the stored tensor {name!r}")
    dtype = datatype(proto.data_type, f"the stored tensor {name!r}")
    expected = packed_bytes(math.prod(shape), dtype.bits)
    if proto.raw_data and len(proto.raw_data) != expected:
        raise ModelError(
            f"the stored tensor {name!r} holds {plural(len(proto.raw_data), 'byte')}; "
            f"{list(shape)} of {dtype.name} take {expected}"
        )
    return Tensor(name, shape, dtype, constant=True, stored=True, value=value_of(proto))


def finn_types(graph: GraphProto) -> Mapping[str, DataType]:
    """Return the types that FINN and QONNX note beside tensors they keep as floats, by tensor name.

    Source: https://github.com/fastmachinelearning/qonnx/blob/main/docs/overview.rst (``finn_datatype``)
    """
    found: dict[str, DataType] = {}
    for entry in graph.quantization_annotation:
        for noted in entry.quant_parameter_tensor_names:
            if noted.key == "finn_datatype" and (dtype := finn_type(noted.value)) is not None:
                found[entry.tensor_name] = dtype
    return found


def sparse_tensor(proto: SparseTensorProto, name: str) -> Tensor:
    """Return a stored sparse tensor by its dense shape."""
    shape = tuple(proto.dims)
    check_size(shape, f"the sparse tensor {name!r}")
    dtype = datatype(proto.values.data_type, f"the sparse tensor {name!r}")
    return Tensor(name, shape, dtype, constant=True, stored=True)


def datatype(code: int, what: str) -> DataType:
    """Return the datatype of a TensorProto.DataType number.

    Raises:
        ModelError: ONNX defines no such type.
    """
    found = from_code(code)
    if found is None:
        raise ModelError(f"{what} has the element type {code}, which ONNX does not define")
    return found


def value_of(proto: TensorProto) -> Array | None:
    """Return the elements of a small stored tensor, or None when they are not there or not numbers."""
    storage = _STORAGE.get(proto.data_type)
    if storage is None or proto.data_location == _EXTERNAL:
        return None
    shape = tuple(proto.dims)
    count = math.prod(shape)
    if count > _MAX_VALUE_BYTES:
        return None
    try:
        array = _elements(proto, count, *storage)
        # Dropped data leave nothing; fewer or more elements than declared are no value to rely on.
        return array.reshape(shape) if array.size == count else None
    except ValueError:
        # Bytes that are no whole elements, or more axes than numpy has.
        return None


def _elements(proto: TensorProto, count: int, field: str, kind: str) -> Array:
    if not count:
        return np.zeros(0, kind)
    if proto.raw_data:
        return np.frombuffer(proto.raw_data, dtype=kind)
    array: Array = np.array(getattr(proto, field))
    if kind == "<f2":
        return array.astype("<u2").view("<f2")
    return array.astype(kind) if array.size else array


def attribute_value(proto: AttributeProto) -> Any:
    """Return an attribute's value, or None for a graph or an absent value; a tensor without data by its type."""
    kind = proto.type or _guess_kind(proto)
    if kind == 2:
        return proto.i
    if kind == 7:
        return tuple(proto.ints)
    if kind == 1:
        return proto.f
    if kind == 3:
        return proto.s.decode("utf-8", "replace")
    if kind == 6:
        return tuple(proto.floats)
    if kind == 8:
        return tuple(text.decode("utf-8", "replace") for text in proto.strings)
    if kind == 4:
        # Without elements (dropped, or of a type that numpy lacks) the type is still known.
        value = value_of(proto.t)
        return (
            Tensor("", tuple(proto.t.dims), from_code(proto.t.data_type))
            if value is None
            else value
        )
    return None


def _guess_kind(proto: AttributeProto) -> int:
    """Return the type of an attribute of IR version 1, which does not state it."""
    for field, kind in (("f", 1), ("i", 2), ("s", 3), ("t", 4), ("g", 5)):
        if proto.HasField(field):
            return kind
    for field, kind in (("floats", 6), ("ints", 7), ("strings", 8)):
        if len(getattr(proto, field)):
            return kind
    return 0


def _check_location(proto: TensorProto, name: str) -> None:
    location = next((entry.value for entry in proto.external_data if entry.key == "location"), "")
    if not location:
        raise ModelError(f"the stored tensor {name!r} lies in an external file that has no name")
    posix, windows = PurePosixPath(location), PureWindowsPath(location)
    if posix.is_absolute() or windows.is_absolute() or windows.drive:
        raise ModelError(
            f"the stored tensor {name!r} lies in {location!r}, an absolute path",
            repair="External data must lie in the model's folder",
        )
    if ".." in posix.parts or ".." in windows.parts:
        raise ModelError(
            f"the stored tensor {name!r} lies in {location!r}, outside the model's folder",
            repair="External data must lie in the model's folder",
        )
