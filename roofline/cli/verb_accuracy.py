"""``roofline accuracy``: evaluate an ONNX classifier on labelled data in ONNX Runtime."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roofline.cli._groups import command
from roofline.cli._output import ResultOptions, as_table
from roofline.errors import printable
from roofline.labels import labels
from roofline.number_format import plural
from roofline.reading import is_file, real_number, whole_number
from roofline.tables import Record, Row

if TYPE_CHECKING:
    from roofline.validate.accuracy.datasets import LabelledItems
    from roofline.validate.accuracy.evaluation import Accuracy

app = typer.Typer(add_completion=False)

CONVENTIONS = {
    "accuracy": "percent of items whose class has the largest score (top 1); a tie counts as right",
    "interval": "95 %, by Wilson's score: how far chance in the choice of items reaches",
    "data": "arrays are given as they are; images in files as 0 to 1, channels where the model has them",
}
"""How the figures are meant."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationOptions:
    """What is classified, how it is brought to which classifiers, and where their accuracy is noted."""

    models: Annotated[list[Path], typer.Argument(metavar="MODEL...")]
    """ONNX classifiers with their weights."""
    data: Path
    """An .npz file with arrays x and y, an .npy file, or a folder with a subfolder per class."""
    labels: Path | None = None
    """Classes of the items (.npy, or one number a line); for a folder, its subfolders in the order of the scores, one a
    line."""
    layout: str = ""
    """Axes of image arrays: nchw or nhwc; else as the model's."""
    resize: Annotated[str, typer.Option(metavar="HxW")] = ""
    """Bring images to this size."""
    pixels: float = 1.0
    """What a white pixel of an image becomes: 1 or 255."""
    mean: str = ""
    """Taken off each channel: 0.485,0.456,0.406."""
    std: str = ""
    """Each channel is divided by it: 0.229,0.224,0.225."""
    batch: Annotated[int, typer.Option("-b", min=1)] = 64
    """Items per run, where the model allows."""
    store: Path | None = None
    """Note the accuracy in every record of the same model in this store."""

    def read(self) -> LabelledItems:
        """Return the items with their classes.

        Raises:
            RooflineError: A text or a file cannot be read.
        """
        from roofline.validate.accuracy.datasets import Preparation, read_labelled

        preparation = Preparation(
            _size(self.resize),
            self.pixels,
            _numbers("--mean", self.mean),
            _numbers("--std", self.std),
        )
        return read_labelled(
            self.data, labels=self.labels, layout=self.layout, preparation=preparation
        )


@command(app)
def accuracy(*, options: EvaluationOptions, result: ResultOptions) -> None:
    """Evaluate classifiers: how often the right class has the largest score."""
    from roofline.graph import read
    from roofline.validate.accuracy.evaluation import evaluate

    models, store = options.models, options.store
    labelled = options.read()
    found: list[Accuracy] = []
    names = labels([printable(model.stem) for model in models], [str(model) for model in models])
    for model, name in zip(models, names, strict=True):
        # The careful reader refuses what is no model with one clear line.
        read(model)
        found.append(evaluate(model, labelled, name=name, batch=options.batch))
    notes: list[str] = []
    if store is not None:
        notes.append(f"noted in {plural(_note(found, store), 'record')} of {store}")
    rows = [entry.record() for entry in found]
    result.emit(
        document=lambda: {"conventions": CONVENTIONS, "accuracies": rows},
        rows=lambda: rows,
        table=lambda: as_table(
            [_cells(row) for row in rows], notes=notes, explained=list(CONVENTIONS.values())
        ),
    )


def _cells(row: Row) -> Record:
    return {
        "network": row["network"],
        "data": row["data"],
        "items": row["items"],
        "classes": row["classes"],
        "top 1, %": f"{row['accuracy']:.2f}",
        "95 % interval": f"{row['accuracy_low']:.2f} to {row['accuracy_high']:.2f}",
        "top 5, %": None if row["top5"] is None else f"{row['top5']:.2f}",
    }


def _note(found: list[Accuracy], path: Path) -> int:
    from roofline.errors import StoreError
    from roofline.validate.records.store import Store

    if not is_file(path):
        raise StoreError(f"there is no record store {path}", repair="Measure the model first")
    with Store(path) as store:
        return sum(store.note_accuracy(entry) for entry in found)


def _size(text: str) -> tuple[int, int] | None:
    if not text:
        return None
    height, _, width = text.lower().partition("x")
    sizes = [whole_number(size, "--resize", most=1 << 16) for size in (height, width or height)]
    return sizes[0], sizes[1]


def _numbers(flag: str, text: str) -> tuple[float, ...]:
    return tuple(real_number(part, flag) for part in text.split(",")) if text else ()
