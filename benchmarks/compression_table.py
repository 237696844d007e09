"""The table of `docs/compression.md`: every shipped network with half its channels, counted, predicted and measured.

    python benchmarks/compression_table.py --count                            # the counted columns of every network
    roofline calibrate -o here.yaml
    python benchmarks/compression_table.py --measure here.yaml:1-thread       # networks that have no measured row yet
    python benchmarks/compression_table.py --write docs/compression.md --chart docs/images/compression_speedup.png

Every network's row goes to the results (`--results FILE.csv`) at once; stop it at any time and give the same command to
go on. `--again` measures the networks named (or all) anew.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from compression_speed import SHARE, environment, measure

import roofline
from roofline.compress import Pruning, Request
from roofline.compress.channels import prune
from roofline.markdown import markdown_table, with_section
from roofline.spec import Platform, platform
from roofline.speedup import speed_up
from roofline.workloads import build, networks
from roofline.writing import csv_text, write_whole

MACHINES = ("tx2:maxn", "hikey970-cpu")
HALF = Request(Pruning(SHARE))
COUNTED = (
    "network", "macs", "half_macs", "parameters", "half_parameters", "ideal",
    *(f"equation1 {machine}" for machine in MACHINES), "kept_whole",
)  # fmt: skip
MEASURED = (
    "predicted", "measured", "measured_q1", "measured_q3", "achieved_share", "dense_ms", "half_ms", "rounds", "flag",
    "peak_gb", "machine", "fp32_gop_s", "bandwidth_gb_s", "cpu", "cores", "threads", "seed", "onnxruntime", "date",
)  # fmt: skip
BEGIN, END = "<!-- compression_table: begin -->", "<!-- compression_table: end -->"

Row = dict[str, str]


def count_columns(key: str) -> Row:
    """Return one network's counted columns."""
    dense = roofline.load(key)
    half = HALF.under(dense)
    gains = {name: speed_up(dense, HALF, platform(name)) for name in MACHINES}
    found: dict[str, Any] = {
        "network": key, "macs": dense.macs, "half_macs": half.macs, "parameters": dense.parameters,
        "half_parameters": half.parameters, "ideal": f"{dense.macs / half.macs:.4f}",
        **{f"equation1 {name}": f"{gain.predicted:.4f}" for name, gain in gains.items()},
        "kept_whole": len(prune(build(key), SHARE).plan.fixed),
    }  # fmt: skip
    return {name: str(value) for name, value in found.items()}


def measure_columns(row: Row, machine: Platform, *, seconds: float, least: int) -> Row:
    """Return a row with its measured columns filled in."""
    key = row["network"]
    predicted = speed_up(roofline.load(key), HALF, machine).predicted
    found = measure(key, seconds=seconds, least=least)
    values = {
        **found, **environment(), "predicted": predicted, "machine": machine.key,
        "achieved_share": found["measured"] / float(row["ideal"]),
        "fp32_gop_s": machine.peak("fp32") / 1e9, "bandwidth_gb_s": machine.bandwidth / 1e9,
    }  # fmt: skip
    return row | {
        name: f"{value:.4g}" if isinstance(value, float) else str(value)
        for name, value in values.items()
    }


def read_results(path: Path) -> dict[str, Row]:
    """Return the rows by network; none where the file is not there yet."""
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        return {row["network"]: row for row in csv.DictReader(file)}


def write_results(path: Path, rows: Mapping[str, Row]) -> None:
    """Write the rows in the order of the shipped networks, whole or not at all."""
    kept = (rows[key] for key in networks if key in rows)
    write_whole(path, csv_text(kept, [*COUNTED, *MEASURED]).encode())


def page(rows: Mapping[str, Row]) -> str:
    """Return the part of the page between its markers: the table, and what was measured on."""
    ran = [row for row in rows.values() if row.get("measured")]
    heads = ["key", "MMAC", "at 0.5", "Mparameters", "at 0.5", "fewer MACs"]
    heads += [f"Equation 1, {machine}" for machine in MACHINES]
    heads += ["Equation 1, here", "measured here", "of the ideal"] if ran else []
    heads.append("layers kept whole")
    lines: list[list[str]] = []
    for row in rows.values():
        cells = [f"`{row['network']}`"]
        cells += [f"{int(row[name]) / 1e6:,.1f}" for name in ("macs", "half_macs")]
        cells += [f"{int(row[name]) / 1e6:,.3f}" for name in ("parameters", "half_parameters")]
        cells += [f"{float(row[name]):.2f}x" for name in COUNTED if name[:5] in {"ideal", "equat"}]
        cells += _measured_cells(row) if ran else []
        lines.append([*cells, row["kept_whole"]])
    table = markdown_table(heads, lines, numbers_from=1)
    return f"{table}\n{_account(ran)}" if ran else f"{table}\n"


