"""How far a run may lie beyond the bound that its estimate stands beside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from roofline.model._network_facts import ONE_ITEM, runs_in_halves
from roofline.model._run_facts import FAMILIES
from roofline.model.equation1 import law
from roofline.model.fast_convolution import room

if TYPE_CHECKING:
    from roofline.model._case import Case
    from roofline.model.deployment import Deployment
    from roofline.spec import Platform
    from roofline.workload import Workload

REACHED: Mapping[str, float] = {
    "cpu": 1.2, "cpu_mobile": 2.2, "gpu_consumer": 1.25, "gpu_dc": 1.25, "gpu_embedded": 1.25,
}  # fmt: skip
"""Times a bound that runs of the evidence reach by algorithms of fewer multiplications, by class; on graphics cards in
single precision alone: no run on cards of NVIDIA reaches the peak of their matrix units so."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a run may lie beyond its bound."""

    times: float = 1.0
    """Of the bound: by algorithms that need less than a convolution's definition, or by narrower arithmetic."""
    most_fps: float = float("inf")
    """What no batch brings more than, where the items of a batch take turns."""


ANYWHERE = Reach()
"""That of a run which keeps to its bound."""


def reach_of(case: Case, run: Deployment) -> Reach:
    """Return how far a run of a case may lie beyond its bound: as its note says and runs do."""
    if run.runtime in ONE_ITEM:
        return Reach(most_fps=float(law(case).at(np.ones(1)).throughput_fps[0]))
    return Reach(times_beyond(case.workload, case.platform, case.unit, run))


def times_beyond(workload: Workload, platform: Platform, unit: str, run: Deployment) -> float:
    """Return how many times its bound a run may reach.

    Args:
        workload: The network.
        platform: The machine.
        unit: The peak that it runs on.
        run: How the machine is taken to be run.
    """
    times, name = 1.0, run.machine_class
    if FAMILIES.get(name) == "cpu" or unit == "fp32":
        times = max(1.0, min(room(workload, unit), REACHED.get(name, 1.0)))
    if runs_in_halves(platform, name, run.runtime, unit):
        times *= platform.peak("fp16") / platform.peak("fp32")
    return times
