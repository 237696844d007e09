"""Reading an ONNX file without its weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from roofline.errors import ModelError, did_you_mean
from roofline.graph.reading.messages import model_class
from roofline.graph.reading.wire import skim
from roofline.reading import exists, is_file, is_folder

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

    path = check_file(Path(path))
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


def check_file(path: Path) -> Path:
    """Return a path when it is that of a file.

    Raises:
        ModelError: It is a folder, something else, or absent; files with a similar name are named.
    """
    if is_file(path):
        return path
    if is_folder(path):
        inside = [name for name in ("config.json", *_models_in(path)) if (path / name).is_file()]
        raise ModelError(
            f"{path} is a folder, not an ONNX file",
            repair=f"Give a file in it: {path / inside[0]}"
            if inside
            else "Give the path of a file",
        )
    if exists(path):
        raise ModelError(f"{path} is no regular file", repair="Give the path of an ONNX file")
    hint = did_you_mean(path.name, _models_in(path.parent)) or "Check the path"
    raise ModelError(f"there is no file {str(path)!r}", repair=hint)


def _models_in(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir() if entry.suffix == ".onnx")
    except OSError:
        return []
