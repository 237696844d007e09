from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from roofline.child import start_python
from roofline.errors import StoreError
from roofline.validate.records.failure import Failure, FailureKind
from roofline.validate.records.files import export_csv, export_json, import_csv, import_json
from roofline.validate.records.packing import MOST_BYTES
from roofline.validate.records.record import Measurement, Status
from roofline.validate.records.request import RunRequest
from roofline.validate.records.store import Store, open_for_reading
from roofline.validate.records.tables import STORE_VERSION

from ..cli_process import run_python


def run(number, **fields):
    samples = tuple(1e-3 * (number + i / 7) for i in range(20))
    return Measurement(
        RunRequest("mlp", "tvm", batch=number + 1), Status.OK, samples_s=samples,
        timestamp=f"2026-01-01T00:00:{number:02}+00:00", **fields,
    )  # fmt: skip


def test_every_sample_comes_back(tmp_path):
    runs = [run(i) for i in range(5)]
    with Store(tmp_path / "new" / "records.db") as store:
        assert all(store.add(record) for record in runs)
    with Store(tmp_path / "new" / "records.db") as store:
        assert list(store.records()) == runs
        assert len(store) == 5


def test_the_same_record_is_kept_once(tmp_path):
    with Store(tmp_path / "records.db") as store:
        assert store.add(run(1))
        assert not store.add(run(1))
        assert store.add(replace(run(1), timestamp="2026-01-02T00:00:00+00:00"))
        assert len(store) == 2


def test_records_are_chosen_by_column(tmp_path):
    with Store(tmp_path / "records.db") as store:
        store.add(run(1))
        store.add(run(2))
        assert [r.job.batch for r in store.records(batch=3, backend="tvm")] == [3]
        with pytest.raises(StoreError, match="no column"):
            list(store.records(**{"1=1; --": "x"}))


def test_a_newer_store_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "records.db"
    with Store(path) as store:
        store.add(run(1))
    with sqlite3.connect(path) as raw:
        raw.execute(f"PRAGMA user_version = {STORE_VERSION + 1}")
    raw.close()
    with pytest.raises(StoreError, match="version"):
        Store(path)
    raw = sqlite3.connect(path)
    assert raw.execute("SELECT COUNT(*) FROM records").fetchone() == (1,)
    raw.close()


def test_another_programs_database_is_refused(tmp_path):
    path = tmp_path / "photos.db"
    raw = sqlite3.connect(path)
    raw.execute("CREATE TABLE photos (name TEXT)")
    raw.commit()
    raw.close()
    with pytest.raises(StoreError, match="not a record store"):
        Store(path)


def test_a_file_that_is_no_database_is_refused(tmp_path):
    path = tmp_path / "records.db"
    path.write_text("not a database " * 100)
    with pytest.raises(StoreError, match="cannot open"):
        Store(path)


def test_a_full_disk_is_one_clear_error_and_loses_nothing(tmp_path):
    with Store(tmp_path / "records.db") as store:
        store.add(run(1))
        (pages,) = store._connection.execute("PRAGMA page_count").fetchone()
        store._connection.execute(f"PRAGMA max_page_count = {pages}")
        big = replace(run(2), notes=(os.urandom(60_000).hex(),))
        with pytest.raises(StoreError, match="full"):
            store.add(big)
        assert list(store.records()) == [run(1)]


def test_an_error_on_a_full_disk_says_so_whatever_sqlite_calls_it(tmp_path, monkeypatch):
    path = tmp_path / "records.db"
    Store(path).close()
    path.write_bytes(path.read_bytes()[:5000])
    for free, expected in ((0, "The disk is full"), (1 << 30, "malformed$")):
        usage = shutil._ntuple_diskusage(1 << 30, 0, free)
        monkeypatch.setattr(shutil, "disk_usage", lambda _, usage=usage: usage)
        with pytest.raises(StoreError, match=expected), Store(path) as store:
            store.add(run(1))


_WRITER = """
import sys
from pathlib import Path
from roofline.validate.records.record import Measurement, Status
from roofline.validate.records.request import RunRequest
from roofline.validate.records.packing import MOST_BYTES
from roofline.validate.records.store import Store, open_for_reading
with Store(Path(sys.argv[1])) as store:
    for number in range(int(sys.argv[2]), 10**9):
        store.add(Measurement(RunRequest("mlp", sys.argv[3], batch=number), Status.OK, samples_s=(1.0,) * 150))
        print(number, flush=True)
"""


