"""The model ``equation1``: one operational intensity for the whole network, as the QuTiBench paper has it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Unpack

from roofline.conventions import Operations, Traffic
from roofline.model._case import Case, conclude, evaluate
from roofline.model._outcomes import Law, bound_law
from roofline.model._prediction import Prediction
from roofline.model._registry import Gives, Model, Need, models
from roofline.model._request import Choices, run
from roofline.model._requirement import Requirement, total

if TYPE_CHECKING:
    from roofline.spec import Platform
    from roofline.workload import Workload


def equation1(workload: Workload, platform: Platform, **choices: Unpack[Choices]) -> Prediction:
    """Predict with Equation 1: the whole network at one operational intensity.

    The defaults are the papers' convention: operations are two per multiply-accumulate (``macs``), traffic is the
    ``weights``. At batch 1, and at every batch with ``weights_read="per-item"``, this is the published prediction. The
    result is an upper bound of the throughput.

    Args:
        workload: The network as it runs; its bytes are taken as they are, whatever the datatype.
        platform: The machine.
        **choices: Datatype, batch and assumptions.

    Raises:
        DatatypeError: The machine has no unit for the datatype.
        OptionError: A name or the batch is not allowed.
    """
    return run(models.get("equation1"), workload, platform, choices)


def network_requirement(case: Case) -> Requirement:
    """Return what the whole network requires, as one layer."""
    return total(case.workload, case.platform, traffic=case.traffic, operations=case.operations)


def _at(case: Case, batches: tuple[int, ...]) -> tuple[Prediction, ...]:
    times = evaluate(case, network_requirement(case), [case.unit], batches)
    return tuple(
        conclude(
            case if batch == case.batch else replace(case, batch=batch),
            times,
            "equation1",
            place=place,
        )
        for place, batch in enumerate(batches)
    )


def law(case: Case) -> Law:
    """Return the bound of the whole network as a function of the batch."""
    return bound_law(case, network_requirement(case), [case.unit])


models.add(
    "equation1",
    Model(
        "equation1",
        "Equation 1 of Blott et al. 2021: one intensity for the whole network; an upper bound",
        needs=frozenset({Need.PEAK}),
        gives=Gives.BOUND,
        traffic=Traffic.WEIGHTS,
        operations=Operations.MACS,
        at=_at,
        law=law,
    ),
)
