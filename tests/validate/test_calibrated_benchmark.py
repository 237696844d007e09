"""The benchmark of `calibrated`: what it measures is kept, and scores follow from what was kept."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

from roofline.validate.calibration.calibrate import Roofs
from roofline.validate.calibration.microbenchmarks import ProbeTimes, Times

ROOT = Path(__file__).parents[2]


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("calibrated")


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
    path.write_text(bench.written(record))
    assert bench.read(path) == record
    assert record.measured_s("a") == 2.5e-3
    assert record.apart == pytest.approx([0.5])


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
