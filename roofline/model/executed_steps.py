"""What a run of a network executes, by a machine's profile: which layers, as which kinds, and where values are packed.

What a runtime does on the way out of a convolution or a product costs nothing beside it, as measured; what it does not
take along is a step of its own. Between kernels on packed channels and all others, values are rearranged.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from roofline.graph.reading.subnormals import Shares
from roofline.layer import Layer
from roofline.model._activation_patterns import is_product
from roofline.model._group_parts import (
    NORMALIZED_SUM,
    QUANTIZED_SOFTMAX,
    has_fixed_inputs,
    normalized_sums,
    parts_of,
    quantized_softmaxes,
)
from roofline.model.index_fusion import BY_INDEX, merged_layers
from roofline.model.kinds import works
from roofline.model.machine_profile import Profile
from roofline.model.packed_layout import PACKINGS
from roofline.model.plain_weights import converting_work, with_plain_weights
from roofline.model.quantized_steps import (
    Integers,
    clips_before_quantizations,
    integer_layer,
    on_integers,
    rearranged_images,
    restoring_work,
)
from roofline.model.subnormal_steps import SUBNORMAL, subnormal_weights, subnormal_work
from roofline.model.work import WIDEST, Work
from roofline.node import Tensor
from roofline.ops import Kind
from roofline.workload import Workload

_SMALL = 4096
"""Elements up to which an operand beside an image is no image itself."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a run executes for a layer, or to rearrange a value."""

    layer: str
    work: Work | None
    """At the network's own batch; None for a view, which costs no more than that there is a layer."""
    repeats: int = 1
    weighed: bool = True
    """Whether the weights of the whole network compete with it for the caches."""
    since: int | None = None
    """Bytes gone through since its weights were last read in the same run, themselves included: those of an unrolled
    recurrent layer come from where the step before left them. None where they are read for the first time."""


def steps_of(workload: Workload, profile: Profile) -> tuple[Step, ...] | None:
    """Return what one run executes; None for a network whose layers have no shapes, or are not all counted."""
    if any(layer.unknown for layer in workload.layers) or not any(
        layer.outputs for layer in workload.layers
    ):
        return None
    plain = with_plain_weights(workload)
    workload = plain.workload
    integers = on_integers(workload) if "quantized" in profile.patterns else Integers()
    absorbed, parts = _all_absorbed(workload, profile, integers)
    layout = _layout(workload, profile, absorbed, parts, integers.operators)
    found: list[Step] = []
    since = _since_last_read(workload)
    of_trip = _weights_of_trips(workload)
    fixed = has_fixed_inputs(workload)
    known = SUBNORMAL in profile.samples
    subnormal: Mapping[str, Shares] = subnormal_weights(workload) if known else {}
    makers = {tensor.name: layer for layer in workload.layers for tensor in layer.outputs}
    for layer in workload.layers:
        if fixed and layer.outputs and all(tensor.value is not None for tensor in layer.outputs):
            # A shape, or what is computed of one: nothing of it depends on the values of a run.
            continue
        work = works(integer_layer(layer) if layer.name in integers.operators else layer)
        if layer.name in absorbed:
            kind = absorbed[layer.name]
            if kind is None:
                continue
            if work is not None:
                elements = max(
                    (tensor.elements or 1) for tensor in (*layer.inputs, *layer.outputs)
                )
                work = replace(work, kind=kind, at=(float(elements),))
        elif work is not None and layer.name in layout.inside:
            own = f"packed.{form(work.kind)}"
            if own in profile.samples:
                work = replace(work, kind=own, at=work.at[:1])
        weights = restoring_work(layer) if "quantized" in profile.patterns else None
        # Probes of convolutions with stored weights that are restored hold their dequantization.
        apart = work is None or not work.kind.startswith("conv.restored")
        if weights is not None and apart and layer.name not in integers.operators:
            found.append(Step(layer.name, weights, weighed=False))
        found += [
            Step(layer.name, converting_work(tensor), weighed=False)
            for tensor in plain.converted.get(layer.name, ())
        ]
        slowed = subnormal_work(layer, subnormal, makers) if subnormal else None
        if slowed is not None:
            found.append(Step(layer.name, slowed, weighed=False))
        if work is not None:
            if work.held_bytes and layer.repeats > 1 and not work.kind.startswith("rnn"):
                work = replace(work, held_bytes=of_trip[_loop_of(layer)])
            found.append(Step(layer.name, work, since=since.get(layer.name)))
        elif layer.kind is Kind.VIEW and layer.inputs:
            found.append(Step(layer.name, None, layer.repeats))
    found += _conversions(workload, profile, layout.conversions, absorbed, integers)
    return tuple(found)


def _all_absorbed(
    workload: Workload, profile: Profile, integers: Integers
) -> tuple[Mapping[str, str | None], Mapping[str, str]]:
    """Return what `_absorbed_layers` does, with the layers around integers and those that run as one with another."""
    if profile.fusion == BY_INDEX:
        return merged_layers(workload, profile), {}
    absorbed, parts = _absorbed_layers(workload, profile)
    absorbed = {**absorbed, **dict.fromkeys(integers.around)}
    if NORMALIZED_SUM in profile.samples:
        absorbed = {**absorbed, **normalized_sums(workload, absorbed)}
    if QUANTIZED_SOFTMAX in profile.samples:
        absorbed = {**absorbed, **quantized_softmaxes(workload)}
    if "clip_quantized" in profile.patterns:
        absorbed = {**absorbed, **dict.fromkeys(clips_before_quantizations(workload))}
    return absorbed, parts


