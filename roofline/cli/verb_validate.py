"""``roofline validate``: predict, measure on this machine, and show efficiency = measured / predicted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roofline.cli._check import FailIfOption, conditions, report_failures
from roofline.cli._compression import CompressionOptions
from roofline.cli._decoding import StageOptions
from roofline.cli._groups import command
from roofline.cli._measuring import (
    CONVENTIONS,
    RunOptions,
    StoreOption,
    check_store,
    datatype_cell,
    rate_name,
    remarks,
    run_models,
)
from roofline.cli._options import (
    EmulateOption,
    InputOptions,
    ModelsArgument,
    load_models,
)
from roofline.cli._output import (
    OrderOptions,
    ResultOptions,
    as_csv,
    as_table,
    check_drawable,
    check_ending,
    emit,
    say,
)
from roofline.number_format import number, percent
from roofline.tables import Record, Row

if TYPE_CHECKING:
    from roofline.spec import Platform
    from roofline.validate.analysis.compare import Comparison
    from roofline.validate.records.record import Measurement
    from roofline.workload import Workload

app = typer.Typer(add_completion=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class ComparisonOptions:
    """What runs are compared with, and where the comparison goes."""

    platform: Annotated[str | None, typer.Option("-p")] = None
    """Platform file of this machine, one. Default: a short calibration, kept for next time."""
    prediction: Annotated[list[str] | None, typer.Option("--model")] = None
    """Prediction model; repeatable, or several by commas. Default: equation1."""
    chart: Annotated[Path | None, typer.Option(callback=check_drawable)] = None
    """Draw the efficiency bars (PNG, SVG or PDF)."""
    layers: Annotated[
        Path | None,
        typer.Option(
            "--per-layer", callback=check_ending("a table of layers", ".csv"), metavar="FILE.csv"
        ),
    ] = None
    """Time single kernels too, and write predicted and measured time per layer (for plot layers)."""


@command(app)
def validate(
    *,
    models: ModelsArgument,
    options: ComparisonOptions,
    emulate: EmulateOption = False,
    timing: RunOptions,
    inputs: InputOptions,
    compression: CompressionOptions,
    parts: StageOptions,
    store: StoreOption = None,
    fail_if: FailIfOption = None,
    order: OrderOptions,
    result: ResultOptions,
) -> None:
    """Predict, measure on this machine, and compare: efficiency = measured / predicted."""
    from roofline.cli._progress import progress
    from roofline.validate.analysis import predicting
    from roofline.validate.calibration.this_machine import doubt_of, machine_threads, this_machine
    from roofline.validate.measuring.series import check_backends

    names = timing.backend or ["onnxruntime"]
    binding = inputs.bound()
    # Before the machine is measured, which takes a while.
    check_backends(timing.request(binding), names)
    machine = this_machine(options.platform, timing.threads, progress)
    doubt = None if options.platform is None else doubt_of(machine, names, timing.device)
    doubts = [] if doubt is None else [doubt]
    asked = timing.request(binding, threads=machine_threads(machine))
    staged = parts.stage(models, bound=inputs.is_given)
    counted = staged.workloads(inputs.batch or 1) or load_models(models, binding)
    workloads = [compression.under(workload) for workload in counted]
    predicting.check_units(workloads, machine, emulate=emulate)
    check_store(store)
    # An error is one line, so that nothing is said before what is asked for has been checked.
    for line in doubts:
        say(f"warning: {line}")
    measured = run_models(
        asked, models, names, compression, binding, store, machine=machine.key, per_layer=options.layers is not None,
        stages=staged.stages,
    )  # fmt: skip
    comparisons = _compare_runs(
        workloads, measured, machine, options.prediction or ["equation1"], emulate=emulate
    )
    rows = [comparison.record() for comparison in comparisons]
    checks = conditions(fail_if, list(rows[0])) if rows else []
    if options.chart is not None:
        draw(rows, options.chart)
    if options.layers is not None:
        emit(as_csv(predicting.predict_layers(workloads, measured, machine)), options.layers)
    _show(comparisons, measured, [*doubts, *machine.specification.doubts], order, result)
    report_failures(rows, checks, ("network", "platform", "backend", "batch"))
    if not all(run.ok for run in measured):
        raise typer.Exit(1)


def _show(
    comparisons: Sequence[Comparison],
    measured: Sequence[Measurement],
    doubts: Sequence[str],
    order: OrderOptions,
    result: ResultOptions,
) -> None:
    """Write comparisons in the order and the form that are asked for."""
    shown = order.arrange(comparisons, [comparison.record() for comparison in comparisons])
    result.emit(
        document=lambda: _document(shown, measured, doubts),
        rows=lambda: [comparison.record() for comparison in shown],
        table=lambda: _table(shown, measured, doubts),
    )


def _compare_runs(
    workloads: Sequence[Workload],
    measured: Sequence[Measurement],
    machine: Platform,
    models: Sequence[str],
    *,
    emulate: bool,
) -> tuple[Comparison, ...]:
    """Return runs beside what models predict of them; what ran and cannot be predicted is told."""
    from roofline.validate.analysis import predicting
    from roofline.validate.analysis.compare import compare

    predicted = predicting.predict_measured(workloads, measured, machine, models, emulate=emulate)
    for network, error in predicted.failed:
        say(f"roofline: {network} ran, but is not compared: {error.message}")
    return compare(predicted.predictions, measured, platforms={machine.key: machine})


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draw the efficiency bars of comparisons into a file.

    Raises:
        MissingPackageError: matplotlib is not installed.
        OptionError: The file's suffix is not one that can be drawn.
    """
    from roofline.chart import Options as ChartOptions
    from roofline.chart import charts, save

    figure = charts.get("efficiency").compute(rows, ChartOptions()).figure()
    save(figure, path)


