"""From Relax operators to fused kernels, with forms of exponentials and rounding that fill vectors."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

_LIMITS = {"int8": (-128, 127), "uint8": (0, 255)}

Legalize = Callable[[Any, Any], Any]


def lower(module: Any, target: Any, *, fast: bool = False) -> Any:
    """Return a Relax module as fused, unscheduled kernels.

    Args:
        module: A Relax module.
        target: The TVM target.
        fast: Whether operators are lowered as `fast_forms` gives them.
    """
    relax: Any = importlib.import_module("tvm.relax")
    tvm: Any = importlib.import_module("tvm")
    passes = relax.transform
    with target:
        return tvm.transform.Sequential(
            [
                passes.LegalizeOps(fast_forms() if fast else None),
                passes.AnnotateTIROpPattern(),
                passes.FoldConstant(),
                passes.FuseOps(),
                passes.FuseTIR(),
                passes.DeadCodeElimination(),
                # Lets the tuner choose the layout of weights; they are rewritten before the run.
                passes.AttachAttrLayoutFreeBuffers(),
            ]
        )(module)


def fast_forms() -> dict[str, Legalize]:
    """Return how some operators are lowered, by name.

    TVM's own forms of exponentials are calls of the C library, one per element; these are Cephes's polynomials,
    right to about one unit in the last place of fp32. Quantization rounds to nearest, ties to even, as ONNX says.
    """
    topi: Any = importlib.import_module("tvm.topi")
    tirx: Any = importlib.import_module("tvm.tirx")

    def sigmoid(image: Any) -> Any:
        one = tirx.const(1, str(image.dtype))
        return topi.divide(one, topi.add(one, topi.fast_exp(topi.negative(image))))

    def silu(image: Any) -> Any:
        return topi.multiply(image, sigmoid(image))

    def exact_silu(image: Any) -> Any:
        return topi.multiply(image, topi.sigmoid(image))

    return {
        "relax.sigmoid": _by_datatype(topi.sigmoid, sigmoid),
        "relax.nn.silu": _by_datatype(exact_silu, silu),
        "relax.tanh": _by_datatype(topi.tanh, topi.fast_tanh),
        "relax.exp": _by_datatype(topi.exp, topi.fast_exp),
        "relax.erf": _by_datatype(topi.erf, topi.fast_erf),
        "relax.quantize": _quantize,
    }


def _by_datatype(exact: Any, fast: Any) -> Legalize:
    def legalize(builder: Any, call: Any) -> Any:
        form = fast if str(call.args[0].ty.dtype) == "float32" else exact
        return builder.call_te(form, call.args[0])

    return legalize


def _quantize(builder: Any, call: Any) -> Any:
    te: Any = importlib.import_module("tvm.te")
    tirx: Any = importlib.import_module("tvm.tirx")
    scale, zero = (_scalar(argument) for argument in call.args[1:])
    dtype = str(call.attrs.out_dtype)
    source = str(call.args[0].ty.dtype)
    if scale is None or zero is None or dtype not in _LIMITS or source != "float32":
        known: Any = importlib.import_module("tvm.relax.transform.legalize_ops.qdq")
        return known._quantize(builder, call)
    low, high = (tirx.const(float(limit), source) for limit in _LIMITS[dtype])
    step, offset = tirx.const(float(scale), source), tirx.const(float(zero), source)

    def quantize(image: Any) -> Any:
        def element(*place: Any) -> Any:
            steps = te.nearbyint(image[place] / step) + offset
            return te.max(te.min(steps, high), low).astype(dtype)

        return te.compute(image.shape, element, name="quantized")

    return builder.call_te(quantize, call.args[0], primfunc_name_hint="quantize")


def _scalar(expression: Any) -> float | None:
    value = getattr(expression, "data", None) or getattr(expression, "value", None)
    if value is None or not hasattr(value, "numpy"):
        return None
    array = value.numpy()
    return float(array.reshape(())) if array.size == 1 else None
