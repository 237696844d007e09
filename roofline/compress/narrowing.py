"""How many of a network's weight bytes a datatype narrowed, and which layers kept theirs and why."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from roofline.compress.bodies import stored_name
from roofline.compress.recount import distinct_weight_bytes, multiplies
from roofline.compress.sparsity import RECURRENT, WEIGHT_OPERANDS
from roofline.layer import Layer
from roofline.node import Tensor
from roofline.precision import Bits
from roofline.workload import Workload

ASKED = "it is to keep its datatype"
NARROW = "already as narrow as that"
LOOKED_UP = "looked up, not multiplied"
BESIDE = "biases, scales and statistics keep their datatype"
UNREAD = "read by no call that runs"
UNKNOWN = "made in a way that no writer follows"


@dataclass(frozen=True, slots=True)
class KeptWeights:
    """Weights of a layer that keep their own datatype."""

    layer: str
    op_type: str
    bytes: int
    """How many bytes they take."""
    reason: str


@dataclass(frozen=True, slots=True)
class Narrowing:
    """What a datatype did to the weights of a network."""

    weight_bytes: int
    """All stored weights before, in bytes."""
    narrowed_bytes: int
    """Those of them that are stored narrower now, in bytes as they were before."""
    kept: tuple[KeptWeights, ...]
    """The others by layer; a weight that several layers read is listed with the first."""

    def by_reason(self) -> dict[str, tuple[KeptWeights, ...]]:
        """Return the kept weights by the reason why they are, the most bytes first."""
        reasons = dict.fromkeys(entry.reason for entry in self.kept)
        groups = {why: tuple(e for e in self.kept if e.reason == why) for why in reasons}
        return dict(sorted(groups.items(), key=lambda item: -sum(e.bytes for e in item[1])))


def find_narrowing(
    before: Workload,
    after: Workload,
    bits: Bits,
    *,
    asked: Collection[str] = (),
    scales: Collection[str] = (),
) -> Narrowing:
    """Return which weights a written network stores narrower than before.

    Args:
        before: The counts of the network that was quantized.
        after: The counts of the written network.
        bits: Width of a weight in the datatype that was asked for.
        asked: Names of the layers that were to stay as they are.
        scales: Names of the scales and zero points in the written network.
    """
    first, last = (*before.layers, *before.untaken), (*after.layers, *after.untaken)
    names = {tensor.name for layer in first for tensor in layer.weights}
    kept: dict[tuple[str, str], KeptWeights] = {}
    seen: set[str] = set()

    def keep(layer: Layer, tensor: Tensor, reason: str) -> None:
        size = tensor.bytes or 0
        if tensor.name in seen or not size:
            return
        seen.add(tensor.name)
        found = kept.get((layer.name, reason))
        total = size + (found.bytes if found else 0)
        kept[layer.name, reason] = KeptWeights(layer.name, layer.op_type, total, reason)

    for layer in first:
        for tensor in layer.weights:
            if tensor.dtype is not None and tensor.dtype.bits <= bits:
                keep(layer, tensor, NARROW)
    for layer in last:
        for tensor in layer.weights:
            new = stored_name(tensor.name, scales) in scales or (
                tensor.elements == 1 and tensor.name not in names
            )
            if tensor.dtype is not None and tensor.dtype.bits > bits and not new:
                keep(layer, tensor, _reason(layer, tensor, asked))
    unread = before.weight_bytes - distinct_weight_bytes(first)
    entries = list(kept.values())
    # The layers that run do not show these; a narrower datatype would at least have halved them.
    if unread > 0 and 4 * _unread_bytes(after) > 3 * unread:
        entries.append(KeptWeights("branches not taken", "", unread, UNREAD))
    left = sum(entry.bytes for entry in entries)
    return Narrowing(before.weight_bytes, max(0, before.weight_bytes - left), tuple(entries))


def _unread_bytes(workload: Workload) -> int:
    """Return the bytes that no layer reads; single scales, which count as no bytes, aside."""
    read = {
        t.name: t.bytes or 0
        for layer in (*workload.layers, *workload.untaken)
        for t in layer.weights
        if t.elements != 1
    }
    return workload.weight_bytes - sum(read.values())


def _reason(layer: Layer, tensor: Tensor, asked: Collection[str]) -> str:
    if stored_name(layer.name, asked) in asked:
        return ASKED
    # A recurrent layer's weights have an axis for directions; stored without it, calls that no writer follows add it.
    if (
        layer.op_type in RECURRENT
        and len(tensor.shape or ()) == 2
        and 1 not in (tensor.shape or ())
    ):
        return UNKNOWN
    if multiplies(layer, tensor):
        known = layer.op_type in WEIGHT_OPERANDS
        return UNKNOWN if known else f"no writer narrows the weights of {layer.op_type}"
    return LOOKED_UP if layer.op_type.startswith("Gather") else BESIDE
