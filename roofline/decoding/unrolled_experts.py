"""Mixtures of experts that a graph unrolls: it computes each for every token, and weighs most of them with zero."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx

_PRODUCTS = frozenset({"MatMul", "Gemm", "MatMulNBits"})


@dataclass(frozen=True, slots=True)
class UnrolledExperts:
    """The experts of a graph that computes all of them."""

    count: int
    """Of the layer that has most."""
    chosen: int
    """How many of them a token is sent to; what it gets from the others is multiplied by zero."""
    products: frozenset[str]
    """Names of the products that the experts are made of, all layers together."""

    @property
    def note(self) -> str:
        """What is to be said of counts that have all of them."""
        return (
            f"the graph computes all {self.count} experts of a layer for every token and drops all but {self.chosen}: "
            "so counted, and more than a runtime needs that sends tokens to experts"
        )


def unrolled_experts(model: onnx.ModelProto) -> UnrolledExperts | None:
    """Return the experts that a graph unrolls; None where it has none.

    An expert is unrolled where its result is multiplied by a weight that is zero unless the expert's number is among
    those that a router's TopK gives.
    """
    graph = _Graph(model)
    most, chosen, products = 0, 0, set[str]()
    for router in model.graph.node:
        if router.op_type != "TopK" or len(router.output) < 2:
            continue
        numbers = [node for node in graph.readers(router.output[1]) if node.op_type == "Equal"]
        found = [names for node in numbers if (names := set(graph.find_gated(node)))]
        picked = graph.whole_number(router.input[1])
        if len(found) > 1 and picked is not None and picked < len(found):
            products |= set[str]().union(*found)
            if len(found) > most:
                most, chosen = len(found), picked
    return UnrolledExperts(most, chosen, frozenset(products)) if products else None


class _Graph:
    """Who writes and who reads each value of a graph."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._stored = {tensor.name: tensor for tensor in model.graph.initializer}
        self._writer: dict[str, onnx.NodeProto] = {}
        self._readers: dict[str, list[Any]] = {}
        for node in model.graph.node:
            self._writer |= dict.fromkeys(node.output, node)
            for name in node.input:
                self._readers.setdefault(name, []).append(node)

    def readers(self, name: str) -> list[Any]:
        """Return the calls that read a value, those behind a cast too."""
        found: list[Any] = []
        for node in self._readers.get(name, ()):
            casts = node.op_type in {"Cast", "CastLike"} and node.input[0] == name
            found += self.readers(node.output[0]) if casts else [node]
        return found

    def whole_number(self, name: str) -> int | None:
        """Return the one whole number that a stored value holds; None where it holds no such number."""
        tensor, node = self._stored.get(name), self._writer.get(name)
        if tensor is None and node is not None and node.op_type == "Constant":
            (entry,) = node.attribute
            if entry.name in {"value_int", "value_ints"}:
                (number,) = entry.ints or (entry.i,)
                return int(number)
            tensor = entry.t if entry.name == "value" else None
        if tensor is None or tensor.external_data or prod(tensor.dims) != 1:
            return None
        if tensor.raw_data:
            return int.from_bytes(tensor.raw_data, "little", signed=True)
        return next(iter((*tensor.int64_data, *tensor.int32_data)), None)

    def find_gated(self, chosen: Any) -> Iterator[str]:
        """Yield the products whose result is weighed by whether an expert is chosen, and by nothing else."""
        weights, open_ = {chosen.output[0]}, [chosen.output[0]]
        while open_:
            name = open_.pop()
            for node in self.readers(name):
                others = [entry for entry in node.input if entry and entry not in weights]
                results = [entry for entry in others if self._is_made_by_products(entry)]
                if node.op_type == "Mul" and results:
                    yield from self._products_of(results[0])
                elif node.op_type in {"Mul", "ReduceSum", "Unsqueeze", "Where", "Reshape"}:
                    weights.add(node.output[0])
                    open_.append(node.output[0])

    def _is_made_by_products(self, name: str) -> bool:
        return any(True for _ in self._products_of(name))

    def _products_of(self, name: str) -> Iterator[str]:
        """Yield the products that a value is made of and nothing else reads."""
        members: set[int] = set()
        open_ = [self._writer.get(name)]
        while open_:
            node = open_.pop()
            if node is None or id(node) in members:
                continue
            read = [reader for entry in node.output for reader in self._readers.get(entry, ())]
            if members and not all(id(reader) in members for reader in read):
                continue
            if not members and len(read) > 1:
                return
            members.add(id(node))
            if node.op_type in _PRODUCTS:
                yield node.name or node.output[0]
            open_ += [self._writer.get(entry) for entry in node.input]
