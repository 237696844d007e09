"""Chart ``power_over_time``: measured power as areas over time, one panel per series."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from roofline.chart import _axes as axes
from roofline.chart import _style as style
from roofline.chart._panels import PanelledChart
from roofline.chart._registry import Options, chart
from roofline.chart._table import check_rows, distinct_values
from roofline.errors import TableError
from roofline.number_format import plural
from roofline.tables import Column, Holds, Record, Row

COLUMNS = (
    Column("power_w", "power in watts, or voltage_v and current_a", holds=Holds.NUMBER),
    Column("series", "what ran: the network, or idle", required=False),
    Column(
        "time_s",
        "seconds since the start; without it the samples of a series are one second apart",
        required=False,
        holds=Holds.NUMBER,
    ),
    Column("voltage_v", "voltage in volts", required=False, holds=Holds.NUMBER),
    Column("current_a", "current in amperes", required=False, holds=Holds.NUMBER),
)
FAR = 3.0
"""A sample beyond this factor from the bulk of its series is a glitch of the meter."""


@dataclass(frozen=True, slots=True)
class Series:
    """Samples of one series, by time."""

    name: str
    samples: tuple[tuple[float, float], ...]
    """Seconds and watts."""
    dropped: tuple[tuple[float, float], ...] = ()
    """Samples that are no power of anything: see `divide_samples`."""

    @property
    def median(self) -> float:
        """Median power of the samples that were kept, in watts."""
        return float(np.median([watts for _, watts in self.samples]))


@dataclass(frozen=True, slots=True)
class PowerSeries(PanelledChart):
    """Series of power, all on the same axes."""

    series: tuple[Series, ...]
    limits: tuple[float, float] | None = None
    """Seconds and watts at the ends of the axes, where several panels share them."""
    across: ClassVar[int] = 2

    @property
    def most_rows(self) -> int:
        """Samples make lines, whose points need not be told apart."""
        return 1_000_000

    def records(self) -> list[Record]:
        """Return one row per sample, by series and time."""
        return [
            {"series": series.name, "time_s": time, "power_w": watts, "dropped": dropped}
            for series in self.series
            for time, watts, dropped in sorted(
                [(*sample, False) for sample in series.samples]
                + [(*s, True) for s in series.dropped]
            )
        ]

    def panel_size(self) -> tuple[float, float]:
        """Return the size in inches."""
        return 5.4, 2.0

    def draw_panel(self, ax: axes.Drawing) -> None:
        """Draw an area under the series with its median, and say how many samples were dropped."""
        series = next(iter(self.series))
        seconds, watts = self.limits or _ends(self.series)
        colour = style.machine_colour(series.name)
        times = [time for time, _ in series.samples]
        values = [value for _, value in series.samples]
        ax.fill_between(times, values, step="mid", color=colour, alpha=0.4, lw=0, zorder=2)
        ax.plot(times, values, drawstyle="steps-mid", color=colour, lw=0.9, zorder=3)
        ax.axhline(series.median, color=style.INK, lw=0.9, ls="--", zorder=4)
        lost = f", {len(series.dropped)} of {plural(len(series.samples) + len(series.dropped), 'sample')} dropped"
        title = f"{series.name}: median {series.median:.3g} W{lost if series.dropped else ''}"
        axes.set_titles(ax, title, "time, s", "power, W")
        ax.title.set_fontsize(9)
        ax.set(xlim=(0, seconds), ylim=(0, watts))

    def panels(self) -> Sequence[PowerSeries]:
        """Return one part for each series; all have the same axes."""
        if len(self.series) <= 1:
            return (self,)
        limits = _ends(self.series)
        return [PowerSeries((series,), limits=limits) for series in self.series]


def divide_samples(
    samples: Iterable[tuple[float, float]],
) -> tuple[list[tuple[float, float]], ...]:
    """Divide samples into those that can be the power of a machine and the glitches of a meter.

    A sample is dropped when it is not above zero, above three times the ninetieth percentile of its series, or below a
    third of its tenth. Percentiles bear plateaus (a machine that waits for its next batch), up to a tenth of glitches
    and any number of samples; a rule by standard deviations drops nothing from a short series, because no sample of n
    is further than (n - 1) / sqrt(n) of them from the mean.

    Returns:
        The samples that stay, and those that are dropped.

    Example:
        >>> [len(part) for part in divide_samples([(t, 9.3 if t == 7 else 1.0) for t in range(20)])]
        [19, 1]
    """
    everything = list(samples)
    above = [watts for _, watts in everything if watts > 0]
    if not above:
        return [], everything
    low, high = (float(end) for end in np.percentile(above, [10, 90]))
    stay = [watts > 0 and low / FAR <= watts <= FAR * high for _, watts in everything]
    return (
        [sample for sample, good in zip(everything, stay, strict=True) if good],
        [sample for sample, good in zip(everything, stay, strict=True) if not good],
    )


@chart(
    "power_over_time",
    "measured power over time, one panel per series; glitches of the meter dropped",
    COLUMNS,
)
def compute(rows: Iterable[Row], _options: Options) -> PowerSeries:
    """Return the chart of samples in the order they are given; glitches are dropped as `divide_samples` says.

    Raises:
        TableError: There is neither power nor voltage and current, or a cell is no number.
    """
    table = [dict(row) for row in rows]
    for row in table:
        if row.get("power_w") in (None, "") and {"voltage_v", "current_a"} <= row.keys():
            row["power_w"] = _product(row["voltage_v"], row["current_a"])
    found: dict[str, list[tuple[float, float]]] = {}
    for row in check_rows(table, COLUMNS, "power_over_time"):
        own = found.setdefault(row["series"] or "power", [])
        own.append((float(len(own)) if row["time_s"] is None else row["time_s"], row["power_w"]))
    series: list[Series] = []
    for name in distinct_values(found):
        good, bad = divide_samples(sorted(found[name]))
        if good:
            series.append(Series(name, tuple(good), tuple(bad)))
    return PowerSeries(tuple(series))


def _product(voltage: Any, current: Any) -> float | None:
    if voltage in (None, "") or current in (None, ""):
        return None
    try:
        return float(voltage) * float(current)
    except (TypeError, ValueError):
        raise TableError(
            f"voltage_v {voltage!r} and current_a {current!r} are not both numbers",
            repair="Give bare numbers, in volts and amperes",
        ) from None


def _ends(series: Iterable[Series]) -> tuple[float, float]:
    samples = [sample for each in series for sample in each.samples]
    last = max(time for time, _ in samples)
    return last if last > 0 else 1.0, 1.15 * max((w for _, w in samples), default=1.0)
