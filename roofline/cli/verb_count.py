"""``roofline count``: what a model requires, in total and layer by layer."""

from __future__ import annotations

import gc
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from roofline.cli import _counting
from roofline.cli._compression import CompressionOptions, with_zeros
from roofline.cli._decoding import (
    PANEL,
    ContextOptions,
    DecoderOptions,
    split_decoders,
)
from roofline.cli._differences import layer_changes, network_lines
from roofline.cli._groups import command
from roofline.cli._options import (
    BoundSizesOption,
    InputOptions,
    ModelArgument,
    load_together,
)
from roofline.cli._output import OrderOptions, ResultOptions, as_table
from roofline.conventions import Causal
from roofline.decoding.request import Phase
from roofline.errors import UnsupportedOperatorError
from roofline.tables import Record, cells

if TYPE_CHECKING:
    from roofline.workload import Workload

app = typer.Typer(add_completion=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class CountOptions:
    """What is counted of a network, and what is shown of it."""

    layers: bool = False
    """One row per executed ONNX node."""
    fused: bool = False
    """One row per layer as runtimes fuse it, and what was fused."""
    causal: Causal = Causal.VISIBLE
    """Scores of causal attention: visible to the mask, or the full square."""
    zeros: bool = False
    """Count the zeros in the stored weights (reads the weights)."""
    strict: bool = False
    """Fail when anything could not be counted."""
    platform: Annotated[str | None, typer.Option("-p")] = None
    """Show how long each fused layer takes at least on it."""
    diff: Annotated[str | None, typer.Option(metavar="OTHER")] = None
    """The same as `roofline compare`, which takes its place."""


@dataclass(frozen=True, kw_only=True)
class PartOptions(ContextOptions):
    """Which part of answering a request is counted of a decoder."""

    phase: Annotated[Phase | None, typer.Option(rich_help_panel=PANEL)] = None
    """Count the prompt, or one token behind it (decode, the default)."""


@command(app)
def count(
    *,
    model: ModelArgument,
    options: CountOptions,
    inputs: InputOptions,
    bound_sizes: BoundSizesOption = False,
    compression: CompressionOptions,
    part: PartOptions,
    order: OrderOptions,
    result: ResultOptions,
) -> None:
    """Count what a model requires: operations, parameters, bytes and intensity.

    --sort and --top are of the layers, and show them.
    """
    from roofline.cli._compared_networks import ComparedNetworks

    _spare_collector()
    binding = inputs.bound(bound_sizes=bound_sizes, causal=options.causal)
    request = DecoderOptions(context=part.context, phase=part.phase).request()
    others = [] if options.diff is None else [options.diff]
    if request is None:
        counted, *found = load_together([model, *others], binding)
    else:
        found = load_together(others, binding)
        _, (decoder,) = split_decoders([model], request, bound=inputs.is_given)
        asked = replace(request, new_tokens=1, causal=options.causal)
        decoder.check(asked)
        phase_of = decoder.prompt if part.phase is Phase.PREFILL else decoder.step
        counted = phase_of(asked, inputs.batch or 1)
    workload = compression.under(counted)
    workload = with_zeros(workload) if options.zeros else workload
    other = found[0] if found else None
    counted_whole = [workload] if other is None else [workload, other]
    for entry in counted_whole if options.strict else ():
        _check(entry)
    times = _times(workload, options.platform)
    listed = options.layers or order.is_given
    view = _counting.LayerView(
        options.fused or options.platform is not None, times, order.sort, order.top
    )

    def table() -> str:
        if other is None:
            return _table(workload, view, layers=listed)
        names = (workload.name, f"{other.name} (other)")
        page = ComparedNetworks(
            workload, other, names, layers=options.layers, fused=options.fused, order=order
        )
        return page.table()

    result.emit(
        document=lambda: _document(workload, other, view),
        rows=lambda: _rows(counted_whole, view, layers=listed),
        table=table,
    )


def _times(workload: Workload, platform: str | None) -> dict[str, float]:
    """Return the least time of each fused layer on a machine in seconds; nothing where none is named."""
    if platform is None:
        return {}
    from roofline.model import predict
    from roofline.spec import platform as find

    found = predict(workload, find(platform), model="layerwise")
    return {layer.name: layer.time_s for layer in found.layers}


def _spare_collector() -> None:
    """Leave out what a process that counts once and ends has no use for."""
    # Numpy's linear algebra starts threads that spin; nothing here multiplies matrices.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Everything that is built lives until the end, so there is nothing to collect.
    gc.disable()


def _check(workload: Workload) -> None:
    unknown = list(workload.unknown_layers)
    if unknown:
        names = ", ".join(repr(layer.name) for layer in unknown[:3])
        more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
        raise UnsupportedOperatorError(
            f"{workload.name}: {names}{more} could not be counted: {unknown[0].note}",
            repair="Leave --strict out to count the rest",
        )


def _document(
    workload: Workload, other: Workload | None, view: _counting.LayerView
) -> dict[str, object]:
    found = _counting.document(workload, fused=view.fused) | {"layers": view.rows(workload)}
    return found if other is None else found | {"diff": _diff(workload, other, fused=view.fused)}


def _diff(workload: Workload, other: Workload, *, fused: bool) -> dict[str, object]:
    """Return the differences under the names that ``--diff`` gives them."""
    counted = cells(_counting.totals(workload))
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
                "name": change.name,
                "change": change.change,
                "this": change.first,
                "other": change.second,
            }
            for change in layer_changes(workload, other, fused=fused)
        ],
    }


def _rows(counted: Sequence[Workload], view: _counting.LayerView, *, layers: bool) -> list[Record]:
    rows: list[Record] = []
    for workload in counted:
        if layers or view.fused:
            rows += [{"model": workload.name, **row} for row in view.rows(workload)]
        else:
            found = _counting.totals(workload)
            row = {"model": workload.name, "batch": workload.batch, **cells(found)}
            del row["intensity"]
            rows.append(row | {f"intensity_{name}": x for name, x in found.intensity.items()})
    return rows


def _table(workload: Workload, view: _counting.LayerView, *, layers: bool) -> str:
    fused = view.fused
    parts: list[str] = []
    if layers or fused:
        parts.append(as_table(view.table(workload)))
    inputs = _counting.listed_inputs(
        {tensor.name: tensor.shape or () for tensor in workload.inputs}
    )
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
            remarks=[*(_counting.fusion_notes(workload) if fused else []), *workload.notes],
            notes=["; ".join(_counting.coverage_notes(workload))],
            explained=list(_counting.CONVENTIONS.values()),
        )
    )
    return "\n\n".join(parts)
