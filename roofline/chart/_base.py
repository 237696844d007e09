"""What a chart is: frozen values that know how to draw themselves, and how a figure is saved."""

from __future__ import annotations

import base64
import io
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roofline.chart._axes import Drawing, new_axes, no_data
from roofline.chart._style import RC
from roofline.errors import OptionError, TableError
from roofline.extras import optional_import
from roofline.number_format import plural
from roofline.tables import Record, frame
from roofline.writing import write_whole

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = (".png", ".svg", ".pdf")
"""File formats a figure can be saved in, by suffix."""

_LONGEST = 40.0
"""Inches: four pages. A figure that needs more is read by nobody, and takes minutes to draw."""

_NOTEBOOK_DPI = 80
_PALETTE = 256

# No date and no version in a file: the same values give the same bytes.
_METADATA: dict[str, dict[str, None]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None},
}


@dataclass(frozen=True, slots=True)
class Chart(ABC):
    """Values ready to be drawn. Subclasses are frozen dataclasses; drawing never changes them."""

    title: str = field(default="", kw_only=True)
    """A line above the figure."""

    @abstractmethod
    def records(self) -> list[Record]:
        """Return the values as rows; none means that there is nothing to draw."""

    @abstractmethod
    def size(self) -> tuple[float, float]:
        """Return the width and height in inches at which the chart is legible."""

    @abstractmethod
    def draw(self, ax: Drawing) -> None:
        """Draw the values, of which there is at least one row, into axes."""

    @property
    def most_rows(self) -> int:
        """Rows of `records` beyond which nobody tells apart what is drawn."""
        return 2000

    def check_legible(self) -> None:
        """Check that a figure of all rows can be read.

        Raises:
            TableError: It has too many rows, or would be too long.
        """
        rows = len(self.records())
        if rows > self.most_rows:
            raise _too_much(
                f"it has {plural(rows, 'row')} to draw, of which {self.most_rows} can be read"
            )
        wide, high = self.size()
        if max(wide, high) > _LONGEST:
            raise _too_much(
                f"it would be {wide:.0f} inches wide and {high:.0f} high, beyond {_LONGEST:.0f}"
            )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the chart.

        Args:
            ax: Axes to draw into; by default those of a new figure of the chart's own size.

        Returns:
            The axes; their figure is ``ax.figure``.

        Raises:
            MissingPackageError: matplotlib is not installed.
            TableError: A figure of all rows could not be read.
        """
        if ax is None:
            self.check_legible()
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


@dataclass(frozen=True, slots=True)
class OneSizeChart(Chart):
    """A chart whose figure is of one size, however much it holds."""

    @property
    def most_rows(self) -> int:
        """Rows that still have room in it."""
        return 400


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


def _too_much(why: str) -> TableError:
    return TableError(
        f"a figure of this table cannot be read: {why}",
        repair="Keep fewer rows: those of one batch, one datatype or the machines in question",
    )


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
