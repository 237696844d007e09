"""Records as files for other programs: CSV, JSON and Parquet, each read back with nothing lost."""

from __future__ import annotations

import importlib
import io
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from roofline.errors import MissingPackageError, OptionError, StoreError, did_you_mean
from roofline.reading import read_bytes
from roofline.validate.records.reading import from_dict
from roofline.validate.records.record import Measurement
from roofline.validate.records.store import export_csv, export_json


def export_parquet(measurements: Iterable[Measurement]) -> bytes:
    """Return records as Parquet: the columns of the CSV, typed, and the whole record as JSON in the last one.

    Raises:
        MissingPackageError: pandas or pyarrow is not installed.
    """
    rows = [{**run.to_row(), "record": json.dumps(run.to_dict())} for run in measurements]
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


def _csv(measurements: Iterable[Measurement]) -> bytes:
    return export_csv(measurements).encode()


def _json(measurements: Iterable[Measurement]) -> bytes:
    return export_json(measurements).encode()


WRITERS: Mapping[str, Callable[[Iterable[Measurement]], bytes]] = MappingProxyType(
    {".csv": _csv, ".json": _json, ".parquet": export_parquet}
)
"""What writes records, by the ending of the file."""


def exported(measurements: Iterable[Measurement], path: Path) -> bytes:
    """Return records in the form that a file's name asks for.

    Raises:
        OptionError: The name ends in nothing known.
        MissingPackageError: A package is missing for Parquet.
    """
    writer = WRITERS.get(path.suffix)
    if writer is None:
        hint = did_you_mean(path.suffix, WRITERS) or f"End it in {', '.join(WRITERS)}"
        raise OptionError(f"records cannot be written as {path.name!r}", repair=hint)
    return writer(measurements)


def _pandas() -> Any:
    try:
        importlib.import_module("pyarrow")
        return importlib.import_module("pandas")
    except ImportError as error:
        raise MissingPackageError(error.name or "pandas", "tables", "Parquet") from error
