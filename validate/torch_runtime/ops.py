"""ONNX operators that compute, as torch functions (see `_torch_table`)."""

# torch is optional and its stubs are partial; everything in this module is a torch call.
# pyright: basic

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from roofline.node import Attributes
from roofline.validate.measuring.backend import UnsupportedModelError
from roofline.validate.torch_runtime.table import (
    OPERATORS,
    Handler,
    number,
    operator,
    tensor,
)

torch: Any = importlib.import_module("torch")
functional: Any = importlib.import_module("torch.nn.functional")


def _elementwise(function: Callable[..., Any]) -> Handler:
    def run(attributes: Attributes, *operands: Any) -> Any:  # noqa: ARG001
        like = next((operand for operand in operands if isinstance(operand, torch.Tensor)), None)
        first, *rest = operands
        return function(tensor(first, like), *(_operand(entry, like) for entry in rest))

    return run


def _operand(value: Any, like: Any) -> Any:
    """Return a further operand: one number as such, which needs no copy to the device in every step."""
    if like is not None and isinstance(value, list) and len(value) == 1 and like.dim() > 0:
        return number(value)
    return tensor(value, like)


_UNARY = {
    "Relu": "relu", "Sigmoid": "sigmoid", "Tanh": "tanh", "Erf": "erf", "Sqrt": "sqrt", "Exp": "exp", "Log": "log",
    "Neg": "neg", "Abs": "abs", "Floor": "floor", "Ceil": "ceil", "Round": "round", "Reciprocal": "reciprocal",
    "Sin": "sin", "Cos": "cos", "Not": "logical_not", "Sign": "sign",
}  # fmt: skip
_BINARY = {
    "Add": "add", "Sub": "sub", "Mul": "mul", "Pow": "pow", "Equal": "eq", "Greater": "gt", "Less": "lt",
    "GreaterOrEqual": "ge", "LessOrEqual": "le", "And": "logical_and", "Or": "logical_or", "Where": "where",
}  # fmt: skip
for _name, _function in {**_UNARY, **_BINARY}.items():
    OPERATORS[_name] = _elementwise(getattr(torch, _function))
OPERATORS["Softplus"] = _elementwise(functional.softplus)
OPERATORS["Softsign"] = _elementwise(functional.softsign)
OPERATORS["HardSwish"] = _elementwise(functional.hardswish)
OPERATORS["Mish"] = _elementwise(functional.mish)


@operator("Div")
def _div(_: Attributes, left: Any, right: Any) -> Any:
    left, right = _elementwise(lambda *both: both)({}, left, right)
    whole = not left.is_floating_point()
    return torch.div(left, right, rounding_mode="trunc" if whole else None)


@operator("Sum", "Max", "Min", "Mean")
def _variadic(attributes: Attributes, first: Any, *rest: Any) -> Any:
    combine = {"Max": torch.maximum, "Min": torch.minimum}.get(attributes["op_type"], torch.add)
    for operand in rest:
        first = combine(first, tensor(operand, first))
    return first / (1 + len(rest)) if attributes["op_type"] == "Mean" else first


@operator("Clip")
def _clip(attributes: Attributes, data: Any, low: Any = None, high: Any = None) -> Any:
    low = attributes.get("min") if low is None else number(low)
    high = attributes.get("max") if high is None else number(high)
    return data if low is None and high is None else torch.clamp(data, low, high)


@operator("HardSigmoid")
def _hard_sigmoid(attributes: Attributes, data: Any) -> Any:
    return torch.clamp(data * attributes.get("alpha", 0.2) + attributes.get("beta", 0.5), 0, 1)


@operator("LeakyRelu")
def _leaky(attributes: Attributes, data: Any) -> Any:
    return functional.leaky_relu(data, attributes.get("alpha", 0.01))


@operator("Elu")
def _elu(attributes: Attributes, data: Any) -> Any:
    return functional.elu(data, attributes.get("alpha", 1.0))


@operator("PRelu")
def _prelu(_: Attributes, data: Any, slope: Any) -> Any:
    return torch.where(data < 0, data * slope, data)


@operator("Gelu")
def _gelu(attributes: Attributes, data: Any) -> Any:
    return functional.gelu(data, approximate=attributes.get("approximate", "none"))


@operator("Softmax", "LogSoftmax")
def _softmax(attributes: Attributes, data: Any) -> Any:
    function = functional.softmax if attributes["op_type"] == "Softmax" else functional.log_softmax
    if attributes["version"] >= 13:
        return function(data, attributes.get("axis", -1))
    axis = attributes.get("axis", 1) % data.dim()
    return function(data.flatten(axis), axis).reshape(data.shape)


