"""Operators that make tensors from attributes: constants are free, random numbers take one operation each.

Spec: https://onnx.ai/onnx/operators/onnx__Constant.html and its siblings.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from roofline.node import Array, Node, Shape, Tensor
from roofline.ops._attributes import (
    integer,
    malformed_error,
    maybe_integers,
    operand,
    required_integers,
    version,
)
from roofline.ops._counts import per_output
from roofline.ops._datatypes import (
    FLOAT32,
    INT32,
    INT64,
    STRING,
    from_code,
    from_numpy,
    numpy_type,
    target_or,
)
from roofline.ops._registry import BOTH, Kind, TensorType, define
from roofline.ops._shapes import dtype, rank_held, ranked_shape, shape, show
from roofline.ops._values import all_entries, entries, fits, number, single_result
from roofline.precision import DataType

_SCALARS: dict[str, tuple[DataType, tuple[type, ...]]] = {
    "value_float": (FLOAT32, (int, float)),
    "value_int": (INT64, (int,)),
    "value_string": (STRING, (str, bytes)),
}
"""What an attribute of one number or text makes, and what Python reads it as."""


def _attribute(node: Node, *names: str) -> tuple[str, Any]:
    for name in names:
        found = node.attributes.get(name)
        if found is not None:
            return name, found
    raise malformed_error(node, f"it must have one of the attributes {', '.join(names)}")


def constant_tensor(node: Node) -> Tensor:
    """Return what a Constant holds, in whichever attribute it does.

    A tensor attribute may be an array, or a Tensor where the reader knows its type better (packed or skipped data).

    Raises:
        ModelError: No attribute, or one of a wrong type, holds it.
    """
    name, found = _attribute(
        node, "value", "value_int", "value_ints", "value_float", "value_floats", "value_string", "value_strings",
        "sparse_value",
    )  # fmt: skip
    if isinstance(found, Tensor):
        return found
    if isinstance(found, np.ndarray) and name in ("value", "sparse_value"):
        array = cast("Array", found)
        return Tensor("", array.shape, from_numpy(array), value=array)
    scalar = _SCALARS.get(name.removesuffix("s"))
    several = name.endswith("s")
    if scalar is None or several != isinstance(found, (tuple, list)):
        raise malformed_error(node, f"attribute {name!r} has the wrong type, it is {found!r:.60}")
    items = cast("Sequence[Any]", found if several else (found,))
    kind, allowed = scalar
    if not all(isinstance(item, allowed) for item in items):
        raise malformed_error(node, f"attribute {name!r} has the wrong type, it is {found!r:.60}")
    array: Array = np.array(found, numpy_type(kind) or object)
    return Tensor("", array.shape, kind, value=array)


def _constant_type(node: Node) -> Sequence[TensorType | None]:
    found = constant_tensor(node)
    return ((found.shape, found.dtype),)


@single_result
def _constant(node: Node) -> Array | None:
    return constant_tensor(node).value


def _fill(node: Node) -> Tensor:
    """Return ConstantOfShape's one-element value, a single-precision zero by default."""
    found = node.attributes.get("value")
    if found is None:
        return Tensor("", (1,), FLOAT32, value=np.zeros(1, np.float32))
    if isinstance(found, Tensor):
        return found
    if not isinstance(found, np.ndarray):
        raise malformed_error(node, f"attribute 'value' must be a tensor, it is {found!r:.60}")
    array = cast("Array", found)
    return Tensor("", array.shape, from_numpy(array), value=array)


def _dimensions(node: Node, position: int) -> Shape | None:
    """Return the shape an operand holds; none of its dimensions may be negative."""
    found = entries(node, position)
    if found is None:
        size = rank_held(node, position)
        return None if size is None else (None,) * size
    if any(size is not None and size < 0 for size in found):
        raise malformed_error(node, f"the shape {show(found)} holds a negative dimension")
    return found


