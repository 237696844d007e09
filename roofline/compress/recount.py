"""Counting bytes again after tensors changed their datatype or their storage."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from roofline.compress.formats import WeightShape, formats
from roofline.compress.sparsity import RECURRENT, zero_count
from roofline.layer import Access, Layer, Use
from roofline.node import Tensor
from roofline.ops import Kind
from roofline.precision import NUMBERS, DataType, DatatypeKind, Precision, packed_bytes
from roofline.workload import Workload


@dataclass(frozen=True, slots=True)
class Change:
    """What changes about datatypes."""

    layer: Callable[[Layer], Precision | None]
    """The precision a layer is given, or None when it keeps its own."""
    activation: Callable[[Tensor], DataType | None]
    """The type an activation is given, or None when it keeps its own."""
    weight: Callable[[Precision], DataType]
    """The type a precision stores weights in."""
    part: Callable[[Tensor, Precision], DataType | None] | None = None
    """The type of a decoder's stored tensor by the part it is, or None when it keeps its own; absent for networks
    whose parts are not told apart."""
    _activations: dict[int, tuple[Tensor, Tensor]] = field(
        default_factory=dict[int, tuple[Tensor, Tensor]], init=False, repr=False, compare=False
    )
    """Activations before and after, by identity: the layers that write and read one, in both views, share it."""

    def retype(self, tensor: Tensor) -> Tensor:
        """Return an activation at its new type."""
        known = self._activations.get(id(tensor))
        if known is None:
            known = self._activations[id(tensor)] = (tensor, self._retype(tensor))
        return known[1]

    def _retype(self, tensor: Tensor) -> Tensor:
        kind = tensor.dtype
        if kind is None or kind.kind not in NUMBERS or _wide_integer(tensor):
            return tensor
        new = self.activation(tensor)
        return tensor if new is None else tensor.cast(new)


def multiplies(layer: Layer, tensor: Tensor) -> bool:
    """Return whether a stored operand multiplies in a layer (and is no bias, scale or statistic)."""
    least = 3 if layer.op_type in RECURRENT else 2
    return (
        bool(layer.cost.macs)
        and tensor.shape is not None
        and len(tensor.shape) >= least
        and not _wide_integer(tensor)
    )


def stored_bytes(layer: Layer, tensor: Tensor) -> int:
    """Return the bytes of a stored operand in the format its layer stores weights in."""
    whole = tensor.bytes or 0
    if layer.weight_format == "dense" or not multiplies(layer, tensor) or tensor.dtype is None:
        return whole
    shape = WeightShape.of([size or 0 for size in tensor.shape or ()])
    nonzeros = shape.elements - zero_count(shape.elements, layer.sparsity)
    return formats.get(layer.weight_format).bytes(shape, nonzeros, tensor.dtype.bits)


def recount(workload: Workload, change: Change) -> Workload:
    """Return a workload whose tensors have other datatypes.

    Totals move by what its layers' distinct tensors gain or lose, those of branches not taken too. Tables of published
    totals have no tensors: their weights scale with the width.
    """
    layers = tuple(_retype(layer, change) for layer in workload.layers)
    fused = tuple(_retype(layer, change) for layer in workload.fused_layers)
    untaken = tuple(_retype(layer, change) for layer in workload.untaken)
    inputs, outputs = (
        _activations(tensors, change) for tensors in (workload.inputs, workload.outputs)
    )
    moved = replace(
        workload,
        layers=layers,
        fused_layers=fused,
        untaken=untaken,
        inputs=inputs,
        outputs=outputs,
    )
    # A workload is brought to many widths.
    before, now = workload.once("sums of tensors", lambda: _sums(workload)), _sums(moved)
    return replace(
        moved,
        weight_bytes=workload.weight_bytes + now.weights - before.weights,
        activation_bytes=workload.activation_bytes + now.written - before.written,
        peak_activation_bytes=_scale(workload.peak_activation_bytes, before.peak, now.peak),
    )


@dataclass(frozen=True, slots=True)
class _Sums:
    """What a workload's tensors come to, in bytes: its totals move by as much."""

    weights: int
    written: int
    peak: int


def _sums(workload: Workload) -> _Sums:
    return _Sums(
        distinct_weight_bytes((*workload.layers, *workload.untaken)),
        _written_bytes(workload.layers),
        peak(workload),
    )


def _written_bytes(layers: Sequence[Layer]) -> int:
    """Return the bytes of all results that depend on an input, views too; containers' bodies have written theirs."""
    return sum(
        _bytes(layer.outputs) * layer.repeats
        for layer in layers
        if layer.inputs and layer.kind is not Kind.CONTROL
    )


