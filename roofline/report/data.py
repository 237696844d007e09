"""The rows a report shows, read from what the other verbs write, and checked."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roofline.chart._table import Cells
from roofline.errors import TableError, did_you_mean
from roofline.parquet import table_rows
from roofline.reading import read_json, read_text
from roofline.tables import (
    Column,
    Holds,
    Row,
    cell_in,
    comparable_row,
    is_empty,
    rows_in,
)

if TYPE_CHECKING:
    from roofline.spec import Platform

COLUMNS: Mapping[str, Column] = {
    column.name: column
    for column in (
        Column("platform", "machine, with its mode after a colon"),
        Column("network", "network"),
        Column("task", "data set that the accuracy is of; accuracies compare within one"),
        Column("datatype", "datatype of the arithmetic"),
        Column("pruning", "what was removed; 'dense' when nothing"),
        Column("batch", "items per inference", holds=Holds.AMOUNT),
        Column(
            "rate",
            "what the throughputs of the row count where it is not frames: tokens/s of decoders",
        ),
        Column("predicted_fps", "predicted throughput in frames per second", holds=Holds.AMOUNT),
        Column(
            "predicted_low_fps",
            "least throughput expected of a run, in frames per second",
            holds=Holds.AMOUNT,
        ),
        Column(
            "predicted_high_fps",
            "greatest throughput expected of a run, in frames per second",
            holds=Holds.AMOUNT,
        ),
        Column("measured_fps", "measured throughput in frames per second", holds=Holds.AMOUNT),
        Column(
            "peak_fps", "throughput at the compute peak in frames per second", holds=Holds.AMOUNT
        ),
        Column("efficiency", "measured / predicted", holds=Holds.AMOUNT),
        Column(
            "latency_ms", "measured latency of the whole batch in milliseconds", holds=Holds.AMOUNT
        ),
        Column("power_w", "power at load in watts", holds=Holds.AMOUNT),
        Column("accuracy", "top-1 accuracy in percent", holds=Holds.PERCENT),
        Column("bound", "what limits the prediction"),
        Column("intensity", "operational intensity in operations per byte", holds=Holds.AMOUNT),
        Column("backend", "what ran it"),
        Column("flag", "why a row is doubtful"),
        Column("explanation", "why a run is faster than the bound"),
        Column("source", "where the row comes from"),
    )
}
"""The columns of a report's rows, in order; rows may lack any but platform and network."""
_LISTS = ("comparisons", "predictions", "measurements", "rows")

# A latency may differ from batch / throughput by this factor before the row is flagged: pipelines overlap items.
_LATENCY_FACTOR = 1.1


@dataclass(frozen=True, slots=True)
class ReportData:
    """Everything one page shows."""

    title: str
    rows: tuple[Row, ...]
    """One per configuration and batch; columns as in `COLUMNS`."""
    roofs: tuple[Row, ...] = ()
    """One per machine and datatype: platform, datatype, peak_op_s, bandwidth_b_s; where it has one, the largest on-chip
    memory: on_chip, on_chip_capacity_b and, if known, on_chip_bandwidth_b_s."""
    requirements: tuple[Row, ...] = ()
    """One per network (and pruning, and datatype): network, pruning, datatype, ops, weight_bytes, intensity."""
    conventions: str = "One multiply-accumulate is two operations."


def load_rows(path: Path) -> tuple[Row, ...]:
    """Read rows from a user's CSV file, or from the CSV, JSON or Parquet that verbs write.

    Args:
        path: A ``.csv``, ``.json`` or ``.parquet`` file, or a sweep's folder.

    Returns:
        Rows with the columns of `COLUMNS`, each checked; a row whose latency contradicts its throughput and batch
        is kept and flagged.

    Raises:
        TableError: The file cannot be read, a column is unknown, or a value is out of its range.
    """
    if path.suffix.lower() == ".json":
        return check_rows(_from_json(read_text(path, "table"), path), str(path))
    table = table_rows(path)
    if table and any(written <= set(table[0]) for written in _WRITTEN):
        return check_rows(_report_rows(table), str(path))
    return check_rows(table, str(path), strict_columns=True)


_WRITTEN = (
    frozenset({"throughput_fps", "upper_bound", "intensity"}),
    frozenset({"efficiency", "executed", "status"}),
    frozenset({"executed", "samples", "machine"}),
)
"""Columns that tell tables of ``predict`` and ``sweep``, of ``validate``, and of ``measure`` and ``export``."""


def _from_json(text: str, path: Path) -> list[Row]:
    return _report_rows(rows_in(read_json(text, str(path)), _LISTS, str(path)))


def _report_rows(entries: Sequence[Row]) -> list[Row]:
    """Return rows of the other verbs as those of a report: of a bound and the estimate behind it the interval alone.

    Combinations that were left out have nothing to show.
    """
    rows: list[Row] = []
    bounds: dict[tuple[Any, ...], int] = {}
    for entry in entries:
        if not is_empty(entry.get("skipped")):
            continue
        row = _rename_fields(entry)
        key = tuple(row.get(name) for name in _CONFIGURATION)
        strict, model = str(entry.get("upper_bound")).lower(), entry.get("model")
        if strict == "true":
            bounds.setdefault(key, len(rows))
        elif model in {"expected", "calibrated"} and key in bounds and "predicted_low_fps" in row:
            place = bounds.pop(key)
            rows[place] = {**rows[place], **{end: row[end] for end in _ENDS}}
            continue
        rows.append(row)
    return rows


