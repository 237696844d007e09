"""The importers: how a file is recognized, read, and what becomes of rows that cannot be taken."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

from roofline.errors import TableError
from roofline.reading import JsonObject, quote, read_text, real_number, whole_number
from roofline.registry import Registry
from roofline.validate.records.executed import Executed
from roofline.validate.records.record import Measurement, Status
from roofline.validate.records.request import RunRequest
from roofline.validate.records.tuning import Tuning


@dataclass(frozen=True, slots=True)
class Facts:
    """What a file does not say of its runs and the user adds."""

    network: str = ""
    machine: str = ""
    datatype: str = ""
    batch: int | None = None
    """Items per inference; 1 where neither the file nor the user says it."""
    columns: Mapping[str, str] = field(default_factory=dict[str, str])
    """For tables: our column's name to the file's."""


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that was not taken, and why."""

    row: int
    """Its number in the file, the first after the header being 1."""
    reason: str
    damaged: bool = False
    """Whether a cell of it is not what its column holds, so that the rest of the file is in doubt too."""


@dataclass(frozen=True, slots=True)
class ImportedFile:
    """What a file held; every row is in one of the two."""

    measurements: tuple[Measurement, ...]
    rejected: tuple[RejectedRow, ...] = ()


Recognize = Callable[[Path, str], bool]
"""Tells whether a file is of a format, from its name and the first 64 KiB of its text."""
Read = Callable[[Path, str, Facts], ImportedFile]
"""Reads a file's whole text."""
R = TypeVar("R", bound=Read)


@dataclass(frozen=True, slots=True)
class Importer:
    """One format of one tool."""

    name: str
    title: str
    """What it reads, in a few words."""
    recognizes: Recognize
    read: Read


importers: Registry[Importer] = Registry(
    "import format", "roofline.validate.records.importers", "roofline.importers", TableError
)
"""Every format by name."""

_HEAD = 65_536


def importer(name: str, title: str, recognizes: Recognize) -> Callable[[R], R]:
    """Return a decorator that registers what reads a format; the arguments are the fields of `Importer`."""
    return importers.register(name, wrap=lambda read: Importer(name, title, recognizes, read))


def with_keys(*keys: str) -> Recognize:
    """Return what recognizes JSON in which all of some keys, or texts, stand."""
    return lambda _path, head: all(json.dumps(key) in head for key in keys)


def read_runs(path: Path, facts: Facts, *, form: str = "") -> tuple[Importer, ImportedFile]:
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
    text = read_text(path, "file of measured runs")
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
    found = chosen.read(path, text, facts)
    for number, run in enumerate(found.measurements, 1):
        _check_run(run, f"{path} run {number}")
    return chosen, found


def _check_run(run: Measurement, where: str) -> None:
    """Refuse what no store can hold; whatever the format, before anything is stored."""
    words = (
        run.job.network,
        run.job.compression.label,
        run.job.datatype,
        run.job.backend,
        run.machine,
        run.executed.datatype,
    )
    for text in words:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise TableError(
                f"{where}: {quote(text)} holds half a character", repair="Mend the text"
            ) from error
    # A run that failed early never learnt the batch that its model has of its own.
    least = 1 if run.status is Status.OK else 0
    whole_number(run.job.batch, f"{where}: batch", least=least, error=TableError)
    whole_number(run.job.threads, f"{where}: threads", least=0, error=TableError)
    for seconds in run.samples_s:
        real_number(seconds, f"{where}: a time", least=0, error=TableError)


def entries(path: Path, document: Any, what: str) -> list[JsonObject]:
    """Return a JSON document that is a list of objects.

    Args:
        path: The file, for messages.
        document: What it holds.
        what: What the objects are, for messages.

    Raises:
        TableError: It is no list, or holds something else.
    """
    if not isinstance(document, list):
        raise TableError(f"{path} is not a list of {what}")
    found = cast("list[Any]", document)
    for number, entry in enumerate(found, 1):
        if not isinstance(entry, dict):
            raise TableError(f"{path}: entry {number} is {quote(entry)}, not an object")
    return cast("list[JsonObject]", found)


def times(path: Path, found: Sequence[JsonObject], name: str) -> list[float]:
    """Return the number that some of a list's entries have under a name, in the order of the file.

    Raises:
        TableError: One of them is no number of at least 0.
    """
    return [
        real_number(entry[name], f"{path}: entry {number}: {name}", least=0, error=TableError)
        for number, entry in enumerate(found, 1)
        if name in entry
    ]


def imported_request(facts: Facts, backend: str) -> RunRequest:
    """Return what is known of how a run of another tool was asked for."""
    return RunRequest(
        facts.network, backend, datatype=facts.datatype or "fp32", batch=facts.batch or 1, threads=1,
        tuning=Tuning.NONE, trials=0, target=facts.machine,
    )  # fmt: skip


def imported_run(facts: Facts, backend: str) -> Measurement:
    """Return a run of another tool, but for its times: what the user says of it."""
    return Measurement(
        imported_request(facts, backend), Status.OK, machine=facts.machine, executed=Executed(facts.datatype)
    )  # fmt: skip


def check_named(
    facts: Facts, where: str | Path, names: Sequence[str] = ("network", "machine")
) -> None:
    """Refuse a run of which neither its file nor the user says all that is asked for."""
    for name in names:
        if not getattr(facts, name):
            raise TableError(f"{where} does not say the {name}", repair=f"Name it with --{name}")
