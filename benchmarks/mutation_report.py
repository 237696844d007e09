"""What came of the mutants that `mutation.py` tried: the share that tests notice, and those that they do not.

    python -P benchmarks/mutation_report.py           # and every survivor; exits with 1 where one waits for its test
    python -P benchmarks/mutation_report.py --write   # puts the table into CONTRIBUTING.md

A mutant that survives is a figure that could change unnoticed: write the test that kills it. One that changes nothing
that can be observed is named as equivalent in ``benchmarks/equivalent_mutants.csv``, with the reason.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from roofline.markdown import markdown_table, with_section

TABLE = Path(__file__).with_name("mutants.csv")
EQUIVALENT = Path(__file__).with_name("equivalent_mutants.csv")
PARTS = Path(__file__).with_name("mutated_parts.csv")
PAGE = Path(__file__).parents[1] / "CONTRIBUTING.md"
_BEGIN, _END = "<!-- mutants -->", "<!-- end of mutants -->"


def read(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table."""
    with path.open(newline="") as file:
        return [dict(row) for row in csv.DictReader(file)]


def name(row: Mapping[str, str]) -> str:
    """Return what a mutant is called among the equivalent ones."""
    return f"{row['path']} {row['operator']} {row['occurrence']}"


def survivors(rows: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
    """Return the mutants that survived and are neither killed by a test since then nor equivalent."""
    equivalent = {row["mutant"] for row in read(EQUIVALENT)}
    tried = [row for row in rows if row["at_first"]]
    return [row for row in tried if not row["noticed_by"] and name(row) not in equivalent]


def summary(rows: Sequence[Mapping[str, str]]) -> str:
    """Return the table of the parts in Markdown."""
    equivalent = {row["mutant"] for row in read(EQUIVALENT)}
    header = ("part", "drawn", "tried", "killed at first", "by tests since", "equivalent", "left")
    lines: list[list[str]] = []
    parts = [row["part"] for row in read(PARTS)]
    for title, start in (*((part.rstrip("/"), part) for part in parts), ("all", "")):
        drawn = [row for row in rows if row["path"].startswith(start)]
        tried = [row for row in drawn if row["at_first"]]
        survived = [row for row in tried if row["at_first"] == "survived"]
        same = [row for row in survived if name(row) in equivalent]
        cells = (
            len(drawn), len(tried), len(tried) - len(survived),
            len([row for row in survived if row["noticed_by"] and row not in same]), len(same), len(survivors(drawn)),
        )  # fmt: skip
        lines.append([title, *map(str, cells)])
    tried = [row for row in rows if row["at_first"]]
    mutants = [row for row in tried if name(row) not in equivalent]
    first = len([row for row in mutants if row["at_first"] == "killed"])
    now = len(mutants) - len(survivors(mutants))
    return (
        f"{markdown_table(header, lines, numbers_from=1)}\n\n"
        f"Of the {len(mutants)} that are not equivalent {first / max(1, len(mutants)):.1%} were killed at first, "
        f"{now / max(1, len(mutants)):.1%} are now.\n"
    )


def page(text: str, rows: Sequence[Mapping[str, str]]) -> str:
    """Return a page with the table of the parts between its marks."""
    return with_section(text, f"\n{summary(rows)}\n", _BEGIN, _END)


def main() -> None:
    """Print the table and every mutant that waits, or write the table into the page."""
    rows = read(TABLE)
    if "--write" in sys.argv[1:]:
        PAGE.write_text(page(PAGE.read_text(), rows))
        return
    sys.stdout.write(summary(rows))
    left = survivors(rows)
    for row in left:
        change = f"[{row['before']}] -> [{row['after']}]"
        sys.stdout.write(f"alive: {row['path']}:{row['line']} {change}  [{name(row)}]\n")
    raise SystemExit(1 if left else 0)


if __name__ == "__main__":
    main()
