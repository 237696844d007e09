"""Chart ``tokens``: what decoders write in all over what each user waits for, the requests in flight as the curve."""

from __future__ import annotations

from dataclasses import dataclass

from roofline.chart import _axes as axes
from roofline.chart import _style as style
from roofline.chart._base import Chart
from roofline.chart._labels import place_labels
from roofline.chart._registry import table_chart
from roofline.chart._table import (
    ESTIMATES,
    Table,
    amount,
    common_line,
    differing_columns,
    label,
    words,
)
from roofline.tables import Column, Record, Row

COLUMNS = (
    *words("network", "platform"),
    *words("datatype", required=False),
    Column("model", "prediction model", required=False),
    Column("spread", "how devices share the decoder", required=False),
    amount("devices", "machines that share the decoder", required=False),
    amount("context", "positions of the prompt", required=False),
    amount("batch", "requests in flight"),
    amount("tpot_ms", "time per output token in milliseconds"),
    amount("tokens_per_s", "tokens per second of all requests"),
    Column("fits", "whether weights and caches fit in memory", required=False),
)


@dataclass(frozen=True, slots=True)
class Curve:
    """One decoder on one kind of machine: requests, milliseconds a token, tokens per second of all."""

    name: str
    platform: str
    bound: bool
    """Whether no run is faster; else an estimate."""
    points: tuple[tuple[float, float, float], ...]
    too_large: frozenset[float] = frozenset()
    """Requests whose caches do not fit."""


@dataclass(frozen=True, slots=True)
class TokensChart(Chart):
    """Curves over requests in flight."""

    curves: tuple[Curve, ...]

    def records(self) -> list[Record]:
        """Return one row per curve and number of requests."""
        return [
            {
                "name": curve.name, "batch": batch, "tpot_ms": each, "tokens_per_s": rate,
                "fits": batch not in curve.too_large,
            }
            for curve in self.curves
            for batch, each, rate in curve.points
        ]  # fmt: skip

    def size(self) -> tuple[float, float]:
        """Return the size in inches."""
        return 9.0, max(5.0, 0.2 * len(self.curves) + 1.5)

    def draw(self, ax: axes.Drawing) -> None:
        """Draw a curve per machine, dashed where it is a bound, hollow where caches do not fit."""
        colours = {curve.platform: style.machine_colour(curve.platform) for curve in self.curves}
        marks = style.markers(colours)
        for curve in self.curves:
            colour, dash = colours[curve.platform], "--" if curve.bound else "-"
            mark = marks[curve.platform]
            ax.plot(
                [each for _, each, _ in curve.points], [rate for _, _, rate in curve.points], dash, marker=mark,
                color=colour, ms=style.size(mark, 4.5), lw=1.2, mec="white", mew=0.4,
            )  # fmt: skip
            over = [point for point in curve.points if point[0] in curve.too_large]
            ax.plot([x for _, x, _ in over], [y for _, _, y in over], mark, ls="", mfc="white", mec=colour,
                    ms=style.size(mark, 5.5), zorder=3)  # fmt: skip
        axes.set_log_axes(
            ax, self.title, "time per output token of a user, ms", "tokens/s of all requests"
        )
        ax.margins(0.06)
        axes.outside_legend(
            ax,
            [
                axes.legend_mark(
                    curve.name, color=colours[curve.platform], ls="--" if curve.bound else "-", lw=1.6,
                    marker=marks[curve.platform], ms=style.size(marks[curve.platform], 4.5),
                )
                for curve in self.curves
            ],
        )  # fmt: skip
        shown = [(curve, point) for curve in self.curves for point in curve.points]
        place_labels(
            ax, [(each, rate) for _, (_, each, rate) in shown], [f"{batch:g}" for _, (batch, _, _) in shown],
            colours=[colours[curve.platform] for curve, _ in shown], fontsize=7, reach=12,
        )  # fmt: skip
        note = "numbers: requests in flight; dashed: bound"
        if any(curve.too_large for curve in self.curves):
            note += "; hollow: does not fit"
        axes.write_note(ax, note)


@table_chart("tokens", "tokens/s against the time per token of a user", COLUMNS)
def compute(table: Table) -> TokensChart:
    """Return the chart of predictions of decoders at several numbers of requests."""
    names = differing_columns(table, "network", "datatype", "context", "spread")
    grouped: dict[tuple[str, str, bool], list[Row]] = {}
    for row in table:
        machine = str(row["platform"])
        devices = int(row.get("devices") or 1)
        whole = machine if devices == 1 else f"{devices} x {machine}"
        bound = row.get("model") not in ESTIMATES
        parts = [whole, label(row, *names), "at most" if bound else "expected"]
        grouped.setdefault((", ".join(part for part in parts if part), whole, bound), []).append(
            row
        )
    curves = tuple(
        Curve(
            name, machine, bound,
            tuple(sorted((float(row["batch"]), float(row["tpot_ms"]), float(row["tokens_per_s"])) for row in own)),
            frozenset(float(row["batch"]) for row in own if str(row.get("fits")) == "False"),
        )
        for (name, machine, bound), own in grouped.items()
    )  # fmt: skip
    return TokensChart(curves, title=common_line(table, "network", "datatype"))
