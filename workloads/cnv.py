"""The small VGG-like network of QuTiBench (CNV) at four widths."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from roofline.workloads._network import network

if TYPE_CHECKING:
    from roofline.workloads._builder import Builder

WIDTHS = {
    "cnv": ("100", 128),
    "cnv_50": ("50", 64),
    "cnv_25": ("25", 32),
    "cnv_12_5": ("12.5", 16),
}
"""Share of the inner channels that stay, in percent, and the channels of the first two convolutions."""


def cnv(net: Builder, width: int) -> None:
    """Add six 3x3 convolutions without padding, a pool after the second and fourth, and three dense layers."""
    x = net.input(3, 32, 32)
    for stage, channels in enumerate((width, 2 * width, 4 * width)):
        for _ in range(2):
            x = net.relu(net.batchnorm(net.conv(x, channels, 3, pad="valid")))
        if stage < 2:
            x = net.maxpool(x, 2, 2)
    x = net.flatten(x)
    for _ in range(2):
        x = net.relu(net.batchnorm(net.gemm(x, 8 * width, bias=False)))
    net.output(net.gemm(x, 10, bias=False))


for _key, (_percent, _width) in WIDTHS.items():
    network(
        _key,
        f"CNV {_percent} %",
        source="Blott et al., QuTiBench, IEEE TC 2021; the topology of BNN-PYNQ's CNV",
        dataset="CIFAR-10",
        notes="BNN-PYNQ's own CNV (64 to 256 channels) is the 50 % row of QuTiBench",
    )(partial(cnv, width=_width))
