"""Tables of data: what a column holds, how its cells are checked, how rows are found in files and become frames."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from roofline.errors import TableError
from roofline.extras import optional_import
from roofline.reading import CsvTable, read_csv, read_text

if TYPE_CHECKING:
    import pandas as pd
    from _typeshed import DataclassInstance

Cell = str | int | float | bool | None
"""What a cell of a finished table holds; None where there is nothing to say."""
Record = dict[str, Cell]
"""A row of a finished table: plain values by column."""
Row = Mapping[str, Any]
"""A row of any table, as it was read or made; lists and further tables may stand in its cells."""


class Holds(StrEnum):
    """What the cells of a column are."""

    WORD = "word"
    NUMBER = "number"
    AMOUNT = "amount"
    """A finite number of at least zero."""
    PERCENT = "percent"
    """A number from 0 to 100."""
    POSITIVE = "positive"
    """A number above zero, for logarithmic axes: zero and infinity are no value, a negative number is refused."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table that is read."""

    name: str
    meaning: str
    """One phrase, with the unit."""
    required: bool = True
    holds: Holds = Holds.WORD


def read_table(path: Path, noun: str, columns: Sequence[str]) -> CsvTable:
    """Return the rows of a CSV file that has the columns it must have.

    Args:
        path: The file.
        noun: What it is to be, for messages: ``table of figures``.
        columns: Those without which it says nothing.

    Raises:
        TableError: It cannot be read, is no table, or lacks a column.
    """
    return with_columns(read_csv(read_text(path, noun), str(path)), str(path), noun, columns)


def with_columns(
    table: CsvTable, where: str, noun: str, columns: Sequence[str], *, optional: Sequence[str] = (),
    repair: str = "",
) -> CsvTable:  # fmt: skip
    """Return a table that has the columns it must have.

    Args:
        table: The table.
        where: What to call it in messages: the file's path.
        noun: What it is to be, for messages.
        columns: Those without which it says nothing.
        optional: Those that it may have; another that is nearly called so would be left aside unseen, and is refused.
        repair: What to do where it lacks one; by default the columns are named.

    Raises:
        TableError: It lacks a column, or has one that is misspelt.
    """
    missing = [name for name in columns if name not in table.header]
    if missing:
        raise TableError(
            f"{where} has no column {', '.join(missing)}",
            repair=repair or f"A {noun} has the columns {', '.join(columns)}",
        )
    known = {*columns, *optional}
    for meant in (name for name in optional if name not in table.header):
        misspelt = next((x for x in table.header if x not in known and _nearly(x, meant)), None)
        if misspelt is not None:
            raise TableError(
                f"{where}: {misspelt!r} is no column of a {noun}",
                repair=f"Did you mean {meant!r}?",
            )
    return table


_NEAR = 0.8
"""Share of letters in the order of a column's name from which another is taken for it."""


def _nearly(name: str, meant: str) -> bool:
    """Return whether a heading is another column's, misspelt or with a word behind it: ``bach``, ``batch_size``.

    Example:
        >>> _nearly("bach", "batch"), _nearly("Batch size", "batch"), _nearly("source", "batch")
        (True, True, False)
    """
    plain = name.casefold().replace(" ", "_")
    alike = difflib.SequenceMatcher(None, plain, meant).ratio() >= _NEAR
    return alike or plain.startswith(f"{meant}_")


# A number and letters after it: a unit in the cell, or a number that only looks like one.
_WITH_UNIT = re.compile(r"[-+]?[\d.,]+(?:[eE][-+]?\d+)?\s*[A-Za-zµ%][\w/µ%]*")


def word_in(value: Any) -> str | None:
    """Return a cell's word; None where it is empty."""
    return None if is_empty(value) else str(value)


def number_in(value: Any, column: Column, where: str) -> float | None:
    """Return a cell's number; None where it is empty or no value of its column.

    Args:
        value: A number, or its text.
        column: What the cell belongs to.
        where: The table and the row, for messages.

    Raises:
        TableError: It is no number, has a unit, or is out of the column's range.
    """
    if is_empty(value):
        return None
    place = f"{where}: {column.name} is {str(value)[:40]!r}"
    bare = f"Give a bare number: {column.meaning}"
    try:
        found = float("none" if isinstance(value, bool) else value)
    except (TypeError, ValueError):
        unit = _WITH_UNIT.fullmatch(str(value).strip())
        why = "a number with a unit" if unit else "not a number"
        raise TableError(f"{place}, {why}", repair=bare) from None
    if column.holds is Holds.AMOUNT and not 0 <= found < math.inf:
        raise TableError(f"{place}, not a number of at least 0", repair="Mend or empty it")
    if math.isnan(found):
        return None
    if column.holds is Holds.PERCENT and not 0 <= found <= 100:
        raise TableError(
            f"{where}: {column.name} {found:g} is not within 0–100", repair="Give it in percent"
        )
    if column.holds is Holds.POSITIVE:
        if found < 0:
            raise TableError(f"{place}, below zero", repair=bare)
        # Published tables write 0 where there is no value; infinity has no place on an axis either.
        return found if 0 < found < math.inf else None
    return found


