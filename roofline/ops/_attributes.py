"""Typed access to a node's attributes and operands; what breaks an operator's rule becomes one clear error."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np

from roofline.errors import MISFIT, ModelError, RooflineError
from roofline.node import Array, Node, Tensor

LATEST = 1 << 30
"""The version taken for a model that does not say which operator set it imports."""


def malformed_error(node: Node, rule: str, *, repair: str = "") -> ModelError:
    """Return the error for a node that breaks a rule of its operator."""
    where = f"{node.op_type} node {node.name!r}" if node.name else f"{node.op_type} node"
    return ModelError(f"{where}: {rule}", repair=repair)


@contextmanager
def translate_errors(node: Node) -> Generator[None]:
    """Turn what Python raises where operands and attributes are not an operator's into one clear error."""
    try:
        yield
    except RooflineError:
        raise
    except MISFIT as error:
        raise malformed_error(
            node, f"its operands and attributes do not fit together ({error})"
        ) from None


def version(node: Node) -> int:
    """Return the operator set version of an ai.onnx node; other domains count as the latest."""
    return node.version if node.version > 0 and node.domain in ("", "ai.onnx") else LATEST


def wrong_attribute_error(node: Node, name: str, expected: str, value: object) -> ModelError:
    """Return the error for an attribute that is not what its operator takes."""
    shown = repr(value)
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    return malformed_error(node, f"attribute {name!r} must be {expected}, it is {shown}")


_NUMBERS = (int, float, np.integer, np.floating)


def _is_integer(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def integer(node: Node, name: str, default: int) -> int:
    """Return an integer attribute, or the default when it is absent."""
    value = node.attributes.get(name)
    if value is None:
        return default
    if not _is_integer(value):
        raise wrong_attribute_error(node, name, "an integer", value)
    return int(value)


def maybe_integer(node: Node, name: str) -> int | None:
    """Return an integer attribute, or None when it is absent."""
    return None if node.attributes.get(name) is None else integer(node, name, 0)


def required_integer(node: Node, name: str) -> int:
    """Return an integer attribute that must be there."""
    if node.attributes.get(name) is None:
        raise malformed_error(node, f"attribute {name!r} is missing, it must be an integer")
    return integer(node, name, 0)


def flag(node: Node, name: str, *, default: bool = False) -> bool:
    """Return an integer attribute that means yes or no."""
    return bool(integer(node, name, int(default)))


def _entries(
    node: Node, name: str, what: str, fits: Callable[[Any], bool]
) -> tuple[Any, ...] | None:
    """Return a list attribute whose entries all fit, or None when it is absent."""
    value = node.attributes.get(name)
    if value is None:
        return None
    if isinstance(value, np.ndarray) and cast("Array", value).ndim == 1:
        value = cast("list[Any]", cast("Array", value).tolist())
    if not isinstance(value, (tuple, list)) or not all(map(fits, cast("list[Any]", value))):
        raise wrong_attribute_error(node, name, f"a list of {what}", cast("object", value))
    return tuple(cast("list[Any]", value))


def maybe_integers(node: Node, name: str) -> tuple[int, ...] | None:
    """Return a list-of-integers attribute, or None when it is absent."""
    found = _entries(node, name, "integers", _is_integer)
    return None if found is None else tuple(map(int, found))


def integers(node: Node, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
    """Return a list-of-integers attribute, or the default when it is absent."""
    found = maybe_integers(node, name)
    return default if found is None else found


def required_integers(node: Node, name: str) -> tuple[int, ...]:
    """Return a list-of-integers attribute that must be there."""
    found = maybe_integers(node, name)
    if found is None:
        raise malformed_error(
            node, f"attribute {name!r} is missing, it must be a list of integers"
        )
    return found


def number(node: Node, name: str, default: float) -> float:
    """Return a number attribute, or the default when it is absent."""
    value = node.attributes.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, _NUMBERS):
        raise wrong_attribute_error(node, name, "a number", value)
    return float(cast("float", value))


def maybe_numbers(node: Node, name: str) -> tuple[float, ...] | None:
    """Return a list-of-numbers attribute, or None when it is absent."""
    found = _entries(node, name, "numbers", lambda entry: isinstance(entry, _NUMBERS))
    return None if found is None else tuple(map(float, found))


def text(node: Node, name: str, default: str) -> str:
    """Return a string attribute, or the default when it is absent."""
    value = node.attributes.get(name)
    if value is None:
        return default
    if not isinstance(value, (str, bytes)):
        raise wrong_attribute_error(node, name, "a string", value)
    return _decode(value)


def _decode(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def texts(node: Node, name: str) -> tuple[str, ...]:
    """Return a list-of-strings attribute; empty when it is absent."""
    found = _entries(node, name, "strings", lambda entry: isinstance(entry, (str, bytes)))
    return tuple(map(_decode, found or ()))


def choice(node: Node, name: str, default: str, allowed: tuple[str, ...]) -> str:
    """Return a string attribute that must be one of a few words."""
    found = text(node, name, default)
    if found not in allowed:
        words = ", ".join(word for word in allowed if word)
        raise wrong_attribute_error(node, name, f"one of {words}", found)
    return found


def operand(node: Node, position: int) -> Tensor:
    """Return an operand that must be there."""
    found = node.operand(position)
    if found is None:
        raise malformed_error(node, f"operand {position} is missing")
    return found


def present(node: Node) -> tuple[Tensor, ...]:
    """Return the operands that are there; there must be at least one."""
    found = tuple(tensor for tensor in node.operands if tensor is not None)
    if not found:
        raise malformed_error(node, "it has no operands")
    return found
