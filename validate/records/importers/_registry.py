"""The importers: how a file is recognized, read, and what becomes of rows that cannot be taken."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from roofline.errors import TableError
from roofline.registry import Registry
from roofline.validate.records.record import Measurement


@dataclass(frozen=True, slots=True)
class Facts:
    """What a file does not say of its runs and the user adds."""

    network: str = ""
    machine: str = ""
    datatype: str = ""
    batch: int = 1
    columns: Mapping[str, str] = field(default_factory=dict[str, str])
    """For tables: our column's name to the file's."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that was not taken, and why."""

    row: int
    """Its number in the file, the first after the header being 1."""
    reason: str


@dataclass(frozen=True, slots=True)
class Imported:
    """What a file held; every row is in one of the two."""

    measurements: tuple[Measurement, ...]
    rejected: tuple[Rejected, ...] = ()


@dataclass(frozen=True, slots=True)
class Importer:
    """One format of one tool."""

    name: str
    title: str
    """What it reads, in a few words."""
    recognizes: Callable[[Path, str], bool]
    """Whether a file is of this format, from its name and the first 64 KiB of its text."""
    read: Callable[[Path, str, Facts], Imported]
    """Reads a file's whole text."""


importers: Registry[Importer] = Registry(
    "import format", "roofline.validate.records.importers", "roofline.importers", TableError
)
"""Every format by name."""

_HEAD = 65_536


def read_runs(path: Path, facts: Facts, *, form: str = "") -> tuple[Importer, Imported]:
    """Read measured runs from a file of another tool.

    Args:
        path: The file.
        facts: What the file does not say.
        form: Name of the format; empty recognizes it.

    Returns:
        The format used, and the runs with the rows that were not taken.

    Raises:
        TableError: The file cannot be read, or is of no known format.
    """
    if path.suffix == ".parquet":
        # The one format that is no text; only our own records come in it.
        chosen = importers.get("records")
        return chosen, chosen.read(path, "", facts)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise TableError(f"cannot read {path}: {reason}") from error
    if form:
        chosen = importers.get(form)
    else:
        fitting = [
            entry
            for name in importers
            if (entry := importers.get(name)).recognizes(path, text[:_HEAD])
        ]
        if len(fitting) != 1:
            what = (
                "of no known format"
                if not fitting
                else f"of several formats ({', '.join(f.name for f in fitting)})"
            )
            raise TableError(
                f"{path} is {what}", repair=f"Name it with --from: {', '.join(importers)}"
            )
        chosen = fitting[0]
    return chosen, chosen.read(path, text, facts)


def parse_json(path: Path, text: str) -> Any:
    """Return a JSON document, or raise the project's error with the line at fault."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise TableError(f"{path} line {error.lineno}: not valid JSON ({error.msg})") from error


def needed(facts: Facts, path: Path) -> None:
    """Refuse a file of one run whose network and machine the user has not named."""
    for name in ("network", "machine"):
        if not getattr(facts, name):
            raise TableError(f"{path} does not say the {name}", repair=f"Name it with --{name}")
