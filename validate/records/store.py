"""The record store: one SQLite file, one transaction per record, every sample kept.

A process killed at any point loses at most the record it was writing; a record written twice is kept
once. Several processes may read and write at the same time (write-ahead log). Reading changes nothing and needs no
right to write; a record that is damaged is left out with a warning that names it.
"""

from __future__ import annotations

import json
import logging
import shutil
import sqlite3
import time
from collections.abc import Collection, Generator, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from roofline.errors import StoreError
from roofline.reading import exists, is_file
from roofline.user_folders import MOVE_DATA, data_folder
from roofline.validate.records.packing import pack, unpack
from roofline.validate.records.record import Measurement
from roofline.validate.records.tables import APPLICATION, BOUNDED, STORE_VERSION, upgrade

if TYPE_CHECKING:
    from roofline.validate.accuracy.evaluation import Accuracy

_BUSY_S = 30.0
_LEAST_FREE_BYTES = 1 << 16  # SQLite's write-ahead log and its index need about as much

_COLUMNS_WRITTEN = (
    "digest, network, compression, datatype, batch, threads, backend, tuning, algorithm, machine, status,"
    " median_s, timestamp, document, samples, model, point, round, attempt"
)

_COLUMNS = ("network", "compression", "datatype", "batch", "threads", "backend", "tuning", "algorithm",
            "machine", "status", "model")  # fmt: skip

_IN_MEMORY = Path(":memory:")
"""SQLite's name for a database that is in no file."""

_logger = logging.getLogger(__name__)


def default_store() -> Path:
    """Return the user's store, ``records.db`` in their `data_folder`.

    Raises:
        OptionError: No home is known.
    """
    return data_folder() / "records.db"


@contextmanager
def open_for_reading(path: Path | None, *, absent_ok: bool = False) -> Generator[Store]:
    """Open a store for reading alone.

    Args:
        path: The file; None is the user's own store, which is empty before anything was measured.
        absent_ok: Whether a store that is named may be absent too, and is empty then.

    Raises:
        StoreError: A store that is named does not exist, or it cannot be read.
    """
    chosen = path or default_store()
    absent = (path is None or absent_ok) and not exists(chosen)
    with Store(_IN_MEMORY) if absent else Store(chosen, writable=False) as store:
        yield store


