"""Networks that the packages of Python lack, for `benchmarks/network_layers.py`.

MobileNet v1, SSD on it, on MobileNet v2 and on ResNet-34, ShuffleNet v1 and U-Net, after the
papers. Normalizations are folded, and activations are those that are published.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from plain_layers import Network, cat, conv, depthwise, functional, linear, pool, zeros_for

BLOCKS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5,
    (1024, 2), (1024, 1),
)  # fmt: skip
"""Width and stride of each separable convolution of MobileNet v1."""

INVERTED = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
    (6, 320, 1, 1),
)  # fmt: skip
"""Expansion, width, number and first stride of the inverted residual blocks of MobileNet v2."""

EXTRAS = ((256, 512), (128, 256), (128, 256), (64, 128))
"""Width of one place and of nine of each extra layer of SSD on MobileNet."""

CLASSES = 91
"""What a box of TensorFlow's detectors may be."""


def _six(data: Any, width: int, kernel: int = 1, stride: int = 1) -> Any:
    return conv(data, width, kernel, stride, act="relu6")


def _mobilenet(data: Any, width: float) -> list[Any]:
    """Return what the separable convolutions write, of so many times the channels."""
    data = _six(data, int(32 * width), 3, 2)
    found: list[Any] = []
    for channels, stride in BLOCKS:
        data = _six(depthwise(data, stride, act="relu6"), int(channels * width))
        found.append(data)
    return found


def mobilenet_v1(width: float) -> Network:
    """Return MobileNet v1 of so many times the channels, with its 1,000 classes.

    Howard and others, https://arxiv.org/abs/1704.04861, table 1.
    """

    def classes(data: Any) -> Any:
        return linear(_mobilenet(data, width)[-1].mean((2, 3)), 1000)

    return classes


def ssd_mobilenet_v1(data: Any) -> list[Any]:
    """Return the boxes and classes of SSD on MobileNet v1, as TensorFlow's detectors have it."""
    found = _mobilenet(data, 1.0)
    scales = [found[10], found[12]]
    for narrow, width in EXTRAS:
        scales.append(_six(_six(scales[-1], narrow), width, 3, 2))
    boxes = [3, *[6] * 5]
    return [
        conv(scale, each * numbers, act=None)
        for scale, each in zip(scales, boxes, strict=True)
        for numbers in (4, CLASSES)
    ]


def _boxes(
    scales: list[Any], boxes: Iterable[int], classes: int, strides: Iterable[int] = (1,) * 6
) -> list[Any]:
    """Return the boxes and classes of each scale, by convolutions of nine places."""
    return [
        conv(scale, each * numbers, 3, stride, act=None)
        for scale, each, stride in zip(scales, boxes, strides, strict=True)
        for numbers in (4, classes)
    ]


def _mobilenet_v2(data: Any) -> list[Any]:
    """Return what SSD takes: the expansion of the 14th block, and the last convolution.

    Sandler and others, https://arxiv.org/abs/1801.04381, table 2.
    """
    data = _six(data, 32, 3, 2)
    wide: list[Any] = []
    for expansion, width, deep, first in INVERTED:
        for stride in (first, *[1] * (deep - 1)):
            row = data if expansion == 1 else _six(data, expansion * data.shape[1])
            wide.append(row)
            row = conv(depthwise(row, stride, act="relu6"), width, act=None)
            data = data + row if data.shape == row.shape else row
    return [wide[13], _six(data, 1280)]


def ssd_mobilenet_v2(data: Any) -> list[Any]:
    """Return the boxes and classes of SSD on MobileNet v2, as TensorFlow's detectors have it."""
    scales = _mobilenet_v2(data)
    for narrow, width in EXTRAS:
        scales.append(_six(_six(scales[-1], narrow), width, 3, 2))
    return _boxes(scales, (3, 6, 6, 6, 6, 6), CLASSES)


def ssdlite_mobilenet_v2(data: Any) -> list[Any]:
    """Return the same with separable convolutions in extra layers and predictors: SSDLite."""
    scales = _mobilenet_v2(data)
    for narrow, width in EXTRAS:
        scales.append(_six(depthwise(_six(scales[-1], narrow), 2, act="relu6"), width))
    return [
        conv(depthwise(scale, act="relu6"), each * numbers, act=None)
        for scale, each in zip(scales, (3, 6, 6, 6, 6, 6), strict=True)
        for numbers in (4, CLASSES)
    ]


