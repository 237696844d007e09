"""Stores that older versions of the program wrote still read, whole, and nothing of theirs is lost."""

from __future__ import annotations

import array
import csv
import json
import sqlite3
import sys
import zlib
from pathlib import Path

import pytest

from roofline.validate.records.compression import Compression
from roofline.validate.records.executed import Executed, StoredAs
from roofline.validate.records.failure import FailureKind
from roofline.validate.records.files import import_csv
from roofline.validate.records.reading import from_dict
from roofline.validate.records.record import SCHEMA_VERSION, Turn
from roofline.validate.records.store import Store
from roofline.validate.records.tables import APPLICATION, STORE_VERSION

RECORDED = Path(__file__).parent / "version_1" / "records.csv"
"""Runs of a campaign, recorded by the first version of the program."""

TABLES = """
CREATE TABLE records (digest TEXT PRIMARY KEY, job TEXT NOT NULL, network TEXT NOT NULL, variant TEXT NOT NULL,
datatype TEXT NOT NULL, batch INTEGER NOT NULL, threads INTEGER NOT NULL, backend TEXT NOT NULL, tuning TEXT NOT NULL,
algorithm TEXT NOT NULL, machine TEXT NOT NULL, status TEXT NOT NULL, median_s REAL, timestamp TEXT NOT NULL,
document BLOB NOT NULL, samples BLOB NOT NULL);
CREATE INDEX records_job ON records (job);
"""
"""The tables of version 1, as the program of that version made them."""

TURNS = """
ALTER TABLE records ADD COLUMN point TEXT;
ALTER TABLE records ADD COLUMN round INTEGER;
ALTER TABLE records ADD COLUMN attempt INTEGER;
CREATE UNIQUE INDEX records_turn ON records (point, round, attempt) WHERE point IS NOT NULL;
"""


def documents() -> list[dict]:
    """Return records of version 1, from a table of its runs."""
    csv.field_size_limit(sys.maxsize)
    with RECORDED.open(encoding="utf-8", newline="") as file:
        return [json.loads(row["record"]) for row in csv.DictReader(file)]


