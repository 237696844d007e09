"""The benchmark of `calibrated`: what it measures is kept, and scores follow from what was kept."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from roofline.validate.calibration.calibrate import Roofs
from roofline.validate.calibration.microbenchmarks import ProbeTimes, Times

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bench():
    path = ROOT / "benchmarks" / "calibrated.py"
    spec = importlib.util.spec_from_file_location("calibrated_benchmark", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


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


def outcome(bench, family: str, measured: float, predicted: float, factor: float):
    network = bench.Network(family, family, Path("n.onnx"), {}, {})
    intervals = dict.fromkeys(bench.NOMINAL, (predicted / factor, predicted * factor))
    return bench.Outcome(network, measured, predicted, intervals, 0.0)


def test_scores_are_those_of_their_definitions(bench):
    found = [
        outcome(bench, "a", 1.0, 1.05, 1.1), outcome(bench, "a", 2.0, 2.3, 1.1), outcome(bench, "b", 4.0, 3.0, 1.5),
    ]  # fmt: skip
    row = bench.score(found)
    assert (row["networks"], row["families"]) == (3, 2)
    assert row["MAPE"] == f"{(0.05 + 0.15 + 0.25) / 3:.1%}"
    assert (row["within 10 %"], row["within 20 %"]) == ("33%", "67%")
    # 1.05 / 1.1 holds 1, 2.3 / 1.1 does not hold 2, 3 x 1.5 holds 4.
    assert row["80 % interval holds"] == "67%"
    assert row["its high/low"] == f"{1.1**2:.2f}"


def test_the_page_is_that_of_its_committed_summary(bench):
    text = (ROOT / "docs" / "calibrated.md").read_text()
    assert [text.count(mark) for mark in bench.MARKS] == [1, 1]
    between = text.split(bench.MARKS[0])[1].split(bench.MARKS[1])[0]
    summaries = json.loads((ROOT / "benchmarks" / "calibrated.json").read_text())
    assert between.strip() == bench.page(summaries).strip()
    assert "| calibrated |" in between
    assert "the floor of any error" in between
