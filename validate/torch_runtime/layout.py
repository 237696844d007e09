"""ONNX operators that move, slice, cast or quantize tensors, as torch functions (see `_torch_ops`)."""

# torch is optional and its stubs are partial; everything in this module is a torch call.
# pyright: basic

from __future__ import annotations

import importlib
from typing import Any

from roofline.node import Attributes
from roofline.validate.torch_runtime.table import number, operator, tensor

torch: Any = importlib.import_module("torch")
functional: Any = importlib.import_module("torch.nn.functional")


@operator("Concat")
def _concat(attributes: Attributes, *operands: Any) -> Any:
    like = next((operand for operand in operands if isinstance(operand, torch.Tensor)), None)
    return torch.cat([tensor(operand, like) for operand in operands], attributes["axis"])


@operator("Reshape")
def _reshape(attributes: Attributes, data: Any, shape: Any = None) -> Any:
    wanted = list(attributes["shape"] if shape is None else shape)
    if not attributes.get("allowzero", 0):
        wanted = [data.shape[axis] if size == 0 else size for axis, size in enumerate(wanted)]
    return data.reshape(wanted)


@operator("Flatten")
def _flatten(attributes: Attributes, data: Any) -> Any:
    axis = attributes.get("axis", 1)
    rows = 1
    for size in data.shape[: axis if axis >= 0 else data.dim() + axis]:
        rows *= size
    return data.reshape(rows, -1)


@operator("Transpose")
def _transpose(attributes: Attributes, data: Any) -> Any:
    return data.permute(attributes.get("perm") or list(reversed(range(data.dim()))))


@operator("Squeeze")
def _squeeze(attributes: Attributes, data: Any, axes: Any = None) -> Any:
    axes = attributes.get("axes") if axes is None else axes
    data = tensor(data)
    return data.squeeze() if axes is None else data.squeeze(tuple(axes))


@operator("Unsqueeze")
def _unsqueeze(attributes: Attributes, data: Any, axes: Any = None) -> Any:
    axes = list(attributes["axes"] if axes is None else axes)
    rank = data.dim() + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        data = data.unsqueeze(axis)
    return data


@operator("Slice")
def _slice(
    attributes: Attributes,
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


@operator("Split")
def _split(attributes: Attributes, data: Any, sizes: Any = None) -> Any:
    axis = attributes.get("axis", 0)
    sizes = attributes.get("split") if sizes is None else sizes
    if sizes is None:
        parts = attributes.get("num_outputs", attributes["results"])
        return torch.split(data, -(-data.shape[axis] // parts), axis)
    return torch.split(data, list(sizes), axis)


@operator("Gather")
def _gather(attributes: Attributes, data: Any, index: Any) -> Any:
    axis = attributes.get("axis", 0)
    data = tensor(data)
    index = (
        torch.tensor(index, device=data.device) if not isinstance(index, torch.Tensor) else index
    )
    index = torch.where(index < 0, index + data.shape[axis], index)
    shape = (*data.shape[: axis % data.dim()], *index.shape, *data.shape[axis % data.dim() + 1 :])
    return data.index_select(axis, index.reshape(-1)).reshape(shape)


@operator("Expand")
def _expand(_: Attributes, data: Any, shape: Any) -> Any:
    return data.expand(torch.broadcast_shapes(data.shape, tuple(shape)))


@operator("Pad")
def _pad(
    attributes: Attributes, data: Any, pads: Any = None, value: Any = None, axes: Any = None
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
        return functional.pad(data, reverse, value=0.0 if value is None else number(value))
    return functional.pad(data, reverse[: 2 * (data.dim() - 2)], mode=mode)


@operator("Cast")
def _cast(attributes: Attributes, data: Any) -> Any:
    kinds = {1: torch.float32, 2: torch.uint8, 3: torch.int8, 6: torch.int32, 7: torch.int64, 9: torch.bool,
             10: torch.float16, 11: torch.float64, 16: torch.bfloat16}  # fmt: skip
    return tensor(data).to(kinds[attributes["to"]])


@operator("Identity", "Dropout")
def _identity(_: Attributes, data: Any, *rest: Any) -> Any:  # noqa: ARG001
    return data


@operator("QuantizeLinear")
def _quantize(attributes: Attributes, data: Any, scale: Any, zero: Any = None) -> Any:
    shape = _shape_along(attributes, data, scale)
    kind = torch.uint8 if zero is None else zero.dtype
    limits = torch.iinfo(kind)
    shifted = torch.round(data / scale.reshape(shape)) + (
        0 if zero is None else zero.to(data.dtype).reshape(shape)
    )
    return torch.clamp(shifted, limits.min, limits.max).to(kind)


@operator("DequantizeLinear")
def _dequantize(attributes: Attributes, data: Any, scale: Any, zero: Any = None) -> Any:
    shape = _shape_along(attributes, data, scale)
    integers = tensor(data).to(scale.dtype)
    return (
        integers if zero is None else integers - tensor(zero, scale).to(scale.dtype).reshape(shape)
    ) * scale.reshape(shape)


def _shape_along(attributes: Attributes, data: Any, scale: Any) -> list[int]:
    shape = [1] * tensor(data).dim()
    if scale.numel() > 1:
        shape[attributes.get("axis", 1)] = scale.numel()
    return shape
