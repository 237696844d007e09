"""The base of every model of a specification: frozen, strict, and helpful about a misspelt key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, NoReturn, TypeVar, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from roofline.errors import did_you_mean

K = TypeVar("K")
V = TypeVar("V")


class FrozenDict(dict[K, V]):
    """A dict that refuses to change, hashes by its items, and pickles."""

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("a specification is frozen; load another file instead")

    __setitem__ = __delitem__ = clear = pop = popitem = setdefault = update = __ior__ = _refuse  # pyright: ignore[reportAssignmentType]

    def __hash__(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenDict, (dict(self),)


def _freeze(mapping: Mapping[str, V]) -> Mapping[str, V]:
    return FrozenDict(mapping)


Table = Annotated[Mapping[str, V], AfterValidator(_freeze)]
"""A mapping by name that cannot be changed after validation."""


class Strict(BaseModel):
    """A frozen model that refuses unknown keys and names the nearest known one."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        known = [field.alias or name for name, field in cls.model_fields.items()]
        for key in cast("Mapping[Any, Any]", data):
            if key not in known:
                hint = did_you_mean(str(key), known) or f"Known keys: {', '.join(known)}"
                raise PydanticCustomError(
                    "broken_rule", "unknown key {key}", {"key": str(key), "repair": hint}
                )
        return cast("Any", data)
