"""MobileNet v3 for ImageNet."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from roofline.workloads._network import network
from roofline.workloads._rounding import multiple_of_8

if TYPE_CHECKING:
    from roofline.workloads._builder import Builder, Value

V3 = "Howard et al., Searching for MobileNetV3, ICCV 2019 (arXiv:1905.02244)"
EPSILON = 1e-3


@dataclass(frozen=True, slots=True)
class Block:
    """One inverted residual."""

    kernel: int
    inner: int
    channels: int
    squeeze: bool
    """Whether squeeze-and-excitation follows the depthwise convolution."""
    hard: bool
    """Whether the activation is hard-swish, not ReLU."""
    stride: int


LARGE = (
    Block(3, 16, 16, False, False, 1), Block(3, 64, 24, False, False, 2), Block(3, 72, 24, False, False, 1),
    Block(5, 72, 40, True, False, 2), Block(5, 120, 40, True, False, 1), Block(5, 120, 40, True, False, 1),
    Block(3, 240, 80, False, True, 2), Block(3, 200, 80, False, True, 1), Block(3, 184, 80, False, True, 1),
    Block(3, 184, 80, False, True, 1), Block(3, 480, 112, True, True, 1), Block(3, 672, 112, True, True, 1),
    Block(5, 672, 160, True, True, 2), Block(5, 960, 160, True, True, 1), Block(5, 960, 160, True, True, 1),
)  # fmt: skip

SMALL = (
    Block(3, 16, 16, True, False, 2), Block(3, 72, 24, False, False, 2), Block(3, 88, 24, False, False, 1),
    Block(5, 96, 40, True, True, 2), Block(5, 240, 40, True, True, 1), Block(5, 240, 40, True, True, 1),
    Block(5, 120, 48, True, True, 1), Block(5, 144, 48, True, True, 1), Block(5, 288, 96, True, True, 2),
    Block(5, 576, 96, True, True, 1), Block(5, 576, 96, True, True, 1),
)  # fmt: skip


def _block(net: Builder, x: Value, block: Block) -> Value:
    act = net.hardswish if block.hard else net.relu
    y = x
    if block.inner != x.shape[0]:
        y = act(net.batchnorm(net.conv(y, block.inner, 1), EPSILON))
    y = net.conv(y, block.inner, block.kernel, stride=block.stride, groups=block.inner)
    y = act(net.batchnorm(y, EPSILON))
    if block.squeeze:
        narrow = multiple_of_8(block.inner // 4)
        gate = net.relu(net.conv(net.global_avgpool(y), narrow, 1, bias=True))
        y = net.mul(y, net.hardsigmoid(net.conv(gate, block.inner, 1, bias=True)))
    y = net.batchnorm(net.conv(y, block.channels, 1), EPSILON)
    return net.add(y, x) if y.shape == x.shape else y


def v3(net: Builder, blocks: tuple[Block, ...], head: int) -> None:
    """Add MobileNet v3 for 224x224 images and 1000 classes."""
    x = net.hardswish(net.batchnorm(net.conv(net.input(3, 224, 224), 16, 3, stride=2), EPSILON))
    for number, block in enumerate(blocks):
        with net.scope(f"block{number + 1}"):
            x = _block(net, x, block)
    x = net.hardswish(net.batchnorm(net.conv(x, 6 * blocks[-1].channels, 1), EPSILON))
    x = net.hardswish(net.gemm(net.flatten(net.global_avgpool(x)), head))
    net.output(net.gemm(x, 1000))


network(
    "mobilenet_v3_large", "MobileNet v3 large 1.0 224", source=f"{V3}, Table 1", dataset="ImageNet"
)(partial(v3, blocks=LARGE, head=1280))
network(
    "mobilenet_v3_small", "MobileNet v3 small 1.0 224", source=f"{V3}, Table 2", dataset="ImageNet"
)(partial(v3, blocks=SMALL, head=1024))
