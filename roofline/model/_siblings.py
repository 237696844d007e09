"""Machines of one make: what runs of some say of the others, so that more of everything is never slower.

Two machines are of one make where one maker's peaks of both stand in one ratio at every datatype of inference. An
estimate of a machine with few runs or none is compared with those of its siblings at the same network, batch, runtime
and datatype.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from roofline.model._core import Floats
from roofline.model._network_facts import held_bytes

if TYPE_CHECKING:
    from roofline.model._expected_data import Parameters
    from roofline.model._run_facts import Facts
    from roofline.spec import Platform

RATIO = 0.02
"""How far the logarithms of the ratios of two machines' peaks may lie apart over datatypes."""

COMPARED = frozenset({"fp32", "tf32", "bf16", "fp16", "fp8", "int8"})
"""The datatypes that peaks are compared at: no network of the evidence runs in fp64, and makers state int4 in ways of
their own."""

ENOUGH = 20
"""Runs with a runtime from which a machine's own say more of it than its siblings'."""

SAME = 1e-3
"""Logarithm within which two roofs are one."""


@dataclass(frozen=True, slots=True)
class Sibling:
    """A machine of the evidence that is of one make with another machine."""

    key: str
    scale: float
    """Its peaks over those of the other."""
    bandwidth: float
    """B/s."""
    held: float
    """Bytes of weights that stay on its chip."""
    cores: float
    runs: Mapping[str, int]
    """How many it has, per runtime."""

    def stand_in(self, facts: Facts) -> Facts:
        """Return the facts of the other machine's run as those of the same run on this one."""
        n = facts.numbers
        numbers = {
            **n,
            "peak": n["peak"] * self.scale,
            "bandwidth": np.full(len(facts), self.bandwidth),
            "cores": np.full(len(facts), self.cores),
            "held": np.where(n["attention"] > 0, 0.0, self.held),
        }
        return replace(facts, machine=np.full(len(facts), self.key, object), numbers=numbers)


def siblings_of(platform: Platform, machine_class: str, known: Parameters) -> tuple[Sibling, ...]:
    """Return the machines of the evidence that are of one make with a machine, itself included.

    Args:
        platform: The machine.
        machine_class: Its class.
        known: The model's parameters.
    """
    own = {n: np.log(peak.base) for n, peak in platform.peaks.items() if n in COMPARED}
    found: list[Sibling] = []
    for key, runs in known.machines.items():
        roofs = runs.roofs
        if (
            roofs is None
            or roofs.vendor != platform.vendor
            or runs.machine_class != machine_class
            or roofs.peaks.keys() & COMPARED != own.keys()
        ):
            continue
        ratios = [np.log(roofs.peaks[name]) - value for name, value in own.items()]
        if ratios and max(ratios) - min(ratios) <= RATIO:
            scale = float(np.exp(np.mean(ratios)))
            found.append(Sibling(key, scale, roofs.bandwidth, roofs.held, runs.cores, runs.runs))
    return tuple(found)


def order_of(platform: Platform, siblings: Sequence[Sibling]) -> NDArray[np.bool_]:
    """Return which machines have at least as much of everything as others: siblings, and the machine itself last.

    Args:
        platform: The machine.
        siblings: As `siblings_of` returns them.

    Returns:
        (machines, machines): whether the second is at least as strong as the first.
    """
    bandwidth = platform.weight_bandwidth or platform.bandwidth
    roofs = np.asarray(
        [
            *((each.scale, each.bandwidth, each.held + 1) for each in siblings),
            (1.0, bandwidth, held_bytes(platform) + 1),
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
    """Return the times of a machine without runs between those of siblings.

    Args:
        log_time: Of the machine; (batches,).
        others: Of its siblings, settled; (siblings, batches).
        stronger: Which of them have at least as much of everything.
        weaker: Which of them have at most as much.
    """
    low = np.where(stronger[:, None], others, -np.inf).max(0, initial=-np.inf)
    high = np.where(weaker[:, None], others, np.inf).min(0, initial=np.inf)
    return _within(log_time, low, high)


def _within(log_time: Floats, low: Floats, high: Floats) -> Floats:
    """Return times between ends, each of which may be infinite; the middle of ends that are crossed."""
    with np.errstate(invalid="ignore"):
        middle = (low + high) / 2
    return np.where(low > high, middle, np.minimum(np.maximum(log_time, low), high))
