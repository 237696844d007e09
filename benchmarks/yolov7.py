"""YOLOv7 and YOLOv7-tiny as they are deployed, for `benchmarks/network_layers.py`: no package of Python defines them.

Written after the figures of the paper (Wang, Bochkovskiy and Liao, https://arxiv.org/abs/2207.02696) and the widths of
its configurations. Normalizations are folded, and the heads' re-parameterized convolutions are one each.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

ANCHORS, OUTPUTS = 3, 85
"""Boxes of a place, and the numbers of each: four of the box, one for an object, and 80 classes."""


class Layers:
    """What networks are made of; each convolution is made where it is called."""

    def __init__(self, slope: float | None) -> None:
        """Choose the activation.

        Args:
            slope: Of leaky ReLU below zero; None is SiLU.
        """
        self._torch: Any = importlib.import_module("torch")
        self._slope = slope

    def conv(self, data: Any, width: int, kernel: int = 1, stride: int = 1) -> Any:
        """Return a convolution and its activation."""
        functional = self._torch.nn.functional
        weight = self._torch.zeros(width, data.shape[1], kernel, kernel, device=data.device)
        out = functional.conv2d(data, weight, stride=stride, padding=kernel // 2)
        return (
            functional.silu(out)
            if self._slope is None
            else functional.leaky_relu(out, self._slope)
        )

    def cat(self, *data: Any) -> Any:
        """Return channels behind one another."""
        return self._torch.cat(data, 1)

    def pool(self, data: Any, size: int, stride: int = 1) -> Any:
        """Return the largest of windows; with a stride of one the size stays."""
        padding = size // 2 if stride == 1 else 0
        return self._torch.nn.functional.max_pool2d(data, size, stride, padding)

    def twice(self, data: Any) -> Any:
        """Return an image of twice the height and width."""
        return self._torch.nn.functional.interpolate(data, scale_factor=2)

    def heads(self, *data: Any) -> list[Any]:
        """Return the boxes of each scale."""
        functional = self._torch.nn.functional
        width = ANCHORS * OUTPUTS
        return [
            functional.conv2d(
                each, self._torch.zeros(width, each.shape[1], 1, 1, device=each.device)
            )
            for each in data
        ]

    def aggregate(
        self, data: Any, width: int, out: int, *, inner: int, deep: int, every: int
    ) -> Any:
        """Return the block of the paper's figure 2: convolutions in a row, some of whose outputs are joined.

        Args:
            data: Its input.
            width: Channels of the two branches.
            out: Channels of the output.
            inner: Channels of the convolutions in a row.
            deep: How many those are.
            every: Of how many of them one is joined.
        """
        kept = [self.conv(data, width), self.conv(data, width)]
        row = kept[-1]
        for place in range(1, deep + 1):
            row = self.conv(row, inner, 3)
            if place % every == 0:
                kept.append(row)
        return self.conv(self.cat(*reversed(kept)), out)

    def halve(self, data: Any, width: int, *beside: Any) -> Any:
        """Return an image of half the height and width: pooled, and by a convolution."""
        pooled = self.conv(self.pool(data, 2, 2), width)
        return self.cat(self.conv(self.conv(data, width), width, 3, 2), pooled, *beside)


def yolov7(data: Any) -> list[Any]:
    """Return the heads of YOLOv7."""
    on = Layers(None)
    x = on.conv(on.conv(on.conv(data, 32, 3), 64, 3, 2), 64, 3)
    x = on.aggregate(on.conv(x, 128, 3, 2), 64, 256, inner=64, deep=4, every=2)
    scales: list[Any] = []
    for width, out in ((128, 512), (256, 1024), (256, 1024)):
        x = on.halve(x, x.shape[1] // 2)
        x = on.aggregate(x, width, out, inner=width, deep=4, every=2)
        scales.append(x)
    third, fourth, fifth = scales
    row = on.conv(on.conv(on.conv(fifth, 512), 512, 3), 512)
    pooled = on.cat(row, *(on.pool(row, size) for size in (5, 9, 13)))
    row = on.conv(on.conv(pooled, 512), 512, 3)
    low = on.conv(on.cat(row, on.conv(fifth, 512)), 512)

    def join(x: Any, width: int) -> Any:
        return on.aggregate(x, width, width, inner=width // 2, deep=4, every=1)

    middle = join(on.cat(on.conv(fourth, 256), on.twice(on.conv(low, 256))), 256)
    fine = join(on.cat(on.conv(third, 128), on.twice(on.conv(middle, 128))), 128)
    middle = join(on.halve(fine, 128, middle), 256)
    low = join(on.halve(middle, 256, low), 512)
    return on.heads(on.conv(fine, 256, 3), on.conv(middle, 512, 3), on.conv(low, 1024, 3))


def yolov7_tiny(data: Any) -> list[Any]:
    """Return the heads of YOLOv7-tiny."""
    on = Layers(0.1)

    def join(x: Any, width: int) -> Any:
        return on.aggregate(x, width, 2 * width, inner=width, deep=2, every=1)

    x = join(on.conv(on.conv(data, 32, 3, 2), 64, 3, 2), 32)
    scales: list[Any] = []
    for width in (64, 128, 256):
        x = join(on.pool(x, 2, 2), width)
        scales.append(x)
    third, fourth, fifth = scales
    row = on.conv(fifth, 256)
    pooled = on.conv(on.cat(row, *(on.pool(row, size) for size in (5, 9, 13))), 256)
    low = on.conv(on.cat(pooled, on.conv(fifth, 256)), 256)
    middle = join(on.cat(on.conv(fourth, 128), on.twice(on.conv(low, 128))), 64)
    fine = join(on.cat(on.conv(third, 64), on.twice(on.conv(middle, 64))), 32)
    middle = join(on.cat(on.conv(fine, 128, 3, 2), middle), 64)
    low = join(on.cat(on.conv(middle, 256, 3, 2), low), 128)
    return on.heads(on.conv(fine, 128, 3), on.conv(middle, 256, 3), on.conv(low, 512, 3))


NETWORKS: dict[str, Callable[[Any], list[Any]]] = {"yolov7": yolov7, "yolov7_tiny": yolov7_tiny}
