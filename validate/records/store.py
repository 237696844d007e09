"""The record store: one SQLite file, one transaction per record, every sample kept.

A process killed at any point loses at most the record it was writing; a record written twice is kept
once. Several processes may read and write at the same time (write-ahead log).
"""

from __future__ import annotations

import array
import csv
import hashlib
import io
import json
import os
import shutil
import sqlite3
import sys
import time
import zlib
from collections.abc import Collection, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

from roofline.errors import StoreError, TableError
from roofline.reading import csv_cell, read_csv, read_json
from roofline.validate.records.reading import from_dict
from roofline.validate.records.record import Measurement

if TYPE_CHECKING:
    from roofline.validate.accuracy.evaluation import Accuracy

STORE_VERSION = 2
"""Version of the tables; an older file is migrated, a newer one refused."""

_BUSY_S = 30.0
_LEAST_FREE_BYTES = 1 << 16  # SQLite's write-ahead log and its index need about as much
_APPLICATION = 0x526F6F66  # "Roof": tells our files from any other SQLite database

_TABLES = """
CREATE TABLE records (
    digest    TEXT PRIMARY KEY,
    job       TEXT NOT NULL,
    network   TEXT NOT NULL,
    variant   TEXT NOT NULL,
    datatype  TEXT NOT NULL,
    batch     INTEGER NOT NULL,
    threads   INTEGER NOT NULL,
    backend   TEXT NOT NULL,
    tuning    TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    machine   TEXT NOT NULL,
    status    TEXT NOT NULL,
    median_s  REAL,
    timestamp TEXT NOT NULL,
    document  BLOB NOT NULL,
    samples   BLOB NOT NULL
);
CREATE INDEX records_job ON records (job);
"""

_TURNS = """
ALTER TABLE records ADD COLUMN point TEXT;
ALTER TABLE records ADD COLUMN round INTEGER;
ALTER TABLE records ADD COLUMN attempt INTEGER;
CREATE UNIQUE INDEX records_turn ON records (point, round, attempt) WHERE point IS NOT NULL;
"""

_MIGRATIONS: tuple[str, ...] = (_TABLES, _TURNS)
"""What takes a file from version i to i + 1."""

_COLUMNS_WRITTEN = (
    "digest, job, network, variant, datatype, batch, threads, backend, tuning, algorithm, machine, status,"
    " median_s, timestamp, document, samples, point, round, attempt"
)

_COLUMNS = ("network", "variant", "datatype", "batch", "threads", "backend", "tuning", "algorithm",
            "machine", "status")  # fmt: skip


def default_store() -> Path:
    """Return the user's store: ``$XDG_DATA_HOME/roofline/records.db``."""
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "roofline" / "records.db"