def cell_in(value: Any, column: Column, where: str) -> str | float | None:
    """Return what a cell holds, a word or a number as its column says; the arguments are those of `number_in`."""
    return word_in(value) if column.holds is Holds.WORD else number_in(value, column, where)


def is_empty(value: Any) -> bool:
    """Return whether a cell says nothing: empty text, None, or not a number."""
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


_RATES = {
    "predicted_tokens_per_s": "predicted_fps",
    "measured_tokens_per_s": "measured_fps",
    "peak_tokens_per_s": "peak_fps",
}
TOKENS = "tokens/s"
"""What the column ``rate`` says of rows whose rates are of tokens."""


def comparable_row(row: Row) -> Row:
    """Return a row of what a verb wrote with its rates in one set of columns, whatever they count.

    An interval, a pair in JSON and in a cell of CSV, becomes ``predicted_low_fps`` and ``predicted_high_fps``; rates of
    decoders stand in ``predicted_fps``, ``measured_fps`` and ``peak_fps``, and ``rate`` says that they are of tokens. A
    decoder's network is named with its phase and context. What the columns say already stays.
    """
    if not row.get("phase"):
        return {**_ends(row, "interval_fps"), **row}
    found = {**row, "network": with_phase(row)}
    # A run calls its rate tokens_per_s as a prediction does.
    alone = "measured_fps" if "measured_fps" in row else "predicted_fps"
    for name, plain in ({"tokens_per_s": alone} | _RATES).items():
        if not is_empty(row.get(name)):
            found |= {plain: row[name], "rate": TOKENS}
    return {**_ends(row, "interval_tokens_per_s"), **found}


def with_phase(row: Row) -> str:
    """Return the name of a decoder's row with its phase and context; that of a compared run has them already."""
    name, context = str(row.get("network")), row.get("context")
    words = f"{row['phase']} at {0 if is_empty(context) else float(str(context)):,.0f}"
    return name if name.replace(",", "").endswith(words.replace(",", "")) else f"{name} {words}"


def _ends(row: Row, name: str) -> dict[str, Any]:
    pair: Any = row.get(name)
    if isinstance(pair, str) and pair.startswith("["):
        try:
            pair = json.loads(pair)
        except ValueError:
            return {}
    if not isinstance(pair, (list, tuple)) or len(cast("Sequence[Any]", pair)) != 2:
        return {}
    low, high = cast("Sequence[Any]", pair)
    return {"predicted_low_fps": low, "predicted_high_fps": high}


def rows_in(document: Any, names: Sequence[str], where: str) -> list[Row]:
    """Return the rows of a JSON document: the document itself, or the first list under one of some names.

    Args:
        document: What was read.
        names: Names that a verb gives its rows, in the order in which they are looked for.
        where: The file, for messages.

    Raises:
        TableError: There is no list of rows.
    """
    found: Any = document
    if isinstance(document, dict):
        held = cast("dict[str, Any]", document)
        given = [held[name] for name in names if name in held]
        found = next((rows for rows in given if rows), given[0] if given else None)
    rows = cast("list[Any]", found) if isinstance(found, list) else None
    if rows is None or not all(isinstance(row, Mapping) for row in rows):
        raise TableError(
            f"{where} holds no list of rows", repair=f"It needs one of: {', '.join(names)}"
        )
    return rows


def cells(row: Row | DataclassInstance) -> Row:
    """Return the cells of a row by column; those of a typed row are its fields, in their order.

    Example:
        >>> from roofline.cost import Cost
        >>> cells(Cost(macs=1))["macs"]
        1
    """
    if isinstance(row, Mapping):
        return row
    return {field.name: getattr(row, field.name) for field in fields(row)}


def frame(rows: Iterable[Row | DataclassInstance]) -> pd.DataFrame:
    """Return rows as a data frame.

    Raises:
        MissingPackageError: pandas is not installed.
    """
    with optional_import("A table"):
        import pandas as pd
    return pd.DataFrame([dict(cells(row)) for row in rows])
