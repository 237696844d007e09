"""GoogLeNet (Inception v1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roofline.workloads._network import network

if TYPE_CHECKING:
    from roofline.workloads._builder import Builder, Value

STAGES = (
    ("3a", (64, 96, 128, 16, 32, 32)), ("3b", (128, 128, 192, 32, 96, 64)), ("pool3", None),
    ("4a", (192, 96, 208, 16, 48, 64)), ("4b", (160, 112, 224, 24, 64, 64)), ("4c", (128, 128, 256, 24, 64, 64)),
    ("4d", (112, 144, 288, 32, 64, 64)), ("4e", (256, 160, 320, 32, 128, 128)), ("pool4", None),
    ("5a", (256, 160, 320, 32, 128, 128)), ("5b", (384, 192, 384, 48, 128, 128)),
)  # fmt: skip
"""Per module: channels of 1x1; 3x3 reduce, 3x3; 5x5 reduce, 5x5; pool projection. None is a pool."""


def _inception(net: Builder, x: Value, channels: tuple[int, ...]) -> Value:
    one, reduce3, three, reduce5, five, project = channels

    def conv(y: Value, count: int, kernel: int) -> Value:
        return net.relu(net.conv(y, count, kernel, bias=True))

    branches = (
        conv(x, one, 1),
        conv(conv(x, reduce3, 1), three, 3),
        conv(conv(x, reduce5, 1), five, 5),
        conv(net.maxpool(x, 3, 1, pad=1), project, 1),
    )
    return net.concat(branches)


@network(
    "googlenet_v1",
    "GoogLeNet (Inception v1)",
    source="Szegedy et al., Going Deeper with Convolutions, CVPR 2015 (arXiv:1409.4842), Table 1; BVLC GoogLeNet",
    dataset="ImageNet",
    notes="Caffe's pools round up: 112-56-28-14-7; no auxiliary classifiers",
)
def googlenet(net: Builder) -> None:
    """Add GoogLeNet with local response normalization and pools that round up."""
    x = net.relu(net.conv(net.input(3, 224, 224), 64, 7, stride=2, bias=True))
    x = net.lrn(net.maxpool(x, 3, 2, ceil=True), 5, alpha=1e-4, beta=0.75)
    x = net.relu(net.conv(x, 64, 1, bias=True))
    x = net.relu(net.conv(x, 192, 3, bias=True))
    x = net.maxpool(net.lrn(x, 5, alpha=1e-4, beta=0.75), 3, 2, ceil=True)
    for name, channels in STAGES:
        with net.scope(name):
            x = (
                net.maxpool(x, 3, 2, ceil=True)
                if channels is None
                else _inception(net, x, channels)
            )
    net.output(net.gemm(net.flatten(net.avgpool(x, 7, 1)), 1000))
