"""What operators move in part: rows of tables that are looked up, and the part of a tensor that is cut out."""

from __future__ import annotations

from roofline.node import Node
from roofline.ops._counts import out_count
from roofline.ops._registry import Moves, MovesFunction


def picked_moves(*positions: int) -> MovesFunction:
    """Return that of these operands as many elements are read as the first result has, never more than they have.

    Indices may name a row twice: how many distinct ones they name depends on their values, so each counts.
    """

    def moves(node: Node) -> Moves:
        return Moves({place: least(node, place, out_count(node)) for place in positions})

    return moves


def least(node: Node, position: int, elements: int) -> int:
    """Return so many elements, or as many as an operand has where these are fewer; none of an absent operand."""
    tensor = node.operand(position)
    whole = None if tensor is None else tensor.elements
    return 0 if tensor is None else elements if whole is None else min(elements, whole)
