"""The page about compression shows what the program counts."""

from __future__ import annotations

from pathlib import Path

import pytest

import roofline
from roofline.workloads import networks

PAGE = Path(__file__).parents[2] / "docs" / "compression.md"


def rows() -> dict[str, list[str]]:
    lines = [
        line.strip("| ").split(" | ")
        for line in PAGE.read_text().splitlines()
        if line.startswith("| `")
    ]
    return {cells[0].strip("`"): cells[1:] for cells in lines if cells[0].strip("`") in networks}


def test_every_network_is_in_the_table() -> None:
    assert list(rows()) == list(networks)


@pytest.mark.parametrize("key", ["cnv", "mlp_25", "resnet18_cifar10", "mobilenet_v3_small"])
def test_the_table_shows_the_counts(key: str) -> None:
    dense = roofline.load(key)
    half = dense.under(pruning=0.5)
    shown = rows()[key]
    assert [float(cell.replace(",", "")) for cell in shown[:4]] == [
        round(dense.macs / 1e6, 1), round(half.macs / 1e6, 1),
        round(dense.parameters / 1e6, 3), round(half.parameters / 1e6, 3),
    ]  # fmt: skip
    assert shown[4] == f"{dense.macs / half.macs:.2f}x"


def test_the_python_on_the_page_runs() -> None:
    text = PAGE.read_text()
    code = text[text.index("```python\n") + len("```python\n") :]
    exec(compile(code[: code.index("```")], str(PAGE), "exec"), {})
