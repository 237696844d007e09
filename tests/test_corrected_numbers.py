"""The page of numbers that were wrong: what it says is printed now is printed, and the tests it names are there."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

from .cli_process import answered

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "corrected-numbers.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and "| test |" not in line
]
COMMANDS = [
    (found[1], now)
    for what, _, now, _ in ROWS
    if (found := re.match(r"fps of `roofline ([^`]+)`", what))
]


@pytest.mark.parametrize(("command", "figure"), COMMANDS)
def test_a_command_prints_the_figure_of_the_page(
    command: str, figure: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = answered(capsys, *command.split(), "--format", "json")
    assert code == 0
    (prediction,) = json.loads(out)["predictions"]
    assert f"{prediction['throughput_fps']:,.4g}" == f"{float(figure.replace(',', '')):,.4g}"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:40])
def test_the_test_of_a_number_is_there(row: list[str]) -> None:
    path, _, name = row[3].strip("`").partition("::")
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    names = [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    assert name in names or (not name and any(each.startswith("test_") for each in names))


def test_numbers_are_compared() -> None:
    assert len(ROWS) >= 15
    assert len(COMMANDS) >= 3
