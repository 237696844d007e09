"""The page about compression shows what the program counts."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

import roofline
from roofline.errors import OptionError
from roofline.workloads import networks

PAGE = Path(__file__).parents[2] / "docs" / "compression.md"
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script that writes the page's table, imported as Python finds it when it is run."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    for name in ("compression_table", "compression_speed"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module("compression_table")


@pytest.fixture
def speed(table: ModuleType) -> ModuleType:
    return sys.modules["compression_speed"]


def rows() -> dict[str, list[str]]:
    lines = [
        line.strip("| ").split(" | ")
        for line in PAGE.read_text().splitlines()
        if line.startswith("| `")
    ]
    return {cells[0].strip("`"): cells[1:] for cells in lines if cells[0].strip("`") in networks}


def test_every_network_is_in_the_table() -> None:
    assert list(rows()) == list(networks)


@pytest.mark.parametrize("key", ["cnv", "mlp_25", "resnet18_cifar10", "mobilenet_v3_small"])
def test_the_table_shows_the_counts(key: str) -> None:
    dense = roofline.load(key)
    half = dense.under(pruning=0.5)
    shown = rows()[key]
    assert [float(cell.replace(",", "")) for cell in shown[:4]] == [
        round(dense.macs / 1e6, 1), round(half.macs / 1e6, 1),
        round(dense.parameters / 1e6, 3), round(half.parameters / 1e6, 3),
    ]  # fmt: skip
    assert shown[4] == f"{dense.macs / half.macs:.2f}x"


def test_the_python_on_the_page_runs() -> None:
    text = PAGE.read_text()
    code = text[text.index("```python\n") + len("```python\n") :]
    exec(compile(code[: code.index("```")], str(PAGE), "exec"), {})


def test_the_page_shows_the_results(table: ModuleType) -> None:
    found = table.read_results(BENCHMARKS / "compression_table.csv")
    assert list(found) == list(networks)
    shown = PAGE.read_text().partition(table.BEGIN)[2].partition(table.END)[0]
    assert shown.strip() == table.page(found).strip()
    # Cell by cell, by this test's own reading.
    for key, cells in rows().items():
        row = found[key]
        assert float(cells[4].rstrip("x")) == pytest.approx(float(row["ideal"]), abs=0.0051)
        assert float(row["ideal"]) == pytest.approx(
            int(row["macs"]) / int(row["half_macs"]), abs=1e-4
        )
        if row["measured"]:
            share = float(row["dense_ms"]) / float(row["half_ms"]) / float(row["ideal"])
            assert float(cells[9].rstrip(" %")) == pytest.approx(100 * share, abs=1)
            assert ("*" in cells[8]) == bool(row["flag"])


def test_measured_columns_come_with_the_first_measured_row(
    table: ModuleType, tmp_path: Path
) -> None:
    found = table.read_results(BENCHMARKS / "compression_table.csv")
    ran = {
        "predicted": "3.8", "measured": "1.9", "achieved_share": "0.5", "flag": "waited: x", "date": "2020-01-02",
        "rounds": "9", "cpu": "a CPU", "cores": "2", "onnxruntime": "1", "seed": "0", "fp32_gop_s": "100",
        "bandwidth_gb_s": "30",
    }  # fmt: skip
    blank = dict.fromkeys(table.MEASURED, "")
    some = {"cnv": {**found["cnv"], **blank, **ran}, "mlp": {**found["mlp"], **blank}}
    lines = table.page(some).splitlines()
    assert "| 3.80x | 1.90x* | 50 % | 1 |" in lines[2]
    assert lines[3].endswith("|  |  |  | 1 |")
    assert "`cnv` (waited: x)" in table.page(some)
    # A table without its markers is refused, and the page stays as it is.
    page = tmp_path / "page.md"
    page.write_text("nothing")
    with pytest.raises(OptionError, match="lacks the marks"):
        table.write_page(page, some)
    assert page.read_text() == "nothing"
    table.write_results(tmp_path / "r.csv", some)
    assert table.read_results(tmp_path / "r.csv") == some


def test_both_networks_run_in_turns(speed: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "BATCHED_S", 0.0)
    calls: list[str] = []
    timed = speed.in_turns(
        lambda: calls.append("d"), lambda: calls.append("h"), seconds=0, least=4
    )
    assert len(timed.dense_s) == len(timed.small_s) == 4
    # Three runs of each first, which are not timed.
    assert "".join(calls) == "dddhhh" + "dh" + "hd" + "dh" + "hd"
    most = speed.in_turns(lambda: None, lambda: None, seconds=60, least=1, most=5)
    assert len(most.dense_s) == 5


def test_a_measured_speed_up_is_the_ratio_of_medians(speed: ModuleType) -> None:
    timed = speed.PairTimes((4.0, 4.0, 9.0, 4.0), (1.0, 2.0, 2.0, 2.0), 0.0, 1.0)
    assert timed.speedup == 2
    assert timed.ratios[0] <= timed.speedup <= timed.ratios[1]
    assert timed.flag == "dense drifts +62%; half drifts +33%"
    assert speed.PairTimes((1.0,) * 4, (1.0,) * 4, 0.0, 1.0).flag == ""
    assert "others took 9%" in speed.PairTimes((1.0,) * 4, (1.0,) * 4, 0.09, 1.0).flag
    assert "waited" in speed.PairTimes((1.0,) * 4, (1.0,) * 4, 0.0, 0.5).flag
