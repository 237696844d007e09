"""Stored tensors of a shipped network: declared without payload, or filled with reproducible random numbers."""

from __future__ import annotations

import zlib
from enum import Enum

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto


class Draw(Enum):
    """How a stored tensor's random elements are distributed."""

    NORMAL = "normal"
    """Mean 0, standard deviation as asked: the weights of a layer."""
    SCALE = "scale"
    """Between 0.9 and 1.1: the factor of a normalization."""
    OFFSET = "offset"
    """Mean 0, standard deviation 0.1: biases and running means."""
    VARIANCE = "variance"
    """Between 0.9 and 1.1, so positive: running variances."""


def tensor(
    name: str,
    dims: tuple[int, ...],
    draw: Draw,
    spread: float,
    seed: int | None,
    *,
    half: bool = False,
) -> TensorProto:
    """Return a stored float tensor.

    Args:
        name: Its name, which also picks its random stream.
        dims: Its dimensions.
        draw: How its elements are distributed.
        spread: Standard deviation of ``Draw.NORMAL``.
        seed: Of the random stream; None declares the tensor with dimensions and datatype and no payload.
        half: Whether its elements are fp16; fp32 otherwise.
    """
    element, stored = (TensorProto.FLOAT16, "<f2") if half else (TensorProto.FLOAT, "<f4")
    declared = TensorProto(name=name, dims=dims, data_type=element)
    if seed is not None:
        random = np.random.default_rng((seed, zlib.crc32(name.encode())))
        declared.raw_data = (
            _elements(random, dims, draw, spread).astype(stored, copy=False).tobytes()
        )
    return declared


def _elements(
    random: np.random.Generator, dims: tuple[int, ...], draw: Draw, spread: float
) -> NDArray[np.float32]:
    if draw in (Draw.SCALE, Draw.VARIANCE):
        return random.uniform(0.9, 1.1, dims).astype(np.float32)
    elements = random.standard_normal(dims, dtype=np.float32)
    elements *= np.float32(0.1 if draw is Draw.OFFSET else spread)
    return elements
