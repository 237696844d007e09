"""The script that times a campaign's programs in turns: what it loads runs, and all are timed in every turn."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

from roofline.validate.records.request import RunRequest
from roofline.validate.records.tuning import Tuning

ROOT = Path(__file__).parents[2]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.delitem(sys.modules, "dlas_turns", raising=False)
    return importlib.import_module("dlas_turns")


def test_programs_are_timed_side_by_side(script, small_model, tmp_path, monkeypatch):
    pytest.importorskip("tvm")
    monkeypatch.setenv("ROOFLINE_CACHE", str(tmp_path))
    points = [
        RunRequest(str(small_model), "tvm", tuning=Tuning.UNTUNED, algorithm=name, threads=1, batch=2)
        for name in ("direct", "gemm")
    ]  # fmt: skip
    sessions = script.time_in_turns(points, 3)
    assert [one.point for one in sessions] == [point.key for point in points]
    assert all(len(one.seconds) == 3 and min(one.seconds) > 0 for one in sessions)
