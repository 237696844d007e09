"""What value functions share: small results that decide shapes, some of whose entries may be unknown.

An object array holds integers, numbers or truth values, and None where an entry is unknown (a
dimension of the batch, say). Operators that move entries carry the Nones; operators that compute
give None wherever an operand's entry is None.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, cast

import numpy as np

from roofline.node import Array, Node
from roofline.ops import _datatypes
from roofline.ops._attributes import malformed_error, maybe_integers
from roofline.ops._registry import ValueFunction

MAX_VALUE_ELEMENTS = 100_000
"""The most elements a value may have to be followed; what decides a shape is far smaller."""

NOTHING: tuple[None, ...] = (None,)
"""The answer of a value function that knows no result."""

_Single = Callable[[Node], Array | None]


def values(function: ValueFunction) -> ValueFunction:
    """Guard a value function: no floating-point warnings, no large results, unknown where it cannot be computed."""

    @wraps(function)
    def compute(node: Node) -> Sequence[Array | None]:
        try:
            with np.errstate(all="ignore"):
                results = function(node)
        except (ValueError, IndexError, TypeError, OverflowError, MemoryError):
            # Operands that do not fit together have been refused by the shape function where that can be known;
            # whatever is left (an unknown entry where numpy needs a number) means that the result is not known.
            return NOTHING
        return tuple(
            None if result is None or result.size > MAX_VALUE_ELEMENTS else settle(result)
            for result in results
        )

    return compute


def single_result(function: _Single) -> ValueFunction:
    """Return a guarded value function from one that gives its only result."""

    @wraps(function)
    def single(node: Node) -> Sequence[Array | None]:
        return (function(node),)

    return values(single)


def is_partial(array: Array) -> bool:
    """Return whether an array may hold unknown entries."""
    return array.dtype == object


def gaps(array: Array) -> Array:
    """Return where an array's entries are unknown."""
    if not is_partial(array):
        return np.zeros(array.shape, bool)
    return np.array([entry is None for entry in array.ravel()], bool).reshape(array.shape)


def settle(array: Array) -> Array:
    """Return an array with a number type when all of its entries are known numbers."""
    if not is_partial(array):
        return array
    entries = array.ravel().tolist()
    if not entries or any(entry is None or isinstance(entry, (str, bytes)) for entry in entries):
        return array
    return np.array(entries).reshape(array.shape)


def known_value(node: Node, position: int) -> Array | None:
    """Return an operand's value when it is small and every entry is known."""
    array = node.value(position)
    if array is None or array.size > MAX_VALUE_ELEMENTS:
        return None
    array = settle(array)
    return None if is_partial(array) and gaps(array).any() else array


def entries(node: Node, position: int) -> tuple[int | None, ...] | None:
    """Return the integers an operand holds, None for unknown ones; None when nothing of it is known.

    Raises:
        ModelError: It does not hold integers.
    """
    array = node.value(position)
    if array is None or array.size > MAX_VALUE_ELEMENTS:
        return None
    if array.ndim > 1:
        raise malformed_error(
            node, f"operand {position} must be one-dimensional, its shape is {list(array.shape)}"
        )
    if array.dtype.kind in "iu":
        return tuple(cast("list[int]", array.ravel().tolist()))
    found: list[int | None] = []
    for entry in array.ravel().tolist():
        if entry is not None and (isinstance(entry, bool) or not isinstance(entry, int)):
            raise malformed_error(
                node, f"operand {position} must hold integers, it holds {entry!r}"
            )
        found.append(None if entry is None else int(entry))
    return tuple(found)


def all_entries(node: Node, position: int) -> tuple[int, ...] | None:
    """Return the integers an operand holds, or None when any of them is unknown."""
    found = entries(node, position)
    if found is None:
        return None
    whole = tuple(entry for entry in found if entry is not None)
    return whole if len(whole) == len(found) else None


def scalar(node: Node, position: int) -> int | None:
    """Return the one integer an operand holds, or None when it is unknown."""
    found = entries(node, position)
    if found is None:
        return None
    if len(found) != 1:
        raise malformed_error(
            node, f"operand {position} must hold one integer, it holds {len(found)}"
        )
    return found[0]


def number(node: Node, position: int) -> float | int | None:
    """Return the one number an operand holds, or None when it is unknown."""
    array = known_value(node, position)
    if array is None or array.dtype.kind not in "iufb":
        return None
    if array.size != 1:
        raise malformed_error(
            node, f"operand {position} must hold one number, it holds {array.size}"
        )
    return cast("float", array.ravel()[0].item())


def listed_integers(node: Node, name: str, position: int) -> tuple[int, ...] | None:
    """Return integers that older operator sets hold in an attribute and newer ones in an operand.

    None when they are absent, or not known; `has_integers` tells the two apart.
    """
    found = maybe_integers(node, name)
    return all_entries(node, position) if found is None else found


def has_integers(node: Node, name: str, position: int) -> bool:
    """Return whether integers are given, in the attribute or the operand, known or not."""
    return node.attributes.get(name) is not None or node.operand(position) is not None


def fits(*shapes: tuple[int, ...]) -> bool:
    """Return whether the broadcast of shapes is small enough to be followed."""
    total = 1
    for size in np.broadcast_shapes(*shapes):
        total *= size
    return total <= MAX_VALUE_ELEMENTS


def arithmetic(
    node: Node, function: Callable[..., Array], positions: Sequence[int] | None = None
) -> Array | None:
    """Apply an elementwise function to operands; unknown entries give unknown entries."""
    places = range(len(node.operands)) if positions is None else positions
    arrays: list[Array] = []
    for position in places:
        array = node.value(position)
        if array is None:
            return None
        arrays.append(array)
    if not fits(*(array.shape for array in arrays)):
        return None
    if not any(is_partial(array) for array in arrays):
        return np.asarray(function(*arrays))
    filled = [
        _fill(array, _datatypes.of(node.operand(place)))
        for array, place in zip(arrays, places, strict=True)
    ]
    holes = np.zeros((), bool)
    for array in arrays:
        holes = holes | gaps(array)
    computed = np.asarray(function(*filled))
    if not holes.any():
        return computed
    result = computed.astype(object)
    result[np.broadcast_to(holes, result.shape)] = None
    return result


def _fill(array: Array, datatype: Any) -> Array:
    """Return an array with ones for unknown entries: no function here is undefined at one."""
    if not is_partial(array):
        return array
    kind = _datatypes.numpy_type(datatype)
    whole: Array = np.array(
        [1 if entry is None else entry for entry in array.ravel()], dtype=kind or None
    )
    return whole.reshape(array.shape)
