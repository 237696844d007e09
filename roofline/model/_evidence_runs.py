"""What the law of published runs says of networks on machines, at many batches at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from roofline.model._core import Floats
from roofline.model._expected_data import Parameters, shipped_parameters
from roofline.model._law_estimates import Effect
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

    def facts(self, *, in_flight: bool) -> Facts:
        """Return what the law is told of it."""
        run = self.deployment
        return facts_of(
            self.workload, self.platform, machine_class=run.machine_class, runtime=run.runtime,
            datatype=self.datatype, unit=self.unit, batch=1, cores=run.cores, in_flight=in_flight,
        )  # fmt: skip


def runs_of(
    asked: Sequence[NetworkRun],
    batches: Floats,
    effects: Mapping[str, Effect] | None,
    known: Parameters,
) -> list[Runs]:
    """Return what the law says of networks on machines, all at the same batches."""
    every = [each.facts(in_flight=each.deployment.usage.throughput) for each in asked]
    rates = _time_runs(every, batches, effects, known)
    # A chip that streams items has many under way at any batch: their rate says nothing of one's latency.
    alone = [
        place
        for place, (each, facts) in enumerate(zip(asked, every, strict=True))
        if each.deployment.usage.latency and under_way(facts, np.ones(1))[0] == 1
    ]
    # Their own throughput is that of one run at a time unless several are in flight: one answer serves for both.
    several = [place for place in alone if asked[place].deployment.usage.throughput]
    times = _time_runs(
        [asked[place].facts(in_flight=False) for place in several], batches, effects, known
    )
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
) -> list[tuple[Floats, Floats, Floats, Floats, Floats]]:
    """Return of each run, by batches: items under way, seconds, the ends of their interval, and shares of the time."""
    if not runs:
        return []
    facts, shape = join_facts(runs), (len(runs), len(batches))
    items = np.stack([under_way(run, batches) for run in runs])
    found = known.law.at_batches(facts, items, effects)
    classes = np.repeat(facts.machine_class, len(batches))
    low, high = known.quantiles.interval(found, classes)
    seconds, short, long = (np.exp(x).reshape(shape) for x in (found.log_time, low, high))
    return list(zip(items, seconds, short, long, found.shares.reshape(*shape, 4), strict=True))


def machine_effect(
    figures: Sequence[tuple[Facts, float]], parameters: Parameters | None = None
) -> Effect:
    """Return what figures of one machine say of it.

    Args:
        figures: Runs of the machine and the items per second of each.
        parameters: The model's; by default those shipped.
    """
    known = parameters or shipped_parameters()
    facts = join_facts([found for found, _ in figures])
    fps = np.asarray([value for _, value in figures])
    prior = known.law.effects.get(facts.machine[0])
    return known.law.correct(facts, np.log(facts.numbers["batch"] / fps), prior)
