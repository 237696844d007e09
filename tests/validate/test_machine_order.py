"""Estimates of machines that nobody ran lie between those of weaker and stronger ones that somebody did."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import roofline as rl
from roofline.model._core import Floats
from roofline.model._expected_data import MachineRuns, Parameters, shipped_parameters
from roofline.model._law_estimates import Estimates
from roofline.model._machine_roofs import Roofs
from roofline.model._network_facts import facts_of
from roofline.model._run_facts import Facts
from roofline.model._siblings import ENOUGH, siblings_of
from roofline.model._time_law import TimeLaw
from roofline.validate.evidence.machine_order import MachineOrder

WAY = "trt/int8/single"


def machine(scale: float, *, runs: int, bandwidth: float | None = None) -> MachineRuns:
    """Return a graphics card whose roofs are multiples of another's."""
    roofs = Roofs(
        "NVIDIA", {"fp32": 1e12 * scale, "int8": 4e12 * scale**1.1}, bandwidth or 1e11 * scale, 0.0
    )
    return MachineRuns("gpu_consumer", {}, 1.0, {WAY: runs} if runs else {}, roofs)  # fmt: skip


def facts(key: str) -> Facts:
    found = facts_of(
        rl.load("resnet50"), rl.platform("rtx-4090"), machine_class="gpu_consumer", runtime="trt",
        datatype="int8", unit="int8", batch=1, cores=1.0, in_flight=False,
    )  # fmt: skip
    return replace(found, machine=np.asarray([key], object))


class Law:
    """A law by which machines take the time that a table says."""

    def __init__(self, known: Parameters, seconds: dict[str, float], there: set[str]) -> None:
        effect = next(iter(known.law.effects.values()))
        self.effects = {
            key: replace(effect, settings=frozenset({"trt/int8"}) if key in there else frozenset())
            for key in seconds
        }
        self._seconds = seconds
        self._known = known

    def estimate(self, asked: Facts) -> Estimates:
        found = self._known.law.estimate(asked)
        log_time: Floats = np.log([self._seconds[key] for key in asked.machine])
        return replace(found, log_time=log_time)


def limited(seconds: dict[str, float], there: set[str], machines: dict[str, MachineRuns]) -> float:
    """Return the seconds of a run on the new machine, in the order of the others."""
    law = Law(shipped_parameters(), seconds, there)
    asked = facts("new")
    found = MachineOrder(machines).limit(as_law(law), asked, law.estimate(asked))
    return float(np.exp(found.log_time[0]))


def as_law(law: Law) -> TimeLaw:
    return law  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("own", "expected"), [(9.0, 4.0), (3.0, 3.0), (1.0, 2.0)], ids=["slower", "between", "faster"]
)
def test_a_new_machine_lies_between_a_weaker_and_a_stronger_one(
    own: float, expected: float
) -> None:
    machines = {
        "new": machine(2, runs=0),
        "weak": machine(1, runs=ENOUGH),
        "strong": machine(4, runs=ENOUGH),
    }
    seconds = {"new": own, "weak": 4.0, "strong": 2.0}
    assert limited(seconds, {"weak", "strong"}, machines) == pytest.approx(expected)


def test_few_runs_another_way_or_less_of_something_limit_nothing() -> None:
    seconds = {"new": 9.0, "weak": 4.0}
    few = {"new": machine(2, runs=0), "weak": machine(1, runs=ENOUGH - 1)}
    assert limited(seconds, {"weak"}, few) == pytest.approx(9)
    enough = {"new": machine(2, runs=0), "weak": machine(1, runs=ENOUGH)}
    assert limited(seconds, {"weak"}, enough) == pytest.approx(4)
    assert limited(seconds, set(), enough) == pytest.approx(9)
    wider = {"new": machine(2, runs=0), "weak": machine(1, runs=ENOUGH, bandwidth=3e11)}
    assert limited(seconds, {"weak"}, wider) == pytest.approx(9)


def test_a_machine_that_was_run_that_way_goes_by_its_own_runs() -> None:
    machines = {"new": machine(2, runs=ENOUGH), "weak": machine(1, runs=ENOUGH)}
    assert limited({"new": 9.0, "weak": 4.0}, {"new", "weak"}, machines) == pytest.approx(9)


def test_accelerators_are_left_as_their_runs_are() -> None:
    known = shipped_parameters().machines
    strong, weak = known["iq-9075"], known["snapdragon-8-gen-3"]
    assert strong.machine_class == weak.machine_class == "npu"
    assert strong.roofs is not None
    found = {each.key: each for each in siblings_of(strong.roofs, "npu", known)}
    assert not any(each.weaker or each.stronger for each in found.values())
