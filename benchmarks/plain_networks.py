"""Networks that no package of Python defines, for `benchmarks/network_layers.py`: YOLOv4, MobileNet v1 and its SSD.

YOLOv4 after the figures of the paper (Bochkovskiy, Wang and Liao, https://arxiv.org/abs/2004.10934) and the widths of
its configuration; MobileNet v1 after table 1 of the paper (Howard and others, https://arxiv.org/abs/1704.04861), with
the extra layers and box predictors of SSD. Normalizations are folded, and activations are those that are published.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

ANCHORS, OUTPUTS = 3, 85
"""Boxes of a place, and the numbers of each: four of the box, one for an object, and 80 classes."""


def _functional() -> Any:
    return importlib.import_module("torch.nn.functional")


def _conv(
    data: Any, width: int, kernel: int = 1, stride: int = 1, *, act: str | None = "mish", groups: int = 1
) -> Any:  # fmt: skip
    """Return a convolution and its activation; None for none."""
    torch: Any = importlib.import_module("torch")
    weight = torch.zeros(width, data.shape[1] // groups, kernel, kernel, device=data.device)
    out = _functional().conv2d(data, weight, stride=stride, padding=kernel // 2, groups=groups)
    return out if act is None else getattr(_functional(), act)(out)


def _cat(*data: Any) -> Any:
    torch: Any = importlib.import_module("torch")
    return torch.cat(data, 1)


def _stage(data: Any, width: int, deep: int) -> Any:
    """Return a stage of CSPDarknet-53: half of the channels goes past the residual blocks, of the first one all."""
    data = _conv(data, width, 3, 2)
    half = width if deep == 1 else width // 2
    past, row = _conv(data, half), _conv(data, half)
    for _ in range(deep):
        row = row + _conv(_conv(row, 32 if deep == 1 else half), half, 3)
    return _conv(_cat(_conv(row, half), past), width)


def _in_turns(data: Any, width: int, times: int) -> Any:
    """Return convolutions of one place and of nine in turns, the first and the last of one."""
    for turn in range(times):
        wide = turn % 2 == 1
        data = _conv(data, 2 * width if wide else width, 3 if wide else 1, act="leaky_relu")
    return data


def yolov4(data: Any) -> list[Any]:
    """Return the boxes of the three scales."""
    functional = _functional()
    data = _conv(data, 32, 3)
    scales: list[Any] = []
    for width, deep in ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4)):
        data = _stage(data, width, deep)
        scales.append(data)
    top = _in_turns(data, 512, 3)
    pools = [functional.max_pool2d(top, size, 1, size // 2) for size in (13, 9, 5)]
    top = _in_turns(_cat(*pools, top), 512, 3)
    kept = [top]
    for width, scale in ((256, scales[3]), (128, scales[2])):
        up = functional.interpolate(_conv(kept[-1], width, act="leaky_relu"), scale_factor=2)
        kept.append(_in_turns(_cat(_conv(scale, width, act="leaky_relu"), up), width, 5))
    found, data = [], kept[-1]
    for width, below in ((128, None), (256, kept[1]), (512, kept[0])):
        if below is not None:
            data = _conv(data, width, 3, 2, act="leaky_relu")
            data = _in_turns(_cat(data, below), width, 5)
        head = _conv(data, 2 * width, 3, act="leaky_relu")
        found.append(_conv(head, ANCHORS * OUTPUTS, act=None))
    return found


BLOCKS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1),
)  # fmt: skip
"""Width and stride of each separable convolution of MobileNet v1."""


def _mobilenet(data: Any, width: float) -> list[Any]:
    """Return what each separable convolution of MobileNet v1 writes, of so many times the channels."""
    data = _conv(data, int(32 * width), 3, 2, act="relu6")
    found: list[Any] = []
    for channels, stride in BLOCKS:
        data = _conv(data, data.shape[1], 3, stride, act="relu6", groups=data.shape[1])
        data = _conv(data, int(channels * width), act="relu6")
        found.append(data)
    return found


def mobilenet_v1(width: float) -> Callable[[Any], Any]:
    """Return MobileNet v1 of so many times the channels, with its 1,000 classes."""

    def classes(data: Any) -> Any:
        torch: Any = importlib.import_module("torch")
        pooled = _mobilenet(data, width)[-1].mean((2, 3))
        return pooled @ torch.zeros(pooled.shape[1], 1000, device=data.device)

    return classes


def ssd_mobilenet_v1(data: Any) -> list[Any]:
    """Return the boxes and classes of SSD on MobileNet v1, with 91 classes, as TensorFlow's detectors have it."""
    found = _mobilenet(data, 1.0)
    scales = [found[10], found[12]]
    for narrow, width in ((256, 512), (128, 256), (128, 256), (64, 128)):
        small = _conv(scales[-1], narrow, act="relu6")
        scales.append(_conv(small, width, 3, 2, act="relu6"))
    boxes = [3, *[6] * 5]
    return [
        _conv(scale, each * numbers, act=None)
        for scale, each in zip(scales, boxes, strict=True)
        for numbers in (4, 91)
    ]


NETWORKS: dict[str, tuple[int, Callable[[Any], Any]]] = {
    "yolov4": (416, yolov4),
    "mobilenet_v1_0.25": (224, mobilenet_v1(0.25)),
    "mobilenet_v1_0.5": (224, mobilenet_v1(0.5)),
    "mobilenet_v1_0.75": (224, mobilenet_v1(0.75)),
    "ssd_mobilenet_v1": (300, ssd_mobilenet_v1),
}
"""The networks by name: input size, and a function of an image."""
