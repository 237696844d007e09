"""What changes on machines between two networks, and the rows of a comparison that ``--fail-if`` looks at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from roofline.number_format import number
from roofline.tables import Row

if TYPE_CHECKING:
    from roofline.cli._differences import Figure, Line
    from roofline.workload import Workload


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
    first_throughput_fps: float | None
    first_latency_ms: float | None
    first_bound: str | None
    first_upper_bound: bool | None
    first_fits: bool | None
    throughput_fps_ratio: float | None
    """Second over first."""
    latency_ms_ratio: float | None
    rate: str = "fps"
    """What throughputs count; of two decoders, each a step, tokens/s."""

    def cells(self, names: tuple[str, str]) -> dict[str, str | None]:
        """Return the pair as a row for people, under the names of the two networks."""
        ratio = self.throughput_fps_ratio
        return {
            "platform": self.platform, "datatype": self.datatype, "batch": str(self.batch),
            "model": self.model,
            f"{names[0]}, {self.rate}": number(self.first_throughput_fps),
            f"{names[1]}, {self.rate}": number(self.throughput_fps),
            "change": "unknown" if ratio is None else f"{ratio - 1:+.2%}",
            "bound": self.bound or "unknown",
        }  # fmt: skip


_CASE = ("platform", "datatype", "batch", "model")
_FIGURES = ("throughput_fps", "latency_ms", "bound", "upper_bound", "fits")


def predicted(
    networks: Sequence[Workload],
    platforms: Sequence[str],
    datatypes: Sequence[str] | None,
    batch: int | None,
    model: str | None,
) -> list[PredictionPair]:
    """Return what is predicted of the second of two networks, beside the first, one row for each case that both have.

    Args:
        networks: The first and the second.
        platforms: Keys or files of machines.
        datatypes: Precisions; None for the networks' own.
        batch: Items per batch; None for the networks' own.
        model: Name of a model; None for the bound and the best estimate.

    Raises:
        RooflineError: A name is not known, or no machine has a datatype.
    """
    from roofline._sweep import sweep
    from roofline.spec import platform

    machines = [platform(key) for key in dict.fromkeys(platforms)]
    before, after = (
        {
            tuple(row[name] for name in _CASE): row
            for row in sweep(
                [network], machines, datatypes=datatypes, model=model,
                batches=None if batch is None else [batch],
            ).records()
        }
        for network in networks
    )  # fmt: skip
    rate = "tokens/s" if all(network.has_cache for network in networks) else "fps"
    return [_pair(before[case], row, rate) for case, row in after.items() if case in before]


def _pair(first: Row, second: Row, rate: str) -> PredictionPair:
    def ratio(name: str) -> float | None:
        old, new = first[name], second[name]
        return new / old if old and new is not None else None

    return PredictionPair(
        **{name: second[name] for name in (*_CASE, *_FIGURES)},
        **{f"first_{name}": first[name] for name in _FIGURES},
        throughput_fps_ratio=ratio("throughput_fps"), latency_ms_ratio=ratio("latency_ms"), rate=rate,
    )  # fmt: skip


def checked(lines: Sequence[Line], names: tuple[str, str]) -> dict[str, Figure]:
    """Return all totals as one row: the second's by name, its ratio to the first, and the difference."""
    row: dict[str, Figure] = {"compared": f"{names[0]} and {names[1]}"}
    for line in lines:
        row[line.quantity] = line.second
        row[f"{line.quantity}_ratio"] = line.ratio
        row[f"{line.quantity}_difference"] = line.difference
    return row
