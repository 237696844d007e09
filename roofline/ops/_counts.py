"""What cost functions share: element counts that are known, and the cost rules of simple families."""

from __future__ import annotations

import math
from collections.abc import Callable

from roofline.cost import Cost
from roofline.errors import DimensionError
from roofline.node import Node, Shape, Tensor
from roofline.number_format import plural
from roofline.ops._attributes import malformed_error, operand
from roofline.ops._registry import CostFunction
from roofline.surfaces import DIMS, INPUTS, VALUES


def _unresolved_error(node: Node, tensor: Tensor) -> DimensionError:
    return DimensionError(
        f"{node.op_type} node {node.name!r}: the size of {tensor.name!r} is not known",
        repair=f"Give the sizes of the inputs it depends on with {DIMS}, {INPUTS} or {VALUES}",
    )


def result(node: Node, position: int = 0) -> Tensor:
    """Return a result that must be there."""
    found = node.outputs[position] if position < len(node.outputs) else None
    if found is None:
        raise malformed_error(node, f"result {position} is missing")
    return found


def dims(node: Node, tensor: Tensor) -> tuple[int, ...]:
    """Return a tensor's shape with every dimension known.

    Raises:
        DimensionError: One is not.
    """
    found: Shape | None = tensor.shape
    if found is None:
        raise _unresolved_error(node, tensor)
    known = tuple(size for size in found if size is not None)
    if len(known) != len(found):
        raise _unresolved_error(node, tensor)
    return known


def count(node: Node, tensor: Tensor) -> int:
    """Return how many elements a tensor has.

    Raises:
        DimensionError: A dimension is unknown.
    """
    return math.prod(dims(node, tensor))


def in_dims(node: Node, position: int, rank: int | None = None) -> tuple[int, ...]:
    """Return the known dimensions of an operand that must be there, of this rank when one is given."""
    found = dims(node, operand(node, position))
    if rank is not None and len(found) != rank:
        raise malformed_error(
            node, f"operand {position} must have rank {rank}, its shape is {list(found)}"
        )
    return found


def input_elements(node: Node, position: int) -> int:
    """Return how many elements an operand has."""
    return count(node, operand(node, position))


def out_count(node: Node, position: int = 0) -> int:
    """Return how many elements a result has; the first one that is used when the first is not."""
    if position == 0 and (not node.outputs or node.outputs[0] is None):
        for tensor in node.outputs:
            if tensor is not None:
                return count(node, tensor)
    return count(node, result(node, position))


def has(node: Node, position: int) -> bool:
    """Return whether an operand is there."""
    return node.operand(position) is not None


def wants(node: Node, position: int) -> bool:
    """Return whether a result is used."""
    return position < len(node.outputs) and node.outputs[position] is not None


def per_output(
    ops: int, *optional: int, inputs: int = 0, macs: Callable[[Node], int] | None = None
) -> CostFunction:
    """Return a cost of so many operations for each element of the first result.

    Args:
        ops: Operations for each.
        optional: Positions of operands, each of which takes one more where it is there.
        inputs: Operations for each element of the first operand besides.
        macs: Returns the multiply-accumulates besides; its docstring says which.
    """

    def cost(node: Node) -> Cost:
        each = ops + sum(has(node, position) for position in optional)
        found = inputs * input_elements(node, 0) if inputs else 0
        found += each * out_count(node) if each else 0
        return Cost(0 if macs is None else macs(node), max(0, found))

    each = "for each element of the result"
    parts: list[str] = []
    if macs is not None:
        said = getattr(macs, "func", macs).__doc__ or ""
        parts.append(f"{said.removeprefix('Return ').rstrip('.')} in MACs")
    if inputs:
        parts.append(f"{plural(inputs, 'operation')} for each element of the operand")
    if ops > 0:
        parts.append(f"{plural(ops, 'operation')} {each}")
    if optional:
        parts.append(f"one {each} and optional operand that is there")
    cost.__doc__ = f"Count {', and '.join(parts)}{', less one for each result' * (ops < 0)}."
    return cost
