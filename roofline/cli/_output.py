"""Where a verb's result goes: a table for people, JSON or CSV for programs; to the terminal or whole into a file."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, is_dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from roofline.errors import OptionError, did_you_mean, one_line, printable
from roofline.markdown import markdown_table
from roofline.number_format import plural
from roofline.reading import csv_cell
from roofline.tables import Row, cells
from roofline.writing import check_output, check_output_folder, csv_text, write_whole

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

SCHEMA_VERSION = 1
"""Version of the JSON that every verb writes; a field is only ever added without raising it."""


class Format(StrEnum):
    """How a result is written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def check_writable(path: Path | None) -> Path | None:
    """Return a flag's file when it can be written: checked before the verb's work, which may take hours."""
    if path is not None:
        check_output(path)
    return path


_RESULTS = (".json", ".csv", ".md", ".txt")
_FORMATS = frozenset(
    {
        *_RESULTS, ".parquet", ".xlsx", ".xls", ".ods", ".html", ".htm", ".png", ".svg", ".pdf", ".db", ".sqlite",
        ".yaml", ".yml", ".onnx", ".tsv", ".jsonl", ".ndjson", ".feather", ".arrow", ".pkl", ".npz", ".npy", ".py",
        ".gz", ".zip",
    }
)  # fmt: skip
"""Endings that promise what stands in a file; a name with another ending promises nothing."""


def check_ending(what: str, *endings: str) -> Callable[[Path | None], Path | None]:
    """Return the callback of a flag whose file is written in one form, or in that which its ending says.

    The callback returns the file when it can be written and its name does not promise another format.

    Args:
        what: What is written, for messages: ``"a result"``.
        endings: Those that say so.
    """

    def check(path: Path | None) -> Path | None:
        if path is not None and path.suffix.lower() in _FORMATS.difference(endings):
            raise OptionError(
                f"cannot write {path}: {what} is not written as {path.suffix}",
                repair=f"End its name in {', '.join(endings)}",
            )
        return check_writable(path)

    return check


def output_option(what: str, *endings: str) -> Any:
    """Return the option ``--output`` of a verb that writes one kind of file; the arguments are `check_ending`'s."""
    return typer.Option(
        "--output",
        "-o",
        callback=check_ending(what, *endings),
        help=f"Where to write {what}: a file {' or '.join(endings)}.",
    )


def check_drawable(path: Path | None) -> Path | None:
    """Return a flag's file when a figure can be drawn into it."""
    if path is not None:
        from roofline.chart import check_suffix

        check_suffix(path)
    return check_writable(path)


def check_writable_folder(path: Path) -> Path:
    """Return a flag's folder when files can be written into it, or it can be made."""
    check_output_folder(path)
    return path


FormatOption = Annotated[Format, typer.Option("--format", "-f", help="How to write the result.")]
SortOption = Annotated[
    str,
    typer.Option(
        metavar="COLUMN", help="Largest first by this column; COLUMN:asc smallest first."
    ),
]
TopOption = Annotated[int, typer.Option(min=0, help="Only the first so many rows; 0: all.")]

T = TypeVar("T")

MARKDOWN: ContextVar[bool] = ContextVar("markdown", default=False)
"""Whether tables for people are written in Markdown, as into a file whose name ends in ``.md``."""
QUIET: ContextVar[bool] = ContextVar("quiet", default=False)
"""Whether lines beside the result are left out (``--quiet``, which every verb takes)."""
EXPLAIN: ContextVar[bool] = ContextVar("explain", default=False)
"""Whether every convention is written below a table (``--explain``, which every verb takes)."""


