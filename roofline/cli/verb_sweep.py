"""``roofline sweep``: predictions for every combination that a file names."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roofline.cli._compression import compressed
from roofline.cli._options import load_model
from roofline.cli._output import (
    Format,
    FormatOption,
    as_csv,
    as_json,
    as_table,
    emit,
    say,
    writable,
)
from roofline.cli._predictions import cells_left_out, cells_of, conventions, footnotes
from roofline.cli._sweep_file import EXAMPLE, SweepFile, Variant, read_sweep
from roofline.number_format import plural
from roofline.writing import write_whole

if TYPE_CHECKING:
    from roofline._sweep import Sweep
    from roofline.workload import Workload

app = typer.Typer()

LONG = 10_000
"""Predictions from which a sweep says how long it will take before it starts."""
SECONDS_EACH = 2e-4
"""Time of one prediction on a current core, roughly."""


@app.command()
def sweep(
    *,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE.yaml", help="What to predict; leave out for an example."),
    ] = None,
    form: FormatOption = Format.CSV,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            callback=writable,
            help="Write to this file; .parquet for Parquet, .json for JSON.",
        ),
    ] = None,
) -> None:
    """Predict networks × variants × machines × datatypes × batches, to CSV, JSON or Parquet."""
    if file is None:
        emit(EXAMPLE, None)
        return
    asked = read_sweep(file)
    if asked.size >= LONG:
        say(f"{plural(asked.size, 'prediction')}, roughly {asked.size * SECONDS_EACH:,.0f} s")
    result = _run(asked)
    suffix = "" if output is None else output.suffix.lower()
    if output is not None and suffix == ".parquet":
        from roofline.model._prediction import frame

        buffer = io.BytesIO()
        _require_pyarrow()
        # pandas leaves the keyword arguments of this method untyped.
        table: Any = frame(result.rows())
        table.to_parquet(buffer, index=False)
        write_whole(output, buffer.getvalue())
    elif suffix == ".json" or form is Format.JSON:
        document = {
            "conventions": conventions(result.predictions),
            "predictions": result.rows(),
        }
        emit(as_json(document), output)
    elif form is Format.TABLE:
        notes, explained = footnotes(result.predictions, [])
        shown = cells_of(result.predictions) + cells_left_out(result.skipped)
        emit(as_table(shown, notes=notes, explained=explained), output)
    else:
        emit(as_csv(result.rows()), output)
    for reason in dict.fromkeys(gone.reason for gone in result.skipped):
        say(f"roofline: left out: {reason}")


def _run(asked: SweepFile) -> Sweep:
    from roofline._sweep import Sweep
    from roofline._sweep import sweep as every
    from roofline.spec import platform

    machines = [platform(asked.found(key)) for key in asked.platforms]
    networks = [load_model(asked.found(name)) for name in asked.networks]

    def at(variant: Variant) -> Sweep:
        def prepare(workload: Workload, datatype: str | None) -> Workload:
            datatypes = [] if datatype is None else [datatype]
            return compressed(
                workload, variant.keep_channels, variant.sparsity, variant.sparse_format, datatypes
            )

        return every(
            networks, machines, datatypes=asked.datatypes or None, batches=asked.batches, model=asked.model,
            traffic=asked.traffic, operations=asked.operations, weights_read=asked.weights_read,
            emulate=asked.emulate, prepare=prepare,
        )  # fmt: skip

    parts = [at(variant) for variant in asked.variants]
    predictions = [prediction for part in parts for prediction in part.predictions]
    # Networks first, as in the file; their variants follow one another.
    order = {name.name: place for place, name in enumerate(networks)}
    predictions.sort(key=lambda prediction: order[prediction.network])
    skipped = dict.fromkeys(gone for part in parts for gone in part.skipped)
    return Sweep(tuple(predictions), tuple(skipped))


def _require_pyarrow() -> None:
    from importlib.util import find_spec

    from roofline.errors import MissingPackageError

    if find_spec("pyarrow") is None:
        raise MissingPackageError("pyarrow", "tables", "A Parquet file")