def test_a_killed_writer_loses_and_doubles_nothing(tmp_path):
    path = tmp_path / "records.db"
    confirmed = 0
    for attempt in range(6):
        writer = start_python(
            "-c", _WRITER, str(path), str(confirmed + 1), "tvm",
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        # Killed at another point each time, in the middle of the writing.
        for _ in range(3 + 5 * attempt):
            confirmed = int(writer.stdout.readline())
        time.sleep(0.003 * attempt)
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read().split("\n")
        confirmed = max([confirmed, *(int(line) for line in rest[:-1])])
        writer.wait()
        writer.stdout.close()
        with Store(path) as store:
            kept = [record.job.batch for record in store.records()]
        # All that was confirmed is there, in order; at most one more was written but not yet confirmed.
        assert kept == list(range(1, len(kept) + 1))
        assert len(kept) - confirmed in (0, 1)
        confirmed = len(kept)


def test_two_processes_write_one_store(tmp_path):
    path = tmp_path / "records.db"
    script = _WRITER.replace("10**9", "int(sys.argv[2]) + 25")
    writers = [
        start_python("-c", script, str(path), "1", name, stdout=subprocess.DEVNULL)
        for name in ("one", "two")
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    with Store(path) as store:
        assert {
            name: sum(r.job.backend == name for r in store.records()) for name in ("one", "two")
        } == {
            "one": 25,
            "two": 25,
        }


_OPENER = """
import sys, time
from pathlib import Path
from roofline.validate.records.packing import MOST_BYTES
from roofline.validate.records.store import Store, open_for_reading
while time.time() < float(sys.argv[2]):
    pass
with Store(Path(sys.argv[1])) as store:
    len(store)
"""


def test_processes_that_make_a_store_at_the_same_moment_all_open_it(tmp_path):
    for number in range(4):
        moment = str(time.time() + 1.0)
        path = tmp_path / f"{number}.db"
        openers = [start_python("-c", _OPENER, str(path), moment) for _ in range(2)]
        assert [opener.wait(60) for opener in openers] == [0, 0]


@pytest.mark.parametrize(
    ("write", "read"), [(export_json, import_json), (export_csv, import_csv)], ids=["json", "csv"]
)
def test_an_export_is_read_back_whole(write, read):
    runs = [
        run(1),
        replace(
            run(2),
            status=Status.FAILED,
            failure=Failure(FailureKind.ERROR, 'a "quoted", reason\nof two lines'),
        ),
    ]
    assert read(write(runs)) == runs


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (import_json, "{", "not valid JSON"),
        (import_json, "[]", "no list of measurements"),
        (import_json, '{"measurements": [3]}', "record 1 is not an object"),
        (import_json, '{"measurements": [{"status": "ok"}]}', "record 1"),
        (import_csv, "a,b\n1,2\n", "no column 'record'"),
        (import_csv, "record\n{\n", "not valid JSON"),
    ],
)
def test_a_damaged_export_is_one_clear_line(read, text, message):
    with pytest.raises(StoreError, match=message):
        read(text)


def damage(path, row, document):
    raw = sqlite3.connect(path)
    raw.execute("UPDATE records SET document = ? WHERE rowid = ?", (document, row))
    raw.commit()
    raw.close()


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (b"nonsense", "incorrect header"),
        (zlib.compress(b"[]"), "no fields"),
        (zlib.compress(b'{"schema_version": 99}'), "newer version|schema version 99"),
        (zlib.compress(b"[" * 100_000), "damaged"),
        (zlib.compress(b"{}")[:-3], "cut short"),
        ("text", "no bytes"),
        (zlib.compress(b" " * (MOST_BYTES + 1)), "unpacks to too much"),
    ],
    ids=["nonsense", "list", "newer", "nested", "cut", "text", "bomb"],
)
def test_one_damaged_record_is_named_and_left_out(tmp_path, caplog, document, why):
    path = tmp_path / "records.db"
    with Store(path) as store:
        store.add_all([run(1), run(2), run(3)])
    damage(path, 2, document)
    with open_for_reading(path) as store:
        assert list(store.records()) == [run(1), run(3)]
        assert list(store.records()) == [run(1), run(3)]
    assert [entry.name for entry in tmp_path.iterdir()] == ["records.db"]
    (warning,) = caplog.messages
    assert f"{path}: record 2 is left out" in warning
    assert re.search(why, warning)
    assert f"sqlite3 {path} 'DELETE FROM records WHERE rowid = 2'" in warning


def test_a_store_that_does_not_exist_is_not_made_by_reading(tmp_path):
    for path in (tmp_path / "typo.db", tmp_path / "no" / "typo.db"):
        with (
            pytest.raises(StoreError, match=r"there is no record store .*typo\.db"),
            open_for_reading(path),
        ):
            pass
    assert list(tmp_path.iterdir()) == []


def test_the_users_own_store_is_empty_before_anything_is_measured(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with open_for_reading(None) as store:
        assert list(store.records()) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"network,fps\nmlp,3\n" * 100], ids=["empty", "text"])
def test_a_file_that_is_no_store_is_not_read(tmp_path, content):
    path = tmp_path / "records.db"
    path.write_bytes(content)
    with (
        pytest.raises(StoreError, match=r"not a record store|not a database"),
        open_for_reading(path),
    ):
        pass
    assert path.read_bytes() == content


def test_a_folder_or_a_pipe_is_no_store(tmp_path):
    os.mkfifo(tmp_path / "pipe.db")
    for path in (tmp_path, tmp_path / "pipe.db"):
        with pytest.raises(StoreError, match="no file at all"), open_for_reading(path):
            pass


_READER = """
import os, sys
from pathlib import Path
from roofline.validate.records.reading import from_dict
from roofline.validate.records.record import Measurement, Status
from roofline.validate.records.request import RunRequest
from roofline.validate.records.store import open_for_reading
from_dict(Measurement(RunRequest("a", "b"), Status.OK).to_dict())
if os.geteuid() == 0:
    os.setuid(65534)
with open_for_reading(Path(sys.argv[1])) as store:
    print(len(list(store.records())))
"""


def test_reading_needs_no_right_to_write():
    # Not in pytest's own folder, which another user cannot enter.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "records.db"
        with Store(path) as store:
            store.add_all([run(1), run(2)])
        path.chmod(0o444)
        folder.chmod(0o555)
        done = run_python("-c", _READER, path)
        folder.chmod(0o755)
        assert done.stdout == "2\n", done.stderr
        assert [entry.name for entry in folder.iterdir()] == ["records.db"]


def test_what_is_being_written_is_read_too(tmp_path):
    path = tmp_path / "records.db"
    with Store(path) as store:
        store.add(run(1))
        with open_for_reading(path) as other:
            store.add(run(2))
            assert list(other.records()) == [run(1), run(2)]
            with pytest.raises(StoreError, match="cannot write"):
                other.add(run(3))
