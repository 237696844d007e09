"""The numbers of a 2-D convolution, read from a Relax module, and its frame of zeros."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Convolution:
    """The numbers of one 2-D convolution in NCHW layout."""

    batch: int
    channels: int
    height: int
    width: int
    filters: int
    kernel: tuple[int, int]
    strides: tuple[int, int]
    padding: tuple[int, int, int, int]
    """Top, left, bottom, right."""
    dilation: tuple[int, int]
    groups: int
    dtype: str
    """Datatype of the input."""
    sums: str
    """Datatype of the products and their sums: ``int32`` for 8-bit integers."""

    @property
    def depth(self) -> int:
        """Elements of a filter, with one group."""
        return self.channels * self.kernel[0] * self.kernel[1]

    @property
    def output(self) -> tuple[int, int]:
        """Height and width of the result."""
        top, left, bottom, right = self.padding
        reach = [
            (size - 1) * step + 1 for size, step in zip(self.kernel, self.dilation, strict=True)
        ]
        return (
            (self.height + top + bottom - reach[0]) // self.strides[0] + 1,
            (self.width + left + right - reach[1]) // self.strides[1] + 1,
        )


def pad(data: Any, conv: Convolution) -> Any:
    """Return the input tensor expression with its frame of zeros."""
    topi: Any = importlib.import_module("tvm.topi")

    top, left, bottom, right = conv.padding
    if not any(conv.padding):
        return data
    return topi.nn.pad(data, (0, 0, top, left), (0, 0, bottom, right), name="padded")


def conv2d_numbers(call: Any) -> Convolution | None:
    """Return the numbers of a call of ``nn.conv2d`` in NCHW, or None for any other call."""
    if getattr(call.op, "name", "") != "relax.nn.conv2d":
        return None
    attributes = call.attrs
    if attributes.data_layout != "NCHW" or attributes.kernel_layout != "OIHW":
        return None
    sizes: list[Any] = [size for argument in call.args for size in argument.ty.shape]
    if len(sizes) != 8 or not all(
        hasattr(size, "value") or isinstance(size, int) for size in sizes
    ):
        return None
    data, kernel = ([int(size) for size in part] for part in (sizes[:4], sizes[4:]))
    top, left, bottom, right = (int(size) for size in attributes.padding)
    return Convolution(
        data[0], data[1], data[2], data[3], kernel[0], (kernel[2], kernel[3]),
        (int(attributes.strides[0]), int(attributes.strides[1])), (top, left, bottom, right),
        (int(attributes.dilation[0]), int(attributes.dilation[1])), int(attributes.groups),
        str(call.args[0].ty.dtype), str(call.ty.dtype),
    )  # fmt: skip
