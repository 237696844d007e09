"""Groups of operators that a runtime may run as one, exactly: which operators are part, and how they are written.

`_activation_patterns` tells that a group holds an activation; this module tells which of its operators are part of it.
A runtime that runs one form as one may leave another apart, which computes the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from roofline.layer import Layer
from roofline.model._activation_patterns import NEEDED, TAKEN, is_product
from roofline.workload import Workload

NORMALIZED_SUM = "group.normalized_sum"
"""Kind of a sum of two values that is normalized at once, and that nothing else reads."""
QUANTIZED_SOFTMAX = "group.quantized_softmax"
"""Kind of a softmax of a dequantized value that is quantized at once."""
_GATES: Mapping[str, str] = {"silu": "Sigmoid", "hard_swish": "HardSigmoid"}
_STREAM = 3
"""Axes of the values whose sums are normalized at once: items, tokens, width."""


def parts_of(
    members: Sequence[Layer], anchor: Layer, among: Collection[str]
) -> tuple[str, tuple[Layer, ...]] | None:
    """Return the pattern in a fused group and the layers that are part of it, in order; None where there is none.

    Args:
        members: The layers of the group, in order.
        anchor: The one that does its main work; a convolution or a product is part of no pattern.
        among: The patterns that are looked for.
    """
    own = [each for each in members if each is not anchor or not is_product(anchor)]
    names = {each.op_type for each in own}
    for name, gate in _GATES.items():
        gated = _gate_and_product(own, gate)
        if name in among and gated:
            return name, gated
    if names >= NEEDED["gelu"]:
        halved, parts = _error_function(own)
        name = "gelu_halved" if halved else "gelu"
        return (name, parts) if parts and name in among else None
    if "layer_norm" in among and names >= NEEDED["layer_norm"]:
        return "layer_norm", tuple(each for each in own if each.op_type in TAKEN["layer_norm"])
    return None


def _reads(reader: Layer, made: Layer) -> bool:
    given = {tensor.name for tensor in made.outputs}
    return any(tensor.name in given for tensor in reader.inputs)


def _gate_and_product(own: Sequence[Layer], gate: str) -> tuple[Layer, ...]:
    """Return a gate and the product of it with what it reads."""
    for first in own:
        if first.op_type != gate:
            continue
        source = {tensor.name for tensor in first.inputs}
        for product in own:
            reads = {tensor.name for tensor in product.inputs}
            if product.op_type == "Mul" and _reads(product, first) and reads & source:
                return first, product
    return ()


def _error_function(own: Sequence[Layer]) -> tuple[bool, tuple[Layer, ...]]:
    """Return whether a GELU's half is taken of the sum before the value is multiplied by it, and its layers."""
    erf = next(each for each in own if each.op_type == "Erf")
    scaling = [each for each in own if each.op_type in ("Div", "Mul") and _reads(erf, each)]
    added = next((each for each in own if each.op_type == "Add" and _reads(each, erf)), None)
    if added is None:
        return False, ()
    first = next((each for each in own if each.op_type == "Mul" and _reads(each, added)), None)
    if first is None:
        return False, ()
    half = len(first.inputs) == 1
    beside = [
        each
        for each in own
        if each.op_type == "Mul"
        and each is not first
        and (_reads(each, first) or _reads(first, each))
    ]
    chosen = {id(each) for each in (*scaling, erf, added, first, *beside[:1])}
    return half, tuple(each for each in own if id(each) in chosen)


def _readers(workload: Workload) -> Mapping[str, list[Layer]]:
    found: dict[str, list[Layer]] = defaultdict(list)
    for layer in workload.layers:
        for name in {tensor.name for tensor in layer.inputs}:
            found[name].append(layer)
    return found


def knows_shapes(workload: Workload) -> bool:
    """Return whether shapes of values in between are known before a run.

    They are where the file states them, or where all sizes of its inputs are fixed. Fusions that ask whether two
    values are of one shape find nothing elsewhere.
    """
    stated = workload.origin is not None and bool(workload.origin.model.graph.value_info)
    return stated or has_fixed_inputs(workload)


def has_fixed_inputs(workload: Workload) -> bool:
    """Return whether all sizes of a network's inputs are fixed in its file: shapes are then computed before a run."""
    if workload.origin is None:
        return True
    graph = workload.origin.model.graph
    stored = {entry.name for entry in graph.initializer}
    return all(
        size.HasField("dim_value")
        for entry in graph.input
        if entry.name not in stored
        for size in entry.type.tensor_type.shape.dim
    )


def normalized_sums(
    workload: Workload, absorbed: Mapping[str, str | None]
) -> dict[str, str | None]:
    """Return the layers of sums that are normalized at once: the kind of the last, and None for what it takes along.

    Args:
        workload: The network.
        absorbed: Layers that are part of others already: a normalization that is written in several operators is the
            last of them.
    """
    if not knows_shapes(workload):
        return {}
    readers = _readers(workload)
    made = {tensor.name: layer for layer in workload.layers for tensor in layer.outputs}
    found: dict[str, str | None] = {}
    for layer in workload.layers:
        if layer.op_type != "Add" or len(layer.inputs) != 2 or layer.name in absorbed:
            continue
        shapes = {tensor.shape for tensor in (*layer.inputs, *layer.outputs)}
        if len(shapes) != 1 or len(layer.outputs[0].shape or ()) != _STREAM:
            continue
        last = _normalization_of(readers.get(layer.outputs[0].name, []), absorbed, readers)
        if last is None:
            continue
        found |= {layer.name: None, last.name: NORMALIZED_SUM}
        for tensor in layer.inputs:
            bias = made.get(tensor.name)
            alone = len(readers[tensor.name]) == 1
            if bias is not None and bias.op_type == "Add" and bias.weights and alone:
                found[bias.name] = None
                break
    return found


def _normalization_of(
    reads: Sequence[Layer],
    absorbed: Mapping[str, str | None],
    readers: Mapping[str, Sequence[Layer]],
) -> Layer | None:
    """Return the layer that ends the normalization which alone reads a value."""
    if [layer.op_type for layer in reads] == ["LayerNormalization"]:
        return reads[0]
    if {layer.op_type for layer in reads} != {"ReduceMean", "Sub"}:
        return None
    at, seen = next(layer for layer in reads if layer.op_type == "Sub"), 0
    while absorbed.get(at.name, "") is None and seen < len(TAKEN["layer_norm"]):
        behind = [
            layer
            for layer in readers.get(at.outputs[0].name, ())
            if layer.op_type in TAKEN["layer_norm"] and layer.name in absorbed
        ]
        if not behind:
            return None
        at, seen = behind[-1], seen + 1
    return at if absorbed.get(at.name) == "pattern.layer_norm" else None


def quantized_softmaxes(workload: Workload) -> dict[str, str | None]:
    """Return the layers of softmax functions between a dequantization and a quantization: kinds, None for the two."""
    readers = _readers(workload)
    made = {tensor.name: layer for layer in workload.layers for tensor in layer.outputs}
    found: dict[str, str | None] = {}
    for layer in workload.layers:
        if layer.op_type != "Softmax" or len(layer.inputs) != 1:
            continue
        before = made.get(layer.inputs[0].name)
        behind = readers.get(layer.outputs[0].name, [])
        kinds = [None if before is None else before.op_type, *(each.op_type for each in behind)]
        if kinds != ["DequantizeLinear", "QuantizeLinear"] or before is None:
            continue
        if len(readers[layer.inputs[0].name]) == 1:
            found[before.name] = None
        found |= {layer.name: QUANTIZED_SOFTMAX, behind[0].name: None}
    return found
