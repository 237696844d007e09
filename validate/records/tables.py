"""The tables of a record store, and the steps that take older ones to this version."""

from __future__ import annotations

import sqlite3

from roofline.errors import StoreError
from roofline.validate.records.packing import MOST_BYTES, pack, unpack

STORE_VERSION = 3
"""Version of the tables; an older file is migrated, a newer one refused."""

APPLICATION = 0x526F6F66  # "Roof": tells our files from any other SQLite database

BOUNDED = ", ".join(
    f"CASE WHEN typeof({name}) = 'blob' AND length({name}) <= {MOST_BYTES} THEN {name} END"
    for name in ("document", "samples")
)
"""Both columns of a record, or NULL where one is larger than any record."""

_RECORDS = """
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

_MODELS = """
DROP INDEX records_job;
ALTER TABLE records DROP COLUMN job;
ALTER TABLE records RENAME COLUMN variant TO compression;
ALTER TABLE records ADD COLUMN model TEXT NOT NULL DEFAULT '';
CREATE INDEX records_model ON records (model);
"""

_STEPS: tuple[str, ...] = (_RECORDS, _TURNS, _MODELS)
"""What takes a file from version i to i + 1."""

_REWRITTEN = 3
"""Version that the records themselves are rewritten for: kinds in the place of sentences, and the model's digest."""


def upgrade(connection: sqlite3.Connection) -> None:
    """Bring a store's tables and records to this version, within one transaction.

    Records that cannot be read are left as they are.
    """
    connection.execute("BEGIN IMMEDIATE")
    # Another process may have made the tables while this one waited for the lock.
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    for step in _STEPS[version:]:
        for statement in step.split(";"):
            connection.execute(statement)
    if 0 < version < _REWRITTEN:
        _rewrite(connection)
    connection.execute(f"PRAGMA user_version = {STORE_VERSION}")
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute("COMMIT")


def _rewrite(connection: sqlite3.Connection) -> None:
    change = "UPDATE OR IGNORE records SET digest = ?, document = ?, samples = ?, model = ? WHERE rowid = ?"
    for row, document, samples in connection.execute(
        f"SELECT rowid, {BOUNDED} FROM records"
    ).fetchall():
        try:
            record = unpack(document, samples)
        except StoreError:
            continue
        packed = pack(record)
        fields = (packed.digest, packed.document, packed.samples, record.job.model_sha256, row)
        connection.execute(change, fields)
