"""EfficientNet-B0 and the EfficientNets for Edge TPU."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from roofline.workloads._network import network
from roofline.workloads._rounding import multiple_of_8

if TYPE_CHECKING:
    from roofline.workloads._builder import Builder, Value

TAN = "Tan and Le, EfficientNet, ICML 2019 (arXiv:1905.11946)"
EPSILON = 1e-3
"""Of the batch normalization in TensorFlow's EfficientNets."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A group of inverted residuals."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int
    fused: bool = False
    """Whether one full convolution expands, in place of a 1x1 and a depthwise one."""
    skip: bool = True
    expanded_from: int | None = None
    """Channels the expansion multiplies, where the published code names others than the block receives."""


B0 = (
    Stage(1, 3, 1, 1, 16), Stage(2, 3, 2, 6, 24), Stage(2, 5, 2, 6, 40), Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112), Stage(4, 5, 2, 6, 192), Stage(1, 3, 1, 6, 320),
)  # fmt: skip

EDGETPU = (
    Stage(1, 3, 1, 4, 24, fused=True, skip=False, expanded_from=24), Stage(2, 3, 2, 8, 32, fused=True),
    Stage(4, 3, 2, 8, 48, fused=True), Stage(5, 5, 2, 8, 96), Stage(4, 5, 1, 8, 144), Stage(2, 5, 2, 8, 192),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scale:
    """Image size, and the factors of channels (in steps of 8) and repeats (rounded up)."""

    image: int
    width: float = 1.0
    depth: float = 1.0

    def channels(self, count: int) -> int:
        """Return scaled channels rounded to a multiple of 8, never below 90 % of what was asked."""
        return count if self.width == 1.0 else multiple_of_8(count * self.width)

    def repeats(self, count: int) -> int:
        """Return scaled repeats."""
        return math.ceil(count * self.depth)


def b0(net: Builder) -> None:
    """Add EfficientNet-B0: swish, and squeeze-and-excitation in every block."""
    x = _stem(net, Scale(224), net.swish)
    for number, stage in enumerate(B0):
        for repeat in range(stage.repeats):
            with net.scope(f"stage{number + 1}"), net.scope(f"block{repeat + 1}"):
                inner = x.shape[0] * stage.expansion
                y = x if stage.expansion == 1 else _expand(net, x, inner, net.swish)
                y = _depthwise(net, y, stage, repeat, net.swish)
                gate = net.swish(net.conv(net.global_avgpool(y), x.shape[0] // 4, 1, bias=True))
                y = net.mul(y, net.sigmoid(net.conv(gate, inner, 1, bias=True)))
                y = net.batchnorm(net.conv(y, stage.channels, 1), EPSILON)
                x = net.add(y, x) if y.shape == x.shape else y
    _head(net, x, Scale(224), 1000, net.swish)


def edgetpu(net: Builder, scale: Scale) -> None:
    """Add an EfficientNet for Edge TPU: ReLU, full convolutions early, no squeeze-and-excitation."""
    x = _stem(net, scale, net.relu)
    for number, stage in enumerate(EDGETPU):
        for repeat in range(scale.repeats(stage.repeats)):
            with net.scope(f"stage{number + 1}"), net.scope(f"block{repeat + 1}"):
                base = x.shape[0]
                if repeat == 0 and stage.expanded_from is not None:
                    base = scale.channels(stage.expanded_from)
                if stage.fused:
                    stride = stage.stride if repeat == 0 else 1
                    y = net.conv(
                        x, base * stage.expansion, stage.kernel, stride=stride, pad="same"
                    )
                    y = net.relu(net.batchnorm(y, EPSILON))
                else:
                    y = _expand(net, x, base * stage.expansion, net.relu)
                    y = _depthwise(net, y, stage, repeat, net.relu)
                y = net.batchnorm(net.conv(y, scale.channels(stage.channels), 1), EPSILON)
                x = net.add(y, x) if stage.skip and y.shape == x.shape else y
    _head(net, x, scale, 1001, net.relu)


def _stem(net: Builder, scale: Scale, act: Callable[[Value], Value]) -> Value:
    x = net.input(3, scale.image, scale.image)
    return act(net.batchnorm(net.conv(x, scale.channels(32), 3, stride=2, pad="same"), EPSILON))


def _expand(net: Builder, x: Value, inner: int, act: Callable[[Value], Value]) -> Value:
    return act(net.batchnorm(net.conv(x, inner, 1), EPSILON))


def _depthwise(
    net: Builder, x: Value, stage: Stage, repeat: int, act: Callable[[Value], Value]
) -> Value:
    stride = stage.stride if repeat == 0 else 1
    y = net.conv(x, x.shape[0], stage.kernel, stride=stride, pad="same", groups=x.shape[0])
    return act(net.batchnorm(y, EPSILON))


def _head(
    net: Builder, x: Value, scale: Scale, classes: int, act: Callable[[Value], Value]
) -> None:
    x = act(net.batchnorm(net.conv(x, scale.channels(1280), 1), EPSILON))
    net.output(net.gemm(net.flatten(net.global_avgpool(x)), classes))


network("efficientnet_b0", "EfficientNet-B0", source=f"{TAN}, Table 1", dataset="ImageNet")(b0)

_SIZES = {"s": Scale(224), "m": Scale(240, 1.0, 1.1), "l": Scale(300, 1.2, 1.4)}

for _size, _scale in _SIZES.items():
    network(
        f"efficientnet_edgetpu_{_size}",
        f"EfficientNet-EdgeTPU-{_size.upper()}",
        source=f"{TAN}; EfficientNet-EdgeTPU of the TensorFlow TPU models, 2019",
        dataset="ImageNet",
        notes="1001 classes; the first stage expands 24 channels' worth of the stem's 32 and has no shortcut",
    )(partial(edgetpu, scale=_scale))
