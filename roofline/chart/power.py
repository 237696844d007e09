"""Chart ``power``: measured power per machine, datatype, network and pruning; stacked where its parts are known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import ClassVar

from roofline.chart import _axes as axes
from roofline.chart import _style as style
from roofline.chart._panels import PanelledChart
from roofline.chart._registry import Options, chart
from roofline.chart._table import (
    Table,
    amount,
    amounts,
    check_rows,
    distinct_values,
    label,
    varying_columns,
    words,
)
from roofline.errors import OptionError
from roofline.tables import Column, Record, Row

COLUMNS = (
    *words("platform"),
    *words("datatype", "network", "pruning", "batch", "backend", required=False),
    *amounts("power_w"),
    amount(
        "board_power_w",
        "power of the bare board: nothing configured, nothing running",
        required=False,
    ),
    amount(
        "idle_power_w",
        "power with operating system, bitstream and peripherals, at rest",
        required=False,
    ),
    amount("measured_fps", "throughput in frames per second", required=False),
    Column("power_flag", "why the power is doubtful", required=False),
)
_VALUES = {
    "power_w": "power, W",
    "fps_per_w": "frames/s per watt",
    "energy_mj": "energy, mJ per frame",
}
_PARTS = (
    ("board", "#5B8DB8"),
    ("bitstream, system, peripherals at rest", "#E8A33D"),
    ("network", "#B5473C"),
    ("not divided", "#8C8C8C"),
)


@dataclass(frozen=True, slots=True)
class Load:
    """One configuration: its power at load in watts, and the parts of it that are known."""

    machine: str
    """Machine and datatype."""
    label: str
    power: float
    board: float | None = None
    idle: float | None = None
    fps: float | None = None
    flag: str = ""

    def stack(self) -> tuple[float, float, float, float]:
        """Return the watts of the board, of what runs at rest, of the network, and what nobody divided.

        They add up to the power. Without the power at rest, all above the board is not divided.
        """
        if self.idle is None:
            board = min(self.board or 0.0, self.power)
            return board, 0.0, 0.0, self.power - board
        idle = min(self.idle, self.power)
        board = min(self.board or 0.0, idle)
        return board, idle - board, self.power - idle, 0.0

    def value(self, name: str) -> float | None:
        """Return the power, or throughput per watt, or the energy of a frame in millijoules."""
        if name == "power_w":
            return self.power
        if self.fps is None:
            return None
        return self.fps / self.power if name == "fps_per_w" else 1e3 * self.power / self.fps


@dataclass(frozen=True, slots=True)
class PowerChart(PanelledChart):
    """Bars of configurations, a panel for each machine and datatype."""

    loads: tuple[Load, ...]
    shown: str = "power_w"
    limits: tuple[float, float] | None = None
    """The vertical axis, where several panels share it."""
    across: ClassVar[int] = 3
    inner: bool = False
    """Whether this is a panel of another chart, whose legend stands elsewhere."""

    @property
    def machines(self) -> list[str]:
        """The panels, in the order they first come in."""
        return distinct_values(load.machine for load in self.loads)

    def records(self) -> list[Record]:
        """Return one row per configuration."""
        return [
            {
                "machine": load.machine, "label": load.label, "power_w": load.power,
                "board_w": load.stack()[0], "rest_w": load.stack()[1], "network_w": load.stack()[2],
                "not_divided_w": load.stack()[3],
                "fps_per_w": load.value("fps_per_w"), "energy_mj": load.value("energy_mj"), "flag": load.flag,
            }
            for load in self.loads
        ]  # fmt: skip

    def panel_size(self) -> tuple[float, float]:
        """Return the size in inches."""
        longest = max((len(load.label) for load in self.loads), default=0)
        width, height = 0.8 + 0.26 * len(self.loads), 2.6 + 0.055 * longest
        return (max(2.9, width), height) if self.inner else (max(5.5, width), height + 0.6)

    def draw(self, ax: axes.Drawing) -> None:
        """Draw the panels, with one legend for all."""
        PanelledChart.draw(self, ax)
        if not self.inner:
            self._legend(ax)

    def draw_panel(self, ax: axes.Drawing) -> None:
        """Draw bars with their value on top; power is stacked from the board upwards."""
        stacked = self.shown == "power_w"
        values = [load.value(self.shown) or 0.0 for load in self.loads]
        low, high = self.limits or _limits(values, log=not stacked)
        for index, (load, value) in enumerate(zip(self.loads, values, strict=True)):
            if not value:
                continue
            if stacked:
                bottom = 0.0
                for height, (_, colour) in zip(load.stack(), _PARTS, strict=True):
                    ax.bar(index, height, 0.78, bottom=bottom, color=colour, zorder=2)
                    bottom += height
            else:
                ax.bar(index, value - low, 0.78, bottom=low, color=style.PRACTICE, zorder=2)
            if load.flag:
                look = {"fill": False, "lw": 0, "zorder": 3, **axes.DOUBTFUL}
                ax.bar(index, value - low, 0.78, bottom=low, **look)
            text = f"{value:.1f}" if stacked else style.shorten(value)
            look = {"fontsize": 7.5, "rotation": 90 if len(text) > 4 else 0}
            axes.write_beside(ax, text, (index, value), (0, 2), ha="center", va="bottom", **look)
        if not stacked:
            ax.set_yscale("log")
            axes.prefix_numbers(ax.yaxis)
        ax.set_ylim(low, high)
        ax.set_xlim(-0.6, max(len(self.loads), 4) - 0.4)
        ax.set_xticks(
            range(len(self.loads)), [load.label for load in self.loads], rotation=90, fontsize=7.5
        )
        ax.grid(visible=False, axis="x")
        axes.set_titles(ax, self.title or self.machines[0], y=_VALUES[self.shown])
        ax.title.set_fontsize(9)

    def panels(self) -> Sequence[PowerChart]:
        """Return one part for each machine and datatype."""
        if len(self.machines) <= 1:
            return (self,)
        values = [v for v in (load.value(self.shown) for load in self.loads) if v]
        log = self.shown != "power_w"
        return [
            PowerChart(
                tuple(load for load in self.loads if load.machine == machine), self.shown,
                _limits(values, log=log) if log else None, inner=True, title=machine,
            )
            for machine in self.machines
        ]  # fmt: skip

    def _legend(self, ax: axes.Drawing) -> None:
        known = [any(load.stack()[part] for load in self.loads) for part in range(4)]
        handles = [
            axes.legend_area(name, colour)
            for (name, colour), seen in zip(_PARTS, known, strict=True)
            if seen and self.shown == "power_w" and sum(known) > 1
        ]
        if any(load.flag for load in self.loads):
            handles.append(axes.legend_area("doubtful", style.GREY, **axes.DOUBTFUL))
        if handles:
            figure = ax.get_figure()
            columns = len(handles) if figure.get_size_inches()[0] > 7 else 2
            figure.legend(handles=handles, loc="outside lower center", ncols=columns)


@chart(
    "power",
    "measured power per machine, datatype, network and pruning, stacked where its parts are known",
    COLUMNS,
)
def compute(rows: Iterable[Row], options: Options) -> PowerChart:
    """Return the chart of rows with a measured power; of several in one place (batches) the mean is shown.

    Args:
        rows: Measured rows.
        options: ``value`` is ``power_w`` (default), ``fps_per_w`` or ``energy_mj``.

    Raises:
        OptionError: The value is another.
    """
    shown = options.value or "power_w"
    if shown not in _VALUES:
        raise OptionError(
            f"a power chart cannot show {shown!r}", repair=f"Use one of {', '.join(_VALUES)}"
        )
    table = check_rows(rows, COLUMNS, "power")
    names = [
        name for name in varying_columns(table, "network", "pruning") if table and table[0][name]
    ]
    found: dict[tuple[str, str], Table] = {}
    for row in table:
        if shown == "power_w" or row["measured_fps"] is not None:
            machine = label(row, "platform", "datatype", "backend")
            found.setdefault((machine, label(row, *names) or "load"), []).append(row)
    return PowerChart(tuple(_load(place, own) for place, own in found.items()), shown)


def _load(place: tuple[str, str], rows: Table) -> Load:
    means = {
        name: fmean(held) if (held := [row[name] for row in rows if row[name] is not None]) else None
        for name in ("power_w", "board_power_w", "idle_power_w", "measured_fps")
    }  # fmt: skip
    flags = distinct_values(row["power_flag"] for row in rows if row["power_flag"])
    return Load(
        *place, power=means["power_w"] or 0.0, board=means["board_power_w"], idle=means["idle_power_w"],
        fps=means["measured_fps"], flag="; ".join(flags),
    )  # fmt: skip


def _limits(values: list[float], *, log: bool) -> tuple[float, float]:
    """Return an axis with room for the numbers on top of the bars."""
    top = max(values, default=1.0)
    if not log:
        return 0.0, top * 1.22
    floor = min((v for v in values if v), default=1.0) / 3
    # Numbers of more than four digits stand upright.
    return floor, max(
        (v * (top / floor) ** (0.22 if len(style.shorten(v)) > 4 else 0.1) for v in values if v),
        default=top,
    )
