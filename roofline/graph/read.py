"""Reading an ONNX file without its weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from roofline.errors import ModelError
from roofline.graph.messages import model_class
from roofline.graph.wire import skim

if TYPE_CHECKING:
    import onnx


def read(path: str | Path) -> onnx.ModelProto:
    """Return the model in a file; weights above a kilobyte keep their dimensions and type, not their data.

    External data is never opened, so the file that holds it may be absent.

    Args:
        path: An ONNX file of any size.

    Raises:
        ModelError: The file is absent, or is not a well-formed ONNX model.
    """
    from google.protobuf.message import DecodeError

    path = Path(path)
    if path.is_dir():
        raise ModelError(f"{path} is a folder, not an ONNX file")
    if not path.is_file():
        raise ModelError(f"there is no file {str(path)!r}", repair="Check the path")
    skimmed = skim(path)
    model = model_class()()
    try:
        model.ParseFromString(skimmed)
    except (DecodeError, ValueError):
        raise ModelError(
            f"{path} is not an ONNX model: its fields do not hold what ONNX defines (or nest too deep)",
            repair="Give a file that an ONNX exporter wrote",
        ) from None
    if not model.HasField("graph"):
        raise ModelError(
            f"{path} holds no graph", repair="Give a file that an ONNX exporter wrote"
        )
    return model
