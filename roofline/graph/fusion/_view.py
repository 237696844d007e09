"""The graph as fusing sees it: which calls are worked out beforehand, what flows between the others, and blocks.

A block is a set of calls with one exit: every value of the others is read inside the block only. Blocks with one exit
cannot wait for each other, so any set of them is free of cycles; ordering them by their exits is an execution order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from roofline.errors import ModelError
from roofline.graph.fusion._kinds import is_view, role
from roofline.graph.walking.resolved import ResolvedGraph, ResolvedNode
from roofline.node import Array, Node, Tensor
from roofline.ops import Role, lookup
from roofline.ops._attributes import translate_errors

_MANY_READERS = 32
"""A value with more readers is never fused into one of them, so they need not be looked at."""


@dataclass(slots=True)
class Block:
    """A growing group: its members, what it reads, and the names under which its result is read."""

    members: list[int]
    exit: int
    anchor: int
    role: Role
    flows: dict[str, None]
    frontier: list[str]
    steps: dict[str, None] = field(default_factory=dict[str, None])
    """Names of what was fused, each once, in order."""
    calls: int = 1
    """Members that are neither views nor dequantizations."""
    residual: bool = False
    activated: bool = False
    closed: bool = False
    """Whether its result is quantized, so that nothing but storing follows."""


class View:
    """Calls, values and blocks of one resolved graph, with every question fusing asks in constant time."""

    def __init__(self, graph: ResolvedGraph) -> None:
        self.calls: Sequence[ResolvedNode] = graph.nodes
        self.maker: dict[str, int] = {}
        self.tensors: dict[str, Tensor] = {tensor.name: tensor for tensor in graph.inputs}
        for place, call in enumerate(self.calls):
            for output in call.node.outputs:
                if output is not None:
                    self.maker[output.name] = place
                    self.tensors[output.name] = output
        self.live = [not _is_folded(call) for call in self.calls]
        # A branch that is not taken reads from around it all the same: what it reads is stored.
        idle = {
            tensor.name
            for call in graph.idle
            for tensor in call.node.operands
            if tensor is not None
        }
        self.kept = frozenset(tensor.name for tensor in graph.outputs) | idle
        self.flows = [
            self._flows(call.node) if self.live[place] else ()
            for place, call in enumerate(self.calls)
        ]
        self.readers: dict[str, list[int]] = {}
        for place, names in enumerate(self.flows):
            for name in names:
                self.readers.setdefault(name, []).append(place)
        self.storage: dict[str, str] = {}
        """Names of values that are shown through a view, to the name of what is stored."""
        self._leader = list(range(len(self.calls)))
        self._blocks: list[Block | None] = [
            self._single_block(place) if self.live[place] else None
            for place in range(len(self.calls))
        ]
        for place, call in enumerate(self.calls):
            if self.live[place]:
                self._show(place, call)

    def node(self, place: int) -> Node:
        """Return the call at a place."""
        return self.calls[place].node

    def outputs(self, place: int) -> list[str]:
        """Return the names of a call's results."""
        return [output.name for output in self.node(place).outputs if output is not None]

    def leader(self, place: int) -> int:
        """Return the place that stands for the block of a call."""
        leaders = self._leader
        root = place
        while leaders[root] != root:
            root = leaders[root]
        while leaders[place] != root:
            leaders[place], place = root, leaders[place]
        return root

    def block(self, place: int) -> Block:
        """Return the block of a live call."""
        found = self._blocks[self.leader(place)]
        if found is None:
            raise KeyError(place)
        return found

    def blocks(self) -> Iterator[Block]:
        """Yield every block in execution order."""
        found = [block for block in self._blocks if block is not None]
        yield from sorted(found, key=lambda block: block.exit)

    def root(self, name: str) -> str:
        """Return the name of the stored value that a name shows."""
        return self.storage.get(name, name)

    def source(self, name: str) -> int | None:
        """Return the live call that makes a value, seen through views; None for inputs of the graph."""
        place = self.maker.get(self.root(name))
        return place if place is not None and self.live[place] else None

    def users(self, place: int) -> list[int]:
        """Return the calls that read the results of a call, seen through views; none when they are too many."""
        found: list[int] = []
        waiting = self.outputs(place)
        while waiting:
            readers = self.readers.get(waiting.pop(), [])
            if len(readers) + len(found) > _MANY_READERS:
                return []
            for reader in readers:
                if is_view(self.node(reader)):
                    waiting += self.outputs(reader)
                elif reader not in found:
                    found.append(reader)
        return found

    def sole_reader(self, place: int) -> int | None:
        """Return the leader of the only block that reads the block of a call, or None."""
        own = self.leader(place)
        found: int | None = None
        for name in self.block(place).frontier:
            if name in self.kept:
                return None
            readers = self.readers.get(name, [])
            if len(readers) > _MANY_READERS:
                return None
            for reader in readers:
                leader = self.leader(reader)
                if leader not in (own, found):
                    if found is not None:
                        return None
                    found = leader
        return found

    def claim(self, name: str, members: Iterable[int], anchor: int, kind: Role) -> bool:
        """Make one block of the blocks of these calls, if it has a single exit and none was claimed before."""
        leaders = {self.leader(place) for place in members}
        blocks = [self._blocks[leader] for leader in sorted(leaders)]
        found = [block for block in blocks if block is not None]
        if len(found) != len(blocks) or len(found) < 2 or any(block.steps for block in found):
            return False
        if len({self.calls[block.anchor].repeats for block in found}) > 1:
            return False
        leaving = [block for block in found if not self._inside(block, leaders)]
        if len(leaving) != 1:
            return False
        last = leaving[0]
        for block in found:
            if block is not last:
                self._join(block, last)
        for inner in [
            name for name in last.flows if self._maker_of(name) == self.leader(last.exit)
        ]:
            del last.flows[inner]
        last.role, last.anchor = kind, anchor
        last.steps[name] = None
        return True

    def absorb(self, producer: Block, consumer: Block) -> Block:
        """Join a block with the only one that reads it; the result leaves where the consumer's does."""
        self._join(producer, consumer)
        return consumer

    def _join(self, producer: Block, consumer: Block) -> None:
        first, last = self.leader(producer.exit), self.leader(consumer.exit)
        for name in producer.frontier:
            consumer.flows.pop(name, None)
        small, large = sorted((producer.flows, consumer.flows), key=len)
        large.update(small)
        consumer.flows = large
        few, many = sorted((producer.members, consumer.members), key=len)
        many += few
        consumer.members = many
        consumer.steps = producer.steps | consumer.steps
        consumer.calls += producer.calls
        self._leader[first] = last
        self._blocks[first] = None

    def _single_block(self, place: int) -> Block:
        part = role(self.node(place))
        block = Block(
            [place], place, place, part, dict.fromkeys(self.flows[place]), self.outputs(place)
        )
        if part is Role.DEQUANTIZE:
            block.calls = 0
        return block

    def _maker_of(self, name: str) -> int | None:
        maker = self.maker.get(name)
        return None if maker is None else self.leader(maker)

    def _inside(self, block: Block, leaders: set[int]) -> bool:
        read = False
        for name in block.frontier:
            if name in self.kept:
                return False
            for reader in self.readers.get(name, ()):
                if self.leader(reader) not in leaders:
                    return False
                read = read or self.leader(reader) != self.leader(block.exit)
        return read

    def _flows(self, node: Node) -> tuple[str, ...]:
        names: dict[str, None] = {}
        for operand in node.operands:
            if operand is None or operand.constant:
                continue
            maker = self.maker.get(operand.name)
            if maker is None or self.live[maker]:
                names[operand.name] = None
        return tuple(names)

    def _show(self, place: int, call: ResolvedNode) -> None:
        """Join a view to the block of what it shows."""
        node = call.node
        first, result = node.operand(0), node.outputs[0] if node.outputs else None
        if first is None or result is None or self.flows[place] != (first.name,):
            return
        maker = self.maker.get(first.name)
        alone = maker is None or self.calls[maker].repeats != call.repeats
        if is_view(node) and first.bytes == result.bytes:
            self.block(place).calls = 0
        elif alone or not self._shared_dequantization(place, node):
            return
        self.storage[result.name] = self.root(first.name)
        if maker is None or alone:
            return
        block = self.block(maker)
        block.members.append(place)
        block.frontier += self.outputs(place)
        self._leader[place] = self.leader(maker)
        self._blocks[place] = None

    def _shared_dequantization(self, place: int, node: Node) -> bool:
        """A value dequantized for several readers is stored quantized; each reader dequantizes it."""
        if role(node) is not Role.DEQUANTIZE:
            return False
        names = self.outputs(place)
        return len(self.readers.get(names[0], ())) > 1 and names[0] not in self.kept


def _is_folded(call: ResolvedNode) -> bool:
    """Return whether a call is worked out before inference and holds no multiply-accumulates."""
    node = call.node
    if call.dynamic and not all(
        output is None or (output.value is not None and _is_known(output.value))
        for output in node.outputs
    ):
        return False
    return bool(node.outputs) and not _macs(node)


def _is_known(value: Array) -> bool:
    entries: Any = value
    return entries.dtype != object or all(entry is not None for entry in entries.ravel())


def _macs(node: Node) -> int:
    cost = lookup(node).cost
    if cost is None:
        return 0
    try:
        with translate_errors(node):
            return cost(node).macs
    except ModelError:
        return 0