def arrange(
    entries: Sequence[T], typed: Sequence[Row | DataclassInstance], sort: str, top: int
) -> list[T]:
    """Return entries in the order that a user asks for, as many as are asked for.

    Args:
        entries: What is shown, such as predictions.
        typed: For each entry its row, whose columns can be sorted by.
        sort: A column's name, with ``:asc`` for the smallest first; empty keeps the order. Units may be left out.
        top: How many; 0 is all.

    Raises:
        OptionError: No row has that column.
    """
    order = list(range(len(entries)))
    rows = [cells(row) for row in typed] if sort else []
    column, _, direction = sort.partition(":")
    if sort and rows:
        if direction not in {"", "asc", "desc"}:
            raise OptionError(
                f"--sort {sort!r} goes neither up nor down", repair="End it in :asc or :desc"
            )
        names = list(dict.fromkeys(name for row in rows for name in row))
        plain = _as_column(column)
        named = (
            [name for name in names if name == column]
            or [name for name in names if name.casefold() == plain]
            or [name for name in names if f"_{plain}_" in f"_{name.casefold()}_"]
        )
        if not named:
            hint = did_you_mean(plain, names) or f"Columns: {', '.join(names)}"
            raise OptionError(f"--sort: there is no column {column!r}", repair=hint)
        known = [place for place in order if rows[place].get(named[0]) is not None]
        known.sort(key=lambda place: _sort_key(rows[place][named[0]]), reverse=direction != "asc")
        order = known + [place for place in order if place not in set(known)]
    return [entries[place] for place in (order[:top] if top else order)]


def _as_column(text: str) -> str:
    """Return a column's heading as its name is written: ``latency ms`` as ``latency_ms``, ``FPS`` as ``fps``."""
    return text.strip().casefold().replace(" ", "_")


def _sort_key(value: Any) -> tuple[bool, float, str]:
    """Return what a cell is sorted by: numbers by size, words by letters."""
    if isinstance(value, (int, float)):
        return True, float(value), ""
    return False, 0.0, str(value)


# What is set to the right in a column: a number, with a sign, an exponent or a unit behind it; or nothing.
_NUMBER = re.compile(r"–?|[-+]?[\d,]*\.?\d+(e[-+]?\d+)?[%x]?")


def emit(text: str, output: Path | None) -> None:
    """Write a result to the terminal, or whole into a file (never half-written)."""
    text = printable(text if text.endswith("\n") else f"{text}\n")
    if output is None:
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    write_whole(output, text.encode(errors="backslashreplace"))


@dataclass(frozen=True, kw_only=True, slots=True)
class ResultOptions:
    """In which form a verb writes its result, and where it goes."""

    form: FormatOption = Format.TABLE
    output: Annotated[
        Path | None, typer.Option("-o", callback=check_ending("a result", *_RESULTS))
    ] = None
    """Write to this file instead of the terminal; .json, .csv and .md decide the format."""

    def emit(
        self,
        *,
        document: Callable[[], Mapping[str, object] | DataclassInstance],
        rows: Callable[[], Sequence[Row | DataclassInstance]],
        table: Callable[[], str],
    ) -> None:
        """Write a result; of its three forms only the one that is asked for is made.

        Args:
            document: The JSON document, without its schema version.
            rows: The rows of the CSV.
            table: The text for people.
        """
        match self.form:
            case Format.JSON:
                text = as_json(document())
            case Format.CSV:
                text = as_csv(rows())
            case Format.TABLE:
                text = table()
        emit(text, self.output)


@dataclass(frozen=True, kw_only=True, slots=True)
class OrderOptions:
    """Which rows of a result are shown, and in which order."""

    sort: SortOption = ""
    top: TopOption = 0

    def arrange(self, entries: Sequence[T], rows: Sequence[Row | DataclassInstance]) -> list[T]:
        """Return the entries to show; the arguments and errors are those of `arrange`."""
        return arrange(entries, rows, self.sort, self.top)

    @property
    def is_given(self) -> bool:
        """Whether another order, or not every row, is asked for."""
        return bool(self.sort or self.top)


def emit_scaffold(text: str, output: Path | None) -> None:
    """Write a file to fill in to the terminal, or to a file that is not there yet.

    Raises:
        OptionError: The file is there: it might be filled in already.
    """
    if output is not None and output.exists():
        raise OptionError(
            f"{output} exists and might be filled in already", repair="Choose another file with -o"
        )
    emit(text, output)
    if output is not None:
        say_written(str(output))


def say_written(what: str) -> None:
    """Say on standard error what was written; standard output is for results alone."""
    say(f"wrote {what}")


def say(line: str) -> None:
    """Write a line for people on standard error: clean, and cut where it is long."""
    if not QUIET.get():
        typer.echo(one_line(line), err=True)