def distinct_weight_bytes(layers: Sequence[Layer]) -> int:
    """Return the bytes of the stored operands of some layers, each tensor once."""
    found: dict[str, int] = {}
    bare = 0
    for layer in layers:
        if layer.weights:
            for tensor in layer.weights:
                found.setdefault(tensor.name, stored_bytes(layer, tensor))
        else:
            bare += layer.weight_bytes
    return sum(found.values()) + bare


def peak(workload: Workload) -> int:
    """Return the largest live set of activations, with the layers in order; outputs stay."""
    last: dict[str, int] = {}
    for index, layer in enumerate(workload.layers):
        for tensor in layer.inputs:
            last[tensor.name] = index
    stay = {tensor.name for tensor in workload.outputs}
    live = {tensor.name: tensor.bytes or 0 for tensor in workload.inputs}
    most = held = sum(live.values())
    for index, layer in enumerate(workload.layers):
        for tensor in layer.outputs:
            if tensor.name not in live:
                live[tensor.name] = tensor.bytes or 0
                held += live[tensor.name]
        most = max(most, held)
        for name in {tensor.name for tensor in (*layer.inputs, *layer.outputs)}:
            if last.get(name, index) <= index and name not in stay:
                held -= live.pop(name, 0)
    return most


def _retype(layer: Layer, change: Change) -> Layer:
    asked = change.layer(layer)
    weights = layer.weights
    if asked is not None:
        weights = tuple(_weight(layer, tensor, asked, change) for tensor in weights)
    # Operands and accesses name the same tensors.
    known = dict(zip(map(id, layer.weights), weights, strict=True))
    accesses = tuple(
        [_recount_access(layer, entry, asked, change, known) for entry in layer.accesses]
    )
    gained = dict.fromkeys(_USES, 0)
    for before, after in zip(layer.accesses, accesses, strict=True):
        if before is not after:
            gained[before.use] += after.bytes - before.bytes
    if asked is not None and not layer.weights and layer.parameters:
        # A published total is one bag of weights.
        gained[_WEIGHT] += packed_bytes(layer.parameters, asked.weight_bits) - layer.weight_bytes
    return layer.of(
        weights=weights,
        inputs=_activations(layer.inputs, change),
        outputs=_activations(layer.outputs, change),
        accesses=accesses,
        gained=gained,
        datatype=layer.datatype if asked is None or layer.datatype is None else asked.peak,
    )


_USES, _WEIGHT = tuple(Use), Use.WEIGHT
"""Looked up once: a retyped layer asks for them a dozen times."""


def _recount_access(
    layer: Layer,
    entry: Access,
    asked: Precision | None,
    change: Change,
    known: Mapping[int, Tensor],
) -> Access:
    """Return an access whose tensor has another datatype, with its bytes counted again."""
    before = entry.tensor
    if entry.use is not _WEIGHT:
        after = change.retype(before)
    elif asked is None:
        return entry
    else:
        after = known.get(id(before)) or _weight(layer, before, asked, change)
    if after.dtype == before.dtype or after.dtype is None:
        return entry
    if entry.use is _WEIGHT and not entry.rows:
        return entry.of(after, stored_bytes(layer, after))
    return entry.of(after, packed_bytes(entry.elements, after.dtype.bits))


def _weight(layer: Layer, tensor: Tensor, asked: Precision, change: Change) -> Tensor:
    kind = tensor.dtype
    if kind is None or _wide_integer(tensor) or kind.kind not in NUMBERS:
        return tensor
    if change.part is not None:
        own = change.part(tensor, asked)
        return tensor if own is None else tensor.cast(own)
    if multiplies(layer, tensor) or (kind.kind is DatatypeKind.FLOAT and asked.weight_bits >= 16):
        return tensor.cast(change.weight(asked))
    return tensor


def _activations(tensors: Sequence[Tensor], change: Change) -> tuple[Tensor, ...]:
    return tuple(map(change.retype, tensors))


def _wide_integer(tensor: Tensor) -> bool:
    """Return whether a tensor holds integers that no quantization made: indices, shapes, accumulators."""
    return (
        tensor.dtype is not None
        and tensor.dtype.kind is not DatatypeKind.FLOAT
        and tensor.dtype.bits >= 16
    )


def _bytes(tensors: Sequence[Tensor]) -> int:
    return sum(tensor.bytes or 0 for tensor in tensors)


def _scale(total: int, before: int, after: int) -> int:
    """Return a total that moves as its tensors do: exactly when it is a multiple of them (repeats)."""
    return total if before == after or not before else total * after // before
