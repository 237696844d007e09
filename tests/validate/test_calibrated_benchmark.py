"""The benchmark of `calibrated`: what it measures is kept, and scores follow from what was kept."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

from roofline.validate.calibration.calibrate import Roofs
from roofline.validate.calibration.microbenchmarks import ProbeTimes, Times
from roofline.validate.calibration.probes.graph import chain, unary

ROOT = Path(__file__).parents[2]


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("calibrated_runs")


@pytest.fixture
def scores(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("calibrated_scores")


@pytest.fixture
def record(bench):
    times = Times("onnxruntime", "1", 1, {"smallest operator": ProbeTimes(1e-6, 2e-6, 60, 0.1)})
    roofs = Roofs(1, {"fp32": 1e11}, {"fp32": "library"}, 1e10, None)
    return bench.Record("A CPU", "2026-01-01", 1, roofs, times, 180.0, {"a": [2e-3, 3e-3]})


def test_a_record_that_was_kept_is_the_one_that_is_read(bench, record, tmp_path):
    path = tmp_path / "record.json"
    path.write_text(bench.format_record(record))
    assert bench.read(path) == record
    assert record.measured_s("a") == 2.5e-3
    assert record.apart == pytest.approx([0.5])


def test_a_network_of_a_list_is_run_as_the_backend_asks(bench, tmp_path):
    pytest.importorskip("onnxruntime")
    path = tmp_path / "n.onnx"
    path.write_bytes(chain((1, 4), unary("Relu"))(2))
    network = bench.Network("n", "n", path, {"input_0": (1, 4)}, {})
    assert bench.inputs_of(network)["input_0"].shape == (1, 4)
    # It is loaded, bound and warm: a run more is a run.
    bench.step_of(network, "onnxruntime", 1)()


def outcome(bench, scores, family: str, measured: float, predicted: float, factor: float):
    network = bench.Network(family, family, Path("n.onnx"), {}, {})
    intervals = dict.fromkeys(scores.NOMINAL, (predicted / factor, predicted * factor))
    return scores.Outcome(network, measured, predicted, intervals, 0.0)


def test_scores_are_those_of_their_definitions(bench, scores):
    found = [
        outcome(bench, scores, "a", 1.0, 1.05, 1.1), outcome(bench, scores, "a", 2.0, 2.3, 1.1),
        outcome(bench, scores, "b", 4.0, 3.0, 1.5),
    ]  # fmt: skip
    row = scores.score(found)
    assert (row["networks"], row["families"]) == (3, 2)
    assert row["MAPE"] == f"{(0.05 + 0.15 + 0.25) / 3:.1%}"
    assert (row["within 10 %"], row["within 20 %"]) == ("33%", "67%")
    # 1.05 / 1.1 holds 1, 2.3 / 1.1 does not hold 2, 3 x 1.5 holds 4.
    assert row["80 % interval holds"] == "67%"
    assert row["its high/low"] == f"{1.1**2:.2f}"


def test_the_page_is_that_of_its_committed_summary(scores):
    text = (ROOT / "docs" / "calibrated.md").read_text()
    assert [text.count(mark) for mark in scores.MARKS] == [1, 1]
    between = text.split(scores.MARKS[0])[1].split(scores.MARKS[1])[0]
    summaries = json.loads((ROOT / "benchmarks" / "calibrated.json").read_text())
    assert between.strip() == scores.page(summaries).strip()
    assert "| calibrated |" in between
    assert "the floor of any error" in between


def summary_of(mape: str):
    score = {
        "model": "calibrated", "networks": 1, "families": 1, "MAPE": mape, "median": mape, "within 10 %": "0%",
        "within 20 %": "0%", "bias": "x1.00", "order": "1.000", "80 % interval holds": "0%", "its high/low": "1.40",
        "borrowed": "0.0%",
    }  # fmt: skip
    tables = {"scores": [score, {**score, "model": "no padding"}], "intervals": [{"a": 1}]}
    return {"told": "told", "lists": {"open": {**tables, "networks": [{"network": "n"}]}}}


def test_the_first_score_of_a_list_on_a_machine_stays(scores):
    first = scores.first_scores({}, summary_of("20.0%")["lists"])
    assert first["open"]["MAPE"] == "20.0%"
    before = summary_of("20.0%") | {"first": first}
    assert scores.first_scores(before, summary_of("9.0%")["lists"]) == first
    # A list that was scored before first scores were kept has none.
    assert scores.first_scores(summary_of("20.0%"), summary_of("9.0%")["lists"]) == {}


def test_the_page_begins_with_all_machines_in_one_table(scores):
    before = summary_of("20.0%")
    first = scores.first_scores({}, before["lists"])
    machines = {
        "one": {"onnxruntime, 1 thread": before},
        "two": {"onnxruntime, 1 thread": summary_of("9.0%") | {"first": first}},
    }
    table = scores.page(machines).split("###")[0].strip().splitlines()[2:]
    told = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table]
    assert [(row[0], row[2], row[5]) for row in told] == [
        ("one", "`open`", "20.0%"), ("two", "`open`, first score", "20.0%"), ("two", "`open`", "9.0%"),
    ]  # fmt: skip
