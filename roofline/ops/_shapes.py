"""What shape functions share: broadcasting, axes, and reading shapes that other tensors hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import wraps

from roofline.node import Node, Shape, Tensor
from roofline.ops._attributes import malformed_error, operand
from roofline.ops._registry import ShapeFunction, TensorType
from roofline.precision import DataType

Dim = int | None

MAX_AXES = 1024
"""More axes than any tensor has; a shape operand that is longer is a mistake."""


def dtype(node: Node, position: int) -> DataType | None:
    """Return the datatype of an operand; None when it is absent or unknown."""
    tensor = node.operand(position)
    return None if tensor is None else tensor.dtype


def shape(node: Node, position: int) -> Shape | None:
    """Return the shape of an operand that must be there; None when its rank is unknown."""
    return operand(node, position).shape


def ranked_shape(node: Node, position: int, rank: int) -> Shape | None:
    """Return an operand's shape, which must have this rank when it is known."""
    found = operand(node, position).shape
    if found is not None and len(found) != rank:
        raise malformed_error(
            node, f"operand {position} must have rank {rank}, its shape is {show(found)}"
        )
    return found


def at_least(node: Node, position: int, rank: int) -> Shape | None:
    """Return an operand's shape, which must have at least this rank when it is known."""
    found = operand(node, position).shape
    if found is not None and len(found) < rank:
        raise malformed_error(
            node, f"operand {position} must have rank {rank} or more, its shape is {show(found)}"
        )
    return found


def given_shape(
    least: int = 0,
) -> Callable[[Callable[[Node, Shape], Shape | None]], ShapeFunction]:
    """Make a shape function of one that is given the first operand's dimensions and returns those of the only result.

    The result has the operand's datatype; where the operand's rank is unknown, so is the result's.

    Args:
        least: The operand's least rank.
    """

    def decorate(function: Callable[[Node, Shape], Shape | None]) -> ShapeFunction:
        @wraps(function)
        def infer(node: Node) -> Sequence[TensorType | None]:
            data = at_least(node, 0, least)
            return ((None if data is None else function(node, data), dtype(node, 0)),)

        return infer

    return decorate


def result_type(shape: Callable[[Node], Shape | None], *kinds: int | DataType) -> ShapeFunction:
    """Make a shape function of one that returns the only result's dimensions.

    Args:
        shape: Returns them.
        kinds: Operands, of which the first whose datatype is known has the result's, or that datatype itself.
    """

    def infer(node: Node) -> Sequence[TensorType | None]:
        found = shape(node)
        known = (kind if isinstance(kind, DataType) else dtype(node, kind) for kind in kinds)
        return ((found, next(filter(None, known), None)),)

    infer.__doc__ = shape.__doc__
    return infer


def first_shape(node: Node) -> Shape | None:
    """Return the first operand's own shape."""
    return operand(node, 0).shape


def show(found: Sequence[int | str | None]) -> str:
    """Return a shape as text, with ``?`` for an unknown dimension, and symbols as they are."""
    return "[" + ", ".join("?" if size is None else str(size) for size in found) + "]"


def same_type(node: Node, *_: object) -> Sequence[TensorType | None]:
    """Return the first operand's type for every result."""
    first = operand(node, 0)
    return ((first.shape, first.dtype),)


def merge(node: Node, left: Dim, right: Dim, what: str) -> Dim:
    """Return one dimension that two tensors must agree on."""
    if left is None:
        return right
    if right is None or left == right:
        return left
    raise malformed_error(node, f"{what} must be equal, they are {left} and {right}")


def broadcast(node: Node, shapes: Iterable[Shape | None]) -> Shape | None:
    """Return the multidirectional broadcast of shapes; an unknown rank makes the result's unknown.

    A dimension beside a known size other than 1 takes that size: nothing else would be valid.

    Spec: https://onnx.ai/onnx/repo-docs/Broadcasting.html
    """
    known: list[Shape] = []
    for found in shapes:
        if found is None:
            return None
        known.append(found)
    if len(known) == 1:
        return known[0]
    if len(known) == 2 and known[0] == known[1]:
        return known[0]
    rank = max(map(len, known), default=0)
    result: list[Dim] = []
    for axis in range(-rank, 0):
        sizes = {found[axis] for found in known if len(found) >= -axis}
        wide = [size for size in sizes if size is not None and size != 1]
        if len(wide) > 1:
            raise malformed_error(
                node, f"shapes {' and '.join(map(show, known))} do not broadcast"
            )
        result.append(wide[0] if wide else None if None in sizes else 1)
    return tuple(result)


def axis_of(
    node: Node,
    axis: int,
    rank: int,
    *,
    name: str = "axis",
    inclusive: bool = False,
    scalar: bool = False,
) -> int:
    """Return an axis counted from the front; it must lie inside the rank, or just behind it when ``inclusive``.

    With ``scalar`` a tensor without axes has axis 0 and -1, as the reductions and Softmax allow.
    """
    high = rank if inclusive else rank - 1
    if not -rank <= axis <= high:
        if scalar and rank == 0 and axis in (0, -1):
            return 0
        raise malformed_error(node, f"{name} must lie in [{-rank}, {high}], it is {axis}")
    return axis + rank if axis < 0 else axis


def axes_of(
    node: Node, axes: Sequence[int], rank: int, *, scalar: bool = False
) -> tuple[int, ...]:
    """Return axes counted from the front; none may come twice."""
    found = tuple(axis_of(node, axis, rank, name="axes", scalar=scalar) for axis in axes)
    if len(set(found)) != len(found):
        raise malformed_error(node, f"axes must differ, they are {list(axes)}")
    return found


def unknown_shape(rank: int) -> Shape:
    """Return a shape of unknown dimensions."""
    return (None,) * rank


def product(sizes: Iterable[Dim]) -> Dim:
    """Return the product of dimensions: None when one is unknown, unless another is zero."""
    total = 1
    lost = False
    for size in sizes:
        if size is None:
            lost = True
        else:
            total *= size
    return total if total == 0 or not lost else None


def total(*lengths: Dim) -> Dim:
    """Return a sum of lengths, None when one is unknown."""
    known = [length for length in lengths if length is not None]
    return sum(known) if len(known) == len(lengths) else None


def length(tensor: Tensor | None) -> Dim:
    """Return how many entries a one-dimensional tensor has, or None when that is unknown."""
    if tensor is None or tensor.shape is None:
        return None
    return tensor.shape[0] if tensor.shape else 1


def rank_held(node: Node, position: int) -> Dim:
    """Return how many axes a tensor has whose shape, axes or pads an operand holds, by that operand's length.

    Raises:
        ModelError: No tensor has so many axes.
    """
    found = length(node.operand(position))
    if found is not None and found > MAX_AXES:
        raise malformed_error(
            node, f"operand {position} has {found} entries, but no tensor has so many axes"
        )
    return found


def divide(node: Node, size: Dim, by: int, what: str) -> Dim:
    """Return a dimension divided exactly."""
    if by <= 0:
        raise malformed_error(node, f"the divisor of {what} must be positive, it is {by}")
    if size is None:
        return None
    if size % by:
        raise malformed_error(node, f"{what} must be a multiple of {by}, it is {size}")
    return size // by


def scale(size: Dim, by: int) -> Dim:
    """Return a dimension times a factor."""
    return None if size is None else size * by
