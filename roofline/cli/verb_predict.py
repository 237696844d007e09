"""``roofline predict``: how fast networks can run on machines, and what holds them back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from roofline.cli._check import FailIfOption, conditions, report_failures
from roofline.cli._compression import CompressionOptions
from roofline.cli._decoding import (
    UNASKED,
    ServingOptions,
    split_decoders,
)
from roofline.cli._evidence import EvidenceOption, check_corrects, effects_of, figures_of
from roofline.cli._groups import command
from roofline.cli._options import (
    BoundSizesOption,
    EmulateOption,
    ModelsArgument,
    SizeOptions,
    load_models,
)
from roofline.cli._output import OrderOptions, ResultOptions, as_table
from roofline.cli._predictions import conventions, notes_below, tables_of
from roofline.errors import OptionError
from roofline.number_format import number, percent, plural
from roofline.tables import Record, Row

if TYPE_CHECKING:
    from roofline._sweep import Sweep
    from roofline.decoding.phases import Decoding
    from roofline.decoding.request import Request
    from roofline.expected_tokens import Figures
    from roofline.model import LayerPrediction, Prediction
    from roofline.model._request import CommonChoices
    from roofline.spec import Platform
    from roofline.workload import Workload

    class _Choices(CommonChoices):
        """What `sweep` and `serve` take beside networks, machines, datatypes and batches."""

        model: str | None


app = typer.Typer(add_completion=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class PredictionOptions:
    """By which model networks are predicted, and what it takes into account."""

    model: str | None = None
    """Prediction model: equation1, layerwise, ... Default: the bound of Equation 1, and the best estimate."""
    traffic: str | None = None
    """Bytes that cross the memory: weights, weights_io, fused, unfused, resident. Default: the model's own."""
    operations: str | None = None
    """Arithmetic that counts: macs or all. Default: the model's own."""
    weights_read: str = "per-batch"
    """per-batch, or per-item for the papers' batch-1 intensity at every batch."""
    emulate: EmulateOption = False
    overhead_ms: Annotated[float, typer.Option(min=0)] = 0.0
    """Milliseconds of pre- and post-processing per item to add."""
    runtime: str | None = None
    """Runtime of --model expected: openvino, trt, ... Default: the class's fastest in the evidence."""
    evidence: EvidenceOption = None

    def choices(self, machines: Sequence[Platform], *, networks: bool = True) -> _Choices:
        """Return them as `sweep` and `serve` take them; the evidence is read where there are networks to correct.

        Raises:
            RooflineError: The model takes no runtime or no evidence, or the evidence cannot be read.
        """
        check_corrects(self.model, runtime=self.runtime, evidence=self.evidence)
        effects = effects_of(self.evidence, machines) if networks else None
        return {
            "model": self.model, "traffic": self.traffic, "operations": self.operations,
            "weights_read": self.weights_read, "emulate": self.emulate, "runtime": self.runtime, "effects": effects,
        }  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class CaseOptions:
    """On what machines networks are predicted."""

    platform: Annotated[list[str], typer.Option("-p")]
    """A machine's key (tx2:maxn) or YAML file; repeatable, or several by commas."""
    batch: Annotated[list[int] | None, typer.Option("-b", min=1)] = None
    """Items per batch; repeatable, or several by commas. Default: 1."""
    layers: bool = False
    """Show each layer (with --model layerwise or calibrated)."""


@command(app)
def predict(
    *,
    models: ModelsArgument,
    options: CaseOptions,
    prediction: PredictionOptions,
    fail_if: FailIfOption = None,
    compression: CompressionOptions,
    inputs: SizeOptions,
    bound_sizes: BoundSizesOption = False,
    decoding: ServingOptions,
    order: OrderOptions,
    result: ResultOptions,
) -> None:
    """Predict throughput, latency, bound, energy and fit of networks on machines.

    --sort and --top are of the predictions, or with --layers of the layers of each.
    """
    from roofline.spec import platform as find_platform

    machines = [find_platform(key) for key in options.platform]
    request = decoding.request()
    others, decoders = split_decoders(models, request, bound=inputs.is_given)
    workloads = load_models(others, inputs.binding(bound_sizes=bound_sizes))
    choices = prediction.choices(machines, networks=bool(workloads))
    figures = figures_of(prediction.evidence, machines) if decoders else None
    found = _predict(
        workloads, decoders, machines, request, compression, options.batch, choices, figures
    )
    if options.layers and not any(entry.layers for entry in found.predictions):
        raise OptionError(
            f"{prediction.model or 'equation1'} sees the network as a whole and has no layers",
            repair="Add --model layerwise",
        )
    if prediction.overhead_ms:
        overhead = prediction.overhead_ms / 1e3
        slower = (entry.with_overhead(overhead) for entry in found.predictions)
        found = replace(found, predictions=tuple(slower))
    whole = [entry.layers for entry in found.predictions] if options.layers else None
    if options.layers:
        found = replace(found, predictions=_layers_in(order, found.predictions))
    else:
        shown = order.arrange(found.predictions, found.records())
        found = replace(found, predictions=tuple(shown))
    rows = found.records()
    checks = conditions(fail_if, list(dict.fromkeys(name for row in rows for name in row)))
    result.emit(
        document=lambda: _document(found, layers=options.layers),
        rows=lambda: _layer_rows(found.predictions) if options.layers else found.rows(),
        table=lambda: _table(found, whole),
    )
    report_failures(best_rows(rows), checks, ("network", "platform", "datatype", "batch", "model"))
    if checks and found.skipped:
        raise typer.Exit(1)


