"""The table of torch functions for ONNX operators, and what its handlers share.

A handler takes the node's attributes and its operands: tensors where they depend on the input or are weights, Python
numbers (nested lists) where they are constant integers, such as shapes and axes. So a traced program holds no shape
arithmetic, which torch's compiler cannot follow.
"""

# torch is optional and its stubs are partial; everything in this module is a torch call.
# pyright: basic

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from roofline.node import Array

Tensors = dict[str, Any]
"""Torch's tensors by the names that a graph gives them."""
Handler = Callable[..., Any]
"""Called as ``handler(attributes, *operands)``; returns a tensor, or a tuple for several results."""

OPERATORS: dict[str, Handler] = {}
"""Every operator that the torch backend takes; those of other domains with the domain's name before theirs."""

torch: Any = importlib.import_module("torch")


def operator(*names: str) -> Callable[[Handler], Handler]:
    """Return a decorator that adds a handler under each operator's name."""

    def add(handler: Handler) -> Handler:
        for name in names:
            if name in OPERATORS:
                raise ValueError(f"operator {name!r} is defined twice")
            OPERATORS[name] = handler
        return handler

    return add


def from_array(array: Array) -> Any:
    """Return an array as a tensor of its own; numpy has no bf16, for which its bits are read again."""
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view("int16").copy()).view(torch.bfloat16)
    return torch.from_numpy(array.copy())


def tensor(value: Any, like: Any = None) -> Any:
    """Return a value as a tensor, of another's datatype and device."""
    if isinstance(value, torch.Tensor):
        return value
    return torch.tensor(
        value,
        dtype=torch.int64 if like is None else like.dtype,
        device=None if like is None else like.device,
    )


def number(value: Any) -> Any:
    """Return the one number in a constant."""
    while isinstance(value, list):
        value = value[0]
    return value.item() if isinstance(value, torch.Tensor) else value
