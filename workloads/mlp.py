"""The multi-layer perceptron of QuTiBench at four widths."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from roofline.workloads._network import network

if TYPE_CHECKING:
    from roofline.workloads._builder import Builder

HIDDEN = {
    "mlp": ("100", 2048),
    "mlp_50": ("50", 1024),
    "mlp_25": ("25", 512),
    "mlp_12_5": ("12.5", 256),
}
"""Share of the hidden features that stay, in percent, and how many those are."""


def mlp(net: Builder, hidden: int) -> None:
    """Add 784-h-h-h-10, each hidden layer with batch normalization and ReLU."""
    x = net.flatten(net.input(1, 28, 28))
    for _ in range(3):
        x = net.relu(net.batchnorm(net.gemm(x, hidden, bias=False)))
    net.output(net.gemm(x, 10, bias=False))


for _key, (_percent, _hidden) in HIDDEN.items():
    network(
        _key,
        f"MLP {_percent} %",
        source="Blott et al., QuTiBench, IEEE TC 2021; the topology of BNN-PYNQ's LFC, wider",
        dataset="MNIST",
        notes=f"784-{_hidden}-{_hidden}-{_hidden}-10; pruning scales the hidden layers only",
    )(partial(mlp, hidden=_hidden))
