"""QONNX: quantizers of any width around floating-point operators, as Brevitas exports them and FINN reads them.

The graph stays in floating point; what a quantizer makes of a weight or an activation takes its width, and products of
two such operands run on the peak of the wider one. A quantizer divides, adds the zero point, rounds, saturates,
subtracts and multiplies back: six operations per element.

Spec: https://github.com/fastmachinelearning/qonnx/tree/main/docs/qonnx-custom-ops
"""

from __future__ import annotations

import re
from dataclasses import replace

from roofline.cost import Cost
from roofline.node import Node, Tensor
from roofline.ops._attributes import integer, text
from roofline.ops._counts import in_dims, out_count, per_output
from roofline.ops._registry import define
from roofline.ops._shapes import same_type
from roofline.ops._values import number
from roofline.precision import DATATYPES, Bits, DataType, DatatypeKind

DOMAINS = ("qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general")
CHANNELS_LAST = "qonnx.custom_op.channels_last"
_QUANTIZE = 6
_BIPOLAR = 2  # the sign, and the scale
_WIDEST = 32


def quantized_type(node: Node) -> DataType | None:
    """Return the type that a quantizer of QONNX gives its operand; None for other calls and unknown widths.

    Example:
        >>> quantized_type(Node("BipolarQuant", "", (), domain="qonnx.custom_op.general")).bits
        1
    """
    if node.domain not in DOMAINS:
        return None
    if node.op_type == "BipolarQuant":
        return DATATYPES["binary"]
    if node.op_type == "MultiThreshold":
        return finn_type(text(node, "out_dtype", ""))
    if node.op_type == "QuantAvgPool2d":
        return _integers_of(integer(node, "obits", 0))
    if node.op_type == "FloatQuant":
        return _floats_of(number(node, 2), number(node, 3))
    if node.op_type == "Trunc":
        # Version 2 states the scale of the result before its width.
        return _integers_of(number(node, 5 if node.operand(5) is not None else 4))
    return _integers_of(number(node, 3)) if node.op_type in ("Quant", "IntQuant") else None


def _integers_of(bits: float | None) -> DataType | None:
    """Return integers of a stated width; None for widths that are unknown or none."""
    if bits is None or not 1 <= bits <= _WIDEST or bits != int(bits):
        return None
    return _integers(int(bits))


def _floats_of(exponent: float | None, mantissa: float | None) -> DataType | None:
    """Return floats of a sign, an exponent and a mantissa of stated widths."""
    if exponent is None or mantissa is None or exponent < 1 or mantissa < 0:
        return None
    bits = 1 + exponent + mantissa
    if bits != int(bits) or bits > _WIDEST:
        return None
    name = f"fp{int(bits)}_e{int(exponent)}m{int(mantissa)}"
    return DATATYPES.get(name) or DataType(name, int(bits), DatatypeKind.FLOAT)


def _integers(bits: int) -> DataType:
    name = "binary" if bits == 1 else f"int{bits}"
    return DATATYPES.get(name) or DataType(name, bits, DatatypeKind.INT)


_FINN = re.compile(r"U?INT([1-9]\d?)|SCALEDU?INT<([1-9]\d?)>|FIXED<([1-9]\d?),-?\d+>")


def finn_type(name: str) -> DataType | None:
    """Return the type of a name of FINN's, such as ``UINT2`` or ``BIPOLAR``; None for floats and unknown ones.

    Example:
        >>> [finn_type(name).bits for name in ("BIPOLAR", "TERNARY", "UINT4", "SCALEDINT<8>", "FIXED<6,2>")]
        [1, 2, 4, 8, 6]
    """
    if name in ("BIPOLAR", "BINARY"):
        return DATATYPES["binary"]
    if name == "TERNARY":
        return DATATYPES["ternary"]
    found = _FINN.fullmatch(name)
    bits = int(next(filter(None, found.groups()))) if found is not None else _WIDEST + 1
    return _integers(bits) if bits <= _WIDEST else None


