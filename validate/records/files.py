"""Records as files for other programs: CSV, JSON and Parquet, each read back with nothing lost."""

from __future__ import annotations

import csv
import importlib
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from roofline.errors import OptionError, StoreError, TableError, did_you_mean
from roofline.extras import optional_import
from roofline.reading import JsonObject, as_object, csv_cell, read_bytes, read_csv, read_json
from roofline.validate.records.plain import to_json
from roofline.validate.records.reading import from_dict
from roofline.validate.records.record import SCHEMA_VERSION, Measurement


def export_json(measurements: Iterable[Measurement]) -> str:
    """Return records as a JSON document that `import_json` reads back, nothing lost."""
    return "".join(_json_lines(measurements))


def _json_lines(measurements: Iterable[Measurement]) -> Iterator[str]:
    yield f'{{"schema_version": {SCHEMA_VERSION}, "measurements": [\n'
    # One record a line: indented JSON takes several times as long to write.
    for number, measurement in enumerate(measurements):
        yield (",\n" if number else "") + to_json(measurement)
    yield "\n]}\n"


def import_json(text: str) -> list[Measurement]:
    """Return the records of a JSON document.

    Raises:
        StoreError: It is not such a document, is newer than this program, or a record is damaged.
    """
    document = read_json(text, "the records", error=StoreError)
    whole = as_object(document)
    entries = whole.get("measurements")
    if not isinstance(entries, list):
        raise StoreError("the document has no list of measurements")
    return [
        _read_numbered(entry, number) for number, entry in enumerate(cast("list[Any]", entries), 1)
    ]


def export_csv(measurements: Iterable[Measurement]) -> str:
    """Return records as CSV: readable columns, and the whole record as JSON in the last one."""
    return "".join(_csv_lines(measurements))


def _csv_lines(measurements: Iterable[Measurement]) -> Iterator[str]:
    line = csv.writer(_Line(), lineterminator="\n").writerow
    for number, measurement in enumerate(measurements):
        row = measurement.to_row()
        if not number:
            yield line([*row, "record"])
        # The csv module takes longer to quote a record, letter by letter, than all else takes.
        quoted = to_json(measurement).replace('"', '""')
        cells = line([_text_cell(cell) if type(cell) is str else cell for cell in row.values()])
        yield f'{cells[:-1]},"{quoted}"\n'


@lru_cache(maxsize=512)
def _text_cell(text: str) -> str:
    # Kept: most columns say the same few words in every row.
    return str(csv_cell(text))


class _Line:
    """A file of one line at a time: ``writerow`` returns what ``write`` does."""

    def write(self, line: str) -> str:
        return line


def import_csv(text: str) -> list[Measurement]:
    """Return the records of a CSV that `export_csv` wrote.

    Raises:
        StoreError: The column ``record`` is missing or damaged.
    """
    rows = read_csv(text, "the records").rows
    if rows and "record" not in rows[0]:
        raise StoreError("the table has no column 'record'")
    found: list[Measurement] = []
    for number, row in enumerate(rows, 1):
        try:
            document = read_json(row["record"], "the column 'record'")
        except TableError as error:
            raise StoreError(f"row {number}: {error.message}") from error
        found.append(_read_numbered(document, number))
    return found


def _read_numbered(entry: Any, number: int) -> Measurement:
    if not isinstance(entry, dict):
        raise StoreError(f"record {number} is not an object")
    try:
        return from_dict(cast("JsonObject", entry))
    except StoreError as error:
        raise StoreError(f"record {number}: {error.message}", repair=error.repair) from error


def export_parquet(measurements: Iterable[Measurement]) -> bytes:
    """Return records as Parquet: the columns of the CSV, typed, and the whole record as JSON in the last one.

    Raises:
        MissingPackageError: pandas or pyarrow is not installed.
    """
    rows = [{**run.to_row(), "record": to_json(run)} for run in measurements]
    pandas = _pandas()
    buffer = io.BytesIO()
    pandas.DataFrame(rows).to_parquet(buffer, index=False)
    return buffer.getvalue()


def import_parquet(path: Path) -> list[Measurement]:
    """Return the records of a Parquet file that `export_parquet` wrote.

    Raises:
        StoreError: It is no Parquet file, has no column ``record``, or a record is damaged.
        MissingPackageError: pandas or pyarrow is not installed.
    """
    pandas = _pandas()
    content = read_bytes(path, "file of records", error=StoreError)
    try:
        column = pandas.read_parquet(io.BytesIO(content), columns=["record"])["record"]
    except Exception as error:
        why = str(error).partition("\n")[0]
        raise StoreError(f"{path} holds no records as Parquet: {why}") from error
    found: list[Measurement] = []
    for number, text in enumerate(column, 1):
        try:
            found.append(from_dict(json.loads(text)))
        except (ValueError, TypeError) as error:
            raise StoreError(f"row {number}: the column 'record' is not JSON") from error
    return found


def _csv(measurements: Iterable[Measurement]) -> Iterator[bytes]:
    return map(_encode, _csv_lines(measurements))


def _json(measurements: Iterable[Measurement]) -> Iterator[bytes]:
    return map(_encode, _json_lines(measurements))


def _encode(text: str) -> bytes:
    return text.encode(errors="backslashreplace")


def _parquet(measurements: Iterable[Measurement]) -> Iterator[bytes]:
    yield export_parquet(measurements)


WRITERS: Mapping[str, Callable[[Iterable[Measurement]], Iterator[bytes]]] = MappingProxyType(
    {".csv": _csv, ".json": _json, ".parquet": _parquet}
)
"""What writes records, by the ending of the file."""


def export(measurements: Iterable[Measurement], path: Path) -> Iterator[bytes]:
    """Return the parts of a file of records, in the form that its name asks for.

    A record is taken when its part is asked for, so that those of a large store are never all in memory at once
    (Parquet, whose columns need all rows, excepted).

    Raises:
        OptionError: The name ends in nothing known.
        MissingPackageError: A package is missing for Parquet; raised when the first part is asked for.
    """
    writer = WRITERS.get(path.suffix.lower())
    if writer is None:
        hint = did_you_mean(path.suffix, WRITERS) or f"End it in {', '.join(WRITERS)}"
        raise OptionError(f"records cannot be written as {path.name!r}", repair=hint)
    return writer(measurements)


def _pandas() -> Any:
    with optional_import("Parquet"):
        importlib.import_module("pyarrow")
        return importlib.import_module("pandas")
