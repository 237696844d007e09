"""Reading an ONNX file without its weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx


def read(path: str | Path) -> onnx.ModelProto:
    """Return the model in a file; weights above a kilobyte keep their dimensions and type, not their data.

    Raises:
        ModelError: The file is absent, or is not a well-formed ONNX model.
    """
    import onnx

    return onnx.load(path, load_external_data=False)
