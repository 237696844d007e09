"""Which stored tensors a call reads as weights, through constant Transpose, Reshape, DequantizeLinear and the like.

Of a table that is looked up a call reads rows. Where another call reads the same table whole (an embedding that is also
the output projection), the rows are part of that reading.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import ceil

from roofline.errors import ModelError
from roofline.graph.walking.resolved import ResolvedGraph, ResolvedNode
from roofline.node import Attributes, Node, Tensor
from roofline.ops import Kind, Operator, lookup
from roofline.ops._attributes import translate_errors
from roofline.ops.qonnx import quantized_type
from roofline.ops.slicing import cut_of
from roofline.precision import packed_bytes

_STEERING = frozenset({"int64", "uint64", "bool", "string"})
"""Datatypes of index tables, masks and shapes; no network stores its weights in them."""

_BITS = {"MatMulBnb4": 4, "MatMulNBits": 4, "GatherBlockQuantized": 4, "QMoE": 4}
"""Width of the weights that these operators pack into bytes, where no attribute says it."""


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor as the file stores it, in the part it plays."""

    key: str
    """Its name in the file: one stored tensor has one key, wherever it is read."""
    tensor: Tensor
    elements: int
    """Weight elements: more than the tensor's own where several are packed into a byte."""
    parameter: bool
    """False for scales and zero points."""
    statistic: bool = False
    """Running statistics: stored, not trained."""
    share: Fraction = Fraction(1)
    """Which part of it the call reads."""
    spans: frozenset[tuple[int, int, int]] = frozenset()
    """Where that is known, which indices of one axis: the axis, the first and that behind the last of each span."""

    @property
    def bytes(self) -> int:
        """Packed bytes in the file."""
        tensor = self.tensor
        count = tensor.elements or 0
        return packed_bytes(count, tensor.dtype.bits) if tensor.dtype is not None else 0

    @property
    def read_elements(self) -> int:
        """Weight elements that the call reads."""
        return ceil(self.elements * self.share)

    @property
    def read_bytes(self) -> int:
        """Bytes that the call reads: a single scale or zero point adds none."""
        return ceil(weight_bytes(self) * self.share)


Origins = Mapping[str, StoredTensor]
_NOTHING: Origins = {}


@dataclass(slots=True)
class Weights:
    """What every call of a graph reads of the stored tensors; constant results remember what they were made of."""

    storage: Mapping[str, str]
    results: Collection[str] = ()
    """Names of the graph's own outputs."""
    angles: Collection[str] = ()
    """Names of results that only serve as tables of angles or scales (`_angles`)."""
    _origins: dict[str, Origins] = field(default_factory=dict[str, "Origins"])

    def read(self, resolved: ResolvedNode) -> Origins:
        """Return the stored tensors that a call reads as weights, scales or zero points, by key.

        Calls must come in execution order. A call whose results depend on no input reads nothing by itself: what it
        was made of is read by those who use its result, unless the graph itself gives that result.
        """
        node, row = resolved.node, lookup(resolved.node)
        found: dict[str, StoredTensor] = {}
        parts = _read_parts(resolved, row)
        for place, tensor in _weight_operands(node, row):
            if tensor.constant:
                self._gather(found, node, row, place, tensor, parts.get(place, _ALL))
        if resolved.dynamic:
            return found
        made: Origins = found if node.op_type != "ConstantOfShape" else _NOTHING
        for output in node.outputs:
            steers = output is None or output.dtype is None or output.dtype.name in _STEERING
            if output is not None and not steers and not output.stored and made:
                self._origins[output.name] = made
                if output.name in self.results:
                    return made
        return _NOTHING

    def _gather(
        self,
        found: dict[str, StoredTensor],
        node: Node,
        row: Operator,
        place: int,
        tensor: Tensor,
        share: Fraction,
    ) -> None:
        scale = place in row.quantizers or any(
            output is not None and output.name in self.angles for output in node.outputs
        )
        if not tensor.stored:
            for key, origin in self._origins.get(tensor.name, _NOTHING).items():
                part = (
                    origin
                    if share == 1
                    else replace(origin, share=origin.share * share, spans=frozenset())
                )
                _add(found, key, replace(part, parameter=False) if scale else part)
            return
        if tensor.dtype is None or tensor.elements is None or tensor.dtype.name in _STEERING:
            return
        if not scale:
            explicit = place in row.weights
            if not explicit and tensor.dtype.name in ("int32", "uint32"):
                return
            # A single number is a setting of the operator, not something that was learned.
            if not tensor.shape:
                return
        if not scale and (narrow := quantized_type(node)) is not None:
            # The file holds floats from which the quantizer makes narrow weights.
            tensor = replace(tensor, dtype=narrow)
        key = self.storage.get(tensor.name, tensor.name)
        _add(
            found,
            key,
            StoredTensor(
                key, tensor, _elements(node, tensor), parameter=not scale,
                statistic=place in row.statistics, share=share, spans=_spans(node, share),
            ),
        )  # fmt: skip


_ALL = Fraction(1)


def _read_parts(resolved: ResolvedNode, row: Operator) -> Mapping[int, Fraction]:
    """Return the part of each operand that a call reads over all its trips, where that is not the whole."""
    node = resolved.node
    if row.moves is None or not any(
        tensor is not None and tensor.constant for tensor in node.operands
    ):
        return {}
    try:
        with translate_errors(node):
            reads = row.moves(node).reads
    except ModelError:
        # A size that is not known: the call is reported as such, and charged whole.
        return {}
    found: dict[int, Fraction] = {}
    for place, elements in reads.items():
        tensor = node.operand(place)
        if tensor is not None and tensor.elements:
            found[place] = min(Fraction(elements * resolved.repeats, tensor.elements), _ALL)
    return found


