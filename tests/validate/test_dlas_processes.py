"""The table of what differs from process to process: ranges, shares and their correlation from what processes found."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("dlas_processes")


def row(condition, milliseconds, shared):
    """A process that looked a hundred times, so often at a shared core, and was timed so."""
    return {
        "condition": condition,
        "row_s": milliseconds / 1e3,
        "spread_s": 2 * milliseconds / 1e3,
        "fast_s": 1e-3,
        "units_s": [150e-6] * shared + [100e-6] * (100 - shared),
        "latency_s": [14e-6] * 100,
    }


def test_the_table_has_a_line_for_each_condition(script):
    rows = [row("plain", 1.0, 10), row("plain", 1.5, 60), row("other", 1.2, 30)]
    text = script.markdown(rows, "a program", "a processor")
    lines = [line for line in text.splitlines() if line.startswith("| ")][1:]
    assert lines == [
        "| plain | 2 | 1.000–1.500 (+50%) | 2.000–3.000 (+50%) | 1.000–1.000 (+0%) | 10%–60% |",
        "| other | 1 | 1.200–1.200 (+0%) | 2.400–2.400 (+0%) | 1.000–1.000 (+0%) | 30%–30% |",
    ]
    # The times are exactly 0.9 ms and a hundredth of a millisecond for each look that was shared.
    assert "correlate by 1.00" in text
    assert "5 % quantile, 100 µs" in text
    assert "took 14 to 14 µs" in text


def test_the_probes_tell_work_from_waiting(script):
    """Both take the time of their operations: 144,000 multiply-adds at two a cycle, 15,000 products of three cycles."""
    pytest.importorskip("tvm")
    if "avx512f" not in Path("/proc/cpuinfo").read_text(encoding="utf-8"):
        pytest.skip("the probe needs AVX-512")
    probe = script.probes()
    units = min(probe.units() for _ in range(20))
    latency = min(probe.latency() for _ in range(20))
    cycles = 15_000 * 3 / latency
    assert 0.8e9 < cycles < 7e9
    assert 144_000 / units / cycles < 2.2