def _sides(
    attributes: Attributes,
    data: Any,
    kernel: list[int],
    strides: list[int],
    dilations: list[int],
) -> list[int]:
    """Return the pads, starts then ends, with ``auto_pad`` resolved."""
    rank = len(kernel)
    mode = attributes.get("auto_pad", "NOTSET")
    if mode in {"NOTSET", ""}:
        return list(attributes.get("pads", [0] * 2 * rank))
    if mode == "VALID":
        return [0] * 2 * rank
    starts, ends = [], []
    for size, window, stride, dilation in zip(
        data.shape[2:], kernel, strides, dilations, strict=True
    ):
        total = max((-(-size // stride) - 1) * stride + (window - 1) * dilation + 1 - size, 0)
        small, large = total // 2, total - total // 2
        starts.append(small if mode == "SAME_UPPER" else large)
        ends.append(large if mode == "SAME_UPPER" else small)
    return starts + ends


def _split_pads(data: Any, pads: list[int], fill: float = 0.0) -> tuple[Any, list[int]]:
    """Return the input and symmetric pads; uneven pads are put around the input first."""
    rank = len(pads) // 2
    if pads[:rank] == pads[rank:]:
        return data, pads[:rank]
    reverse = [side for axis in reversed(range(rank)) for side in (pads[axis], pads[axis + rank])]
    return functional.pad(data, reverse, value=fill), [0] * rank


@operator("Conv")
def _conv(attributes: Attributes, data: Any, kernel: Any, bias: Any = None) -> Any:
    rank = data.dim() - 2
    strides = list(attributes.get("strides", [1] * rank))
    dilations = list(attributes.get("dilations", [1] * rank))
    data, pads = _split_pads(
        data, _sides(attributes, data, list(kernel.shape[2:]), strides, dilations)
    )
    function = (functional.conv1d, functional.conv2d, functional.conv3d)[rank - 1]
    return function(data, kernel, bias, strides, pads, dilations, attributes.get("group", 1))


@operator("ConvTranspose")
def _conv_transpose(attributes: Attributes, data: Any, kernel: Any, bias: Any = None) -> Any:
    rank = data.dim() - 2
    pads = list(attributes.get("pads", [0] * 2 * rank))
    if (
        pads[:rank] != pads[rank:]
        or "output_shape" in attributes
        or attributes.get("auto_pad", "NOTSET") != "NOTSET"
    ):
        raise UnsupportedModelError("torch: ConvTranspose with uneven pads or an output_shape")
    function = (
        functional.conv_transpose1d,
        functional.conv_transpose2d,
        functional.conv_transpose3d,
    )[rank - 1]
    return function(
        data, kernel, bias, list(attributes.get("strides", [1] * rank)), pads[:rank],
        list(attributes.get("output_padding", [0] * rank)), attributes.get("group", 1),
        list(attributes.get("dilations", [1] * rank)),
    )  # fmt: skip


@operator("MaxPool", "AveragePool")
def _pool(attributes: Attributes, data: Any) -> Any:
    kernel = list(attributes["kernel_shape"])
    rank = len(kernel)
    strides = list(attributes.get("strides", [1] * rank))
    dilations = list(attributes.get("dilations", [1] * rank))
    pads = _sides(attributes, data, kernel, strides, dilations)
    ceil = bool(attributes.get("ceil_mode", 0))
    if attributes["op_type"] == "MaxPool":
        data, even = _split_pads(data, pads, float("-inf"))
        function = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)[rank - 1]
        return function(data, kernel, strides, even, dilations, ceil)
    if any(step != 1 for step in dilations) or pads[:rank] != pads[rank:]:
        raise UnsupportedModelError("torch: AveragePool with dilations or uneven pads")
    function = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)[rank - 1]
    return function(
        data, kernel, strides, pads[:rank], ceil, bool(attributes.get("count_include_pad", 0))
    )


@operator("GlobalAveragePool", "GlobalMaxPool")
def _global_pool(attributes: Attributes, data: Any) -> Any:
    axes = list(range(2, data.dim()))
    return (
        data.mean(axes, keepdim=True)
        if "Average" in attributes["op_type"]
        else data.amax(axes, keepdim=True)
    )


@operator("BatchNormalization")
def _batch_norm(
    attributes: Attributes, data: Any, scale: Any, bias: Any, mean: Any, variance: Any
) -> Any:
    return functional.batch_norm(
        data, mean, variance, scale, bias, False, 0.0, attributes.get("epsilon", 1e-5)
    )


@operator("LayerNormalization")
def _layer_norm(attributes: Attributes, data: Any, scale: Any, bias: Any = None) -> Any:
    axis = attributes.get("axis", -1) % data.dim()
    return functional.layer_norm(
        data, data.shape[axis:], scale, bias, attributes.get("epsilon", 1e-5)
    )


@operator("LRN")
def _local_response(attributes: Attributes, data: Any) -> Any:
    return functional.local_response_norm(
        data,
        attributes["size"],
        attributes.get("alpha", 1e-4),
        attributes.get("beta", 0.75),
        attributes.get("bias", 1.0),
    )


@operator("MatMul")
def _matmul(_: Attributes, left: Any, right: Any) -> Any:
    return torch.matmul(left, right)


@operator("Gemm")
def _gemm(attributes: Attributes, left: Any, right: Any, bias: Any = None) -> Any:
    left = left.t() if attributes.get("transA", 0) else left
    right = right.t() if attributes.get("transB", 0) else right
    product = torch.matmul(left, right) * attributes.get("alpha", 1.0)
    return product if bias is None else product + bias * attributes.get("beta", 1.0)


@operator("Einsum")
def _einsum(attributes: Attributes, *operands: Any) -> Any:
    return torch.einsum(attributes["equation"], *operands)


@operator("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd")
def _reduce(attributes: Attributes, data: Any, axes: Any = None) -> Any:
    axes = attributes.get("axes") if axes is None else axes
    dims = list(range(data.dim())) if not axes else [int(axis) for axis in axes]
    keep = bool(attributes.get("keepdims", 1))
    kind = attributes["op_type"][6:]
    if kind == "Prod":
        for axis in sorted((axis % data.dim() for axis in dims), reverse=True):
            data = data.prod(axis, keepdim=keep)
        return data
    return {"Mean": torch.mean, "Sum": torch.sum, "Max": torch.amax, "Min": torch.amin}[kind](
        data, dims, keepdim=keep
    )
