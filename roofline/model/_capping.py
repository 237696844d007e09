"""Estimates under the bound that they stand beside, and that they never exceed."""

from __future__ import annotations

import numpy as np

from roofline.model._core import Floats


def cap_throughput(
    most: Floats | float, fps: Floats | float, low: Floats | float, high: Floats | float
) -> tuple[Floats, Floats, Floats]:
    """Return a throughput and the ends of its interval under a bound; NaN for no bound."""
    limit = np.where(np.isnan(most), np.inf, most)
    over = np.asarray(high) > limit
    down = np.where(over, np.minimum(1.0, limit / fps), 1.0)
    # The smaller of the two, and not the product: it may be above the limit by a rounding.
    return (
        np.where(over, np.minimum(limit, fps), fps),
        down * np.asarray(low),
        np.where(over, limit, high),
    )


def raise_latency(
    least: Floats | float, latency: Floats | float, short: Floats | float, long: Floats | float
) -> tuple[Floats, Floats, Floats]:
    """Return a latency and the ends of its interval above a bound; 0 for no bound."""
    up: Floats = np.asarray(np.maximum(1.0, np.asarray(least) / latency), np.float64)
    return up * np.asarray(latency), np.asarray(np.maximum(least, short)), up * np.asarray(long)
