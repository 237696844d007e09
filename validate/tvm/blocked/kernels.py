"""Convolution, matrix product and pooling on channels packed in blocks of one vector register, as tensor expressions.

An image of shape [N, C, H, W] is kept as [N, ⌈C / lanes⌉, H, W, lanes] from one layer to the next, so that every
load and store fills a vector and nothing is rearranged between layers (Liu et al. 2019, Section 3.1).
Channels that fill up the last block have zero weights.
"""

# The lambdas of tensor expressions take index variables, which have no type at all.
# pyright: reportUnknownLambdaType=false

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from roofline.node import Array
from roofline.validate.tvm.convolution import Convolution

CONVOLUTION, DEPTHWISE, GEMM = "blocked_conv2d", "blocked_depthwise", "blocked_matmul"
INTEGER_CONVOLUTION, INTEGER_GEMM = "blocked_conv2d_int8", "blocked_matmul_int8"
"""Names of the blocks that the schedules look for; the integer ones take unsigned inputs and signed weights."""

STEP = 4
"""Products of 8-bit integers that one lane adds up in one instruction."""

FORM = "roofline.form"
"""Annotation on these blocks: what their loop extents do not tell, such as strides."""


def blocks(channels: int, lanes: int) -> int:
    """Return how many blocks hold that many channels."""
    return -(-channels // lanes)


def depth_block(channels: int, lanes: int, step: int = 1) -> int:
    """Return the channels of one input block: an image of few channels is not filled up to a vector.

    Args:
        channels: Channels of the image.
        lanes: Channels of a full block.
        step: What the block must be a multiple of.
    """
    return min(-(-channels // step) * step, lanes)


def pack(channels: int, lanes: int, step: int = 1) -> Any:
    """Return the function that packs [N, C, H, W] in blocks, zeros beyond the last channel."""
    te: Any = importlib.import_module("tvm.te")
    tirx: Any = importlib.import_module("tvm.tirx")
    inner = depth_block(channels, lanes, step)

    def fill(image: Any) -> Any:
        batch, _, height, width = image.shape

        def element(n: Any, c: Any, y: Any, x: Any, i: Any) -> Any:
            value = image[n, c * inner + i, y, x]
            if channels % inner == 0:
                return value
            zero = tirx.const(0, str(image.dtype))
            return tirx.if_then_else(c * inner + i < channels, value, zero)

        shape = (batch, blocks(channels, inner), height, width, inner)
        return te.compute(shape, element, name="packed")

    return fill


def unpack(channels: int) -> Any:
    """Return the function that turns blocks into [N, C, H, W] again."""
    te: Any = importlib.import_module("tvm.te")

    def take(image: Any) -> Any:
        batch, _, height, width, lanes = image.shape
        return te.compute(
            (batch, channels, height, width),
            lambda n, c, y, x: image[n, c // lanes, y, x, c % lanes],
            name="unpacked",
        )

    return take


def packed_weights(weights: Array, groups: int, lanes: int) -> Array:
    """Return the weights of a convolution as its kernel reads them.

    Args:
        weights: Shape [filters, channels / groups, kernel height, kernel width].
        groups: As many as channels for a depthwise convolution.
        lanes: Filters in a block.

    Returns:
        [filter blocks, channel blocks, height, width, channels in a block, lanes]; for a depthwise convolution
        [channel blocks, height, width, lanes].
    """
    filters, depth, height, width = weights.shape
    if groups == filters and depth == 1:
        framed = _fill(weights[:, 0], 0, lanes)
        return np.ascontiguousarray(framed.reshape(-1, lanes, height, width).transpose(0, 2, 3, 1))
    inner = depth_block(depth, lanes)
    framed = _fill(_fill(weights, 0, lanes), 1, inner)
    split = framed.reshape(-1, lanes, blocks(depth, inner), inner, height, width)
    return np.ascontiguousarray(split.transpose(0, 2, 4, 5, 3, 1))


def packed_integers(weights: Array, lanes: int) -> Array:
    """Return 8-bit weights [filters, channels, height, width] as the instruction reads them.

    Returns:
        [filter blocks, channel blocks, height, width, channels in a block / 4, lanes, 4].
    """
    inner = depth_block(weights.shape[1], lanes, STEP)
    framed = _fill(_fill(weights, 0, lanes), 1, inner)
    filters, depth, height, width = framed.shape
    split = framed.reshape(
        filters // lanes, lanes, depth // inner, inner // STEP, STEP, height, width
    )
    return np.ascontiguousarray(split.transpose(0, 2, 5, 6, 3, 1, 4))


def packed_integer_matrix(weights: Array, lanes: int) -> Array:
    """Return an 8-bit [depth, outputs] matrix as [output blocks, depth / 4, lanes, 4]."""
    framed = _fill(weights, 1, lanes)
    depth, outputs = framed.shape
    split = framed.reshape(depth // STEP, STEP, outputs // lanes, lanes)
    return np.ascontiguousarray(split.transpose(2, 0, 3, 1))


def packed_matrix(weights: Array, lanes: int) -> Array:
    """Return a [depth, outputs] matrix as [outputs / lanes, depth, lanes]."""
    depth, outputs = weights.shape
    return np.ascontiguousarray(weights.reshape(depth, outputs // lanes, lanes).transpose(1, 0, 2))


def channel_constant(values: Array, lanes: int, fill: float) -> Array:
    """Return one value per channel, shape [C], in blocks: [1, blocks, 1, 1, lanes]."""
    return _fill(values, 0, lanes, fill).reshape(1, -1, 1, 1, lanes)


def _fill(array: Array, axis: int, lanes: int, fill: float = 0) -> Array:
    missing = -array.shape[axis] % lanes
    widths = [(0, missing if place == axis else 0) for place in range(array.ndim)]
    return np.pad(array, widths, constant_values=fill) if missing else array


def _reductions(**sizes: int) -> list[Any]:
    """Return an axis that is summed over for each size, under its name."""
    te: Any = importlib.import_module("tvm.te")
    return [te.reduce_axis((0, size), name=name) for name, size in sizes.items()]


def convolution(conv: Convolution) -> Any:
    """Return the function of packed image and packed weights that convolves."""
    te: Any = importlib.import_module("tvm.te")
    (kh, kw), (sh, sw), (dh, dw) = conv.kernel, conv.strides, conv.dilation
    oh, ow = conv.output
    form = {FORM: f"s{sh}x{sw} d{dh}x{dw} g{conv.groups}{_sums_label(conv.sums)}"}

    def convolve(image: Any, weights: Any) -> Any:
        framed = _frame(image, conv)
        outer, inner, lanes = (int(weights.shape[place]) for place in (1, 4, 5))
        filters = int(weights.shape[0])
        per_group = filters // conv.groups
        c, ky, kx, i = _reductions(c=outer, ky=kh, kx=kw, i=inner)
        return te.compute(
            (conv.batch, filters, oh, ow, lanes),
            lambda n, f, y, x, b: te.sum(
                framed[
                    n,
                    c if conv.groups == 1 else f // per_group * outer + c,
                    y * sh + ky * dh,
                    x * sw + kx * dw,
                    i,
                ].astype(conv.sums)
                * weights[f, c, ky, kx, i, b].astype(conv.sums),
                axis=[c, ky, kx, i],
            ),
            name=CONVOLUTION,
            attrs=form,
        )

    return convolve


def integer_convolution(conv: Convolution, fill: int) -> Any:
    """Return the function of packed unsigned image and packed signed weights that convolves, in 32-bit sums.

    Args:
        conv: The numbers of the convolution.
        fill: The integer that stands for zero, in the frame.
    """
    te: Any = importlib.import_module("tvm.te")
    (kh, kw), (sh, sw), (dh, dw) = conv.kernel, conv.strides, conv.dilation
    oh, ow = conv.output

    def convolve(image: Any, weights: Any) -> Any:
        framed = _frame(image, conv, fill)
        filters, outer, steps, lanes = (int(weights.shape[place]) for place in (0, 1, 4, 5))
        c, ky, kx, i, j = _reductions(c=outer, ky=kh, kx=kw, i=steps, j=STEP)
        return te.compute(
            (conv.batch, filters, oh, ow, lanes),
            lambda n, f, y, x, b: te.sum(
                framed[n, c, y * sh + ky * dh, x * sw + kx * dw, i * STEP + j].astype("int32")
                * weights[f, c, ky, kx, i, b, j].astype("int32"),
                axis=[c, ky, kx, i, j],
            ),
            name=INTEGER_CONVOLUTION,
            attrs={FORM: f"s{sh}x{sw} d{dh}x{dw} g1"},
        )

    return convolve


def depthwise(conv: Convolution, fill: int = 0) -> Any:
    """Return the function of packed image and packed weights that convolves every channel with its own filter.

    Args:
        conv: The numbers of the convolution.
        fill: What stands for zero, in the frame.
    """
    te: Any = importlib.import_module("tvm.te")
    (kh, kw), (sh, sw), (dh, dw) = conv.kernel, conv.strides, conv.dilation
    oh, ow = conv.output

    def convolve(image: Any, weights: Any) -> Any:
        framed = _frame(image, conv, fill)
        ky, kx = _reductions(ky=kh, kx=kw)

        def widen(value: Any) -> Any:
            return value.astype("int32") if str(image.dtype) != "float32" else value

        return te.compute(
            (conv.batch, int(weights.shape[0]), oh, ow, int(weights.shape[3])),
            lambda n, c, y, x, b: te.sum(
                widen(framed[n, c, y * sh + ky * dh, x * sw + kx * dw, b])
                * widen(weights[c, ky, kx, b]),
                axis=[ky, kx],
            ),
            name=DEPTHWISE,
            attrs={FORM: f"s{sh}x{sw} d{dh}x{dw} {image.dtype}"},
        )

    return convolve


def matrix_product(sums: str = "float32") -> Any:
    """Return the function of [M, K] rows and a packed matrix that multiplies them.

    Args:
        sums: Datatype of the products and their sums.
    """
    te: Any = importlib.import_module("tvm.te")

    def multiply(rows: Any, weights: Any) -> Any:
        outer, depth, lanes = (int(size) for size in weights.shape)
        k = te.reduce_axis((0, depth), name="k")
        return te.compute(
            (rows.shape[0], outer * lanes),
            lambda m, n: te.sum(
                rows[m, k].astype(sums) * weights[n // lanes, k, n % lanes].astype(sums), axis=k
            ),
            name=GEMM,
            attrs={FORM: f"b{lanes}{_sums_label(sums)}"},
        )

    return multiply


def integer_matrix_product() -> Any:
    """Return the function of unsigned [M, K] rows and a packed signed matrix that multiplies them."""
    te: Any = importlib.import_module("tvm.te")

    def multiply(rows: Any, weights: Any) -> Any:
        outer, steps, lanes, _ = (int(size) for size in weights.shape)
        i, j = _reductions(i=steps, j=STEP)
        return te.compute(
            (rows.shape[0], outer, lanes),
            lambda m, n, b: te.sum(
                rows[m, i * STEP + j].astype("int32") * weights[n, i, b, j].astype("int32"),
                axis=[i, j],
            ),
            name=INTEGER_GEMM,
            attrs={FORM: f"b{lanes}"},
        )

    return multiply


def unsigned_function() -> Any:
    """Return the function that adds 128 to signed 8-bit integers."""
    topi: Any = importlib.import_module("tvm.topi")
    tirx: Any = importlib.import_module("tvm.tirx")
    offset = tirx.const(128, "int16")

    def shift(image: Any) -> Any:
        return topi.cast(topi.add(topi.cast(image, "int16"), offset), "uint8")

    return shift


def pooling_function(kind: str, settings: Any, lanes: int) -> Any:
    """Return the function of a packed image that pools it.

    Args:
        kind: ``max`` or ``avg``.
        settings: Attributes of Relax's pooling operator.
        lanes: Channels in a block.
    """
    topi: Any = importlib.import_module("tvm.topi")

    def pool(image: Any) -> Any:
        return topi.nn.pool2d(
            image,
            kernel=settings.pool_size,
            stride=settings.strides,
            dilation=settings.dilation,
            padding=settings.padding,
            pool_type=kind,
            ceil_mode=bool(settings.ceil_mode),
            layout=f"NCHW{lanes}c",
            count_include_pad=bool(settings.count_include_pad),
        )

    return pool


def mean() -> Any:
    """Return the function of a packed image that averages every channel over all positions."""
    te: Any = importlib.import_module("tvm.te")
    tirx: Any = importlib.import_module("tvm.tirx")

    def average(image: Any) -> Any:
        batch, outer, height, width, lanes = image.shape
        y, x = _reductions(y=height, x=width)
        total = te.compute(
            (batch, outer, 1, 1, lanes),
            lambda n, c, _y, _x, b: te.sum(image[n, c, y, x, b], axis=[y, x]),
            name="blocked_sum",
        )
        share = tirx.const(1.0 / (int(height) * int(width)), image.dtype)
        return te.compute(total.shape, lambda *place: total(*place) * share, name="blocked_mean")

    return average


def _sums_label(datatype: str) -> str:
    return "" if datatype == "float32" else f" {datatype}"


def _frame(image: Any, conv: Convolution, fill: int = 0) -> Any:
    topi: Any = importlib.import_module("tvm.topi")
    tirx: Any = importlib.import_module("tvm.tirx")
    top, left, bottom, right = conv.padding
    if not any(conv.padding):
        return image
    value = tirx.const(fill, str(image.dtype))
    before, after = (0, 0, top, left, 0), (0, 0, bottom, right, 0)
    return topi.nn.pad(image, before, after, pad_value=value, name="padded")