def annotated_type(tensor: Tensor, width: DataType | None) -> Tensor:
    """Return a floating-point tensor at the narrower type that FINN's annotation gives it."""
    if width is None or tensor.dtype is None or width.bits >= tensor.dtype.bits:
        return tensor
    return replace(tensor, dtype=width, carrier=tensor.dtype)


_PEAKS = ((1, "binary"), (2, "int2"), (4, "int4"), (8, "int8"), (16, "int16"), (32, "int32"))
_FLOAT_PEAKS = ((4, "fp4"), (8, "fp8"), (16, "fp16"), (32, "fp32"))


def product_peak(node: Node) -> str | None:
    """Return the peak of a product whose two operands quantizers narrowed: that which holds the wider one."""
    left, right = node.operand(0), node.operand(1)
    types = [
        tensor.dtype
        for tensor in (left, right)
        if tensor is not None and tensor.carrier is not None and tensor.dtype is not None
    ]
    if len(types) != 2:
        return None
    peaks = _FLOAT_PEAKS if any(dtype.kind is DatatypeKind.FLOAT for dtype in types) else _PEAKS
    return next(name for width, name in peaks if width >= max(dtype.bits for dtype in types))


def carry_types(node: Node, *, copies: bool) -> Node:
    """Return a typed call in which narrowed values stay so through copies, and arithmetic gives the graph's own type.

    Args:
        node: The call; types of its results follow those of its operands.
        copies: Whether it only moves elements, or picks among them.
    """
    narrow = quantized_type(node)
    operands = [tensor for tensor in node.operands if tensor is not None]
    widest = max(
        (tensor for tensor in operands if tensor.carrier is not None and tensor.dtype is not None),
        key=_width, default=None,
    )  # fmt: skip
    if narrow is None and widest is None:
        return node
    first = operands[0].carrier or operands[0].dtype
    own = first if widest is None else widest.carrier
    if narrow is None and copies and all(t.carrier or not _is_floating(t) for t in operands):
        narrow = None if widest is None else widest.dtype
    followed = {tensor.dtype for tensor in operands if tensor.carrier is not None} | {first}
    outputs = tuple(
        output
        if output is None or output.dtype not in followed
        else replace(output, dtype=own if narrow is None else narrow, carrier=narrow and own)
        for output in node.outputs
    )
    return replace(node, outputs=outputs)


def _width(tensor: Tensor) -> Bits:
    return 0 if tensor.dtype is None else tensor.dtype.bits


def _is_floating(tensor: Tensor) -> bool:
    return tensor.dtype is not None and tensor.dtype.kind is DatatypeKind.FLOAT


def _threshold_cost(node: Node) -> Cost:
    """Count one comparison per threshold and element, as many additions, and the scale."""
    return Cost(other_ops=(2 * in_dims(node, 1, 2)[1] + 1) * out_count(node))


define(
    "Quant", "IntQuant", domain=DOMAINS, cost=per_output(_QUANTIZE), shape=same_type, weights=(0,), quantizers=(1, 2),
    settings=(3,),
)  # fmt: skip
define(
    "Trunc", domain=DOMAINS, cost=per_output(_QUANTIZE), shape=same_type, weights=(0,), quantizers=(1, 2),
    settings=(3, 4, 5),
)  # fmt: skip
define(
    "FloatQuant", domain=DOMAINS, cost=per_output(_QUANTIZE), shape=same_type, weights=(0,), quantizers=(1,),
    settings=(2, 3, 4, 5),
)  # fmt: skip
define(
    "BipolarQuant", domain=DOMAINS, cost=per_output(_BIPOLAR), shape=same_type, weights=(0,), quantizers=(1,),
)  # fmt: skip
define("MultiThreshold", domain=DOMAINS, cost=_threshold_cost, shape=same_type, quantizers=(1,))