_CONFIGURATION = ("platform", "network", "datatype", "pruning", "batch", "backend")
_ENDS = ("predicted_low_fps", "predicted_high_fps")


def _rename_fields(entry: Row) -> Row:
    """Map the field names of the other verbs onto the report's columns."""
    row = dict(comparable_row(entry))
    if is_empty(row.get("predicted_fps")) and "throughput_fps" in row:
        row["predicted_fps"] = row["throughput_fps"]
    if "upper_bound" in row:
        # What is predicted of a batch is no measured latency.
        row.pop("latency_ms", None)
    if (
        "latency_ms" not in row
        and not is_empty(row.get("measured_fps"))
        and row.get("rate") is None
    ):
        row["latency_ms"] = row.get("median_ms")
    for own, written in (
        ("platform", "machine"),
        ("pruning", "variant"),
        ("flag", "flags"),
        ("explanation", "reason"),
    ):
        if own not in row and written in row:
            row[own] = row[written]
    return {name: row[name] for name in COLUMNS if not is_empty(row.get(name))}


def check_rows(
    entries: Sequence[Row], where: str, *, strict_columns: bool = False
) -> tuple[Row, ...]:
    """Check and complete rows.

    Args:
        entries: Raw rows; numbers may be text.
        where: Where they come from, for messages.
        strict_columns: Refuse columns that are not in `COLUMNS` instead of leaving them out.

    Raises:
        TableError: A column or a value is not allowed.
    """
    if strict_columns and entries:
        for name in entries[0]:
            if name not in COLUMNS:
                hint = did_you_mean(str(name), COLUMNS) or f"Columns: {', '.join(COLUMNS)}"
                raise TableError(f"{where}: unknown column {name!r}", repair=hint)
    rows = [_check(entry, f"{where} row {number}") for number, entry in enumerate(entries, 1)]
    return tuple(_flag_shares(_flag_duplicates(rows)))


def _check(entry: Row, where: str) -> Cells:
    row: Cells = {}
    for name, column in COLUMNS.items():
        value = entry.get(name)
        if name == "intensity" and str(value).strip() in {"inf", "Infinity"}:
            # A CSV of predict says so where no weight is charged; its JSON leaves the cell empty.
            value = None
        row[name] = cell_in(value, column, where)
    for name in ("platform", "network"):
        if row[name] is None:
            raise TableError(f"{where}: no {name}", repair=f"Fill the column {name!r}")
    row["pruning"] = row["pruning"] or "dense"
    if row["batch"] is not None and row["batch"] == int(row["batch"]):
        row["batch"] = int(row["batch"])
    if (row["predicted_low_fps"] or 0.0) > (row["predicted_high_fps"] or math.inf):
        raise TableError(
            f"{where}: predicted_low_fps is above predicted_high_fps", repair="Exchange them"
        )
    if row["efficiency"] is None and row["measured_fps"] and row["predicted_fps"]:
        row["efficiency"] = row["measured_fps"] / row["predicted_fps"]
    # Tokens per item are no column, so a rate of tokens implies no latency.
    if row["latency_ms"] and row["measured_fps"] and row["batch"] and row["rate"] is None:
        implied = 1e3 * row["batch"] / row["latency_ms"]
        ratio = max(implied / row["measured_fps"], row["measured_fps"] / implied)
        if ratio > _LATENCY_FACTOR:
            row["flag"] = _join(row["flag"], f"latency and batch imply {implied:.4g} fps")
    return row


def _flag_duplicates(rows: Iterable[Cells]) -> list[Cells]:
    seen: set[tuple[Any, ...]] = set()
    kept: list[Cells] = []
    for row in rows:
        identity = tuple(row[name] for name in _CONFIGURATION)
        if identity in seen:
            row["flag"] = _join(row["flag"], "configuration given more than once")
        seen.add(identity)
        kept.append(row)
    return kept


def _flag_shares(rows: list[Cells]) -> list[Cells]:
    """Flag accuracies that look like shares of one among percentages of the same task."""
    percent = {row["task"] for row in rows if (row["accuracy"] or 0.0) > 1}
    for row in rows:
        if row["task"] in percent and row["accuracy"] is not None and 0 < row["accuracy"] <= 1:
            row["flag"] = _join(row["flag"], "accuracy looks like a share, not percent")
    return rows


def on_chip(machine: Platform) -> dict[str, object]:
    """Return name, capacity and bandwidth of a machine's largest on-chip memory, as a roof's row has them."""
    largest = machine.on_chip_memory
    if largest is None:
        return {}
    return {
        "on_chip": largest.name,
        "on_chip_capacity_b": machine.on_chip_capacity,
        "on_chip_bandwidth_b_s": largest.bandwidth.base if largest.bandwidth else None,
    }


def _join(flag: str | None, reason: str) -> str:
    return f"{flag}; {reason}" if flag else reason
