"""``roofline count``: what a model requires, in total and layer by layer."""

from __future__ import annotations

import gc
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roofline.binding import Causal
from roofline.cli._compression import (
    DatatypesOption,
    KeepChannelsOption,
    SparseFormatOption,
    SparsityOption,
    with_zeros,
)
from roofline.cli._decoding import ContextOption, CountedPhaseOption, asked_request, told_apart
from roofline.cli._options import (
    BatchOption,
    BoundSizesOption,
    DimOption,
    InputOption,
    ModelArgument,
    ValueOption,
    load_model,
    parse_binding,
)
from roofline.cli._output import (
    Format,
    FormatOption,
    OutputOption,
    SortOption,
    TopOption,
    as_csv,
    as_json,
    as_table,
    emit,
)
from roofline.compression_flags import compressed
from roofline.decoding.phases import Phase
from roofline.errors import UnsupportedOperatorError

if TYPE_CHECKING:
    from roofline.cli._counting import LayerView
    from roofline.workload import Workload

app = typer.Typer(add_completion=False)

LayersOption = Annotated[bool, typer.Option("--layers", help="One row per executed ONNX node.")]
FusedOption = Annotated[
    bool,
    typer.Option("--fused", help="One row per layer as runtimes fuse it, and what was fused."),
]
ZerosOption = Annotated[
    bool,
    typer.Option("--zeros", help="Count the zeros in the stored weights (reads the weights)."),
]
CausalOption = Annotated[
    Causal,
    typer.Option(
        "--causal", help="Scores of causal attention: visible to the mask, or the full square."
    ),
]
StrictOption = Annotated[
    bool, typer.Option("--strict", help="Fail when anything could not be counted.")
]
DiffOption = Annotated[
    str | None,
    typer.Option("--diff", metavar="OTHER", help="As `roofline compare`, for this version still."),
]


@app.command()
def count(
    model: ModelArgument,
    layers: LayersOption = False,
    fused: FusedOption = False,
    batch: BatchOption = None,
    dim: DimOption = None,
    input_: InputOption = None,
    value: ValueOption = None,
    bound_sizes: BoundSizesOption = False,
    keep_channels: KeepChannelsOption = None,
    sparsity: SparsityOption = None,
    sparse_format: SparseFormatOption = "dense",
    datatype: DatatypesOption = None,
    causal: CausalOption = Causal.VISIBLE,
    context: ContextOption = None,
    phase: CountedPhaseOption = None,
    zeros: ZerosOption = False,
    strict: StrictOption = False,
    platform: Annotated[
        str | None,
        typer.Option(
            "--platform", "-p", help="Show how long each fused layer takes at least on it."
        ),
    ] = None,
    sort: SortOption = "",
    top: TopOption = 0,
    diff: DiffOption = None,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
) -> None:
    """Count what a model requires: operations, parameters, bytes and intensity."""
    from roofline.cli._counting import LayerView
    from roofline.cli.verb_compare import written

    _spare()
    binding = parse_binding(batch, dim, input_, value, bound_sizes=bound_sizes, causal=causal)
    request = asked_request(context, None, phase, None)
    if request is None:
        counted = load_model(model, binding)
    else:
        _, (decoder,) = told_apart([model], request, bound=bool(dim or input_ or value))
        asked = replace(request, new_tokens=1, causal=causal)
        decoder.check(asked)
        counted = (decoder.prompt if phase is Phase.PREFILL else decoder.step)(asked, batch or 1)
    workload = compressed(counted, keep_channels, sparsity, sparse_format, datatype)
    if zeros:
        workload = with_zeros(workload)
    other = load_model(diff, binding) if diff is not None else None
    if strict:
        for counted in (workload, other):
            _check(counted)
    view = LayerView(fused or platform is not None, _times(workload, platform), sort, top)
    if form is Format.JSON:
        emit(_json(workload, other, view), output)
    elif other is not None and form is Format.TABLE:
        names = (workload.name, f"{other.name} (other)")
        emit(written(workload, other, names, form, layers=layers, fused=fused), output)
    elif form is Format.CSV:
        emit(_csv(workload, other, view, layers=layers), output)
    else:
        emit(_table(workload, view, layers=layers), output)


