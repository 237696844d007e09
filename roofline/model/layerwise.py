"""The model ``layerwise``: Equation 1 per fused layer, summed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Unpack

from roofline.conventions import Operations, Traffic
from roofline.model._case import Case, Times, conclude, evaluate
from roofline.model._outcomes import Law, bound_law
from roofline.model._prediction import Bound, LayerPrediction, Prediction
from roofline.model._registry import Gives, Model, Need, models
from roofline.model._request import Choices, run
from roofline.model._requirement import Requirement, requirement
from roofline.model._units import layer_units

if TYPE_CHECKING:
    from roofline.spec import Platform
    from roofline.workload import Workload


def layerwise(workload: Workload, platform: Platform, **choices: Unpack[Choices]) -> Prediction:
    """Predict each fused layer at its own intensity and sum the times.

    A layer takes the maximum of its compute and its memory time, never their sum; layers follow one another. Under
    the same traffic the throughput is never above `equation1`'s. It is an upper bound: no layer overlaps another, but
    every layer is perfect. The defaults count ``all`` operations, and the traffic of ``fused`` layers.

    Arguments and errors are those of `equation1`.
    """
    return run(models.get("layerwise"), workload, platform, choices)


def _requirement(case: Case) -> tuple[Requirement, list[str]]:
    required = requirement(
        case.workload, case.platform, traffic=case.traffic, operations=case.operations
    )
    return required, layer_units(case.workload, case.platform, case.unit, required.layers)


def _at(case: Case, batches: tuple[int, ...]) -> tuple[Prediction, ...]:
    required, units = _requirement(case)
    times = evaluate(case, required, units, batches)
    return tuple(
        conclude(
            replace(case, batch=batch), times, "layerwise", _layers(required, units, times, place), place
        )
        for place, batch in enumerate(batches)
    )  # fmt: skip


def _layers(
    required: Requirement, units: Sequence[str], times: Times, place: int
) -> tuple[LayerPrediction, ...]:
    return tuple(
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
            required.layers, units, times.ops[:, place].tolist(), times.outer_bytes[:, place].tolist(),
            times.each[:, place].tolist(), times.memory[:, place].tolist(), times.compute[:, place].tolist(),
            times.peaks[:, 0].tolist(), strict=True,
        )
    )  # fmt: skip


def _law(case: Case) -> Law:
    return bound_law(case, *_requirement(case))


models.add(
    "layerwise",
    Model(
        "layerwise",
        "Equation 1 per fused layer, summed: the maximum of compute and memory for each; an upper bound",
        needs=frozenset({Need.PEAK}),
        gives=Gives.BOUND,
        traffic=Traffic.FUSED,
        operations=Operations.ALL,
        at=_at,
        law=_law,
    ),
)
