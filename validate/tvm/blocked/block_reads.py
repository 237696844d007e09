"""How a block of a kernel reads what it copies: under a condition, across, or at divided positions."""

from __future__ import annotations

import importlib
from typing import Any

_DIVISIONS = ("FloorDiv", "FloorMod")


def frames_rows(block: Any) -> bool:
    """Return whether a block asks, element by element of its last dimension, whether there is anything to read."""
    last = block.iter_vars[-1].var
    return any(
        str(getattr(node.op, "name", "")).endswith("if_then_else") and _uses(node.args[0], last)
        for node in _nodes(block.body, "Call")
    )


def packs_narrowly(block: Any, lanes: int) -> bool:
    """Return whether a block puts fewer elements than fill a vector beside each other that lie apart where it reads.

    Args:
        block: A block of a schedule.
        lanes: Elements of one vector.
    """
    last = block.iter_vars[-1]
    if len(block.iter_vars) < 2 or int(last.dom.extent) >= lanes:
        return False
    return any(
        not _uses(load.indices[-1], last.var)
        and any(_uses(index, last.var) for index in load.indices[:-1])
        for load in _nodes(block.body, "TensorLoad")
    )


def divisors(block: Any) -> dict[int, tuple[int, ...]]:
    """Return by what each variable of a block is divided where it reads, the largest first, by the variable's place.

    Of a sum of several variables the last is meant: it is the one that counts single elements.
    """
    variables = [variable.var for variable in block.iter_vars]
    found: dict[int, set[int]] = {}
    for node in _nodes(block.body, *_DIVISIONS):
        step, divided = 1, node.a
        if type(node).__name__ == "FloorMod" and type(divided).__name__ == "FloorDiv":
            step, divided = _constant(divided.b), divided.a
        used = [place for place, one in enumerate(variables) if _uses(divided, one)]
        by = step * _constant(node.b)
        if used and by > 0:
            found.setdefault(used[-1], set()).update({by, step} - {1})
    return {place: tuple(sorted(by, reverse=True)) for place, by in found.items()}


def _constant(expression: Any) -> int:
    """Return the value of a constant, 0 for what is none."""
    return int(expression) if type(expression).__name__ == "IntImm" else 0


def _uses(expression: Any, variable: Any) -> bool:
    return any(one.same_as(variable) for one in _nodes(expression, "Var"))


def _nodes(root: Any, *kinds: str) -> list[Any]:
    """Return the nodes of some kinds under an expression or a statement, by the names of their classes."""
    ffi: Any = importlib.import_module("tvm_ffi")
    found: list[Any] = []

    def keep(node: Any) -> None:
        if type(node).__name__ in kinds:
            found.append(node)

    ffi.structural_walk(root, (object, keep))
    return found
