"""YOLOv2, v3 and v4 as Darknet has them, YOLOv7, and their tiny ones: no package of Python defines them.

For `benchmarks/network_layers.py`. After the papers and the widths of their configurations for the
80 classes of COCO. Normalizations are folded, activations are those that are published, and of
YOLOv7 the convolutions that are parameterized anew for deployment are one each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from plain_layers import Network, cat, conv, functional, pool, twice

ANCHORS, OUTPUTS = 3, 85
"""Boxes of a place, and the numbers of each: four of the box, one for an object, and 80 classes."""


def _mish(data: Any, width: int, kernel: int = 1, stride: int = 1) -> Any:
    return conv(data, width, kernel, stride, act="mish")


def _leaky(data: Any, width: int, kernel: int = 1, stride: int = 1) -> Any:
    return conv(data, width, kernel, stride, act="leaky_relu")


def _silu(data: Any, width: int, kernel: int = 1, stride: int = 1) -> Any:
    return conv(data, width, kernel, stride, act="silu")


def _boxes(data: Any, anchors: int = ANCHORS) -> Any:
    """Return the boxes of each place of a scale."""
    return conv(data, anchors * OUTPUTS, act=None)


def _head(data: Any, width: int, anchors: int = ANCHORS) -> Any:
    """Return the boxes of a scale, behind a convolution of nine places."""
    return _boxes(_leaky(data, width, 3), anchors)


def _in_turns(data: Any, width: int, times: int) -> Any:
    """Return convolutions of one place and of nine in turns, the first of one."""
    for turn in range(times):
        wide = turn % 2 == 1
        data = _leaky(data, 2 * width if wide else width, 3 if wide else 1)
    return data


def yolov2(data: Any) -> Any:
    """Return the boxes of YOLOv2: Darknet-19, and the scale before the last folded beside it.

    Redmon and Farhadi, https://arxiv.org/abs/1612.08242.
    """
    data = _leaky(data, 32, 3)
    fine = data
    for width, times in ((64, 1), (128, 3), (256, 3), (512, 5), (1024, 5)):
        fine = data
        data = _in_turns(_leaky(pool(data), width, 3), width // 2, times - 1)
    data = _leaky(_leaky(data, 1024, 3), 1024, 3)
    folded = functional().pixel_unshuffle(_leaky(fine, 64), 2)
    return _head(cat(folded, data), 1024, anchors=5)


DARKNET_53 = ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4))
"""Width and number of residual blocks of each stage of Darknet-53 and of CSPDarknet-53."""


def yolov3(data: Any) -> list[Any]:
    """Return the boxes of the three scales of YOLOv3, on Darknet-53.

    Redmon and Farhadi, https://arxiv.org/abs/1804.02767.
    """
    data = _leaky(data, 32, 3)
    scales: list[Any] = []
    for width, deep in DARKNET_53:
        data = _leaky(data, width, 3, 2)
        for _ in range(deep):
            data = data + _in_turns(data, width // 2, 2)
        scales.append(data)
    found: list[Any] = []
    for width, finer in ((512, scales[3]), (256, scales[2]), (128, None)):
        data = _in_turns(data, width, 5)
        found.append(_head(data, 2 * width))
        if finer is not None:
            data = cat(twice(_leaky(data, width // 2)), finer)
    return found


def yolov3_tiny(data: Any) -> list[Any]:
    """Return the boxes of the two scales of YOLOv3-tiny, of the same authors' Darknet."""
    data = _leaky(data, 16, 3)
    for width in (32, 64, 128, 256):
        data = _leaky(pool(data), width, 3)
    low = _leaky(pool(data), 512, 3)
    low = pool(functional().pad(low, (0, 1, 0, 1)), 2, 1)
    low = _leaky(_leaky(low, 1024, 3), 256)
    return [_head(low, 512), _head(cat(twice(_leaky(low, 128)), data), 256)]


def _stage(data: Any, width: int, deep: int) -> Any:
    """Return a stage of CSPDarknet-53.

    Half of the channels goes past the residual blocks, of the first stage all of them.
    """
    data = _mish(data, width, 3, 2)
    half = width if deep == 1 else width // 2
    past, row = _mish(data, half), _mish(data, half)
    for _ in range(deep):
        row = row + _mish(_mish(row, 32 if deep == 1 else half), half, 3)
    return _mish(cat(_mish(row, half), past), width)


