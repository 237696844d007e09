"""Which part of a decoder each stored matrix is: quantizers give some parts wider numbers than others.

Parts are found by the graph's structure, not by names: attention has queries, keys and values in front and its output
projection behind, the last matrix of a block is that of the way down, a table that rows are looked up in is the
embedding, and the last matrix of all gives the scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from roofline.layer import MIXTURES, Layer, Use
from roofline.node import Tensor
from roofline.precision import Bits, Precision
from roofline.workload import Workload

KEPT = 16
"""Bits of the parts that a format does not name: quantizers leave the embedding and the output projection alone."""


@dataclass(frozen=True, slots=True)
class Place:
    """What a stored matrix is for."""

    parts: tuple[str, ...]
    """From the general to the particular: `roofline.precision.PARTS`."""
    block: int
    blocks: int


Places = Mapping[str, Place]
"""By the tensor's name."""


def places_of(workload: Workload) -> Places:
    """Return the part of each stored matrix of a decoder; nothing for a network without a cache."""
    if not any(layer.cache_bytes for layer in workload.layers):
        return {}
    return _Parts(workload.layers).places()


class _Parts:
    """The parts of a decoder's stored matrices, found from the attention of its blocks outwards."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._layers = layers
        self._graph = _Graph(layers)
        self._matrices = [place for place, layer in enumerate(layers) if _matrices(layer)]
        self._attention = [place for place, layer in enumerate(layers) if layer.cache_bytes]
        self._head = self._matrices[-1] if self._matrices else None
        self._found: dict[str, list[str]] = {}
        self._blocks: dict[str, int] = {}

    def places(self) -> Places:
        """Return the part of each matrix."""
        self._name_matrices()
        ends = [*self._attention[1:], len(self._layers)]
        for block, (place, end) in enumerate(zip(self._attention, ends, strict=True)):
            behind = self._name_projections(block, place)
            self._name_way_down(behind or place, end)
            self._name_routers(place, end)
        for layer in self._layers:
            for tensor in _lookup_tables(layer):
                self._found[tensor.name] = ["embedding", *self._found.get(tensor.name, [])]
        return {
            name: Place(tuple(parts), self._blocks.get(name, 0), len(self._attention))
            for name, parts in self._found.items()
        }

    def _name_matrices(self) -> None:
        """Name every matrix by what it multiplies in: an expert, beside experts, the head, or any other."""
        mixed = any(layer.op_type in MIXTURES for layer in self._layers)
        for place in self._matrices:
            block = sum(1 for end in self._attention if end < place) - 1
            expert = self._layers[place].op_type in MIXTURES
            parts = ["weights", "experts" if expert else "beside_experts"][: 1 + mixed]
            for tensor in _matrices(self._layers[place]):
                self._found[tensor.name] = ["head"] if place == self._head else [*parts]
                self._blocks[tensor.name] = max(block, 0)

    def _name_projections(self, block: int, attention: int) -> int | None:
        """Name the projection of values and the one behind attention; return the place of the latter."""
        layers, graph = self._layers, self._graph
        inner = [graph.source(tensor) for tensor in layers[attention].inputs[:3]]
        for source in inner:
            for tensor in () if source is None else _matrices(layers[source]):
                self._blocks[tensor.name] = block
        # Queries, keys and values may be one product with three stored matrices, side by side.
        query = inner[0] if inner else None
        packed = query is not None and len(_matrices(layers[query])) == 3
        values = query if packed else inner[2] if len(inner) == 3 else None
        if values is not None:
            _add(self._found, layers[values], "value")
        behind = graph.target(layers[attention])
        if behind is not None:
            _add(self._found, layers[behind], "output")
        return behind

    def _name_way_down(self, behind: int, end: int) -> None:
        """Name the last product of the MLP: the last matrix in front of the next attention's own projections."""
        following = [self._head]
        if end < len(self._layers):
            taken = self._layers[end].inputs[:3]
            following = [self._graph.source(tensor) for tensor in taken]
        first = min((entry for entry in following if entry is not None), default=end)
        down = max((entry for entry in self._matrices if behind < entry < first), default=None)
        if down is not None:
            _add(self._found, self._layers[down], "down")

    def _name_routers(self, place: int, end: int) -> None:
        for layer in self._layers[place:end]:
            if layer.op_type in MIXTURES and len(layer.inputs) > 1:
                router = self._graph.source(layer.inputs[1])
                for tensor in () if router is None else _matrices(self._layers[router]):
                    self._found[tensor.name] = ["router"]


