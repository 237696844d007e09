"""Labels beside points that do not cover one another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from roofline.chart._axes import Drawing

Box = tuple[float, float, float, float]
Point = tuple[float, float]

# Where a label is tried, in points from its mark: near it first, and then farther away.
# Directly beside comes last: that is where flat roofs run.
_DIRECTIONS = ((-1, 1), (0, 1), (1, -1), (0, -1), (1, 1), (-1, -1), (1, 0), (-1, 0))
OFF_THE_LINE = _DIRECTIONS[:6]
LOWER_LEFT = ((-1, -1), (-1, 0), (0, -1), (-1, 1), (1, -1), (0, 1), (1, 0), (1, 1))
UPPER_RIGHT = ((1, 1), (1, 0), (0, 1), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1))
_DISTANCES = (6.0, 12.0, 20.0, 30.0, 42.0)


def place_labels(
    ax: Drawing,
    points: Sequence[Point],
    labels: Sequence[str],
    *,
    colours: Sequence[str],
    fontsize: float = 7.0,
    avoid: Sequence[Point] = (),
    prefer: Sequence[Sequence[tuple[int, int]]] = (),
    reach: float = _DISTANCES[-1],
) -> int:
    """Write a label beside each point where it covers no point and no other label or text, nor its leader crosses one.

    The limits of the axes must be final. A label that finds no free place is left out.

    Args:
        ax: The axes.
        points: Data coordinates.
        labels: One per point, of one line or several; empty ones are not drawn.
        colours: One per point.
        fontsize: In points.
        avoid: Further points not to cover.
        prefer: For each label the directions that are tried, best first.
        reach: How far from its point a label may go, in points.

    Returns:
        How many labels were left out.
    """
    figure = ax.get_figure()
    if figure is None:
        return len(labels)
    # The layout has to be settled before data coordinates mean anything on paper.
    figure.draw_without_rendering()
    page = _Page(ax.get_window_extent(), figure.dpi / 72, fontsize)
    page.keep(text.get_window_extent().extents for text in ax.texts)
    marks = [tuple(ax.transData.transform(point)) for point in (*points, *avoid)]
    page.taken += [page.around(mark, 4) for mark in marks]
    hidden = 0
    directions = prefer or [_DIRECTIONS] * len(labels)
    for mark, label, colour, point, own in zip(
        marks, labels, colours, points, directions, strict=False
    ):
        if not label:
            continue
        ways = [(dx * far, dy * far) for far in _DISTANCES if far <= reach for dx, dy in own]
        found = page.write(mark, label, ways)
        if found is None:
            hidden += 1
            continue
        text, (dx, dy) = found
        note = ax.annotate(
            text, point, xytext=(dx, dy), textcoords="offset points", fontsize=fontsize, color=colour,
            ha="left" if dx > 0 else "right" if dx < 0 else "center",
            va="bottom" if dy > 0 else "top" if dy < 0 else "center",
            arrowprops=_leader_look((dx, dy)) if _is_far((dx, dy)) else None,
        )  # fmt: skip
        note.set_in_layout(False)
    return hidden


class _Page:
    """What of a chart's paper is covered, in pixels.

    Args:
        frame: The box of the axes.
        scale: Pixels of a point.
        fontsize: Of labels, in points.
    """

    def __init__(self, frame: Drawing, scale: float, fontsize: float) -> None:
        self.frame, self.scale, self.fontsize = frame, scale, fontsize
        self.taken: list[Box] = []
        """Boxes that no label may cover: points, labels, and the lines that lead to labels."""
        self._labels: list[Box] = []

    def keep(self, texts: Iterable[Box]) -> None:
        """Keep labels and their leaders off texts that stand already."""
        standing = [(left, bottom, right, top) for left, bottom, right, top in texts]
        self.taken += standing
        self._labels += standing

    def around(self, place: Point, points: float) -> Box:
        """Return the box that reaches so many points to each side of a place."""
        (x, y), reach = place, points * self.scale
        return x - reach, y - reach, x + reach, y + reach

    def write(self, mark: Point, label: str, ways: Sequence[Point]) -> tuple[str, Point] | None:
        """Take the first place that is free for a label, and return its lines and where that is from its mark."""
        # What finds no place in one line may find one in two.
        for text in dict.fromkeys((label, in_lines(label))):
            size = _extent(text, self.fontsize, self.scale)
            for way in ways:
                box = _box(mark, (way[0] * self.scale, way[1] * self.scale), size)
                if not self._is_free(box):
                    continue
                leader = self._leader(mark, way)
                if not _any_touch(leader, self._labels):
                    self._labels.append(box)
                    # Labels that come later keep off this one and off the line that leads to it.
                    self.taken += [box, *leader]
                    return text, way
        return None

    def _is_free(self, box: Box) -> bool:
        left, bottom, right, top = box
        frame = self.frame
        inside = (
            left >= frame.x0 and right <= frame.x1 + 2 and bottom >= frame.y0 and top <= frame.y1
        )
        return bool(inside) and not _any_touch([box], self.taken)

    def _leader(self, mark: Point, way: Point) -> list[Box]:
        """Return small boxes along the line that leads from a mark to a label set off from it by ``way``."""
        if not _is_far(way):
            return []
        (x, y), (dx, dy) = mark, way
        parts = [part / 8 * self.scale for part in range(2, 8)]
        return [self.around((x + dx * part, y + dy * part), 1) for part in parts]


def in_lines(name: str, most: int = 0) -> str:
    r"""Return a name in two lines, which find room where one does not.

    Args:
        name: The name; without a blank it stays as it is.
        most: Letters that one line may have.

    Example:
        >>> in_lines("ncs fp16", 28), in_lines("efficientnet_edgetpu_s zcu102-dpu int8", 28)
        ('ncs fp16', 'efficientnet_edgetpu_s\nzcu102-dpu int8')
    """
    blanks = [place for place, letter in enumerate(name) if letter == " "]
    if len(name) <= most or not blanks:
        return name
    middle = min(blanks, key=lambda place: abs(place - len(name) / 2))
    return f"{name[:middle]}\n{name[middle + 1 :]}"


def _extent(text: str, fontsize: float, scale: float) -> tuple[float, float]:
    """Return how wide and high a text is in pixels, with room around it."""
    lines = text.splitlines()
    widest = max(text_width(line, fontsize) for line in lines)
    return (widest + 6) * scale, 1.25 * fontsize * len(lines) * scale


def _box(mark: Point, way: Point, size: tuple[float, float]) -> Box:
    """Return where a label of this size lies when it is set off from its mark by ``way``."""
    (x, y), (dx, dy), (width, height) = mark, way, size
    left = x + dx if dx > 0 else x + dx - width if dx < 0 else x - width / 2
    bottom = y + dy if dy > 0 else y + dy - height if dy < 0 else y - height / 2
    return left, bottom, left + width, bottom + height


def _any_touch(some: Sequence[Box], others: Sequence[Box]) -> bool:
    """Return whether any box overlaps any of the others."""
    return any(
        label[2] > other[0] and label[0] < other[2] and label[3] > other[1] and label[1] < other[3]
        for label in some
        for other in others
    )


def _leader_look(way: Point) -> dict[str, object]:
    """Return how a leader is drawn: to the corner of its label that was looked at, not to the middle of the text."""
    corner = tuple(0.0 if step > 0 else 1.0 if step < 0 else 0.5 for step in way)
    return {"arrowstyle": "-", "color": "#BBBBBB", "lw": 0.5, "relpos": corner}


def _is_far(way: Point) -> bool:
    """Return whether a label is so far from its mark that a line leads to it."""
    return max(abs(way[0]), abs(way[1])) > _DISTANCES[1]


def text_width(text: str, fontsize: float) -> float:
    """Return how wide a text is in the charts' font, in points."""
    from matplotlib.textpath import TextPath

    if not text.strip():
        return 0.0
    path: Drawing = TextPath((0, 0), text, size=fontsize)
    return float(path.get_extents().width)


