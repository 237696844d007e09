"""What would make a machine pass that fails: a narrower datatype, fewer channels, or both."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from roofline.advice.candidate import Candidate, Remedy
from roofline.advice.search import Advice, on_machine
from roofline.advice.wish import Limit, Wish
from roofline.errors import RooflineError
from roofline.model import at_precision
from roofline.precision import precision

if TYPE_CHECKING:
    from roofline.model._law_estimates import Effect
    from roofline.spec import Platform
    from roofline.workload import Workload

SHARES = (1.0, 0.75, 0.5, 0.25)
"""Shares of inner channels that are tried, all of them first."""
_MENDABLE = frozenset({Limit.THROUGHPUT, Limit.LATENCY, Limit.MEMORY})

Accuracy = Callable[[str, str, float], str | None]
"""Returns what is known of a network's accuracy by datatype and share of channels; None where nothing is."""


def with_remedies(
    advice: Advice,
    networks: Sequence[Workload],
    platforms: Sequence[Platform],
    wish: Wish,
    accuracy: Accuracy,
    *,
    most: int = 10,
    effects: Mapping[str, Effect] | None = None,
) -> Advice:
    """Return advice in which machines that are only too slow or too small say what would make them pass.

    Args:
        advice: The answer without compression.
        networks: The networks, uncompressed.
        platforms: The machines it is about.
        wish: What is asked.
        accuracy: What is known of accuracies.
        most: How many machines are tried, those nearest to what is asked first.
        effects: What figures of single machines say of them, by key.
    """
    machines = {platform.key: platform for platform in platforms}

    @cache
    def prune(share: float) -> tuple[Workload, ...] | None:
        if share == 1:
            return tuple(networks)
        try:
            return tuple(network.under(pruning=share) for network in networks)
        except RooflineError:
            # A network without channels to take away keeps them.
            return None

    def compress(datatype: str, share: float) -> tuple[Workload, ...] | None:
        left = prune(share)
        try:
            return left and tuple(at_precision(network, datatype) for network in left)
        except RooflineError:
            # Not every format stores every network.
            return None

    tried: set[str] = {entry.platform for entry in advice.candidates if entry.suits}
    entries: list[Candidate] = []
    for entry in advice.candidates:
        mendable = entry.obstacles and {hurdle.limit for hurdle in entry.obstacles} <= _MENDABLE
        if mendable and not entry.doubts and entry.platform not in tried and most > 0:
            tried.add(entry.platform)
            most -= 1
            found = _remedy(entry, machines[entry.platform], wish, accuracy, compress, effects)
            entries.append(replace(entry, remedy=found))
        else:
            entries.append(entry)
    return replace(advice, candidates=tuple(entries))


def _remedy(
    entry: Candidate,
    platform: Platform,
    wish: Wish,
    accuracy: Accuracy,
    compressed: Callable[[str, float], tuple[Workload, ...] | None],
    effects: Mapping[str, Effect] | None,
) -> Remedy | None:
    for datatype, share in _steps(entry.prediction.datatype, platform):
        networks = compressed(datatype, share)
        if networks is None:
            continue
        batch = entry.prediction.batch
        found = on_machine(networks, platform, wish, precision(datatype), (batch,), None, effects)
        if found and found[0].suits:
            known = tuple(
                f"{part.prediction.network}: {accuracy(part.prediction.network, datatype, share) or 'accuracy unknown'}"
                for part in entry.parts
            )
            return Remedy(datatype, share, found[0].low, known)
    return None


def _steps(datatype: str, platform: Platform) -> Iterator[tuple[str, float]]:
    """Yield compressions, the mildest first: channels are taken away only where no datatype does."""
    bits = precision(datatype).weight_bits
    narrower = [
        name
        for name in sorted(platform.datatypes, key=lambda name: -precision(name).weight_bits)
        if precision(name).weight_bits < bits
    ]
    for share in SHARES:
        for name in ([datatype] if share < 1 else []) + narrower:
            yield name, share
