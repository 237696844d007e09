"""Gives a model without weights random ones, so that it can be run and its outputs compared.

Weights follow He et al. 2015 (https://arxiv.org/abs/1502.01852): normal, variance two over the inputs
of a neuron, which keeps activations in range through rectified layers. A convolution or normalization
that ends in a residual sum is damped, or the sums would double the variance at every block and a
softmax at the end would saturate, which hides errors.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from roofline.compress.tensors import has_data
from roofline.graph.reading.graphs import replace_calls
from roofline.node import Array

Roles = Mapping[str, tuple[str, int, bool]]
"""Per value: the operator it feeds, at which position, and whether that ends in a residual sum."""

_WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_RESIDUAL_GAIN = 0.25


def fill(model: Any, *, seed: int, folder: Path | None = None, light: bool = True) -> int:
    """Store random elements in every weight that has none, in place.

    A weight has none when it is an initializer without data (or whose external file is absent), or a
    `ConstantOfShape` node as in ONNX's light models.

    Args:
        model: An ``onnx.ModelProto``.
        seed: With the weight's name it decides the elements; the order of weights does not.
        folder: Where external data files are looked for.
        light: Whether a ``ConstantOfShape`` stands for a weight.

    Returns:
        How many weights were filled.
    """
    from onnx import numpy_helper

    graph = model.graph
    roles = _roles(graph)
    filled = 0
    for tensor in graph.initializer:
        if _is_stored(tensor, folder):
            continue
        array = _random(tensor.name, tuple(tensor.dims), tensor.data_type, roles, seed)
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
        filled += 1
    constants = {tensor.name: tensor for tensor in graph.initializer}
    kept: list[Any] = []
    for node in graph.node:
        weight = light and node.op_type == "ConstantOfShape"
        shape = constants.get(node.input[0]) if weight else None
        if shape is None:
            kept.append(node)
            continue
        dims = tuple(int(size) for size in numpy_helper.to_array(shape).ravel())
        values = [entry.t for entry in node.attribute if entry.name == "value"]
        datatype = values[0].data_type if values else 1
        array = _random(node.output[0], dims, datatype, roles, seed)
        graph.initializer.append(numpy_helper.from_array(array, node.output[0]))
        filled += 1
    replace_calls(graph, kept)
    return filled


def random_input(name: str, dims: Sequence[int], datatype: int, *, seed: int) -> Array:
    """Return a random input: normal floats; zeros and ones for integers, which any table can look up."""
    dtype = _numpy_type(datatype)
    random = _generator(f"input {name}", seed)
    if np.issubdtype(dtype, np.integer) or dtype == np.bool_:
        return random.integers(0, 2, dims).astype(dtype)
    return random.standard_normal(dims, dtype=np.float32).astype(dtype)


def _is_stored(tensor: Any, folder: Path | None) -> bool:
    if 0 in tensor.dims:
        return True
    if tensor.data_location == tensor.EXTERNAL:
        place = next((pair.value for pair in tensor.external_data if pair.key == "location"), "")
        return folder is not None and bool(place) and (folder / place).is_file()
    return has_data(tensor)


def _roles(graph: Any) -> Roles:
    sums: set[str] = set()
    dynamic = {output for node in graph.node if node.input for output in node.output}
    for node in graph.node:
        if node.op_type == "ConstantOfShape":
            dynamic -= set(node.output)
    for node in graph.node:
        if node.op_type in {"Add", "Sum"} and all(name in dynamic for name in node.input):
            sums.update(node.input)
    roles: dict[str, tuple[str, int, bool]] = {}
    for node in graph.node:
        operator = node.op_type
        if operator == "Gemm" and any(a.name == "transB" and a.i for a in node.attribute):
            operator = "GemmT"
        for position, name in enumerate(node.input):
            roles.setdefault(name, (operator, position, bool(sums & set(node.output))))
    return roles


def _random(name: str, dims: tuple[int, ...], datatype: int, roles: Roles, seed: int) -> Array:
    dtype = _numpy_type(datatype)
    random = _generator(name, seed)
    operator, position, residual = roles.get(name, ("", 0, False))
    if np.issubdtype(dtype, np.integer):
        limits = np.iinfo(dtype)
        low, high = max(int(limits.min), -64), min(int(limits.max), 64)
        return random.integers(low, high, dims).astype(dtype)
    noise = random.standard_normal(dims, dtype=np.float32)
    if operator == "BatchNormalization":
        if position == 1:
            return ((1.0 + 0.1 * noise) * (_RESIDUAL_GAIN if residual else 1.0)).astype(dtype)
        return (1.0 + 0.1 * np.abs(noise) if position == 4 else 0.1 * noise).astype(dtype)
    if len(dims) >= 2 and (position >= 1 or operator in {"MatMul", "Gather", "Gemm", "GemmT"}):
        gain = _RESIDUAL_GAIN if residual and operator in _WEIGHTED else 1.0
        scale = gain * math.sqrt(2.0 / max(1, _fan_in(operator, dims)))
        if operator in {"Mul", "Div", "Add", "Sub"}:
            return _factors_near(operator, noise).astype(dtype)
        return (noise * np.float32(scale)).astype(dtype)
    return _factors_near(operator, noise).astype(dtype)


def _factors_near(operator: str, noise: Array) -> Array:
    """Return the factors near one, terms near zero."""
    return (1.0 if operator in {"Mul", "Div", "Pow"} else 0.0) + np.float32(0.1) * noise


def _fan_in(operator: str, dims: tuple[int, ...]) -> int:
    if operator in {"MatMul", "Gemm"}:
        return dims[-2]
    if operator == "ConvTranspose":
        return dims[0]
    return math.prod(dims[1:])


def _generator(name: str, seed: int) -> np.random.Generator:
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))


def _numpy_type(datatype: int) -> np.dtype[Any]:
    from onnx import helper

    return helper.tensor_dtype_to_np_dtype(datatype)
