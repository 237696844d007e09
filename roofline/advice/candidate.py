"""One machine that could do: what networks reach on it, what speaks against it, and what it costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from roofline.advice.wish import Limit, Wish
from roofline.model import Basis
from roofline.number_format import number
from roofline.tables import Record

if TYPE_CHECKING:
    from roofline.model import Prediction
    from roofline.spec.quantity import Product


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
class Remedy:
    """A compression with which a machine passes."""

    datatype: str
    keep_channels: float
    low: float | None
    """Low end of its rate, as `Candidate.low`."""
    accuracy: tuple[str, ...]
    """What is known of each network's accuracy then."""

    def record(self) -> dict[str, object]:
        """Return the remedy as a row."""
        return {
            "datatype": self.datatype,
            "keep_channels": self.keep_channels,
            "low_fps": self.low,
            "accuracy": list(self.accuracy),
        }

    def __str__(self) -> str:
        kept = f" with {self.keep_channels:g} of the channels" if self.keep_channels < 1 else ""
        reached = f" at {number(self.low, 3)}" if self.low is not None else ""
        return f"passes in {self.datatype}{kept}{reached}, {'; '.join(self.accuracy)}"


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
    price_of: Product | None = None
    """What the price buys; None where the file states no price."""
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
        return self._rate_over_parts(lambda part: part.low)

    @property
    def expected(self) -> float | None:
        """The same as it is expected."""
        return self._rate_over_parts(lambda part: part.expected)

    @property
    def high(self) -> float | None:
        """The same at the high end."""
        return self._rate_over_parts(lambda part: part.high)

    @property
    def bound(self) -> float | None:
        """The same of the predictions, whatever they are."""
        return self._rate_over_parts(lambda part: part.bound)

    @property
    def total_price(self) -> float | None:
        """USD of all units."""
        return None if self.price is None else self.units * self.price

    @property
    def total_watts(self) -> float | None:
        """W of all units."""
        return None if self.watts is None else self.units * self.watts

    def _rate_over_parts(self, rate: Callable[[Part], float | None]) -> float | None:
        rates = [rate(part) for part in self.parts]
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
            "price_of": self.price_of,
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
