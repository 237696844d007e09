"""What the rules that name a layer's work read of it: sizes, datatypes, attributes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from roofline.layer import Layer
from roofline.node import Tensor


@dataclass(frozen=True, slots=True)
class WorkShape:
    """A kind of work and where a layer lies among the shapes of that kind."""

    kind: str
    at: tuple[float, ...]
    """Its shape along the axes of its kind."""
    channels: tuple[int, ...] = ()
    """Numbers of channels that kernels on packed channels fill up to whole vectors."""
    inside: float = 1.0
    """Share of the rows of filters that lie on the image: kernels on packed channels skip the others."""


Rule = Callable[[Layer], WorkShape | None]
"""Names the work of a layer; None where the layer's shapes are not those of the rule."""


def shape_of(tensor: Tensor | None) -> tuple[int, ...]:
    """Return the sizes of a tensor, unknown ones as 1; none where it has no shape."""
    if tensor is None or tensor.shape is None:
        return ()
    return tuple(1 if size is None else size for size in tensor.shape)


def first_shape(tensors: tuple[Tensor, ...]) -> tuple[int, ...]:
    """Return the sizes of the first of some tensors."""
    return shape_of(tensors[0]) if tensors else ()


def largest(layer: Layer) -> float:
    """Return the elements of the largest operand or result of one run."""
    counts = [tensor.elements or 0 for tensor in (*layer.inputs, *layer.outputs)]
    return float(max(counts, default=0))


def weight_shape(layer: Layer, rank: int) -> tuple[int, ...] | None:
    """Return the shape of the first stored operand of at least that rank."""
    for tensor in layer.weights:
        if len(shape_of(tensor)) >= rank:
            return shape_of(tensor)
    return None


def rows_inside(layer: Layer, filters: tuple[int, ...]) -> tuple[float, ...]:
    """Return, for each row of the filters of a convolution, the share of the rows of its result at which it is inside.

    Args:
        layer: A convolution of images.
        filters: Their shape: results, operands, rows, columns. All is inside where the shapes are not those of images.
    """
    source, out = first_shape(layer.inputs), first_shape(layer.outputs)
    if not len(source) == len(out) == len(filters) > 3:
        return (1.0,)
    size, results, taps = source[2], out[2], filters[2]
    stride = int((layer.attributes.get("strides") or (1,))[0])
    apart = int((layer.attributes.get("dilations") or (1,))[0])
    pads = layer.attributes.get("pads")
    reach = (results - 1) * stride + (taps - 1) * apart + 1
    before = int(pads[0]) if pads else max(reach - size, 0) // 2

    def inside(first: int) -> int:
        """Return how many rows of the result meet the image, if that is where a row of the filter lies at the first."""
        least = max(-(first // stride), 0)
        most = min((size - 1 - first) // stride, results - 1)
        return max(most - least + 1, 0)

    return tuple(inside(tap * apart - before) / results for tap in range(taps))


_INTEGER = ("MatMulInteger", "ConvInteger", "QLinearConv", "QLinearMatMul", "QGemm")


def bits_of(layer: Layer) -> str:
    """Return the datatype that decides a product's kernel: static or dynamic int8, or the operands' own."""
    if layer.op_type in ("MatMulInteger", "ConvInteger") or layer.op_type.startswith("Dynamic"):
        return "int8_dynamic"
    if layer.op_type in _INTEGER:
        return "int8_static"
    # A network that is asked for at int8 runs as one that was quantized before.
    return "int8_static" if layer.datatype == "int8" else layer.datatype or "fp32"


def text_attribute(layer: Layer, name: str) -> str:
    """Return an attribute as text, which ONNX keeps as bytes."""
    value = layer.attributes.get(name, b"")
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
