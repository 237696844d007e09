"""The table of what networks need and what their runs held: rows by need, and the line through them."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MEGABYTE = 1_000_000


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("numpy")
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.delitem(sys.modules, "tvm_memory", raising=False)
    return importlib.import_module("tvm_memory")


def held(needed, peak):
    here = {"cpu": "a processor", "date": "2026-01-02"}
    return here | {"needed": needed * MEGABYTE, "peak": peak * MEGABYTE}


def test_the_line_is_that_of_the_points(script):
    found = {"large": held(300, 1000), "small": held(100, 600), "middle": held(200, 800)}
    text = script.page(found)
    assert "400 MB and 2.00 MB for each MB needed; it misses a peak by 0% at most" in text
    names = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]
    assert names == ["network", "small", "middle", "large"]
    assert "| middle | 200.0 | 800 | 600 | 800 |" in text


def test_two_points_make_no_line(script):
    text = script.page({"small": held(100, 600), "large": held(300, 1000)})
    assert "least squares" not in text
    assert "| small | 100.0 | 600 | 500 |" in text


def test_a_run_that_failed_says_why(script):
    text = script.page({"bad": {"cpu": "a", "date": "b", "reason": "failed: no such operator"}})
    assert "failed: no such operator" in text
