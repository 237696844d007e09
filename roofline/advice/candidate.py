"""One machine that could do: what networks reach on it, what speaks against it, and what it costs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from roofline.advice.wish import Limit, Wish
from roofline.model import Basis
from roofline.number_format import number, percent, plural
from roofline.tables import Record

if TYPE_CHECKING:
    from roofline.advice.remedy import Remedy
    from roofline.model import Prediction
    from roofline.spec import Platform


@dataclass(frozen=True, slots=True)
class Hurdle:
    """What speaks against a machine, or is not known of it."""

    limit: Limit
    text: str


@dataclass(frozen=True, slots=True)
class Part:
    """One network on a machine that it has for itself."""

    prediction: Prediction
    """The best estimate there is, else the bound."""
    asked: float | None
    """Items (of a decoder: tokens) per second that one stream asks for."""
    expected: float | None
    """Per second; None where there is a bound only."""
    low: float | None
    """Low end of the 80 % interval."""
    high: float | None
    least: Prediction | None = None
    """The bounds of the same run; None where nothing was asked of them."""

    @property
    def bound(self) -> float | None:
        """The rate of the prediction, whatever it is; None where the network is not fully counted."""
        return rate_of(self.prediction)

    @property
    def latency(self) -> float | None:
        """Seconds of a batch at the unlucky end of the interval; None where nothing is known of it."""
        return slow_end(self.prediction, "latency_ms", self.prediction.latency_s)

    def record(self) -> Record:
        """Return the network's share of a candidate as a row; rates of decoders are of tokens, not of frames."""
        rates = {
            "asked": self.asked,
            "low": self.low,
            "expected": self.expected,
            "throughput": self.bound,
        }
        return {
            "network": self.prediction.network,
            **named_rates(self.prediction, rates),
            "model": self.prediction.model,
        }


def part_of(prediction: Prediction, wish: Wish, least: Prediction | None = None) -> Part:
    """Return a prediction as a part of a candidate.

    Args:
        prediction: The best estimate there is, else the bound.
        wish: What is asked.
        least: The bounds of the same run; whether runs can undercut them is for it to say.
    """
    rate, ends = rate_of(prediction), _ends(prediction)
    asked = wish.rate(prediction.network)
    if wish.efficiency is not None and rate is not None:
        share = wish.efficiency * rate
        return Part(prediction, asked, share, share, share, least)
    if rate is None or ends is None:
        return Part(prediction, asked, None, None, None, least)
    return Part(prediction, asked, rate, *ends, least)


def rate_of(prediction: Prediction) -> float | None:
    """Return items per second; of a decoder the tokens that its requests write, each after its first."""
    tokens = prediction.tokens
    if tokens is None:
        return prediction.throughput_fps
    return tokens.tokens_per_s if tokens.tpot_s is None else prediction.batch / tokens.tpot_s


def _ends(prediction: Prediction) -> tuple[float, float] | None:
    tokens = prediction.tokens
    if tokens is None:
        return prediction.interval_fps
    if tokens.tpot_s is None:
        return prediction.intervals.get("tokens_per_s")
    ends = prediction.intervals.get("tokens_per_s_per_user")
    return None if ends is None else (prediction.batch * ends[0], prediction.batch * ends[1])


def named_rates(
    prediction: Prediction, rates: Mapping[str, float | None]
) -> dict[str, float | None]:
    """Return rates as columns: of frames, and behind them, of decoders, of tokens."""
    frames = {f"{name}_fps": value for name, value in rates.items()}
    if prediction.tokens is None:
        return frames
    tokens = {
        "tokens_per_s" if name == "throughput" else f"{name}_tokens_per_s": value
        for name, value in rates.items()
    }
    return dict.fromkeys(frames) | tokens


