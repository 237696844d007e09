"""Tables and generated sections of Markdown pages."""

from __future__ import annotations

import pytest

from roofline.errors import OptionError
from roofline.markdown import markdown_records, markdown_table, with_section


def test_a_bar_in_a_cell_does_not_end_it() -> None:
    assert markdown_table(["a", "b"], [["x|y", "1"]], numbers_from=1).splitlines() == [
        "| a | b |", "|---|---:|", "| x/y | 1 |",
    ]  # fmt: skip


def test_records_are_written_in_the_order_of_the_first() -> None:
    assert markdown_records([{"a": 1, "b": "x"}, {"b": "y", "a": 2}]).splitlines()[2:] == [
        "| 1 | x |", "| 2 | y |",
    ]  # fmt: skip


def test_only_what_stands_between_the_two_lines_is_made_anew() -> None:
    page = "a\n<!-- x -->\nold\n<!-- end -->\nb\n<!-- y -->\nkept\n<!-- end -->\n"
    assert with_section(page, "new\n", "<!-- x -->", "<!-- end -->") == page.replace("old", "new")


@pytest.mark.parametrize("page", ["", "x\n", "x\nold\n", "end\nx\n", "x\nold\nend\nx\nend\n"])
def test_a_page_that_lacks_its_marks_is_refused(page: str) -> None:
    with pytest.raises(OptionError, match="lacks the marks"):
        with_section(page, "new\n", "x", "end")
