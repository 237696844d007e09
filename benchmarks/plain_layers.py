"""What the networks of `plain_networks.py` and `plain_detectors.py` are made of.

A layer is a function of an image; a convolution is made where it is called, with its normalization
folded.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

Network = Callable[[Any], Any]
"""Returns what a network finds in an image."""


def functional() -> Any:
    """Return the functions of torch."""
    return importlib.import_module("torch.nn.functional")


def zeros_for(data: Any, *shape: int) -> Any:
    """Return weights of a shape, where an image is."""
    torch: Any = importlib.import_module("torch")
    return torch.zeros(*shape, device=data.device)


def conv(
    data: Any,
    width: int,
    kernel: int = 1,
    stride: int = 1,
    *,
    act: str | None,
    groups: int = 1,
    padding: int | None = None,
) -> Any:
    """Return a convolution and its activation.

    Args:
        data: The image.
        width: Channels of the output.
        kernel: Height and width of the window.
        stride: From one window to the next.
        act: The name of the activation in torch; None for none.
        groups: Of channels that see one another.
        padding: At each edge; None keeps the size at a stride of one.
    """
    weight = zeros_for(data, width, data.shape[1] // groups, kernel, kernel)
    edge = kernel // 2 if padding is None else padding
    out = functional().conv2d(data, weight, stride=stride, padding=edge, groups=groups)
    return out if act is None else getattr(functional(), act)(out)


def depthwise(data: Any, stride: int = 1, *, act: str | None) -> Any:
    """Return a convolution of nine places within each channel, and its activation."""
    channels = data.shape[1]
    return conv(data, channels, 3, stride, act=act, groups=channels)


def linear(data: Any, width: int) -> Any:
    """Return a fully connected layer."""
    return data @ zeros_for(data, data.shape[1], width)


def cat(*data: Any) -> Any:
    """Return channels behind one another."""
    torch: Any = importlib.import_module("torch")
    return torch.cat(data, 1)


def pool(data: Any, size: int = 2, stride: int = 2, padding: int = 0) -> Any:
    """Return the largest of windows."""
    return functional().max_pool2d(data, size, stride, padding)


def twice(data: Any) -> Any:
    """Return an image of twice the height and width."""
    return functional().interpolate(data, scale_factor=2)
