"""The flags of ``advise``: what a machine has to reach, and which machines there are to choose from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from roofline.cli._options import parse_rates
from roofline.errors import OptionError, check_known
from roofline.units import scale

if TYPE_CHECKING:
    from roofline.advice import Wish
    from roofline.spec import Platform

LIMITS = "Limits"
"""The panel of help that limits stand in."""
_COST = "Cost"


@dataclass(frozen=True, kw_only=True, slots=True)
class WishOptions:
    """What a machine has to reach, and what it may take."""

    min_fps: Annotated[list[str] | None, typer.Option(metavar="FPS")] = None
    """Frames per second to reach; NETWORK=FPS where networks that share a machine differ; repeatable."""
    streams: Annotated[int | None, typer.Option(min=1)] = None
    """Cameras: as many units are taken as they need."""
    stream_fps: float | None = None
    """Frames per second of each camera."""
    min_tokens_per_s: float | None = None
    """Tokens per second that a decoder's requests write, each once it has its first."""
    max_latency_ms: Annotated[float | None, typer.Option(rich_help_panel=LIMITS)] = None
    """Longest time of a batch; without -b the fastest batch within it is taken."""
    max_ttft_ms: Annotated[float | None, typer.Option(rich_help_panel=LIMITS)] = None
    """Longest time to a decoder's first token."""
    max_tpot_ms: Annotated[float | None, typer.Option(rich_help_panel=LIMITS)] = None
    """Longest time per output token."""
    max_watts: Annotated[float | None, typer.Option(rich_help_panel=LIMITS)] = None
    """Most that what the price buys draws, all units, W: thermal design power, else under full load."""
    max_price: Annotated[float | None, typer.Option(rich_help_panel=LIMITS)] = None
    """Most to pay, all units, USD."""
    min_memory_gb: Annotated[float | None, typer.Option(rich_help_panel=LIMITS)] = None
    """Least memory of a unit, GB."""
    efficiency: float | None = None
    """Share of the bound that a real run reaches, such as 0.3. Default: what the estimates say."""
    lifetime_years: Annotated[float, typer.Option(rich_help_panel=_COST)] = 3.0
    """Time over which the price is spread."""
    usd_per_kwh: Annotated[float, typer.Option(rich_help_panel=_COST)] = 0.15
    """Price of electricity."""

    def wish(self) -> Wish:
        """Return what is asked, in base units.

        Raises:
            OptionError: Nothing is asked, a rate is asked in more than one way, or a number is out of its range.
        """
        from roofline.advice import Wish

        rates = {
            "--min-fps": self.min_fps,
            "--stream-fps": self.stream_fps,
            "--min-tokens-per-s": self.min_tokens_per_s,
        }
        given = [flag for flag, value in rates.items() if value]
        if len(given) > 1:
            raise OptionError(
                f"{' and '.join(given)} ask for the same thing", repair="Leave one of them out"
            )
        if self.stream_fps is not None and self.streams is None:
            raise OptionError(
                "--stream-fps without --streams", repair="Give the number of --streams"
            )
        plain, named = parse_rates("--min-fps", self.min_fps)
        numbers = {
            "--min-fps": plain, "--stream-fps": self.stream_fps, "--min-tokens-per-s": self.min_tokens_per_s,
            **{f"--min-fps {name}": rate for name, rate in named.items()},
        }  # fmt: skip
        for flag, rate in numbers.items():
            if rate is not None and not rate > 0:
                raise OptionError(
                    f"{flag} is {rate:g}, and a rate is above zero",
                    repair="Leave it out to set no rate, or give a number such as 30",
                )
        asked = [
            rate for rate in (plain, self.stream_fps, self.min_tokens_per_s) if rate is not None
        ]
        return Wish(
            fps=asked[0] if asked else None,
            watts=self.max_watts,
            price=self.max_price,
            efficiency=self.efficiency,
            rates=named,
            streams=self.streams,
            latency=scale(self.max_latency_ms, 1e-3),
            ttft=scale(self.max_ttft_ms, 1e-3),
            tpot=scale(self.max_tpot_ms, 1e-3),
            capacity=scale(self.min_memory_gb, 1e9),
            years=self.lifetime_years,
            usd_per_kwh=self.usd_per_kwh,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class MachineOptions:
    """Which machines there are to choose from."""

    segment: Annotated[list[str] | None, typer.Option(rich_help_panel=LIMITS)] = None
    """data centre, desktop, laptop, phone, edge or microcontroller; repeatable, or several by commas."""
    kind: Annotated[list[str] | None, typer.Option(rich_help_panel=LIMITS)] = None
    """cpu, gpu, npu, fpga or tpu; repeatable, or several by commas."""
    platform: Annotated[list[str] | None, typer.Option("-p")] = None
    """Choose among these; repeatable, or several by commas. Default: all shipped."""

    def machines(self) -> list[Platform]:
        """Return the machines.

        Raises:
            OptionError: A segment or kind is not known, or no machine is of both.
            PlatformError: A name is not known, or a file is wrong.
        """
        from roofline._sweep import distinct
        from roofline.spec import platform as find_platform
        from roofline.spec import platform_keys
        from roofline.spec.names import MACHINE_KINDS, SEGMENTS

        segments, kinds = (
            [check_known(name, known, f"{flag}: {name!r} is not known") for name in given or ()]
            for flag, given, known in (
                ("--segment", self.segment, SEGMENTS),
                ("--kind", self.kind, MACHINE_KINDS),
            )
        )
        found = [
            machine
            for machine in distinct(
                [find_platform(key) for key in self.platform or platform_keys()]
            )
            if (not segments or machine.segment in segments)
            and (not kinds or machine.kind in kinds)
        ]
        if not found:
            raise OptionError(
                "no machine is of that segment and kind", repair="Leave --segment or --kind out"
            )
        return found
