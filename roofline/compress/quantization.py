"""Quantization what-if: the bytes and the arithmetic of a network at other datatypes, without touching the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from types import MappingProxyType

from roofline.arguments import check_kind
from roofline.compress.channels import variant_name
from roofline.compress.decoder_parts import KEPT, Places, places_of, stored_bits
from roofline.compress.recount import Change, recount
from roofline.errors import CompressionError, did_you_mean
from roofline.node import Tensor
from roofline.precision import DATATYPES, Bits, DataType, DatatypeKind, Precision, precision
from roofline.workload import Workload, transformations

ENDS = ("first", "last")
STATE_NAMES = (
    "past*",
    "present*",
    "*cache*",
    "*state*",
    "*kv*",
    "h",
    "c",
    "hn",
    "cn",
    "h_*",
    "c_*",
    "*hidden*",
)
"""Names that inputs and outputs carrying state from one inference to the next usually have."""


@dataclass(frozen=True, slots=True, init=False)
class Quantization:
    """A request for datatypes. Names are read once, here; what is kept are precisions.

    Example:
        >>> Quantization("int8", wide={"first": "fp16"}).label
        'int8,first=fp16'
    """

    datatype: Precision | None
    """Weights and activations of every layer: ``int8``, ``w4a8``, ``ternary``, ``fp16``; None keeps the graph's."""
    layers: Mapping[str, Precision]
    """Datatypes by glob pattern on layer names; where several match, the last one counts."""
    wide: Mapping[str, Precision]
    """Datatypes of the ``first`` and the ``last`` layer that multiplies with stored weights."""
    state: Precision | None
    """Datatype of state and KV-cache inputs and outputs, whose names match `state_names`."""
    state_names: tuple[str, ...]

    def __init__(
        self,
        datatype: Precision | str | None = None,
        layers: Mapping[str, Precision | str] = MappingProxyType({}),
        wide: Mapping[str, Precision | str] = MappingProxyType({}),
        state: Precision | str | None = None,
        state_names: tuple[str, ...] = STATE_NAMES,
    ) -> None:
        for end in wide:
            if end not in ENDS:
                raise CompressionError(
                    f"{end!r} is neither first nor last", repair="Name a layer by its pattern"
                )
        if datatype is not None:
            check_kind(datatype, (str, Precision), "precision", "Give a name: 'int8'")
        # Frozen classes have their own way to set what they are made of.
        keep = partial(object.__setattr__, self)
        keep("datatype", None if datatype is None else precision(datatype))
        keep("layers", {where: precision(name) for where, name in layers.items()})
        keep("wide", {where: precision(name) for where, name in wide.items()})
        keep("state", None if state is None else precision(state))
        keep("state_names", state_names)

    @property
    def empty(self) -> bool:
        """Whether it leaves every datatype as it is."""
        return not (self.datatype or self.wide or self.layers or self.state)

    @property
    def words(self) -> tuple[str, ...]:
        """What is asked, each as on the command line: ``int8``, ``first=fp16``."""
        parts = [self.datatype.name] if self.datatype else []
        parts += [f"{where}={name}" for where, name in (*self.wide.items(), *self.layers.items())]
        parts += [f"state={self.state}"] if self.state else []
        return tuple(parts)

    @property
    def label(self) -> str:
        """The request in one word."""
        return ",".join(self.words)


def as_quantization(
    request: Quantization | Precision | str | Mapping[str, Precision | str],
) -> Quantization:
    """Return a request from its short forms: a datatype's name, a precision, or names by layer pattern."""
    if isinstance(request, Quantization):
        return request
    if isinstance(request, Mapping):
        wide = {end: request[end] for end in ENDS if end in request}
        return Quantization(layers={k: v for k, v in request.items() if k not in ENDS}, wide=wide)
    return Quantization(request)


