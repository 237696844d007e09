"""The page for contributors and the table of mutants say the same."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_the_page_has_what_came_of_the_mutants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import mutation_report  # pyright: ignore[reportMissingImports]

    text = (ROOT / "CONTRIBUTING.md").read_text()
    rows = mutation_report.read(mutation_report.TABLE)
    assert text == mutation_report.page(text, rows), (
        "make it again: python -P benchmarks/mutation_report.py --write"
    )


def test_a_mutant_that_is_called_equivalent_is_noticed_by_no_test(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import mutation_report  # pyright: ignore[reportMissingImports]

    rows = {mutation_report.name(row): row for row in mutation_report.read(mutation_report.TABLE)}
    for entry in mutation_report.read(mutation_report.EQUIVALENT):
        assert entry["reason"]
        row = rows.get(entry["mutant"])
        assert row is None or (row["at_first"], row["noticed_by"]) == ("survived", "")
