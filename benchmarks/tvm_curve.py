"""How far seconds of tuning bring TVM towards ONNX Runtime: a table and a figure.

    python benchmarks/tvm_curve.py --write docs/tvm.md

The tiles that come with the program are left aside. The first point of a network has its kernels on blocks with the
first guess of every tile; each further one has had more seconds of tuning, which go on where the last stopped. ONNX
Runtime is timed before and after every point. Points are kept as they are made: a run that was ended goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kept_runs import read_kept
from tvm_ladder import networks_parser, publish

from roofline.chart import charts, save
from roofline.chart._registry import Options as ChartOptions
from roofline.markdown import markdown_table
from roofline.user_folders import cache_folder
from roofline.validate.measuring.measure import measure
from roofline.validate.records.flag import FlagKind
from roofline.validate.records.record import Measurement
from roofline.validate.records.request import Protocol, RunRequest
from roofline.validate.records.tuning import Tuning
from roofline.validate.tvm.tuning.program import SHIPPED_TILES
from roofline.writing import write_whole

NETWORKS = ("resnet50", "mobilenet_v1")
STEPS_S = (0.0, 10.0, 20.0, 40.0, 80.0, 120.0, 120.0)
"""Seconds of tuning before each point, after the point before it; the curve ends where nothing is left to tune."""

Point = Mapping[str, Any]


def points(network: str, known: Sequence[Point], given: argparse.Namespace) -> Sequence[Point]:
    """Yield the points of a network that are not there yet."""
    folder = given.folder / network
    protocol = Protocol(sampling_s=given.sampling_s, time_limit_s=600.0)

    def run(backend: str, **how: Any) -> Measurement:
        options = RunRequest(
            "",
            threads=given.threads, protocol=protocol, trials=given.trials,
            options={SHIPPED_TILES: False} if backend == "tvm" else {}, **how,
        )  # fmt: skip
        return measure(replace(options, network=network, backend=backend), folder=folder)

    made = list(known)
    for step in STEPS_S[len(made) : given.points]:
        if made and made[-1]["finished"]:
            break
        before = run("onnxruntime")
        tuned = (
            run("tvm", tuning=Tuning.TUNED, tuning_budget_s=step)
            if step
            else run("tvm", tuning=Tuning.UNTUNED, algorithm="blocked")
        )
        after = run("onnxruntime")
        for record in (before, tuned, after):
            if not record.ok:
                raise SystemExit(f"{network} on {record.job.backend}: {record.reason}")
        made.append(_point(network, made, before, tuned, after))
        print(f"  {made[-1]}", file=sys.stderr)
        keep(given.points_file, network, made)
    return made


def _point(
    network: str,
    made: Sequence[Point],
    before: Measurement,
    tuned: Measurement,
    after: Measurement,
) -> dict[str, Any]:
    ceiling = ((before.median_s or 0.0) + (after.median_s or 0.0)) / 2
    spent = made[-1]["tuning_s"] if made else 0.0
    flags = {
        flag.kind.value
        for run in (before, tuned, after)
        for flag in run.flags
        if flag.kind is not FlagKind.UNTUNED
    }
    return {
        "network": network,
        "tuning_s": round(spent + (tuned.tune_s or 0.0), 2),
        "compile_s": round(tuned.compile_s or 0.0, 2),
        "tuned_ms": 1e3 * (tuned.median_s or 0.0),
        "onnxruntime_ms": 1e3 * ceiling,
        "times_onnxruntime": (tuned.median_s or 0.0) / ceiling,
        "kernels": tuned.kernels,
        "untuned_kernels": list(tuned.untuned_kernels),
        "finished": tuned.job.tuning is Tuning.TUNED and tuned.tuning_finished is not False,
        "notes": list(tuned.notes),
        "flags": sorted(flags),
        "cpu": tuned.environment.cpu,
        "date": tuned.timestamp[:10],
    }


def keep(path: Path, network: str, made: Sequence[Point]) -> None:
    """Write the points of a network into the file of all."""
    document = read_kept(path)
    document[network] = list(made)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(document, indent=1).encode())


def figure(rows: Sequence[Point], path: Path) -> None:
    """Draw times over ONNX Runtime against seconds of tuning."""
    # A logarithmic axis has no zero: compiling, which always comes first, counts too.
    shown = [
        {**row, "platform": "", "seconds": row["tuning_s"] + row["compile_s"]} for row in rows
    ]
    options = ChartOptions(
        x="seconds", y="times_onnxruntime", title="Tuning TVM towards ONNX Runtime"
    )
    drawn = charts.get("curves").compute(shown, options).figure()
    axes = drawn.axes[0]
    axes.set_xlabel("compiling and tuning, s")
    axes.set_ylabel("time / ONNX Runtime's")
    axes.axhline(1.0, color="0.5", lw=0.8, ls="--", zorder=1)
    save(drawn, path)


def markdown(rows: Sequence[Point], threads: int) -> str:
    """Return the points as a Markdown table."""
    header = [
        "network", "tuning, s", "time, ms", "ONNX Runtime, ms", "time / ONNX Runtime", "kernels untuned", "flags",
    ]  # fmt: skip
    cells = [
        [
            row["network"], f"{row['tuning_s']:.0f}", f"{row['tuned_ms']:.3g}", f"{row['onnxruntime_ms']:.3g}",
            f"{row['times_onnxruntime']:.3g}", f"{len(row['untuned_kernels'])} of {row['kernels']}",
            "; ".join(row["flags"]) or "none",
        ]
        for row in rows
    ]  # fmt: skip
    which = "1 thread" if threads == 1 else f"{threads} threads"
    table = markdown_table(header, cells, numbers_from=1)
    return f"{rows[0]['cpu']}, {which}, {rows[-1]['date']}.\n\n{table}\n"


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = networks_parser(__doc__, NETWORKS)
    add = parser.add_argument
    add("--threads", type=int, default=1)
    add("--trials", type=int, default=16, help="schedules for kernels that have no tiles")
    add("--points", type=int, default=len(STEPS_S), help="points of each curve, at most")
    add("--sampling-s", type=float, default=3.0, help="seconds of timing for each point and side")
    add(
        "--folder",
        type=Path,
        default=cache_folder() / "tvm-curve",
        help="what was tuned and timed",
    )
    add("--image", type=Path, help="the figure; left out, images/tvm_tuning_curve.png beside PAGE")
    add("--csv", type=Path, metavar="FILE", help="write the points as CSV")
    parsed = parser.parse_args(given)
    parsed.points_file = parsed.folder / f"points-{parsed.threads}.json"
    return parsed


def main() -> None:
    """Make the points that are missing, then print, draw and write all of them."""
    given = arguments()
    known = read_kept(given.points_file)
    rows = [
        point
        for network in given.networks
        for point in points(network, known.get(network, []), given)
    ]
    publish(
        given, "curve", markdown(rows, given.threads), rows, lambda image: figure(rows, image),
        "tvm_tuning_curve.png", "Time over ONNX Runtime's against seconds of tuning",
    )  # fmt: skip


if __name__ == "__main__":
    main()