class Store:
    """Measured runs in one file; use it as a context manager.

    Args:
        path: The file; it and its folder are made when they are absent.

    Raises:
        StoreError: The file is no store, was written by a newer version, or cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._reporting("open"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
            try:
                self._prepare()
            except BaseException:
                self._connection.close()
                raise

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def add(self, measurement: Measurement) -> bool:
        """Write one record in a transaction of its own.

        Returns:
            False when the very same record is there already, or another one of the same turn of a
            campaign; the first one stays.

        Raises:
            StoreError: The disk is full, or another process holds the file too long.
        """
        with self._reporting("write"):
            # A statement outside an explicit transaction is one.
            return self._insert(measurement)

    def add_all(self, measurements: Iterable[Measurement]) -> list[bool]:
        """Write records in one transaction: all of them, or none.

        Returns:
            For each record what `add` returns.

        Raises:
            StoreError: The disk is full, or another process holds the file too long.
        """
        with self._reporting("write"):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                added = [self._insert(measurement) for measurement in measurements]
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
        return added

    def _insert(self, measurement: Measurement) -> bool:
        digest, document, samples = _written(measurement)
        job = measurement.job
        row = (
            digest, job.key, job.network, job.variant, job.datatype, job.batch, job.threads,
            job.backend, job.tuning, job.algorithm, measurement.machine, measurement.status.value,
            measurement.median_s, measurement.timestamp, document, samples, *_turn(measurement),
        )  # fmt: skip
        places = ", ".join("?" * len(row))
        done = self._connection.execute(
            f"INSERT OR IGNORE INTO records ({_COLUMNS_WRITTEN}) VALUES ({places})", row
        )
        return done.rowcount == 1

    def records(self, **wanted: str | int) -> Iterator[Measurement]:
        """Yield records in the order they were written.

        Args:
            wanted: Values some columns must have: ``network="mlp", backend="tvm"``.

        Raises:
            StoreError: A column is not one of those that can be asked for, or a record is damaged.
        """
        unknown = set(wanted) - {*_COLUMNS, "job"}
        if unknown:
            raise StoreError(f"records have no column {sorted(unknown)[0]!r} to choose by")
        condition = " AND ".join(f"{name} = ?" for name in wanted) or "1"
        query = f"SELECT document, samples FROM records WHERE {condition} ORDER BY rowid"
        with self._reporting("read"):
            for document, samples in self._connection.execute(query, tuple(wanted.values())):
                yield _unpack_record(document, samples)

    def turns(self, points: Collection[str]) -> dict[str, dict[int, Measurement]]:
        """Return the last attempt of every round of a campaign's points, by point and round.

        Args:
            points: Digests of the points that are asked for.

        Raises:
            StoreError: A record is damaged.
        """
        query = "SELECT point, round, document, samples FROM records WHERE point IS NOT NULL ORDER BY attempt"
        found: dict[str, dict[int, Measurement]] = {}
        with self._reporting("read"):
            for point, number, document, samples in self._connection.execute(query):
                if point in points:
                    found.setdefault(point, {})[number] = _unpack_record(document, samples)
        return found

    def attempts(self, point: str, number: int) -> int:
        """Return how often a round of a campaign's point has been run."""
        query = "SELECT COALESCE(MAX(attempt), 0) FROM records WHERE point = ? AND round = ?"
        with self._reporting("read"):
            return int(self._connection.execute(query, (point, number)).fetchone()[0])

    def note_accuracy(self, accuracy: Accuracy) -> int:
        """Note an accuracy and its source in every record of the same model.

        Returns:
            How many records carry it now.

        Raises:
            StoreError: A record is damaged, or another process holds the file too long.
        """
        from roofline.validate.accuracy.evaluation import with_accuracy

        noted = 0
        with self._reporting("write"):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                query = "SELECT rowid, document, samples FROM records"
                for row, document, samples in self._connection.execute(query).fetchall():
                    record = _unpack_record(document, samples)
                    if record.job.model_sha256 == accuracy.model_sha256:
                        digest, text, packed = _written(with_accuracy(record, accuracy))
                        change = "UPDATE OR IGNORE records SET digest = ?, document = ?, samples = ? WHERE rowid = ?"
                        self._connection.execute(change, (digest, text, packed, row))
                        noted += 1
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
        return noted

    def has(self, job_key: str) -> bool:
        """Tell whether a job has a record that ended well, so that it need not run again."""
        query = "SELECT 1 FROM records WHERE job = ? AND status = 'ok' LIMIT 1"
        with self._reporting("read"):
            return self._connection.execute(query, (job_key,)).fetchone() is not None

    def __len__(self) -> int:
        with self._reporting("read"):
            return int(self._connection.execute("SELECT COUNT(*) FROM records").fetchone()[0])

    def _prepare(self) -> None:
        execute = self._connection.execute
        # Tables first: where another process has just made them, its marks are there too.
        tables = execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]
        (version,) = execute("PRAGMA user_version").fetchone()
        (application,) = execute("PRAGMA application_id").fetchone()
        if tables and application != _APPLICATION:
            raise StoreError(f"{self.path} is a database, but not a record store")
        if version > STORE_VERSION:
            raise StoreError(
                f"{self.path} is a record store of version {version}; this program knows {STORE_VERSION}",
                repair="Open it with a newer version of roofline",
            )
        self._log_ahead()
        execute("PRAGMA synchronous = FULL")
        if version == STORE_VERSION:
            return
        execute("BEGIN IMMEDIATE")
        # Another process may have made the tables while this one waited for the lock.
        (version,) = execute("PRAGMA user_version").fetchone()
        for step in _MIGRATIONS[version:]:
            for statement in step.split(";"):
                execute(statement)
        execute(f"PRAGMA user_version = {STORE_VERSION}")
        execute(f"PRAGMA application_id = {_APPLICATION}")
        execute("COMMIT")

    def _log_ahead(self) -> None:
        """Switch to the write-ahead log; SQLite does not wait for another process that does the same."""
        last = time.monotonic() + _BUSY_S
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > last:
                    raise
                time.sleep(0.01)
            else:
                return

    @contextmanager
    def _reporting(self, what: str) -> Generator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            message = f"cannot {what} the record store {self.path}: {error}"
            raise StoreError(message, repair=self._repair(str(error))) from error
        except OSError as error:
            message = f"cannot {what} the record store {self.path}: {error.strerror}"
            raise StoreError(message) from error

    def _repair(self, message: str) -> str:
        """Return what helps against an error of SQLite's; on a full disk it may only say that input failed."""
        if "locked" in message:
            return "Another process is writing to it; try again"
        with suppress(OSError):
            if shutil.disk_usage(self.path.parent).free < _LEAST_FREE_BYTES:
                return "The disk is full; make room and try again: what is recorded stays"
        return ""


