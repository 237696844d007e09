"""``roofline predict``: how fast networks can run on machines, and what holds them back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roofline.cli._check import FailIfOption, conditions, report_failures
from roofline.cli._compression import (
    DatatypesOption,
    KeepChannelsOption,
    SparseFormatOption,
    SparsityOption,
)
from roofline.cli._decoding import (
    NEW_TOKENS,
    ContextOption,
    DevicesOption,
    MaxTpotOption,
    MaxTtftOption,
    NewTokensOption,
    PhaseOption,
    SpreadOption,
    asked_request,
    told_apart,
)
from roofline.cli._options import (
    BoundSizesOption,
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
    SortOption,
    TopOption,
    arranged,
    as_csv,
    as_json,
    as_table,
    emit,
)
from roofline.cli._predictions import (
    cells_left_out,
    cells_of,
    conventions,
    footnotes,
    token_cells_of,
)
from roofline.compression_flags import compressed
from roofline.number_format import number, percent

if TYPE_CHECKING:
    from roofline._sweep import Sweep
    from roofline.model import Prediction
    from roofline.workload import Workload

app = typer.Typer(add_completion=False)

PlatformOption = Annotated[
    list[str],
    typer.Option("--platform", "-p", help="A machine's key (tx2:maxn) or YAML file; repeatable."),
]
BatchesOption = Annotated[
    list[int] | None,
    typer.Option("--batch", "-b", min=1, help="Items per batch; repeatable. Default: 1."),
]
PredictionModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="Prediction model: equation1, layerwise, ... Default: the bound of Equation 1, and the best estimate.",
    ),
]
OverheadOption = Annotated[
    float,
    typer.Option(
        "--overhead-ms", min=0, help="Milliseconds of pre- and post-processing per item to add."
    ),
]
TrafficOption = Annotated[
    str | None,
    typer.Option(
        "--traffic",
        help="Bytes that cross the memory: weights, weights_io, fused, unfused, resident. Default: the model's own.",
    ),
]
WeightsReadOption = Annotated[
    str,
    typer.Option(
        "--weights-read",
        help="per-batch, or per-item for the papers' batch-1 intensity at every batch.",
    ),
]
OperationsOption = Annotated[
    str | None,
    typer.Option(
        "--operations", help="Arithmetic that counts: macs or all. Default: the model's own."
    ),
]


@app.command()
def predict(
    *,
    models: ModelsArgument,
    platform: PlatformOption,
    datatype: DatatypesOption = None,
    batch: BatchesOption = None,
    model: PredictionModelOption = None,
    traffic: TrafficOption = None,
    operations: OperationsOption = None,
    weights_read: WeightsReadOption = "per-batch",
    emulate: EmulateOption = False,
    overhead_ms: OverheadOption = 0.0,
    runtime: Annotated[
        str | None,
        typer.Option(
            "--runtime",
            help="Runtime of --model expected: openvino, trt, ... Default: the class's fastest in the evidence.",
        ),
    ] = None,
    evidence: Annotated[
        Path | None,
        typer.Option(
            "--evidence",
            metavar="RUNS.csv",
            help="Figures of the machine that correct --model expected: columns machine, network, datatype, fps.",
        ),
    ] = None,
    layers: Annotated[
        bool,
        typer.Option("--layers", help="Show each layer (with --model layerwise or calibrated)."),
    ] = False,
    fail_if: FailIfOption = None,
    keep_channels: KeepChannelsOption = None,
    sparsity: SparsityOption = None,
    sparse_format: SparseFormatOption = "dense",
    dim: DimOption = None,
    input_: InputOption = None,
    value: ValueOption = None,
    bound_sizes: BoundSizesOption = False,
    context: ContextOption = None,
    new_tokens: NewTokensOption = None,
    phase: PhaseOption = None,
    devices: DevicesOption = None,
    spread: SpreadOption = None,
    max_ttft_ms: MaxTtftOption = None,
    max_tpot_ms: MaxTpotOption = None,
    sort: SortOption = "",
    top: TopOption = 0,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
) -> None:
    """Predict throughput, latency, bound, energy and fit of networks on machines."""
    from roofline._sweep import Sweep, sweep
    from roofline.decoding.phases import Request
    from roofline.errors import OptionError
    from roofline.serving import serve
    from roofline.spec import platform as find_platform

    machines = [find_platform(key) for key in split_names(platform)]
    request = asked_request(context, new_tokens, phase, devices, max_ttft_ms, max_tpot_ms, spread)
    others, decoders = told_apart(models, request, bound=bool(dim or input_ or value))
    workloads = load_models(
        others, parse_binding(None, dim, input_, value, bound_sizes=bound_sizes)
    )
    asked_datatypes = split_names(datatype)
    whole = [name for name in asked_datatypes if "=" not in name]
    parts = [name for name in asked_datatypes if "=" in name]
    if model not in {None, "expected"} and (runtime is not None or evidence is not None):
        raise OptionError(
            f"{model} takes no {'--runtime' if runtime is not None else '--evidence'}",
            repair="Leave --model out, or ask for --model expected",
        )
    effects = None
    if evidence is not None:
        from roofline.validate.evidence.figures import read_effects

        effects = read_effects(evidence, machines)

    def prepare(workload: Workload, name: str | None) -> Workload:
        asked = parts if name is None else [name, *parts]
        return compressed(workload, keep_channels, sparsity, sparse_format, asked)

    choices: dict[str, Any] = {
        "traffic": traffic, "operations": operations, "weights_read": weights_read, "emulate": emulate,
        "runtime": runtime, "effects": effects, "prepare": prepare,
    }  # fmt: skip
    asked = request or Request(new_tokens=NEW_TOKENS)
    parted = [
        serve(
            entry, asked, machines, datatypes=whole, batches=batch or [1], model=model, **choices
        )
        for entry in decoders
    ]
    if workloads:
        parted.insert(
            0,
            sweep(
                workloads, machines, datatypes=whole or None, batches=batch, model=model, **choices
            ),
        )
    result = Sweep(
        tuple(entry for part in parted for entry in part.predictions),
        tuple(entry for part in parted for entry in part.skipped),
    )
    if layers and not any(prediction.layers for prediction in result.predictions):
        raise OptionError(
            f"{model or 'equation1'} sees the network as a whole and has no layers",
            repair="Add --model layerwise",
        )
    if overhead_ms:
        slower = (entry.with_overhead(overhead_ms / 1e3) for entry in result.predictions)
        result = replace(result, predictions=tuple(slower))
    result = replace(
        result, predictions=tuple(arranged(result.predictions, result.records(), sort, top))
    )
    rows = result.records()
    checks = conditions(fail_if, list(dict.fromkeys(name for row in rows for name in row)))
    emit(_written(result, form, layers=layers), output)
    report_failures(best_rows(rows), checks, ("network", "platform", "datatype", "batch", "model"))
    if checks and result.skipped:
        raise typer.Exit(1)


def _written(result: Sweep, form: Format, *, layers: bool) -> str:
    predictions = result.predictions
    if form is Format.JSON:
        entries = [
            prediction.record()
            | ({"layers": [layer.record() for layer in prediction.layers]} if layers else {})
            for prediction in predictions
        ]
        return as_json(
            {
                "conventions": conventions(predictions),
                "predictions": entries + result.rows()[len(entries) :],
            }
        )
    if form is Format.CSV:
        return as_csv(_layer_rows(predictions) if layers else result.rows())
    remarks = list(dict.fromkeys(note for prediction in predictions for note in prediction.notes))
    remarks += dict.fromkeys(f"left out: {entry.reason}" for entry in result.skipped)
    notes, explained = footnotes(predictions, remarks)
    if not layers:
        spoken = [entry for entry in predictions if entry.tokens is not None]
        written = [entry for entry in predictions if entry.tokens is None]
        decoders = {entry.network for entry in spoken}
        gone = [entry for entry in result.skipped if entry.network not in decoders]
        shown = cells_of(written) + cells_left_out(gone)
        tables = [as_table(shown)] if spoken and shown else []
        if spoken:
            gone = [entry for entry in result.skipped if entry.network in decoders]
            shown = token_cells_of(spoken) + cells_left_out(gone, tokens=True)
        return "\n".join([*tables, as_table(shown, notes=notes, explained=explained)])
    tables = [
        as_table(
            [_layer_cells(row) for row in _layer_rows([prediction])],
            title=f"{prediction.network} on {prediction.platform}, {prediction.datatype}, batch {prediction.batch}: "
            f"{number(prediction.throughput_fps)} fps{' at most' * prediction.upper_bound} ({prediction.model})",
        )
        for prediction in predictions
    ]
    return "\n\n".join(tables) + "\n" + as_table([], notes=notes, explained=explained)


def best_rows(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one row per case: the best estimate, which stands behind the bound, else the bound."""
    case = ("network", "platform", "datatype", "batch", "pruning")
    return list({tuple(row[column] for column in case): row for row in rows}.values())


def _layer_rows(predictions: Sequence[Prediction]) -> list[dict[str, Any]]:
    return [
        {
            "network": prediction.network,
            "platform": prediction.platform,
            "batch": prediction.batch,
            **layer.record(),
        }
        for prediction in predictions
        for layer in prediction.layers
    ]


def _layer_cells(row: dict[str, Any]) -> dict[str, Any]:
    estimated = (
        {"of bound": percent(row["share_of_bound"]), "basis": row["basis"]}
        if "basis" in row
        else {}
    )
    return {
        "layer": row["layer"],
        "op": row["op_type"],
        "MOP": number(row["ops"] / 1e6),
        "MB": number(row["bytes"] / 1e6),
        "OP/B": number(row["intensity"]),
        "ms": number(row["time_ms"]),
        "bound": row["bound"],
        "of peak": percent(row["utilization"]),
        **estimated,
    }
