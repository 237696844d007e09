"""The page is whole, small, loads nothing, and holds its data unharmed."""

from __future__ import annotations

import json
import re

import pytest

from roofline.report import ReportData, render
from roofline.report.page import MAXIMUM_BYTES

pytest.importorskip("plotly", reason="the page inlines plotly's JavaScript")


def test_page_is_complete_and_small(report_data: ReportData) -> None:
    page = render(report_data)
    assert page.startswith("<!doctype html>")
    assert page.rstrip().endswith("</html>")
    assert len(page.encode()) < MAXIMUM_BYTES
    assert page.count("plotly.js v") == 1


def test_page_refers_to_nothing_outside(report_data: ReportData) -> None:
    page = render(report_data)
    assert not re.search(
        r"<(?:script|link|img|iframe)[^>]+(?:src|href)=[\"']?(?:https?:)?//", page
    )


def test_data_survives_the_embedding(report_data: ReportData) -> None:
    page = render(report_data)
    block = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert block is not None
    held = json.loads(block[1])
    assert [row["network"] for row in held["rows"]] == [row["network"] for row in report_data.rows]
    assert held["rows"][0]["predicted_fps"] == report_data.rows[0]["predicted_fps"]


def test_two_pages_of_the_same_data_are_identical(report_data: ReportData) -> None:
    assert render(report_data) == render(report_data)
