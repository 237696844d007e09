"""YOLOv2, v3 and v4 and their tiny ones as Darknet has them, which no package of Python defines.

For `benchmarks/network_layers.py`. After the papers and the widths of their configurations for the
80 classes of COCO. Normalizations are folded, and activations are those that are published.
"""

from __future__ import annotations

from typing import Any

from plain_layers import Network, cat, conv, functional, pool, twice

ANCHORS, OUTPUTS = 3, 85
"""Boxes of a place, and the numbers of each: four of the box, one for an object, and 80 classes."""


def _mish(data: Any, width: int, kernel: int = 1, stride: int = 1) -> Any:
    return conv(data, width, kernel, stride, act="mish")


def _leaky(data: Any, width: int, kernel: int = 1, stride: int = 1) -> Any:
    return conv(data, width, kernel, stride, act="leaky_relu")


def _head(data: Any, width: int, anchors: int = ANCHORS) -> Any:
    """Return the boxes of a scale."""
    return conv(_leaky(data, width, 3), anchors * OUTPUTS, act=None)


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


NETWORKS: dict[str, tuple[int, Network]] = {
    "yolov2": (416, yolov2),
    "yolov3_darknet": (416, yolov3),
    "yolov3_tiny": (416, yolov3_tiny),
    "yolov4": (416, yolov4),
    "yolov4_tiny": (416, yolov4_tiny),
}
"""The networks by name: input size, and a function of an image."""