def parse_datatypes(texts: Sequence[str]) -> Quantization:
    """Parse ``int8`` and ``PATTERN=fp16`` texts; the patterns ``first``, ``last`` and ``state`` have their meaning.

    Example:
        >>> parse_datatypes(["int8", "first=fp16", "head*=fp32"]).label
        'int8,first=fp16,head*=fp32'
    """
    plain = [text for text in texts if "=" not in text]
    if len(plain) > 1:
        raise CompressionError(f"-d gives two datatypes for the network: {', '.join(plain)}")
    named = {
        pattern: name for pattern, _, name in (text.rpartition("=") for text in texts) if pattern
    }
    state = named.pop("state", None)
    wide = {end: named.pop(end) for end in ENDS if end in named}
    return Quantization(plain[0] if plain else None, named, wide, state)


def weight_type(asked: Precision) -> DataType:
    """Return the element type that a precision stores weights in."""
    return DATATYPES.get(asked.name) or _plain(asked.weight_bits, asked.name)


def activation_type(asked: Precision) -> DataType:
    """Return the element type that a precision stores activations in."""
    return DATATYPES.get(asked.name) or _plain(asked.activation_bits, asked.name)


def _plain(bits: Bits, asked: str) -> DataType:
    if not isinstance(bits, int):
        # Its elements have no type of their own: they come in blocks, under the name of the format.
        return DataType(asked, bits, DatatypeKind.INT)
    kind = "fp" if bits >= 16 else "int"
    name = "binary" if bits == 1 else f"{kind}{bits}"
    return DATATYPES.get(name) or DataType(name, bits, DatatypeKind.INT)


def quantize_workload(
    workload: Workload, request: Quantization | Precision | str | Mapping[str, Precision | str]
) -> Workload:
    """Return the network's bytes at other datatypes; its operations are the same.

    Datatypes of 16 bits and more convert every stored float. Narrower ones convert the weights that multiply;
    biases and normalization keep their own, as every quantizer keeps them. Scales are not added: a scale per tensor
    is a few bytes, and written files state theirs. Activations take the type of the layer that writes them.

    Of a decoder the embedding and the output projection stay at 16 bits, and formats give each part its own width,
    scales included (`roofline.compress.decoder_parts`). Its cache takes the width that the precision has for it.

    Args:
        workload: The network.
        request: The datatypes.

    Raises:
        CompressionError: A pattern matches no layer.
    """
    asked = as_quantization(request)
    chosen = _precisions(workload, asked)
    precisions = _fused_precisions(workload, asked, chosen) | chosen
    base = asked.datatype
    places: Places = (
        places_of(workload) if any(_narrow(entry) for entry in chosen.values()) else {}
    )
    changed = recount(
        workload,
        Change(
            lambda layer: precisions.get(id(layer)),
            _activations(workload, asked, chosen),
            weight_type,
            partial(_part_type, places) if places else None,
        ),
    )
    if base is not None and places:
        changed = replace(changed, notes=(*changed.notes, _average_note(changed, base)))
    elif base is not None and base.mix and not isinstance(base.weight_bits, int):
        changed = replace(changed, notes=(*changed.notes, _plain_note(base)))
    if base is None:
        return replace(changed, variant=variant_name(workload.variant, f"precision={asked.label}"))
    variant = workload.variant
    if asked.layers or asked.wide or asked.state:
        variant = variant_name(variant, f"precision={asked.label}")
    return replace(changed, precision=base, variant=variant)


def _activations(
    workload: Workload, asked: Quantization, chosen: Mapping[int, Precision]
) -> Callable[[Tensor], DataType | None]:
    """Return what gives the datatype of a value that depends on the input; None where it keeps its own."""
    base = asked.datatype
    state = None if asked.state is None else activation_type(asked.state)
    written = _activation_types(workload, chosen, base)
    apart = base is not None and base.cache_bits != base.activation_bits
    caches = workload.cache_names if apart else frozenset[str]()

    def activation(tensor: Tensor) -> DataType | None:
        if state is not None and _matches(tensor.name, asked.state_names):
            return state
        if base is not None and tensor.name in caches:
            return _plain(base.cache_bits, base.name)
        return written.get(tensor.name)

    return activation