def _predict(
    workloads: Sequence[Workload], decoders: Sequence[Decoding], machines: Sequence[Platform], request: Request | None,
    compression: CompressionOptions, batches: Sequence[int] | None, choices: _Choices,
    figures: Mapping[str, Figures] | None,
) -> Sweep:  # fmt: skip
    """Return what is predicted of networks and, behind them, of decoders."""
    from roofline._sweep import Sweep, sweep
    from roofline.serving import serve

    def prepare(workload: Workload, name: str | None) -> Workload:
        named = [] if name is None else [name]
        return compression.at(workload, [*named, *compression.parts])

    datatypes = compression.datatypes
    parts: list[Sweep] = []
    if workloads:
        parts.append(
            sweep(
                workloads, machines, datatypes=datatypes or None, batches=batches, prepare=prepare, **choices
            )
        )  # fmt: skip
    asked = request or UNASKED
    parts += [
        serve(
            entry, asked, machines, datatypes=datatypes, batches=batches or [1], prepare=prepare,
            figures=figures, **choices
        )
        for entry in decoders
    ]  # fmt: skip
    return Sweep.join(parts)


def _document(found: Sweep, *, layers: bool) -> dict[str, object]:
    predictions = found.predictions
    entries = [
        entry.record() | ({"layers": [layer.record() for layer in entry.layers]} if layers else {})
        for entry in predictions
    ]
    return {
        "conventions": conventions(predictions),
        "predictions": entries + found.rows()[len(entries) :],
    }


def _table(found: Sweep, whole: Sequence[Sequence[LayerPrediction]] | None) -> str:
    """Return the table of predictions, or where all their layers are given of the layers shown."""
    predictions = found.predictions
    remarks = [f"left out: {entry.reason}" for entry in found.skipped]
    remarks += [note for prediction in predictions for note in prediction.notes]
    if whole is not None:
        tables = [
            as_table(
                _layer_table(entry, every),
                title=f"{entry.network} on {entry.platform}, {entry.datatype}, batch {entry.batch}: "
                f"{number(entry.throughput_fps)} fps{' at most' * entry.upper_bound} ({entry.model})",
            )
            for entry, every in zip(predictions, whole, strict=True)
        ]
        return "\n\n".join(tables) + "\n" + as_table([], **notes_below(predictions, remarks))
    return tables_of(found, remarks)


def _layers_in(order: OrderOptions, predictions: Sequence[Prediction]) -> tuple[Prediction, ...]:
    return tuple(
        replace(
            entry,
            layers=tuple(order.arrange(entry.layers, [layer.record() for layer in entry.layers])),
        )
        for entry in predictions
    )


def best_rows(rows: Sequence[Row]) -> list[Row]:
    """Return one row per case: the best estimate, which stands behind the bound, else the bound."""
    case = ("network", "platform", "datatype", "batch", "pruning")
    return list({tuple(row[column] for column in case): row for row in rows}.values())


def _layer_rows(predictions: Sequence[Prediction]) -> list[Record]:
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


def _layer_table(shown: Prediction, every: Sequence[LayerPrediction]) -> list[Record]:
    """Return rows of the layers shown, with their shares of the time of all, and the total below."""
    whole = sum(layer.time_s for layer in every)
    rows = [_layer_cells(row, whole) for row in _layer_rows([shown])]
    total: Record = dict.fromkeys(rows[0], "") if rows else {}
    total |= {"layer": "total", "op": plural(len(every), "layer")}
    return [*rows, total | {"ms": number(1e3 * whole), "of time": percent(1.0)}]


def _layer_cells(row: Row, whole: float) -> Record:
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
        "of time": percent(row["time_ms"] / 1e3 / whole) if whole else "",
        "bound": row["bound"],
        "of peak": percent(row["utilization"]),
        **estimated,
    }
