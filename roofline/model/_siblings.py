"""Machines that are like one another: what runs of some say of the others, so that more of everything is never slower.

Two machines are of one make where one maker's peaks of both stand in one ratio at every datatype of inference. An
estimate of a machine with few runs or none is compared with those of its make at the same network, batch, runtime and
datatype. Two of one maker and family of classes are in order where one has at least as much of everything: of 10,600
pairs of published runs of two such processors or graphics cards in one way, the stronger was slower by more than a
tenth in 2 %, of accelerators, whose software differs, in 24 %. So runs of a processor or a card limit what is estimated
of those that are stronger and weaker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from roofline.model._core import Floats
from roofline.model._machine_roofs import Roofs
from roofline.model._run_facts import FAMILIES

if TYPE_CHECKING:
    from roofline.model._expected_data import MachineRuns
    from roofline.model._run_facts import Facts

RATIO = 0.02
"""How far the logarithms of the ratios of two machines' peaks may lie apart over datatypes."""

ENOUGH = 10
"""Runs in one way from which a machine's own say more of it than others'."""

SAME = 1e-3
"""Logarithm within which two roofs are one."""

ORDERED = frozenset({"cpu", "gpu"})
"""Families of classes whose machines of one maker are in the order of their roofs."""


@dataclass(frozen=True, slots=True)
class Sibling:
    """A machine of the evidence that is like another machine: of one make, or with more or less of everything."""

    key: str
    machine_class: str
    make: bool
    """Whether it is of one make with the other."""
    weaker: bool
    """Whether it has at most as much of everything."""
    stronger: bool
    """Whether it has at least as much of everything."""
    ratios: Mapping[str, float]
    """Logarithm of its peak over that of the other, per datatype that both have."""
    bandwidth: float
    """B/s."""
    held: float
    """Bytes of weights that stay on its chip."""
    cores: float
    ways: Mapping[str, int]
    """How many runs it has in each way, `Facts.way`."""

    @property
    def scale(self) -> float:
        """Its peaks over those of the other, the mean over datatypes."""
        return float(np.exp(np.mean(list(self.ratios.values()))))

    def is_sure(self, way: str) -> bool:
        """Return whether its own runs in a way say enough of it."""
        return self.ways.get(way, 0) >= ENOUGH

    def stand_in(self, facts: Facts) -> Facts:
        """Return the facts of the other machine's runs as those of the same runs on this one."""
        n, usual = facts.numbers, np.log(self.scale)
        ratio = np.asarray([self.ratios.get(name, usual) for name in facts.datatype], np.float64)
        numbers = {
            **n,
            "peak": n["peak"] * np.exp(ratio),
            "bandwidth": np.full(len(facts), self.bandwidth),
            "cores": np.full(len(facts), self.cores),
            "held": np.where(n["attention"] > 0, 0.0, self.held),
        }
        where = np.full(len(facts), self.machine_class, object)
        return replace(
            facts,
            machine=np.full(len(facts), self.key, object),
            machine_class=where,
            numbers=numbers,
        )


def siblings_of(
    own: Roofs, machine_class: str, machines: Mapping[str, MachineRuns]
) -> tuple[Sibling, ...]:
    """Return the machines of the evidence that are like a machine, itself included.

    Args:
        own: The machine's roofs.
        machine_class: Its class.
        machines: Those of the evidence, by key.
    """
    peaks, family = own.compared(), FAMILIES.get(machine_class)
    found: list[Sibling] = []
    for key, runs in machines.items():
        roofs = runs.roofs
        if (
            roofs is None
            or roofs.vendor != own.vendor
            or FAMILIES.get(runs.machine_class) != family
        ):
            continue
        others = roofs.compared()
        ratios = {name: others[name] - peak for name, peak in peaks.items() if name in others}
        if not ratios:
            continue
        values = list(ratios.values())
        make = (
            runs.machine_class == machine_class
            and others.keys() == peaks.keys()
            and max(values) - min(values) <= RATIO
        )
        memory = (roofs.bandwidth / own.bandwidth, (roofs.held + 1) / (own.held + 1))
        over = [*values, *np.log(memory).tolist()]
        ordered = family in ORDERED
        weaker = ordered and others.keys() <= peaks.keys() and max(over) <= SAME
        stronger = ordered and others.keys() >= peaks.keys() and min(over) >= -SAME
        if make or weaker or stronger:
            found.append(
                Sibling(
                    key, runs.machine_class, make, weaker, stronger, ratios, roofs.bandwidth, roofs.held, runs.cores,
                    runs.ways,
                )
            )  # fmt: skip
    return tuple(found)


def order_of(own: Roofs, siblings: Sequence[Sibling]) -> NDArray[np.bool_]:
    """Return which machines of one make have at least as much of everything as others; the machine itself comes last.

    Args:
        own: The machine's roofs.
        siblings: Those of its make, as `siblings_of` returns them.

    Returns:
        (machines, machines): whether the second is at least as strong as the first.
    """
    roofs = np.asarray(
        [
            *((each.scale, each.bandwidth, each.held + 1) for each in siblings),
            (1.0, own.bandwidth, own.held + 1),
        ]
    )
    logarithms = np.log(roofs)
    return np.asarray((logarithms[None] >= logarithms[:, None] - SAME).all(2), np.bool_)


def settle(log_time: Floats, stronger: NDArray[np.bool_], sure: NDArray[np.bool_]) -> Floats:
    """Return times in which no machine with more of everything is slower, those of sure machines as they are.

    Machines that are not sure of theirs meet in the middle between the least and the largest change that puts them in
    order, and then keep to what the sure ones leave them.

    Args:
        log_time: Logarithm of the time of each machine; (machines, batches).
        stronger: As `order_of` returns it.
        sure: Machines whose own runs are enough.
    """
    free = ~sure

    def most(over: NDArray[np.bool_]) -> Floats:
        return np.where(over[..., None], log_time[None], -np.inf).max(1)

    def least(over: NDArray[np.bool_]) -> Floats:
        return np.where(over[..., None], log_time[None], np.inf).min(1)

    own = np.eye(len(sure), dtype=np.bool_)
    up, down = most(stronger & free | own), least(stronger.T & free | own)
    settled = np.where(free[:, None], (up + down) / 2, log_time)
    kept = _within(settled, most(stronger & sure), least(stronger.T & sure))
    return np.where(free[:, None], kept, log_time)


def clamp(
    log_time: Floats, others: Floats, stronger: NDArray[np.bool_], weaker: NDArray[np.bool_]
) -> Floats:
    """Return the times of a machine between those of others.

    Args:
        log_time: Of the machine; (runs,).
        others: Of the others; (others, runs).
        stronger: Which of them have at least as much of everything; (others, runs), or (others, 1).
        weaker: Which of them have at most as much, likewise.
    """
    low = np.where(stronger, others, -np.inf).max(0, initial=-np.inf)
    high = np.where(weaker, others, np.inf).min(0, initial=np.inf)
    return _within(log_time, low, high)


def _within(log_time: Floats, low: Floats, high: Floats) -> Floats:
    """Return times between ends, each of which may be infinite; the middle of ends that are crossed."""
    with np.errstate(invalid="ignore"):
        middle = (low + high) / 2
    return np.where(low > high, middle, np.minimum(np.maximum(log_time, low), high))
