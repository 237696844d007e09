"""Which operators of a quantized network run on integers: those that stand between dequantizations and quantizations.

Exporters write a quantized product as one in floating point whose operands are dequantized before and whose result is
quantized behind it (QDQ). Runtimes may run all of it as one kernel on integers; whether one does, a microbenchmark of a
convolution says. Where something else stands between, an activation that no quantization replaces, such a runtime runs
all of it in floating point, and dequantizes stored weights at each run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from roofline.layer import Layer
from roofline.model.work import Work
from roofline.node import Tensor
from roofline.workload import Workload

_BEFORE, _BEHIND = "DequantizeLinear", "QuantizeLinear"
_IMAGE = 4
"""Axes of an image."""
_NARROW = 8
"""Bits of a stored weight that is restored to 32."""
_PRODUCTS = frozenset({"Conv", "Gemm", "MatMul"})
_LIMITS = frozenset({"Clip", "Relu"})


@dataclass(frozen=True, slots=True)
class Integers:
    """The operators that run on integers, and what stands around them alone."""

    operators: frozenset[str] = frozenset()
    around: frozenset[str] = frozenset()
    """Quantizations and dequantizations that cost nothing beside them."""


def on_integers(workload: Workload) -> Integers:
    """Return which layers of a network run on integers where a runtime runs such groups as one."""
    made = {tensor.name: layer for layer in workload.layers for tensor in layer.outputs}
    readers: Mapping[str, list[Layer]] = defaultdict(list)
    for layer in workload.layers:
        for name in {tensor.name for tensor in layer.inputs}:
            readers[name].append(layer)
    operators, around = set[str](), set[str]()
    for layer in workload.layers:
        if layer.op_type not in _PRODUCTS:
            continue
        sources = [made.get(tensor.name) for tensor in layer.inputs]
        if not sources or any(
            source is None or source.op_type != _BEFORE or _is_shared(source, readers)
            for source in sources
        ):
            continue
        behind = readers.get(layer.outputs[0].name, []) if layer.outputs else []
        if [entry.op_type for entry in behind] == [_BEHIND]:
            operators.add(layer.name)
            around.add(behind[0].name)
    around |= {
        layer.name
        for layer in workload.layers
        if layer.op_type == _BEFORE
        and layer.outputs
        and (reads := readers.get(layer.outputs[0].name))
        and all(reader.name in operators for reader in reads)
    }
    return Integers(frozenset(operators), frozenset(around))


def integer_layer(layer: Layer) -> Layer:
    """Return a product of `on_integers` as it is executed: its operand and its result take a byte each value."""
    read, written = (
        sum(tensor.elements or 0 for tensor in tensors) * layer.repeats
        for tensors in (layer.inputs, layer.outputs)
    )
    return replace(layer, datatype="int8", input_bytes=read, output_bytes=written)


def clips_before_quantizations(workload: Workload) -> frozenset[str]:
    """Return the layers that only limit a value which is quantized at once: its range was measured behind them."""
    readers: Mapping[str, list[str]] = defaultdict(list)
    for layer in workload.layers:
        for name in {tensor.name for tensor in layer.inputs}:
            readers[name].append(layer.op_type)
    return frozenset(
        layer.name
        for layer in workload.layers
        if layer.op_type in _LIMITS
        and layer.outputs
        and readers[layer.outputs[0].name] == [_BEHIND]
    )


def rearranged_images(
    workload: Workload, operators: frozenset[str], transparent: Callable[[Layer], bool]
) -> tuple[tuple[Tensor, int], ...]:
    """Return the images whose channels are moved for convolutions on integers, or back from them, and how often.

    Args:
        workload: The network.
        operators: Names of the layers that run on integers.
        transparent: Whether a layer leaves channels where its operands have them, wherever that is.
    """
    moved: set[str] = set()
    both: set[str] = set()
    found: list[tuple[Tensor, int]] = []

    def move(tensor: Tensor, layer: Layer) -> None:
        if tensor.name not in both:
            both.add(tensor.name)
            found.append((tensor, layer.repeats))

    for layer in workload.layers:
        images = [tensor for tensor in layer.inputs if len(tensor.shape or ()) == _IMAGE]
        wanted = "Conv" in layer.op_type and (
            layer.name in operators or layer.op_type == "QLinearConv"
        )
        if not wanted and images and transparent(layer):
            wanted = all(tensor.name in moved for tensor in images)
        for tensor in images:
            if (tensor.name in moved) != wanted:
                move(tensor, layer)
        if wanted:
            moved |= {tensor.name for tensor in layer.outputs}
    return tuple(found)


def _is_shared(source: Layer, readers: Mapping[str, list[Layer]]) -> bool:
    """Return whether a signed value is dequantized for several: kernels that take unsigned ones leave it alone."""
    stored = source.inputs[0].dtype if source.inputs else None
    signed = stored is None or not stored.name.startswith("u")
    return signed and len(readers[source.outputs[0].name]) > 1


def restoring_work(layer: Layer) -> Work | None:
    """Return the work of dequantizing the stored weights of a product in floating point; None if it has none."""
    if layer.op_type not in _PRODUCTS:
        return None
    counts = [
        tensor.elements or 0
        for tensor in layer.weights
        if tensor.dtype is not None and tensor.dtype.bits == _NARROW
    ]
    elements = max(counts, default=0)
    if not elements:
        return None
    moved = 5 * elements * layer.repeats
    return Work(
        "quantization.DequantizeLinear", (float(elements),), 0.0, "fp32", moved, 0, layer.repeats
    )
