"""Networks as torch modules, written out layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn


class Bottleneck(nn.Module):
    """A block of ResNet 50: narrow, convolve, widen, add."""

    def __init__(self, inner: int, middle: int, stride: int) -> None:
        """Make the layers."""
        super().__init__()
        outer = 4 * middle
        self.body = nn.Sequential(
            nn.Conv2d(inner, middle, 1, bias=False), nn.BatchNorm2d(middle), nn.ReLU(),
            nn.Conv2d(middle, middle, 3, stride, 1, bias=False), nn.BatchNorm2d(middle), nn.ReLU(),
            nn.Conv2d(middle, outer, 1, bias=False), nn.BatchNorm2d(outer),
        )  # fmt: skip
        self.short = nn.Sequential()
        if stride > 1 or inner != outer:
            self.short = nn.Sequential(
                nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer)
            )
        self.act = nn.ReLU()

    def forward(self, x: Any) -> Any:
        """Return what comes out."""
        return self.act(self.body(x) + self.short(x))


class Inverted(nn.Module):
    """A block of MobileNet v2: widen, convolve channel by channel, narrow, add."""

    def __init__(self, inner: int, outer: int, stride: int, widen: int) -> None:
        """Make the layers."""
        super().__init__()
        wide = inner * widen
        first = [nn.Conv2d(inner, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.ReLU6()]
        self.body = nn.Sequential(
            *(first if widen > 1 else []),
            nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False), nn.BatchNorm2d(wide), nn.ReLU6(),
            nn.Conv2d(wide, outer, 1, bias=False), nn.BatchNorm2d(outer),
        )  # fmt: skip
        self.same = stride == 1 and inner == outer

    def forward(self, x: Any) -> Any:
        """Return what comes out."""
        return x + self.body(x) if self.same else self.body(x)


class Vit(nn.Module):
    """ViT-B/16."""

    def __init__(self) -> None:
        """Make the layers."""
        super().__init__()
        self.patches = nn.Conv2d(3, 768, 16, 16)
        self.token = nn.Parameter(torch.zeros(1, 1, 768))
        self.places = nn.Parameter(torch.zeros(1, 197, 768))
        layer = [
            nn.TransformerEncoderLayer(
                768,
                12,
                3072,
                activation="gelu",
                batch_first=True,
                norm_first=True,
                dropout=0.0,
            )
            for _ in range(12)
        ]
        self.layers = nn.Sequential(*layer)
        self.norm = nn.LayerNorm(768)
        self.head = nn.Linear(768, 1000)

    def forward(self, x: Any) -> Any:
        """Return what comes out."""
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token, x], 1) + self.places
        return self.head(self.norm(self.layers(x))[:, 0])


def resnet() -> Any:
    """Return ResNet 50, version 1.5."""
    parts = [
        nn.Conv2d(3, 64, 7, 2, 3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
    ]
    inner = 64
    for middle, count, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for place in range(count):
            parts.append(Bottleneck(inner, middle, stride if place == 0 else 1))
            inner = 4 * middle
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000))


def mobilenet() -> Any:
    """Return MobileNet v2."""
    parts = [nn.Conv2d(3, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU6()]
    inner = 32
    table = (
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
    )  # fmt: skip
    for widen, outer, count, stride in table:
        for place in range(count):
            parts.append(Inverted(inner, outer, stride if place == 0 else 1, widen))
            inner = outer
    last = [nn.Conv2d(320, 1280, 1, bias=False), nn.BatchNorm2d(1280), nn.ReLU6()]
    return nn.Sequential(
        *parts, *last, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, 1000)
    )


def twins() -> Mapping[str, tuple[Any, tuple[int, ...]]]:
    """Return each network as a torch module, and the shape of its input."""
    image = (1, 3, 224, 224)
    return {
        "resnet50_v15": (resnet().eval(), image), "mobilenet_v2": (mobilenet().eval(), image),
        "vit_b16": (Vit().eval(), image), "lstm": (nn.LSTM(64, 64).eval(), (100, 1, 64)),
    }  # fmt: skip