def stored_bits(place: Place, asked: Precision) -> Bits:
    """Return the bits that a part takes in a format: those of the last of its rules that hold, else `KEPT`."""
    wanted: Bits | None = None
    rules = asked.mix or (("weights", asked.weight_bits, "all"),)
    for part, bits, where in rules:
        if part in place.parts and _holds(where, place.block, place.blocks):
            wanted = bits
    return KEPT if wanted is None else wanted


def _more(block: int, blocks: int) -> bool:
    """Return whether llama.cpp gives a block more bits: the first and the last eighth, and each third between."""
    eighth = blocks // 8
    return block < eighth or block >= 7 * blocks // 8 or (block - eighth) % 3 == 2


_FIRST: Mapping[str, int] = {"first two": 2, "first four": 4}
_SHARE: Mapping[str, int] = {"all": 1, "first eighth": 8, "first sixteenth": 16}


def _holds(where: str, block: int, blocks: int) -> bool:
    """Return whether a rule holds in a block, counted from 0."""
    if where == "more":
        return _more(block, blocks)
    return block < (_FIRST[where] if where in _FIRST else blocks // _SHARE[where])


def _matrices(layer: Layer) -> list[Tensor]:
    """Return the stored matrices that a layer multiplies with: of a mixture a stack of each, their biases aside."""
    least = 3 if layer.op_type in MIXTURES else 2
    if not layer.cost.macs or layer.cache_bytes:
        return []
    return [
        tensor
        for tensor in layer.weights
        if tensor.shape is not None and len(tensor.shape) >= least
    ]


def _lookup_tables(layer: Layer) -> Iterator[Tensor]:
    """Yield the tables whose rows a layer looks up; tables of angles are no parameters."""
    if layer.op_type in {"Gather", "GatherBlockQuantized"}:
        for entry in layer.accesses:
            if entry.use is Use.WEIGHT and entry.parameter and len(entry.tensor.shape or ()) == 2:
                yield entry.tensor


def _add(found: dict[str, list[str]], layer: Layer, part: str) -> None:
    # Of a mixture the last stack is the way down.
    for tensor in _matrices(layer)[-1:]:
        found[tensor.name].append(part)


class _Graph:
    """Which layer with stored matrices stands in front of a value, and behind a layer."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = layers
        self.makers = {
            tensor.name: place for place, layer in enumerate(layers) for tensor in layer.outputs
        }
        self.readers: dict[str, int] = {}
        for place, layer in enumerate(layers):
            for tensor in layer.inputs:
                self.readers.setdefault(tensor.name, place)

    def source(self, value: Tensor) -> int | None:
        """Follow the first operand back, through biases, norms and reshapes."""
        place = self.makers.get(value.name)
        while place is not None and not _matrices(self.layers[place]):
            layer = self.layers[place]
            if layer.cache_bytes or not layer.inputs:
                return None
            place = self.makers.get(layer.inputs[0].name)
        return place

    def target(self, layer: Layer) -> int | None:
        """Follow the first result on to the next matrix."""
        place = self.readers.get(layer.outputs[0].name) if layer.outputs else None
        while place is not None and not _matrices(self.layers[place]):
            outputs = self.layers[place].outputs
            place = self.readers.get(outputs[0].name) if outputs else None
        return place