def _part_type(places: Places, tensor: Tensor, asked: Precision) -> DataType | None:
    """Return the datatype of a stored tensor of a decoder; None where it keeps its own."""
    if not _narrow(asked):
        floating = tensor.dtype is not None and tensor.dtype.kind is DatatypeKind.FLOAT
        return weight_type(asked) if floating else None
    place = places.get(tensor.name)
    if place is None:
        return None
    bits = stored_bits(place, asked)
    kept = bits == KEPT and (tensor.dtype is None or tensor.dtype.bits <= KEPT)
    return None if kept else _stored_type(asked, bits)


transformations.add("precision", quantize_workload)


def _narrow(asked: Precision) -> bool:
    return asked.weight_bits < KEPT


def _stored_type(asked: Precision, bits: Bits) -> DataType:
    return (
        weight_type(asked)
        if bits == asked.weight_bits
        else _plain(bits, f"{asked.name} at {float(bits):g}")
    )


def _average_note(workload: Workload, asked: Precision) -> str:
    average = 8 * workload.weight_bytes / workload.parameters
    return (
        f"{asked.name} stores {average:.3g} bits a weight of {workload.name} on average: parts at their own widths, "
        "scales included"
    )


def _plain_note(asked: Precision) -> str:
    return (
        f"{asked.name} is a format of decoders, whose parts have widths of their own; here every weight that "
        f"multiplies takes its average, {float(asked.weight_bits):g} bits"
    )


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name.lower(), pattern) for pattern in patterns)


def _precisions(workload: Workload, asked: Quantization) -> dict[int, Precision]:
    """Return the precision of each layer that is given one, by identity."""
    layers = (*workload.layers, *workload.untaken)
    chosen = {id(layer): asked.datatype for layer in layers} if asked.datatype else {}
    multiplying = [layer for layer in workload.layers if layer.cost.macs and layer.weights]
    if multiplying:
        for end, layer in (("first", multiplying[0]), ("last", multiplying[-1])):
            if end in asked.wide:
                chosen[id(layer)] = asked.wide[end]
    for pattern, wanted in asked.layers.items():
        matched = [
            layer for layer in layers if layer.name == pattern or fnmatchcase(layer.name, pattern)
        ]
        if not matched:
            names = [layer.name for layer in layers]
            hint = did_you_mean(pattern, names) or f"Layers: {', '.join(names[:8])}"
            raise CompressionError(f"the pattern {pattern!r} matches no layer", repair=hint)
        chosen |= {id(layer): wanted for layer in matched}
    return chosen


def _fused_precisions(
    workload: Workload, asked: Quantization, chosen: Mapping[int, Precision]
) -> dict[int, Precision]:
    """Return the precision of each fused layer: that of its member with the most arithmetic."""
    by_name = {layer.name: layer for layer in workload.layers}
    found: dict[int, Precision] = {}
    for group in workload.fused_layers:
        members = [by_name[name] for name in group.members if name in by_name]
        main = max(members, key=lambda layer: (layer.cost.macs, layer.cost.ops), default=None)
        if main is not None and id(main) in chosen:
            found[id(group)] = chosen[id(main)]
        elif main is None and asked.datatype:
            found[id(group)] = asked.datatype
    return found


def _activation_types(
    workload: Workload, chosen: Mapping[int, Precision], base: Precision | None
) -> dict[str, DataType]:
    """Return the type of each activation: that of the layer that writes it; of an input, of its first reader."""
    found: dict[str, DataType] = {}
    for layer in workload.layers:
        asked = chosen.get(id(layer))
        if asked is not None:
            for tensor in (*layer.inputs, *layer.outputs):
                found.setdefault(tensor.name, activation_type(asked))
            found |= {tensor.name: activation_type(asked) for tensor in layer.outputs}
    if base is not None:
        for tensor in (*workload.inputs, *workload.outputs):
            found.setdefault(tensor.name, activation_type(base))
    return found
