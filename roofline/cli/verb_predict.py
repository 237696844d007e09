"""``roofline predict``: how fast networks can run on machines, and what holds them back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roofline.cli._check import FailIfOption, conditions, report_failures
from roofline.cli._compression import (
    DatatypesOption,
    KeepChannelsOption,
    SparseFormatOption,
    SparsityOption,
    compressed,
)
from roofline.cli._options import DimOption, InputOption, ModelsArgument, ValueOption, load_model
from roofline.cli._output import (
    Format,
    FormatOption,
    OutputOption,
    as_csv,
    as_json,
    as_table,
    emit,
)
from roofline.cli._predictions import cells_of, conventions, number

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
    str, typer.Option("--model", help="Prediction model: equation1, layerwise, ...")
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
EmulateOption = Annotated[
    bool,
    typer.Option("--emulate", help="Run a datatype the machine lacks on its next wider unit."),
]


@app.command()
def predict(
    *,
    models: ModelsArgument,
    platform: PlatformOption,
    datatype: DatatypesOption = None,
    batch: BatchesOption = None,
    model: PredictionModelOption = "equation1",
    traffic: TrafficOption = None,
    operations: OperationsOption = None,
    weights_read: WeightsReadOption = "per-batch",
    emulate: EmulateOption = False,
    layers: Annotated[
        bool, typer.Option("--layers", help="Show each layer (with --model layerwise).")
    ] = False,
    fail_if: FailIfOption = None,
    keep_channels: KeepChannelsOption = None,
    sparsity: SparsityOption = None,
    sparse_format: SparseFormatOption = "dense",
    dim: DimOption = None,
    input_: InputOption = None,
    value: ValueOption = None,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
) -> None:
    """Predict throughput, latency, bound, energy and fit of networks on machines."""
    from roofline._sweep import sweep
    from roofline.errors import OptionError
    from roofline.spec import platform as find_platform

    machines = [find_platform(key) for key in dict.fromkeys(platform)]
    workloads = [
        load_model(name, dim=dim, input_=input_, value=value) for name in dict.fromkeys(models)
    ]
    whole = [name for name in datatype or () if "=" not in name]
    parts = [name for name in datatype or () if "=" in name]

    def prepare(workload: Workload, name: str | None) -> Workload:
        asked = parts if name is None else [name, *parts]
        return compressed(workload, keep_channels, sparsity, sparse_format, asked)

    result = sweep(
        workloads, machines, datatypes=whole or None, batches=batch, model=model, traffic=traffic,
        operations=operations, weights_read=weights_read, emulate=emulate, prepare=prepare,
    )  # fmt: skip
    if layers and not any(prediction.layers for prediction in result.predictions):
        raise OptionError(
            f"{model} sees the network as a whole and has no layers",
            repair="Add --model layerwise",
        )
    rows = result.records()
    checks = conditions(fail_if, list(rows[0]))
    emit(_written(result, form, layers=layers), output)
    report_failures(rows, checks, ("network", "platform", "datatype", "batch"))


def _written(result: Sweep, form: Format, *, layers: bool) -> str:
    predictions = result.predictions
    if form is Format.JSON:
        entries = [
            prediction.record()
            | ({"layers": [layer.record() for layer in prediction.layers]} if layers else {})
            for prediction in predictions
        ]
        skipped = [
            {"platform": entry.platform, "datatype": entry.datatype, "reason": entry.reason}
            for entry in result.skipped
        ]
        return as_json(
            {"conventions": conventions(predictions), "predictions": entries, "skipped": skipped}
        )
    if form is Format.CSV:
        return as_csv(_layer_rows(predictions) if layers else result.records())
    notes = list(dict.fromkeys(note for prediction in predictions for note in prediction.notes))
    notes += [f"left out: {entry.reason}" for entry in result.skipped]
    notes += list(conventions(predictions).values())
    if not layers:
        return as_table(cells_of(predictions), notes=notes)
    tables = [
        as_table(
            [_layer_cells(row) for row in _layer_rows([prediction])],
            title=f"{prediction.network} on {prediction.platform}, {prediction.datatype}, batch {prediction.batch}: "
            f"{number(prediction.throughput_fps)} fps at most",
        )
        for prediction in predictions
    ]
    return "\n\n".join(tables) + "\n" + as_table([], notes=notes)


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
    return {
        "layer": row["layer"],
        "op": row["op_type"],
        "MOP": number(row["ops"] / 1e6),
        "MB": number(row["bytes"] / 1e6),
        "OP/B": number(row["intensity"]),
        "ms": number(row["time_ms"]),
        "bound": row["bound"],
        "of peak": f"{100 * row['utilization']:.3g}%",
    }
