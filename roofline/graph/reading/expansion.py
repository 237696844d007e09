"""How large a model becomes when its functions are written out: refused before any work when it explodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, cast

from roofline.errors import ModelError
from roofline.graph.reading.order import label
from roofline.graph.reading.reads import subgraphs
from roofline.number_format import plural

if TYPE_CHECKING:
    from onnx import FunctionProto, ModelProto, NodeProto

MAX_CALLS = 2_000_000
"""More calls than this in one inference, loops aside, is a recursion bomb, not a network."""

_FREE_GROWTH = 100_000
_MAX_GROWTH = 20
"""How far a large file may grow; one function per layer of a network stays far below."""

MAX_DEPTH = 100
"""Functions and subgraphs inside one another; real models reach four."""

Key = tuple[str, str, str]
"""Domain, name and overload of a function."""


def functions_of(model: ModelProto) -> dict[Key, FunctionProto]:
    """Return a model's own functions.

    Raises:
        ModelError: One is defined twice.
    """
    found: dict[Key, FunctionProto] = {}
    for function in model.functions:
        key = (plain_domain(function.domain), function.name, getattr(function, "overload", ""))
        if key in found:
            raise ModelError(
                f"the function {function.name!r} of domain {function.domain!r} is defined twice"
            )
        found[key] = function
    return found


def key_of(node: NodeProto) -> Key:
    """Return the function that a call would call."""
    return (plain_domain(node.domain), node.op_type, getattr(node, "overload", ""))


def plain_domain(domain: str) -> str:
    """Return a domain with the two spellings of ONNX's own made one."""
    return "" if domain == "ai.onnx" else domain


def check_expansion(model: ModelProto, functions: Mapping[Key, FunctionProto]) -> None:
    """Refuse a model that explodes when its functions are written out.

    Raises:
        ModelError: A function calls itself, things nest too deep, or the written-out graph would be absurdly large.
    """
    counter = _Counter(functions)
    total = counter.calls(model.graph.node, 0)
    limit = min(MAX_CALLS, _FREE_GROWTH + _MAX_GROWTH * counter.written)
    if total > max(limit, counter.written):
        raise ModelError(
            f"the model grows to more than {plural(limit, 'call')} when its functions are written out",
            repair="Give the model its author exported",
        )


class _Counter:
    """Counts calls with each function counted once and remembered."""

    def __init__(self, functions: Mapping[Key, FunctionProto]) -> None:
        self.written = 0
        self._functions = functions
        self._sizes: dict[Key, int] = {}
        self._open: list[Key] = []

    def calls(self, nodes: Iterable[NodeProto], depth: int) -> int:
        if depth > MAX_DEPTH:
            raise ModelError(f"functions and subgraphs nest more than {MAX_DEPTH} deep")
        total = 0
        for node in nodes:
            total += 1
            op_type = cast("object", node.op_type)
            if not isinstance(op_type, str):
                raise TypeError(op_type)
            if not self._open:
                self.written += 1
            if self._functions and (key := key_of(node)) in self._functions:
                total += self._size(node, key, depth)
            if node.attribute and any(attribute.type in (5, 10) for attribute in node.attribute):
                total += sum(self.calls(graph.node, depth + 1) for graph in subgraphs(node))
            if total > MAX_CALLS * 1000:
                return total
        return total

    def _size(self, node: NodeProto, key: Key, depth: int) -> int:
        if key in self._open:
            raise ModelError(f"the function {node.op_type!r} calls itself, through {label(node)}")
        if key not in self._sizes:
            self._open.append(key)
            self._sizes[key] = self.calls(self._functions[key].node, depth + 1)
            self._open.pop()
        return self._sizes[key]
