"""The perceptron and the small VGG-like network (CNV) of BNN-PYNQ at the four widths of QuTiBench."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from roofline.workloads._network import network

if TYPE_CHECKING:
    from roofline.workloads._builder import Builder

SHARES = {"": ("100", 1), "_50": ("50", 2), "_25": ("25", 4), "_12_5": ("12.5", 8)}
"""By the end of a network's key, the share of the inner channels that stay: in percent, and one in how many."""
QUTIBENCH = "Blott et al., QuTiBench, IEEE TC 2021; the topology of BNN-PYNQ's"


def mlp(net: Builder, hidden: int) -> None:
    """Add 784-h-h-h-10, each hidden layer with batch normalization and ReLU."""
    x = net.flatten(net.input(1, 28, 28))
    for _ in range(3):
        x = net.relu(net.batchnorm(net.gemm(x, hidden, bias=False)))
    net.output(net.gemm(x, 10, bias=False))


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


for _end, (_percent, _part) in SHARES.items():
    _hidden = 2048 // _part
    network(
        f"mlp{_end}",
        f"MLP {_percent} %",
        source=f"{QUTIBENCH} LFC, wider",
        dataset="MNIST",
        notes=f"784-{_hidden}-{_hidden}-{_hidden}-10; pruning scales the hidden layers only",
    )(partial(mlp, hidden=_hidden))
    network(
        f"cnv{_end}",
        f"CNV {_percent} %",
        source=f"{QUTIBENCH} CNV",
        dataset="CIFAR-10",
        notes="BNN-PYNQ's own CNV (64 to 256 channels) is the 50 % row of QuTiBench",
    )(partial(cnv, width=128 // _part))