def cells(comparison: Comparison) -> Record:
    """Return a comparison as a row of the table for people."""
    row = comparison.record()
    efficiency, run = comparison.efficiency, comparison.measurement
    rate = rate_name(run)
    column = {"tokens/s": "tokens_per_s"}.get(rate, rate)
    return {
        "network": row["network"],
        "platform": row["platform"],
        "datatype": datatype_cell(comparison.measurement),
        "batch": row["batch"],
        "backend": row["backend"],
        "model": row["model"],
        f"predicted {rate}": number(row[f"predicted_{column}"]),
        f"measured {rate}": number(row[f"measured_{column}"]),
        "efficiency": percent(efficiency),
        "bound": row["bound"],
        "flag": row["flag"],
    }


def _with_intervals(rows: list[Record], comparisons: Sequence[Comparison]) -> list[Record]:
    """Return rows of the table with the 80 % interval of each rate, where any has one."""
    if all(comparison.prediction.interval_fps is None for comparison in comparisons):
        return rows
    found: list[Record] = []
    for row, comparison in zip(rows, comparisons, strict=True):
        ends = comparison.prediction.interval_fps
        shown = "" if ends is None else " … ".join(str(number(end)) for end in ends)
        found.append({**row, "80% of runs, fps": shown})
    return found


def _document(
    comparisons: Sequence[Comparison], runs: Sequence[Measurement], doubts: Sequence[str]
) -> dict[str, object]:
    from roofline.cli._predictions import conventions

    predicted = [comparison.prediction for comparison in comparisons]
    return {
        "conventions": {
            **(conventions(predicted) if predicted else {}),
            **CONVENTIONS,
            "efficiency": _EFFICIENCY,
        },
        "comparisons": [comparison.record() for comparison in comparisons],
        "measurements": [{**run.to_row(), **run.to_dict()} for run in runs],
        "notes": list(doubts),
    }


def _table(
    comparisons: Sequence[Comparison], runs: Sequence[Measurement], doubts: Sequence[str]
) -> str:
    rows = [comparison.record() for comparison in comparisons]
    notes = [
        f"{row['network']} on {row['backend']}: {row['explanation']}"
        for row in rows
        if row["explanation"] and row["status"] == "ok"
    ]
    notes += [*remarks(runs), *doubts]
    return as_table(
        _with_intervals([cells(comparison) for comparison in comparisons], comparisons),
        remarks=notes,
        explained=[_EFFICIENCY, *CONVENTIONS.values()],
    )


_EFFICIENCY = "efficiency is measured / predicted; untuned TVM code says nothing about the machine"
