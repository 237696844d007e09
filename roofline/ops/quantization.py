"""Quantizing and dequantizing: two to four operations per element.

QuantizeLinear divides, rounds, adds the zero point and saturates (4, or 3 without a zero point); DequantizeLinear subtracts
the zero point and multiplies (2, or 1 without one); DynamicQuantizeLinear finds the range first (2 more).

Spec: https://onnx.ai/onnx/operators/onnx__QuantizeLinear.html, https://onnx.ai/onnx/operators/onnx__DequantizeLinear.html
"""

from __future__ import annotations

from collections.abc import Sequence

from roofline.cost import Cost
from roofline.node import Array, Node
from roofline.ops._attributes import operand
from roofline.ops._counts import has, in_count, out_count
from roofline.ops._datatypes import FLOAT32, INT32, UINT8, target_or
from roofline.ops._registry import CostFunction, Kind, TensorType, define
from roofline.ops._shapes import broadcast, concat_axis, dtype, merge
from roofline.ops._values import known, one
from roofline.ops.activation import OPS_PER_ELEMENT
