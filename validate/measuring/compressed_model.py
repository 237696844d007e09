"""Writes a compressed network to a file that is kept by content, for runs to share."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from roofline.errors import ModelError
from roofline.validate.measuring.environment import package_version
from roofline.writing import write_whole

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be taken from a network."""

    model: str
    """Name of a shipped network, or path of an ``.onnx`` file."""
    keep_channels: float = 1.0
    sparsity: float = 0.0
    sparse_format: str = "dense"
    datatype: str = ""
    seed: int = 0

    @property
    def nothing(self) -> bool:
        """Whether the network is to stay as it is."""
        return self.keep_channels == 1 and not self.sparsity and not self.datatype


@dataclass(frozen=True, slots=True)
class Variant:
    """A file that runs, and what its predictions call it."""

    model: str
    variant: str


def write(wanted: Wanted, folder: Path) -> Variant:
    """Return the compressed network's file, written once for all runs that want the same.

    Args:
        wanted: The network and what is taken from it.
        folder: The cache folder.

    Raises:
        RooflineError: The model cannot be read, or cannot be compressed so.
    """
    if wanted.nothing:
        return Variant(wanted.model, "dense")
    from roofline.compress import Pruning, Request, Sparsity, compress
    from roofline.compress.compressing import serialized
    from roofline.compress.quantization import parse_datatypes

    name, content = _declared(wanted.model)
    identity = json.dumps([asdict(wanted) | {"model": name}, package_version("roofline")])
    digest = hashlib.sha256(content + identity.encode()).hexdigest()[:24]
    place = folder / "variants" / digest
    path, label = place / f"{name}.onnx", place / "variant.txt"
    if label.exists() and path.exists():
        return Variant(str(path), label.read_text(encoding="utf-8"))
    request = Request(
        Pruning(wanted.keep_channels, seed=wanted.seed) if wanted.keep_channels != 1 else None,
        Sparsity(wanted.sparsity, format=wanted.sparse_format) if wanted.sparsity else None,
        parse_datatypes([wanted.datatype]) if wanted.datatype else None,
    )
    done = compress(_with_weights(wanted), request, name=name)
    place.mkdir(parents=True, exist_ok=True)
    write_whole(path, serialized(done.model))
    write_whole(label, done.predicted.variant.encode())
    return Variant(str(path), done.predicted.variant)


def _declared(model: str) -> tuple[str, bytes]:
    """Return a model's name and bytes that stand for all that it is."""
    path = Path(model)
    if path.is_file():
        return path.stem, path.read_bytes()
    from roofline import workloads

    return model, workloads.build(model).SerializeToString(deterministic=True)


def _with_weights(wanted: Wanted) -> onnx.ModelProto:
    path = Path(wanted.model)
    if not path.is_file():
        from roofline import workloads

        return workloads.build(wanted.model, weights="random", seed=wanted.seed)
    from roofline.graph import read

    # The careful reader refuses malformed files with one clear line before the weights are read.
    read(path)
    import onnx

    try:
        return onnx.load(path)  # pyright: ignore[reportUnknownMemberType]
    except (OSError, ValueError, onnx.checker.ValidationError) as error:
        raise ModelError(f"the weights of {path} cannot be read: {error}") from error
