"""Tables of counts that were made by other tools, where a checkout has them beside it."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("ROOFLINE_FACTS", Path(__file__).parents[3] / "shared/facts"))


def rows(name: str) -> list[dict[str, str]]:
    """Return a table's rows, or none when it is not there."""
    path = FOLDER / name
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def required(name: str) -> list[dict[str, str]]:
    """Return a table's rows, or skip the test with the reason."""
    found = rows(name)
    if not found:
        pytest.skip(f"{name} is not at hand; ROOFLINE_FACTS names the folder that has it")
    return found
