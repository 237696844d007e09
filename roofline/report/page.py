"""Builds the page: data, plotly's JavaScript and our own, inlined once into a template."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from importlib.resources import files
from typing import Any

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
    document: dict[str, Any] = asdict(data)
    machines = [str(row["platform"]) for row in (*data.rows, *data.roofs)]
    # The same colours as in the figures.
    document["colours"] = {name: machine_colour(name) for name in machines}
    return fill_page(
        "page.html",
        {
            "title": html.escape(data.title),
            "conventions": html.escape(data.conventions),
            "css": asset("page.css"),
            "data": embed(document),
            "plotly": str(get_plotlyjs()),
            "charts": asset("charts.js"),
            "page": asset("page.js"),
        },
    )


def asset(name: str) -> str:
    """Return the text of a file that pages are made of."""
    return (files("roofline.report") / "assets" / name).read_text(encoding="utf-8")


def fill_page(template: str, parts: Mapping[str, str]) -> str:
    """Return a page with its placeholders filled; ``{{version}}`` is the program's.

    Args:
        template: Name of the file with the page.
        parts: The text of each other placeholder.
    """
    known = {"version": html.escape(version("roofline")), **parts}
    # Split once at every placeholder: inserted text is never searched for placeholders again.
    pieces = asset(template).split("{{")
    built = [pieces[0]]
    for piece in pieces[1:]:
        name, rest = piece.split("}}", 1)
        built += [known[name], rest]
    return "".join(built)


def embed(document: Mapping[str, Any]) -> str:
    """Return data as JSON that can stand in a page: no tag or comment in it ends the script element."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")