def _conversions(
    workload: Workload,
    profile: Profile,
    moved: Sequence[tuple[Tensor, int]],
    absorbed: Mapping[str, str | None],
    integers: Integers,
) -> list[Step]:
    """Return the steps that move channels to where kernels take them, of images in floats and in integers."""
    found = [_conversion("layout.convert", 4, tensor, repeats) for tensor, repeats in moved]
    if "layout.convert_integers" not in profile.samples:
        return found

    def transparent(layer: Layer) -> bool:
        work = works(layer)
        return (
            layer.name in absorbed
            or layer.op_type in ("QuantizeLinear", "DequantizeLinear")
            or (work is not None and work.kind.startswith("elementwise"))
        )

    return found + [
        _conversion("layout.convert_integers", 1, tensor, repeats)
        for tensor, repeats in rearranged_images(workload, integers.operators, transparent)
    ]


def _conversion(kind: str, width: int, tensor: Tensor, repeats: int) -> Step:
    """Return the step that moves the channels of an image of so many bytes a value to where kernels take them."""
    items, channels, *plane = (size or 1 for size in tensor.shape or (1, 1))
    positions = max(items * math.prod(plane), 1)
    moved = 2 * width * channels * positions * repeats
    at = (float(max(channels, 1)), float(positions))
    return Step(tensor.name, Work(kind, at, 0.0, "fp32", moved, 0, repeats), weighed=False)


def _since_last_read(workload: Workload) -> Mapping[str, int]:
    """Return, by layer, the bytes gone through since its largest weight was last read; only where it was."""
    gone = 0
    read: dict[str, int] = {}
    found: dict[str, int] = {}
    for layer in workload.layers:
        largest = max(layer.weights, key=lambda tensor: tensor.elements or 0, default=None)
        if largest is not None:
            before = read.get(largest.name)
            if before is not None:
                found[layer.name] = gone - before + layer.weight_bytes
            read[largest.name] = gone + layer.weight_bytes
        gone += layer.weight_bytes + layer.input_bytes + layer.output_bytes
    return found


def _weights_of_trips(workload: Workload) -> Mapping[tuple[str, int], int]:
    """Return, by loop, the bytes of weights that products of one trip go through before it reads the first again."""
    found: dict[tuple[str, int], int] = defaultdict(int)
    for layer in workload.layers:
        work = works(layer) if layer.repeats > 1 else None
        if work is not None:
            found[_loop_of(layer)] += work.weight_bytes
    return found


def _loop_of(layer: Layer) -> tuple[str, int]:
    """Return what tells the loop in which a layer runs: the name in front of its own, and the trips."""
    return layer.name.rpartition("/")[0], layer.repeats


def form(kind: str) -> str:
    """Return an operator's name and form as the profile's tables have it: ``Mul.channel``."""
    parts = kind.split(".")
    return ".".join(parts[1:]) if parts[0] == "elementwise" else parts[-1]


def _absorbed_layers(
    workload: Workload, profile: Profile
) -> tuple[Mapping[str, str | None], Mapping[str, str]]:
    """Return, by name, the layers that cost nothing beside another (None) or are a pattern's (its kind).

    The second mapping names the pattern of each of its layers where it runs on its own.
    """
    by_name = {layer.name: layer for layer in workload.layers}
    found: dict[str, str | None] = _quantizations_beside(workload)
    patterns: dict[str, str] = {}
    for group in workload.fused_layers:
        members = [by_name[name] for name in group.members if name in by_name]
        if len(members) < 2:
            continue
        anchor = by_name.get(group.name, members[0])
        rest = [member for member in members if member is not anchor]
        if anchor.op_type in ("MatMulInteger", "ConvInteger"):
            if anchor.op_type == "MatMulInteger":
                found.update((member.name, None) for member in rest if _rescales(member))
            continue
        is_conv = "Conv" in anchor.op_type
        pattern = parts_of(members, anchor, profile.patterns)
        if pattern is not None:
            name, parts = pattern
            found.update((member.name, None) for member in parts)
            if not (is_conv and name in profile.absorbed):
                found[parts[-1].name] = f"pattern.{name}"
                patterns.update((member.name, f"pattern.{name}") for member in parts)
            rest = [member for member in rest if member not in parts]
        if not is_product(anchor):
            continue
        free = profile.absorbed if is_conv else _behind_product(anchor, profile)
        _take(rest, free, found, {tensor.name for tensor in anchor.outputs})
    return found, patterns


def _behind_product(anchor: Layer, profile: Profile) -> frozenset[str]:
    """Return what a matrix product does on its way out; runtimes may do so for one that is written as a ``Gemm``."""
    if anchor.op_type != "Gemm":
        return profile.after_product
    return profile.after_product | {
        entry.removeprefix("Gemm.") for entry in profile.after_product if entry.startswith("Gemm.")
    }


