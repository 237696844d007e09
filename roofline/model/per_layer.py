"""The model ``layerwise``: Equation 1 per fused layer, summed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roofline.model._case import Case, conclude, evaluate, layer_units
from roofline.model._prediction import Bound, LayerPrediction, Prediction
from roofline.model._registry import Model, models
from roofline.model._request import make_case
from roofline.model._requirement import requirement

if TYPE_CHECKING:
    from roofline.spec import Platform
    from roofline.workload import Workload


def layerwise(
    workload: Workload,
    platform: Platform,
    *,
    datatype: str | None = None,
    batch: int | None = None,
    traffic: str = "fused",
    operations: str = "all",
    weights_read: str = "per-batch",
    emulate: bool = False,
) -> Prediction:
    """Predict each fused layer at its own intensity and sum the times.

    A layer takes the maximum of its compute and its memory time, never their sum; layers follow one another. Under
    the same traffic the throughput is never above `equation1`'s. It is an upper bound: no layer overlaps another, but
    every layer is perfect.

    Args:
        workload: The network as it runs; its bytes are taken as they are, whatever the datatype.
        platform: The machine.
        datatype: The precision it runs at; by default the workload's own. Layers that a mixed-precision graph
            computes in another datatype run on that unit where the machine has it.
        batch: Items per batch; by default the workload's.
        traffic: One of `TRAFFIC`.
        operations: ``macs`` or ``all``.
        weights_read: ``per-batch`` or ``per-item``.
        emulate: Whether the next wider unit may stand in for a missing one.

    Raises:
        DatatypeError: The machine has no unit for the datatype.
        OptionError: A name or the batch is not allowed.
    """
    return _run(
        make_case(
            workload, platform, datatype=datatype, batch=batch, traffic=traffic, operations=operations,
            weights_read=weights_read, emulate=emulate,
        )
    )  # fmt: skip


def _run(case: Case) -> Prediction:
    required = requirement(
        case.workload, case.platform, traffic=case.traffic, operations=case.operations
    )
    units = layer_units(case.workload, case.platform, case.unit, required.layers)
    times = evaluate(case, required, units)
    layers = tuple(
        LayerPrediction(
            name=layer.name,
            op_type=layer.op_type,
            datatype=unit,
            ops=ops,
            bytes=data,
            time_s=seconds,
            bound=Bound.MEMORY if memory > compute else Bound.COMPUTE,
            utilization=ops / seconds / peak if seconds else 0.0,
        )
        for layer, unit, ops, data, seconds, memory, compute, peak in zip(
            required.layers, units, times.ops.tolist(), times.outer_bytes.tolist(), times.each.tolist(),
            times.memory.tolist(), times.compute.tolist(), times.peaks.tolist(), strict=True,
        )
    )  # fmt: skip
    return conclude(case, times, "layerwise", layers)


models.add(
    "layerwise",
    Model(
        "layerwise",
        "Equation 1 per fused layer, summed: the maximum of compute and memory for each; an upper bound",
        upper_bound=True,
        traffic="fused",
        operations="all",
        run=_run,
    ),
)