def _constant_of_shape_type(node: Node) -> Sequence[TensorType | None]:
    """Return the shape that operand 0 holds.

    Spec: https://onnx.ai/onnx/operators/onnx__ConstantOfShape.html
    """
    return ((_dimensions(node, 0), _fill(node).dtype),)


@single_result
def _constant_of_shape(node: Node) -> Array | None:
    wanted, fill = all_entries(node, 0), _fill(node).value
    if wanted is None or fill is None or fill.size != 1 or not fits(wanted):
        return None
    return np.full(wanted, fill.ravel()[0])


def _range_type(node: Node) -> Sequence[TensorType | None]:
    """Return ``max(ceil((limit - start) / delta), 0)`` elements.

    Spec: https://onnx.ai/onnx/operators/onnx__Range.html
    """
    for position in range(3):
        operand(node, position)
    kind = dtype(node, 0) or dtype(node, 1) or dtype(node, 2)
    return (
        ((_range_length(node),), target_or(node, "stash_type", kind) if kind is None else kind),
    )


def _range_length(node: Node) -> int | None:
    start, limit, delta = number(node, 0), number(node, 1), number(node, 2)
    if start is None or limit is None or delta is None:
        return None
    if delta == 0:
        raise malformed_error(node, "its step must not be zero")
    if isinstance(start, int) and isinstance(limit, int) and isinstance(delta, int):
        return max(0, -((start - limit) // delta))
    steps = (limit - start) / delta
    return max(0, math.ceil(steps)) if math.isfinite(steps) else None


@single_result
def _range(node: Node) -> Array | None:
    size = _range_length(node)
    start, delta = number(node, 0), number(node, 2)
    if size is None or start is None or delta is None or not fits((size,)):
        return None
    kind = numpy_type(dtype(node, 0))
    return (start + np.arange(size) * delta).astype(kind or None)


def _random_type(node: Node) -> Sequence[TensorType | None]:
    sizes = required_integers(node, "shape")
    if any(size < 0 for size in sizes):
        raise malformed_error(node, f"attribute 'shape' must not be negative, it is {list(sizes)}")
    return ((sizes, target_or(node, "dtype", FLOAT32)),)


def _like_type(node: Node) -> Sequence[TensorType | None]:
    return ((shape(node, 0), target_or(node, "dtype", dtype(node, 0))),)


def _eye_type(node: Node) -> Sequence[TensorType | None]:
    return ((ranked_shape(node, 0, 2), target_or(node, "dtype", dtype(node, 0))),)


def _multinomial_type(node: Node) -> Sequence[TensorType | None]:
    data = ranked_shape(node, 0, 2)
    drawn = integer(node, "sample_size", 1)
    return (((None if data is None else data[0], drawn), target_or(node, "dtype", INT32)),)


def _old_fill_type(node: Node) -> Sequence[TensorType | None]:
    """Return the shape of ConstantFill, an experimental operator that early exporters wrote."""
    stated = maybe_integers(node, "shape")
    found: Shape | None = stated
    if stated is None:
        found = _dimensions(node, 0) if integer(node, "input_as_shape", 0) else shape(node, 0)
    kind = FLOAT32 if version(node) < 0 else from_code(integer(node, "dtype", 1))
    return ((found, kind),)


define("Constant", kind=Kind.VIEW, shape=_constant_type, value=_constant)
define(
    "ConstantOfShape", kind=Kind.MOVE, shape=_constant_of_shape_type, value=_constant_of_shape, settings=(0,),
)  # fmt: skip
define("ConstantFill", kind=Kind.MOVE, shape=_old_fill_type, settings=(0,))
define("Range", kind=Kind.MOVE, domain=BOTH, shape=_range_type, value=_range, settings=(0, 1, 2))
define("RandomNormal", "RandomUniform", cost=per_output(1), shape=_random_type)
define("RandomNormalLike", "RandomUniformLike", "Bernoulli", cost=per_output(1), shape=_like_type)
define("EyeLike", kind=Kind.MOVE, shape=_eye_type)
define("Multinomial", cost=per_output(1), shape=_multinomial_type)
