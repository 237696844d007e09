"""``roofline measure``: run a network on this machine, check its outputs, time it, and keep the record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from roofline.cli._compression import (
    DatatypesOption,
    KeepChannelsOption,
    SparseFormatOption,
    SparsityOption,
    written,
)
from roofline.cli._measuring import (
    AlgorithmOption,
    BackendsOption,
    BudgetOption,
    MemoryLimitOption,
    PerLayerOption,
    RunsOption,
    SamplingOption,
    StoreOption,
    ThreadsOption,
    TimeLimitOption,
    TrackerOption,
    TrialsOption,
    TuningOption,
    at_board,
    cells,
    for_backend,
    kernel_cells,
    make_protocol,
    remarks,
)
from roofline.cli._options import BatchOption, DimOption, ModelsArgument, parse_dims
from roofline.cli._output import (
    Format,
    FormatOption,
    OutputOption,
    as_csv,
    as_json,
    as_table,
    emit,
)
from roofline.validate.records.request import PROTOCOL, TRIALS, RunRequest

if TYPE_CHECKING:
    from roofline.validate.records.record import Measurement

app = typer.Typer(add_completion=False)


@app.command()
def measure(
    *,
    models: ModelsArgument,
    backend: BackendsOption = None,
    tuning: TuningOption = "",
    algorithm: AlgorithmOption = "default",
    trials: TrialsOption = TRIALS,
    budget_s: BudgetOption = 0.0,
    threads: ThreadsOption = 0,
    batch: BatchOption = None,
    dim: DimOption = None,
    keep_channels: KeepChannelsOption = None,
    sparsity: SparsityOption = None,
    sparse_format: SparseFormatOption = "dense",
    datatype: DatatypesOption = None,
    runs: RunsOption = PROTOCOL.runs,
    sampling_s: SamplingOption = PROTOCOL.sampling_s,
    time_limit: TimeLimitOption = PROTOCOL.time_limit_s,
    memory_limit_gb: MemoryLimitOption = 0.0,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Compile and tune again, whatever is kept.")
    ] = False,
    per_layer: PerLayerOption = False,
    tracker: TrackerOption = "",
    rpc_key: Annotated[
        str, typer.Option("--rpc-key", help="Run with TVM on a board that serves this key.")
    ] = "",
    rpc_target: Annotated[
        str,
        typer.Option(
            "--rpc-target",
            help="The board's processor: aarch64-cortex-a72, or JSON; left out, the board is asked.",
        ),
    ] = "",
    store: StoreOption = None,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
) -> None:
    """Run networks on this machine: first run discarded, median of the rest, outputs checked."""
    from dataclasses import replace

    from roofline.cli._progress import progress
    from roofline.validate.measuring.measure import measure as run
    from roofline.validate.records.store import Store, default_store

    if rpc_key:
        at_board(tracker, rpc_key, rpc_target)
    asked = RunRequest(
        "",
        batch=batch or 0,
        # How many cores a board has is not known here.
        threads=threads or (1 if rpc_key else 0),
        dims=parse_dims(dim),
        tuning=tuning,
        trials=trials,
        tuning_budget_s=budget_s,
        algorithm=algorithm,
        target=rpc_key or "local",
        options={"rpc_target": rpc_target} if rpc_target else {},
        protocol=make_protocol(runs, sampling_s, time_limit, memory_limit_gb),
    )
    names = ["tvm-rpc"] if rpc_key else backend or ["tvm"]
    for name in names:
        for_backend(replace(asked, backend=name))
    done: list[Measurement] = []
    flags = (keep_channels, sparsity, sparse_format, datatype)
    with (
        written(models, *flags, dims=parse_dims(dim)) as variants,
        Store(store or default_store()) as kept,
    ):
        for shown, (model, compression) in zip(models, variants, strict=True):
            for name in names:
                one = replace(asked, network=model, backend=name, compression=compression)
                with progress(f"{shown} on {name}") as report:
                    request = for_backend(one, per_layer=per_layer)
                    record = run(request, machine=rpc_key, fresh=fresh, report=report)
                kept.add(record)
                done.append(record)
    emit(_written(done, form), output)
    if not all(record.ok for record in done):
        raise typer.Exit(1)


def _written(runs: list[Measurement], form: Format) -> str:
    if form is Format.JSON:
        entries = [{**run.to_row(), **run.to_dict()} for run in runs]
        # The same fields as `validate` gives; a measured run alone is compared with nothing.
        return as_json({"conventions": CONVENTIONS, "measurements": entries, "comparisons": []})
    if form is Format.CSV:
        return as_csv([run.to_row() for run in runs])
    notes = [*remarks(runs), *CONVENTIONS.values()]
    kernels = [as_table(kernel_cells(run)) for run in runs if run.kernel_times]
    return "\n".join([*kernels, as_table([cells(run) for run in runs], notes=notes)])


CONVENTIONS = {
    "time": "the first run is discarded; the median of the rest is the time of a whole batch",
    "check": "outputs are compared with ONNX Runtime's, not optimized, on the same input",
}
"""The conventions of every measured figure."""
