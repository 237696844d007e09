"""Pages about the report and the figures: their pictures exist and are small, their lists are those of the program."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

from roofline.report import COLUMNS
from roofline.validate.studies.figures import figures

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("page", ["figures.md", "report.md"])
def test_pictures_are_there_and_small(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    pictures = re.findall(r"\]\(((?:figures|images)/[^)]+)\)|src=\"([^\"]+)\"", text)
    named = [DOCS / (one or other) for one, other in pictures]
    assert len(named) >= 2
    for path in named:
        assert path.read_bytes().startswith(b"\x89PNG")
        assert path.stat().st_size < (300_000 if page == "report.md" else 200_000), path


def test_every_picture_is_shown_and_is_one_that_the_command_draws() -> None:
    text = (DOCS / "figures.md").read_text(encoding="utf-8")
    drawn = {figure.name for figure in figures("qutibench")}
    drawn |= {f"dlas_{figure.name}" for figure in figures("dlas")}
    for path in sorted((DOCS / "figures").iterdir()):
        assert f"(figures/{path.name})" in text, path
        assert path.stem in drawn


@pytest.mark.parametrize("width", [800, 1400])
def test_screenshots_are_as_wide_as_they_say(width: int) -> None:
    head = (DOCS / "images" / f"report_{width}.png").read_bytes()[:24]
    assert struct.unpack(">I", head[16:20])[0] == width


def test_the_page_names_every_column() -> None:
    text = (DOCS / "report.md").read_text(encoding="utf-8")
    assert [name for name in COLUMNS if f"`{name}`" not in text] == []