def _measured_cells(row: Row) -> list[str]:
    if not row.get("measured"):
        return ["", "", ""]
    mark = "*" if row["flag"] else ""
    return [
        f"{float(row['predicted']):.2f}x",
        f"{float(row['measured']):.2f}x{mark}",
        f"{100 * float(row['achieved_share']):.0f} %",
    ]


def _account(ran: Sequence[Row]) -> str:
    first = ran[0]
    dates = sorted({row["date"] for row in ran})
    flagged = [f"`{row['network']}` ({row['flag']})" for row in ran if row["flag"]]
    text = f"\n\\* disturbed: {', '.join(flagged)}.\n" if flagged else ""
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    least = min(int(row["rounds"]) for row in ran)
    return (
        f"{text}\n*Here* is {first['cpu']} ({first['cores']} cores), one thread, fp32, ONNX Runtime "
        f"{first['onnxruntime']}, random weights (seed {first['seed']}), {when}. Equation 1 is that of "
        f"{first['fp32_gop_s']} GOP/s and {first['bandwidth_gb_s']} GB/s, as `roofline calibrate` found them. "
        f"Dense and pruned networks ran in turns in one process; medians of {least} rounds or more.\n\n"
        "![Expected, predicted and achieved speed-up](images/compression_speedup.png)\n"
    )


def write_page(path: Path, rows: Mapping[str, Row]) -> None:
    """Put the table between the markers of a page."""
    text = path.read_text(encoding="utf-8")
    write_whole(path, with_section(text, page(rows), BEGIN, END).encode())


def chart(path: Path, rows: Mapping[str, Row]) -> None:
    """Draw the measured rows."""
    from roofline.chart import Options, charts, save

    drawn = [
        {
            "network": row["network"], "technique": "channel pruning", "expected_speedup": row["ideal"],
            "predicted_speedup": row["predicted"], "achieved_speedup": row["measured"],
        }
        for row in rows.values()
        if row.get("measured")
    ]  # fmt: skip
    if not drawn:
        sys.exit("no network has been measured: add --measure MACHINE.yaml")
    title = "Half the channels: expected, predicted and achieved speed-up"
    save(charts.get("speedup").compute(drawn, Options(title=title)).figure(), path)


def main(arguments: Sequence[str] | None = None) -> None:
    """Count, measure, write and draw, as asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("network", nargs="*", help="only these networks")
    parser.add_argument("--count", action="store_true", help="count again")
    parser.add_argument(
        "--measure", metavar="MACHINE", help="platform of this machine's one thread"
    )
    parser.add_argument(
        "--again", action="store_true", help="measure networks that have a row too"
    )
    parser.add_argument("--results", type=Path, default=Path(__file__).with_suffix(".csv"))
    parser.add_argument("--seconds", type=float, default=15.0, help="of timing, for each network")
    parser.add_argument("--least", type=int, default=7, help="rounds run whatever they take")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="page to write the table into")
    parser.add_argument("--chart", type=Path, metavar="PNG", help="figure of the speed-ups")
    asked = parser.parse_args(arguments)
    keys = asked.network or list(networks)
    unknown = [key for key in keys if key not in networks]
    if unknown:
        parser.error(f"no shipped network is called {unknown[0]}")
    rows = read_results(asked.results)
    for key in keys:
        if asked.count or (asked.measure and key not in rows):
            rows[key] = rows.get(key, {}) | count_columns(key)
            write_results(asked.results, rows)
    if asked.measure:
        machine = platform(asked.measure)
        for key in keys:
            if asked.again or not rows[key].get("measured"):
                rows[key] = measure_columns(
                    rows[key], machine, seconds=asked.seconds, least=asked.least
                )
                write_results(asked.results, rows)
                print(
                    f"{key}: {rows[key]['measured']}x of {rows[key]['ideal']}x {rows[key]['flag']}",
                    flush=True,
                )
    rows = {key: rows[key] for key in networks if key in rows}
    if asked.write:
        write_page(asked.write, rows)
    if asked.chart:
        chart(asked.chart, rows)


if __name__ == "__main__":
    main()
