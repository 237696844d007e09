"""What the law of published runs says of networks on machines, at many batches at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from roofline.model._core import Floats
from roofline.model._expected_data import Parameters, shipped_parameters
from roofline.model._law_estimates import BESIDE, FAR, NEW, Effect
from roofline.model._machine_roofs import roofs_of
from roofline.model._network_facts import facts_of, under_way
from roofline.model._own_figures import OwnFigures
from roofline.model._run_facts import Facts, join_facts
from roofline.model._siblings import ENOUGH, Sibling, clamp, order_of, settle, siblings_of
from roofline.model.deployment import Deployment

if TYPE_CHECKING:
    from roofline.model._time_law import TimeLaw
    from roofline.spec import Platform
    from roofline.workload import Workload


_MOVED = 0.01
"""Logarithm from which it is said that other machines' runs move an estimate, and within which two times are one."""


@dataclass(frozen=True, slots=True)
class Runs:
    """What the law says of one network on one machine at many batches; arrays with one entry per batch."""

    fps: Floats
    interval_fps: tuple[Floats, Floats]
    latency_s: Floats | None
    interval_latency_s: tuple[Floats, Floats] | None
    shares: Floats
    """Share of the time that each of `PARTS` answers for; (batches, 4)."""
    limits: tuple[str, ...] = ()
    """What the rate at each batch was moved by, ``no slower than rtx-3060``; empty where it was not."""


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

    def several(self, effects: Mapping[str, Effect] | None) -> bool:
        """Return whether its throughput is of several runs in flight.

        As published runs of its runtime are, unless figures of it are all of one run behind another.
        """
        runtime, usual = self.deployment.runtime, self.deployment.usage.throughput
        figures = _figures_of(self, effects)
        return usual and (figures is None or runtime in figures.in_flight)

    def sure(self, way: str, effects: Mapping[str, Effect] | None, known: Parameters) -> bool:
        """Return whether runs in this way or figures of its own say enough: then those of others do not move it."""
        before = known.machines.get(self.platform.key)
        runs = 0 if before is None else before.ways.get(way, 0)
        return runs >= ENOUGH or _figures_of(self, effects) is not None


def _figures_of(asked: NetworkRun, effects: Mapping[str, Effect] | None) -> OwnFigures | None:
    """Return the figures of a machine under the runtime of a run; None where there are none."""
    effect, runtime = (effects or {}).get(asked.platform.key), asked.deployment.runtime
    figures = None if effect is None else effect.under(f"{runtime}/").figures
    return None if figures is None or runtime not in figures.find_runtimes("") else figures


def runs_of(
    asked: Sequence[NetworkRun],
    batches: Floats,
    effects: Mapping[str, Effect] | None,
    known: Parameters,
) -> list[Runs]:
    """Return what the law says of networks on machines, all at the same batches."""
    kin = [each.kin(effects) for each in asked]
    several = [each.several(effects) for each in asked]
    every = [
        each.facts(in_flight=many, kin=other)
        for each, many, other in zip(asked, several, kin, strict=True)
    ]
    rates = _time_runs(asked, every, kin, batches, effects, known)
    # A chip that streams items has many under way at any batch: their rate says nothing of one's latency.
    alone = [
        place
        for place, (each, facts) in enumerate(zip(asked, every, strict=True))
        if each.deployment.usage.latency and under_way(facts, np.ones(1))[0] == 1
    ]
    # Their own throughput is that of one run at a time unless several are in flight: one answer serves for both.
    again = [place for place in alone if several[place]]
    times = _time_runs(
        [asked[place] for place in again],
        [asked[place].facts(in_flight=False, kin=kin[place]) for place in again],
        [kin[place] for place in again], batches, effects, known,
    )  # fmt: skip
    latencies = {place: rates[place] for place in alone} | dict(zip(again, times, strict=True))
    found: list[Runs] = []
    for place, (items, seconds, short, long, shares, limits) in enumerate(rates):
        fps, ends = items / seconds, (items / long, items / short)
        time = latencies.get(place)
        if time is None:
            found.append(Runs(fps, ends, None, None, shares, limits))
            continue
        # One run alone takes at least its share of the time of several; a machine of one item at a time takes as
        # many times that of one as a batch has items.
        turns = batches / items
        least, most = np.maximum(time[2], short) * turns, np.maximum(time[3], long) * turns
        latency = np.maximum(time[1], seconds) * turns
        found.append(Runs(fps, ends, latency, (least, most), shares, limits))
    return found


def _time_runs(
    asked: Sequence[NetworkRun],
    runs: Sequence[Facts],
    kin: Sequence[str | None],
    batches: Floats,
    effects: Mapping[str, Effect] | None,
    known: Parameters,
) -> list[tuple[Floats, Floats, Floats, Floats, Floats, tuple[str, ...]]]:
    """Return of each run, by batches: items under way, seconds, the ends of their interval, shares of the time, limits.

    Args:
        asked: The runs.
        runs: The facts of each, of its machine or of that which stands for it.
        kin: The machine that stands for that of each run; None for none.
        batches: Items per batch.
        effects: What is known of single machines.
        known: The model's parameters.
    """
    if not asked:
        return []
    facts, shape = join_facts(runs), (len(runs), len(batches))
    items = np.stack([under_way(run, batches) for run in runs])
    found = known.law.at_batches(facts, items, effects)
    # Another machine's runs tell no more of it than those with another runtime or datatype.
    stands = np.repeat(np.asarray([other is not None for other in kin], np.bool_), len(batches))
    near = stands & ~np.isin(found.known, (NEW, FAR))
    found = replace(found, known=np.where(near, BESIDE, found.known))
    each_one = (found.log_time - np.log(items).ravel()).reshape(shape)
    among, limits = _settle_among_siblings(asked, runs, each_one, batches, effects, known)
    found = found.shift((among - each_one).ravel())
    classes = np.repeat(facts.machine_class, len(batches))
    low, high = known.quantiles.interval(found, classes)
    seconds, short, long = (np.exp(x).reshape(shape) for x in (found.log_time, low, high))
    shares = found.shares.reshape(*shape, 4)
    return list(zip(items, seconds, short, long, shares, limits, strict=True))


