"""Accuracy of an ONNX classifier on labelled data, in ONNX Runtime, with how sure one can be of it."""

from __future__ import annotations

import hashlib
import importlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roofline.errors import MeasurementError, RooflineError
from roofline.extras import optional_import
from roofline.number_format import plural
from roofline.surfaces import argument
from roofline.tables import Record
from roofline.validate.accuracy.datasets import Array, LabelledItems, read_labelled
from roofline.validate.records.record import Measurement, Reported

__all__ = [
    "Accuracy", "LabelledItems", "evaluate", "read_labelled", "wilson_interval", "with_accuracy",
]  # fmt: skip

_Z95 = 1.959963984540054
"""The 97.5 % quantile of the normal distribution."""


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
    classes: int = 0
    """How many scores the model gives."""
    model_sha256: str = ""
    """Digest of the model's file, by which records of its speed are known to be of the same model."""

    @property
    def interval(self) -> tuple[float, float]:
        """Shares between which the top-1 accuracy lies with 95 % confidence, were the items drawn at random."""
        return wilson_interval(self.top1, self.items)

    def record(self) -> Record:
        """Return it as a row; shares are in percent, as charts and tables of accuracies have them."""
        low, high = self.interval
        return {
            "network": self.network, "data": self.source, "items": self.items, "classes": self.classes,
            "accuracy": 100 * self.top1, "accuracy_low": 100 * low, "accuracy_high": 100 * high,
            "top5": None if self.top5 is None else 100 * self.top5, "model_sha256": self.model_sha256,
        }  # fmt: skip


def wilson_interval(share: float, items: int) -> tuple[float, float]:
    """Return the 95 % score interval of a share (Wilson 1927, https://doi.org/10.1080/01621459.1927.10502953).

    Args:
        share: The share found, from 0 to 1.
        items: How many items it was found on.

    Example:
        >>> [round(end, 4) for end in wilson_interval(0.5, 100)]
        [0.4038, 0.5962]
    """
    square = _Z95**2 / items
    middle = (share + square / 2) / (1 + square)
    half = _Z95 / (1 + square) * math.sqrt(share * (1 - share) / items + square / (4 * items))
    return max(0.0, middle - half), min(1.0, middle + half)


def with_accuracy(measurement: Measurement, accuracy: Accuracy) -> Measurement:
    """Return a record that carries an accuracy and where it comes from; its speed stays."""
    source = f"accuracy on {accuracy.source}, {plural(accuracy.items, 'item')}"
    before = measurement.reported or Reported("")
    known = replace(before, accuracy=accuracy.top1, accuracy_source=source)
    return replace(measurement, reported=known)


def evaluate(model: Path | bytes, data: LabelledItems, *, name: str, batch: int = 64) -> Accuracy:
    """Return the accuracy of a classifier with one input and scores as its first output.

    Args:
        model: An ONNX file, or its bytes.
        data: Items in the shape and scale the model takes; they are cast to its datatype.
        name: The network's name.
        batch: Items per run, where the model leaves its leading dimension open; else the model's own, and the last
            run is filled up with items that are not counted.

    Raises:
        MeasurementError: The model does not take such items, or its scores do not fit the labels.
        TableError: An item cannot be read.
        MissingPackageError: ONNX Runtime is not installed.
    """
    with optional_import("evaluating accuracy"):
        ort: Any = importlib.import_module("onnxruntime")
    content = model if isinstance(model, bytes) else model.read_bytes()
    options = ort.SessionOptions()
    # Without it kernels for x86 without VNNI cap sums of two 8-bit products at 16 bits, which the file does not say.
    options.add_session_config_entry("session.x64quantprecision", "1")
    try:
        session: Any = ort.InferenceSession(
            model if isinstance(model, bytes) else str(model),
            options,
            providers=["CPUExecutionProvider"],
        )
    except Exception as error:
        raise MeasurementError(f"ONNX Runtime cannot load {name}: {_line(error)}") from error
    if len(session.get_inputs()) != 1:
        names = ", ".join(entry.name for entry in session.get_inputs())
        raise MeasurementError(
            f"{name} has {plural(len(session.get_inputs()), 'input')} ({names}); a classifier has one"
        )
    taken = _InputLayout.of(name, session.get_inputs()[0])
    ranks: list[NDArray[np.int64]] = []
    classes = 0
    for rows, labels in _runs(data, taken, batch):
        try:
            scores: Array = session.run(None, {taken.name: rows})[0]
        except Exception as error:
            # ONNX Runtime raises classes of its own without a common public base.
            message = f"{name} does not run on {data.source}: {_line(error)}"
            raise MeasurementError(message) from error
        scores = _check_scores(scores, len(rows), data, name)[: len(labels)]
        classes = scores.shape[1]
        own = np.take_along_axis(scores, labels[:, None], axis=1)
        ranks.append((scores > own).sum(axis=1))
    rank = np.concatenate(ranks)
    top5 = float((rank < 5).mean()) if classes > 5 else None
    digest = hashlib.sha256(content).hexdigest()
    return Accuracy(name, data.source, len(rank), float((rank == 0).mean()), top5, classes, digest)


