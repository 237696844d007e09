"""Reads tables of runs: columns by name or by a user's mapping, each row taken or refused with its reason."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from roofline.errors import TableError, did_you_mean
from roofline.validate.records.importers._registry import Facts, Imported, Rejected
from roofline.validate.records.record import Job, Measurement, Reported, Status

LATENCY_FACTOR = 1.1
"""Ratio of throughput × latency to the batch above which a row is flagged."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table of runs."""

    name: str
    about: str
    number: bool = True
    required: bool = False


COLUMNS = (
    Column("platform", "machine", number=False, required=True),
    Column("network", "network", number=False, required=True),
    Column("datatype", "datatype", number=False),
    Column("pruning", "what was removed, or the share of channels kept", number=False),
    Column("batch", "items per inference"),
    Column("concurrency", "inferences in flight (threads or streams)"),
    Column("measured_fps", "throughput in frames per second"),
    Column("latency_ms", "latency of the whole batch in milliseconds"),
    Column("power_w", "power at load in watts"),
    Column("accuracy_percent", "top-1 accuracy in percent"),
    Column("flag", "why the row is doubtful", number=False),
)
"""The columns that a table of runs may have."""


def rows_of(path: Path, text: str) -> tuple[list[str], list[dict[str, str]]]:
    """Return a CSV file's header and rows.

    Raises:
        TableError: The file is empty, or a row has more cells than the header.
    """
    reader = csv.DictReader(text.splitlines())
    header = list(reader.fieldnames or [])
    if not header:
        raise TableError(f"{path} is empty", repair="Give a CSV file with a header")
    rows: list[dict[str, str]] = []
    for number, row in enumerate(reader, 1):
        if None in row:
            raise TableError(f"{path} row {number}: more cells than the header names")
        rows.append({name: (value or "").strip() for name, value in row.items()})
    return header, rows


def mapped(path: Path, header: Sequence[str], columns: Mapping[str, str]) -> dict[str, str]:
    """Return our columns' names to the file's, those of the same name included.

    Raises:
        TableError: The mapping names a column that one side lacks, or a needed column is missing.
    """
    known = {column.name for column in COLUMNS}
    for ours, theirs in columns.items():
        if ours not in known:
            raise TableError(
                f"no column {ours!r} to map to",
                repair=did_you_mean(ours, known) or f"Columns: {', '.join(sorted(known))}",
            )
        if theirs not in header:
            raise TableError(
                f"{path} has no column {theirs!r}",
                repair=did_you_mean(theirs, header) or f"It has: {', '.join(header)}",
            )
    found = {name: name for name in known if name in header} | dict(columns)
    missing = [column.name for column in COLUMNS if column.required and column.name not in found]
    if missing or not {"measured_fps", "latency_ms"} & set(found):
        lacking = ", ".join(missing) or "measured_fps or latency_ms"
        raise TableError(
            f"{path} has no column for {lacking}",
            repair="Map one with --map ours=theirs, e.g. --map platform=HWType",
        )
    return found


def read_rows(
    path: Path, rows: Sequence[Mapping[str, str]], found: Mapping[str, str], facts: Facts
) -> Imported:
    """Turn rows into measurements; a row that cannot be taken is listed with its reason."""
    taken: list[Measurement] = []
    refused: list[Rejected] = []
    seen: set[str] = set()
    for number, row in enumerate(rows, 1):
        try:
            run = _measurement(
                {ours: row[theirs] for ours, theirs in found.items()},
                facts,
                f"{path.name} row {number}",
            )
        except ValueError as error:
            refused.append(Rejected(number, str(error)))
            continue
        identity = run.job.key
        if identity in seen:
            refused.append(Rejected(number, "the same configuration stands in an earlier row"))
            continue
        seen.add(identity)
        taken.append(run)
    return Imported(tuple(taken), tuple(refused))


def _measurement(row: Mapping[str, str], facts: Facts, source: str) -> Measurement:
    values = {
        column.name: _number(row.get(column.name, ""), column.name)
        for column in COLUMNS
        if column.number
    }
    throughput, latency = values["measured_fps"], values["latency_ms"]
    batch, concurrency = int(values["batch"] or facts.batch), int(values["concurrency"] or 1)
    accuracy = values["accuracy_percent"]
    if not throughput and not latency:
        raise ValueError("neither a throughput nor a latency")
    if accuracy is not None and accuracy > 100:
        raise ValueError(f"accuracy {accuracy:g} % is not within 0–100")
    for name in ("platform", "network"):
        if not row.get(name):
            raise ValueError(f"no {name}")
    notes = [row["flag"]] if row.get("flag") else []
    if throughput and latency:
        implied = 1e3 * batch * concurrency / latency
        if not 1 / LATENCY_FACTOR <= throughput / implied <= LATENCY_FACTOR:
            notes.append(f"latency and batch imply {implied:.4g} fps")
    job = Job(
        row["network"], "imported", variant=row.get("pruning") or "dense",
        datatype=row.get("datatype") or facts.datatype or "fp32", batch=batch,
        threads=concurrency, target=row["platform"],
    )  # fmt: skip
    reported = Reported(
        source,
        latency_s=None if latency is None else latency / 1e3,
        throughput_fps=throughput or None,
        power_w=values["power_w"],
        accuracy=None if accuracy is None else accuracy / 100,
        concurrency=concurrency,
    )
    return Measurement(
        job,
        Status.OK,
        machine=row["platform"],
        executed=job.datatype,
        reported=reported,
        notes=tuple(notes),
    )


def _number(text: str, name: str) -> float | None:
    if not text:
        return None
    try:
        # Thousands separators stand in some tables' cells: "1,234.82".
        value = float(text.replace(",", ""))
    except ValueError:
        raise ValueError(f"{name} is {text!r}, not a number") from None
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{name} is {text!r}, not a number of at least 0")
    return value
