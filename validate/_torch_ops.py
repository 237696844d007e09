"""ONNX operators as torch functions.

A handler takes the node's attributes and its operands: tensors where they depend on the input or are weights, Python
numbers (nested lists) where they are constant integers, such as shapes and axes. So a traced program holds no shape
arithmetic, which torch's compiler cannot follow.
"""

# torch is optional and its stubs are partial; everything in this module is a torch call.
# pyright: basic

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

Handler = Callable[..., Any]
"""Called as ``handler(attributes, *operands)``; returns a tensor, or a tuple for several results."""

OPERATORS: dict[str, Handler] = {}
"""Every operator of ai.onnx that the torch backend takes."""

torch: Any = importlib.import_module("torch")
functional: Any = importlib.import_module("torch.nn.functional")


def _operator(*names: str) -> Callable[[Handler], Handler]:
    def add(handler: Handler) -> Handler:
        for name in names:
            if name in OPERATORS:
                raise ValueError(f"operator {name!r} is defined twice")
            OPERATORS[name] = handler
        return handler

    return add


def _tensor(value: Any, like: Any = None) -> Any:
    if isinstance(value, torch.Tensor):
        return value
    return torch.tensor(
        value,
        dtype=torch.int64 if like is None else like.dtype,
        device=None if like is None else like.device,
    )


def _number(value: Any) -> Any:
    while isinstance(value, list):
        value = value[0]
    return value.item() if isinstance(value, torch.Tensor) else value


def _elementwise(function: Callable[..., Any]) -> Handler:
    def run(attributes: Mapping[str, Any], *operands: Any) -> Any:  # noqa: ARG001
        like = next((operand for operand in operands if isinstance(operand, torch.Tensor)), None)
        return function(*(_tensor(operand, like) for operand in operands))

    return run


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


@_operator("Div")
def _div(_: Mapping[str, Any], left: Any, right: Any) -> Any:
    left, right = _elementwise(lambda *both: both)({}, left, right)
    whole = not left.is_floating_point()
    return torch.div(left, right, rounding_mode="trunc" if whole else None)


@_operator("Sum", "Max", "Min", "Mean")
def _variadic(attributes: Mapping[str, Any], first: Any, *rest: Any) -> Any:
    combine = {"Max": torch.maximum, "Min": torch.minimum}.get(attributes["op_type"], torch.add)
    for operand in rest:
        first = combine(first, _tensor(operand, first))
    return first / (1 + len(rest)) if attributes["op_type"] == "Mean" else first


@_operator("Clip")
def _clip(attributes: Mapping[str, Any], data: Any, low: Any = None, high: Any = None) -> Any:
    low = attributes.get("min") if low is None else _number(low)
    high = attributes.get("max") if high is None else _number(high)
    return data if low is None and high is None else torch.clamp(data, low, high)


@_operator("HardSigmoid")
def _hard_sigmoid(attributes: Mapping[str, Any], data: Any) -> Any:
    return torch.clamp(data * attributes.get("alpha", 0.2) + attributes.get("beta", 0.5), 0, 1)


@_operator("LeakyRelu")
def _leaky(attributes: Mapping[str, Any], data: Any) -> Any:
    return functional.leaky_relu(data, attributes.get("alpha", 0.01))


@_operator("Elu")
def _elu(attributes: Mapping[str, Any], data: Any) -> Any:
    return functional.elu(data, attributes.get("alpha", 1.0))


@_operator("PRelu")
def _prelu(_: Mapping[str, Any], data: Any, slope: Any) -> Any:
    return torch.where(data < 0, data * slope, data)


@_operator("Gelu")
def _gelu(attributes: Mapping[str, Any], data: Any) -> Any:
    return functional.gelu(data, approximate=attributes.get("approximate", "none"))


@_operator("Softmax", "LogSoftmax")
def _softmax(attributes: Mapping[str, Any], data: Any) -> Any:
    function = functional.softmax if attributes["op_type"] == "Softmax" else functional.log_softmax
    if attributes["version"] >= 13:
        return function(data, attributes.get("axis", -1))
    axis = attributes.get("axis", 1) % data.dim()
    return function(data.flatten(axis), axis).reshape(data.shape)