def yolov4(data: Any) -> list[Any]:
    """Return the boxes of the three scales of YOLOv4.

    Bochkovskiy, Wang and Liao, https://arxiv.org/abs/2004.10934.
    """
    data = _mish(data, 32, 3)
    scales: list[Any] = []
    for width, deep in DARKNET_53:
        data = _stage(data, width, deep)
        scales.append(data)
    top = _in_turns(data, 512, 3)
    pools = [pool(top, size, 1, size // 2) for size in (13, 9, 5)]
    top = _in_turns(cat(*pools, top), 512, 3)
    kept = [top]
    for width, scale in ((256, scales[3]), (128, scales[2])):
        up = twice(_leaky(kept[-1], width))
        kept.append(_in_turns(cat(_leaky(scale, width), up), width, 5))
    found: list[Any] = []
    data = kept[-1]
    for width, below in ((128, None), (256, kept[1]), (512, kept[0])):
        if below is not None:
            data = _in_turns(cat(_leaky(data, width, 3, 2), below), width, 5)
        found.append(_head(data, 2 * width))
    return found


def yolov4_tiny(data: Any) -> list[Any]:
    """Return the boxes of the two scales of YOLOv4-tiny.

    In a stage half of the channels goes past the rest: Wang, Bochkovskiy and Liao,
    https://arxiv.org/abs/2011.08036.
    """
    data = _leaky(_leaky(data, 32, 3, 2), 64, 3, 2)
    joined = data
    for width in (64, 128, 256):
        data = _leaky(data, width, 3)
        first = _leaky(data[:, width // 2 :], width // 2, 3)
        joined = _leaky(cat(_leaky(first, width // 2, 3), first), width)
        data = pool(cat(data, joined))
    low = _leaky(_leaky(data, 512, 3), 256)
    return [_head(low, 512), _head(cat(twice(_leaky(low, 128)), joined), 256)]


def _aggregate(
    layer: Callable[..., Any],
    data: Any,
    width: int,
    out: int,
    *,
    inner: int,
    deep: int,
    every: int = 1,
) -> Any:
    """Return the block of YOLOv7's figure 2: convolutions in a row, some of whose outputs are joined.

    Args:
        layer: A convolution and its activation.
        data: Its input.
        width: Channels of the two branches.
        out: Channels of the output.
        inner: Channels of the convolutions in a row.
        deep: How many those are.
        every: Of how many of them one is joined.
    """
    kept = [layer(data, width), layer(data, width)]
    row = kept[-1]
    for place in range(1, deep + 1):
        row = layer(row, inner, 3)
        if place % every == 0:
            kept.append(row)
    return layer(cat(*reversed(kept)), out)


def _pools(data: Any) -> list[Any]:
    """Return an image, and what windows of three sizes find in it."""
    return [data, *(pool(data, size, 1, size // 2) for size in (5, 9, 13))]


def _halve(data: Any, width: int, *beside: Any) -> Any:
    """Return an image of half the height and width: pooled, and by a convolution."""
    pooled = _silu(pool(data), width)
    return cat(_silu(_silu(data, width), width, 3, 2), pooled, *beside)


def yolov7(data: Any) -> list[Any]:
    """Return the boxes of the three scales of YOLOv7.

    Wang, Bochkovskiy and Liao, https://arxiv.org/abs/2207.02696.
    """
    data = _silu(_silu(_silu(data, 32, 3), 64, 3, 2), 64, 3)
    data = _aggregate(_silu, _silu(data, 128, 3, 2), 64, 256, inner=64, deep=4, every=2)
    scales: list[Any] = []
    for width, out in ((128, 512), (256, 1024), (256, 1024)):
        data = _halve(data, data.shape[1] // 2)
        data = _aggregate(_silu, data, width, out, inner=width, deep=4, every=2)
        scales.append(data)
    third, fourth, fifth = scales
    row = _silu(_silu(_silu(fifth, 512), 512, 3), 512)
    row = _silu(_silu(cat(*_pools(row)), 512), 512, 3)
    low = _silu(cat(row, _silu(fifth, 512)), 512)

    def join(data: Any, width: int) -> Any:
        return _aggregate(_silu, data, width, width, inner=width // 2, deep=4)

    middle = join(cat(_silu(fourth, 256), twice(_silu(low, 256))), 256)
    fine = join(cat(_silu(third, 128), twice(_silu(middle, 128))), 128)
    middle = join(_halve(fine, 128, middle), 256)
    low = join(_halve(middle, 256, low), 512)
    ends = ((fine, 256), (middle, 512), (low, 1024))
    return [_boxes(_silu(scale, width, 3)) for scale, width in ends]


def yolov7_tiny(data: Any) -> list[Any]:
    """Return the boxes of the three scales of YOLOv7-tiny, of the same paper."""

    def join(data: Any, width: int) -> Any:
        return _aggregate(_leaky, data, width, 2 * width, inner=width, deep=2)

    data = join(_leaky(_leaky(data, 32, 3, 2), 64, 3, 2), 32)
    scales: list[Any] = []
    for width in (64, 128, 256):
        data = join(pool(data), width)
        scales.append(data)
    third, fourth, fifth = scales
    pooled = _leaky(cat(*_pools(_leaky(fifth, 256))), 256)
    low = _leaky(cat(pooled, _leaky(fifth, 256)), 256)
    middle = join(cat(_leaky(fourth, 128), twice(_leaky(low, 128))), 64)
    fine = join(cat(_leaky(third, 64), twice(_leaky(middle, 64))), 32)
    middle = join(cat(_leaky(fine, 128, 3, 2), middle), 64)
    low = join(cat(_leaky(middle, 256, 3, 2), low), 128)
    return [_head(scale, width) for scale, width in ((fine, 128), (middle, 256), (low, 512))]


NETWORKS: dict[str, tuple[int, Network]] = {
    "yolov2": (416, yolov2),
    "yolov3_darknet": (416, yolov3),
    "yolov3_tiny": (416, yolov3_tiny),
    "yolov4": (416, yolov4),
    "yolov4_tiny": (416, yolov4_tiny),
    "yolov7": (640, yolov7),
    "yolov7_tiny": (640, yolov7_tiny),
}
"""The networks by name: input size, and a function of an image."""
