"""VGG-16 and VGG-19 for ImageNet, VGG-16 for CIFAR-10."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from roofline.workloads._network import network

if TYPE_CHECKING:
    from roofline.workloads._builder import Builder

SIMONYAN = "Simonyan and Zisserman, VGG, ICLR 2015 (arXiv:1409.1556), Table 1"

CHANNELS = (64, 128, 256, 512, 512)
"""Channels of the five groups, each closed by a 2x2 pool."""


def imagenet(net: Builder, repeats: tuple[int, ...]) -> None:
    """Add VGG for 224x224 images: convolutions with bias, no normalization, three dense layers."""
    x = net.input(3, 224, 224)
    for channels, count in zip(CHANNELS, repeats, strict=True):
        for _ in range(count):
            x = net.relu(net.conv(x, channels, 3, bias=True))
        x = net.maxpool(x, 2, 2)
    x = net.flatten(x)
    for _ in range(2):
        x = net.relu(net.gemm(x, 4096))
    net.output(net.gemm(x, 1000))


def cifar10(net: Builder) -> None:
    """Add VGG-16 for 32x32 images: 13 normalized convolutions, then dense layers of 512 and 10."""
    x = net.input(3, 32, 32)
    for channels, count in zip(CHANNELS, (2, 2, 3, 3, 3), strict=True):
        for _ in range(count):
            x = net.relu(net.batchnorm(net.conv(x, channels, 3)))
        x = net.maxpool(x, 2, 2)
    net.output(net.gemm(net.relu(net.gemm(net.flatten(x), 512)), 10))


network("vgg16", "VGG-16", source=f"{SIMONYAN}, D", dataset="ImageNet")(
    partial(imagenet, repeats=(2, 2, 3, 3, 3))
)
network("vgg19", "VGG-19", source=f"{SIMONYAN}, E", dataset="ImageNet")(
    partial(imagenet, repeats=(2, 2, 4, 4, 4))
)
network(
    "vgg16_cifar10",
    "VGG-16 for CIFAR-10",
    source=f"{SIMONYAN}, D; as used by Turner et al., IISWC 2018, and Gibson et al., DLAS, 2023",
    dataset="CIFAR-10",
    notes="13 convolutions with batch normalization, dense layers 512 and 10",
)(cifar10)
