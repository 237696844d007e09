"""``roofline validate``: predict, measure on this machine, and show efficiency = measured / predicted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roofline.cli._check import FailIfOption, conditions, report_failures
from roofline.cli._compression import (
    DatatypesOption,
    KeepChannelsOption,
    SparseFormatOption,
    SparsityOption,
    written,
)
from roofline.cli._measuring import (
    CONVENTIONS,
    AlgorithmOption,
    BackendsOption,
    BudgetOption,
    DeviceOption,
    MemoryLimitOption,
    RunsOption,
    SamplingOption,
    StoreOption,
    ThreadsOption,
    TimeLimitOption,
    TrialsOption,
    TuningOption,
    datatype_cell,
    for_backend,
    make_protocol,
    on_device,
    remarks,
    run_each,
)
from roofline.cli._options import (
    BatchOption,
    DimOption,
    EmulateOption,
    InputOption,
    ModelsArgument,
    ValueOption,
    load_models,
    parse_binding,
    split_names,
)
from roofline.cli._output import (
    Format,
    FormatOption,
    OutputOption,
    as_csv,
    as_json,
    as_table,
    drawable,
    emit,
    say,
    together,
    writable,
)
from roofline.compression_flags import compressed
from roofline.errors import DatatypeError, OptionError
from roofline.number_format import number, percent
from roofline.precision import precision
from roofline.validate.records.request import PROTOCOL, TRIALS, RunRequest

if TYPE_CHECKING:
    from roofline.model import Prediction
    from roofline.spec import Platform
    from roofline.validate.analysis.compare import Comparison
    from roofline.validate.records.record import Measurement
    from roofline.workload import Workload

app = typer.Typer(add_completion=False)


@app.command()
def validate(
    *,
    models: ModelsArgument,
    platform: Annotated[
        str | None,
        typer.Option(
            "--platform",
            "-p",
            help="Platform file of this machine; default: a short calibration, kept for next time.",
        ),
    ] = None,
    prediction: Annotated[
        list[str] | None,
        typer.Option("--model", help="Prediction model; repeatable. Default: equation1."),
    ] = None,
    emulate: EmulateOption = False,
    backend: BackendsOption = None,
    tuning: TuningOption = "",
    algorithm: AlgorithmOption = "default",
    trials: TrialsOption = TRIALS,
    budget_s: BudgetOption = 0.0,
    threads: ThreadsOption = 0,
    device: DeviceOption = "",
    batch: BatchOption = None,
    dim: DimOption = None,
    input_: InputOption = None,
    value: ValueOption = None,
    keep_channels: KeepChannelsOption = None,
    sparsity: SparsityOption = None,
    sparse_format: SparseFormatOption = "dense",
    datatype: DatatypesOption = None,
    runs: RunsOption = PROTOCOL.runs,
    sampling_s: SamplingOption = PROTOCOL.sampling_s,
    time_limit: TimeLimitOption = PROTOCOL.time_limit_s,
    memory_limit_gb: MemoryLimitOption = 0.0,
    chart: Annotated[
        Path | None,
        typer.Option(
            "--chart", callback=drawable, help="Draw the efficiency bars (PNG, SVG or PDF)."
        ),
    ] = None,
    layers: Annotated[
        Path | None,
        typer.Option(
            "--per-layer",
            callback=writable,
            metavar="FILE.csv",
            help="Time single kernels too, and write predicted and measured time per layer (for plot layers).",
        ),
    ] = None,
    store: StoreOption = None,
    fail_if: FailIfOption = None,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
) -> None:
    """Predict, measure on this machine, and compare: efficiency = measured / predicted."""
    from dataclasses import replace

    from roofline.model import predict
    from roofline.validate.analysis.compare import compare

    machine = this_machine(platform, threads)
    names = backend or ["onnxruntime"]
    elsewhere = not_this_machine(machine, names, device) if platform is not None else None
    if elsewhere is not None:
        say(f"warning: {elsewhere}")
    binding = parse_binding(batch, dim, input_, value)
    asked = RunRequest(
        "",
        batch=batch or 0,
        threads=threads or machine_threads(machine),
        dims=binding.dims,
        inputs=binding.inputs,
        values=binding.values,
        tuning=tuning,
        trials=trials,
        tuning_budget_s=budget_s,
        algorithm=algorithm,
        options=on_device(device),
        protocol=make_protocol(runs, sampling_s, time_limit, memory_limit_gb),
    )
    for name in names:
        for_backend(replace(asked, backend=name))
    flags = (keep_channels, sparsity, sparse_format, datatype)
    models = list(dict.fromkeys(models))
    counted = load_models(models, binding)
    workloads = [compressed(workload, *flags) for workload in counted]
    check_units(workloads, machine, emulate=emulate)
    with written(models, *flags, binding=binding) as variants:
        measured = run_each(
            asked,
            models,
            variants,
            names,
            store,
            machine=machine.key,
            per_layer=layers is not None,
        )
    predictions: list[Prediction] = []
    errors: list[DatatypeError] = []
    for workload in workloads:
        for ran, size in _measured_as(workload.name, measured):
            try:
                predictions += [
                    predict(
                        workload, machine, datatype=ran, batch=size, model=kind, emulate=emulate
                    )
                    for kind in split_names(prediction) or ["equation1"]
                ]
            except DatatypeError as error:
                errors.append(error)
                say(f"roofline: {workload.name} ran, but is not compared: {error.message}")
    if errors and not predictions:
        raise errors[0]
    comparisons = compare(predictions, measured, platforms={machine.key: machine})
    rows = [comparison.record() for comparison in comparisons]
    checks = conditions(fail_if, list(rows[0])) if rows else []
    if chart is not None:
        draw(rows, chart)
    if layers is not None:
        by_layer = predict_layers(workloads, measured, machine)
        emit(as_csv(by_layer), layers)
    doubts = [elsewhere] if elsewhere is not None else []
    doubts += [note for note in machine.specification.notes if note.startswith("Disturbed")]
    emit(_written(comparisons, measured, doubts, form), output)
    report_failures(rows, checks, ("network", "platform", "backend", "batch"))
    if not all(run.ok for run in measured):
        raise typer.Exit(1)


def check_units(workloads: Sequence[Workload], machine: Platform, *, emulate: bool) -> None:
    """Refuse, before anything is run, what cannot be compared: no network can run in a datatype of the machine.

    Runtimes take fp32 where they cannot do what is asked, so a machine that has fp32 may still have a run to compare.

    Raises:
        DatatypeError: The machine has the datatype of none of the networks, nor fp32.
    """
    from roofline.model import choose_unit
    from roofline.model._request import own_precision

    errors: list[DatatypeError] = []
    for workload in workloads:
        asked = own_precision(workload, machine)
        for name in (str(asked), "fp32"):
            try:
                choose_unit(machine, precision(name), emulate=emulate)
            except DatatypeError as error:
                errors.append(error)
            else:
                return
    if errors:
        raise errors[0]


def predict_layers(
    workloads: Sequence[Workload], measured: Sequence[Measurement], machine: Platform
) -> list[dict[str, Any]]:
    """Return predicted and measured time of every layer of runs whose kernels were timed.

    Args:
        workloads: The networks.
        measured: Their runs.
        machine: What they ran on.

    Raises:
        OptionError: No run has times of its kernels.
    """
    from roofline.model import predict
    from roofline.validate.measuring.kernel_times import layer_rows

    rows = [
        row
        for workload in workloads
        for run in measured
        if run.kernel_times and run.job.network == workload.name
        for row in layer_rows(
            run,
            predict(
                workload,
                machine,
                datatype=run.job.datatype,
                batch=run.job.batch,
                model="layerwise",
            ),
        )
    ]
    if not rows:
        raise OptionError(
            "no layer was timed", repair="Use --backend tvm, which can time single kernels"
        )
    return rows


def this_machine(platform: str | None, threads: int) -> Platform:
    """Return the platform of this machine: the file named, or one calibrated once and kept.

    Args:
        platform: Key or path; None for the kept calibration.
        threads: Threads the run will use; picks the operating mode of a calibration. 0 is its default.

    Raises:
        PlatformError: The file cannot be read, or has no mode for that many threads.
    """
    from roofline.spec import platform as find_platform
    from roofline.spec.thread_modes import mode_name
    from roofline.validate.calibration.calibrate import kept_calibration

    if platform is not None:
        return find_platform(platform)
    from roofline.cli._progress import progress

    with progress("calibrating this machine") as report:
        path = kept_calibration(threads=threads, report=report)
    return find_platform(f"{path}:{mode_name(threads)}" if threads else str(path))


def not_this_machine(machine: Platform, names: Sequence[str], device: str = "") -> str | None:
    """Return what is to be said of efficiencies against a machine that this one is not; None where it is this one.

    A shipped machine is known by its processor's name, or a GPU by that which its driver gives, and a calibration
    bears it.

    Args:
        machine: What runs are compared with.
        names: The backends that make them.
        device: What they are asked to run on; empty where they choose.
    """
    from roofline.spec.detecting import detect
    from roofline.validate.measuring.backend import backends
    from roofline.validate.measuring.environment import cpu_name

    here = cpu_name()
    known = {device for name in names for device in backends.get(name).capabilities.devices}
    found = detect(here)
    if device == "cpu" or known == {"cpu"}:
        found = found[:1]
    key = machine.key.partition(":")[0]
    if any(
        entry.name.casefold() in machine.specification.name.casefold() or entry.platform == key
        for entry in found
    ):
        return None
    here = " with ".join(entry.name for entry in found)
    return (
        f"{machine.key} ({machine.specification.name}) is not this machine ({here}), on which the runs are made: "
        "efficiency is no share of what this machine could reach"
    )


def machine_threads(machine: Platform) -> int:
    """Return the threads a calibrated platform's numbers are for, or 0 for every core."""
    from roofline.spec.thread_modes import mode_threads

    return mode_threads(machine.key) or 0


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw the efficiency bars of comparisons into a file.

    Raises:
        MissingPackageError: matplotlib is not installed.
        OptionError: The file's suffix is not one that can be drawn.
    """
    from roofline.chart import Options as ChartOptions
    from roofline.chart import charts, save

    figure = charts.get("efficiency").compute(rows, ChartOptions()).figure()
    save(figure, path)


def cells(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison as a row of the table for people."""
    row = comparison.record()
    efficiency = comparison.efficiency
    return {
        "network": row["network"],
        "platform": row["platform"],
        "datatype": datatype_cell(comparison.measurement),
        "batch": row["batch"],
        "backend": row["backend"],
        "model": row["model"],
        "predicted fps": number(row["predicted_fps"]),
        "measured fps": number(row["measured_fps"]),
        "efficiency": percent(efficiency),
        "bound": row["bound"],
        "flag": row["flag"],
    }


