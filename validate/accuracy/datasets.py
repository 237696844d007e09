"""Labelled data for classifiers: arrays, or a folder of images sorted into one subfolder per class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from roofline.errors import OptionError, TableError, check_known
from roofline.extras import optional_import
from roofline.number_format import plural
from roofline.reading import MAX_INTEGER, check_regular, is_folder, read_text, whole_number
from roofline.surfaces import argument

Array = NDArray[Any]

LABELS = ("y", "labels", "label", "targets", "target")
"""Names that the array of labels in an .npz file can have."""

LAYOUTS = ("nchw", "nhwc")
"""Orders of the axes of images: channels before or after height and width."""


class Items(Protocol):
    """What items are read from: an array, or files that are opened when they are asked for."""

    def __len__(self) -> int: ...
    def __getitem__(self, part: slice, /) -> Array: ...


@dataclass(frozen=True, slots=True)
class Preparation:
    """How pixels are brought to what a model takes: resized, scaled, normalized, in that order."""

    resize: tuple[int, int] | None = None
    """Height and width; for images in files alone."""
    pixels: float = 1.0
    """The value of a white pixel; for images in files alone. Models of integers take 255."""
    mean: tuple[float, ...] = ()
    """Taken off each channel."""
    std: tuple[float, ...] = ()
    """Each channel is divided by it."""

    def __post_init__(self) -> None:
        if any(value == 0 for value in self.std):
            raise OptionError("a standard deviation of 0 normalizes nothing")

    def normalize(self, items: Array, axis: int) -> Array:
        """Return items less the mean, over the standard deviation.

        Args:
            items: Items of any rank.
            axis: The axis of the channels.

        Raises:
            OptionError: There are not as many means or deviations as channels.
        """
        for sign, values in (("mean", self.mean), ("std", self.std)):
            if not values:
                continue
            if axis >= items.ndim or len(values) not in {1, items.shape[axis]}:
                held = items.shape[axis] if axis < items.ndim else 0
                raise OptionError(
                    f"--{sign} has {plural(len(values), 'value')}, and the items {plural(held, 'channel')}"
                )
            shape = [1] * items.ndim
            shape[axis] = len(values)
            factor = np.asarray(values, np.float32).reshape(shape)
            items = items - factor if sign == "mean" else items / factor
        return items


@dataclass(frozen=True, slots=True)
class LabelledItems:
    """Items and their classes."""

    items: Items
    """One item per row of the first axis."""
    labels: NDArray[np.int64]
    source: str
    """The file or folder they come from."""
    layout: str = ""
    """Order of the axes of images, or empty: as the model takes them."""
    classes: int | None = None
    """How many classes there are, where the data say so."""
    preparation: Preparation = field(default_factory=Preparation)

    def __post_init__(self) -> None:
        if self.layout:
            layout = check_known(self.layout, LAYOUTS, f"unknown layout {self.layout!r}")
            object.__setattr__(self, "layout", layout)
        if not len(self.items):
            raise TableError(f"{self.source} has no items")
        if len(self.labels) != len(self.items):
            raise TableError(
                f"{self.source} has {plural(len(self.items), 'item')} and {plural(len(self.labels), 'label')}"
            )
        if int(self.labels.min()) < 0:
            raise TableError(
                f"{self.source} has a negative label", repair="Number the classes from 0"
            )


def read_labelled(
    path: Path,
    *,
    labels: Path | None = None,
    layout: str = "",
    preparation: Preparation | None = None,
) -> LabelledItems:
    """Read labelled data.

    Args:
        path: An ``.npz`` file with an array of labels (``y`` or ``labels``) and one of items; an ``.npy`` file of
            items; or a folder with one subfolder per class that holds images or ``.npy`` arrays.
        labels: For items, an ``.npy`` or text file of whole numbers. For a folder, a text file that names the
            subfolders in the order of the model's scores, one a line; else they are taken in sorted order.
        layout: One of `LAYOUTS`, where the model may take another; images in files are ``nchw`` by themselves.
        preparation: Resizing and normalization.

    Raises:
        TableError: The data are absent, or do not have that form.
        OptionError: The layout is unknown, or a preparation does not fit.
        MissingPackageError: Images are given and Pillow is not installed.
    """
    prepared = preparation or Preparation()
    if is_folder(path):
        return _folder(path, labels, layout, prepared)
    if prepared.resize is not None:
        raise OptionError(
            f"{path.name} holds arrays, which are not resized",
            repair=f"Leave out {argument('resize')}, or give a folder of images",
        )
    items, classes = _arrays(path, labels)
    return LabelledItems(items, classes, path.name, layout, preparation=prepared)


def _arrays(path: Path, labels: Path | None) -> tuple[Array, NDArray[np.int64]]:
    held = _open(path)
    given = {} if labels is None else {"y": _label_file(labels)}
    named = [name for name in LABELS if name in held] if labels is None else []
    items = [name for name in held if name not in LABELS]
    if len(items) != 1 or (len(named) != 1 and not given):
        found = ", ".join(held) if path.suffix == ".npz" else "items and no labels"
        raise TableError(
            f"{path} has the arrays {found or 'none'}",
            repair=f"Give one of items (x) and one of labels (y), or the labels with {argument('labels')}",
        )
    values = given["y"] if given else held[named[0]]
    if values.ndim != 1 or values.dtype.kind not in "iu":
        where = labels or path
        raise TableError(f"the labels in {where} are not one whole number for each item")
    array = held[items[0]]
    if array.ndim < 2:
        raise TableError(f"the items in {path} have no axes of their own beside their number")
    if array.dtype.kind not in "fiub":
        raise TableError(f"the items in {path} are not numbers but {array.dtype}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise TableError(f"the items in {path} hold NaN or infinity")
    return array, values.astype(np.int64)


def _open(path: Path) -> Mapping[str, Array]:
    check_regular(path, "file of arrays")
    try:
        loaded: Any = np.load(path, allow_pickle=False)
        if not hasattr(loaded, "files"):
            return {"x": loaded}
        with loaded:
            return dict(loaded)
    except (OSError, ValueError, TypeError, EOFError) as error:
        raise TableError(
            f"{path} holds no arrays: {error}",
            repair="Write it with numpy.savez(path, x=items, y=labels)",
        ) from error


def _label_file(path: Path) -> Array:
    if path.suffix == ".npy":
        (labels,) = _open(path).values()
        return labels
    lines = _lines(path)
    numbers = [
        whole_number(line, f"{path} label {number}", least=-MAX_INTEGER, error=TableError)
        for number, line in enumerate(lines, 1)
    ]
    return np.array(numbers, np.int64)


def _lines(path: Path) -> list[str]:
    lines = read_text(path, "list of labels").split("\n")
    return [line.strip() for line in lines if line.strip()]


def _folder(
    path: Path, labels: Path | None, layout: str, preparation: Preparation
) -> LabelledItems:
    present = {entry.name: entry for entry in sorted(path.iterdir()) if entry.is_dir()}
    names = list(present) if labels is None else _lines(labels)
    absent = [name for name in present if name not in names]
    if absent:
        raise TableError(f"{labels} does not name the subfolder {absent[0]!r} of {path}")
    files = [
        (file, number)
        for number, name in enumerate(names)
        if name in present
        for file in sorted(present[name].iterdir())
        if file.is_file() and not file.name.startswith(".")
    ]
    if not files:
        raise TableError(
            f"{path} has no subfolders with items", repair="Give one subfolder for each class"
        )
    items = Files(tuple(file for file, _ in files), preparation)
    numbers = np.array([number for _, number in files], np.int64)
    return LabelledItems(items, numbers, path.name, layout or "nchw", len(names), preparation)


class Files:
    """Images and arrays in files, read when they are asked for; of an image, channels come first.

    All images are read as the first one is: grey when it is, else red, green and blue.
    """

    def __init__(self, files: Sequence[Path], preparation: Preparation) -> None:
        self._files = tuple(files)
        self._preparation = preparation
        self._mode = ""

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, part: slice, /) -> Array:
        items = [self._item(file) for file in self._files[part]]
        for file, item in zip(self._files[part], items, strict=True):
            if item.shape != items[0].shape:
                raise TableError(
                    f"{file} is {_size(item.shape)}, and others are {_size(items[0].shape)}",
                    repair=f"Bring images to one size with {argument('resize').at('HEIGHTxWIDTH')}",
                )
        return np.stack(items)

    def _item(self, file: Path) -> Array:
        if file.suffix == ".npy":
            (array,) = _open(file).values()
            return array
        with optional_import(f"reading {file.name}"):
            from PIL import Image, UnidentifiedImageError
        try:
            with Image.open(file) as image:
                self._mode = self._mode or ("L" if image.mode in {"1", "L"} else "RGB")
                shown = image.convert(self._mode)
                if self._preparation.resize is not None:
                    height, width = self._preparation.resize
                    shown = shown.resize((width, height), Image.Resampling.BILINEAR)
                pixels: Array = np.asarray(shown, np.float32) * self._preparation.pixels / 255
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
            raise TableError(f"{file} is no image") from error
        return pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)


def _size(shape: Sequence[int]) -> str:
    return "x".join(str(size) for size in shape)
