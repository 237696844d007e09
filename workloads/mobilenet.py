"""MobileNet v1 and v2 for ImageNet and CIFAR-10."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from roofline.workloads._network import network

if TYPE_CHECKING:
    from roofline.workloads._builder import Builder, Padding, Value

V1 = "Howard et al., MobileNets, 2017 (arXiv:1704.04861), Table 1"
V2 = "Sandler et al., MobileNetV2, CVPR 2018 (arXiv:1801.04381), Table 2"

V1_BLOCKS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1),
)  # fmt: skip
"""Channels and stride of each depthwise-separable block."""

V2_BLOCKS = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
)  # fmt: skip
"""Expansion, channels, repeats and first stride of each group of inverted residuals."""


def v1(net: Builder, image: int, classes: int) -> None:
    """Add MobileNet v1; at 32 pixels the stem does not stride."""
    large = image > 64
    pad: Padding = "same" if large else "half"
    x = net.input(3, image, image)
    x = net.relu(net.batchnorm(net.conv(x, 32, 3, stride=2 if large else 1, pad=pad)))
    for number, (channels, stride) in enumerate(V1_BLOCKS):
        with net.scope(f"block{number + 1}"):
            x = net.relu(
                net.batchnorm(
                    net.conv(x, x.shape[0], 3, stride=stride, pad=pad, groups=x.shape[0])
                )
            )
            x = net.relu(net.batchnorm(net.conv(x, channels, 1)))
    net.output(net.gemm(net.flatten(net.global_avgpool(x)), classes))


def v2(net: Builder, image: int, classes: int) -> None:
    """Add MobileNet v2; at 32 pixels the stem and the second group do not stride, as CIFAR ports do."""
    large = image > 64
    act = net.relu6 if large else net.relu
    x = act(net.batchnorm(net.conv(net.input(3, image, image), 32, 3, stride=2 if large else 1)))
    number = 0
    for expansion, channels, repeats, first in V2_BLOCKS:
        for repeat in range(repeats):
            number += 1
            stride = first if repeat == 0 and (large or channels != 24) else 1
            with net.scope(f"block{number}"):
                y = x
                if expansion > 1 or not large:
                    y = act(net.batchnorm(net.conv(y, x.shape[0] * expansion, 1)))
                y = act(
                    net.batchnorm(net.conv(y, y.shape[0], 3, stride=stride, groups=y.shape[0]))
                )
                y = net.batchnorm(net.conv(y, channels, 1))
                x = (
                    net.add(y, _shortcut(net, x, channels))
                    if _joins(x, channels, stride, large)
                    else y
                )
    x = act(net.batchnorm(net.conv(x, 1280, 1)))
    net.output(net.gemm(net.flatten(net.global_avgpool(x)), classes))


def _joins(x: Value, channels: int, stride: int, large: bool) -> bool:
    """Return whether a block has a shortcut: the CIFAR port also projects where the channels change."""
    return stride == 1 and (x.shape[0] == channels or not large)


def _shortcut(net: Builder, x: Value, channels: int) -> Value:
    return x if x.shape[0] == channels else net.batchnorm(net.conv(x, channels, 1))


CIFAR = "as used by {users}; layout of the public pytorch-cifar port"

network(
    "mobilenet_v1",
    "MobileNet v1 1.0 224",
    source=V1,
    dataset="ImageNet",
    notes="TensorFlow's SAME padding; 1000 classes (TF-slim's own has 1001)",
)(partial(v1, image=224, classes=1000))
network(
    "mobilenet_v1_cifar10",
    "MobileNet v1 for CIFAR-10",
    source=f"{V1}; {CIFAR.format(users='Turner et al., IISWC 2018, and Gibson et al., DLAS, 2023')}",
    dataset="CIFAR-10",
    notes="stem without stride",
)(partial(v1, image=32, classes=10))
network("mobilenet_v2", "MobileNet v2 1.0 224", source=V2, dataset="ImageNet")(
    partial(v2, image=224, classes=1000)
)
network(
    "mobilenet_v2_cifar10",
    "MobileNet v2 for CIFAR-10",
    source=f"{V2}; {CIFAR.format(users='Gibson et al., DLAS, 2023')}",
    dataset="CIFAR-10",
    notes="stem and second group without stride; ReLU; projected shortcuts where channels change at stride 1",
)(partial(v2, image=32, classes=10))
