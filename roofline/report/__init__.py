"""The interactive page: one self-contained HTML file of predictions and measured runs."""

from roofline.report.data import COLUMNS, ReportData, load_rows
from roofline.report.page import render

__all__ = ["COLUMNS", "ReportData", "load_rows", "render"]
