"""Figures: one module per kind; values first, drawn with matplotlib only when asked to."""

from roofline.chart._base import FORMATS, Chart, check_suffix, save
from roofline.chart._panels import Facets, facets
from roofline.chart._registry import PLAIN, Kind, Options, chart, charts
from roofline.chart._table import read_rows
from roofline.tables import Column

__all__ = [
    "FORMATS",
    "PLAIN",
    "Chart",
    "Column",
    "Facets",
    "Kind",
    "Options",
    "chart",
    "charts",
    "check_suffix",
    "facets",
    "read_rows",
    "save",
]
