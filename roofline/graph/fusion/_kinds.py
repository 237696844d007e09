"""What part an operator plays when runtimes fuse."""

from __future__ import annotations

from roofline.node import Node
from roofline.ops import Role, lookup
from roofline.ops.activation import OPS_PER_ELEMENT
from roofline.ops.qonnx import CHANNELS_LAST

MICROSOFT = "com.microsoft"


_PRODUCTS = (
    "Conv", "ConvTranspose", "Gemm", "MatMul", "FusedMatMul", "MatMulNBits", "FusedConv", "Einsum",
)  # fmt: skip
_NORMS = (
    "LayerNormalization", "RMSNormalization", "GroupNormalization", "InstanceNormalization",
    "SimplifiedLayerNormalization", "SkipLayerNormalization", "SkipSimplifiedLayerNormalization",
    "MeanVarianceNormalization", "LpNormalization",
)  # fmt: skip
_ACTIVATIONS = frozenset({*OPS_PER_ELEMENT, "Clip", "PRelu", "FastGelu", "QuickGelu", "BiasGelu"})
_VIEWS = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout"})

_ROLES: dict[str, Role] = {
    **dict.fromkeys(_PRODUCTS, Role.PRODUCT),
    **dict.fromkeys(("MatMulInteger", "ConvInteger"), Role.INTEGER),
    **dict.fromkeys(("BatchNormalization", "Cast", "CastLike"), Role.ELEMENTWISE),
    **dict.fromkeys(_NORMS, Role.NORM),
    **dict.fromkeys(("Softmax", "LogSoftmax"), Role.SOFTMAX),
    "Pad": Role.PAD,
    "QuantizeLinear": Role.QUANTIZE,
    "DequantizeLinear": Role.DEQUANTIZE,
    "DynamicQuantizeLinear": Role.DYNAMIC_QUANTIZE,
}


def role(node: Node) -> Role:
    """Return the part a call plays: as its row of the table says, else as its name is known; others play none."""
    stated = lookup(node).role
    if stated is not None:
        return stated
    if node.domain not in ("", MICROSOFT, CHANNELS_LAST):
        return Role.OTHER
    return _ROLES.get(node.op_type, Role.OTHER)


def is_view(node: Node) -> bool:
    """Return whether a call only shows its first operand in another form, without a copy."""
    return not node.domain and node.op_type in _VIEWS


def is_activation(node: Node) -> bool:
    """Return whether a call is an activation function."""
    return node.op_type in _ACTIVATIONS
