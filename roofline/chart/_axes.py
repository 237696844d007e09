"""What every chart does with its axes: titles, legends, notes, numbers with prefixes."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from roofline.chart._style import GREY, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Drawing = Any
"""Axes while they are drawn on: matplotlib leaves its keyword arguments untyped, which strict checking refuses."""


DOUBTFUL: Mapping[str, Any] = {"hatch": "////", "edgecolor": "white"}
"""How an area looks over what is doubted."""


def new_axes(size: tuple[float, float]) -> Axes:
    """Return the axes of a new figure, which no global state remembers."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure.add_subplot()


def no_data(ax: Drawing) -> None:
    """Say that there is nothing to draw."""
    ax.set_axis_off()
    ax.text(
        0.5, 0.5, "no data", transform=ax.transAxes, ha="center", va="center", color=GREY, fontsize=14
    )  # fmt: skip


def sizes(count: int, each: float, least: float, margin: float = 1.2) -> float:
    """Return a length in inches that holds ``count`` marks of ``each`` inches, and at least ``least``."""
    return max(least, margin + each * count)


def set_titles(ax: Drawing, title: str, x: str = "", y: str = "") -> None:
    """Set the title and the labels of the axes."""
    if title:
        ax.set_title(_in_width(ax, title))
    if x:
        ax.set_xlabel(x)
    if y:
        ax.set_ylabel(y)


def set_log_axes(ax: Drawing, title: str, x: str, y: str) -> None:
    """Make both axes logarithmic, with prefixes for their numbers, and set the title and their labels."""
    ax.set(xscale="log", yscale="log")
    prefix_numbers(ax.xaxis)
    prefix_numbers(ax.yaxis)
    set_titles(ax, title, x, y)


def finish_bars(ax: Drawing, title: str, what: str, *, columns: int) -> None:
    """Finish axes of lying bars: a scale with prefixes below, a legend above.

    Args:
        ax: The axes.
        title: The title, for which the legend leaves room.
        what: What the bars are of.
        columns: How many entries of the legend stand side by side.
    """
    ax.grid(visible=False, axis="y")
    prefix_numbers(ax.xaxis)
    set_titles(ax, title, what)
    legend_above(ax, title, columns=columns)


def legend_mark(label: str, **look: Any) -> Any:
    """Return an entry of a legend that is a mark, or with ``ls`` a line; the look is what ``plot`` takes."""
    from matplotlib.lines import Line2D

    style: dict[str, Any] = {"ls": "", **look}
    return Line2D([], [], label=label, **style)


def legend_area(label: str, colour: str | None = None, **look: Any) -> Any:
    """Return an entry of a legend that is an area of a colour; the look is what a ``Patch`` takes."""
    from matplotlib.patches import Patch

    return Patch(facecolor=colour, label=label, **look)


def write_beside(
    ax: Drawing, text: str, place: tuple[float, float], offset: tuple[float, float], **look: Any
) -> None:
    """Write a text set off from a place by so many points; the look is what ``annotate`` takes."""
    ax.annotate(text, place, xytext=offset, textcoords="offset points", **look)


def write_note(ax: Drawing, note: str) -> None:
    """Write in a line below the axes how to read them, where it covers nothing."""
    write_beside(
        ax, note, (1, 0), (0, -36), xycoords="axes fraction", ha="right", va="top", fontsize=7.5, color=GREY,
        annotation_clip=False,
    )  # fmt: skip


def prefix_numbers(axis: Drawing) -> None:
    """Write the numbers of a logarithmic axis with prefixes: 10k, 1M; between decades where few or none are shown."""
    from matplotlib.ticker import FuncFormatter

    def minor(value: float, _: object) -> str:
        low, high = axis.get_view_interval()
        few = f"{value:.0e}"[0] in "25"
        return shorten(value) if high < 3 * low or (few and high < 200 * low) else ""

    def major(value: float, _: object) -> str:
        return shorten(value)

    axis.set_major_formatter(FuncFormatter(major))
    axis.set_minor_formatter(FuncFormatter(minor))


def legend_above(
    ax: Drawing, title: str, *, columns: int = 4, handles: Sequence[Any] | None = None
) -> None:
    """Put the legend between the title and the axes."""
    own = ax.get_legend_handles_labels()[0] if handles is None else handles
    ax.legend(
        handles=list(own), loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, columnspacing=1.2
    )  # fmt: skip
    if title:
        rows = -(-len(own) // columns)
        ax.set_title(_in_width(ax, title), pad=8 + 15 * rows)


def _in_width(ax: Drawing, title: str) -> str:
    """Return a title in as many lines as the figure is wide for; how wide a panel gets is not known here."""
    figure = ax.get_figure()
    if figure is None or len(figure.axes) > 1:
        return title
    # A bold letter of this size is about 7 points wide.
    return textwrap.fill(title, max(20, int(72 * (figure.get_size_inches()[0] - 0.8) / 7)))


def outside_legend(ax: Drawing, handles: Sequence[Any] | None = None, title: str = "") -> None:
    """Put the legend to the right of the axes, where it hides nothing."""
    options: dict[str, Any] = {
        "loc": "upper left",
        "bbox_to_anchor": (1.01, 1.0),
        "borderaxespad": 0.0,
        # Two dashes are longer than the usual handle.
        "handlelength": 2.8,
    }
    if title:
        options |= {"title": title, "alignment": "left"}
    if handles is None:
        ax.legend(**options)
    else:
        ax.legend(handles=list(handles), **options)
