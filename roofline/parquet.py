"""Parquet files and folders of them, read by the same rules as other tables; pyarrow is loaded when one is met."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from roofline.errors import TableError
from roofline.extras import optional_import
from roofline.number_format import plural
from roofline.reading import check_regular, is_folder, read_csv, read_head, read_text

_T = TypeVar("_T")

_MAGIC = b"PAR1"
PART = re.compile(r"part-(\d{8,})\.parquet")
"""The name of a part of a sweep, with its number."""
MOST_ROWS = 1_000_000
"""Rows that are shown or drawn at most; a sweep holds any number."""


def arrow(name: str = "pyarrow") -> Any:
    """Return pyarrow or a module of it, which have no type information.

    Raises:
        MissingPackageError: It is not installed.
    """
    with optional_import("A Parquet file"):
        return importlib.import_module(name)


def is_parquet(path: Path) -> bool:
    """Return whether a path is a Parquet file by its name or content, or a folder.

    Raises:
        TableError: It is missing, or no regular file.
    """
    if is_folder(path) or path.suffix.lower() == ".parquet":
        return True
    return read_head(path, "table", len(_MAGIC)) == _MAGIC


def table_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a CSV file, of a Parquet file, or of the parts of a sweep in a folder.

    Args:
        path: The file or folder. Cells of CSV are text; those of Parquet have their types, None where they are null.

    Raises:
        TableError: It cannot be read, has no rows' header, or holds more than `MOST_ROWS`.
        MissingPackageError: It is Parquet and pyarrow is not installed.
    """
    if not is_parquet(path):
        return [dict(row) for row in read_csv(read_text(path, "table"), str(path)).rows]
    if not is_folder(path):
        return _rows_of([path])
    # As readers of Parquet folders do: notes and what is half-written begin with a mark.
    parts = sorted(part for part in path.glob("*.parquet") if part.name[0] not in "._")
    if not parts:
        raise TableError(
            f"{path} is a folder without Parquet files", repair="Give a table, or a sweep's folder"
        )
    _check_complete(parts)
    return _rows_of(parts)


def _check_complete(parts: Sequence[Path]) -> None:
    """Check that no part of a sweep is missing before the last one that is there.

    Raises:
        TableError: One is.
    """
    numbers = [found for part in parts if (found := PART.fullmatch(part.name))]
    places = {int(found[1]) for found in numbers}
    missing = set(range(max(places, default=-1) + 1)) - places
    if missing:
        raise TableError(
            f"{parts[0].parent} lacks part {min(missing)} of a sweep, and has part {max(places)}",
            repair="Give the command of the sweep again: it does what is missing",
        )


def _rows_of(parts: Sequence[Path]) -> list[dict[str, Any]]:
    """Return the rows of files, counted before any is read."""
    heads = [_read(part, _head) for part in parts]
    for part, (_, names) in zip(parts, heads, strict=True):
        if other := sorted(set(names) ^ set(heads[0][1])):
            # Rows are told by their number, which says nothing where a whole part is of another table.
            raise TableError(
                f"{part} has {'no' if other[0] not in names else 'a'} column {other[0]!r}, unlike {parts[0].name}",
                repair="Keep the parts of one sweep in a folder",
            )
    total = sum(count for count, _ in heads)
    if total > MOST_ROWS:
        raise TableError(
            f"{parts[0]}{' and others hold' if len(parts) > 1 else ' holds'} {plural(total, 'row')}, and at most "
            f"{MOST_ROWS:,} are shown",
            repair="Choose some of them first, with pandas.read_parquet or another reader of Parquet",
        )
    return [row for part in parts for row in _read(part, _rows)]


def _head(file: Any) -> tuple[int, list[str]]:
    """Return how many rows a file has, and its columns."""
    return file.metadata.num_rows, file.schema_arrow.names


def _rows(file: Any) -> list[dict[str, Any]]:
    return file.read().to_pylist()


def _read(part: Path, asked: Callable[[Any], _T]) -> _T:
    """Return what is asked of a Parquet file that pyarrow has opened.

    Raises:
        TableError: It is missing, or damaged.
    """
    check_regular(part, "table")
    pq = arrow("pyarrow.parquet")
    try:
        with pq.ParquetFile(part) as file:
            return asked(file)
    except Exception as error:
        why = str(error).partition("\n")[0].rstrip(".")
        raise TableError(
            f"{part} cannot be read as Parquet: {why}", repair="Write it again"
        ) from error