@dataclass(frozen=True, slots=True)
class Candidate:
    """One machine at one datatype and batch, and all networks that are to share it."""

    parts: tuple[Part, ...]
    price: float | None
    """USD of one unit."""
    watts: float | None
    """Thermal design power of what the price buys, W; None where the file does not say."""
    units: int
    """How many are needed; of a decoder, the devices that share it."""
    obstacles: tuple[Hurdle, ...]
    """Why it does not do; empty when it does."""
    doubts: tuple[Hurdle, ...] = ()
    """What is not known of it."""
    cost: float | None = None
    """USD for a million items."""
    on_front: bool = False
    """Whether no other is at least as fast, frugal and cheap, and better in one of them."""
    remedy: Remedy | None = None
    """What would make it pass."""
    family: str = ""
    """What buyers call it: ``card``, ``Mac`` or ``board``; empty for others."""
    fewer: Candidate | None = None
    """Of a decoder, the same machine in fewer devices, or with layers in series, that an estimate says is too slow."""

    @property
    def prediction(self) -> Prediction:
        """The prediction of the first network."""
        return self.parts[0].prediction

    @property
    def platform(self) -> str:
        """The machine's key."""
        return self.prediction.platform

    @property
    def answer(self) -> str:
        """``no`` where something known speaks against it, ``unknown`` where there is a doubt, else ``yes``."""
        return "no" if self.obstacles else "unknown" if self.doubts else "yes"

    @property
    def suits(self) -> bool:
        """Whether all that was asked is known to be met."""
        return self.answer == "yes"

    @property
    def is_borrowed(self) -> bool:
        """Whether an estimate rests on other machines' runtimes alone: nobody published a run of one like it."""
        terms = [term for part in self.parts for term in part.prediction.basis]
        return bool(terms) and all(term.basis is Basis.BORROWED for term in terms)

    @property
    def low(self) -> float | None:
        """Rate that ranks: of one network per second, of several as a multiple of what is asked; None: bound only."""
        return self._shared([part.low for part in self.parts])

    @property
    def expected(self) -> float | None:
        """The same as it is expected."""
        return self._shared([part.expected for part in self.parts])

    @property
    def high(self) -> float | None:
        """The same at the high end."""
        return self._shared([part.high for part in self.parts])

    @property
    def bound(self) -> float | None:
        """The same of the predictions, whatever they are."""
        return self._shared([part.bound for part in self.parts])

    @property
    def total_price(self) -> float | None:
        """USD of all units."""
        return None if self.price is None else self.units * self.price

    @property
    def total_watts(self) -> float | None:
        """W of all units."""
        return None if self.watts is None else self.units * self.watts

    def _shared(self, rates: list[float | None]) -> float | None:
        if len(rates) == 1:
            return rates[0]
        load = load_of([part.asked for part in self.parts], rates)
        return None if load is None else math.inf if load == 0 else 1 / load

    def record(self) -> dict[str, Any]:
        """Return the candidate as a row, with the unit in each column's name."""
        prediction = self.prediction
        row = prediction.record()
        alone = len(self.parts) == 1
        rates = {"low": self.low, "expected": self.expected, "throughput": self.bound}
        tokens = prediction.tokens
        times: dict[str, Any] = (
            {}
            if tokens is None
            else {"ttft_ms": row["ttft_ms"], "tpot_ms": row["tpot_ms"], "spread": tokens.spread}
        )
        return {
            "platform": prediction.platform,
            "datatype": prediction.datatype,
            "batch": prediction.batch,
            "suits": self.suits,
            "answer": self.answer,
            "model": prediction.model,
            **named_rates(prediction, rates if alone else dict.fromkeys(rates)),
            **times,
            "low_headroom": self._headroom(self.low),
            "latency_ms": row["latency_ms"],
            "bound": row["bound"],
            "fits": prediction.fits,
            "peak_op_s": prediction.peak,
            "bandwidth_b_s": prediction.bandwidth,
            "units": self.units,
            "tdp_w": prediction.tdp,
            "total_w": self.total_watts,
            "price_usd": self.price,
            "total_usd": self.total_price,
            "usd_per_million": self.cost,
            "fps_per_w": prediction.fps_per_w,
            "pareto": self.on_front,
            "obstacles": [hurdle.text for hurdle in self.obstacles],
            "doubts": [hurdle.text for hurdle in self.doubts],
            "remedy": None if self.remedy is None else self.remedy.record(),
            "networks": [part.record() for part in self.parts],
        }

    def _headroom(self, rate: float | None) -> float | None:
        """Return how many times what is asked of one stream a unit reaches."""
        first, *others = self.parts
        if others or rate is None:
            return rate
        return None if first.asked is None else rate / first.asked


def load_of(asked: list[float | None], rates: list[float | None]) -> float | None:
    """Return the share of a machine's time that networks take one behind the other; None where a rate is not known."""
    shares = [
        None if wanted is None or rate is None else wanted / rate if rate else math.inf
        for wanted, rate in zip(asked, rates, strict=True)
    ]
    known = [share for share in shares if share is not None]
    return sum(known) if len(known) == len(shares) else None


def slow_end(prediction: Prediction, quantity: str, seconds: float | None) -> float | None:
    """Return the upper end of a time's interval in s; without an interval the time itself."""
    ends = prediction.intervals.get(quantity)
    return seconds if ends is None else ends[1] / 1e3


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
    watts, price = platform.priced_tdp, platform.price
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
    if wish.capacity is not None and capacity is None:
        doubts.append(Hurdle(Limit.MEMORY, "memory unknown"))
    elif wish.capacity is not None and capacity is not None and capacity < wish.capacity:
        obstacles.append(Hurdle(Limit.MEMORY, f"{capacity / 1e9:.4g} GB"))


def _judge_times(
    parts: tuple[Part, ...], wish: Wish, units: int, obstacles: list[Hurdle], doubts: list[Hurdle]
) -> None:
    first = parts[0].prediction
    tokens = first.tokens
    latencies = [part.latency for part in parts]
    filling = max(_filling(part, wish, units) for part in parts)
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


def _filling(part: Part, wish: Wish, units: int) -> float:
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