def _weight_operands(node: Node, row: Operator) -> Iterator[tuple[int, Tensor]]:
    """Yield the operands that may be weights, with their positions."""
    for place, tensor in enumerate(node.operands):
        if tensor is None or place in row.settings:
            continue
        if place in row.quantizers or not row.weights or place in row.weights:
            yield place, tensor


def _elements(node: Node, tensor: Tensor) -> int:
    """Return how many weights a stored tensor holds: bytes may each hold several, as an attribute says."""
    count = tensor.elements or 0
    attributes: Attributes = node.attributes
    if tensor.dtype is None or tensor.dtype.name not in ("uint8", "int8"):
        return count
    bits = attributes.get("bits", attributes.get("expert_weight_bits", _BITS.get(node.op_type)))
    if node.domain != "com.microsoft" or not isinstance(bits, int) or not 0 < bits < 8:
        return count
    rows, columns = attributes.get("N"), attributes.get("K")
    if isinstance(rows, int) and isinstance(columns, int):
        return rows * columns
    return count * 8 // bits


def _spans(node: Node, share: Fraction) -> frozenset[tuple[int, int, int]]:
    """Return which indices of one axis a call takes of a stored tensor; empty where that is not known."""
    if share == 1 or node.op_type != "Slice":
        return frozenset()
    cut = cut_of(node)
    return frozenset() if cut is None else frozenset({cut})


def _add(found: dict[str, StoredTensor], key: str, stored: StoredTensor) -> None:
    """Add a stored tensor; being a parameter anywhere decides, and of what is read all spans, else the largest part."""
    before = found.get(key)
    if before is None:
        found[key] = stored
        return
    share, spans = _together(before, stored)
    if (stored.parameter and not before.parameter) or share > before.share:
        first = stored if stored.parameter or not before.parameter else before
        found[key] = replace(first, share=share, spans=spans)


def _together(
    first: StoredTensor, second: StoredTensor
) -> tuple[Fraction, frozenset[tuple[int, int, int]]]:
    """Return which part of a tensor two readings take, and its spans."""
    spans = first.spans | second.spans
    axes = {axis for axis, _, _ in spans}
    if not first.spans or not second.spans or len(axes) > 1:
        larger = first if first.share >= second.share else second
        return larger.share, larger.spans
    length, taken, reached = (first.tensor.shape or ())[axes.pop()], 0, 0
    for _, start, end in sorted(spans):
        taken += max(end - max(start, reached), 0)
        reached = max(reached, end)
    return (Fraction(taken, length), spans) if length else (_ALL, frozenset())


@dataclass(frozen=True, slots=True)
class StoredTotals:
    """Distinct stored weights of a graph."""

    parameters: int
    trainable_parameters: int
    bytes: int


def totals(reads: Iterable[Origins]) -> StoredTotals:
    """Return what calls read together, every stored tensor once."""
    distinct: dict[str, StoredTensor] = {}
    for origins in reads:
        for key, stored in origins.items():
            _add(distinct, key, stored)
    return StoredTotals(
        sum(stored.elements for stored in distinct.values() if stored.parameter),
        sum(
            stored.elements
            for stored in distinct.values()
            if stored.parameter and not stored.statistic
        ),
        sum(weight_bytes(stored) for stored in distinct.values()),
    )


def weight_bytes(stored: StoredTensor) -> int:
    """Return the bytes a stored tensor adds to the weights: a single scale or zero point adds none."""
    return stored.bytes if stored.parameter or (stored.tensor.elements or 0) > 1 else 0


def reads_of(graph: ResolvedGraph) -> tuple[list[Origins], list[Origins]]:
    """Return what each executed call reads, and what the calls of branches not taken would read."""
    results = {tensor.name for tensor in graph.outputs}
    weights = Weights(graph.storage, results, _angles(graph, results))
    executed = [weights.read(node) for node in graph.nodes]
    return _without_rows_of_whole(executed), [weights.read(node) for node in graph.idle]


_ROTATING = frozenset({"RotaryEmbedding", "GroupQueryAttention"})


def _angles(graph: ResolvedGraph, results: Collection[str]) -> Collection[str]:
    """Return the names of values that are moved about and then read as tables of angles alone."""
    if not any(resolved.node.op_type in _ROTATING for resolved in graph.nodes):
        return ()
    only: dict[str, bool] = dict.fromkeys(results, False)
    for resolved in reversed(graph.nodes):
        node, row = resolved.node, lookup(resolved.node)
        made = [output.name for output in node.outputs if output is not None]
        hands_on = row.kind in (Kind.MOVE, Kind.VIEW) and all(only.get(name) for name in made)
        for place, tensor in enumerate(node.operands):
            if tensor is not None and place not in row.settings:
                serves = hands_on or (node.op_type in _ROTATING and place in row.quantizers)
                only[tensor.name] = serves and only.get(tensor.name, True)
    return frozenset(name for name, serves in only.items() if serves)


def _without_rows_of_whole(reads: list[Origins]) -> list[Origins]:
    """Return reads in which the rows of a tensor that a call reads whole are read by that call alone."""
    partial = {key for origins in reads for key, stored in origins.items() if stored.share != 1}
    whole = {
        key
        for origins in (reads if partial else ())
        for key, stored in origins.items()
        if key in partial and stored.share == 1
    }
    if not whole:
        return reads
    return [
        {
            key: replace(stored, share=Fraction(0))
            if key in whole and stored.share != 1
            else stored
            for key, stored in origins.items()
        }
        for origins in reads
    ]
