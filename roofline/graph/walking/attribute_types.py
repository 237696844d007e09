"""The attributes of calls as plain values, of the types that onnx's schemas have of its own operators."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any

from roofline.graph.reading.tensors import attribute_value
from roofline.node import Attributes
from roofline.ops._attributes import wrong_attribute_error

if TYPE_CHECKING:
    from onnx import AttributeProto

    from roofline.node import Node

_WORDS = {
    1: "a number", 2: "an integer", 3: "a string", 4: "a tensor", 5: "a graph", 6: "a list of numbers",
    7: "a list of integers", 8: "a list of strings", 9: "a list of tensors", 10: "a list of graphs",
    11: "a sparse tensor", 12: "a list of sparse tensors", 13: "a type", 14: "a list of types",
}  # fmt: skip
"""The values of AttributeProto.AttributeType in words."""
_LATEST = 1000
"""A version of no operator set yet; a file can state any of 64 bits, onnx takes those of 32."""
_WIDENED = frozenset({(1, 2), (6, 7)})
"""Integers stand for numbers where a number is asked for."""


def attribute_values(given: Mapping[str, AttributeProto]) -> Attributes:
    """Return the values of a call's attributes by name, but for graphs."""
    found = ((name, attribute_value(attribute)) for name, attribute in given.items())
    return {name: value for name, value in found if value is not None}


def check_attributes(node: Node, given: Mapping[str, AttributeProto]) -> None:
    """Check that a call's attributes have the types of its operator's; those no schema knows are left aside.

    Args:
        node: The call.
        given: Its attributes by name, those of a function's caller in their place.

    Raises:
        ModelError: One has another type.
    """
    wanted = _types_of(node.op_type, node.domain, node.version)
    for name, attribute in given.items():
        kind, asked = int(attribute.type), wanted.get(name, 0)
        if kind and asked and kind != asked and (asked, kind) not in _WIDENED:
            value = node.attributes.get(name)
            shown = _WORDS.get(kind, "of an unknown type") if value is None else value
            raise wrong_attribute_error(node, name, _WORDS.get(asked, "of another type"), shown)


@cache
def _types_of(op_type: str, domain: str, version: int) -> Mapping[str, int]:
    """Return the types of an operator's attributes by name; empty for one that no schema knows."""
    from onnx import defs

    found: dict[str, int] = {}
    # An attribute that came after the model's version is known by its latest type.
    for place in (_LATEST, min(version, _LATEST)):
        if place > 0:
            with suppress(defs.SchemaError):
                schema = defs.get_schema(op_type, place, domain)
                for name, entry in schema.attributes.items():
                    # The stubs of onnx do not know that these are an enum's members.
                    kind: Any = entry.type
                    found[name] = int(kind.value)
    return found