def _settle_among_siblings(
    asked: Sequence[NetworkRun],
    runs: Sequence[Facts],
    log_time: Floats,
    batches: Floats,
    effects: Mapping[str, Effect] | None,
    known: Parameters,
) -> tuple[Floats, list[tuple[str, ...]]]:
    """Return the logarithm of the seconds of an item of each run, in order with those of machines like its own.

    Beside them stands, by run and batch, which machine's runs limit them.

    Args:
        asked: The runs.
        runs: The facts of each.
        log_time: The same by each machine's own law; (runs, batches).
        batches: Items per batch.
        effects: What is known of single machines.
        known: The model's parameters.
    """
    alike: dict[str, tuple[Sibling, ...]] = {}
    others: list[tuple[int, Sibling, Facts]] = []
    for place, (each, facts) in enumerate(zip(asked, runs, strict=True)):
        (way,) = facts.way
        if each.sure(way, effects, known):
            continue
        platform, name = each.platform, each.deployment.machine_class
        if platform.key not in alike:
            found = siblings_of(roofs_of(platform), name, known.machines)
            alike[platform.key] = tuple(other for other in found if other.key != platform.key)
        others += [
            (place, other, other.stand_in(facts))
            for other in alike[platform.key]
            if other.make or other.is_sure(way)
        ]
    limits = [("",) * len(batches) for _ in asked]
    if not others:
        return log_time, limits
    items = np.stack([under_way(facts, batches) for _, _, facts in others])
    estimates = known.law.at_batches(join_facts([facts for *_, facts in others]), items, effects)
    times = estimates.log_time.reshape(items.shape) - np.log(items)
    settled = log_time.copy()
    for place in sorted({place for place, *_ in others}):
        rows = [row for row, (at, *_) in enumerate(others) if at == place]
        (way,) = runs[place].way
        group, within = [others[row][1] for row in rows], times[rows]
        makes = [each.make for each in group]
        settled[place] = _settle_among_makes(
            asked[place].platform, [each for each in group if each.make], within[makes],
            settled[place], way, known,
        )  # fmt: skip
        sure = np.asarray([each.is_sure(way) for each in group])
        stronger = sure & np.asarray([each.stronger for each in group])
        weaker = sure & np.asarray([each.weaker for each in group])
        settled[place] = clamp(settled[place], within, stronger[:, None], weaker[:, None])
        limits[place] = _name_limits(group, within, log_time[place], settled[place])
    return settled, limits


def _name_limits(
    group: Sequence[Sibling], others: Floats, free: Floats, held: Floats
) -> tuple[str, ...]:
    """Return, by batch, what an estimate was moved by: the machine whose time it stops at, or several of its make."""
    nearest: list[int] = np.abs(others - held).argmin(0).tolist()
    found: list[str] = []
    for batch, other in enumerate(nearest):
        move, apart = held[batch] - free[batch], abs(others[other, batch] - held[batch])
        than = f"no {'slower' if move < 0 else 'faster'} than {group[other].key}"
        told = than if apart < _MOVED else "in order with machines of its make"
        found.append("" if abs(move) < _MOVED else told)
    return tuple(found)


def _settle_among_makes(
    platform: Platform,
    group: Sequence[Sibling],
    others: Floats,
    log_time: Floats,
    way: str,
    known: Parameters,
) -> Floats:
    """Return the times of a machine, by batches, in order with those of others of its make; (others, batches)."""
    if not group:
        return log_time
    order = order_of(roofs_of(platform), group)
    sure = np.asarray([other.is_sure(way) for other in group] + [False])
    if platform.key in known.machines:
        return settle(np.concatenate([others, log_time[None]]), order, sure)[-1]
    among = settle(others, order[:-1, :-1], sure[:-1])
    return clamp(log_time, among, order[-1, :-1, None], order[:-1, -1, None])


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
    return effect_of(known.law, facts, np.log(facts.numbers["batch"] / fps), prior)


def effect_of(law: TimeLaw, facts: Facts, log_time: Floats, prior: Effect | None) -> Effect:
    """Return what figures of one machine say of it, and what those of each of its runtimes say by themselves.

    Args:
        law: The law.
        facts: The runs, all of one machine.
        log_time: Logarithm of their measured seconds per batch.
        prior: What was known of it before; None for what is known of any machine of a class.
    """
    whole = law.correct(facts, log_time, prior)
    runtimes = sorted(set(facts.runtime))
    if len(runtimes) == 1:
        return whole
    each = {name: np.flatnonzero(facts.runtime == name) for name in runtimes}
    own = {
        name: law.correct(facts.take(rows), log_time[rows], prior) for name, rows in each.items()
    }
    return replace(whole, by_runtime=own)
