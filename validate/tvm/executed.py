"""What the products of a model really execute in, read from the module that is compiled."""

from __future__ import annotations

import importlib
from typing import Any

from roofline.errors import MeasurementError

_PRODUCTS = frozenset({"matmul", "nn.conv1d", "nn.conv2d", "nn.conv3d", "nn.conv2d_transpose"})
_NAMES = {
    "float64": "fp64", "float32": "fp32", "float16": "fp16", "int32": "int32",
    "bfloat16": "bf16, emulated: converted to fp32 and back for every operation",
    "int8": "int8, int32 sums", "uint8": "int8, int32 sums",
}  # fmt: skip
_BFLOAT16, _UINT4, _INT4 = 16, 21, 22
_QUANTIZED = frozenset({"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QGemm"})


def stored_as(model: Any) -> str:
    """Return how a model keeps values that cannot be multiplied as they are, empty where there are none.

    Args:
        model: An ``onnx.ModelProto``, before it is rewritten.
    """
    stored = {tensor.data_type for tensor in model.graph.initializer}
    operators = {node.op_type for node in model.graph.node}
    if "MatMulNBits" in operators or stored & {_UINT4, _INT4}:
        return "4-bit weights unpacked before the run"
    if _BFLOAT16 in stored:
        return "bf16 weights widened before the run"
    if operators & _QUANTIZED or any(name.startswith("QLinear") for name in operators):
        return "dequantized values"
    return ""


def executed(module: Any, kept: str) -> str:
    """Return the datatypes of a module's convolutions and matrix products.

    Args:
        module: A Relax module before legalization.
        kept: What `stored_as` says of the file.

    Returns:
        Their names; empty where there is no product, or all are in fp16, which a processor may emulate.
    """
    relax: Any = importlib.import_module("tvm.relax")
    found: set[str] = set()

    def visit(expression: Any) -> None:
        name = str(getattr(getattr(expression, "op", None), "name", ""))
        if isinstance(expression, relax.Call) and name.removeprefix("relax.") in _PRODUCTS:
            found.add(str(expression.args[0].ty.dtype))

    for _, function in module.functions_items():
        if isinstance(function, relax.Function):
            relax.analysis.post_order_visit(function, visit)
    if not found or found == {"float16"}:
        return ""
    names = sorted({_NAMES.get(kind, kind) for kind in found})
    wide = kept and any(name.startswith("fp") for name in names)
    return " and ".join(names) + (f", of {kept}" if wide else "")


def checked(asked: str, found: str) -> str:
    """Return what is executed, unless it would be fp32 under the name of bf16.

    Raises:
        MeasurementError: bf16 is asked for, and nothing in the file is bf16.
    """
    if asked == "bf16" and found == "fp32":
        raise MeasurementError(
            "the model computes in fp32 and stores no bf16 weights",
            repair="Give the model in bf16, or leave the datatype out",
        )
    return found
