"""From a platform file to a `Specification`, with every problem told as file, line, place, rule and repair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any, cast

from pydantic import ValidationError

from roofline.errors import PlatformError, did_you_mean
from roofline.spec._frozen import keys_at
from roofline.spec.consistency import problems as contradictions_of
from roofline.spec.inheriting import inherit
from roofline.spec.problem import Problem
from roofline.spec.rates import with_peaks
from roofline.spec.reading import Document, parse, read_text
from roofline.spec.schema import Specification


def load(path: FilePath) -> Specification:
    """Read one platform file.

    Raises:
        PlatformError: The file cannot be read or breaks a rule; the message tells the first problem and how many more.
    """
    return specification(document_of(path), str(path))


def document_of(path: FilePath) -> Document:
    """Return the content of one platform file, with the entries of what it extends.

    Raises:
        PlatformError: The file, or one that it extends, cannot be read.
    """
    return inherit(parse(read_text(path), str(path)), str(path), path.parent)


def specification(document: Document, name: str) -> Specification:
    """Return what a document says.

    Raises:
        PlatformError: The document breaks a rule of the schema.
    """
    found, problems = examine(document)
    if found is None:
        first, more = problems[0], len(problems) - 1
        rest = f" ({more} more: roofline platforms check {name})" if more else ""
        place = f"line {first.line}: " if first.line else ""
        where = f"{first.where}: " if first.path else ""
        raise PlatformError(f"{name}: {place}{where}{first.rule}{rest}", repair=first.repair)
    return found


def examine(document: Document) -> tuple[Specification | None, tuple[Problem, ...]]:
    """Return what a document says, or every problem that keeps it from saying it."""
    unfilled = document.unfilled_places()
    if unfilled:
        return None, unfilled
    try:
        found = with_peaks(Specification.model_validate(document.content))
    except ValidationError as error:
        return None, tuple(_problems(error, document))
    contradictions = tuple(
        replace(problem, line=document.line(problem.path)) for problem in contradictions_of(found)
    )
    return (None, contradictions) if contradictions else (found, ())


def from_mapping(content: Mapping[str, object], name: str = "platform") -> Specification:
    """Return the specification that plain values describe, checked like a file.

    Raises:
        PlatformError: The values break a rule of the schema.
    """
    return specification(inherit(Document(dict(content)), name), name)


def _problems(error: ValidationError, document: Document) -> list[Problem]:
    problems: list[Problem] = []
    details = error.errors(include_url=False)
    # A misspelt key is the cause of the missing one, so it is told first.
    for detail in sorted(details, key=lambda found: found["type"] != "extra_forbidden"):
        context = detail.get("ctx", {})
        path: tuple[int | str, ...] = detail["loc"]
        # Pydantic's mark of a key that is wrong itself; a file may have a key of that name, too.
        if len(path) > 1 and path[-1] == "[key]" and detail["type"] != "extra_forbidden":
            path = path[:-1]
        path += tuple(context.get("at", ()))
        if detail["type"] == "extra_forbidden":
            known = keys_at(Specification, path[:-1])
            key = detail["loc"][-1]
            rule = f"unknown key {key}"
            repair = did_you_mean(str(key), known) or f"Known keys: {', '.join(known)}"
        else:
            rule, repair = _rule(detail["type"], detail["msg"], detail["input"], context)
        problems.append(Problem(path, rule, repair, document.line(path)))
    return problems


def _rule(kind: str, message: str, value: Any, context: Mapping[str, object]) -> tuple[str, str]:
    match kind:
        case "broken_rule":
            return message, str(context.get("repair", ""))
        case "missing":
            return "is missing", "Add it"
        case "literal_error":
            allowed = str(context.get("expected", ""))
            return f"must be {allowed}, not {_show(value)}", ""
        case "string_type":
            return f"must be text, not {_show(value)}", "Put it in quotes"
        case "model_type" | "model_attributes_type" | "dict_type" | "mapping_type":
            return f"must be a mapping, not {_show(value)}", _mapping_hint(value)
        case "tuple_type":
            return f"must be a list, not {_show(value)}", "Start each entry with a dash"
        case "string_pattern_mismatch":
            return f"{_show(value)} does not have the form {context.get('pattern')}", ""
        case _:
            return f"{message[:1].lower()}{message[1:]}, not {_show(value)}", ""


def _mapping_hint(value: Any) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"Every number says where it comes from: {{value: {value}, unit: ..., kind: datasheet, source: ...}}"
    return "Write keys and values"


def _show(value: Any) -> str:
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "a list"
    if value is None:
        return "nothing"
    return repr(cast("object", value))[:60]
