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
    CONVENTIONS,
    AlgorithmOption,
    BackendsOption,
    BudgetOption,
    DeviceOption,
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
    on_device,
    remarks,
    run_each,
)
from roofline.cli._options import (
    BatchOption,
    DimOption,
    InputOption,
    ModelsArgument,
    ValueOption,
    parse_binding,
)
from roofline.cli._output import (
    Format,
    FormatOption,
    OutputOption,
    as_csv,
    as_json,
    as_table,
    emit,
    together,
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

    if rpc_key:
        at_board(tracker, rpc_key, rpc_target)
    binding = parse_binding(batch, dim, input_, value)
    asked = RunRequest(
        "",
        batch=batch or 0,
        # How many cores a board has is not known here.
        threads=threads or (1 if rpc_key else 0),
        dims=binding.dims,
        inputs=binding.inputs,
        values=binding.values,
        tuning=tuning,
        trials=trials,
        tuning_budget_s=budget_s,
        algorithm=algorithm,
        target=rpc_key or "local",
        options=({"rpc_target": rpc_target} if rpc_target else {}) | on_device(device),
        protocol=make_protocol(runs, sampling_s, time_limit, memory_limit_gb),
    )
    names = ["tvm-rpc"] if rpc_key else backend or ["tvm"]
    for name in names:
        for_backend(replace(asked, backend=name))
    models = list(dict.fromkeys(models))
    flags = (keep_channels, sparsity, sparse_format, datatype)
    with written(models, *flags, binding=binding) as variants:
        done = run_each(
            asked,
            models,
            variants,
            names,
            store,
            machine=rpc_key,
            per_layer=per_layer,
            fresh=fresh,
        )
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
    kernels = [as_table(kernel_cells(run)) for run in runs if run.kernel_times]
    table = as_table(
        [cells(run) for run in runs],
        notes=together(remarks(runs)),
        explained=list(CONVENTIONS.values()),
    )
    return "\n".join([*kernels, table])