def _measured_as(network: str, runs: Sequence[Measurement]) -> list[tuple[str, int]]:
    """Return the datatypes and batches a network ran at."""
    found = [(run.operands, run.job.batch) for run in runs if run.job.network == network]
    return list(dict.fromkeys(found))


def _written(
    comparisons: Sequence[Comparison],
    runs: Sequence[Measurement],
    doubts: Sequence[str],
    form: Format,
) -> str:
    rows = [comparison.record() for comparison in comparisons]
    if form is Format.JSON:
        from roofline.cli._predictions import conventions as predictions_made

        measurements = [{**run.to_row(), **run.to_dict()} for run in runs]
        predicted = [comparison.prediction for comparison in comparisons]
        conventions = {
            **(predictions_made(predicted) if predicted else {}),
            **CONVENTIONS,
            "efficiency": _EFFICIENCY,
        }
        return as_json(
            {
                "conventions": conventions,
                "comparisons": rows,
                "measurements": measurements,
                "notes": list(doubts),
            }
        )
    if form is Format.CSV:
        return as_csv(rows)
    notes = [
        f"{row['network']} on {row['backend']}: {row['explanation']}"
        for row in rows
        if row["explanation"] and row["status"] == "ok"
    ]
    notes += [*remarks(runs), *doubts]
    return as_table(
        [cells(comparison) for comparison in comparisons],
        notes=together(notes),
        explained=[_EFFICIENCY, *CONVENTIONS.values()],
    )


_EFFICIENCY = "efficiency is measured / predicted; untuned TVM code says nothing about the machine"
