"""From a platform file to a `Specification`, with every problem told as file, line, place, rule and repair."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path as FilePath

from pydantic import ValidationError

from roofline.errors import PlatformError
from roofline.spec.checking import problems_of
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
        raise PlatformError(f"{name}: {first.sentence}{rest}", repair=first.repair)
    return found


def examine(document: Document) -> tuple[Specification | None, tuple[Problem, ...]]:
    """Return what a document says, or every problem that keeps it from saying it."""
    unfilled = document.unfilled_places()
    if unfilled:
        return None, unfilled
    try:
        found = with_peaks(Specification.model_validate(document.content))
    except ValidationError as error:
        return None, tuple(problems_of(Specification, error, document))
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
