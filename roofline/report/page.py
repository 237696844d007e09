"""Builds the page: data, plotly's JavaScript and our own, inlined once into a template."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from roofline.chart._style import colours
from roofline.errors import MissingPackageError
from roofline.report.data import ReportData

MAXIMUM_BYTES = 8_000_000
"""A page stays below this size, so that it can be mailed."""


def render(data: ReportData) -> str:
    """Return the whole page as HTML; it loads nothing from anywhere.

    Raises:
        MissingPackageError: plotly, whose JavaScript is inlined, is not installed.
    """
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise MissingPackageError("plotly", "report", "an interactive report") from error
    assets = files("roofline.report") / "assets"
    parts: Mapping[str, str] = {
        "title": html.escape(data.title),
        "conventions": html.escape(data.conventions),
        "version": html.escape(version("roofline")),
        "css": (assets / "page.css").read_text(encoding="utf-8"),
        "data": _embedded(data),
        "plotly": str(get_plotlyjs()),
        "charts": (assets / "charts.js").read_text(encoding="utf-8"),
        "page": (assets / "page.js").read_text(encoding="utf-8"),
    }
    page = (assets / "page.html").read_text(encoding="utf-8")
    # Split once at every placeholder: inserted text is never searched for placeholders again.
    pieces = page.split("{{")
    built = [pieces[0]]
    for piece in pieces[1:]:
        name, rest = piece.split("}}", 1)
        built += [parts[name], rest]
    return "".join(built)


def _embedded(data: ReportData) -> str:
    document: dict[str, Any] = asdict(data)
    machines = [str(row["platform"]) for row in (*data.rows, *data.roofs)]
    # The same colours as in the figures.
    document["colours"] = colours(machines)
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # No tag or comment inside a name may end the script element.
    return text.replace("<", "\\u003c")
