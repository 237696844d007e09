"""The results of the experiment, as they are shipped or just measured: tables, fronts and figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from roofline.chart import Options, charts, read_rows, save
from roofline.chart.pareto import Pareto
from roofline.chart.speedup import SpeedUpChart
from roofline.tables import Cell, Record, Row

ELSEWHERE = ("rpi4", "agx-orin:maxn")
"""Machines that are not here and have units for fp32 and int8: predictions alone."""

UNTUNED = "tvm untuned"
"""Runs that say nothing about a machine; they are in the table and in no front."""

USABLE = 90.0
"""Accuracy in percent that a variant needs to be in the figures of the fronts; guessing is right in 10 %."""


def shipped_results() -> list[Record]:
    """Return the shipped results; numbers are numbers, and empty cells None."""
    rows = read_rows(Path(__file__).with_name("results.csv"))
    return [{name: _value(cell) for name, cell in row.items()} for row in rows]


def machine_file() -> Path:
    """Return the platform file of the machine that the shipped results were measured on."""
    return Path(__file__).with_name("machine.yaml")


def select_fastest(rows: Iterable[Row], platform: str, batch: int) -> list[Row]:
    """Return one row for each variant on a machine: that of the program that ran it fastest."""
    best: dict[tuple[str, str], Row] = {}
    for row in rows:
        if row["platform"] != platform or row["batch"] != batch or row["backend"] == UNTUNED:
            continue
        place = row["network"], row["variant"]
        other = best.get(place)
        if other is None or (row["measured_fps"] or 0) > (other["measured_fps"] or 0):
            best[place] = row
    return list(best.values())


def pareto(
    rows: Iterable[Row], platform: str, batch: int, title: str = "", *, least: float = 0.0
) -> Pareto:
    """Return accuracy over throughput, predicted and measured, of every variant on a machine.

    Args:
        rows: Results.
        platform: Key of the machine.
        batch: Images per inference.
        title: Of the figure.
        least: Accuracy in percent that a variant needs to be in it.
    """
    chosen = [
        {**_shorten_name(row), "backend": None, "batch": None}
        for row in select_fastest(rows, platform, batch)
        if row["accuracy"] >= least
    ]
    chart = charts.get("pareto").compute(chosen, Options(title=title))
    if not isinstance(chart, Pareto):
        raise TypeError("the chart 'pareto' is not the shipped one")
    return chart


def speedups(
    rows: Iterable[Row], platform: str, batch: int, backend: str, title: str = ""
) -> SpeedUpChart:
    """Return the expected and the achieved speed-up of every compressed variant in one program."""
    chosen = [
        _shorten_name(row)
        for row in rows
        if (row["platform"], row["batch"], row["backend"]) == (platform, batch, backend)
        and row["achieved_speedup"] is not None
        and row["technique"] != "none"
    ]
    chart = charts.get("speedup").compute(chosen, Options(title=title))
    if not isinstance(chart, SpeedUpChart):
        raise TypeError("the chart 'speedup' is not the shipped one")
    return chart


def summary(rows: Iterable[Row], platform: str, batch: int) -> list[Row]:
    """Return a table of every variant on a machine, as people read it.

    Its columns: accuracy in percent with half its 95 % interval, thousand MACs and kilobytes of weights, throughput in
    thousand frames per second as predicted and as measured by the fastest program, and the speed-ups over the dense
    network that operations and width promise, that Equation 1 gives, and that the same program achieved.
    """
    return [
        {
            "network": row["network"], "pruning": row["pruning"], "datatype": row["datatype"],
            "accuracy, %": f"{row['accuracy']:.1f} ± {(row['accuracy_high'] - row['accuracy_low']) / 2:.1f}",
            "kMAC": f"{row['macs'] / 1e3:,.1f}", "kB": f"{row['weight_bytes'] / 1e3:.1f}",
            "zeros, %": f"{100 * row['zero_share']:.0f}",
            "predicted kfps": _three_digits(row["predicted_fps"], 1e-3),
            "measured kfps": _three_digits(row["measured_fps"], 1e-3),
            "by": row["backend"] or "", "efficiency, %": _three_digits(row["efficiency"], 100),
            "promised": f"{row['expected_speedup']:.3g}x", "Equation 1": f"{row['predicted_speedup']:.3g}x",
            "achieved": "" if row["achieved_speedup"] is None else f"{row['achieved_speedup']:.3g}x",
        }
        for row in select_fastest(rows, platform, batch)
    ]  # fmt: skip


def figures(rows: Sequence[Row], platform: str, folder: Path) -> list[str]:
    """Draw the fronts and the speed-ups, and return the names of the files."""
    drawn: list[str] = []
    for batch in sorted({int(row["batch"]) for row in rows}):
        where = f"one core, batch {batch}"
        fronts = f"Digits on {where}: variants that are right in {USABLE:g} % and more"
        for name, chart in (
            (f"pareto-batch-{batch}", pareto(rows, platform, batch, fronts, least=USABLE)),
            (
                f"speedup-batch-{batch}",
                speedups(rows, platform, batch, "onnxruntime", f"ONNX Runtime on {where}"),
            ),
        ):
            save(chart.figure(), folder / f"{name}.png")
            drawn.append(f"{name}.png")
    return drawn


def _shorten_name(row: Row) -> Row:
    """Return a row with the network's name as short as figures want it."""
    return {**row, "network": str(row["network"]).removeprefix("digits_").upper()}


def _three_digits(value: float | None, factor: float) -> str:
    """Return three digits without an exponent."""
    return "" if value is None else f"{float(f'{value * factor:.3g}'):,g}"


def _value(cell: Any) -> Cell:
    if cell in (None, ""):
        return None
    try:
        number = float(cell)
    except ValueError:
        return cell
    return int(number) if number.is_integer() and "." not in str(cell) else number