def _sides(
    attributes: Mapping[str, Any],
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


@_operator("Conv")
def _conv(attributes: Mapping[str, Any], data: Any, kernel: Any, bias: Any = None) -> Any:
    rank = data.dim() - 2
    strides = list(attributes.get("strides", [1] * rank))
    dilations = list(attributes.get("dilations", [1] * rank))
    data, pads = _split_pads(
        data, _sides(attributes, data, list(kernel.shape[2:]), strides, dilations)
    )
    function = (functional.conv1d, functional.conv2d, functional.conv3d)[rank - 1]
    return function(data, kernel, bias, strides, pads, dilations, attributes.get("group", 1))


@_operator("ConvTranspose")
def _conv_transpose(
    attributes: Mapping[str, Any], data: Any, kernel: Any, bias: Any = None
) -> Any:
    rank = data.dim() - 2
    pads = list(attributes.get("pads", [0] * 2 * rank))
    if (
        pads[:rank] != pads[rank:]
        or "output_shape" in attributes
        or attributes.get("auto_pad", "NOTSET") != "NOTSET"
    ):
        raise NotImplementedError("ConvTranspose with uneven pads or an output_shape")
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


@_operator("MaxPool", "AveragePool")
def _pool(attributes: Mapping[str, Any], data: Any) -> Any:
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
        raise NotImplementedError("AveragePool with dilations or uneven pads")
    function = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)[rank - 1]
    return function(
        data, kernel, strides, pads[:rank], ceil, bool(attributes.get("count_include_pad", 0))
    )


@_operator("GlobalAveragePool", "GlobalMaxPool")
def _global_pool(attributes: Mapping[str, Any], data: Any) -> Any:
    axes = list(range(2, data.dim()))
    return (
        data.mean(axes, keepdim=True)
        if "Average" in attributes["op_type"]
        else data.amax(axes, keepdim=True)
    )


@_operator("BatchNormalization")
def _batch_norm(
    attributes: Mapping[str, Any], data: Any, scale: Any, bias: Any, mean: Any, variance: Any
) -> Any:
    return functional.batch_norm(
        data, mean, variance, scale, bias, False, 0.0, attributes.get("epsilon", 1e-5)
    )


@_operator("LayerNormalization")
def _layer_norm(attributes: Mapping[str, Any], data: Any, scale: Any, bias: Any = None) -> Any:
    axis = attributes.get("axis", -1) % data.dim()
    return functional.layer_norm(
        data, data.shape[axis:], scale, bias, attributes.get("epsilon", 1e-5)
    )


@_operator("LRN")
def _local_response(attributes: Mapping[str, Any], data: Any) -> Any:
    return functional.local_response_norm(
        data,
        attributes["size"],
        attributes.get("alpha", 1e-4),
        attributes.get("beta", 0.75),
        attributes.get("bias", 1.0),
    )


@_operator("MatMul")
def _matmul(_: Mapping[str, Any], left: Any, right: Any) -> Any:
    return torch.matmul(left, right)


@_operator("Gemm")
def _gemm(attributes: Mapping[str, Any], left: Any, right: Any, bias: Any = None) -> Any:
    left = left.t() if attributes.get("transA", 0) else left
    right = right.t() if attributes.get("transB", 0) else right
    product = torch.matmul(left, right) * attributes.get("alpha", 1.0)
    return product if bias is None else product + bias * attributes.get("beta", 1.0)


@_operator("Einsum")
def _einsum(attributes: Mapping[str, Any], *operands: Any) -> Any:
    return torch.einsum(attributes["equation"], *operands)


@_operator("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd")
def _reduce(attributes: Mapping[str, Any], data: Any, axes: Any = None) -> Any:
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


@_operator("Concat")
def _concat(attributes: Mapping[str, Any], *operands: Any) -> Any:
    like = next(operand for operand in operands if isinstance(operand, torch.Tensor))
    return torch.cat([_tensor(operand, like) for operand in operands], attributes["axis"])


@_operator("Reshape")
def _reshape(attributes: Mapping[str, Any], data: Any, shape: Any = None) -> Any:
    wanted = list(attributes["shape"] if shape is None else shape)
    if not attributes.get("allowzero", 0):
        wanted = [data.shape[axis] if size == 0 else size for axis, size in enumerate(wanted)]
    return data.reshape(wanted)


@_operator("Flatten")
def _flatten(attributes: Mapping[str, Any], data: Any) -> Any:
    axis = attributes.get("axis", 1)
    rows = 1
    for size in data.shape[: axis if axis >= 0 else data.dim() + axis]:
        rows *= size
    return data.reshape(rows, -1)


@_operator("Transpose")
def _transpose(attributes: Mapping[str, Any], data: Any) -> Any:
    return data.permute(attributes.get("perm") or list(reversed(range(data.dim()))))


@_operator("Squeeze")
def _squeeze(attributes: Mapping[str, Any], data: Any, axes: Any = None) -> Any:
    axes = attributes.get("axes") if axes is None else axes
    return data.squeeze() if axes is None else data.squeeze(tuple(axes))


@_operator("Unsqueeze")
def _unsqueeze(attributes: Mapping[str, Any], data: Any, axes: Any = None) -> Any:
    axes = list(attributes["axes"] if axes is None else axes)
    rank = data.dim() + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        data = data.unsqueeze(axis)
    return data


