"""The folder of a sweep: killed and resumed, shared by processes, refused where it is another's; its readers."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections import namedtuple
from pathlib import Path

import pytest

from roofline.child import start_python
from roofline.errors import OptionError
from roofline.sweeping import Folder, run, shard
from roofline.sweeping.folder import NAME, SCHEMA_VERSION

from ..cli_process import answered, run_python
from .sweep_in_parts import small_grid

pq = pytest.importorskip("pyarrow.parquet")

SCRIPT = Path(__file__).with_name("sweep_in_parts.py")
SWEEP = """\
schema_version: 1
networks: [mlp]
platforms: [tx2:maxn, ncs]
datatypes: [fp16, int8]
batches: {from: 1, to: 100}
"""
ROWS = 400


def silent(*_: object) -> None:
    """Report nothing."""


def cli(capsys, *arguments: str) -> tuple[int, str, str]:
    return answered(capsys, "sweep", *arguments)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text(SWEEP)
    return path


def keys(folder: Path) -> list[tuple]:
    found = pq.read_table(folder).to_pydict()
    return sorted(
        zip(*(found[name] for name in ("network", "platform", "datatype", "batch")), strict=True)
    )


def test_nothing_is_lost_or_doubled_when_it_is_killed(tmp_path):
    folder = tmp_path / "out"
    process = start_python(str(SCRIPT), str(folder), "0.05")
    deadline = time.monotonic() + 60
    while len(list(folder.glob("part-*.parquet"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("part-*.parquet")}
    assert 3 <= len(before) < 40
    run_python(SCRIPT, folder, "0", check=True)
    after = {path.name: path.stat().st_mtime_ns for path in folder.glob("part-*.parquet")}
    assert len(after) == 40
    assert before.items() <= after.items()
    assert len(keys(folder)) == len(set(keys(folder))) == small_grid().rows == ROWS


def test_shares_together_are_the_whole(tmp_path):
    grid = small_grid()
    whole, shared = Folder(tmp_path / "whole"), Folder(tmp_path / "shared")
    whole.begin(grid)
    run(grid, whole, range(grid.parts), silent)
    for text in ("3/3", "1/3", "2/3"):
        shared.begin(grid)
        run(grid, shared, shard(text, grid.parts), silent)
    assert whole.done() == shared.done() == set(range(grid.parts))
    for index in range(grid.parts):
        assert whole.part(index).read_bytes() == shared.part(index).read_bytes()


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/0", "-1/3"])
def test_a_share_that_is_none_is_refused(text):
    with pytest.raises(OptionError, match="no share of a sweep"):
        shard(text, 10)


def test_the_command_writes_says_and_goes_on(file, capsys, tmp_path):
    folder = tmp_path / "out"
    code, out, err = cli(capsys, str(file), "-o", str(folder))
    assert (code, out) == (0, "")
    assert "400 predictions in 1 part, about" in err
    assert len(keys(folder)) == ROWS
    code, _, err = cli(capsys, str(file), "-o", str(folder))
    assert code == 0
    assert "nothing is left to do" in err
    assert json.loads((folder / "_sweep.json").read_text())["schema_version"] == 1


def test_a_dry_run_writes_nothing(file, capsys, tmp_path):
    code, out, err = cli(capsys, str(file), "--dry-run", "-o", str(tmp_path / "out"))
    assert (code, out) == (0, "")
    assert "400 predictions" in err
    assert not (tmp_path / "out").exists()


def test_another_sweeps_folder_is_refused(file, capsys, tmp_path):
    folder = tmp_path / "out"
    assert cli(capsys, str(file), "-o", str(folder))[0] == 0
    file.write_text(SWEEP.replace("100", "99"))
    code, _, err = cli(capsys, str(file), "-o", str(folder))
    assert code == 2
    assert "parts of another sweep" in err
    assert err.count("\n") == 1


def test_a_folder_of_other_files_is_refused(file, capsys, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "data.parquet").write_bytes(b"")
    code, _, err = cli(capsys, str(file), "-o", str(tmp_path / "mine"))
    assert code == 2
    assert "data.parquet" in err


def test_a_sweep_beyond_the_disk_is_refused_before_it_starts(file, capsys, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 0, 1000))
    code, _, err = cli(capsys, str(file), "-o", str(tmp_path / "out"))
    assert code == 2
    assert "are free in" in err
    assert "--shard" not in err, "one part is not divided"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--shard", "1/2"], "needs a folder"),
        (["--dask", "local"], "needs a folder"),
        (["--shard", "3/2", "-o", "OUT"], "no share"),
    ],
)
def test_flags_that_do_not_fit_are_one_line(file, capsys, tmp_path, arguments, words):
    given = [str(tmp_path / "out") if text == "OUT" else text for text in arguments]
    code, _, err = cli(capsys, str(file), *given)
    assert code == 2
    assert words in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("batches", "words"),
    [
        ("{from: 1}", "batches.to: is missing"),
        ("{from: 5, to: 1}", "which is none"),
        ("{from: 1, to: 9, stop: 2}", "batches.stop: unknown key stop"),
        ("{from: 1, to: 9, step: 0}", "batches.step: should be greater"),
        ("{from: 0, to: 9}", "batches.from: should be greater than or equal to 1, not 0"),
    ],
)
def test_ranges_that_are_none_are_one_line(capsys, tmp_path, batches, words):
    path = tmp_path / "bad.yaml"
    path.write_text(SWEEP.replace("{from: 1, to: 100}", batches))
    code, _, err = cli(capsys, str(path), "-o", str(tmp_path / "out"))
    assert code == 2
    assert words in err
    assert err.count("\n") == 1


def test_a_network_of_the_same_content_is_counted_once(capsys, tmp_path, monkeypatch):
    import onnx

    from roofline.cli import verb_sweep
    from roofline.workloads import build

    onnx.save(build("mlp"), str(tmp_path / "a.onnx"))
    shutil.copy(tmp_path / "a.onnx", tmp_path / "b.onnx")
    (tmp_path / "s.yaml").write_text(
        "schema_version: 1\nnetworks: [a.onnx, b.onnx]\nplatforms: [ncs]\ndatatypes: [fp16]\n"
    )
    counted: list[str] = []
    load = verb_sweep.load_model
    monkeypatch.setattr(verb_sweep, "load_model", lambda name: counted.append(name) or load(name))
    assert cli(capsys, str(tmp_path / "s.yaml"), "-o", str(tmp_path / "out"))[0] == 0
    assert len(counted) == 1
    assert [key[0] for key in keys(tmp_path / "out")] == ["a", "b"]


def test_results_are_read_by_pandas_polars_and_duckdb(file, capsys, tmp_path):
    folder = tmp_path / "out"
    assert cli(capsys, str(file), "-o", str(folder))[0] == 0
    pandas = pytest.importorskip("pandas")
    polars = pytest.importorskip("polars")
    duckdb = pytest.importorskip("duckdb")
    one = pandas.read_parquet(folder)
    two = polars.read_parquet(f"{folder}/*.parquet")
    query = (
        f"SELECT platform, max(throughput_fps) AS best FROM '{folder}/*.parquet' GROUP BY platform"
    )
    three = dict(duckdb.sql(query).fetchall())
    assert len(one) == len(two) == ROWS
    assert three == one.groupby("platform", observed=True).throughput_fps.max().to_dict()
    assert three == dict(
        two.group_by("platform").agg(polars.col("throughput_fps").max()).iter_rows()
    )
    assert two["skipped"].null_count() == one.throughput_fps.notna().sum()


def test_a_note_without_parts_gives_way_to_another_sweep(tmp_path: Path) -> None:
    path = tmp_path / "swept"
    path.mkdir()
    (path / NAME).write_text(json.dumps({"schema_version": SCHEMA_VERSION, "digest": "another"}))
    wanted = small_grid()
    assert Folder(path).begin(wanted) == set()
    assert json.loads((path / NAME).read_text())["digest"] == wanted.digest
