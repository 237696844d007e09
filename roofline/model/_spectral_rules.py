"""The work of Fourier transforms: how many, and of how many points."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from roofline.layer import Layer
from roofline.model._layer_shapes import Rule, WorkShape, first_shape

_COMPLEX = 2
"""Numbers of a result: its real and its imaginary part, on the last axis."""


def _transforms(layer: Layer, bins: int, points: int) -> WorkShape:
    lines = math.prod(first_shape(layer.outputs)) / max(_COMPLEX * bins, 1)
    # Halving over and over again ends at one point only where their number is a power of two.
    form = "halving" if points & (points - 1) == 0 else "any_length"
    return WorkShape(f"spectral.{form}", (lines, float(max(points, 1))))


def _short_time_transform(layer: Layer) -> WorkShape | None:
    """Return the work of transforms of frames: the result has items, frames, frequencies and two parts."""
    out = first_shape(layer.outputs)
    if len(out) < 4:
        return None
    one_sided = bool(int(layer.attributes.get("onesided", 1)))
    return _transforms(layer, out[-2], 2 * (out[-2] - 1) if one_sided else out[-2])


def _transform(layer: Layer) -> WorkShape | None:
    """Return the work of transforms along one axis; of a real one of one side that has half of the frequencies."""
    source, out = first_shape(layer.inputs), first_shape(layer.outputs)
    if len(out) < 3 or len(source) != len(out):
        return None
    axis = int(layer.attributes.get("axis", 1 if len(out) == 3 else -2))
    return _transforms(layer, out[axis], max(source[axis], out[axis]))


RULES: Final[Mapping[str, Rule]] = MappingProxyType(
    {"STFT": _short_time_transform, "DFT": _transform}
)
"""Rules by operator."""