class Store:
    """Measured runs in one file; use it as a context manager.

    Args:
        path: The file. It and its folder are made when they are absent and the store is to be written.
        writable: False opens it for reading alone: nothing is made, migrated on the disk or locked.

    Raises:
        StoreError: The file is no store, was written by a newer version, is absent though it is only to be read, or
            cannot be opened.
    """

    def __init__(self, path: Path, *, writable: bool = True) -> None:
        self.path = path
        self._told: set[int] = set()
        self._log = path.with_name(f"{path.name}-wal")
        self._logged_by_reading = not writable and not self._log.exists()
        if exists(path) and not is_file(path):
            raise StoreError(f"{path} is no record store, but no file at all")
        if not writable and not exists(path):
            raise StoreError(
                f"there is no record store {path}",
                repair="Check its name; roofline measure and roofline import make one",
            )
        with self._translate_errors("open"):
            self._connection = self._open_for_writing() if writable else self._read()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
        if self._logged_by_reading and self._log.exists() and not self._log.stat().st_size:
            # SQLite makes an empty log to read by, and only who may write can remove it again.
            with suppress(sqlite3.Error, OSError), closing(sqlite3.connect(self.path)) as last:
                last.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()

    def add(self, measurement: Measurement) -> bool:
        """Write one record in a transaction of its own.

        Returns:
            False when the very same record is there already, or another one of the same turn of a
            campaign; the first one stays.

        Raises:
            StoreError: The disk is full, or another process holds the file too long.
        """
        with self._translate_errors("write"):
            # A statement outside an explicit transaction is one.
            return self._insert(measurement)

    def add_all(self, measurements: Iterable[Measurement]) -> list[bool]:
        """Write records in one transaction: all of them, or none.

        Returns:
            For each record what `add` returns.

        Raises:
            StoreError: The disk is full, or another process holds the file too long.
        """
        with self._translate_errors("write"), self._transaction():
            return [self._insert(measurement) for measurement in measurements]

    def records(self, **wanted: str | int) -> Iterator[Measurement]:
        """Yield records in the order they were written, without those that are damaged.

        Args:
            wanted: Values some columns must have: ``network="mlp", backend="tvm"``.

        Raises:
            StoreError: A column is not one of those that can be asked for.
        """
        unknown = set(wanted) - set(_COLUMNS)
        if unknown:
            raise StoreError(f"records have no column {sorted(unknown)[0]!r} to choose by")
        condition = " AND ".join(f"{name} = ?" for name in wanted) or "1"
        query = f"SELECT rowid, {BOUNDED} FROM records WHERE {condition} ORDER BY rowid"
        with self._translate_errors("read"):
            for row, document, samples in self._connection.execute(query, tuple(wanted.values())):
                record = self._unpack(row, document, samples)
                if record is not None:
                    yield record

    def turns(self, points: Collection[str]) -> dict[str, dict[int, Measurement]]:
        """Return the last attempt of every round of a campaign's points, by point and round.

        Args:
            points: Digests of the points that are asked for.
        """
        query = (
            f"SELECT rowid, point, round, {BOUNDED} FROM records"
            " WHERE point IN (SELECT value FROM json_each(?)) ORDER BY attempt"
        )
        found: dict[str, dict[int, Measurement]] = {}
        with self._translate_errors("read"):
            for row, point, number, document, samples in self._connection.execute(
                query, (json.dumps(list(points)),)
            ):
                record = self._unpack(row, document, samples)
                if record is not None:
                    found.setdefault(point, {})[number] = record
        return found

    def attempts(self, point: str, number: int) -> int:
        """Return how often a round of a campaign's point has been run."""
        query = "SELECT COALESCE(MAX(attempt), 0) FROM records WHERE point = ? AND round = ?"
        with self._translate_errors("read"):
            return int(self._connection.execute(query, (point, number)).fetchone()[0])

    def note_accuracy(self, accuracy: Accuracy) -> int:
        """Note an accuracy and its source in every record of the same model.

        Returns:
            How many records carry it now.

        Raises:
            StoreError: Another process holds the file too long.
        """
        from roofline.validate.accuracy.evaluation import with_accuracy

        query = f"SELECT rowid, {BOUNDED} FROM records WHERE model = ?"
        change = (
            "UPDATE OR IGNORE records SET digest = ?, document = ?, samples = ? WHERE rowid = ?"
        )
        noted = 0
        with self._translate_errors("write"), self._transaction():
            same = self._connection.execute(query, (accuracy.model_sha256,)).fetchall()
            for row, document, samples in same:
                record = self._unpack(row, document, samples)
                if record is not None:
                    new = pack(with_accuracy(record, accuracy))
                    fields = (new.digest, new.document, new.samples, row)
                    self._connection.execute(change, fields)
                    noted += 1
        return noted

    def __len__(self) -> int:
        with self._translate_errors("read"):
            return int(self._connection.execute("SELECT COUNT(*) FROM records").fetchone()[0])

    def _insert(self, measurement: Measurement) -> bool:
        packed, job = pack(measurement), measurement.job
        row = (
            packed.digest, job.network, job.compression.label, job.datatype, job.batch, job.threads,
            job.backend, job.tuning, job.algorithm, measurement.machine, measurement.status.value,
            measurement.median_s, measurement.timestamp, packed.document, packed.samples,
            job.model_sha256, *_turn(measurement),
        )  # fmt: skip
        places = ", ".join("?" * len(row))
        done = self._connection.execute(
            f"INSERT OR IGNORE INTO records ({_COLUMNS_WRITTEN}) VALUES ({places})", row
        )
        return done.rowcount == 1

    @contextmanager
    def _transaction(self) -> Generator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def _unpack(self, row: int, document: object, samples: object) -> Measurement | None:
        """Return a record, or None and a warning where it is damaged: one record does not block the others."""
        try:
            return unpack(document, samples)
        except StoreError as error:
            if row not in self._told:
                self._told.add(row)
                _logger.warning(
                    "%s: record %d is left out: %s. To remove it: sqlite3 %s 'DELETE FROM records WHERE rowid = %d'",
                    self.path, row, error.message, self.path, row,
                )  # fmt: skip
            return None

    def _open_for_writing(self) -> sqlite3.Connection:
        """Open the file for writing, made or migrated where needed."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, timeout=_BUSY_S, isolation_level=None)
        try:
            version = self._version(connection)
            _log_ahead(connection)
            connection.execute("PRAGMA synchronous = FULL")
            if version < STORE_VERSION:
                upgrade(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _read(self) -> sqlite3.Connection:
        """Open the file for reading; an older one is migrated in memory."""
        connection = self._connect("mode=ro")
        try:
            if self._version(connection, made=True) == STORE_VERSION:
                return connection
            copy = sqlite3.connect(":memory:", isolation_level=None)
            connection.backup(copy)
        except BaseException:
            connection.close()
            raise
        connection.close()
        upgrade(copy)
        return copy

    def _connect(self, mode: str) -> sqlite3.Connection:
        place = self.path.absolute().as_uri()
        connection = sqlite3.connect(
            f"{place}?{mode}", uri=True, timeout=_BUSY_S, isolation_level=None
        )
        try:
            connection.execute("PRAGMA user_version").fetchone()
        except sqlite3.OperationalError:
            connection.close()
            # The log of a store that is being written lies beside it. Where there is none, and none can be made because
            # the folder is read-only, nobody writes.
            if mode == "mode=ro" and not (self._log.exists() and self._log.stat().st_size):
                return self._connect("mode=ro&immutable=1")
            raise
        except BaseException:
            connection.close()
            raise
        return connection

    def _version(self, connection: sqlite3.Connection, *, made: bool = False) -> int:
        """Return the version of a file's tables, 0 where it has none yet.

        Raises:
            StoreError: It is another program's database, was written by a newer version, or should be a store and is
                empty.
        """
        # Tables first: where another process has just made them, its marks are there too.
        tables = connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        if made and not tables:
            raise StoreError(f"{self.path} is empty, not a record store")
        if tables and application != APPLICATION:
            raise StoreError(f"{self.path} is a database, but not a record store")
        if version > STORE_VERSION:
            raise StoreError(
                f"{self.path} is a record store of version {version}; this program knows {STORE_VERSION}",
                repair="Open it with a newer version of roofline",
            )
        return int(version)

    @contextmanager
    def _translate_errors(self, what: str) -> Generator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            message = f"cannot {what} the record store {self.path}: {error}"
            raise StoreError(message, repair=self._repair(error)) from error
        except OSError as error:
            message = f"cannot {what} the record store {self.path}: {error.strerror}"
            raise StoreError(message, repair=MOVE_DATA) from error

    def _repair(self, error: sqlite3.DatabaseError) -> str:
        """Return what helps against an error of SQLite's; on a full disk it may only say that input failed."""
        if _code(error) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            return "Another process is writing to it; try again"
        with suppress(OSError):
            if shutil.disk_usage(self.path.parent).free < _LEAST_FREE_BYTES:
                return "The disk is full; make room and try again: what is recorded stays"
        if _code(error) in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}:
            return MOVE_DATA
        if _code(error) == sqlite3.SQLITE_NOTADB:
            return "Give a file that roofline measure, import or campaign wrote"
        return ""


def _log_ahead(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log; SQLite does not wait for another process that does the same."""
    last = time.monotonic() + _BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            busy = _code(error) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
            if not busy or time.monotonic() > last:
                raise
            time.sleep(0.01)
        else:
            return


def _code(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code of an error, 0 where it has none."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _turn(measurement: Measurement) -> tuple[str | None, int | None, int | None]:
    turn = measurement.turn
    return (None, None, None) if turn is None else (turn.point, turn.round, turn.attempt)
