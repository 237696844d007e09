"""What speaks for and against a machine, of all that is asked of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from roofline.advice.candidate import Candidate, Hurdle, Part, load_of, slow_end
from roofline.advice.wish import Limit, Wish
from roofline.number_format import number, percent, plural

if TYPE_CHECKING:
    from roofline.spec import Platform

LEAST_MEMORY = 128e6
"""Least memory outside the chip, in B, that the file of any machine states that is no microcontroller: what takes no
more is taken to fit in a machine whose file states none."""


def judge(
    parts: tuple[Part, ...], platform: Platform, wish: Wish, devices: int | None = None
) -> Candidate:
    """Return a machine with all that speaks for and against it.

    Args:
        parts: What each network reaches on it.
        platform: The machine.
        wish: What is asked.
        devices: Devices that share a decoder; None where each unit does its own share of the streams.
    """
    obstacles: list[Hurdle] = []
    doubts: list[Hurdle] = []
    units = _units(parts, wish, obstacles, doubts)
    units = units if devices is None else devices
    _judge_memory(parts, platform, wish, obstacles, doubts)
    _judge_times(parts, wish, units, obstacles, doubts)
    watts, price = platform.priced_power, platform.price
    for limit, found, most, unit in (
        (Limit.POWER, watts, wish.watts, "W"), (Limit.PRICE, price, wish.price, "USD"),
    ):  # fmt: skip
        if most is not None and found is None:
            doubts.append(Hurdle(limit, f"{limit.value} unknown"))
        elif most is not None and found is not None and units * found > most:
            each = f"{units} x {found:g} {unit}" if units > 1 else f"{found:g} {unit}"
            obstacles.append(Hurdle(limit, each))
    rates = [part.asked if part.asked is not None else part.low for part in parts]
    delivered = None if None in rates else (wish.streams or 1) * sum(rate or 0.0 for rate in rates)
    return Candidate(
        parts, price, watts, units, tuple(obstacles), tuple(doubts),
        wish.cost_per_million(
            None if price is None else units * price, None if watts is None else units * watts, delivered
        ),
        family=family_of(platform),
        price_of=None if platform.specification.price is None else platform.specification.price.of,
    )  # fmt: skip


def family_of(platform: Platform) -> str:
    """Return what buyers call a machine: ``card``, ``Mac`` or ``board``; empty for others."""
    if platform.segment == "edge":
        return "board"
    if platform.kind != "gpu" or platform.segment not in {"desktop", "laptop", "data centre"}:
        return ""
    if platform.vendor.casefold() == "apple":
        return "Mac"
    return "" if platform.segment == "laptop" else "card"


def _units(
    parts: tuple[Part, ...], wish: Wish, obstacles: list[Hurdle], doubts: list[Hurdle]
) -> int:
    """Return how many units the streams take, and note where one is too slow."""
    estimated = all(part.low is not None for part in parts)
    rates = [part.low if estimated else part.bound for part in parts]
    if None in rates:
        doubts.append(Hurdle(Limit.COUNTS, "not fully counted"))
        return 1
    if not estimated:
        doubts.append(Hurdle(Limit.BASIS, "bound only: no estimate"))
    load = load_of([part.asked for part in parts], rates)
    if load is None:
        return 1
    if load > 1:
        of = "a stream" if wish.streams else "the throughput"
        end = "" if estimated else " at the bound"
        obstacles.append(Hurdle(Limit.THROUGHPUT, f"reaches {percent(1 / load, 2)} of {of}{end}"))
        return 1
    if wish.streams is None or not load:
        return 1
    # A stream is not divided: its frames go to one unit.
    return math.ceil(wish.streams / math.floor(1 / load + 1e-9))


def _judge_memory(
    parts: tuple[Part, ...], platform: Platform, wish: Wish, obstacles: list[Hurdle], doubts: list[Hurdle]
) -> None:  # fmt: skip
    capacity = platform.capacity
    required = sum(part.prediction.required_bytes for part in parts)
    if any(part.prediction.fits is False for part in parts) or (
        len(parts) > 1 and capacity is not None and required > capacity
    ):
        obstacles.append(Hurdle(Limit.MEMORY, "does not fit in its memory"))
    if capacity is None and required > max(platform.on_chip_capacity or 0.0, LEAST_MEMORY):
        doubts.append(
            Hurdle(Limit.MEMORY, f"memory unknown, needs {number(required / 1e9, 3)} GB")
        )
    elif wish.capacity is not None and capacity is None:
        doubts.append(Hurdle(Limit.MEMORY, "memory unknown"))
    elif wish.capacity is not None and capacity is not None and capacity < wish.capacity:
        obstacles.append(Hurdle(Limit.MEMORY, f"{capacity / 1e9:.4g} GB"))


def _judge_times(
    parts: tuple[Part, ...], wish: Wish, units: int, obstacles: list[Hurdle], doubts: list[Hurdle]
) -> None:
    first = parts[0].prediction
    tokens = first.tokens
    latencies = [part.latency for part in parts]
    filling = max(_wait_for_batch(part, wish, units) for part in parts)
    whole = None if None in latencies else filling + sum(value or 0.0 for value in latencies)
    behind = f" for {plural(len(parts), 'network')}" if len(parts) > 1 else ""
    estimated = all(part.low is not None for part in parts)
    for limit, known, most in (
        (Limit.LATENCY, whole, wish.latency),
        (Limit.FIRST_TOKEN, tokens and slow_end(first, "ttft_ms", tokens.ttft_s), wish.ttft),
        (Limit.TOKEN, tokens and slow_end(first, "tpot_ms", tokens.tpot_s), wish.tpot),
    ):
        if most is None:
            continue
        waits = filling if limit is Limit.LATENCY else 0.0
        found = known if known is not None else waits + _least(parts, limit)
        if found > most:
            end = "at worst" if estimated and known is not None else "at best"
            filled = f", {number(1e3 * waits, 3)} ms of it until a batch is full" if waits else ""
            obstacles.append(
                Hurdle(limit, f"{limit.value} {number(1e3 * found, 3)} ms {end}{behind}{filled}")
            )
        elif known is None:
            doubts.append(Hurdle(limit, f"{limit.value} unknown"))


def _wait_for_batch(part: Part, wish: Wish, units: int) -> float:
    """Return the seconds that a camera's frame waits at least until its batch is full; 0 without cameras.

    A batch of more frames than a unit has cameras takes further frames of the same cameras.
    """
    if wish.streams is None or not part.asked:
        return 0.0
    cameras = math.ceil(wish.streams / units)
    return (math.ceil(part.prediction.batch / cameras) - 1) / part.asked


def _least(parts: tuple[Part, ...], limit: Limit) -> float:
    """Return the seconds that a time takes at least; 0 where no bound says so."""
    bounds = [part.least for part in parts if part.least is not None]
    if limit is Limit.LATENCY:
        return sum(bound.latency_s or 0.0 for bound in bounds if bound.upper_bound)
    if not bounds or bounds[0].tokens is None:
        return 0.0
    strict, tokens = bounds[0].upper_bound, bounds[0].tokens
    if limit is Limit.FIRST_TOKEN:
        return tokens.ttft_s or 0.0 if strict or tokens.strict_ttft else 0.0
    return tokens.tpot_s or 0.0 if strict else 0.0
