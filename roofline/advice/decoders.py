"""Decoders: for each machine the fewest devices that hold a network and answer its requests as fast as is asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING

from roofline.advice.candidate import Candidate, Hurdle, part_of
from roofline.advice.judgement import judge
from roofline.advice.needs import Need
from roofline.advice.search import Advice, rank
from roofline.advice.units import has_unit, is_unstated
from roofline.advice.wish import MAX_TPOT, MAX_TTFT, MIN_TOKENS_PER_S, Limit, Wish
from roofline.conventions import Traffic
from roofline.decoder_classes import class_of
from roofline.decoding.memory import memory_of
from roofline.decoding.request import Phase, Spread
from roofline.errors import OptionError
from roofline.model import at_precision, choose_unit
from roofline.number_format import number, plural
from roofline.precision import precision
from roofline.serving import serve

if TYPE_CHECKING:
    from roofline.decoding.phases import Decoding
    from roofline.decoding.request import Request
    from roofline.expected_tokens import Figures
    from roofline.model import Prediction
    from roofline.spec import Platform
    from roofline.workload import Workload

DEVICES = (1, 2, 4, 8)
"""Numbers of devices that are tried."""


def advise_decoder(
    decoder: Decoding,
    request: Request,
    platforms: Sequence[Platform],
    wish: Wish,
    *,
    datatypes: Sequence[str] | None = None,
    batches: Sequence[int] | None = None,
    model: str | None = None,
    most_devices: int = DEVICES[-1],
    figures: Mapping[str, Figures] | None = None,
) -> Advice:
    """Return which machines answer a decoder's requests as fast as is asked, and how many of them it takes.

    Args:
        decoder: The network.
        request: Lengths and phase; its number of devices is the least that is tried.
        platforms: Machines to choose from, each the kind of all devices.
        wish: What is asked, in tokens per second and times, and the limits.
        datatypes: Precisions that would do; by default the graph's own.
        batches: Requests in flight that would do; by default 1.
        model: Name of a prediction model; None for the best estimate there is, else the bound.
        most_devices: Most devices that share it.
        figures: What measured rates of machines say of them, by key.

    Raises:
        DatatypeError: No machine has any of the datatypes.
        OptionError: A name or a number is not allowed, or the request does not suit the network.
    """
    if wish.streams is not None or wish.latency is not None or wish.rates:
        raise OptionError(
            f"{decoder.name} is a decoder: it has tokens, and no frames",
            repair=f"Ask for {MIN_TOKENS_PER_S}, {MAX_TTFT} or {MAX_TPOT}",
        )
    request = decoder.fit(request)
    counts = _device_counts(decoder, request, most_devices)
    asked = [*product(datatypes or (decoder.stored or None,), batches or (1,))]
    candidates: list[Candidate] = []
    needs: list[Need] = []
    lacking: Counter[str] = Counter()
    unheld: Counter[str] = Counter()
    for datatype, batch in asked:
        step = decoder.step(request, batch)
        step = step if datatype is None else at_precision(step, datatype)
        name = datatype or step.precision
        able = [entry for entry in platforms if name is None or has_unit(entry, name)]
        lacking.update({entry.key for entry in platforms} - {entry.key for entry in able})
        found = _fewest(
            decoder, request, able, wish, datatype, batch, step, counts, model, figures
        )
        unheld.update(entry.key for entry in able if entry.key not in found)
        candidates += found.values()
        needs += _need(decoder, request, step, found, wish, batch)
    without = [entry.key for entry in platforms if lacking[entry.key] == len(asked)]
    tried = [name for each, _ in asked if (name := each or decoder.step(request, 1).precision)]
    unstated = {entry.key for entry in platforms if is_unstated(entry, tried)}
    if platforms and len(without) == len(platforms):
        # What the first machine says of it stands for all.
        own = decoder.step(request, 1).precision
        choose_unit(platforms[0], precision(asked[0][0] or own or ""))
    held = {candidate.platform for candidate in candidates}
    small = [key for key in unheld if key not in held and key not in without]
    without = list(dict.fromkeys(without))
    return Advice(
        tuple(needs), rank(candidates), tuple(without), tuple(small),
        unit_unstated=tuple(key for key in without if key in unstated),
    )  # fmt: skip


def _device_counts(decoder: Decoding, request: Request, most: int) -> list[int]:
    """Return the numbers of devices that are tried, fewest first.

    Raises:
        OptionError: The network spreads over none of them.
    """
    fitting = decoder.counts(request.spread)
    counts = [
        count
        for count in sorted({*DEVICES, request.devices, most})
        if request.devices <= count <= most and count in fitting
    ]
    if not counts:
        # Says which numbers the heads spread over.
        decoder.check(replace(request, devices=most))
    return counts


def _fewest(
    decoder: Decoding, request: Request, platforms: Sequence[Platform], wish: Wish, datatype: str | None, batch: int,
    step: Workload, counts: Sequence[int], model: str | None, figures: Mapping[str, Figures] | None,
) -> dict[str, Candidate]:  # fmt: skip
    """Return for each machine the fewest devices that reach what is asked; else the most that hold the network."""
    open_ = {entry.key: entry for entry in platforms}
    found: dict[str, Candidate] = {}
    estimated: dict[str, Candidate] = {}
    for count in counts:
        asked = replace(request, devices=count)
        for spread in _spreads(asked, batch, model):
            case = replace(asked, spread=spread)
            holding = _holders(decoder, case, open_.values(), batch, step)
            if spread is not request.spread:
                # Public runs of one user on several cards have layers in series.
                holding = [entry for entry in holding if class_of(entry) not in {None, "served"}]
            if not holding:
                continue
            result = serve(
                decoder, case, holding, batches=[batch], model=model,
                datatypes=[] if datatype is None else [datatype], figures=figures,
            )  # fmt: skip
            rows: dict[str, list[Prediction]] = {}
            for row in result.predictions:
                rows.setdefault(row.platform, []).append(row)
            for key, mine in rows.items():
                chosen = mine[-1] if wish.efficiency is None else mine[0]
                candidate = judge((part_of(chosen, wish, mine[0]),), open_[key], wish, count)
                candidate = _note_fewer(candidate, estimated.get(key))
                found[key] = candidate
                if candidate.low is not None:
                    estimated[key] = _faster(candidate, estimated.get(key))
                slow = {Limit.THROUGHPUT, Limit.FIRST_TOKEN, Limit.TOKEN, Limit.MEMORY}
                if not any(hurdle.limit in slow for hurdle in candidate.obstacles):
                    del open_[key]
    return found


def _spreads(request: Request, batch: int, model: str | None) -> tuple[Spread, ...]:
    """Return how devices are tried to share it: first in series where runs may be a basis and nothing was asked."""
    free = "spread" in request.defaults and request.spread is Spread.TENSOR
    if free and request.devices > 1 and batch == 1 and model in {None, "expected"}:
        return (Spread.SERIES, request.spread)
    return (request.spread,)


def _holders(
    decoder: Decoding, request: Request, platforms: Iterable[Platform], batch: int, step: Workload
) -> list[Platform]:
    """Return the machines of which so many devices hold the network and its caches."""
    heads = None if request.spread is Spread.SERIES else decoder.roles.kv_heads
    each = memory_of(step).on_one(batch, request.length, request.devices, heads)
    return [entry for entry in platforms if entry.capacity is None or each <= entry.capacity]


def _faster(first: Candidate, second: Candidate | None) -> Candidate:
    return first if second is None or (first.low or 0.0) > (second.low or 0.0) else second


def _note_fewer(candidate: Candidate, fewer: Candidate | None) -> Candidate:
    """Return a candidate of which there is a bound only, with what is expected of fewer devices that do not do."""
    if candidate.low is not None or fewer is None or fewer.low is None:
        return candidate
    in_series = " with layers in series" if fewer.units > 1 else ""
    doubt = (
        f"a bound of {plural(candidate.units, 'device')}: of so many no public runs are a basis; "
        f"{plural(fewer.units, 'device')}{in_series} would reach {number(fewer.low, 3)} tokens/s at the low end"
    )
    doubts = [hurdle for hurdle in candidate.doubts if hurdle.limit is not Limit.BASIS]
    return replace(candidate, doubts=(Hurdle(Limit.BASIS, doubt), *doubts), fewer=fewer)


def _need(
    decoder: Decoding, request: Request, step: Workload, found: dict[str, Candidate], wish: Wish, batch: int
) -> list[Need]:  # fmt: skip
    """Return what a single device needs for the tokens alone: what a pass reads, and its arithmetic, at the rate.

    A pass is a step of all requests; in phase prefill it is all their prompts.
    """
    if wish.fps is None or not found:
        return []
    work, tokens = step, batch
    if request.phase is Phase.PREFILL:
        prompts = decoder.prompt(request, batch)
        work = at_precision(prompts, step.precision) if step.precision else prompts
        tokens = batch * request.context
    passes_per_s = wish.fps / (wish.efficiency or 1.0) / tokens
    kept = memory_of(step)
    read = work.traffic_bytes(Traffic.WEIGHTS) + sum(layer.cache_bytes for layer in work.layers)
    name = next(iter(found.values())).prediction.datatype
    return [
        Need(
            decoder.name, name, batch, 2 * work.macs * passes_per_s, read * passes_per_s,
            kept.on_one(batch, request.length, 1, decoder.roles.kv_heads),
        )
    ]  # fmt: skip
