"""Compares a backend's outputs with the reference's on the same input."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from types import MappingProxyType

import numpy as np

from roofline.node import Array
from roofline.number_format import plural
from roofline.validate.records.record import Check

TOLERANCES = {
    "fp64": 1e-6, "fp32": 1e-3, "fp16": 2e-2, "bf16": 5e-2, "int8": 5e-2, "int32": 5e-2,
}  # fmt: skip
"""Largest relative error allowed, by the datatype whose rounding decides. Sums in another order move fp32 by
1e-6 to 1e-5 in deep networks; quantized networks differ by the rounding of single steps, and products of 32-bit
integers are those of quantized values. Where a state is quantized again at every step, one that rounds the other way
moves all later ones: ONNX Runtime itself moves by up to 1.3 % when the last two bits of its inputs change."""

_ROUNDING = MappingProxyType(
    {"fp64": 2.0**-52, "fp32": 2.0**-23, "fp16": 2.0**-10, "bf16": 2.0**-7}
)
"""Distance from one to the next number of a floating-point datatype."""


def coarsest(executed: Iterable[str], kept: Iterable[str]) -> str:
    """Return the datatype whose rounding decides how far outputs may differ.

    Args:
        executed: Datatypes of the arithmetic, at least one.
        kept: Datatypes in which the file keeps what is multiplied; a runtime may compute halves in fp32, but where it
            rounds to them, and where it does not, differs from the reference.

    Example:
        >>> coarsest(["fp32"], ["fp16"]), coarsest(["fp32", "int32"], ["fp32"])
        ('fp16', 'int32')
    """
    floats = [name for name in kept if name in _ROUNDING]
    return max((*executed, *floats), key=tolerance_of)


def tolerance_of(datatype: str) -> float:
    """Return the largest relative error allowed of a datatype; that of the coarsest where it has none of its own."""
    return TOLERANCES.get(datatype, max(TOLERANCES.values()))


def compare_outputs(
    outputs: Sequence[Array],
    reference: Sequence[Array],
    *,
    by: str,
    datatype: str,
    magnitude: float = 0.0,
) -> Check:
    """Return how the outputs differ from the reference.

    A value that is small beside those it was computed from (what a sigmoid or a softmax leaves of a rejected class)
    keeps their rounding, and no more digits: an error of one rounding step of the largest intermediate value is
    allowed whatever the size of the output.

    Args:
        outputs: What the backend computed, in the model's order.
        reference: What it should have computed.
        by: What computed the reference, for the record.
        datatype: The `coarsest` datatype, which decides the tolerance.
        magnitude: Largest magnitude of a product's result on the way to the outputs; 0 where it is not known.

    Returns:
        The largest errors; no number but a reason where a shape, a count or a NaN differs.
    """
    tolerance = tolerance_of(datatype)
    floor = _ROUNDING.get(datatype, 0.0) * magnitude if math.isfinite(magnitude) else 0.0
    if len(outputs) != len(reference):
        why = f"{plural(len(outputs), 'output')} instead of {len(reference)}"
        return Check(by, tolerance=tolerance, why=why)
    largest, relative, informative = 0.0, 0.0, False
    for index, (got, wanted) in enumerate(zip(outputs, reference, strict=True)):
        if tuple(got.shape) != tuple(wanted.shape):
            why = f"output {index} has shape {list(got.shape)} instead of {list(wanted.shape)}"
            return Check(by, tolerance=tolerance, why=why)
        if not wanted.size:
            continue
        left, right = got.astype(np.float64), wanted.astype(np.float64)
        if (np.isnan(left) != np.isnan(right)).any():
            why = f"output {index} is not a number where the reference is one, or the reverse"
            return Check(by, tolerance=tolerance, why=why)
        left, right = np.nan_to_num(left), np.nan_to_num(right)
        error = float(np.abs(left - right).max())
        scale = float(np.abs(right).max())
        largest = max(largest, error)
        scale = max(scale, floor / tolerance)
        relative = max(relative, error / scale if scale else error)
        # Where rounding may be as large as the values, any others of that size would pass too.
        informative = informative or (_varies(right) and floor < np.abs(right).max() / 2)
    return Check(by, largest, relative, tolerance, bool(informative), floor=floor)


def _varies(array: Array) -> bool:
    """Return whether more than one element carries the values: not constant, not a saturated softmax."""
    flat = np.sort(np.abs(array.ravel()))
    if flat.size == 1:
        return bool(flat[0] not in (0.0, 1.0))
    return bool(flat[-2] > 1e-6 * flat[-1] and np.ptp(array) > 1e-6 * flat[-1])