def as_json(document: Mapping[str, object] | DataclassInstance) -> str:
    """Return a document as JSON with its schema version first; numbers that are not finite become null."""
    return json.dumps(
        {"schema_version": SCHEMA_VERSION, **_replace_infinities(cells(document))},
        indent=2,
        ensure_ascii=False,
    )


def as_csv(typed: Sequence[Row | DataclassInstance]) -> str:
    """Return rows as CSV; the columns are those of all rows, in the order in which they first stand."""
    return csv_text({name: _cell(value) for name, value in cells(row).items()} for row in typed)


def as_table(
    typed: Sequence[Row | DataclassInstance],
    *,
    title: str = "",
    remarks: Sequence[str] = (),
    notes: Sequence[str] = (),
    explained: Sequence[str] = (),
) -> str:
    """Return rows as aligned plain text: numbers right, words left; notes below.

    Args:
        typed: Already formatted cells, or plain numbers; the columns are those of the first row.
        title: A line above the table.
        remarks: What is to be said of single rows: one line below it, with as many as fit; all when they are asked for.
        notes: Lines below it: choices made, and what went wrong.
        explained: More lines below it, when they are asked for: conventions, and what to do next.
    """
    lines = [_line(title)] if title else []
    rows = [cells(row) for row in typed]
    header = list(rows[0]) if rows else []
    body = [[_cell_text(row.get(name)) for name in header] for row in rows]
    if MARKDOWN.get():
        lines += [""] * bool(title and rows)
        lines += [markdown_table(header, body)] * bool(rows)
    elif rows:
        numeric = [
            all(_NUMBER.fullmatch(row[i]) is not None for row in body) for i in range(len(header))
        ]
        widths = [max(len(name), *(len(row[i]) for row in body)) for i, name in enumerate(header)]
        for line_cells in (header, ["─" * width for width in widths], *body):
            line = "  ".join(
                cell.rjust(width) if right else cell.ljust(width)
                for cell, width, right in zip(line_cells, widths, numeric, strict=True)
            )
            lines.append(line.rstrip())
    if QUIET.get():
        return "\n".join(lines)
    shown, held_back = _remarks_that_fit(remarks)
    below = [_line(note) for note in (*shown, *notes)]
    if EXPLAIN.get():
        below += [_line(note) for note in explained]
    elif explained or held_back:
        what = [plural(held_back, "more note")] * bool(held_back)
        what += ["how figures are meant"] * bool(explained)
        pointer = f"--explain says {' and '.join(what)}"
        below = [*below[:-1], f"{below[-1]}; {pointer}"] if below else [pointer]
    if MARKDOWN.get():
        # A list, which ends the table.
        return "\n".join([*lines, *([""] if below else []), *(f"- {note}" for note in below)])
    lines += [f"  {note}" for note in below]
    return "\n".join(lines)


_ROOM = 240
"""Characters that remarks may take below a table."""


def _remarks_that_fit(remarks: Sequence[str]) -> tuple[list[str], int]:
    """Return the lines that remarks take below a table, each remark once, and how many are held back.

    Example:
        >>> _remarks_that_fit(["mlp: disturbed", "cnv: failed", "mlp: disturbed"])
        (['mlp: disturbed; cnv: failed'], 0)
    """
    each = list(dict.fromkeys(remarks))
    if EXPLAIN.get():
        return each, 0
    first = each[:1]
    for remark in each[1:]:
        if len("; ".join((*first, remark))) > _ROOM:
            break
        first.append(remark)
    return ["; ".join(first)] if first else [], len(each) - len(first)


def _cell_text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return _line(str(value))


def _line(text: str) -> str:
    """Return a text that stays in its line of a table; the blanks in front of it may set it in."""
    return " " * (len(text) - len(text.lstrip(" "))) + one_line(text)


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, (list, tuple, dict)) else csv_cell(value)


def _replace_infinities(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _replace_infinities(entry) for name, entry in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if is_dataclass(value) and not isinstance(value, type):
        return _replace_infinities(cells(value))
    if isinstance(value, (list, tuple)):
        return [_replace_infinities(entry) for entry in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):  # noqa: PLR0124
        return None
    return value
