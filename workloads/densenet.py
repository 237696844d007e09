"""Densely connected networks for ImageNet."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from roofline.workloads._network import network

if TYPE_CHECKING:
    from roofline.workloads._builder import Builder

HUANG = (
    "Huang et al., Densely Connected Convolutional Networks, CVPR 2017 (arXiv:1608.06993), Table 1"
)


def densenet(net: Builder, growth: int, stem: int, blocks: tuple[int, ...]) -> None:
    """Add a DenseNet-BC: normalization and ReLU before each convolution, each layer fed by all before it."""
    x = net.relu(net.batchnorm(net.conv(net.input(3, 224, 224), stem, 7, stride=2)))
    x = net.maxpool(x, 3, 2, pad=1)
    for number, count in enumerate(blocks):
        for layer in range(count):
            with net.scope(f"block{number + 1}"), net.scope(f"layer{layer + 1}"):
                y = net.conv(net.relu(net.batchnorm(x)), 4 * growth, 1)
                y = net.conv(net.relu(net.batchnorm(y)), growth, 3)
                x = net.concat((x, y))
        if number < len(blocks) - 1:
            with net.scope(f"transition{number + 1}"):
                x = net.conv(net.relu(net.batchnorm(x)), x.shape[0] // 2, 1)
                x = net.avgpool(x, 2, 2)
    x = net.global_avgpool(net.relu(net.batchnorm(x)))
    net.output(net.gemm(net.flatten(x), 1000))


network("densenet121", "DenseNet-121", source=HUANG, dataset="ImageNet", notes="growth 32")(
    partial(densenet, growth=32, stem=64, blocks=(6, 12, 24, 16))
)
network(
    "densenet161", "DenseNet-161", source=HUANG, dataset="ImageNet", notes="growth 48, stem 96"
)(partial(densenet, growth=48, stem=96, blocks=(6, 12, 36, 24)))
