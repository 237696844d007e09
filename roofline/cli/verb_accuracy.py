"""``roofline accuracy``: evaluate an ONNX classifier on labelled data in ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from roofline.cli._output import (
    Format,
    FormatOption,
    OutputOption,
    as_csv,
    as_json,
    as_table,
    emit,
)

app = typer.Typer()

CONVENTIONS = {
    "top1": "share of items whose class has the largest score; a tie counts as right",
    "data": "items are given to the model as they are: scaling and cropping are the data's own",
}
"""How the figures are meant."""


@app.command()
def accuracy(
    *,
    models: Annotated[
        list[Path], typer.Argument(metavar="MODEL...", help="ONNX classifiers with their weights.")
    ],
    data: Annotated[
        Path,
        typer.Option(
            "--data",
            help="An .npz file with arrays x and y, or a folder with a subfolder per class.",
        ),
    ],
    batch: Annotated[
        int, typer.Option("--batch", "-b", min=1, help="Items per run, where the model allows.")
    ] = 64,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
) -> None:
    """Evaluate classifiers: how often the right class has the largest score."""
    from roofline.graph import read
    from roofline.validate.accuracy import evaluate, read_labelled

    labelled = read_labelled(data)
    rows: list[dict[str, Any]] = []
    for model in models:
        # The careful reader refuses what is no model with one clear line.
        read(model)
        rows.append(evaluate(model, labelled, name=model.stem, batch=batch).record())
    if form is Format.JSON:
        emit(as_json({"conventions": CONVENTIONS, "accuracies": rows}), output)
    elif form is Format.CSV:
        emit(as_csv(rows), output)
    else:
        emit(as_table(rows, notes=list(CONVENTIONS.values())), output)
