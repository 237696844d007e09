"""Figures: one module per kind; values first, drawn with matplotlib only when asked to."""

from roofline.chart._base import FORMATS, Chart, save
from roofline.chart._registry import Kind, Options, charts
from roofline.chart._table import Column, read_rows

__all__ = ["FORMATS", "Chart", "Column", "Kind", "Options", "charts", "read_rows", "save"]
