"""The two networks of the experiment, as weightless or randomly filled ONNX graphs over 8 by 8 images."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from roofline.errors import NetworkError, check_known
from roofline.workloads._builder import Builder
from roofline.workloads._value import Value

if TYPE_CHECKING:
    import onnx

    from roofline.workload import Workload

HIDDEN = (256, 256)
"""Features of the hidden layers of the MLP."""
FILTERS = (32, 64, 64)
"""Channels of the three 3x3 convolutions of the CNN; a pool halves the image after the second."""
DENSE = 64
"""Features of the CNN's fully connected layer before the last."""
CLASSES = 10
SIDE = 8

TITLES: Mapping[str, str] = MappingProxyType({
    "digits_mlp": f"MLP 64-{HIDDEN[0]}-{HIDDEN[1]}-10",
    "digits_cnn": f"CNN of {len(FILTERS)} convolutions and 2 fully connected layers",
})  # fmt: skip
"""The networks by name, and what they are."""


def build(name: str, *, seed: int | None = None) -> onnx.ModelProto:
    """Return a network with a symbolic batch.

    Args:
        name: One of `TITLES`.
        seed: Of random weights; None declares weights without elements, which is all that counting needs.

    Raises:
        NetworkError: There is no network of that name.

    Example:
        >>> [list(tensor.dims) for tensor in build("digits_mlp").graph.initializer if len(tensor.dims) == 2]
        [[256, 64], [256, 256], [10, 256]]
    """
    name = check_known(
        name, TITLES, f"no network of the experiment is called {name!r}", error=NetworkError
    )
    net = Builder(name, seed=seed)
    x = net.input(1, SIDE, SIDE, name="image")
    scores = _mlp(net, x) if name == "digits_mlp" else _cnn(net, x)
    net.output(scores, name="scores")
    return net.model(TITLES[name])


def count(name: str) -> Workload:
    """Return the requirements of one of the networks, for one image."""
    from roofline.workload import Workload

    return Workload.from_onnx(build(name), name=name)


def _mlp(net: Builder, x: Value) -> Value:
    x = net.flatten(x)
    for features in HIDDEN:
        x = net.relu(net.gemm(x, features))
    return net.gemm(x, CLASSES)


def _cnn(net: Builder, x: Value) -> Value:
    for number, channels in enumerate(FILTERS):
        x = net.relu(net.conv(x, channels, 3, bias=True))
        if number == 1:
            x = net.maxpool(x, 2, 2)
    x = net.relu(net.gemm(net.flatten(x), DENSE))
    return net.gemm(x, CLASSES)
