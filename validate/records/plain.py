"""Frozen types as plain JSON values and back: what files, stores and processes exchange."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import is_dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_type_hints

if TYPE_CHECKING:
    from pydantic import TypeAdapter

T = TypeVar("T")


class DamagedError(ValueError):
    """Plain values that are not those of the type; the message names the field."""


def to_plain(value: object) -> dict[str, object]:
    """Return a frozen type's fields as plain JSON values, nothing lost."""
    return _adapter(type(value)).dump_python(value, mode="json")


def to_json(value: object) -> str:
    """Return the same as JSON text, several times as fast as through plain values."""
    from pydantic_core import PydanticSerializationError

    try:
        return _adapter(type(value)).dump_json(value).decode()
    except PydanticSerializationError:
        # A name that is no text, as file systems have them, is written with escapes.
        return json.dumps(to_plain(value))


def from_plain(kind: type[T], document: Mapping[str, object]) -> T:
    """Return what `to_plain` made plain.

    Raises:
        DamagedError: A field is missing, of the wrong type, or unknown.
    """
    from pydantic import ValidationError

    try:
        return _adapter(kind).validate_python(dict(document))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise DamagedError(f"{where or 'its top'}: {first['msg']}") from error


@cache
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    # Kept: building one costs as much as reading a hundred records.
    from pydantic import TypeAdapter

    _forbid_unknown(kind)
    return TypeAdapter(kind)


def _forbid_unknown(kind: Any) -> None:
    """Have unknown fields be errors in a type and all it holds; pydantic looks when it first meets a class."""
    from pydantic import ConfigDict

    for part in get_args(kind):
        _forbid_unknown(part)
    if isinstance(kind, type) and is_dataclass(kind) and "__pydantic_config__" not in vars(kind):
        config = ConfigDict(extra="forbid", ser_json_inf_nan="constants")
        kind.__pydantic_config__ = config  # type: ignore[attr-defined]
        for hint in get_type_hints(kind).values():
            _forbid_unknown(hint)
