"""Checking a user's YAML file against a pydantic model: every broken rule with its line and how to mend it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from roofline.errors import OptionError, did_you_mean
from roofline.reading import quote, read_text
from roofline.spec._frozen import keys_at
from roofline.spec.problem import Problem
from roofline.spec.reading import MAX_VALUES, Document, parse

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

M = TypeVar("M", bound=BaseModel)


def read_checked(
    model: type[M], path: Path, noun: str, *, version: int, example: str, most_bytes: int,
    most_values: int = MAX_VALUES,
) -> tuple[M, Document]:  # fmt: skip
    """Return what a file says that begins with the version of its format, and where everything stands in it.

    Args:
        model: Its schema, without the version.
        path: The file.
        noun: What such a file is called, for messages.
        version: The version that this program reads.
        example: How to see one that is right, for messages.
        most_bytes: The largest file that is read.
        most_values: The most keys and values it may hold.

    Raises:
        OptionError: It cannot be read, is no YAML, is of another version, or breaks a rule: the first with its line.
    """
    text = read_text(path, noun, most=most_bytes, error=OptionError)
    document = parse(
        text, str(path), noun=noun, repair=f"See: {example}", error=OptionError, most_values=most_values
    )  # fmt: skip
    stated = document.content.pop("schema_version", None)
    if type(stated) is int and stated > version:
        raise OptionError(
            f"{path} has schema version {stated}; this program knows {version}",
            repair="Run it with a newer version of roofline",
        )
    # 1.0 and true equal 1.
    if type(stated) is not int or stated != version:
        what = "no schema_version" if stated is None else f"schema_version {quote(stated)}"
        raise OptionError(
            f"{path} has {what}, not {version}",
            repair=f"Begin it with: schema_version: {version}",
        )
    try:
        return model.model_validate(document.content), document
    except ValidationError as error:
        first = problems_of(model, error, document)[0]
        raise OptionError(f"{path}: {first.sentence}", repair=first.repair) from error


def problems_of(
    model: type[BaseModel], error: ValidationError, document: Document
) -> list[Problem]:
    """Return every rule of a model that a document breaks."""
    details = error.errors(include_url=False)
    # A misspelt key is the cause of the missing one, so it is told first.
    details.sort(key=lambda detail: detail["type"] != "extra_forbidden")
    return [_problem(model, detail, document) for detail in details]


def _problem(model: type[BaseModel], detail: ErrorDetails, document: Document) -> Problem:
    path = _place(detail)
    if detail["type"] == "extra_forbidden":
        known = keys_at(model, path[:-1])
        rule = f"unknown key {path[-1]}"
        repair = did_you_mean(str(path[-1]), known) or f"Known keys: {', '.join(known)}"
    else:
        rule, repair = _rule(detail)
    return Problem(path, rule, repair, document.line(path))


# What pydantic puts among the keys where a value may be of several types.
_VALIDATOR = re.compile(r"(function-|list\[|tuple\[|constrained-|lax-or-strict|tagged-|\()")


def _place(detail: ErrorDetails) -> tuple[int | str, ...]:
    """Return where in the file an error is, without the names of validators."""
    location = detail["loc"]
    # The last part of an unknown key's place is the key itself, whatever it looks like.
    if detail["type"] == "extra_forbidden":
        return (*_without_validators(location[:-1]), location[-1])
    # Pydantic's mark of a key that is wrong itself; a file may have a key of that name, too.
    if len(location) > 1 and location[-1] == "[key]":
        location = location[:-1]
    return (*_without_validators(location), *detail.get("ctx", {}).get("at", ()))


def _without_validators(location: Sequence[int | str]) -> list[int | str]:
    return [part for part in location if isinstance(part, int) or not _VALIDATOR.match(part)]


def _rule(detail: ErrorDetails) -> tuple[str, str]:
    """Return what is broken, in the words of a file and not of Python's types, and how to mend it."""
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    match kind:
        case "broken_rule":
            return detail["msg"], str(context.get("repair", ""))
        case "missing":
            return "is missing", "Add it"
        case "string_pattern_mismatch":
            return f"{_show(value)} does not have the form {context.get('pattern')}", ""
        case "literal_error":
            rule, repair = f"must be {context.get('expected', '')}", ""
        case "model_type" | "model_attributes_type" | "dict_type" | "mapping_type":
            rule, repair = "must be a mapping", _mapping_hint(value)
        case _:
            message = detail["msg"].removeprefix("Input ")
            rule, repair = _WORDS.get(kind, (f"{message[:1].lower()}{message[1:]}", ""))
    return f"{rule}, not {_show(value)}", repair


_WORDS = {
    "string_type": ("must be text", "Put it in quotes"),
    "bool_type": ("must be true or false", ""),
    "int_type": ("must be a whole number", ""),
    "tuple_type": ("must be a list", "Start each entry with a dash"),
    "too_short": ("must be a list of at least one", ""),
}
"""The rules whose own words speak of Python's types, in a file's: what is broken, and how to mend it."""


def _mapping_hint(value: Any) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"Every number says where it comes from: {{value: {value}, unit: ..., kind: datasheet, source: ...}}"
    return "Write keys and values"


def _show(value: Any) -> str:
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "a list"
    return "nothing" if value is None else quote(value, 60)
