"""Convolutions and products of 8-bit integers on blocks, for instructions that take unsigned inputs, signed weights."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from roofline.node import Array
from roofline.validate.tvm.blocked import kernels as blocks
from roofline.validate.tvm.convolution import Convolution

# What is added to signed inputs, and its multiples of the weights are taken off the sums again.
_OFFSET = 128


def convolution(
    builder: Any, image: Any, weights: Array, conv: Convolution, fill: int, lanes: int
) -> Any:
    """Return a convolution of packed integers, as 32-bit sums.

    Args:
        builder: The block builder.
        image: In blocks.
        weights: Signed, shape [filters, channels, height, width].
        conv: The numbers of the convolution; its ``dtype`` is the image's.
        fill: The integer that stands for zero, in the frame.
        lanes: Channels in a block.
    """
    relax: Any = importlib.import_module("tvm.relax")
    signed = conv.dtype == "int8"
    if signed:
        image = builder.emit_te(blocks.unsigned_function(), image, primfunc_name_hint="unsigned")
    total = builder.call_te(
        blocks.integer_convolution(conv, fill + _OFFSET if signed else fill),
        image,
        relax.const(blocks.packed_integers(weights, lanes)),
        primfunc_name_hint=blocks.INTEGER_CONVOLUTION,
    )
    if not signed:
        return total
    sums = _OFFSET * weights.astype(np.int32).sum(axis=(1, 2, 3), dtype=np.int32)
    offset = relax.const(blocks.channel_constant(sums, lanes, 0))
    return relax.op.subtract(builder.emit(total), offset)


def can_multiply(call: Any, weights: Array) -> bool:
    """Return whether `product` can take a matrix product of integers."""
    shape = [int(size) for size in call.args[0].ty.shape]
    return len(shape) == 2 and shape[1] % blocks.STEP == 0 and weights.dtype == np.int8


def product(builder: Any, rows: Any, weights: Array, dtype: str, lanes: int) -> Any:
    """Return a product of [M, K] integers with a constant signed [K, N] matrix, as 32-bit sums.

    Args:
        builder: The block builder.
        rows: The integers.
        weights: The matrix.
        dtype: Type of the integers.
        lanes: Columns in a block.
    """
    relax: Any = importlib.import_module("tvm.relax")
    outputs = weights.shape[1]
    signed = dtype == "int8"
    if signed:
        rows = builder.emit_te(blocks.unsigned_function(), rows, primfunc_name_hint="unsigned")
    packed = blocks.packed_integer_matrix(weights, lanes)
    made = builder.emit_te(
        blocks.integer_matrix_product(),
        rows,
        relax.const(packed),
        primfunc_name_hint=blocks.INTEGER_GEMM,
    )
    flat = relax.op.reshape(made, (int(made.ty.shape[0]), packed.shape[0] * lanes))
    if outputs % lanes:
        flat = relax.op.strided_slice(builder.emit(flat), axes=[1], begin=[0], end=[outputs])
    if not signed:
        return flat
    sums = _OFFSET * weights.astype(np.int32).sum(axis=0, dtype=np.int32)
    return relax.op.subtract(builder.emit(flat), relax.const(sums.reshape(1, -1)))
