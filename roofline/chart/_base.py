"""What a chart is: frozen values that know how to draw themselves, and how a figure is saved."""

from __future__ import annotations

import base64
import io
import textwrap
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roofline.chart._style import GREY, RC, shorten
from roofline.errors import OptionError
from roofline.extras import optional_import
from roofline.number_format import plural
from roofline.tables import Record, frame
from roofline.writing import write_whole

Drawing = Any
"""Axes while they are drawn on: matplotlib leaves its keyword arguments untyped, which strict checking refuses."""

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = (".png", ".svg", ".pdf")
"""File formats a figure can be saved in, by suffix."""

_NOTEBOOK_DPI = 80
_PALETTE = 256

# No date and no version in a file: the same values give the same bytes.
_METADATA: dict[str, dict[str, None]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None},
}


class Chart(ABC):
    """Values ready to be drawn. Subclasses are frozen dataclasses; drawing never changes them."""

    __slots__ = ()

    @abstractmethod
    def records(self) -> list[Record]:
        """Return the values as rows; none means that there is nothing to draw."""

    @abstractmethod
    def size(self) -> tuple[float, float]:
        """Return the width and height in inches at which the chart is legible."""

    @abstractmethod
    def draw(self, ax: Drawing) -> None:
        """Draw the values, of which there is at least one row, into axes."""

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the chart.

        Args:
            ax: Axes to draw into; by default those of a new figure of the chart's own size.

        Returns:
            The axes; their figure is ``ax.figure``.

        Raises:
            MissingPackageError: matplotlib is not installed.
        """
        matplotlib = _matplotlib()
        with matplotlib.rc_context(dict(RC)):
            axes = new_axes(self.size()) if ax is None else ax
            if self.records():
                self.draw(axes)
            else:
                no_data(axes)
        return axes

    def figure(self) -> Figure:
        """Draw the chart into a figure of its own (needs matplotlib)."""
        from matplotlib.figure import Figure

        figure = self.plot().get_figure()
        if not isinstance(figure, Figure):
            raise TypeError("a new figure's axes always belong to it")
        return figure

    def to_frame(self) -> pd.DataFrame:
        """Return the values as a table (needs pandas)."""
        return frame(self.records())

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """Show the chart in a notebook, as a picture and not as its values."""
        del include, exclude
        picture = base64.b64encode(_render(self.figure(), ".png", dpi=_NOTEBOOK_DPI))
        return {
            "image/png": picture.decode(),
            "text/plain": f"{type(self).__name__} of {plural(len(self.records()), 'row')}",
        }


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


def save(figure: Figure, path: str | Path) -> None:
    """Save a figure as PNG, SVG or PDF, whole or not at all; the same values give the same bytes.

    Args:
        figure: The figure.
        path: Where to; the suffix decides the format.

    Raises:
        OptionError: The suffix is none of `FORMATS`, or the file cannot be written.
    """
    target = Path(path)
    check_suffix(target)
    write_whole(target, _render(figure, target.suffix.lower()))


def check_suffix(path: Path) -> None:
    """Check that a file's name ends in the name of a format that can be drawn.

    Raises:
        OptionError: It does not.
    """
    if path.suffix.lower() not in FORMATS:
        raise OptionError(
            f"cannot draw a {path.suffix or 'file without a suffix'}: {path.name}",
            repair=f"Use a name that ends in {', '.join(FORMATS)}",
        )


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


def write_note(ax: Drawing, note: str) -> None:
    """Write in a line below the axes how to read them, where it covers nothing."""
    ax.annotate(note, (1, 0), xycoords="axes fraction", xytext=(0, -36), textcoords="offset points", ha="right",
                va="top", fontsize=7.5, color=GREY, annotation_clip=False)  # fmt: skip


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
    }
    if title:
        options |= {"title": title, "alignment": "left"}
    if handles is None:
        ax.legend(**options)
    else:
        ax.legend(handles=list(handles), **options)


def _render(figure: Drawing, suffix: str, *, dpi: int | None = None) -> bytes:
    matplotlib = _matplotlib()
    buffer = io.BytesIO()
    with matplotlib.rc_context(dict(RC)):
        figure.savefig(
            buffer, format=suffix[1:], metadata=_METADATA[suffix], dpi=dpi or RC["savefig.dpi"]
        )
    return _with_palette(buffer) if suffix == ".png" else buffer.getvalue()


def _with_palette(picture: io.BytesIO) -> bytes:
    """Return a PNG in colours of a palette: a third of the bytes, and no difference that is seen in a chart."""
    # matplotlib needs Pillow itself.
    from PIL import Image

    with Image.open(picture) as full:
        dots = full.info.get("dpi", (72, 72))
        few = full.convert("RGB").quantize(
            _PALETTE, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE
        )
    small = io.BytesIO()
    few.save(small, format="PNG", optimize=True, dpi=dots)
    return small.getvalue()


def _matplotlib() -> Any:
    with optional_import("A chart"):
        import matplotlib as mpl
    return mpl
