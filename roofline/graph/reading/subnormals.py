"""Which stored weights hold subnormal numbers, which processors may compute a hundred times slower than others."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from roofline.graph.reading.graphs import every_graph, stored_in

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

Floats = NDArray[np.float32]
Shares = tuple[float, ...]
"""Of the rows of a filter; one alone of what has no rows."""

TOGETHER = 16
"""Values of single precision in the widest vectors: one that is subnormal slows what is computed with all of them."""
_SINGLE = 1
"""Number of single precision among the types of ONNX."""
_BYTES = 4
_OF_NORMALIZATION = 4
"""Stored operands of a normalization of batches."""
_IMAGE_AXES = 4
"""Axes of the filters of an image: results, operands, rows and columns."""
_LOOKED_AT = 1 << 18
"""Values of a tensor that are looked at, evenly spread."""


def subnormal_shares(model: ModelProto, path: Path | None = None) -> Mapping[str, Shares]:
    """Return, by the name of a stored tensor, the shares of its vectors that hold a subnormal number, where any does.

    There is one for each row of a filter: rows that never lie on an image keep what a training made of them.

    Weights of a convolution that a scale follows are taken times it: runtimes multiply them when they load a model.

    Args:
        model: With or without its weights.
        path: The file that holds them, if they are not in the model; those in further files are not looked at.
    """
    import onnx

    if path is not None:
        try:
            model = onnx.load(path, load_external_data=False)  # pyright: ignore[reportUnknownMemberType]
        except (OSError, ValueError):
            # A file that is gone since it was counted says nothing.
            return {}
    found: dict[str, Shares] = {}
    for graph in every_graph(model.graph):
        stored = dict(stored_in(graph))
        scales = _scales(graph, stored)
        found |= {name: _shares(tensor, scales.get(name)) for name, tensor in stored.items()}
    return {name: shares for name, shares in found.items() if any(shares)}


def _scales(graph: GraphProto, stored: Mapping[str, TensorProto]) -> Mapping[str, Floats]:
    """Return what each channel of a convolution is multiplied by right behind it, by the name of its weights."""
    readers: dict[str, list[NodeProto]] = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            readers[name].append(node)
    found: dict[str, Floats] = {}
    for node in graph.node:
        if node.op_type != "Conv" or len(node.input) < 2:
            continue
        at, scale = node.output[0], None
        while len(readers[at]) == 1 and (
            (factor := _factor(readers[at][0], stored)) is not None
            or readers[at][0].op_type == "Add"
        ):
            if factor is not None:
                scale = factor if scale is None else scale * factor
            at = readers[at][0].output[0]
        if scale is not None:
            found[node.input[1]] = scale
    return found


def _factor(node: NodeProto, stored: Mapping[str, TensorProto]) -> Floats | None:
    """Return what a normalization or a product with a stored value multiplies each channel by; None for all others."""
    from onnx import numpy_helper

    names = [name for name in node.input if name in stored]
    if node.op_type == "BatchNormalization" and len(names) == _OF_NORMALIZATION:
        gamma, _, _, variance = (numpy_helper.to_array(stored[name]) for name in names)
        tiny = next((entry.f for entry in node.attribute if entry.name == "epsilon"), 1e-5)
        return np.asarray(gamma / np.sqrt(variance + tiny), np.float32)
    if node.op_type == "Mul" and len(names) == 1:
        return np.asarray(numpy_helper.to_array(stored[names[0]]).reshape(-1), np.float32)
    return None


def _shares(tensor: TensorProto, scale: Floats | None) -> Shares:
    """Return the share of vectors of each row of a stored tensor that hold a subnormal number, along its results.

    There is none of what is no weight in single precision (of less than two axes), and where the values lie elsewhere.

    Args:
        tensor: The results of a convolution lie along its first axis, those of a matrix along its last.
        scale: What each result is multiplied by, or all are; None where they are not.
    """
    shape = tuple(tensor.dims)
    elements = math.prod(shape)
    if tensor.data_type != _SINGLE or len(shape) < 2 or not elements:
        return ()
    if len(tensor.raw_data) == _BYTES * elements:
        values = np.frombuffer(tensor.raw_data, "<f4").reshape(shape)
    elif len(tensor.float_data) == elements:
        # Some exporters write numbers one by one.
        values = np.asarray(tensor.float_data, np.float32).reshape(shape)
    else:
        return ()
    if len(shape) < _IMAGE_AXES:
        by_row = [values.reshape(shape[0], -1) if len(shape) > 2 else values.T]
    else:
        by_row = [values[:, :, row].reshape(shape[0], -1) for row in range(shape[2])]
    step = -(-elements // _LOOKED_AT)
    return tuple(_share(rows[:, ::step], scale) for rows in by_row)


def _share(by_result: Floats, scale: Floats | None) -> float:
    """Return the share of vectors of weights, results on the first axis, that hold a subnormal number."""
    if scale is not None and scale.size in (1, len(by_result)):
        by_result = by_result * scale[:, None]
    size = np.abs(by_result)
    subnormal = (size > 0) & (size < np.finfo(np.float32).tiny)
    if not subnormal.any():
        return 0.0
    filled = np.pad(subnormal, ((0, -len(subnormal) % TOGETHER), (0, 0)))
    return float(filled.reshape(-1, TOGETHER, filled.shape[1]).any(axis=1).mean())
