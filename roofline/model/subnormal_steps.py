"""What subnormal numbers among stored weights take more: processors leave their fast path for each vector of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import repeat
from operator import mul

from roofline.graph.reading.subnormals import TOGETHER, Shares, subnormal_shares
from roofline.layer import Layer
from roofline.model._layer_shapes import rows_inside
from roofline.model.work import Work
from roofline.workload import Workload

SUBNORMAL = "subnormal"
"""Kind of the operations on vectors of weights that hold a subnormal number."""
_PRODUCTS = frozenset({"Conv", "FusedConv", "Gemm", "MatMul"})
_ACTIVE = 0.5
"""Share of values that are not zero behind an activation that cuts off; a product with zero costs nothing more."""
_CUTTING = frozenset({"Clip", "Relu"})


def subnormal_weights(workload: Workload) -> Mapping[str, Shares]:
    """Return, by name, the shares of vectors of stored weights that hold a subnormal number, where any does."""
    origin = workload.origin
    if origin is None:
        return {}
    return workload.once("subnormal weights", lambda: subnormal_shares(origin.model, origin.path))


def subnormal_work(
    layer: Layer, shares: Mapping[str, Shares], makers: Mapping[str, Layer]
) -> Work | None:
    """Return the operations of a product with vectors of weights that hold a subnormal number; None where none do.

    Args:
        layer: One executed operator.
        shares: Of all stored weights, as `subnormal_weights` gives them.
        makers: The layers that make values, by the names of these.
    """
    if layer.op_type not in _PRODUCTS:
        return None
    slowed = 0.0
    for weight in layer.weights:
        shape = weight.shape
        if not shape or weight.name not in shares:
            continue
        along = shape[:1] if len(shape) > 2 else shape[1:]
        results = math.prod(size or 1 for size in along)
        rows = shares[weight.name]
        used = rows_inside(layer, tuple(size or 1 for size in shape))
        # Rows that never lie on the image are never multiplied, and keep what a training made of them.
        share = sum(map(mul, rows, used if len(used) == len(rows) else repeat(1.0))) / len(rows)
        slowed += share * math.ceil(results / TOGETHER) * TOGETHER / results
    before = [makers[tensor.name].op_type for tensor in layer.inputs if tensor.name in makers]
    active = _ACTIVE if _CUTTING.intersection(before) else 1.0
    ops = 2.0 * layer.cost.macs * slowed * active
    return Work(SUBNORMAL, (ops,), ops, "fp32", 0, 0, repeats=0) if ops >= 1 else None
