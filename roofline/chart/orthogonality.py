"""Chart ``orthogonality``: what pruning and quantization gain alone and together, as a square."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from roofline.chart import _axes as axes
from roofline.chart import _style as style
from roofline.chart._base import Chart
from roofline.chart._registry import Options, chart
from roofline.chart._table import amount, check_rows, distinct_values, label, words
from roofline.precision import width_of
from roofline.tables import Record, Row

COLUMNS = (
    *words("network", "platform", "datatype", "pruning"),
    amount(
        "measured_fps", "throughput in frames per second, or another column named as the value"
    ),
)
_ACROSS = 3
_CAPTION = (
    "A, B: dense; C, D: pruned; left wide, right narrow datatype; each the greatest throughput over batches.\n"
    "Blue: gain of the narrow datatype; red: gain of pruning. Orthogonal: AD / BC, 100% where the gains multiply."
)


@dataclass(frozen=True, slots=True)
class Square:
    """Four throughputs: A wide and dense, B narrow and dense, C wide and pruned, D narrow and pruned."""

    label: str
    wide: str
    narrow: str
    dense: str
    pruned: str
    a: float
    b: float
    c: float
    d: float

    @property
    def gains(self) -> dict[str, float]:
        """Gains of pruning (p1 wide, p2 narrow) and of quantization (q1 dense, q2 pruned)."""
        return {
            "p1": self.c / self.a, "p2": self.d / self.b, "q1": self.b / self.a, "q2": self.d / self.c,
        }  # fmt: skip

    @property
    def orthogonality(self) -> float:
        """AD / BC: 1 where the gains multiply, below where one takes from the other."""
        return self.a * self.d / (self.b * self.c)


@dataclass(frozen=True, slots=True)
class Orthogonality(Chart):
    """Squares of machines and networks."""

    squares: tuple[Square, ...]

    def records(self) -> list[Record]:
        """Return one row per square."""
        return [
            {
                "label": square.label, "wide": square.wide, "narrow": square.narrow, "pruned": square.pruned,
                "A": square.a, "B": square.b, "C": square.c, "D": square.d, **square.gains,
                "orthogonality": square.orthogonality,
            }
            for square in self.squares
        ]  # fmt: skip

    def size(self) -> tuple[float, float]:
        """Return the size in inches."""
        across = min(_ACROSS, max(1, len(self.squares)))
        return max(5.5, 3.0 * across + 0.2), 3.1 * -(-max(1, len(self.squares)) // _ACROSS) + 0.9

    def draw(self, ax: axes.Drawing) -> None:
        """Draw each square with its corners' values and the gain on each side."""
        ax.set_axis_off()
        rows = -(-len(self.squares) // _ACROSS)
        across = min(_ACROSS, len(self.squares))
        ax.set(xlim=(-0.55, across * 2.4 - 0.85), ylim=(-(rows - 1) * 2.3 - 1.05, 1.6))
        for index, square in enumerate(self.squares):
            left, bottom = 2.4 * (index % _ACROSS), -2.3 * (index // _ACROSS)
            corners = {
                "A": (0.0, 1.0, square.a, f"{square.wide}, {square.dense}"),
                "B": (1.0, 1.0, square.b, f"{square.narrow}, {square.dense}"),
                "C": (0.0, 0.0, square.c, f"{square.wide}, {square.pruned}"),
                "D": (1.0, 0.0, square.d, f"{square.narrow}, {square.pruned}"),
            }
            sides = (
                ("A", "B", "q1", style.PRACTICE), ("C", "D", "q2", style.PRACTICE),
                ("A", "C", "p1", style.PREDICTED), ("B", "D", "p2", style.PREDICTED),
            )  # fmt: skip
            for start, end, name, colour in sides:
                x0, y0, x1, y1 = (*corners[start][:2], *corners[end][:2])
                ax.annotate(
                    "", (left + x1, bottom + y1), xytext=(left + x0, bottom + y0),
                    arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 1.6, "shrinkA": 15, "shrinkB": 15},
                )  # fmt: skip
                ax.text(
                    left + (x0 + x1) / 2, bottom + (y0 + y1) / 2, f"×{square.gains[name]:.3g}", ha="center",
                    va="center", color=colour, fontsize=8.5, zorder=5,
                    bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
                )  # fmt: skip
            for name, (x, y, value, words_) in corners.items():
                ax.plot([left + x], [bottom + y], "o", ms=21, mfc="white", mec=style.INK, zorder=4)
                ax.text(
                    left + x, bottom + y, name, ha="center", va="center", fontsize=10, zorder=5
                )
                ax.annotate(
                    f"{words_}\n{style.shorten(value)} fps", (left + x, bottom + y), xytext=(0, 16 if y else -16),
                    textcoords="offset points", ha="center", va="bottom" if y else "top", fontsize=7.5,
                )  # fmt: skip
            ax.text(
                left + 0.5, bottom + 0.5, f"{_lines(square.label)}\n{100 * square.orthogonality:.0f}% orthogonal",
                ha="center", va="center", fontsize=7, color=style.INK, linespacing=1.4,
            )  # fmt: skip
        ax.annotate(
            _CAPTION, (0, 0), xycoords="axes fraction", xytext=(4, 2), textcoords="offset points", fontsize=7.5,
            color=style.INK, va="bottom", linespacing=1.4,
        )  # fmt: skip
        axes.set_titles(ax, self.title)


def _lines(label: str) -> str:
    """Return a label with a line for each word: it stands between the gains of its square."""
    return label.replace(" ", "\n")


@chart(
    "orthogonality", "what pruning and quantization gain alone and together, as a square", COLUMNS
)
def compute(rows: Iterable[Row], options: Options) -> Orthogonality:
    """Return a square for each machine and network that was run at two datatypes and two prunings.

    The widest and the narrowest datatype are taken, the dense network and the one pruned last in the table; of several
    rows for a corner the fastest (the best batch).

    Raises:
        TableError: A column is missing or a cell is no number.
    """
    value = options.value or "measured_fps"
    table = check_rows(rows, (*COLUMNS[:-1], amount(value, "value shown")), "orthogonality")
    best: dict[tuple[str, str, str], float] = {}
    for row in table:
        place = label(row, "network", "platform"), row["datatype"], row["pruning"]
        best[place] = max(best.get(place, 0.0), row[value])
    squares: list[Square] = []
    for name in distinct_values(place[0] for place in best):
        own = {place[1:]: fps for place, fps in best.items() if place[0] == name}
        widths = sorted({datatype for datatype, _ in own}, key=width_of)
        prunings = [
            pruning for pruning in distinct_values(p for _, p in own) if pruning != "dense"
        ]
        if len(widths) < 2 or not prunings:
            continue
        wide, narrow = widths[-1], widths[0]
        corners = [
            own.get(c)
            for c in (
                (wide, "dense"),
                (narrow, "dense"),
                (wide, prunings[-1]),
                (narrow, prunings[-1]),
            )
        ]
        values = [corner for corner in corners if corner is not None]
        if len(values) == 4:
            squares.append(Square(name, wide, narrow, "dense", prunings[-1], *values))
    return Orthogonality(tuple(squares))
