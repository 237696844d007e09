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

from roofline._load import find_network
from roofline.binding import UNBOUND, Binding
from roofline.errors import DimensionError, MeasurementError, ModelError, printable
from roofline.graph.reading.declared import declare, dimensions
from roofline.graph.reading.graphs import replace_calls
from roofline.graph.reading.read import check_file
from roofline.graph.reading.reads import rename_reads
from roofline.node import Array
from roofline.reading import is_file
from roofline.surfaces import BATCH
from roofline.validate.measuring.decoder_model import Stage, stage_inputs
from roofline.validate.measuring.random_weights import fill, random_input
from roofline.writing import write_whole


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
    model: str,
    *,
    binding: Binding = UNBOUND,
    stage: Stage | None = None,
    seed: int,
    folder: Path,
) -> Runnable:
    """Read a model, fill in what it lacks, and keep the result by content.

    Args:
        model: Path of an ``.onnx`` file, or the name of a shipped network.
        binding: Batch, sizes of symbolic dimensions, shapes and values of inputs; a batch of None keeps the graph's
            own (1 where it is symbolic), and inputs without a value are random.
        stage: Of a decoder, the part that is run: its inputs are then bound by their roles.
        seed: Seed of random weights and inputs.
        folder: The cache folder.

    Returns:
        Where the runnable model and its inputs are.

    Raises:
        ModelError: The file cannot be read.
        DimensionError: A symbolic dimension has no value, or the batch is fixed at another one.
    """
    network, proto, source = _read(model, binding.batch, seed)
    given: dict[str, Array] = {}
    if stage is not None:
        binding, given = stage_inputs(proto, stage, binding.batch or 1, seed=seed)
    shapes, values = _fix_inputs(proto, binding)
    digest = hashlib.sha256(source).hexdigest()
    identity = f"{digest} {sorted(shapes.items())} {seed}"
    if values:
        identity += f" {sorted((name, value.tolist()) for name, value in values.items())}"
    if stage is not None:
        identity += f" {stage.label}"
    _settle(proto, values)
    values |= given
    place = folder / "models" / hashlib.sha256(identity.encode()).hexdigest()[:24]
    path, inputs = place / "model.onnx", place / "inputs.npz"
    parent = Path(model).parent if is_file(model) else None
    datatype = _datatype(proto)
    filled = fill(proto, seed=seed, folder=parent)
    if parent is not None:
        _load_external(proto, parent)
    if not path.exists() or not inputs.exists():
        place.mkdir(parents=True, exist_ok=True)
        arrays = {
            entry.name: values[entry.name]
            if entry.name in values
            else random_input(
                entry.name, shapes[entry.name], entry.type.tensor_type.elem_type, seed=seed
            )
            for entry in _inputs(proto)
        }
        save_arrays(inputs, arrays)
        write_whole(path, proto.SerializeToString())
    size = next((shape[0] for shape in shapes.values() if shape), 1)
    return Runnable(path, inputs, digest, network, binding.batch or size, filled, datatype)


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

    network = find_network(model)
    if network is None:
        path = check_file(Path(model))
        source = path.read_bytes()
        try:
            proto = onnx.load_model_from_string(source)
        except Exception as error:
            raise ModelError(f"{model} is not an ONNX model") from error
        return printable(path.stem), proto, source
    source = network.build(batch=batch).SerializeToString(deterministic=True)
    filled = network.build(weights="random", seed=seed, batch=batch or 1)
    return network.key, filled, source


def _inputs(proto: Any) -> list[Any]:
    """Return the inputs that a caller must give: old files list every initializer as an input too."""
    stored = {tensor.name for tensor in proto.graph.initializer}
    return [entry for entry in proto.graph.input if entry.name not in stored]


def _fix_inputs(
    proto: Any, binding: Binding
) -> tuple[dict[str, tuple[int, ...]], dict[str, Array]]:
    """Fix the shapes of a model's inputs; return them, and the values that inputs are given, by name."""
    entries = _inputs(proto)
    if entries and binding.batch is not None and entries[0].name not in binding.inputs:
        first = dimensions(entries[0].type.tensor_type.shape)[:1]
        # What is counted at another batch than the file's need not run at it.
        if first and isinstance(first[0], int) and first[0] != binding.batch:
            raise DimensionError(
                f"the batch of {entries[0].name!r} is fixed at {first[0]} in the graph",
                repair=f"Leave out {BATCH.at(binding.batch)}, or export the model with a symbolic batch",
            )
    declared = declare(entries, binding)
    shapes: dict[str, tuple[int, ...]] = {}
    values: dict[str, Array] = {}
    for entry, tensor in zip(entries, declared.inputs, strict=True):
        shapes[entry.name] = tuple(size or 0 for size in tensor.shape or ())
        del entry.type.tensor_type.shape.dim[:]
        for size in shapes[entry.name]:
            entry.type.tensor_type.shape.dim.add().dim_value = size
        if tensor.value is not None:
            values[entry.name] = tensor.value
    # Shapes recorded inside and at the outputs may still hold the symbols; runtimes infer them again.
    for entry in proto.graph.output:
        for dim in entry.type.tensor_type.shape.dim:
            if dim.dim_param in declared.symbols:
                dim.dim_value = declared.symbols[dim.dim_param]
    del proto.graph.value_info[:]
    return shapes, values


def _settle(proto: Any, values: Mapping[str, Array]) -> None:
    """Let a graph read inputs of one element whose values are given as constants: they decide branches and sizes.

    The inputs stay, unread, as what a run is given. Values of more elements are data, and stay inputs.
    """
    from onnx import numpy_helper

    graph = proto.graph
    settled = {name: f"{name} as given" for name, value in values.items() if value.size == 1}
    if not settled:
        return
    graph.initializer.extend(
        numpy_helper.from_array(values[name], constant) for name, constant in settled.items()
    )
    replace_calls(graph, [rename_reads(node, settled) for node in graph.node])


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
