"""Checking the content of a user's YAML file against a pydantic model, with one line for the first broken rule."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from roofline.errors import OptionError, did_you_mean
from roofline.reading import quote
from roofline.spec._frozen import keys_at
from roofline.spec.problem import dotted_path

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from roofline.spec.reading import Document

M = TypeVar("M", bound=BaseModel)


def check_document(model: type[M], document: Document, path: Path, noun: str) -> M:
    """Return what a file says.

    Args:
        model: Its schema.
        document: Its content.
        path: The file, for messages.
        noun: What such a file is called.

    Raises:
        OptionError: It breaks a rule; with the line and the place of the first.
    """
    try:
        return model.model_validate(document.content)
    except ValidationError as error:
        raise _problem(model, document, path, noun, error) from error


def _problem(
    model: type[BaseModel], document: Document, path: Path, noun: str, error: ValidationError
) -> OptionError:
    def rank(entry: ErrorDetails) -> tuple[bool, int]:
        # A misspelt key is the cause of the missing one, so it is told first.
        return entry["type"] != "extra_forbidden", document.line(_place(entry)) or 0

    first = min(error.errors(include_url=False), key=rank)
    place = _place(first)
    line = document.line(place)
    where = (
        f"{path}: line {line}: {dotted_path(place)}" if line else f"{path}: {dotted_path(place)}"
    )
    if first["type"] == "extra_forbidden":
        known = sorted(keys_at(model, place[:-1]))
        hint = did_you_mean(str(place[-1]), known) or (
            f"Known keys: {', '.join(known)}" if known else "Leave it out"
        )
        return OptionError(f"{where} is no key of a {noun}", repair=hint)
    if first["type"] == "missing":
        return OptionError(
            f"{path}: {dotted_path(place)} is missing", repair=f"Add {dotted_path(place)}"
        )
    found = first["input"]
    given = f", not {quote(found)}" if isinstance(found, str | int | float) else ""
    rule, repair = _WORDS.get(first["type"], (first["msg"].removeprefix("Input "), ""))
    repair = str(first.get("ctx", {}).get("repair", repair))
    return OptionError(f"{where} {rule[:1].lower()}{rule[1:]}{given}", repair=repair)


_WORDS = {
    "string_type": ("must be text", "Put it in quotes"),
    "bool_type": ("must be true or false", ""),
    "int_type": ("must be a whole number", ""),
    "tuple_type": ("must be a list", "Write [ … ]"),
    "too_short": ("must be a list of at least one", ""),
    "model_type": ("must be a mapping", "Write keys and values"),
    "model_attributes_type": ("must be a mapping", "Write keys and values"),
}
"""The rules whose own words speak of Python's types, in a file's: what is broken, and how to mend it."""


# What pydantic puts among the keys where a value may be of several types.
_VALIDATOR = re.compile(r"(function-|list\[|tuple\[|constrained-|lax-or-strict|tagged-|\()")


def _place(entry: ErrorDetails) -> tuple[int | str, ...]:
    """Return where in the file an error is, without the names of validators."""
    location = entry["loc"]
    # The last part of an unknown key's place is the key itself, whatever it looks like.
    end = len(location) - (entry["type"] == "extra_forbidden")
    return tuple(
        part
        for number, part in enumerate(location)
        if number >= end or isinstance(part, int) or not _VALIDATOR.match(part)
    )