def _quantizations_beside(workload: Workload) -> dict[str, str | None]:
    """Return the quantizations of a value for one integer product alone: microbenchmarks time them with the product."""
    readers: dict[str, list[Layer]] = defaultdict(list)
    for layer in workload.layers:
        for name in {tensor.name for tensor in layer.inputs}:
            readers[name].append(layer)
    found: dict[str, str | None] = {}
    for layer in workload.layers:
        if layer.op_type == "DynamicQuantizeLinear" and layer.outputs:
            reads = readers[layer.outputs[0].name]
            if [reader.op_type for reader in reads] in (["MatMulInteger"], ["ConvInteger"]):
                found[layer.name] = None
    return found


def _rescales(member: Layer) -> bool:
    """Return whether an operator beside an integer product scales its result back, or adds a stored bias."""
    if member.op_type == "Add":
        return bool(member.weights) and len(member.inputs) == 1
    return member.op_type in ("Cast", "Mul")


def _take(
    rest: Sequence[Layer],
    free: frozenset[str],
    found: dict[str, str | None],
    made: set[str],
) -> None:
    """Let an anchor absorb, one after the other, what reads its result, until something is not absorbed."""
    activated = False
    for member in rest:
        if member.name in found:
            break
        if member.op_type == "BatchNormalization":
            found[member.name] = None
            made |= {tensor.name for tensor in member.outputs}
            continue
        if member.kind is Kind.VIEW or not any(tensor.name in made for tensor in member.inputs):
            continue
        work = works(member)
        name = "" if work is None else form(work.kind)
        residual = name in ("Add.same", "Sum.same") and "residual" in free
        scale = name.startswith(("Add", "Mul", "Sub", "Div")) and not activated and name in free
        if not (residual or scale or (name in free and not activated)):
            break
        activated = activated or not (residual or scale)
        found[member.name] = None
        made |= {tensor.name for tensor in member.outputs}


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where channels lie packed."""

    conversions: tuple[tuple[Tensor, int], ...]
    """Images that are packed or unpacked, and how often."""
    inside: frozenset[str]
    """Layers that read packed channels and leave them so."""


def _layout(
    workload: Workload, profile: Profile, absorbed: Mapping[str, str | None], parts: Mapping[str, str],
    integers: frozenset[str],
) -> _Layout:  # fmt: skip
    """Return where values are packed and unpacked: wherever kernels on packed channels meet others."""
    if "layout.convert" not in profile.samples and profile.fusion != BY_INDEX:
        return _Layout((), frozenset())
    packing = PACKINGS[profile.fusion]
    packed: dict[str, bool] = {}
    conversions: list[tuple[Tensor, int]] = []
    inside: set[str] = set()

    def convert(tensor: Tensor, layer: Layer, *, to: bool) -> None:
        if packed.get(tensor.name, False) != to:
            conversions.append((tensor, layer.repeats))
            packed[tensor.name] = to

    for layer in workload.layers:
        images = [
            tensor
            for tensor in layer.inputs
            if tensor.shape is not None and len(tensor.shape) == 4
        ]
        work = works(layer)
        kind = parts.get(layer.name) or (work.kind if work is not None else "view")
        free = absorbed.get(layer.name, kind) is None and layer.name not in parts
        ready = any(packed.get(tensor.name, False) for tensor in images)
        if kind.startswith(packing.forms) and "int8" not in kind and layer.name not in integers:
            if images and not kind.startswith(packing.reads_plain):
                convert(images[0], layer, to=True)
            outcome = True
        elif ready and (free or _stays(layer, kind, profile)):
            # A small operand is no image that would be rearranged.
            outcome = free or all(
                packed.get(tensor.name, False) or (tensor.elements or 0) <= _SMALL
                for tensor in images
            )
        else:
            outcome = False
        if outcome:
            inside.add(layer.name)
        else:
            for tensor in images:
                convert(tensor, layer, to=False)
        for tensor in layer.outputs:
            packed[tensor.name] = outcome
    return _Layout(tuple(conversions), frozenset(inside))


def _stays(layer: Layer, kind: str, profile: Profile) -> bool:
    packing = PACKINGS[profile.fusion]
    if layer.op_type in ("Identity", "Dropout"):
        return True
    if layer.op_type in packing.whole_vectors and not _fills_vectors(layer, profile.lanes):
        return False
    if layer.op_type == "Concat":
        known = profile.packed | packing.staying
        return "Concat" in known and int(layer.attributes.get("axis", 1)) in (1, -3)
    return (
        layer.op_type in packing.staying
        or layer.op_type in profile.packed
        or form(kind) in profile.packed
    )


def _fills_vectors(layer: Layer, lanes: int) -> bool:
    """Return whether channels of all images that a layer reads fill whole vectors: the widest where none was found."""
    width = lanes if lanes > 1 else WIDEST
    return all(
        tensor.shape is not None and len(tensor.shape) == 4 and (tensor.shape[1] or 1) % width == 0
        for tensor in layer.inputs
    )
