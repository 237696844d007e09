"""The verb joins files and record stores with what is known of their machines and networks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import roofline as rl
from roofline.cli._report import gather
from roofline.errors import RooflineError
from roofline.validate.records.compression import parse_compression
from roofline.validate.records.failure import Failure, FailureKind
from roofline.validate.records.record import Measurement, Status
from roofline.validate.records.request import RunRequest
from roofline.validate.records.store import Store


def run(network: str, machine: str, variant: str = "dense", **changes: object) -> Measurement:
    job = RunRequest(
        network=network,
        compression=parse_compression(variant),
        datatype="fp16",
        batch=1,
        backend="onnxruntime",
    )
    made = Measurement(job=job, status=Status.OK, machine=machine, samples_s=(0.01, 0.02, 0.03))
    return replace(made, **changes)


def test_a_store_gives_its_runs_with_predictions_where_network_and_machine_are_known(
    tmp_path: Path,
) -> None:
    path = tmp_path / "runs.db"
    with Store(path) as store:
        store.add(run("mlp", "tx2:maxn"))
        store.add(run("mlp", "tx2:maxn", "keep-channels=0.5"))
        store.add(run("mlp", "a machine of mine"))
        store.add(run("my network", "tx2:maxn"))
        store.add(
            run(
                "mlp",
                "tx2:maxn",
                status=Status.FAILED,
                samples_s=(),
                failure=Failure(FailureKind.ERROR, "no"),
            )
        )
    page = gather([str(path)], "")
    assert len(page.rows) == 5
    dense = rl.predict(rl.load("mlp"), rl.platform("tx2:maxn"), datatype="fp16").throughput_fps
    half = rl.predict(rl.load("mlp").under(pruning=0.5), rl.platform("tx2:maxn"), datatype="fp16")
    predicted = [row["predicted_fps"] for row in page.rows]
    assert predicted == [dense, half.throughput_fps, None, None, dense]
    # The median of 10, 20 and 30 ms.
    assert page.rows[0]["measured_fps"] == pytest.approx(1 / 0.02)
    assert page.rows[0]["latency_ms"] == pytest.approx(20)
    assert page.rows[4]["measured_fps"] is None
    assert "failed" in page.rows[4]["flag"]
    assert {roof["platform"] for roof in page.roofs} == {"tx2:maxn"}


def test_many_records_count_a_network_and_build_a_reader_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pydantic

    from roofline.validate.analysis import counting
    from roofline.validate.records import plain

    made: list[str] = []
    load, adapter = rl.load, pydantic.TypeAdapter

    def loading(network: str, **options: Any) -> rl.Workload:
        made.append(network)
        return load(network, **options)

    def building(kind: type[Any]) -> Any:
        made.append(kind.__name__)
        return adapter(kind)

    path = tmp_path / "runs.db"
    with Store(path) as store:
        for batch in range(1, 41):
            job = replace(run("mlp", "tx2:maxn").job, batch=batch)
            store.add(run("mlp", "tx2:maxn", "dense", job=job))
    monkeypatch.setattr(rl, "load", loading)
    monkeypatch.setattr(pydantic, "TypeAdapter", building)
    for known in (counting.count_network, counting._whole_network, plain._adapter):
        known.cache_clear()
    rows = gather([str(path)], "").rows
    assert len({row["predicted_fps"] for row in rows}) > 1
    assert len(rows) == 40
    assert sorted(made) == ["Measurement", "mlp"]


def test_a_database_that_is_no_store_is_refused(tmp_path: Path) -> None:
    import sqlite3

    path = tmp_path / "other.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (x)")
    connection.commit()
    connection.close()
    with pytest.raises(RooflineError, match="not a record store"):
        gather([str(path)], "")


def test_a_missing_store_is_refused_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(RooflineError, match="there is no record store"):
        gather([str(tmp_path / "none.db")], "")
    assert list(tmp_path.iterdir()) == []


def test_roofs_of_a_calibrated_machine_come_from_its_comparisons(tmp_path: Path) -> None:
    """No shipped file describes this machine; the comparisons state its peak and bandwidth."""
    entry = {
        "network": "n", "platform": "this-pc:2-threads", "datatype": "fp32", "batch": 1, "predicted_fps": 50.0,
        "measured_fps": 20.0, "peak_op_s": 1e11, "bandwidth_b_s": 2e10, "performance_op_s": 1e11, "intensity": 12.0,
        "median_ms": 50.0,
    }  # fmt: skip
    path = tmp_path / "v.json"
    path.write_text(json.dumps({"comparisons": [entry]}))
    page = gather([str(path)], "Mine")
    assert page.title == "Mine"
    assert page.roofs == (
        {
            "platform": "this-pc:2-threads",
            "datatype": "fp32",
            "peak_op_s": 1e11,
            "bandwidth_b_s": 2e10,
        },
    )
    (need,) = page.requirements
    assert need["ops"] == 1e11 / 50.0
    assert page.rows[0]["latency_ms"] == 50.0
    assert page.rows[0]["flag"] is None


def test_shipped_machines_show_their_largest_on_chip_memory(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("platform,network,datatype,measured_fps\nedgetpu:fast,n,int8,3\n")
    (roof,) = gather([str(path)], "").roofs
    assert roof["on_chip"] == "SRAM"
    assert roof["on_chip_capacity_b"] == 8e6


def test_a_text_that_is_named_like_a_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    path.write_text("network,measured_fps\nmlp,3\n" * 20)
    with pytest.raises(RooflineError, match="not a database"):
        gather([str(path)], "")


def test_a_page_names_its_traffic_assumption_and_what_makes_a_calibration_doubtful(
    tmp_path: Path,
) -> None:
    path = tmp_path / "found.json"
    row = {"network": "mlp", "platform": "tx2:maxn", "predicted_fps": 10.0, "measured_fps": 5.0}
    document = {
        "conventions": {"traffic": "fused: weights, inputs and outputs of fused layers"},
        "comparisons": [row],
        "notes": ["Disturbed with 1 thread: others took 20% of the CPU time."],
    }
    path.write_text(json.dumps(document), encoding="utf-8")
    stated = gather([str(path)], "").conventions
    assert "found.json fused: weights, inputs and outputs of fused layers" in stated
    assert "Disturbed with 1 thread" in stated


@pytest.mark.parametrize("form", ["csv", "json"])
def test_a_decoder_s_runs_stand_under_the_roof_of_its_machine_by_tokens(
    tmp_path: Path, form: str
) -> None:
    from roofline.cli._output import as_csv, as_json

    entry = {
        "network": "d prefill at 100", "platform": "this-pc:2-threads", "datatype": "fp32", "batch": 1,
        "phase": "prefill", "context": 100, "predicted_fps": None, "measured_fps": None,
        "predicted_tokens_per_s": 50.0, "measured_tokens_per_s": 20.0, "efficiency": 0.4, "executed": "fp32",
        "status": "ok", "peak_op_s": 1e11, "bandwidth_b_s": 2e10, "performance_op_s": 1e11, "intensity": 12.0,
        "median_ms": 5000.0,
    }  # fmt: skip
    path = tmp_path / f"v.{form}"
    path.write_text(as_csv([entry]) if form == "csv" else as_json({"comparisons": [entry]}))
    page = gather([str(path)], "")
    (roof,), (need,), (row,) = page.roofs, page.requirements, page.rows
    assert (roof["peak_op_s"], roof["bandwidth_b_s"]) == (1e11, 2e10)
    # Dots are at measured tokens/s times operations of a token.
    assert (need["network"], need["ops"]) == (row["network"], 1e11 / 50.0)
    assert (row["measured_fps"], row["rate"]) == (20.0, "tokens/s")


def test_files_without_a_row_make_no_page(tmp_path: Path) -> None:
    path = tmp_path / "none.json"
    path.write_text("[]", encoding="utf-8")
    with pytest.raises(RooflineError, match=r"none\.json: no rows to report"):
        gather([str(path)], "")