def old_store(path: Path, version: int, entries: list[dict]) -> None:
    raw = sqlite3.connect(path)
    raw.executescript(TABLES + (TURNS if version > 1 else ""))
    for number, entry in enumerate(entries):
        fields = dict(entry)
        samples = array.array("d", fields.pop("samples_s", ()))
        job = fields["job"]
        row = [str(number), "", job["network"], job["variant"], job["datatype"], job["batch"], job["threads"],
               job["backend"], job["tuning"], job["algorithm"], "", fields["status"], None, fields["timestamp"],
               zlib.compress(json.dumps(fields).encode()), zlib.compress(samples.tobytes())]  # fmt: skip
        row += [fields["turn"]["point"], 1, 1] if version > 1 else []
        raw.execute(f"INSERT INTO records VALUES ({', '.join('?' * len(row))})", row)
    raw.execute(f"PRAGMA user_version = {version}")
    raw.execute(f"PRAGMA application_id = {APPLICATION}")
    raw.commit()
    raw.close()


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("writable", [False, True])
def test_an_old_store_reads_whole(version: int, writable: bool, tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    entries = documents()[:6]
    old_store(path, version, entries)
    before = path.read_bytes()
    with Store(path, writable=writable) as store:
        found = list(store.records())
    assert found == import_csv(RECORDED.read_text(encoding="utf-8"))[:6]
    assert [record.samples_s for record in found] == [tuple(e["samples_s"]) for e in entries]
    # Reading alone changes nothing on the disk; opening for writing migrates it once.
    assert (path.read_bytes() == before) is not writable
    if writable:
        raw = sqlite3.connect(path)
        assert raw.execute("PRAGMA user_version").fetchone() == (STORE_VERSION,)
        models = raw.execute("SELECT DISTINCT model FROM records").fetchall()
        plan = raw.execute("EXPLAIN QUERY PLAN SELECT * FROM records WHERE model = ?", ("",))
        assert "records_model" in str(plan.fetchall())
        raw.close()
        assert {model for (model,) in models} == {e["job"]["model_sha256"] for e in entries}


def test_a_migrated_record_is_not_taken_twice(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    entries = [{**entry, "turn": None} for entry in documents()[:3]]
    old_store(path, 1, entries)
    with Store(path) as store:
        assert [store.add(from_dict(entry)) for entry in entries] == [False] * 3
        assert len(store) == 3


def test_a_migrated_store_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    old_store(path, 2, documents()[:2])
    turn = documents()[0]["turn"]
    with Store(path) as store:
        assert store.attempts(turn["point"], 1) == 1
        assert store.turns([turn["point"]])[turn["point"]][1].turn == Turn(turn["point"])
        assert [run.job.compression for run in store.records(compression="dense")] == [
            Compression()
        ] * 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Executed()),
        ("fp32", Executed("fp32")),
        ("int8, int32 sums", Executed("int8", "int32")),
        ("int8, int32 sums; in part fp32", Executed("int8", "int32", others=("fp32",))),
        ("fp32 and int8, int32 sums", Executed("int8", "int32", others=("fp32",))),
        (
            "fp16, emulated: converted to fp32 and back for every operation",
            Executed("fp16", emulated=True),
        ),
        ("fp32, of dequantized values", Executed("fp32", stored=StoredAs.DEQUANTIZED)),
        (
            "fp32, of 4-bit weights unpacked before the run",
            Executed("fp32", stored=StoredAs.PACKED),
        ),
        ("fp32, of bf16 weights widened before the run", Executed("fp32", stored=StoredAs.BF16)),
        ("int32", Executed("int32")),
        ("w4a8", Executed("w4a8")),
    ],
)
def test_what_old_records_say_executed(text: str, expected: Executed) -> None:
    entry = {**documents()[0], "executed": text}
    assert from_dict(entry).executed == expected


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [
        ("failed", "BoardError: the board was lost: 10.0.0.2:9090 went away", FailureKind.BOARD_LOST),
        ("failed", "no board became free: busy", FailureKind.NO_BOARD),
        ("failed", "OSError: [Errno 28] No space left on device", FailureKind.DISK_FULL),
        ("failed", "crashed (SIGSEGV) in the step 'running'", FailureKind.CRASH),
        ("failed", "anything else", FailureKind.ERROR),
        ("timeout", "ended after the time limit of 3 s", FailureKind.TIME_LIMIT),
        ("out-of-memory", "ended at the memory limit", FailureKind.MEMORY),
        ("wrong", "outputs differ from the reference", FailureKind.WRONG_OUTPUTS),
    ],
)  # fmt: skip
def test_how_old_records_failed(status: str, reason: str, kind: FailureKind) -> None:
    record = from_dict({**documents()[0], "status": status, "reason": reason})
    assert (record.failure.kind, record.reason) == (kind, reason)
    assert record.schema_version == SCHEMA_VERSION


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ("dense", Compression()),
        ("keep-channels=0.5", Compression(0.5)),
        ("sparsity=0.95,csr", Compression(sparsity=0.95, sparse_format="csr")),
        (
            "keep-channels=0.5,conv*=0.25 sparsity=0.5",
            Compression(0.5, (("conv*", 0.25),), sparsity=0.5),
        ),
        ("precision=int8,first=fp16", Compression(datatypes=("int8", "first=fp16"))),
        ("distilled twice", Compression(other="distilled twice")),
        ("keep-channels=most", Compression(other="keep-channels=most")),
    ],
)
def test_what_old_records_took_from_a_network(variant: str, expected: Compression) -> None:
    entry = documents()[0]
    entry = {**entry, "job": {**entry["job"], "variant": variant}}
    assert from_dict(entry).job.compression == expected
    assert expected.label == variant


def test_a_damaged_old_record_stays_as_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "old.db"
    old_store(path, 2, documents()[:3])
    raw = sqlite3.connect(path)
    raw.execute("UPDATE records SET document = ? WHERE rowid = 2", (b"nonsense",))
    raw.commit()
    raw.close()
    with Store(path) as store:
        assert len(list(store.records())) == 2
        assert len(store) == 3
    (warning,) = caplog.messages
    assert str(path) in warning
    assert "record 2 is left out" in warning
    assert "WHERE rowid = 2" in warning
