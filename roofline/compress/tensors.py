"""Stored tensors of an ONNX model: finding, reading and replacing them, with or without their data."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from roofline.errors import CompressionError, ModelError
from roofline.graph.reading.graphs import every_graph, stored_in

if TYPE_CHECKING:
    import onnx

_PAYLOADS = (
    "raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data",
)  # fmt: skip


ABSENT = "Put the file that holds them beside the model; roofline compress --random-weights does without"
"""What to do where elements are needed that are not at hand."""


def read_whole(path: Path) -> onnx.ModelProto:
    """Return the model in a file with its weights, those in external files too; of a file that is gone, without them.

    Raises:
        ModelError: The file is absent or malformed.
        CompressionError: A file that holds weights cannot be read.
    """
    import onnx
    from onnx.external_data_helper import load_external_data_for_tensor, uses_external_data

    from roofline.graph import read

    # The careful reader refuses malformed files with one clear line before any weight is read.
    read(path)
    try:
        model = onnx.load(path, load_external_data=False)  # pyright: ignore[reportUnknownMemberType]
        for tensor in every_tensor(model):
            if not uses_external_data(tensor):
                continue
            place = next(
                (pair.value for pair in tensor.external_data if pair.key == "location"), ""
            )
            if (path.parent / place).exists():
                load_external_data_for_tensor(tensor, str(path.parent))
            else:
                drop_data(tensor)
    except (OSError, ValueError, onnx.checker.ValidationError) as error:
        raise CompressionError(
            f"the weights of {path} cannot be read: {error}",
            repair="Put its external data file beside it",
        ) from error
    return model


def every_tensor(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Yield every tensor a model stores, at every depth: initializers and attributes of nodes and functions."""
    outer: Any
    for outer in (model.graph, *model.functions):
        for graph in every_graph(outer):
            yield from getattr(graph, "initializer", ())
            for attribute in (entry for node in graph.node for entry in node.attribute):
                yield from ([attribute.t] if attribute.HasField("t") else attribute.tensors)


def inline_functions(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with its local functions inlined, so that every call is in the graph.

    Raises:
        ModelError: A call does not fit its function.
    """
    if not model.functions:
        return model
    from onnx.inliner import inline_local_functions

    try:
        return inline_local_functions(model)
    except (RuntimeError, ValueError) as error:
        # The inliner's own checks raise bare errors, with the place in its source before what it says.
        raise ModelError(
            f"the model's local functions cannot be inlined: {str(error).rpartition(': ')[2]}"
        ) from error


def stored_tensors(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    """Return the initializers and the tensors of Constant nodes of the top-level graph, by name."""
    return dict(stored_in(model.graph))


def has_data(tensor: onnx.TensorProto) -> bool:
    """Return whether a tensor's elements are at hand (not dropped while reading, nor in a file that is not loaded)."""
    import onnx

    # What such a tensor holds beside the name of its file is never read.
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        return False
    if not math.prod(tensor.dims):
        return True
    return any(len(getattr(tensor, name)) for name in _PAYLOADS)


def drop_data(tensor: onnx.TensorProto) -> None:
    """Take a tensor's elements away; its name, datatype and dimensions stay."""
    for payload in _PAYLOADS:
        tensor.ClearField(payload)
    del tensor.external_data[:]
    tensor.ClearField("data_location")


def to_array(tensor: onnx.TensorProto) -> NDArray[Any] | None:
    """Return a tensor's elements, or None when they are not at hand."""
    if not has_data(tensor):
        return None
    from onnx import numpy_helper

    return numpy_helper.to_array(tensor)


def replace_data(tensor: onnx.TensorProto, array: NDArray[Any]) -> None:
    """Give a tensor new elements and dimensions; its name and datatype stay."""
    from onnx import numpy_helper

    name, datatype = tensor.name, tensor.data_type
    # numpy_helper chooses the datatype from the array's; the array came from this tensor, so they agree.
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array), name))
    tensor.data_type = datatype


def keep_positions(tensor: onnx.TensorProto, axis: int, positions: tuple[int, ...]) -> None:
    """Keep some positions of one axis of a tensor; without data only its dimensions change."""
    array = to_array(tensor)
    if array is None:
        drop_data(tensor)
        tensor.dims[axis] = len(positions)
    else:
        replace_data(tensor, np.take(array, positions, axis=axis))
