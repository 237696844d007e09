"""The work of operators that stream their operands: elementwise, normalizing, reducing, pooling and moving ones."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from roofline.layer import Layer
from roofline.model._layer_shapes import (
    Rule,
    WorkShape,
    first_shape,
    largest,
    shape_of,
    text_attribute,
)
from roofline.model.work import WIDEST

_IMAGE_AXES = 4
_IN_RUNS = frozenset({"ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum"})
"""Reductions that runtimes have kernels for which go along runs of memory; others gather what they reduce."""
_COMPARISONS = frozenset({"Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"})
"""Comparisons, which pass over their operands alike: one kind."""
_UNARY_NAMES = frozenset(
    {
        "Relu", "Clip", "Sigmoid", "Tanh", "Exp", "Log", "Sqrt", "Erf", "Gelu", "FastGelu", "QuickGelu", "BiasGelu",
        "HardSigmoid", "HardSwish", "LeakyRelu", "Elu", "Selu", "Softplus", "Softsign", "Mish", "Abs", "Neg",
        "Floor", "Ceil", "Round", "Sign", "Reciprocal", "Cast", "Not", "Sin", "Cos", "Swish", "Celu",
        "ThresholdedRelu", "IsNaN", "IsInf", "Atan", "Tan", "Asin", "Acos", "Sinh", "Cosh",
    }
)  # fmt: skip
_BINARY_NAMES = frozenset(
    {
        "Add", "Sub", "Mul", "Div", "Max", "Min", "Where", "Equal", "Greater", "GreaterOrEqual", "Less",
        "LessOrEqual", "And", "Or", "Xor", "Mod", "Sum", "Mean", "PRelu", "Pow",
    }
)  # fmt: skip


def _elementwise(layer: Layer) -> WorkShape | None:
    count = largest(layer)
    name = "Greater" if layer.op_type in _COMPARISONS else layer.op_type
    if layer.op_type in _UNARY_NAMES:
        return WorkShape(f"elementwise.{layer.op_type}", (count,))
    operands = [tensor.elements or 1 for tensor in (*layer.inputs, *layer.weights)]
    large = sum(1 for operand in operands if operand >= count)
    if large >= 2:
        form = "same"
    else:
        rest = max((operand for operand in operands if operand < count), default=1)
        form = "scalar" if rest == 1 else _broadcast(layer, count)
    if form in ("channel", "row"):
        return WorkShape(f"elementwise.{name}.{form}", (count, _run(layer, count)))
    return WorkShape(f"elementwise.{name}.{form}", (count,))


def _run(layer: Layer, count: float) -> float:
    """Return over how many elements in a row one element of the smaller operand is repeated, or how long its row is."""
    smaller = max(
        (
            tensor
            for tensor in (*layer.inputs, *layer.weights)
            if 1 < (tensor.elements or 1) < count
        ),
        key=lambda tensor: tensor.elements or 1,
        default=None,
    )
    sizes, out = shape_of(smaller), first_shape(layer.outputs)
    if not sizes or not out:
        return 1.0
    if len(sizes) == 1 and len(out) > 2 and sizes[0] == out[1] != out[-1]:
        return float(math.prod(out[2:]))
    place = max((axis for axis, size in enumerate(sizes) if size > 1), default=0)
    behind = len(sizes) - 1 - place
    return float(math.prod(out[len(out) - behind :])) if behind else float(sizes[-1])


def _broadcast(layer: Layer, count: float) -> str:
    """Return whether the smaller operand is repeated along the last axis (``channel``) or before it (``row``)."""
    for tensor in (*layer.inputs, *layer.weights):
        sizes = shape_of(tensor)
        if 1 < (tensor.elements or 1) < count:
            out = first_shape(layer.outputs)
            # A stored vector behind a constant reshape: as long as the channels, and not as the last axis.
            if len(sizes) == 1 and len(out) > 2 and sizes[0] == out[1] != out[-1]:
                return "channel"
            return "row" if sizes and sizes[-1] > 1 else "channel"
    return "channel"


def _normalization_work(layer: Layer) -> WorkShape | None:
    out = first_shape(layer.outputs)
    if len(out) < 1:
        return None
    if layer.op_type in ("LayerNormalization", "SimplifiedLayerNormalization", "RMSNormalization",
                         "SkipLayerNormalization", "SkipSimplifiedLayerNormalization"):  # fmt: skip
        width = out[-1]
    elif len(out) > 2:
        width = math.prod(out[2:])
    else:
        width = out[-1]
    return WorkShape(f"normalization.{layer.op_type}", (math.prod(out), width))


def _softmax(layer: Layer) -> WorkShape | None:
    out = first_shape(layer.outputs)
    if not out:
        return None
    axis = int(layer.attributes.get("axis", -1))
    last = axis in (-1, len(out) - 1)
    return WorkShape(
        f"softmax.{'last' if last else 'inner'}",
        (math.prod(out), out[axis] if -len(out) <= axis < len(out) else 1),
    )


def _reduction_work(layer: Layer) -> WorkShape | None:
    source, out = first_shape(layer.inputs), first_shape(layer.outputs)
    if not source:
        return None
    count = math.prod(source)
    inner = _reduces_last(layer, source, out)
    name = "Reduce" if layer.op_type in _IN_RUNS else "Gathered"
    name = "ArgMax" if layer.op_type.startswith("Arg") else name
    return WorkShape(
        f"reduction.{name}.{'inner' if inner else 'outer'}",
        (count, count / max(math.prod(out), 1)),
    )


def _reduces_last(layer: Layer, source: tuple[int, ...], out: tuple[int, ...]) -> bool:
    """Return whether a reduction goes along the innermost axis, which reads in order; others stride."""
    axes = layer.attributes.get("axes", layer.attributes.get("axis"))
    if axes is not None:
        given = (axes,) if isinstance(axes, int) else axes
        return any(int(axis) % len(source) == len(source) - 1 for axis in given)
    return not out or out[-1] != source[-1]


def _pooling_work(layer: Layer) -> WorkShape | None:
    out, source = first_shape(layer.outputs), first_shape(layer.inputs)
    if len(out) < 3 or len(source) < 3:
        return None
    if layer.op_type.startswith("Global"):
        return WorkShape("pool.global", (source[1], source[0] * math.prod(source[2:]), 1))
    taps = math.prod(int(size) for size in layer.attributes.get("kernel_shape", (1,)))
    form = "max" if layer.op_type == "MaxPool" else "average"
    form += "" if len(out) == _IMAGE_AXES and out[1] % WIDEST == 0 else "_unaligned"
    return WorkShape(f"pool.{form}", (out[1], out[0] * math.prod(out[2:]), taps))


def _classify_transposition(layer: Layer, source: tuple[int, ...]) -> str:
    """Return how a transposition moves elements: whole ``rows``, along one ``axis`` that changes its place, or ``all``.

    Axes of length one count as axes: kernels that move one axis are chosen by the order as it is written.
    """
    given = tuple(int(axis) for axis in layer.attributes.get("perm", ()))
    order = given or tuple(reversed(range(len(source))))
    kept = [axis for axis in order if axis >= len(source) or source[axis] != 1]
    if kept and kept[-1] == max(kept):
        return "rows"
    return "axis" if _moves_one(order) else "all"


def _moves_one(order: tuple[int, ...]) -> bool:
    """Return whether all axes but one stay in their order."""
    return any(
        list(rest) == sorted(rest)
        for place in range(len(order))
        for rest in [order[:place] + order[place + 1 :]]
    )


def moving_work(layer: Layer) -> WorkShape:
    """Return the work of an operator that only moves elements."""
    out, source = first_shape(layer.outputs), first_shape(layer.inputs)
    count = float(sum(tensor.elements or 0 for tensor in layer.outputs)) or largest(layer)
    run = out[-1] if out else 1.0
    name = layer.op_type
    if name == "Transpose":
        form = _classify_transposition(layer, source)
        name, run = f"Transpose.{form}", run if form == "rows" else 1.0
    elif name in ("Resize", "Upsample"):
        mode = text_attribute(layer, "mode")
        name = f"Resize.{mode if mode in ('linear', 'cubic') else 'nearest'}"
    elif name in ("Concat", "Split"):
        axis = int(layer.attributes.get("axis", 0))
        shape = out if name == "Concat" else source
        run = math.prod(shape[axis:]) if shape else 1.0
    return WorkShape(f"move.{name}", (count, run))


def _scattering_work(layer: Layer) -> WorkShape | None:
    """Return the work of values that are scattered by index: how many, and to how many places each.

    At least one place: what is copied beside few values takes time, and where several meet in one place the places do
    not.
    """
    if len(layer.inputs) < 2:
        return None
    data, updates = layer.inputs[0], layer.inputs[-1]
    count = float(updates.elements or 1)
    places = max(float(data.elements or 1) / count, 1.0)
    return WorkShape(f"scattering.{layer.op_type}", (count, places))


def _quantization_work(layer: Layer) -> WorkShape | None:
    return WorkShape(f"quantization.{layer.op_type}", (largest(layer),))


RULES: Final[Mapping[str, Rule]] = MappingProxyType(
    {
        name: rule
        for rule, names in (
            (_elementwise, " ".join(sorted(_UNARY_NAMES | _BINARY_NAMES))),
            (
                _normalization_work,
                "BatchNormalization InstanceNormalization LayerNormalization GroupNormalization RMSNormalization"
                " SkipLayerNormalization SimplifiedLayerNormalization SkipSimplifiedLayerNormalization LRN"
                " LpNormalization MeanVarianceNormalization",
            ),
            (_softmax, "Softmax LogSoftmax"),
            (
                _reduction_work,
                "ReduceMean ReduceSum ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceSumSquare"
                " ReduceLogSumExp ArgMax ArgMin",
            ),
            (_pooling_work, "MaxPool AveragePool GlobalAveragePool GlobalMaxPool LpPool"),
            (_quantization_work, "QuantizeLinear DequantizeLinear DynamicQuantizeLinear"),
            (moving_work, "Resize Upsample"),
            (_scattering_work, "ScatterElements ScatterND"),
        )
        for name in names.split()
    }
)
"""Rules by operator."""
