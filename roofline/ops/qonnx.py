"""QONNX: quantizers of any width around floating-point operators, as Brevitas exports them and FINN reads them.

The graph stays in floating point; what a quantizer makes of a stored weight takes its width. A quantizer divides, adds
the zero point, rounds, saturates, subtracts and multiplies back: six operations per element.

Spec: https://github.com/fastmachinelearning/qonnx/tree/main/docs/qonnx-custom-ops
"""

from __future__ import annotations

from roofline.cost import Cost
from roofline.node import Node
from roofline.ops._counts import in_dims, out_count, per_output
from roofline.ops._registry import Kind, define
from roofline.ops._shapes import same
from roofline.ops._values import number
from roofline.precision import DATATYPES, DataType

_DOMAINS = ("qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general")
_QUANTIZE = 6
_BIPOLAR = 2  # the sign, and the scale
_WIDEST = 32


def quantized_type(node: Node) -> DataType | None:
    """Return the type that a quantizer of QONNX gives its operand; None for other calls and unknown widths.

    Example:
        >>> quantized_type(Node("BipolarQuant", "", (), domain="qonnx.custom_op.general")).bits
        1
    """
    if node.domain not in _DOMAINS:
        return None
    if node.op_type == "BipolarQuant":
        return DATATYPES["binary"]
    if node.op_type not in ("Quant", "IntQuant"):
        return None
    bits = number(node, 3)
    if bits is None or not 1 <= bits <= _WIDEST or bits != int(bits):
        return None
    name = "binary" if bits == 1 else f"int{int(bits)}"
    return DATATYPES.get(name) or DataType(name, int(bits), "int")


def _threshold_cost(node: Node) -> Cost:
    """Count one comparison per threshold and element, as many additions, and the scale."""
    return Cost(other_ops=(2 * in_dims(node, 1, 2)[1] + 1) * out_count(node))


for _domain in _DOMAINS:
    define(
        "Quant", "IntQuant", kind=Kind.COMPUTE, domain=_domain, cost=per_output(_QUANTIZE), shape=same, weights=(0,),
        quantizers=(1, 2), settings=(3,),
    )  # fmt: skip
    define(
        "Trunc", kind=Kind.COMPUTE, domain=_domain, cost=per_output(_QUANTIZE), shape=same, weights=(0,),
        quantizers=(1, 2), settings=(3, 4),
    )  # fmt: skip
    define(
        "BipolarQuant", kind=Kind.COMPUTE, domain=_domain, cost=per_output(_BIPOLAR), shape=same, weights=(0,),
        quantizers=(1,),
    )  # fmt: skip
    define(
        "MultiThreshold", kind=Kind.COMPUTE, domain=_domain, cost=_threshold_cost, shape=same, quantizers=(1,)
    )  # fmt: skip
