"""The tables charts are drawn from: columns by name, checked, with the names other verbs write understood."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from roofline.errors import TableError, did_you_mean
from roofline.parquet import table_rows
from roofline.reading import read_json, read_text
from roofline.tables import (
    Column,
    Holds,
    Row,
    cell_in,
    comparable_row,
    rows_in,
)

_LISTS = ("comparisons", "predictions", "measurements", "layers", "machines", "rows")
# A prediction calls its throughput throughput_fps; beside a measurement it is the predicted one.
_ALIASES = {"predicted_fps": "throughput_fps", "throughput_fps": "predicted_fps"}


RATE = Column("rate", "what the rates count, where it is not frames: tokens/s", required=False)
"""Stands among the columns of charts that show rates of decoders as well."""


def rate_of(rows: Iterable[Row]) -> str:
    """Return what the rates of rows count, for an axis."""
    found = distinct_values(row["rate"] or "frames/s" for row in rows)
    return " or ".join(sorted(found)) or "frames/s"


ESTIMATES = frozenset({"expected", "calibrated"})
"""Models that say what a run is expected to reach; others say what no run exceeds."""
SAYS_NOTHING = frozenset({"dense", "None", ""})
"""Words that a label leaves out beside others."""


def amount(name: str, meaning: str, *, required: bool = True) -> Column:
    """Return a column of amounts above zero."""
    return Column(name, meaning, required, Holds.POSITIVE)


def words(*names: str, required: bool = True) -> tuple[Column, ...]:
    """Return columns of words that mean the same in every chart."""
    return tuple(Column(name, _WORDS[name], required) for name in names)


def amounts(*names: str, required: bool = True) -> tuple[Column, ...]:
    """Return columns of amounts above zero that mean the same in every chart."""
    return tuple(amount(name, _AMOUNTS[name], required=required) for name in names)


_WORDS = {
    "network": "name of the network",
    "platform": "machine, with its mode after a colon",
    "datatype": "datatype of the arithmetic",
    "pruning": "what was removed from the network; 'dense' when nothing",
    "batch": "items per batch",
    "backend": "what ran it",
    "layer": "name of the layer",
    "bound": "what holds the layer back",
    "sweep": "what the batch counts: batch, thread or stream",
}
_AMOUNTS = {
    "measured_fps": "measured throughput in frames per second",
    "predicted_fps": "predicted throughput in frames per second",
    "peak_fps": "throughput at the compute peak in frames per second",
    "peak_op_s": "peak performance in OP/s",
    "bandwidth_b_s": "memory bandwidth in B/s",
    "ops": "operations per frame",
    "parameters": "stored weight elements",
    "intensity": "operational intensity in OP/B",
    "power_w": "power at load in watts",
}


def read_rows(path: Path) -> list[Row]:
    """Read a table from CSV, Parquet or a sweep's folder, or from the JSON that the verbs write.

    Predictions with layers give one row per layer, with the prediction's own fields beside those of the layer.

    Raises:
        TableError: The file cannot be read or holds no rows.
    """
    if path.suffix.lower() == ".json":
        return _from_json(read_text(path, "table"), path)
    return list(table_rows(path))


Cells = dict[str, Any]
"""A checked row: a float, a word or None for each column of a chart."""
Table = list[Cells]


def check_rows(rows: Iterable[Row], columns: Sequence[Column], kind: str) -> Table:
    """Return the rows with exactly these columns: numbers as floats, what is absent as None.

    Rows in which a required column is empty are left out.

    Args:
        rows: Any mappings; numbers may be text.
        columns: What the chart needs and can use.
        kind: The chart, for messages.

    Raises:
        TableError: A required column is missing in every row, or a cell is not what its column needs.
    """
    table = [_rename_aliases(row, columns) for row in rows]
    if not table:
        return []
    present = {name for row in table for name in row}
    for column in columns:
        if column.required and column.name not in present:
            near = did_you_mean(column.name, present)
            raise TableError(
                f"the data for chart {kind!r} has no column {column.name!r} ({column.meaning})",
                repair=f"{near} " * bool(near) + f"It has: {', '.join(sorted(present))}",
            )
    result: Table = []
    for number, row in enumerate(table, 1):
        where = f"row {number}"
        cells = {column.name: cell_in(row.get(column.name), column, where) for column in columns}
        if all(cells[column.name] is not None for column in columns if column.required):
            result.append(cells)
    return result


INTERVAL = (
    amount("predicted_low_fps", "least throughput expected of a run", required=False),
    amount("predicted_high_fps", "greatest throughput expected of a run", required=False),
)
"""The interval of a prediction; ``interval_fps`` of JSON is understood too."""


def interval_of(row: Row) -> tuple[float, float] | None:
    """Return the interval of a row's prediction; None where it has none."""
    low, high = row["predicted_low_fps"], row["predicted_high_fps"]
    return None if low is None or high is None else (low, max(low, high))


def label(row: Row, *names: str) -> str:
    """Return the words of some columns joined by spaces, without those that say nothing; a batch is called one."""
    shown = [
        f"batch {row[name]}" if name == "batch" else str(row[name])
        for name in names
        if row.get(name) not in (None, "")
    ]
    return " ".join(text for text in shown if text not in SAYS_NOTHING) or " ".join(shown[:1])


def varying_columns(rows: Sequence[Row], *names: str) -> tuple[str, ...]:
    """Return the columns that tell rows apart: those with more than one value, or the first if there is none."""
    return differing_columns(rows, *names) or names[:1]


def differing_columns(rows: Sequence[Row], *names: str) -> tuple[str, ...]:
    """Return the columns with more than one value."""
    return tuple(name for name in names if len({row.get(name) for row in rows}) > 1)


def common_line(rows: Sequence[Row], *names: str) -> str:
    """Return in one line what all rows have in common in these columns: a title for what is told apart by others."""
    same = [name for name in names if len({row.get(name) for row in rows}) == 1]
    return label(rows[0], *same) if same else ""


def distinct_values(values: Iterable[Any]) -> list[Any]:
    """Return distinct values in the order they first come in."""
    return list(dict.fromkeys(values))


def _rename_aliases(row: Row, columns: Sequence[Column]) -> Row:
    # Of decoders the columns of frames hold tokens where a chart says what they are.
    takes_tokens = any(column.name == RATE.name for column in columns)
    cells = dict(comparable_row(row) if takes_tokens or not row.get("phase") else row)
    for column in columns:
        other = _ALIASES.get(column.name)
        if other is not None and cells.get(column.name) in (None, "") and other in cells:
            cells[column.name] = cells[other]
    return cells


def _from_json(text: str, path: Path) -> list[Row]:
    document = read_json(text, str(path))
    entries: list[Row] = []
    if isinstance(document, dict):
        held = cast("dict[str, Any]", document)
        if "totals" in held and not held.get("layers"):
            return [{"network": held.get("model"), **cast("Row", held["totals"])}]
        # The answer of advise has, beside the machines, what any machine would need.
        entries += held.get("need_curve", [])
    return [
        part
        for row in (*rows_in(document, _LISTS, str(path)), *entries)
        for part in _part_rows(row)
    ]


def _part_rows(row: Row) -> Iterator[Row]:
    """Yield a row, or where it has layers one for each of them, with its own fields beside theirs."""
    layers = row.get("layers")
    if isinstance(layers, list) and layers:
        rest = {name: value for name, value in row.items() if name != "layers"}
        yield from (rest | layer for layer in cast("list[dict[str, Any]]", layers))
    else:
        yield row