@dataclass(frozen=True, slots=True)
class _InputLayout:
    """What a model's input takes."""

    name: str
    shape: tuple[int | None, ...]
    kind: str

    @classmethod
    def of(cls, model: str, entry: Any) -> _InputLayout:
        kind = _KINDS.get(entry.type)
        if kind is None:
            raise MeasurementError(f"{model} takes {entry.type}, and items are numbers")
        shape = tuple(size if isinstance(size, int) else None for size in entry.shape)
        return cls(entry.name, shape, kind)

    def layout(self, channels: int) -> str:
        """Return the layout of images of so many channels; empty where the shape fits both or none."""
        if len(self.shape) != 4:
            return ""
        first, last = self.shape[1] == channels, self.shape[3] == channels
        return "" if first == last else "nchw" if first else "nhwc"

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Tell whether items of a shape, their number left out, can be given."""
        own = self.shape[1:]
        return len(own) == len(shape) and all(
            size is None or size == given for size, given in zip(own, shape, strict=True)
        )


_KINDS = {
    "tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64", "tensor(uint8)": "uint8",
    "tensor(int8)": "int8", "tensor(int32)": "int32", "tensor(int64)": "int64",
}  # fmt: skip


def _runs(
    data: LabelledItems, taken: _InputLayout, batch: int
) -> Iterator[tuple[Array, NDArray[np.int64]]]:
    """Yield the items of each run and the labels of those that count."""
    size = (taken.shape[0] if taken.shape else None) or batch
    for start in range(0, len(data.items), size):
        rows = _arrange(data.items[start : start + size], data, taken)
        missing = size - len(rows) if taken.shape[0] else 0
        filled = np.concatenate([rows, np.repeat(rows[-1:], missing, axis=0)]) if missing else rows
        yield filled, data.labels[start : start + size]


def _arrange(items: Array, data: LabelledItems, taken: _InputLayout) -> Array:
    """Return items in the layout, scale and datatype that a model takes."""
    last = data.layout == "nhwc"
    prepared = data.preparation.normalize(items, items.ndim - 1 if last else 1)
    if data.layout and prepared.ndim == 4:
        wanted = taken.layout(prepared.shape[3 if last else 1]) or data.layout
        if wanted != data.layout:
            prepared = np.moveaxis(prepared, 3, 1) if last else np.moveaxis(prepared, 1, 3)
    if not taken.fits(prepared.shape[1:]):
        takes = "x".join("?" if size is None else str(size) for size in taken.shape[1:])
        given = "x".join(str(size) for size in prepared.shape[1:])
        raise MeasurementError(
            f"an item of {data.source} is {given}, and the model takes {takes or 'a scalar'}",
            repair=f"Resize images with {argument('resize')}, or name the layout of arrays with {argument('layout')}",
        )
    if prepared.dtype.kind == "f" and taken.kind.lstrip("u").startswith("int"):
        rounded = np.rint(prepared)
        if not np.allclose(prepared, rounded, atol=1e-3):
            raise MeasurementError(
                f"the model takes {taken.kind}, and items of {data.source} are not whole numbers",
                repair=f"For images in files add {argument('pixels').at(255)}",
            )
        prepared = rounded
    return np.ascontiguousarray(prepared.astype(taken.kind))


def _check_scores(scores: Array, rows: int, data: LabelledItems, name: str) -> Array:
    """Return scores as one row for each item.

    Raises:
        MeasurementError: They are no scores of the classes in the data.
    """
    if scores.dtype.kind not in "fiu" or scores.ndim < 2 or scores.shape[0] != rows:
        raise MeasurementError(
            f"the first output of {name} is {scores.dtype} {list(scores.shape)}, not scores of {plural(rows, 'item')}"
        )
    flat = scores.reshape(rows, -1)
    if flat.dtype.kind == "f" and np.isnan(flat).any():
        raise MeasurementError(f"{name} gives scores that are NaN")
    largest, classes = int(data.labels.max()), flat.shape[1]
    if largest >= classes:
        raise MeasurementError(
            f"{data.source} has the class {largest}, and {name} gives {plural(classes, 'score')}"
        )
    if data.classes is not None and data.classes != classes:
        raise MeasurementError(
            f"{data.source} has {plural(data.classes, 'class', 'classes')}, and {name} gives "
            f"{plural(classes, 'score')}",
            repair=f"Name the classes in the order of the scores in a text file, and give it with {argument('labels')}",
        )
    return flat


def _line(error: Exception) -> str:
    if isinstance(error, RooflineError):
        return error.message
    return str(error).splitlines()[0] if str(error) else type(error).__name__
