"""Writes a compressed network to a file that is kept by content, for runs to share."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from roofline.errors import ModelError, printable
from roofline.validate.measuring.environment import package_version
from roofline.validate.records.compression import Compression
from roofline.writing import write_whole

if TYPE_CHECKING:
    import onnx


def write(model: str, compression: Compression, folder: Path, *, seed: int = 0) -> Path:
    """Return the compressed network's file, written once for all runs that want the same.

    Args:
        model: Name of a shipped network, or path of an ``.onnx`` file.
        compression: What is taken from it.
        folder: The cache folder.
        seed: Of channels chosen by chance, and of the weights of networks shipped without.

    Raises:
        RooflineError: The model cannot be read, or cannot be compressed so.
    """
    from roofline.compress import compress
    from roofline.compress.compressing import serialize

    name, content = _identity(model)
    asked = [name, asdict(compression), seed, package_version("roofline")]
    digest = hashlib.sha256(content + json.dumps(asked).encode()).hexdigest()[:24]
    path = folder / "variants" / digest / f"{name}.onnx"
    if not path.exists():
        done = compress(_with_weights(model, seed), compression.request(seed=seed), name=name)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, serialize(done.model))
    return path


def _identity(model: str) -> tuple[str, bytes]:
    """Return a model's name and bytes that stand for all that it is."""
    path = Path(model)
    if path.is_file():
        return printable(path.stem), path.read_bytes()
    from roofline import workloads

    return model, workloads.build(model).SerializeToString(deterministic=True)


def _with_weights(model: str, seed: int) -> onnx.ModelProto:
    path = Path(model)
    if not path.is_file():
        from roofline import workloads

        return workloads.build(model, weights="random", seed=seed)
    from roofline.graph import read

    # The careful reader refuses malformed files with one clear line before the weights are read.
    read(path)
    import onnx

    try:
        return onnx.load(path)  # pyright: ignore[reportUnknownMemberType]
    except (OSError, ValueError, onnx.checker.ValidationError) as error:
        raise ModelError(f"the weights of {path} cannot be read: {error}") from error
