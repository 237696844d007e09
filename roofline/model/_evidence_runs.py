"""What the law of published runs says of networks on machines, at many batches at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from roofline.model._core import Floats
from roofline.model._expected_data import Parameters, shipped_parameters
from roofline.model._law_estimates import BESIDE, FAR, NEW, Effect
from roofline.model._network_facts import facts_of, under_way
from roofline.model._run_facts import Facts, join_facts
from roofline.model.deployment import Deployment

if TYPE_CHECKING:
    from roofline.spec import Platform
    from roofline.workload import Workload


@dataclass(frozen=True, slots=True)
class Runs:
    """What the law says of one network on one machine at many batches; arrays with one entry per batch."""

    fps: Floats
    interval_fps: tuple[Floats, Floats]
    latency_s: Floats | None
    interval_latency_s: tuple[Floats, Floats] | None
    shares: Floats
    """Share of the time that each of `PARTS` answers for; (batches, 4)."""


@dataclass(frozen=True, slots=True)
class NetworkRun:
    """A network on a machine, and how that is taken to be run."""

    workload: Workload
    platform: Platform
    deployment: Deployment
    datatype: str
    unit: str

    def facts(self, *, in_flight: bool, kin: str | None = None) -> Facts:
        """Return what the law is told of it.

        Args:
            in_flight: Whether several runs are in flight.
            kin: The machine whose runs stand for those of its own; by default none.
        """
        run = self.deployment
        found = facts_of(
            self.workload, self.platform, machine_class=run.machine_class, runtime=run.runtime,
            datatype=self.datatype, unit=self.unit, batch=1, cores=run.cores, in_flight=in_flight,
        )  # fmt: skip
        return found if kin is None else replace(found, machine=np.asarray([kin, ""], object)[:1])

    def kin(self, effects: Mapping[str, Effect] | None) -> str | None:
        """Return the other machine whose runs stand for its own; None for none, or where effects tell of itself."""
        key, other = self.platform.key, self.deployment.runs_of
        return None if other == key or key in (effects or {}) else other


def runs_of(
    asked: Sequence[NetworkRun],
    batches: Floats,
    effects: Mapping[str, Effect] | None,
    known: Parameters,
) -> list[Runs]:
    """Return what the law says of networks on machines, all at the same batches."""
    kin = [each.kin(effects) for each in asked]
    every = [
        each.facts(in_flight=each.deployment.usage.throughput, kin=other)
        for each, other in zip(asked, kin, strict=True)
    ]
    rates = _time_runs(every, batches, effects, known, kin)
    # A chip that streams items has many under way at any batch: their rate says nothing of one's latency.
    alone = [
        place
        for place, (each, facts) in enumerate(zip(asked, every, strict=True))
        if each.deployment.usage.latency and under_way(facts, np.ones(1))[0] == 1
    ]
    # Their own throughput is that of one run at a time unless several are in flight: one answer serves for both.
    several = [place for place in alone if asked[place].deployment.usage.throughput]
    times = _time_runs(
        [asked[place].facts(in_flight=False, kin=kin[place]) for place in several], batches, effects, known,
        [kin[place] for place in several],
    )  # fmt: skip
    latencies = {place: rates[place] for place in alone} | dict(zip(several, times, strict=True))
    found: list[Runs] = []
    for place, (items, seconds, short, long, shares) in enumerate(rates):
        fps, ends = items / seconds, (items / long, items / short)
        time = latencies.get(place)
        if time is None:
            found.append(Runs(fps, ends, None, None, shares))
            continue
        # One run alone takes at least its share of the time of several.
        least, most = np.maximum(time[2], short), np.maximum(time[3], long)
        found.append(Runs(fps, ends, np.maximum(time[1], seconds), (least, most), shares))
    return found


def _time_runs(
    runs: Sequence[Facts],
    batches: Floats,
    effects: Mapping[str, Effect] | None,
    known: Parameters,
    kin: Sequence[str | None],
) -> list[tuple[Floats, Floats, Floats, Floats, Floats]]:
    """Return of each run, by batches: items under way, seconds, the ends of their interval, and shares of the time.

    Args:
        runs: The runs, of their machine or of that which stands for it.
        batches: Items per batch.
        effects: What is known of single machines.
        known: The model's parameters.
        kin: The machine that stands for that of each run; None for none.
    """
    if not runs:
        return []
    facts, shape = join_facts(runs), (len(runs), len(batches))
    items = np.stack([under_way(run, batches) for run in runs])
    found = known.law.at_batches(facts, items, effects)
    # Another machine's runs tell no more of it than those with another runtime or datatype.
    stands = np.repeat(np.asarray([other is not None for other in kin], np.bool_), len(batches))
    near = stands & ~np.isin(found.known, (NEW, FAR))
    found = replace(found, known=np.where(near, BESIDE, found.known))
    classes = np.repeat(facts.machine_class, len(batches))
    low, high = known.quantiles.interval(found, classes)
    seconds, short, long = (np.exp(x).reshape(shape) for x in (found.log_time, low, high))
    return list(zip(items, seconds, short, long, found.shares.reshape(*shape, 4), strict=True))


def machine_effect(
    figures: Sequence[tuple[Facts, float]],
    parameters: Parameters | None = None,
    kin: str | None = None,
) -> Effect:
    """Return what figures of one machine say of it.

    Args:
        figures: Runs of the machine and the items per second of each.
        parameters: The model's; by default those shipped.
        kin: The machine of the evidence whose runs tell of it; by default itself.
    """
    known = parameters or shipped_parameters()
    facts = join_facts([found for found, _ in figures])
    fps = np.asarray([value for _, value in figures])
    prior = known.law.effects.get(kin or facts.machine[0])
    return known.law.correct(facts, np.log(facts.numbers["batch"] / fps), prior)