@_operator("Slice")
def _slice(
    attributes: Mapping[str, Any],
    data: Any,
    starts: Any = None,
    ends: Any = None,
    axes: Any = None,
    steps: Any = None,
) -> Any:
    starts = attributes.get("starts") if starts is None else starts
    ends = attributes.get("ends") if ends is None else ends
    axes = attributes.get("axes", list(range(len(starts)))) if axes is None else axes
    for start, end, axis, step in zip(starts, ends, axes, steps or [1] * len(starts), strict=True):
        picked = range(data.shape[axis])[start:end:step]
        if step > 0:
            data = data[(slice(None),) * (axis % data.dim()) + (slice(start, end, step),)]
        else:
            data = data.index_select(axis, torch.tensor(list(picked), device=data.device))
    return data


@_operator("Split")
def _split(attributes: Mapping[str, Any], data: Any, sizes: Any = None) -> Any:
    axis = attributes.get("axis", 0)
    sizes = attributes.get("split") if sizes is None else sizes
    if sizes is None:
        parts = attributes.get("num_outputs", attributes["results"])
        return torch.split(data, -(-data.shape[axis] // parts), axis)
    return torch.split(data, list(sizes), axis)


@_operator("Gather")
def _gather(attributes: Mapping[str, Any], data: Any, index: Any) -> Any:
    axis = attributes.get("axis", 0)
    data = _tensor(data)
    index = (
        torch.tensor(index, device=data.device) if not isinstance(index, torch.Tensor) else index
    )
    index = torch.where(index < 0, index + data.shape[axis], index)
    shape = (*data.shape[: axis % data.dim()], *index.shape, *data.shape[axis % data.dim() + 1 :])
    return data.index_select(axis, index.reshape(-1)).reshape(shape)


@_operator("Expand")
def _expand(_: Mapping[str, Any], data: Any, shape: Any) -> Any:
    return data.expand(torch.broadcast_shapes(data.shape, tuple(shape)))


@_operator("Pad")
def _pad(
    attributes: Mapping[str, Any], data: Any, pads: Any = None, value: Any = None, axes: Any = None
) -> Any:
    pads = list(attributes["pads"] if pads is None else pads)
    if axes is not None:
        count, full = len(axes), [0] * 2 * data.dim()
        for i, axis in enumerate(axes):
            full[axis % data.dim()], full[axis % data.dim() + data.dim()] = (
                pads[i],
                pads[i + count],
            )
        pads = full
    reverse = [
        side
        for axis in reversed(range(data.dim()))
        for side in (pads[axis], pads[axis + data.dim()])
    ]
    mode = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}[
        attributes.get("mode", "constant")
    ]
    if mode == "constant":
        return functional.pad(data, reverse, value=0.0 if value is None else _number(value))
    return functional.pad(data, reverse[: 2 * (data.dim() - 2)], mode=mode)


@_operator("Cast")
def _cast(attributes: Mapping[str, Any], data: Any) -> Any:
    kinds = {1: torch.float32, 2: torch.uint8, 3: torch.int8, 6: torch.int32, 7: torch.int64, 9: torch.bool,
             10: torch.float16, 11: torch.float64, 16: torch.bfloat16}  # fmt: skip
    return _tensor(data).to(kinds[attributes["to"]])


@_operator("Identity", "Dropout")
def _identity(_: Mapping[str, Any], data: Any, *rest: Any) -> Any:  # noqa: ARG001
    return data


@_operator("QuantizeLinear")
def _quantize(attributes: Mapping[str, Any], data: Any, scale: Any, zero: Any = None) -> Any:
    shape = _along(attributes, data, scale)
    kind = torch.uint8 if zero is None else zero.dtype
    limits = torch.iinfo(kind)
    shifted = torch.round(data / scale.reshape(shape)) + (
        0 if zero is None else zero.to(data.dtype).reshape(shape)
    )
    return torch.clamp(shifted, limits.min, limits.max).to(kind)


@_operator("DequantizeLinear")
def _dequantize(attributes: Mapping[str, Any], data: Any, scale: Any, zero: Any = None) -> Any:
    shape = _along(attributes, data, scale)
    integers = _tensor(data).to(scale.dtype)
    return (
        integers
        if zero is None
        else integers - _tensor(zero, scale).to(scale.dtype).reshape(shape)
    ) * scale.reshape(shape)


def _along(attributes: Mapping[str, Any], data: Any, scale: Any) -> list[int]:
    shape = [1] * _tensor(data).dim()
    if scale.numel() > 1:
        shape[attributes.get("axis", 1)] = scale.numel()
    return shape
