"""The work of convolutions, matrix products, recurrent layers and attention."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import mean
from types import MappingProxyType
from typing import Final

from roofline.layer import Layer
from roofline.model._layer_shapes import (
    Rule,
    WorkShape,
    bits_of,
    first_shape,
    rows_inside,
    shape_of,
    text_attribute,
    weight_shape,
)
from roofline.model.work import BLOCK, WIDEST, rows_form

_SKIPPING = frozenset({"depthwise", "few", "first", "grouped", "kxk"})
"""Forms whose kernels go through the rows of a filter that lie on the image, and through no others."""
_NARROW = 8
"""Bits of a stored weight that is restored to a float."""


def _convolution(layer: Layer) -> WorkShape | None:
    weight = weight_shape(layer, 3)
    out = first_shape(layer.outputs)
    if weight is None or len(out) < 3:
        # Weights that are computed: the first two inputs are the image and the kernel.
        if len(layer.inputs) < 2 or len(out) < 3:
            return None
        weight = shape_of(layer.inputs[1])
    groups = int(layer.attributes.get("group", 1))
    computed = weight_shape(layer, 3) is None
    transposed = layer.op_type == "ConvTranspose"
    inner, taps = weight[1], math.prod(weight[2:])
    if transposed:
        source = first_shape(layer.inputs)
        positions, items = (math.prod(source[2:]), source[0]) if source else (1, 1)
        at = (weight[0] / groups, weight[1], positions, taps, items)
        return WorkShape(f"conv_transpose.{bits_of(layer)}", at)
    form = _convolution_form(layer, weight, out, groups)
    # Filters that read one channel each are taken side by side: all of their channels are its shape.
    outer = weight[0] if form.startswith("depthwise") else weight[0] / groups
    at = (inner, outer, math.prod(out[2:]), taps, out[0])
    if computed and groups == 1 and len(out) > 3:
        return WorkShape(f"conv.unpacked.{bits_of(layer)}", at)
    if groups == 1 and _is_restored(layer):
        return WorkShape(f"conv.restored.{bits_of(layer)}", at)
    return WorkShape(
        f"conv.{form}.{bits_of(layer)}",
        at,
        _packed_shape(weight, groups, len(out)),
        mean(rows_inside(layer, weight))
        if form in _SKIPPING and layer.datatype == "fp32"
        else 1.0,
    )


def _is_restored(layer: Layer) -> bool:
    """Return whether a convolution in floating point has integers stored for weights: they are restored at each run."""
    return layer.op_type == "Conv" and layer.datatype != "int8" and any(
        tensor.dtype is not None and tensor.dtype.bits == _NARROW and len(shape_of(tensor)) > 2
        for tensor in layer.weights
    )  # fmt: skip


def _convolution_form(
    layer: Layer, weight: tuple[int, ...], out: tuple[int, ...], groups: int
) -> str:
    inner, outer = weight[1], weight[0]
    # A second spatial axis of length one with a kernel of one is a 1-D convolution in other words.
    flat = len(out) == 3
    if groups > 1 and inner == 1 and outer == groups:
        aligned = outer % BLOCK == 0 and not flat
        return "depthwise" if aligned else "depthwise_unaligned"
    if flat:
        # A single position multiplies the filters by a vector.
        form = "one_dimensional_vector" if out[2] == 1 else "one_dimensional"
        return form if groups == 1 else "one_dimensional_grouped"
    if groups > 1:
        # Packed channels are those of whole groups, read and made.
        whole = inner % WIDEST == 0 and (outer // groups) % WIDEST == 0
        return "grouped" if whole else "grouped_unaligned"
    if inner < 8:
        return "first"
    if inner % BLOCK:
        return "unrolled"
    if inner < 16:
        return "few"
    strided = any(int(stride) > 1 for stride in layer.attributes.get("strides", ()))
    if math.prod(weight[2:]) == 1:
        return "1x1_strided" if strided else "1x1"
    return "kxk"


def _packed_shape(weight: tuple[int, ...], groups: int, rank: int) -> tuple[int, ...]:
    inner, outer = weight[1], weight[0]
    if rank != 4 or groups > 1:
        return ()
    # A first layer reads the image as it is: only its filters are packed.
    if inner < 8 or (inner < 16 and not inner % BLOCK):
        return (outer,)
    return () if inner % BLOCK else (inner, outer)


def _product(layer: Layer) -> WorkShape | None:
    out = first_shape(layer.outputs)
    left = first_shape(layer.inputs)
    # A constant that a loop carries from trip to trip is no operand of the layer; it is a weight all the same.
    weight = weight_shape(layer, 2) or (() if len(layer.inputs) == 1 else None)
    if not out or not left:
        return None
    macs = layer.cost.macs / max(layer.repeats, 1)
    total = math.prod(out)
    inner = macs / total if total else 1
    columns = out[-1]
    rows = math.prod(out[:-1]) if weight is not None else (out[-2] if len(out) > 1 else 1)
    copies = total / (rows * columns) if rows * columns else 1
    if layer.op_type == "Gemm" and weight is None and len(layer.inputs) > 1:
        copies = 1
    form = "batched" if weight is None else rows_form(rows)
    bits = "int4_weights" if layer.op_type == "MatMulNBits" else bits_of(layer)
    return WorkShape(f"matmul.{form}.{bits}", (rows, inner, columns, copies))


def _contraction(layer: Layer) -> WorkShape | None:
    """Return the work of two operands in Einstein's notation: a product for each of the labels that all three have.

    Where such a label stands behind two others (``btgi,gih->btgh``), a runtime moves both operand and result.
    """
    terms, _, right = text_attribute(layer, "equation").replace(" ", "").partition("->")
    labels = terms.split(",")
    operands = [shape_of(tensor) for tensor in (*layer.inputs, *layer.weights)]
    if len(labels) != 2 or "." in terms or len(operands) != 2 or not right:
        return None
    ranks = [len(term) for term in labels]
    if ranks != [len(shape) for shape in operands]:
        # A stored operand stands first.
        operands.reverse()
    if ranks != [len(shape) for shape in operands]:
        return None
    size = {label: length for term, shape in zip(labels, operands, strict=True)
            for label, length in zip(term, shape, strict=True)}  # fmt: skip
    first, second, kept = (set(term) for term in (*labels, right))
    rows, inner, columns, copies = (
        float(math.prod(size[label] for label in some))
        for some in (first & kept - second, first & second - kept, second & kept - first, first & second & kept)
    )  # fmt: skip
    shared = [label for label in labels[0] if label in first & second & kept]
    moved = bool(shared) and labels[0].index(shared[0]) > 1
    kind = f"einsum.moved.{bits_of(layer)}" if moved else f"einsum.{bits_of(layer)}"
    return WorkShape(kind, (rows, inner, columns, copies))


def _recurrent(layer: Layer) -> WorkShape | None:
    source = first_shape(layer.inputs)
    if len(source) < 3:
        return None
    steps, batch, width = source[0], source[1], source[2]
    if int(layer.attributes.get("layout", 0)):
        steps, batch = batch, steps
    hidden = int(layer.attributes.get("hidden_size", 0)) or first_shape(layer.outputs)[-1]
    bits = "int8_dynamic" if layer.op_type.startswith("Dynamic") else layer.datatype or "fp32"
    cell = layer.op_type.removeprefix("DynamicQuantize").lower()
    return WorkShape(f"rnn.{cell}.{bits}", (width, hidden, steps, batch))


def _attention(layer: Layer) -> WorkShape | None:
    out = first_shape(layer.outputs)
    if len(out) < 3:
        return None
    heads = int(layer.attributes.get("num_heads", layer.attributes.get("q_num_heads", 1)) or 1)
    return WorkShape(
        f"attention.{layer.datatype or 'fp32'}", (out[-2], out[-2], heads, out[-1] / heads)
    )


RULES: Final[Mapping[str, Rule]] = MappingProxyType(
    {
        name: rule
        for rule, names in (
            (_convolution, "Conv ConvTranspose ConvInteger QLinearConv FusedConv"),
            (
                _product,
                "MatMul Gemm FusedMatMul MatMulInteger MatMulNBits QLinearMatMul QGemm",
            ),
            (_contraction, "Einsum"),
            (_recurrent, "LSTM GRU RNN DynamicQuantizeLSTM"),
            (_attention, "Attention MultiHeadAttention GroupQueryAttention QAttention"),
        )
        for name in names.split()
    }
)
"""Rules by operator."""
