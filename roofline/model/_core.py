"""Equation 1 and the times it implies: pure functions of numbers, vectorised by numpy's broadcasting."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def attainable(peak: ArrayLike, bandwidth: ArrayLike, intensity: ArrayLike) -> Floats:
    """Return the attainable performance: the lower of the compute roof and the memory slope.

    Equation 1 of Blott et al., "Evaluation of Optimized CNNs on Heterogeneous Accelerators Using a Novel
    Benchmarking Approach", IEEE Transactions on Computers, 2021 (after Williams et al., 2009). The arguments
    broadcast against one another; NaN (a machine without such a unit) stays NaN.

    Args:
        peak: Peak performance, OP/s.
        bandwidth: Bandwidth of the memory, B/s.
        intensity: Operational intensity, OP/B.

    Returns:
        Attainable performance, OP/s.

    Example:
        >>> float(attainable(4e12, 25.6e9, 10.0)), float(attainable(4e12, 25.6e9, 1000.0))
        (256000000000.0, 4000000000000.0)
    """
    return np.minimum(
        np.asarray(peak, np.float64), np.multiply(bandwidth, intensity, dtype=np.float64)
    )


def ridge(peak: ArrayLike, bandwidth: ArrayLike) -> Floats:
    """Return the ridge point in OP/B: the intensity from which on the compute roof limits.

    Example:
        >>> float(ridge(4e12, 25.6e9))
        156.25
    """
    return np.divide(peak, bandwidth, dtype=np.float64)


def compute_time(ops: ArrayLike, peak: ArrayLike) -> Floats:
    """Return the seconds that operations take at the compute roof; no operation takes no time."""
    return np.divide(ops, peak, dtype=np.float64)


def memory_time(data: ArrayLike, bandwidth: ArrayLike) -> Floats:
    """Return the seconds that the slowest memory level needs.

    Args:
        data: Bytes that cross each level, levels on the first axis.
        bandwidth: Bandwidth of each level in B/s, on the first axis; infinity for a level that never limits.

    Returns:
        Seconds, without the axis of levels.
    """
    return np.max(np.divide(data, bandwidth, dtype=np.float64), axis=0)
