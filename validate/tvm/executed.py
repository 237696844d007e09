"""What the products of a model really execute in, read from the module that is compiled."""

from __future__ import annotations

import importlib
from typing import Any

from roofline.errors import MeasurementError
from roofline.validate.records.executed import Executed, StoredAs, describe_execution
from roofline.validate.tvm.calls import operator_name

_PRODUCTS = frozenset({"matmul", "nn.conv1d", "nn.conv2d", "nn.conv3d", "nn.conv2d_transpose"})
_NAMES = {
    "float64": "fp64", "float32": "fp32", "float16": "fp16", "int32": "int32",
    "bfloat16": "bf16", "int8": "int8", "uint8": "int8",
}  # fmt: skip


def executed_datatypes(module: Any, kept: StoredAs | None, bits: int) -> Executed:
    """Return the datatypes of a module's convolutions and matrix products.

    Args:
        module: A Relax module before legalization.
        kept: How the file keeps values that are widened.
        bits: Of each of its packed weights.

    Returns:
        What they are; without a datatype where there is no product.
    """
    relax: Any = importlib.import_module("tvm.relax")
    found: set[str] = set()

    def visit(expression: Any) -> None:
        name = operator_name(expression)
        if isinstance(expression, relax.Call) and name.removeprefix("relax.") in _PRODUCTS:
            found.add(str(expression.args[0].ty.dtype))

    for _, function in module.functions_items():
        if isinstance(function, relax.Function):
            relax.analysis.post_order_visit(function, visit)
    names = {_NAMES.get(kind, kind) for kind in found}
    wide = any(name.startswith("fp") for name in names)
    # No CPU that TVM compiles for multiplies bf16 by itself.
    emulated = ("bf16",)
    if not wide or kept is None:
        return describe_execution(names, emulated=emulated)
    return describe_execution(names, emulated=emulated, stored=kept, stored_bits=bits)


def check_executed(asked: str, found: Executed) -> Executed:
    """Return what is executed, unless it would be fp32 under the name of bf16.

    Raises:
        MeasurementError: bf16 is asked for, and nothing in the file is bf16.
    """
    if asked == "bf16" and found == Executed("fp32"):
        raise MeasurementError(
            "the model computes in fp32 and stores no bf16 weights",
            repair="Give the model in bf16, or leave the datatype out",
        )
    return found