def export_json(measurements: Iterable[Measurement]) -> str:
    """Return records as a JSON document that `import_json` reads back, nothing lost."""
    records = [measurement.to_dict() for measurement in measurements]
    return json.dumps({"schema_version": STORE_VERSION, "measurements": records}, indent=1)


def import_json(text: str) -> list[Measurement]:
    """Return the records of a JSON document.

    Raises:
        StoreError: It is not such a document, is newer than this program, or a record is damaged.
    """
    document = read_json(text, "the records", error=StoreError)
    whole = cast("dict[str, Any]", document) if isinstance(document, dict) else {}
    entries = whole.get("measurements")
    if not isinstance(entries, list):
        raise StoreError("the document has no list of measurements")
    return [_numbered(entry, number) for number, entry in enumerate(cast("list[Any]", entries), 1)]


def export_csv(measurements: Iterable[Measurement]) -> str:
    """Return records as CSV: readable columns, and the whole record as JSON in the last one."""
    buffer = io.StringIO()
    writer: csv.DictWriter[str] | None = None
    for measurement in measurements:
        row = {**measurement.to_row(), "record": json.dumps(measurement.to_dict())}
        if writer is None:
            writer = csv.DictWriter(buffer, fieldnames=list(row), lineterminator="\n")
            writer.writeheader()
        writer.writerow({name: csv_cell(value) for name, value in row.items()})
    return buffer.getvalue()


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
        found.append(_numbered(document, number))
    return found


def _numbered(entry: Any, number: int) -> Measurement:
    if not isinstance(entry, dict):
        raise StoreError(f"record {number} is not an object")
    try:
        return from_dict(cast("dict[str, Any]", entry))
    except StoreError as error:
        raise StoreError(f"record {number}: {error.message}", repair=error.repair) from error


def _turn(measurement: Measurement) -> tuple[str | None, int | None, int | None]:
    turn = measurement.turn
    return (None, None, None) if turn is None else (turn.point, turn.round, turn.attempt)


def _written(measurement: Measurement) -> tuple[str, bytes, bytes]:
    """Return a record's digest, and its fields and its samples as they are stored."""
    document = measurement.to_dict()
    samples = _pack(document.pop("samples_s"))
    text = json.dumps(document, sort_keys=True).encode()
    digest = hashlib.sha256(text + samples).hexdigest()
    return digest, zlib.compress(text), zlib.compress(samples)


def _pack(samples: Iterable[float]) -> bytes:
    values = array.array("d", samples)
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()


def _unpack_record(document: bytes, samples: bytes) -> Measurement:
    try:
        fields = json.loads(zlib.decompress(document))
        values = array.array("d")
        values.frombytes(zlib.decompress(samples))
    except (zlib.error, ValueError) as error:
        raise StoreError("a record in the store is damaged") from error
    if sys.byteorder == "big":
        values.byteswap()
    return from_dict({**fields, "samples_s": values.tolist()})
