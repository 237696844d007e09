"""What a machine has to reach, and what it may take."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from numbers import Real

from roofline.arguments import check_kind
from roofline.errors import OptionError
from roofline.surfaces import Argument, argument

SECONDS_A_YEAR = 365.25 * 86400
MIN_FPS = Argument("--min-fps", "fps")
STREAM_FPS = Argument("--stream-fps", "fps")
MIN_TOKENS_PER_S = Argument("--min-tokens-per-s", "fps")
MAX_LATENCY = Argument("--max-latency-ms", "latency")
MAX_TTFT = Argument("--max-ttft-ms", "ttft")
MAX_TPOT = Argument("--max-tpot-ms", "tpot")
MAX_WATTS = Argument("--max-watts", "watts")
MAX_PRICE = Argument("--max-price", "price")
MIN_MEMORY = Argument("--min-memory-gb", "capacity")
LIFETIME = Argument("--lifetime-years", "years")
"""What a wish is called by on the command line, and here."""

YEARS, USD_PER_KWH = 3.0, 0.15
"""Lifetime over which a price is spread, and the price of electricity, where nobody says otherwise."""


class Limit(StrEnum):
    """What a machine can fail, in the order in which candidates are told apart."""

    COUNTS = "counts"
    """The network is not fully counted."""
    BASIS = "basis"
    """There is a bound, and no estimate."""
    MEMORY = "memory"
    THROUGHPUT = "throughput"
    LATENCY = "latency"
    FIRST_TOKEN = "time to the first token"
    TOKEN = "time per output token"
    POWER = "power"
    PRICE = "price"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of a machine; None is no limit."""

    fps: float | None = None
    """Items per second of each network; of a decoder, tokens per second of all its requests."""
    watts: float | None = None
    """Most thermal design power of all units, W."""
    price: float | None = None
    """Most that all units may cost, USD."""
    efficiency: float | None = None
    """Share of the bound that a real run is expected to reach, where the asker knows it; None asks the estimates."""
    rates: Mapping[str, float] = field(default_factory=dict[str, float])
    """Items per second of single networks, by name, where they differ from `fps`."""
    streams: int | None = None
    """Cameras, each of which asks for `fps`; as many units are taken as that needs."""
    latency: float | None = None
    """Longest time of a batch of each network, one behind the other, s; of cameras with the wait until it is full."""
    ttft: float | None = None
    """Longest time to the first token of a decoder, s."""
    tpot: float | None = None
    """Longest time per output token of a decoder, s."""
    capacity: float | None = None
    """Least memory of a unit, B."""
    years: float = YEARS
    """Time over which the price is spread."""
    usd_per_kwh: float = USD_PER_KWH
    """Price of electricity."""

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            OptionError: One is no number or not above zero, or nothing is asked for.
        """
        numbers = {
            "the rate": self.fps, MAX_WATTS: self.watts, MAX_PRICE: self.price, MAX_LATENCY: self.latency,
            MAX_TTFT: self.ttft, MAX_TPOT: self.tpot, MIN_MEMORY: self.capacity, LIFETIME: self.years,
            argument("usd_per_kwh"): self.usd_per_kwh, argument("streams"): self.streams,
            **{f"the rate of {name}": rate for name, rate in self.rates.items()},
        }  # fmt: skip
        for name, value in (*numbers.items(), (argument("efficiency"), self.efficiency)):
            if value is not None:
                check_kind(value, Real, str(name), "Give a number")
        for name, value in numbers.items():
            # A flag's number is not the one here, which is in base units.
            if value is not None and not 0 < value < math.inf:
                raise OptionError(
                    f"{name} is not above zero", repair="Give a finite number above zero"
                )
        if self.efficiency is not None and not 0 < self.efficiency <= 1:
            raise OptionError(
                f"{argument('efficiency')} is {self.efficiency:g}, outside (0, 1]",
                repair="Give the share of the bound a real run reaches, such as 0.3",
            )
        if self.fps is None and self.streams is not None:
            raise OptionError(
                "streams are asked for without the frames per second of one",
                repair=f"Give {STREAM_FPS}, such as 30",
            )
        if self.fps is self.latency is self.ttft is self.tpot is None and not self.rates:
            raise OptionError(
                "nothing is asked of the machines",
                repair=f"Give {MIN_FPS}, {argument('streams')} and {STREAM_FPS}, or {MAX_LATENCY} (of decoders "
                f"{MIN_TOKENS_PER_S}, {MAX_TTFT} or {MAX_TPOT})",
            )

    def rate(self, network: str) -> float | None:
        """Return the items per second asked of a network, of one stream; None where none are."""
        return self.rates.get(network, self.fps)

    def cost_per_million(
        self, price: float | None, watts: float | None, rate: float | None
    ) -> float | None:
        """Return what a million items cost, in USD: the price over the lifetime, and electricity at `watts` throughout.

        Args:
            price: Of all units, USD; None for not known.
            watts: Of all units, W; None for not known.
            rate: Items per second that they deliver all that time; None for not known.
        """
        if price is None or watts is None or not rate:
            return None
        per_second = price / (self.years * SECONDS_A_YEAR) + watts / 1e3 * self.usd_per_kwh / 3600
        return 1e6 * per_second / rate
