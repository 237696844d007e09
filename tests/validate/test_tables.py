from __future__ import annotations

import pytest

from roofline.errors import OptionError, StoreError
from roofline.validate.records.executed import Executed
from roofline.validate.records.failure import Failure, FailureKind
from roofline.validate.records.files import export, import_parquet
from roofline.validate.records.importers import read_runs
from roofline.validate.records.importers._registry import Facts
from roofline.validate.records.record import Check, Environment, Measurement, Status, Turn
from roofline.validate.records.request import Protocol, RunRequest
from roofline.validate.records.store import Store

from ..cli_process import run_roofline

RUNS = [
    Measurement(
        RunRequest("mlp", "tvm", batch=1, options={"a": 1, "b": "x"}, protocol=Protocol(runs=7)), Status.OK,
        samples_s=(1e-3, 0.1 + 0.2, 3e-9), machine="here", executed=Executed("fp32"), cpu_s=1.5, wall_s=1.6,
        check=Check("ort", 1e-6, 1e-7, 1e-3), environment=Environment(versions={"tvm": "0.27"}),
        notes=("a, b", 'c "d"\ne'), turn=Turn("p", 2, 3), timestamp="2026-01-01T00:00:00+00:00",
    ),
    Measurement(RunRequest("cnv", "onnxruntime", batch=4), Status.FAILED, Failure(FailureKind.ERROR, "why; not")),
]  # fmt: skip


@pytest.mark.parametrize("name", ["records.csv", "records.json", "records.parquet"])
def test_records_come_back_from_every_format(tmp_path, name):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    path = tmp_path / name
    path.write_bytes(b"".join(export(RUNS, path)))
    chosen, found = read_runs(path, Facts())
    assert chosen.name == "records"
    assert list(found.measurements) == RUNS
    assert found.rejected == ()


@pytest.mark.parametrize("name", ["records.csv", "records.json"])
def test_a_record_is_taken_when_its_line_is_written(tmp_path, name):
    taken = []
    runs = (taken.append(run) or run for run in RUNS)
    parts = export(runs, tmp_path / name)
    first = next(part for part in parts if b"mlp" in part)
    assert taken == RUNS[:1]
    assert b"cnv" in b"".join(parts)
    assert b"cnv" not in first


@pytest.mark.parametrize("name", ["records.csv", "records.json"])
def test_names_that_are_no_text_come_back(tmp_path, name):
    # As a file system has them: bytes that are no UTF-8.
    lost = Failure(FailureKind.ERROR, "no file m\udcff.onnx")
    run = Measurement(RunRequest("mlp", "tvm", batch=1), Status.FAILED, lost)
    with Store(tmp_path / "records.db") as store:
        store.add(run)
    run_roofline("export", tmp_path / name, "--store", tmp_path / "records.db", check=True)
    (found,) = read_runs(tmp_path / name, Facts())[1].measurements
    assert found.reason == lost.detail


def test_a_table_for_other_programs_has_units_in_its_columns(tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    path = tmp_path / "records.parquet"
    path.write_bytes(b"".join(export(RUNS, path)))
    table = pandas.read_parquet(path)
    # The middle one of 1 ms, 300 ms and 3 ns.
    assert table["median_ms"][0] == 1.0
    assert table["network"].tolist() == ["mlp", "cnv"]


def test_what_is_no_table_of_records_is_refused(tmp_path):
    pytest.importorskip("pyarrow")
    with pytest.raises(OptionError, match=r"'records\.cvs'"):
        export(RUNS, tmp_path / "records.cvs")
    path = tmp_path / "bad.parquet"
    path.write_bytes(b"PAR1 no")
    with pytest.raises(StoreError, match=r"holds no records as Parquet: .*[Pp]arquet"):
        import_parquet(path)


def test_from_one_store_to_another_and_no_record_twice(tmp_path):
    first, second, file = tmp_path / "a.db", tmp_path / "b.db", tmp_path / "all.csv"
    with Store(first) as store:
        for run in RUNS:
            store.add(run)
    run_roofline("export", file, "--store", first, check=True)
    for _ in range(2):
        run_roofline("import", file, "--store", second, check=True)
    with Store(second) as store:
        assert list(store.records()) == RUNS
    run_roofline("export", "-o", file, "--store", first, "--network", "cnv", check=True)
    assert list(read_runs(file, Facts())[1].measurements) == [RUNS[1]]
