"""Figures are written to be read: significant digits, no powers of ten in percent, nouns that agree."""

from __future__ import annotations

import math

import pytest

from roofline.number_format import human, number, percent, plural


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.0123456, "0.01235"), (999.96, "1000"), (1000, "1,000"), (1234567.8, "1,234,568"),
     (math.inf, "∞"), (-1500.0, "-1,500"), (None, None)],
)  # fmt: skip
def test_numbers(value: float | None, text: str | None) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0%"), (1, "100%"), (0.51234, "51.2%"), (0.999, "99.9%"), (1.0, "100%"), (12.345, "1,234%"),
     (0.00338, "0.338%"), (-0.25, "-25%"), (None, None)],
)  # fmt: skip
def test_shares(share: float | None, text: str | None) -> None:
    assert percent(share) == text
    assert "e" not in (percent(share) or "")


def test_nouns_agree() -> None:
    assert [plural(n, "kernel") for n in (0, 1, 2)] == ["0 kernels", "1 kernel", "2 kernels"]
    assert plural(3, "entry", "entries") == "3 entries"


def test_prefixes() -> None:
    assert (human(4089184256, "MAC"), human(999_960, "B"), human(97, "B")) == (
        "4.089 GMAC",
        "1 MB",
        "97 B",
    )
