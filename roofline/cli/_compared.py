"""What changes on machines between two networks, and the rows of a comparison that ``--fail-if`` looks at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from roofline.number_format import number
from roofline.tables import Record, Row

if TYPE_CHECKING:
    from roofline.cli._differences import Figure, Line
    from roofline.decoding.phases import Decoding
    from roofline.spec import Platform
    from roofline.workload import Workload

Ends = tuple[float, float]


@dataclass(frozen=True, slots=True)
class PredictionPair:
    """What is predicted of the second of two networks in one case, beside the first."""

    platform: str
    datatype: str
    batch: int
    model: str
    throughput_fps: float | None
    latency_ms: float | None
    bound: str | None
    upper_bound: bool | None
    fits: bool | None
    interval_fps: Ends | None
    """Ends of the range that holds eight of ten real throughputs; None for bounds."""
    first_throughput_fps: float | None
    first_latency_ms: float | None
    first_bound: str | None
    first_upper_bound: bool | None
    first_fits: bool | None
    first_interval_fps: Ends | None
    throughput_fps_ratio: float | None
    """Second over first."""
    latency_ms_ratio: float | None
    tokens_per_s: float | None = None
    """Of two decoders, as the figures below are: tokens of all requests, and not frames, are their rate."""
    tpot_ms: float | None = None
    ttft_ms: float | None = None
    context: int | None = None
    decode_bound: str | None = None
    interval_tokens_per_s: Ends | None = None
    first_tokens_per_s: float | None = None
    first_tpot_ms: float | None = None
    first_ttft_ms: float | None = None
    first_context: int | None = None
    first_decode_bound: str | None = None
    first_interval_tokens_per_s: Ends | None = None
    tokens_per_s_ratio: float | None = None
    tpot_ms_ratio: float | None = None
    ttft_ms_ratio: float | None = None

    def cells(self, names: tuple[str, str]) -> dict[str, str | None]:
        """Return the pair as a row for people, under the names of the two networks."""
        tokens = self.context is not None
        rate = "tokens/s" if tokens else "fps"
        first, second, ratio = (
            (self.first_tokens_per_s, self.tokens_per_s, self.tokens_per_s_ratio)
            if tokens
            else (self.first_throughput_fps, self.throughput_fps, self.throughput_fps_ratio)
        )
        ends = (
            (self.first_interval_tokens_per_s, self.interval_tokens_per_s)
            if tokens
            else (self.first_interval_fps, self.interval_fps)
        )
        row: dict[str, str | None] = {
            "platform": self.platform,
            "datatype": self.datatype,
            "batch": str(self.batch),
            "model": self.model,
        }
        for name, value, pair in zip(names, (first, second), ends, strict=True):
            row[f"{name}, {rate}"] = (number(value) or "unknown") + (
                "" if pair is None else f" ({number(pair[0])} … {number(pair[1])})"
            )
        row["change"] = "unknown" if ratio is None else f"{ratio - 1:+.2%}"
        if tokens:
            row |= {
                f"{name}, ms per token": number(value)
                for name, value in zip(names, (self.first_tpot_ms, self.tpot_ms), strict=True)
            }
        row["bound"] = (self.decode_bound if tokens else self.bound) or "unknown"
        fits = dict.fromkeys(_YES[value] for value in (self.first_fits, self.fits))
        row["fits"] = " / ".join(fits)
        return row


_YES = {True: "yes", False: "no", None: "unknown"}
_CASE = ("platform", "datatype", "batch", "model")
_FIGURES = ("throughput_fps", "latency_ms", "bound", "upper_bound", "fits", "interval_fps")
_OF_TOKENS = (
    "tokens_per_s",
    "tpot_ms",
    "ttft_ms",
    "context",
    "decode_bound",
    "interval_tokens_per_s",
)
_RATIOS = ("throughput_fps", "latency_ms", "tokens_per_s", "tpot_ms", "ttft_ms")


def predict_pairs(
    networks: Sequence[Workload | Decoding],
    platforms: Sequence[str],
    datatypes: Sequence[str] | None,
    batch: int | None,
    model: str | None,
) -> list[PredictionPair]:
    """Return what is predicted of the second of two networks, beside the first, one row for each case that both have.

    Args:
        networks: The first and the second: two networks that run once for an answer, or two decoders, which are asked
            what `predict` asks them.
        platforms: Keys or files of machines.
        datatypes: Precisions; None for the networks' own.
        batch: Items per batch, or requests in flight; None for the networks' own, and for one request.
        model: Name of a model; None for the bound and the best estimate.

    Raises:
        RooflineError: A name is not known, or no machine has a datatype.
    """
    from roofline.spec import platform

    machines = [platform(key) for key in dict.fromkeys(platforms)]
    before, after = (
        {
            tuple(row[name] for name in _CASE): row
            for row in _rows(network, machines, datatypes, batch, model)
        }
        for network in networks
    )
    return [_pair(before[case], row) for case, row in after.items() if case in before]


def _rows(
    network: Workload | Decoding, machines: Sequence[Platform], datatypes: Sequence[str] | None, batch: int | None,
    model: str | None,
) -> list[Record]:  # fmt: skip
    from roofline._sweep import sweep
    from roofline.cli._decoding import UNASKED
    from roofline.compression_flags import compress_by_flags
    from roofline.decoding.phases import Decoding
    from roofline.serving import serve

    if not isinstance(network, Decoding):
        batches = None if batch is None else [batch]
        return sweep(
            [network], machines, datatypes=datatypes, model=model, batches=batches
        ).records()

    def prepare(workload: Workload, name: str | None) -> Workload:
        return workload if name is None else compress_by_flags(workload, datatype=[name])

    return serve(
        network, UNASKED, machines, datatypes=datatypes or (), batches=[batch or 1], model=model,
        prepare=prepare, unheld=True,
    ).records()  # fmt: skip


def _pair(first: Row, second: Row) -> PredictionPair:
    def ratio(name: str) -> float | None:
        old, new = first.get(name), second.get(name)
        return new / old if old and new is not None else None

    figures = (*_FIGURES, *_OF_TOKENS)
    fields: Row = {
        **{name: second[name] for name in _CASE},
        **{name: second.get(name) for name in figures},
        **{f"first_{name}": first.get(name) for name in figures},
        **{f"{name}_ratio": ratio(name) for name in _RATIOS},
    }
    return PredictionPair(**fields)


def difference_row(lines: Sequence[Line], names: tuple[str, str]) -> dict[str, Figure]:
    """Return all totals as one row: the second's by name, its ratio to the first, and the difference."""
    row: dict[str, Figure] = {"compared": f"{names[0]} and {names[1]}"}
    for line in lines:
        row[line.quantity] = line.second
        row[f"{line.quantity}_ratio"] = line.ratio
        row[f"{line.quantity}_difference"] = line.difference
    return row
