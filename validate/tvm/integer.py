"""Real integer arithmetic for quantized models in TVM.

The ONNX importer leaves a quantized layer as it is written: dequantize, compute in fp32, quantize. Here a convolution
or matrix product of two dequantized operands becomes one of 8-bit integers with 32-bit sums; the scales are multiplied
in afterwards, and an input's zero point is taken off as a constant for each output channel.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from roofline.node import Array
from roofline.validate.tvm.calls import (
    Bound,
    constant,
    operator_name,
    permutation,
    replace_counted,
)
from roofline.validate.tvm.convolution import conv2d_numbers

_INTEGERS = frozenset({"int8", "uint8"})


@dataclass(frozen=True, slots=True)
class _QuantizedTensor:
    """A tensor of 8-bit integers and what they stand for: (integers - zero) × scale."""

    integers: Any
    """A Relax expression for an input, an array for weights."""
    scale: Array
    zero: Array


def use_integers(module: Any) -> tuple[Any, dict[str, int]]:
    """Compute quantized convolutions and matrix products in integers.

    Args:
        module: A Relax module as imported, before legalization, weights as constants.

    Returns:
        The module, and how many layers compute in integers (``integer``) and how many in floating point (``float``).
    """

    def is_layer(call: Any) -> bool:
        return operator_name(call) == "relax.matmul" or conv2d_numbers(call) is not None

    def integer_layer(builder: Any, bound: Bound, call: Any) -> Any:
        inputs, weights = _input(bound, call.args[0]), _weights(bound, call.args[1])
        if inputs is None or weights is None:
            return None
        make = _matmul if operator_name(call) == "relax.matmul" else _convolution
        return make(builder, call, inputs, weights)

    return replace_counted(module, is_layer, integer_layer, ("integer", "float"))


def _input(bound: Bound, expression: Any) -> _QuantizedTensor | None:
    value = bound(expression)
    if operator_name(value) != "relax.dequantize":
        return None
    scale, zero = (constant(bound(argument)) for argument in value.args[1:])
    if scale is None or zero is None or scale.size != 1 or zero.size != 1:
        return None
    if str(value.args[0].ty.dtype) not in _INTEGERS:
        return None
    return _QuantizedTensor(value.args[0], scale, zero)


def _weights(bound: Bound, expression: Any) -> _QuantizedTensor | None:
    value = bound(expression)
    name = operator_name(value)
    if name == "relax.permute_dims":
        inner = _weights(bound, value.args[0])
        if inner is None:
            return None
        order = permutation(value)
        return _QuantizedTensor(
            inner.integers.transpose(order), inner.scale.transpose(order), inner.zero
        )
    if name != "relax.dequantize":
        return None
    integers, scale, zero = (constant(bound(argument)) for argument in value.args)
    # A zero point in the weights would need the sums of every window of the input.
    if integers is None or scale is None or zero is None or np.any(zero):
        return None
    if integers.dtype.name not in _INTEGERS:
        return None
    shape = [1] * integers.ndim
    if scale.size > 1:
        shape[int(value.attrs.axis)] = scale.size
    return _QuantizedTensor(integers, scale.reshape(shape), zero)


def _convolution(
    builder: Any, call: Any, inputs: _QuantizedTensor, weights: _QuantizedTensor
) -> Any:
    relax: Any = importlib.import_module("tvm.relax")
    attributes = call.attrs
    integers = inputs.integers
    zero = int(inputs.zero.reshape(()))
    top, left, bottom, right = (int(size) for size in attributes.padding)
    if top or left or bottom or right:
        # A padded zero is the zero point; padding inside the convolution would add the integer 0.
        widths = (0, 0, 0, 0, top, bottom, left, right)
        integers = builder.emit(relax.op.nn.pad(integers, widths, pad_value=float(zero)))
    total = builder.emit(
        relax.op.nn.conv2d(
            integers, relax.const(np.ascontiguousarray(weights.integers)), strides=attributes.strides,
            padding=0, dilation=attributes.dilation, groups=attributes.groups, data_layout="NCHW",
            kernel_layout="OIHW", out_dtype="int32",
        )
    )  # fmt: skip
    sums = weights.integers.astype(np.int32).sum(axis=(1, 2, 3)).reshape(1, -1, 1, 1)
    scale = (inputs.scale.reshape(()) * weights.scale).reshape(-1)
    return _scale(builder, total, zero * sums, scale.reshape(1, -1, 1, 1))


def _matmul(builder: Any, call: Any, inputs: _QuantizedTensor, weights: _QuantizedTensor) -> Any:
    relax: Any = importlib.import_module("tvm.relax")
    shape = [int(size) for size in call.args[0].ty.shape]
    if weights.integers.ndim != 2 or weights.scale.shape[0] != 1:
        return None
    depth, outputs = weights.integers.shape
    rows = int(np.prod(shape[:-1]))

    flat = builder.emit(relax.op.reshape(inputs.integers, (rows, depth)))
    constant = relax.const(np.ascontiguousarray(weights.integers))
    total = builder.emit(relax.op.matmul(flat, constant, out_dtype="int32"))
    sums = weights.integers.astype(np.int32).sum(axis=0).reshape(1, -1)
    scale = np.broadcast_to(inputs.scale.reshape(()) * weights.scale, (1, outputs)).astype(
        np.float32
    )
    result = _scale(
        builder, total, int(inputs.zero.reshape(())) * sums, np.ascontiguousarray(scale)
    )
    return relax.op.reshape(builder.emit(result), (*shape[:-1], outputs))


def _scale(builder: Any, total: Any, offset: Array, scale: Array) -> Any:
    relax: Any = importlib.import_module("tvm.relax")
    if offset.any():
        total = builder.emit(relax.op.subtract(total, relax.const(offset.astype(np.int32))))
    real = builder.emit(relax.op.astype(total, "float32"))
    return relax.op.multiply(real, relax.const(scale.astype(np.float32)))
