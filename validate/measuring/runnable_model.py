"""Makes a runnable ONNX file of what a user named: weights filled in, input shapes fixed, inputs drawn."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from roofline._load import shipped
from roofline.errors import DimensionError, MeasurementError, ModelError
from roofline.graph.reading.read import check_file
from roofline.node import Array
from roofline.validate.measuring.random_weights import fill, random_input
from roofline.writing import write_whole

BATCH_NAMES = ("n", "b", "batch", "batch_size", "batchsize", "bs")
"""Names of a symbolic first dimension that ``--batch`` sets, in lower case; any other name does too,
when it is the first dimension of the first input."""


@dataclass(frozen=True, slots=True)
class Runnable:
    """A model that any runtime can run, with its inputs."""

    model: Path
    inputs: Path
    """The input arrays, an ``.npz`` by name."""
    sha256: str
    """Digest of the model as it was given."""
    network: str
    batch: int
    filled: int
    """How many weights had to be filled with random elements."""
    datatype: str
    """Datatype of the widest weights, in this project's words."""


def make_runnable(
    model: str, *, batch: int | None, dims: Mapping[str, int], seed: int, folder: Path
) -> Runnable:
    """Read a model, fill in what it lacks, and keep the result by content.

    Args:
        model: Path of an ``.onnx`` file, or the name of a shipped network.
        batch: Items per inference; None keeps the graph's own (1 where it is symbolic).
        dims: Values of symbolic dimensions by name.
        seed: Seed of random weights and inputs.
        folder: The cache folder.

    Returns:
        Where the runnable model and its inputs are.

    Raises:
        ModelError: The file cannot be read.
        DimensionError: A symbolic dimension has no value, or the batch is fixed at another one.
    """
    network, proto, source = _read(model, batch, seed)
    shapes = _fix_inputs(proto, batch, dims)
    digest = hashlib.sha256(source).hexdigest()
    identity = f"{digest} {sorted(shapes.items())} {seed}"
    place = folder / "models" / hashlib.sha256(identity.encode()).hexdigest()[:24]
    path, inputs = place / "model.onnx", place / "inputs.npz"
    parent = Path(model).parent if Path(model).is_file() else None
    datatype = _datatype(proto)
    filled = fill(proto, seed=seed, folder=parent)
    if parent is not None:
        _load_external(proto, parent)
    if not path.exists() or not inputs.exists():
        place.mkdir(parents=True, exist_ok=True)
        arrays = {
            entry.name: random_input(
                entry.name, shapes[entry.name], entry.type.tensor_type.elem_type, seed=seed
            )
            for entry in _inputs(proto)
        }
        save_arrays(inputs, arrays)
        write_whole(path, proto.SerializeToString())
    size = next((shape[0] for shape in shapes.values() if shape), 1)
    return Runnable(path, inputs, digest, network, batch or size, filled, datatype)


def save_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write arrays by name as an ``.npz``, whole or not at all.

    Raises:
        MeasurementError: An array's datatype is one that NumPy's archives cannot hold.
    """
    for name, array in arrays.items():
        if array.dtype.kind == "V":
            raise MeasurementError(
                f"{name!r} has the datatype {array.dtype}, which cannot be kept"
            )
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    write_whole(path, buffer.getvalue())


def load_arrays(path: Path) -> dict[str, Array]:
    """Return the arrays of an ``.npz`` by name."""
    with np.load(path) as archive:
        return {name: archive[name] for name in archive.files}


def _read(model: str, batch: int | None, seed: int) -> tuple[str, Any, bytes]:
    import onnx

    if shipped(model) is None:
        path = check_file(Path(model))
        source = path.read_bytes()
        try:
            proto = onnx.load_model_from_string(source)
        except Exception as error:
            raise ModelError(f"{model} is not an ONNX model") from error
        return path.stem, proto, source
    from roofline import workloads

    declared = workloads.build(model, batch=batch)
    source = declared.SerializeToString(deterministic=True)
    return model, workloads.build(model, weights="random", seed=seed, batch=batch or 1), source


def _inputs(proto: Any) -> list[Any]:
    """Inputs that a caller must give: old files list every initializer as an input too."""
    stored = {tensor.name for tensor in proto.graph.initializer}
    return [entry for entry in proto.graph.input if entry.name not in stored]


def _fix_inputs(
    proto: Any, batch: int | None, dims: Mapping[str, int]
) -> dict[str, tuple[int, ...]]:
    entries = _inputs(proto)
    values = dict(dims)
    if entries and entries[0].type.tensor_type.shape.dim:
        first = entries[0].type.tensor_type.shape.dim[0]
        if first.HasField("dim_param") or not first.dim_value:
            name = first.dim_param or "batch"
            first.dim_param = name
            values.setdefault(name, batch or 1)
        elif batch is not None and first.dim_value != batch:
            raise DimensionError(
                f"the batch of {entries[0].name!r} is fixed at {first.dim_value} in the graph",
                repair=f"Leave out --batch {batch}, or export the model with a symbolic batch",
            )
    shapes: dict[str, tuple[int, ...]] = {}
    for entry in entries:
        for position, dim in enumerate(entry.type.tensor_type.shape.dim):
            if dim.dim_value:
                continue
            name = dim.dim_param
            if position == 0 and (not name or name.lower() in BATCH_NAMES):
                values.setdefault(name, batch or 1)
            if name not in values:
                raise DimensionError(
                    f"input {entry.name!r} has no size for dimension {position} ({name or '?'})",
                    repair=f"Give it with --dim {name or 'NAME'}=N",
                )
            dim.dim_value = values[name]
        shapes[entry.name] = tuple(dim.dim_value for dim in entry.type.tensor_type.shape.dim)
    # Shapes recorded inside and at the outputs may still hold the symbols; runtimes infer them again.
    for entry in proto.graph.output:
        for dim in entry.type.tensor_type.shape.dim:
            if dim.dim_param in values:
                dim.dim_value = values[dim.dim_param]
    del proto.graph.value_info[:]
    return shapes


def _load_external(proto: Any, folder: Path) -> None:
    from onnx import external_data_helper

    try:
        external_data_helper.load_external_data_for_model(proto, str(folder))
    except Exception as error:
        raise ModelError(f"the external data of the model cannot be read: {error}") from error


_NAMES = {1: "fp32", 2: "uint8", 3: "int8", 10: "fp16", 11: "fp64", 16: "bf16"}


def _datatype(proto: Any) -> str:
    """Return the datatype most weight elements have; ``int8`` when any operator is quantized."""
    if any("Integer" in node.op_type or "QLinear" in node.op_type for node in proto.graph.node):
        return "int8"
    totals: dict[int, int] = {}
    for tensor in proto.graph.initializer:
        if tensor.data_type in _NAMES:
            size = math.prod(tensor.dims)
            totals[tensor.data_type] = totals.get(tensor.data_type, 0) + size
    widest = max(totals, key=lambda kind: totals[kind], default=1)
    return _NAMES[widest].replace("uint8", "int8")
