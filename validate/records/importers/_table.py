"""Reads tables of runs: columns by name or by a user's mapping, each row taken or refused with its reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from roofline.errors import RooflineError, TableError, did_you_mean
from roofline.precision import precision
from roofline.reading import real_number, whole_number
from roofline.validate.records.compression import parse_compression
from roofline.validate.records.executed import Executed
from roofline.validate.records.importers._registry import Facts, ImportedFile, RejectedRow
from roofline.validate.records.record import Measurement, Reported, Status
from roofline.validate.records.request import RunRequest
from roofline.validate.records.tuning import Tuning

LATENCY_FACTOR = 1.1
"""Ratio of throughput × latency to the batch above which a row is flagged."""

MOST_CHARACTERS = 1000
"""The longest cell of a table of runs that is taken: what is longer is no name."""


COLUMNS = {
    "platform": "machine",
    "network": "network",
    "datatype": "datatype",
    "pruning": "what was removed, or the share of channels kept",
    "batch": "items per inference",
    "concurrency": "inferences in flight (threads or streams)",
    "measured_fps": "throughput in frames per second",
    "latency_ms": "latency of the whole batch in milliseconds",
    "power_w": "power at load in watts",
    "accuracy_percent": "top-1 accuracy in percent",
    "flag": "why the row is doubtful",
}
"""The columns that a table of runs may have, and what they hold."""
_NEEDED = ("platform", "network")
"""Those without which a row says nothing."""


def map_columns(path: Path, header: Sequence[str], columns: Mapping[str, str]) -> dict[str, str]:
    """Return our columns' names to the file's, those of the same name included.

    Raises:
        TableError: The mapping names a column that one side lacks, or a needed column is missing.
    """
    for ours, theirs in columns.items():
        if ours not in COLUMNS:
            raise TableError(
                f"no column {ours!r} to map to",
                repair=did_you_mean(ours, COLUMNS) or f"Columns: {', '.join(sorted(COLUMNS))}",
            )
        if theirs not in header:
            raise TableError(
                f"{path} has no column {theirs!r}",
                repair=did_you_mean(theirs, header) or f"It has: {', '.join(header)}",
            )
    found = {name: name for name in COLUMNS if name in header} | dict(columns)
    missing = [name for name in _NEEDED if name not in found]
    if missing or not {"measured_fps", "latency_ms"} & set(found):
        lacking = ", ".join(missing) or "measured_fps or latency_ms"
        raise TableError(
            f"{path} has no column for {lacking}",
            repair="Map one with --map ours=theirs, e.g. --map platform=HWType",
        )
    return found


def read_rows(
    path: Path, rows: Sequence[Mapping[str, str]], found: Mapping[str, str], facts: Facts
) -> ImportedFile:
    """Turn rows into measurements; a row that cannot be taken is listed with its reason."""
    taken: list[Measurement] = []
    refused: list[RejectedRow] = []
    seen: set[str] = set()
    for number, row in enumerate(rows, 1):
        try:
            run = _measurement(
                {ours: row[theirs].strip() for ours, theirs in found.items()},
                facts,
                f"{path.name} row {number}",
            )
        except ValueError as error:
            refused.append(RejectedRow(number, str(error), isinstance(error, _DamagedCellError)))
            continue
        identity = run.job.key
        if identity in seen:
            refused.append(RejectedRow(number, "the same configuration stands in an earlier row"))
            continue
        seen.add(identity)
        taken.append(run)
    return ImportedFile(tuple(taken), tuple(refused))


def _measurement(row: Mapping[str, str], facts: Facts, source: str) -> Measurement:
    values = {
        name: real_number(row[name], name, least=0, error=_DamagedCellError)
        for name in ("measured_fps", "latency_ms", "power_w")
        if row.get(name)
    }
    throughput, latency = values.get("measured_fps"), values.get("latency_ms")
    batch = _count(row, "batch", facts.batch or (1 if "batch" not in row else None))
    concurrency = _count(row, "concurrency", 1)
    accuracy = None
    if row.get("accuracy_percent"):
        accuracy = real_number(
            row["accuracy_percent"], "accuracy_percent", least=0, most=100, error=_DamagedCellError
        )
    for name in _NEEDED:
        if not row.get(name):
            raise _DamagedCellError(f"no {name}")
    for name, text in row.items():
        if len(text) > MOST_CHARACTERS:
            raise _DamagedCellError(
                f"{name} is {len(text):,} characters long, and at most {MOST_CHARACTERS:,} are taken"
            )
    if row.get("datatype"):
        try:
            precision(row["datatype"])
        except RooflineError as error:
            raise _DamagedCellError(f"datatype: {error.message}") from None
    if not throughput and not latency:
        raise ValueError("neither a throughput nor a latency")
    notes = [row["flag"]] if row.get("flag") else []
    if throughput and latency:
        implied = 1e3 * batch * concurrency / latency
        if not 1 / LATENCY_FACTOR <= throughput / implied <= LATENCY_FACTOR:
            notes.append(f"latency and batch imply {implied:.4g} fps")
    job = RunRequest(
        row["network"], "imported", compression=parse_compression(row.get("pruning") or "dense"),
        datatype=row.get("datatype") or facts.datatype or "fp32", batch=batch,
        threads=concurrency, tuning=Tuning.NONE, trials=0, target=row["platform"],
    )  # fmt: skip
    reported = Reported(
        source,
        latency_s=None if latency is None else latency / 1e3,
        throughput_fps=throughput or None,
        power_w=values.get("power_w"),
        accuracy=None if accuracy is None else accuracy / 100,
        concurrency=concurrency,
    )
    return Measurement(
        job,
        Status.OK,
        machine=row["platform"],
        executed=Executed(job.datatype),
        reported=reported,
        notes=tuple(notes),
    )


class _DamagedCellError(ValueError):
    """A cell is not what its column holds."""


def _count(row: Mapping[str, str], name: str, unless: int | None) -> int:
    """Return a cell's whole number; the other one where the cell is empty or there is none."""
    text = row.get(name, "")
    if text or unless is None:
        return whole_number(text, name, error=_DamagedCellError)
    return unless
