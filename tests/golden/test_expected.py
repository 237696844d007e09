"""The estimates of a version do not move."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

_SPEC = importlib.util.spec_from_file_location("expected", Path(__file__).with_name("expected.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
_table = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_table)
recorded, rows = _table.recorded, _table.rows

FIGURES = ("fps", "low_fps", "high_fps")


def test_a_version_says_the_same_always() -> None:
    old, new = recorded(), rows()
    assert len(old) == len(new) == 200
    for before, now in zip(old, new, strict=True):
        assert {k: before[k] for k in before if k not in FIGURES} == {
            k: now[k] for k in now if k not in FIGURES
        }
        for figure in FIGURES:
            assert float(now[figure]) == pytest.approx(float(before[figure]), rel=1e-4), before


def test_the_estimate_lies_in_its_interval() -> None:
    for row in recorded():
        assert float(row["low_fps"]) < float(row["fps"]) < float(row["high_fps"]), row
