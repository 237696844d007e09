"""Builds the page: data, plotly's JavaScript and our own, inlined once into a template."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from importlib.resources import files

from roofline.chart._style import machine_colour
from roofline.extras import optional_import
from roofline.report.data import ReportData

MAXIMUM_BYTES = 8_000_000
"""A page stays below this size, so that it can be mailed."""


def render(data: ReportData) -> str:
    """Return the whole page as HTML; it loads nothing from anywhere.

    Raises:
        MissingPackageError: plotly, whose JavaScript is inlined, is not installed.
    """
    with optional_import("an interactive report"):
        from plotly.offline import get_plotlyjs
    document: dict[str, object] = asdict(data)
    machines = [str(row["platform"]) for row in (*data.rows, *data.roofs)]
    # The same colours as in the figures.
    document["colours"] = {name: machine_colour(name) for name in machines}
    return fill_page(
        Page(
            title=data.title,
            conventions=data.conventions,
            main='<main id="charts" tabindex="-1"></main>\n',
            main_id="charts",
            drawn="charts",
            shown="charts and tables",
            reset="Show everything",
            css=asset("page.css"),
            data=document,
            scripts=(str(get_plotlyjs()), asset("charts.js"), asset("page.js")),
        )
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """What a page holds, in the frame that all pages have."""

    title: str
    conventions: str
    """How its figures are meant."""
    main: str
    """The element that it shows, as HTML."""
    main_id: str
    drawn: str
    """What a reader who uses the keyboard can skip to."""
    shown: str
    """What needs JavaScript."""
    reset: str
    """What the button says that takes all choices back."""
    summary: str = ""
    """What is said until the page has been built."""
    css: str
    data: Mapping[str, object]
    scripts: Sequence[str]
    """In order."""


def asset(name: str) -> str:
    """Return the text of a file that pages are made of."""
    return (files("roofline.report") / "assets" / name).read_text(encoding="utf-8")


def fill_page(page: Page) -> str:
    """Return a page as HTML."""
    parts = {
        "version": html.escape(version("roofline")), "title": html.escape(page.title),
        "conventions": html.escape(page.conventions), "main": page.main, "main_id": page.main_id, "drawn": page.drawn,
        "shown": page.shown, "reset": page.reset, "summary": page.summary, "css": page.css, "data": embed(page.data),
        "scripts": "".join(f"<script>{script}</script>\n" for script in page.scripts),
    }  # fmt: skip
    # Split once at every placeholder: inserted text is never searched for placeholders again.
    pieces = asset("frame.html").split("{{")
    built = [pieces[0]]
    for piece in pieces[1:]:
        name, rest = piece.split("}}", 1)
        built += [parts[name], rest]
    return "".join(built)


def embed(document: Mapping[str, object]) -> str:
    """Return data as JSON that can stand in a page: no tag or comment in it ends the script element."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")