def spread_positions(natural: Sequence[float], step: float) -> list[float]:
    """Return ascending positions at least ``step`` apart that lie as near to the natural ones as can be.

    Args:
        natural: Ascending positions.
        step: The least distance.

    Example:
        >>> spread_positions([0.0, 0.0, 9.0], 2.0)
        [-1.0, 1.0, 9.0]
    """
    # Groups that touch share their mean; a group that would overlap the one before is merged with it.
    groups: list[tuple[float, int]] = []
    for index, place in enumerate(natural):
        mean, count = place - index * step, 1
        while groups and groups[-1][0] > mean:
            other, others = groups.pop()
            mean, count = (mean * count + other * others) / (count + others), count + others
        groups.append((mean, count))
    means = [mean for mean, count in groups for _ in range(count)]
    return [mean + index * step for index, mean in enumerate(means)]


def spread(
    ax: Drawing,
    heights: Sequence[float],
    labels: Sequence[str],
    colours: Sequence[str],
    *,
    fontsize: float = 7.5,
) -> None:
    """Write labels to the right of the axes, each as near to its height as the others allow.

    The limits of the axes must be final.

    Args:
        ax: The axes.
        heights: Data coordinates on the vertical axis.
        labels: One per height.
        colours: One per height.
        fontsize: In points.
    """
    notes = [
        ax.annotate(text, (1.0, height), xycoords=("axes fraction", "data"), xytext=(10, 0),
                    textcoords="offset points", fontsize=fontsize, color=colour, va="center")
        for height, text, colour in zip(heights, labels, colours, strict=True)
    ]  # fmt: skip
    figure = ax.get_figure()
    if figure is None or not notes:
        return
    figure.draw_without_rendering()
    step = 1.35 * fontsize
    scale = 72 / figure.dpi
    natural = [float(ax.transData.transform((1, height))[1]) * scale for height in heights]
    order = sorted(range(len(natural)), key=lambda i: natural[i])
    placed = spread_positions([natural[i] for i in order], step)
    for place, i in zip(placed, order, strict=True):
        offset = place - natural[i]
        notes[i].set_position((10, offset))
        if abs(offset) > step / 2:
            ax.annotate(
                "", (1.0, heights[i]), xycoords=("axes fraction", "data"), xytext=(9, offset),
                textcoords="offset points", arrowprops={"arrowstyle": "-", "color": colours[i], "lw": 0.5},
            )  # fmt: skip
