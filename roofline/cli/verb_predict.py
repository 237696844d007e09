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
from roofline.cli._options import DimOption, InputOption, ValueOption, load_model
from roofline.cli._output import (
    Format,
    FormatOption,
    OutputOption,
    as_csv,
    as_json,
    as_table,
    emit,
)

if TYPE_CHECKING:
    from roofline.model import Prediction
    from roofline._sweep import Sweep
    from roofline.workload import Workload

app = typer.Typer(add_completion=False)

ModelsArgument = Annotated[
    list[str],
    typer.Argument(metavar="MODEL...", help="An .onnx file, or the name of a shipped network."),
]
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
    from roofline.errors import OptionError
    from roofline.spec import platform as find_platform
    from roofline._sweep import sweep

    machines = [find_platform(key) for key in platform]
    workloads = [load_model(name, dim=dim, input_=input_, value=value) for name in models]
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
        return as_table([_cells(prediction) for prediction in predictions], notes=notes)
    tables = [
        as_table(
            [_layer_cells(row) for row in _layer_rows([prediction])],
            title=f"{prediction.network} on {prediction.platform}, {prediction.datatype}, batch {prediction.batch}: "
            f"{_number(prediction.throughput_fps)} fps at most",
        )
        for prediction in predictions
    ]
    return "\n\n".join(tables) + "\n" + as_table([], notes=notes)


def conventions(predictions: Sequence[Prediction]) -> dict[str, str]:
    """Return the conventions that predictions were made under, for people and programs."""
    from roofline.model import models

    first = predictions[0]
    arithmetic = "one multiply-accumulate is two operations"
    batch = "operations and activations grow with the batch; "
    batch += (
        "weights are read once per batch"
        if first.weights_read == "per-batch"
        else "weights are read for every item (the batch-1 intensity at every batch)"
    )
    stated = {
        "operations": arithmetic,
        "model": f"{first.model}: {models.get(first.model).summary}",
        "traffic": f"{first.traffic}: {_TRAFFIC[first.traffic]}",
        "batch": batch,
        "latency": "latency_ms is the time of the whole batch",
        "energy": "energy and fps/W are at the thermal design power",
    }
    if first.upper_bound:
        stated["throughput"] = "fps is an upper bound, not an estimate; real runs are slower"
    return stated


_TRAFFIC = {
    "weights": "weights only",
    "weights_io": "weights, network inputs and outputs",
    "fused": "weights, inputs and outputs of every fused layer",
    "unfused": "weights, inputs and outputs of every ONNX node",
    "resident": "as fused, but what a memory level holds is not charged to the level outside it",
}


def _cells(prediction: Prediction) -> dict[str, Any]:
    row = prediction.record()
    unit = "" if prediction.unit == prediction.datatype else f" on {prediction.unit}"
    cells: dict[str, Any] = {
        "network": prediction.network,
        "platform": prediction.platform,
        "datatype": f"{prediction.datatype}{unit}",
        "batch": prediction.batch,
        "fps": _number(prediction.throughput_fps),
        "latency ms": _number(row["latency_ms"]),
        "bound": prediction.bound.value,
        "OP/B": _number(prediction.intensity),
        "ridge OP/B": _number(prediction.ridge),
        "of peak": f"{100 * prediction.utilization:.3g}%",
        "fits": prediction.fits,
        "mJ/frame": _number(row["energy_mj"]),
        "fps/W": _number(row["fps_per_w"]),
    }
    if prediction.variant != "dense":
        cells = {"network": cells.pop("network"), "pruning": prediction.variant, **cells}
    if prediction.interval_fps is not None:
        low, high = prediction.interval_fps
        cells["expected fps"] = f"{_number(low)} … {_number(high)}"
    return cells


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
        "MOP": _number(row["ops"] / 1e6),
        "MB": _number(row["bytes"] / 1e6),
        "OP/B": _number(row["intensity"]),
        "ms": _number(row["time_ms"]),
        "bound": row["bound"],
        "of peak": f"{100 * row['utilization']:.3g}%",
    }


def _number(value: float | None) -> str | None:
    """Return four significant digits; large numbers whole."""
    if value is None:
        return None
    if value == float("inf"):
        return "∞"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
