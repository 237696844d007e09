"""The base of every model of a specification: frozen, strict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, NoReturn, TypeVar, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict
from pydantic_core import PydanticCustomError

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
    """A frozen model that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


def broken_rule(message: str, repair: str, *, at: Sequence[str | int] = ()) -> PydanticCustomError:
    """Return the error by which a validator says that a rule of ours is broken.

    Args:
        message: What is wrong.
        repair: How to mend it.
        at: Where that is, below the value that is validated.
    """
    told = {"message": message, "repair": repair, "at": at}
    return PydanticCustomError("broken_rule", "{message}", told)


def keys_at(model: type[BaseModel], path: Sequence[str | int]) -> tuple[str, ...]:
    """Return the keys that are known at a place of a model, for a hint on a misspelt one.

    Args:
        model: The model of the whole document.
        path: Keys and indices from the document's root to the mapping in question.
    """
    here: Any = model
    for part in path:
        if isinstance(here, type) and issubclass(here, BaseModel):
            field = here.model_fields.get(str(part))
            if field is None:
                return ()
            here = _plain(field.annotation)
        else:
            # A mapping's values or a tuple's items.
            here = _plain(next((kind for kind in get_args(here) if kind is not str), None))
    if isinstance(here, type) and issubclass(here, BaseModel):
        return tuple(field.alias or name for name, field in here.model_fields.items())
    return ()


def _plain(annotation: Any) -> Any:
    """Return the type inside Annotated[…] and X | None."""
    while get_origin(annotation) in (Annotated, Union, UnionType):
        annotation = next(kind for kind in get_args(annotation) if kind is not type(None))
    return annotation
