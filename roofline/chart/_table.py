"""The tables charts are drawn from: columns by name, checked, with the names other verbs write understood."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from roofline.errors import TableError, did_you_mean
from roofline.reading import read_csv, read_json, read_text

Row = Mapping[str, Any]

_LISTS = ("comparisons", "predictions", "measurements", "layers", "machines", "rows")
# A prediction calls its throughput throughput_fps; beside a measurement it is the predicted one.
_ALIASES = {"predicted_fps": "throughput_fps", "throughput_fps": "predicted_fps"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a chart's table."""

    name: str
    meaning: str
    """One phrase, with the unit."""
    required: bool = True
    kind: str = "word"
    """``word``; ``number``; ``percent``, from 0 to 100; or ``positive``, for log axes, where zero is no value."""


# A number and letters after it: a unit in the cell, or a number that only looks like one.
_WITH_UNIT = re.compile(r"[-+]?[\d.,]+(?:[eE][-+]?\d+)?\s*[A-Za-zµ%][\w/µ%]*")

INTERVAL = (
    Column("predicted_low_fps", "least throughput expected of a run", required=False, kind="positive"),
    Column("predicted_high_fps", "greatest throughput expected of a run", required=False, kind="positive"),
)  # fmt: skip
"""The interval of a prediction; ``interval_fps`` of JSON is understood too."""


def words(*names: str, required: bool = True) -> tuple[Column, ...]:
    """Return columns of the words that identify a row."""
    return tuple(Column(name, _MEANING[name], required) for name in names)


_MEANING = {
    "network": "name of the network",
    "platform": "machine, with its mode after a colon",
    "datatype": "datatype of the arithmetic",
    "pruning": "what was removed from the network; 'dense' when nothing",
    "batch": "items per batch",
    "backend": "what ran it",
    "layer": "name of the layer",
}


def read_rows(path: Path) -> list[Row]:
    """Read a table from a CSV file, or from the JSON that ``predict``, ``count``, ``measure`` or ``validate`` write.

    Predictions with layers give one row per layer, with the prediction's own fields beside those of the layer.

    Raises:
        TableError: The file cannot be read or holds no rows.
    """
    text = read_text(path, "table")
    if path.suffix.lower() == ".json":
        return _from_json(text, path)
    return list(read_csv(text, str(path)).rows)


def checked(rows: Iterable[Row], columns: Sequence[Column], kind: str) -> list[dict[str, Any]]:
    """Return the rows with exactly these columns: numbers as floats, what is absent as None.

    Rows in which a required column is empty are left out.

    Args:
        rows: Any mappings; numbers may be text.
        columns: What the chart needs and can use.
        kind: The chart, for messages.

    Raises:
        TableError: A required column is missing in every row, or a cell is not what its column needs.
    """
    table = [_aliased(row, columns) for row in rows]
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
    result: list[dict[str, Any]] = []
    for number, row in enumerate(table, 1):
        cells = {column.name: _cell(row.get(column.name), column, number) for column in columns}
        if all(cells[column.name] is not None for column in columns if column.required):
            result.append(cells)
    return result


def label(row: Row, *names: str, leave_out: Iterable[str] = ("dense", "None", "")) -> str:
    """Return the words of some columns joined by spaces, without those that say nothing."""
    skip = set(leave_out)
    shown = [str(row[name]) for name in names if row.get(name) not in (None, "")]
    return " ".join(text for text in shown if text not in skip) or " ".join(shown[:1])


def varying(rows: Sequence[Row], *names: str) -> tuple[str, ...]:
    """Return the columns that tell rows apart: those with more than one value, or the first if there is none."""
    differ = tuple(name for name in names if len({row.get(name) for row in rows}) > 1)
    return differ or names[:1]


def ordered(values: Iterable[Any]) -> list[Any]:
    """Return distinct values in the order they first come in."""
    return list(dict.fromkeys(values))


def _aliased(row: Row, columns: Sequence[Column]) -> dict[str, Any]:
    cells = dict(row)
    interval: Any = cells.get("interval_fps")
    if isinstance(interval, (list, tuple)) and len(cast("list[Any]", interval)) == 2:
        low, high = cast("list[Any]", interval)
        cells = {"predicted_low_fps": low, "predicted_high_fps": high} | cells
    for column in columns:
        other = _ALIASES.get(column.name)
        if other is not None and cells.get(column.name) in (None, "") and other in cells:
            cells[column.name] = cells[other]
    return cells


def _cell(value: Any, column: Column, number: int) -> Any:
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    if column.kind == "word":
        return str(value)
    if isinstance(value, bool):
        raise TableError(
            f"row {number}: {column.name} is {value}, not a number", repair=column.meaning
        )
    try:
        found = float(value)
    except (TypeError, ValueError):
        unit = " with a unit" if _WITH_UNIT.fullmatch(str(value).strip()) else ", not a number"
        raise TableError(
            f"row {number}: {column.name} is {str(value)[:40]!r}{unit}",
            repair=f"Give a bare number: {column.meaning}",
        ) from None
    if math.isnan(found):
        return None
    if column.kind == "percent" and not 0 <= found <= 100:
        raise TableError(
            f"row {number}: {column.name} {found:g} is not within 0–100",
            repair="Give it in percent",
        )
    if column.kind == "positive":
        if found < 0:
            raise TableError(
                f"row {number}: {column.name} is {found:g}", repair="It cannot be below zero"
            )
        # Published tables write 0 where there is no value; infinity has no place on an axis either.
        return found if 0 < found < math.inf else None
    return found


def _from_json(text: str, path: Path) -> list[Row]:
    document = read_json(text, str(path))
    entries: Any = document
    if isinstance(document, dict):
        held = cast("dict[str, Any]", document)
        entries = next((held[name] for name in _LISTS if held.get(name)), held.get("rows", []))
        if "totals" in held and not held.get("layers"):
            entries = [{"network": held.get("model"), **cast("dict[str, Any]", held["totals"])}]
        # The answer of advise has, beside the machines, what any machine would need.
        entries = [*entries, *held.get("need_curve", [])] if isinstance(entries, list) else entries
    if not isinstance(entries, list) or not all(
        isinstance(entry, dict) for entry in cast("list[Any]", entries)
    ):
        raise TableError(
            f"{path} holds no list of rows", repair=f"It needs one of: {', '.join(_LISTS)}"
        )
    rows: list[Row] = []
    for entry in cast("list[dict[str, Any]]", entries):
        layers = entry.get("layers")
        if isinstance(layers, list) and layers:
            rest = {name: value for name, value in entry.items() if name != "layers"}
            rows += [rest | layer for layer in cast("list[dict[str, Any]]", layers)]
        else:
            rows.append(entry)
    return rows
