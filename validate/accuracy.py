"""Accuracy of an ONNX classifier on labelled data, in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roofline.errors import MeasurementError, MissingPackageError, TableError

Array = NDArray[Any]
LABELS = ("y", "labels", "label", "targets", "target")
"""Names that the array of labels in an .npz file can have."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """Items and their classes."""

    items: Array
    """One item per row of the first axis."""
    labels: NDArray[np.int64]
    source: str
    """The file or folder they come from."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How often a classifier is right."""

    network: str
    source: str
    """The data it was evaluated on."""
    items: int
    top1: float
    """Share of the items whose class has the largest score."""
    top5: float | None
    """Share whose class is among the five largest; None for fewer than six classes."""

    def record(self) -> dict[str, Any]:
        """Return it as a row."""
        return {
            "network": self.network, "data": self.source, "items": self.items, "top1": self.top1, "top5": self.top5,
        }  # fmt: skip


def read_labelled(path: Path) -> Labelled:
    """Read labelled data.

    Args:
        path: An ``.npz`` file with an array of labels (``y`` or ``labels``) and one of items, or a folder with one
            subfolder per class, in sorted order, that holds ``.npy`` arrays or images.

    Raises:
        TableError: The data are absent, or do not have that form.
        MissingPackageError: Images are given and Pillow is not installed.
    """
    if path.is_dir():
        return _folder(path)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            held = dict(arrays)
    except (OSError, ValueError, TypeError) as error:
        raise TableError(
            f"{path} holds no arrays: {error}",
            repair="Write it with numpy.savez(path, x=items, y=labels)",
        ) from error
    named = [name for name in LABELS if name in held]
    items = [name for name in held if name not in LABELS]
    if len(named) != 1 or len(items) != 1:
        raise TableError(
            f"{path} has the arrays {', '.join(held) or 'none'}",
            repair="Give one of items (x) and one of labels (y)",
        )
    labels = held[named[0]]
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or len(labels) != len(held[items[0]]):
        raise TableError(f"the labels in {path} are not one whole number for each item")
    return _checked(Labelled(held[items[0]], labels.astype(np.int64), path.name))


def evaluate(model: Path | bytes, data: Labelled, *, name: str, batch: int = 64) -> Accuracy:
    """Return the accuracy of a classifier with one input and scores as its first output.

    Args:
        model: An ONNX file, or its bytes.
        data: Items in the shape and scale the model takes; they are cast to its datatype.
        name: The network's name.
        batch: Items per run, where the model leaves its leading dimension open.

    Raises:
        MeasurementError: The model does not run on the items, or its scores do not fit the labels.
        MissingPackageError: ONNX Runtime is not installed.
    """
    try:
        import onnxruntime as ort  # pyright: ignore[reportMissingTypeStubs]
    except ImportError as error:
        raise MissingPackageError("onnxruntime", "validate", "evaluating accuracy") from error
    try:
        session: Any = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
        first = session.get_inputs()[0]
        fixed = first.shape[0] if first.shape and isinstance(first.shape[0], int) else None
        run: Callable[[Array], Array] = lambda rows: session.run(None, {first.name: rows})[0]  # noqa: E731
        scores = np.concatenate(
            [
                run(rows)[:count]
                for rows, count in _batches(data.items, fixed or batch, _KINDS.get(first.type))
            ]
        )
    except Exception as error:
        # ONNX Runtime raises classes of its own without a common public base.
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise MeasurementError(f"{name} does not run on {data.source}: {reason}") from error
    scores = scores.reshape(len(scores), -1)
    classes = scores.shape[1]
    if int(data.labels.max()) >= classes:
        raise MeasurementError(
            f"{data.source} has the class {int(data.labels.max())}, and {name} gives {classes} scores"
        )
    rank = (scores > np.take_along_axis(scores, data.labels[:, None], axis=1)).sum(axis=1)
    top5 = float((rank < 5).mean()) if classes > 5 else None
    return Accuracy(name, data.source, len(scores), float((rank == 0).mean()), top5)


_KINDS = {
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
    "tensor(int64)": "int64",
}


def _batches(items: Array, size: int, kind: str | None) -> Iterator[tuple[Array, int]]:
    """Yield runs of items and how many of each are real; the last is filled up by repeating its last item."""
    for start in range(0, len(items), size):
        rows = items[start : start + size].astype(kind or "float32")
        missing = size - len(rows)
        yield np.concatenate([rows, np.repeat(rows[-1:], missing, axis=0)]), len(rows)


def _folder(path: Path) -> Labelled:
    classes = sorted(entry for entry in path.iterdir() if entry.is_dir())
    files = [
        (file, label)
        for label, entry in enumerate(classes)
        for file in sorted(entry.iterdir())
        if file.is_file()
    ]
    if not files:
        raise TableError(
            f"{path} has no subfolders with items", repair="Give one subfolder for each class"
        )
    items = [_item(file) for file, _ in files]
    if len({item.shape for item in items}) > 1:
        raise TableError(
            f"the items in {path} have different shapes",
            repair="Bring them to the model's input shape",
        )
    return _checked(Labelled(np.stack(items), np.array([label for _, label in files]), path.name))


def _item(file: Path) -> Array:
    if file.suffix == ".npy":
        try:
            return np.load(file, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise TableError(f"{file} holds no array: {error}") from error
    try:
        from PIL import Image, UnidentifiedImageError  # pyright: ignore
    except ImportError as error:
        raise MissingPackageError(
            "pillow", "validate", f"reading the image {file.name}"
        ) from error
    try:
        with Image.open(file) as image:  # pyright: ignore
            pixels: Array = np.asarray(image, np.float32) / 255  # pyright: ignore
    except (OSError, UnidentifiedImageError) as error:
        raise TableError(f"{file} is no image") from error
    return pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)


def _checked(data: Labelled) -> Labelled:
    if not len(data.items):
        raise TableError(f"{data.source} has no items")
    if int(data.labels.min()) < 0:
        raise TableError(f"{data.source} has a negative label", repair="Number the classes from 0")
    return data