def _times(workload: Workload, platform: str | None) -> dict[str, float]:
    """Return the least time of each fused layer on a machine in seconds; nothing where none is named."""
    if platform is None:
        return {}
    from roofline.model import predict
    from roofline.spec import platform as find

    found = predict(workload, find(platform), model="layerwise")
    return {layer.name: layer.time_s for layer in found.layers}


def _spare() -> None:
    """Leave out what a process that counts once and ends has no use for."""
    # Numpy's linear algebra starts threads that spin; nothing here multiplies matrices.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Everything that is built lives until the end, so there is nothing to collect.
    gc.disable()


def _check(workload: Workload | None) -> None:
    if workload is None:
        return
    unknown = list(workload.unknown_layers)
    if unknown:
        names = ", ".join(repr(layer.name) for layer in unknown[:3])
        more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
        raise UnsupportedOperatorError(
            f"{workload.name}: {names}{more} could not be counted: {unknown[0].note}",
            repair="Leave --strict out to count the rest",
        )


def _json(workload: Workload, other: Workload | None, view: LayerView) -> str:
    from roofline.cli._counting import document

    fused = view.fused
    found = document(workload, fused=fused)
    found["layers"] = view.rows(workload)
    if other is not None:
        found["diff"] = _diff(workload, other, fused=fused)
    return as_json(found)


def _diff(workload: Workload, other: Workload, *, fused: bool) -> dict[str, Any]:
    """Return the differences under the names that ``--diff`` gives them."""
    from roofline.cli._counting import totals
    from roofline.cli._differences import layer_changes, network_lines

    counted = totals(workload)
    return {
        "other": other.name,
        "totals": {
            line.quantity: {
                "this": line.first,
                "other": line.second,
                "difference": line.difference,
            }
            for line in network_lines(workload, other)
            if line.quantity in counted
        },
        "layers": [
            {
                "name": change["name"],
                "change": change["change"],
                "this": change["first"],
                "other": change["second"],
            }
            for change in layer_changes(workload, other, fused=fused)
        ],
    }


def _csv(workload: Workload, other: Workload | None, view: LayerView, *, layers: bool) -> str:
    from roofline.cli._counting import totals

    rows: list[dict[str, Any]] = []
    for counted in (workload, other):
        if counted is None:
            continue
        if layers or view.fused:
            rows += [{"model": counted.name, **row} for row in view.rows(counted)]
        else:
            found = totals(counted)
            intensity = found.pop("intensity")
            rows.append({
                "model": counted.name, "batch": counted.batch, **found,
                **{f"intensity_{name}": value for name, value in intensity.items()},
            })  # fmt: skip
    return as_csv(rows)


def _table(workload: Workload, view: LayerView, *, layers: bool) -> str:
    from roofline.cli import _counting

    fused = view.fused
    parts: list[str] = []
    if layers or fused:
        parts.append(as_table(view.table(workload)))
    inputs = _counting.listed_inputs(
        {tensor.name: tensor.shape or () for tensor in workload.inputs}
    )
    notes = [
        "; ".join(_counting.coverage_notes(workload)),
        "; ".join([*(_counting.fusion_notes(workload) if fused else []), *workload.notes]),
    ]
    title = f"{workload.name}, batch {workload.batch}" + (f" ({inputs})" if inputs else "")
    changes = [
        workload.variant if workload.variant != "dense" else "",
        str(workload.precision or ""),
    ]
    title += "".join(f", {change}" for change in changes if change)
    parts.append(
        as_table(
            _counting.summary(workload),
            title=title,
            notes=[note for note in notes if note],
            explained=list(_counting.CONVENTIONS.values()),
        )
    )
    return "\n\n".join(parts)
