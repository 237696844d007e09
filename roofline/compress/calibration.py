"""Calibration data: arrays of representative inputs, read from a file that a user named."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from roofline.errors import CompressionError, OptionError
from roofline.number_format import plural
from roofline.reading import check_regular

MOST_BYTES = 1 << 32
"""The most that calibration data may unpack to: 4 GiB."""

_UNREADABLE = (
    OSError, ValueError, KeyError, EOFError, SyntaxError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What numpy and the zip format raise for files that they did not write, or that were damaged."""


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of an ``.npz`` file by name.

    Raises:
        OptionError: It is missing, no regular file, no such archive, damaged, or unpacks to more than 4 GiB.
    """
    import numpy as np

    check_regular(path, "calibration file (.npz)", OptionError)
    repair = "Write it with numpy.savez"
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > MOST_BYTES:
            raise OptionError(
                f"{path} unpacks to {plural(size, 'byte')}, more than {MOST_BYTES:,}",
                repair="Give fewer items",
            )
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except _UNREADABLE as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise OptionError(f"{path} holds no arrays: {why}", repair=repair) from error


def batches(
    data: Mapping[str, NDArray[Any]], inputs: Mapping[str, tuple[int | None, ...]]
) -> Iterator[dict[str, NDArray[Any]]]:
    """Yield the inputs batch by batch; an input without axes is given whole each time.

    Args:
        data: Arrays by name, items along the first axis.
        inputs: Shapes of the network's inputs.

    Raises:
        CompressionError: An input has no array, one of another rank, or too few items.
    """
    for name, shape in inputs.items():
        if name not in data:
            raise CompressionError(
                f"the calibration data have no array {name!r}",
                repair=f"Arrays needed: {', '.join(inputs)}",
            )
        if data[name].ndim != len(shape):
            raise CompressionError(
                f"the calibration array {name!r} has {data[name].ndim} axes, and the input has {len(shape)}"
            )
    sliced = [name for name, shape in inputs.items() if shape]
    batch = next((inputs[name][0] or 1 for name in sliced), 1)
    items = min((len(data[name]) for name in sliced), default=1)
    if items < batch:
        raise CompressionError(
            f"the calibration data hold {plural(items, 'item')}, fewer than a batch of {batch}"
        )
    for start in range(0, items - batch + 1, batch):
        yield {
            name: data[name][start : start + batch] if shape else data[name]
            for name, shape in inputs.items()
        }