def _resnet_34(data: Any) -> Any:
    """Return what the first three stages of ResNet-34 find, the third at the size of the second."""
    data = pool(conv(data, 64, 7, 2, act="relu"), 3, 2, 1)
    for width, deep, first in ((64, 3, 1), (128, 4, 2), (256, 6, 1)):
        for stride in (first, *[1] * (deep - 1)):
            row = conv(conv(data, width, 3, stride, act="relu"), width, 3, act=None)
            same = data.shape == row.shape
            past = data if same else conv(data, width, 1, stride, act=None)
            data = functional().relu(row + past)
    return data


def ssd_resnet34(data: Any) -> list[Any]:
    """Return the boxes and the 81 classes of SSD on ResNet-34, as MLPerf Inference has it.

    Reddi and others, https://arxiv.org/abs/1911.02549, table 1.
    """
    scales = [_resnet_34(data)]
    for narrow, width, stride in (
        (256, 512, 2), (256, 512, 2), (128, 256, 2), (128, 256, 2), (128, 256, 1),
    ):  # fmt: skip
        row = conv(scales[-1], narrow, act="relu")
        edge = stride - 1  # the last extra layer is not padded
        scales.append(conv(row, width, 3, stride, act="relu", padding=edge))
    return _boxes(scales, (4, 6, 6, 6, 4, 4), 81, (3, 3, 2, 2, 2, 2))


GROUPS = 3
"""Of channels in the convolutions of one place of ShuffleNet v1."""


def _shuffle(data: Any) -> Any:
    """Return the channels of the groups in turns."""
    images, channels, height, width = data.shape
    apart = data.view(images, GROUPS, channels // GROUPS, height, width)
    return apart.transpose(1, 2).reshape(images, channels, height, width)


def shufflenet_v1(data: Any) -> Any:
    """Return the 1,000 classes of ShuffleNet v1.

    Zhang and others, https://arxiv.org/abs/1707.01083, table 1.
    """
    data = pool(conv(data, 24, 3, 2, act="relu"), 3, 2, 1)
    for width, deep in ((240, 4), (480, 8), (960, 4)):
        for stride in (2, *[1] * (deep - 1)):
            groups = 1 if data.shape[1] == 24 else GROUPS  # 24 are too few to be grouped
            row = _shuffle(conv(data, width // 4, act="relu", groups=groups))
            row = depthwise(row, stride, act=None)
            added = width - data.shape[1] if stride == 2 else width
            row = conv(row, added, act=None, groups=GROUPS)
            if stride == 2:
                row = cat(functional().avg_pool2d(data, 3, 2, 1), row)
            data = functional().relu(row if stride == 2 else data + row)
    return linear(data.mean((2, 3)), 1000)


def _pair(data: Any, width: int) -> Any:
    """Return two convolutions of nine places."""
    return conv(conv(data, width, 3, act="relu"), width, 3, act="relu")


def unet(data: Any) -> Any:
    """Return the 12 classes of CamVid for each pixel, by U-Net with padded convolutions.

    Ronneberger and others, https://arxiv.org/abs/1505.04597, figure 1.
    """
    scales = [_pair(data, 64)]
    for width in (128, 256, 512, 1024):
        scales.append(_pair(pool(scales[-1]), width))
    data = scales.pop()
    for width in (512, 256, 128, 64):
        up = functional().conv_transpose2d(data, zeros_for(data, 2 * width, width, 2, 2), stride=2)
        data = _pair(cat(scales.pop(), up), width)
    return conv(data, 12, act=None)


NETWORKS: dict[str, tuple[int | tuple[int, int], Network]] = {
    "mobilenet_v1_0.25": (224, mobilenet_v1(0.25)),
    "mobilenet_v1_0.5": (224, mobilenet_v1(0.5)),
    "mobilenet_v1_0.75": (224, mobilenet_v1(0.75)),
    "ssd_mobilenet_v1": (300, ssd_mobilenet_v1),
    "ssd_mobilenet_v2": (300, ssd_mobilenet_v2),
    "ssdlite_mobilenet_v2": (300, ssdlite_mobilenet_v2),
    "ssd_resnet34_1200": (1200, ssd_resnet34),
    "shufflenet_v1": (224, shufflenet_v1),
    "unet_camvid": ((368, 480), unet),
}
"""The networks by name: input size, or height and width, and a function of an image."""
