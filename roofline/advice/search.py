"""Every machine, datatype and batch that could do, in the order in which a buyer looks at them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from roofline.advice.candidate import Candidate, Part, part_of
from roofline.advice.judgement import judge
from roofline.advice.needs import Need, need
from roofline.advice.units import has_unit, is_unstated
from roofline.advice.wish import MIN_FPS, Wish
from roofline.arguments import check_kind, check_list
from roofline.errors import DatatypeError, NoBasisError, OptionError
from roofline.model import Choices, at_precision
from roofline.model._request import own_precision, predictions_at
from roofline.precision import Precision, precision
from roofline.spec import Platform
from roofline.surfaces import PLATFORM, on_each
from roofline.tables import frame
from roofline.workload import Workload

if TYPE_CHECKING:
    import pandas as pd

    from roofline.model._law_estimates import Effect

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)
"""Batches among which the one is sought that meets a limit of latency, where none are named."""


@dataclass(frozen=True, slots=True)
class Advice:
    """Machines with an estimate before those with a bound only; those that suit first.

    Of those with the same answer the ones of whose runtimes a run is published come first, by the low end.
    """

    needs: tuple[Need, ...]
    candidates: tuple[Candidate, ...]
    without_unit: tuple[str, ...]
    """Machines whose files state a unit for none of the datatypes."""
    without_memory: tuple[str, ...] = ()
    """Machines that do not hold a decoder, on however many devices were allowed."""
    unit_unstated: tuple[str, ...] = ()
    """Those of `without_unit` whose files do not say that they lack one: they may have it."""
    without_basis: tuple[str, ...] = ()
    """Machines that have a datatype, and of which the model that was asked for says nothing."""

    def records(self) -> list[dict[str, Any]]:
        """Return one row per candidate."""
        return [candidate.record() for candidate in self.candidates]

    def to_frame(self) -> pd.DataFrame:
        """Return one row per candidate (needs pandas)."""
        return frame(self.records())


def advise(
    workloads: Workload | Sequence[Workload],
    platforms: Sequence[Platform],
    wish: Wish,
    *,
    datatypes: Sequence[Precision | str] | None = None,
    batches: Sequence[int] | None = None,
    model: str | None = None,
    effects: Mapping[str, Effect] | None = None,
) -> Advice:
    """Return which machines run networks as fast as is asked within limits, and what any machine would need to.

    Several networks share a machine's time, one behind the other.

    Args:
        workloads: The network, or the networks that share the machine.
        platforms: Machines to choose from.
        wish: What is asked, and the limits.
        datatypes: Precisions that would do; by default the first network's own.
        batches: Items per batch that would do; by default the networks' own, or with a limit of latency for each
            machine the one of `BATCHES` that is fastest within it.
        model: Name of a prediction model; None for the best estimate there is, else the bound.
        effects: What figures of single machines say of them, by key.

    Raises:
        DatatypeError: A datatype is not known, none was named and the network has none, or no machine has any of them.
        NoBasisError: The model has no basis on any machine.
        OptionError: A name or a number is not allowed.
    """
    networks = [workloads] if isinstance(workloads, Workload) else workloads
    check_list(networks, Workload, "workloads", "Load each: rl.load('resnet50')")
    check_list(platforms, Platform, "platforms", "Find each: rl.platform('h100-sxm')")
    check_kind(wish, Wish, "wish", "Write it: Wish(fps=30)")
    _check(networks, platforms, wish)
    named = map(precision, datatypes or (own_precision(networks[0], platforms[0]),))
    asked = list({each.name: each for each in named}.values())
    ready = {name: [at_precision(network, name) for network in networks] for name in asked}
    searched = wish.latency is not None and not batches
    tried = BATCHES if searched else tuple(batches or (networks[0].batch,))
    candidates: list[Candidate] = []
    left_out: list[Platform] = []
    for platform in platforms:
        before = len(candidates)
        for datatype in asked:
            found = on_machine(ready[datatype], platform, wish, datatype, tried, model, effects)
            candidates += found[:1] if searched else found
        if len(candidates) == before:
            left_out.append(platform)
    if not candidates:
        # Every machine refused; what the first one says of it stands for all.
        first = asked[0]
        predictions_at(ready[first][0], platforms[0], tried, model, {"datatype": first})
    needs = [
        need(network, datatype.name, batch, (wish.streams or 1) * rate / (wish.efficiency or 1.0))
        for datatype in asked
        for batch in (() if searched else tried)
        for network in ready[datatype]
        if (rate := wish.rate(network.name)) is not None
    ]
    without = [entry for entry in left_out if not any(has_unit(entry, name) for name in asked)]
    return Advice(
        tuple(needs), rank(candidates), tuple(entry.key for entry in without),
        unit_unstated=tuple(entry.key for entry in without if is_unstated(entry, asked)),
        without_basis=tuple(entry.key for entry in left_out if entry not in without),
    )  # fmt: skip


def on_machine(
    networks: Sequence[Workload], platform: Platform, wish: Wish, datatype: Precision, batches: Sequence[int],
    model: str | None, effects: Mapping[str, Effect] | None = None,
) -> list[Candidate]:  # fmt: skip
    """Return a machine at each batch, the best first; none where it lacks the datatype or the model a basis.

    Args:
        networks: What shares it, at the datatype.
        platform: The machine.
        wish: What is asked.
        datatype: The precision.
        batches: Items per batch.
        model: Name of a prediction model; None for the best estimate there is, else the bound.
        effects: What figures of single machines say of them, by key.
    """
    choices: Choices = {"datatype": datatype, "effects": effects}
    parts: dict[int, list[Part]] = {batch: [] for batch in batches}
    for network in networks:
        try:
            found = predictions_at(network, platform, batches, model, choices)
        except (DatatypeError, NoBasisError):
            # Another machine may have the unit, or the basis.
            return []
        for batch in batches:
            mine = [entry for entry in found if entry.batch == batch]
            if mine:
                # With an efficiency the asker's own estimate stands: a share of the bound, which comes first.
                chosen = mine[-1] if wish.efficiency is None else mine[0]
                parts[batch].append(part_of(chosen, wish, mine[0]))
    complete = [tuple(each) for each in parts.values() if len(each) == len(networks)]
    return sorted((judge(each, platform, wish) for each in complete), key=place)


def place(candidate: Candidate) -> tuple[bool, int, bool, float]:
    """Return what candidates are ordered by: an estimate, the answer, runs of its own runtimes, and the low end.

    Of a machine whose runtimes nobody published a run of, no interval of others' says how far off it can be.
    """
    order = {"yes": 0, "unknown": 1, "no": 2}
    low = candidate.low
    return (
        low is None,
        order[candidate.answer],
        candidate.is_borrowed,
        -((low if low is not None else candidate.bound) or 0.0),
    )


def rank(candidates: Iterable[Candidate]) -> tuple[Candidate, ...]:
    """Return candidates in order, those on the front marked."""
    ordered = sorted(candidates, key=place)
    front = _front(ordered)
    return tuple(replace(entry, on_front=index in front) for index, entry in enumerate(ordered))


def _front(candidates: Sequence[Candidate]) -> set[int]:
    """Return the places of those that none beats in speed, watts and price; what is known of all three is compared."""
    points = {
        index: (low, -watts, -price)
        for index, entry in enumerate(candidates)
        if (low := entry.low) is not None
        and (watts := entry.total_watts) is not None
        and (price := entry.total_price) is not None
    }

    def is_beaten(mine: tuple[float, ...]) -> bool:
        return any(
            other != mine and all(b >= a for a, b in zip(mine, other, strict=True))
            for other in points.values()
        )

    return {index for index, mine in points.items() if not is_beaten(mine)}


def _check(networks: Sequence[Workload], platforms: Sequence[Platform], wish: Wish) -> None:
    if not platforms:
        raise OptionError(
            "there is no machine to choose from", repair=f"Name some with {PLATFORM}"
        )
    if not networks:
        raise OptionError("there is no network", repair="Name at least one")
    names = [network.name for network in networks]
    strangers = [name for name in wish.rates if name not in names]
    if strangers:
        raise OptionError(
            f"a rate is given for {strangers[0]!r}, which is none of the networks",
            repair=f"Networks: {', '.join(names)}",
        )
    if len(networks) > 1 and any(wish.rate(name) is None for name in names):
        raise OptionError(
            "networks that share a machine need a rate each",
            repair=f"Give {MIN_FPS.at(30)}, or {on_each('--min-fps NETWORK=30', 'rates={NETWORK: 30}')} for each",
        )
