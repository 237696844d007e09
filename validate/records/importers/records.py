"""Records that ``roofline export`` wrote, on this machine or on another one."""

from __future__ import annotations

from pathlib import Path

from roofline.validate.records.files import import_csv, import_json
from roofline.validate.records.importers._registry import Facts, ImportedFile, importer


def _recognizes(path: Path, head: str) -> bool:
    if path.suffix == ".parquet":
        return True
    if head.lstrip().startswith("{"):
        return '"schema_version"' in head[:200] and '"measurements"' in head[:200]
    return head.partition("\n")[0].rstrip("\r").endswith(",record")


@importer("records", "records that roofline export wrote: CSV, JSON, Parquet", _recognizes)
def _read(path: Path, text: str, facts: Facts) -> ImportedFile:
    # A record says everything about itself.
    del facts
    if path.suffix == ".parquet":
        from roofline.validate.records.files import import_parquet

        return ImportedFile(tuple(import_parquet(path)))
    read = import_json if text.lstrip().startswith("{") else import_csv
    return ImportedFile(tuple(read(text)))
