"""Residual networks for ImageNet and CIFAR-10."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from roofline.workloads._network import network

if TYPE_CHECKING:
    from roofline.workloads._builder import Builder, Value

HE = "He et al., Deep Residual Learning, CVPR 2016 (arXiv:1512.03385), Table 1"


def _basic(net: Builder, x: Value, channels: int, stride: int) -> Value:
    """Add two 3x3 convolutions around a shortcut."""
    y = net.relu(net.batchnorm(net.conv(x, channels, 3, stride=stride)))
    y = net.batchnorm(net.conv(y, channels, 3))
    return net.relu(net.add(y, _shortcut(net, x, channels, stride)))


def _bottleneck(
    net: Builder, x: Value, channels: int, stride: int, *, stride_in_3x3: bool
) -> Value:
    """Add 1x1, 3x3, 1x1 around a shortcut; the version says which of the first two strides."""
    first, second = (1, stride) if stride_in_3x3 else (stride, 1)
    y = net.relu(net.batchnorm(net.conv(x, channels, 1, stride=first)))
    y = net.relu(net.batchnorm(net.conv(y, channels, 3, stride=second)))
    y = net.batchnorm(net.conv(y, 4 * channels, 1))
    return net.relu(net.add(y, _shortcut(net, x, 4 * channels, stride)))


def _shortcut(net: Builder, x: Value, channels: int, stride: int) -> Value:
    if stride == 1 and x.shape[0] == channels:
        return x
    return net.batchnorm(net.conv(x, channels, 1, stride=stride))


def _stages(net: Builder, x: Value, blocks: tuple[int, ...], version: str) -> Value:
    for stage, count in enumerate(blocks):
        for block in range(count):
            stride = 2 if stage > 0 and block == 0 else 1
            with net.scope(f"stage{stage + 1}"), net.scope(f"block{block + 1}"):
                if version == "basic":
                    x = _basic(net, x, 64 * 2**stage, stride)
                else:
                    x = _bottleneck(net, x, 64 * 2**stage, stride, stride_in_3x3=version == "v1.5")
    return x


def imagenet(net: Builder, blocks: tuple[int, ...], version: str) -> None:
    """Add a residual network for 224x224 images and 1000 classes."""
    x = net.relu(net.batchnorm(net.conv(net.input(3, 224, 224), 64, 7, stride=2)))
    x = _stages(net, net.maxpool(x, 3, 2, pad=1), blocks, version)
    net.output(net.gemm(net.flatten(net.global_avgpool(x)), 1000))


def cifar10(net: Builder, blocks: tuple[int, ...]) -> None:
    """Add a residual network for 32x32 images: a 3x3 stem without stride or pool, ImageNet's channels."""
    x = net.relu(net.batchnorm(net.conv(net.input(3, 32, 32), 64, 3)))
    x = _stages(net, x, blocks, "basic")
    net.output(net.gemm(net.flatten(net.global_avgpool(x)), 10))


_BASIC = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3)}
_DEEP = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3), "resnet152": (3, 8, 36, 3)}

for _key, _blocks in _BASIC.items():
    network(_key, f"ResNet-{_key[6:]}", source=HE, dataset="ImageNet")(
        partial(imagenet, blocks=_blocks, version="basic")
    )
for _key, _blocks in _DEEP.items():
    network(
        _key,
        f"ResNet-{_key[6:]} v1",
        source=HE,
        dataset="ImageNet",
        notes="stride in the first 1x1 convolution of a block, as published",
    )(partial(imagenet, blocks=_blocks, version="v1"))
    network(
        f"{_key}_v15",
        f"ResNet-{_key[6:]} v1.5",
        source=f"{HE}; stride as in NVIDIA's and torchvision's ResNet v1.5",
        dataset="ImageNet",
        notes="stride in the 3x3 convolution of a block",
    )(partial(imagenet, blocks=_blocks, version="v1.5"))

network(
    "resnet18_cifar10",
    "ResNet-18 for CIFAR-10",
    source=f"{HE}; as used by Turner et al., IISWC 2018, and Gibson et al., DLAS, 2023",
    dataset="CIFAR-10",
    notes="3x3 stem without stride or pool; 64 to 512 channels, not the 16 to 64 of the paper's own CIFAR nets",
)(partial(cifar10, blocks=(2, 2, 2, 2)))
