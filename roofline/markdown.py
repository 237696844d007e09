"""Markdown pages: tables, and sections that a program writes between two marks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from roofline.errors import OptionError


def markdown_table(
    header: Sequence[str], rows: Iterable[Sequence[str]], *, numbers_from: int | None = None
) -> str:
    """Return a table in Markdown, without the end of its last line.

    Args:
        header: Its columns.
        rows: Their cells; a bar in one, which would end it, becomes a slash.
        numbers_from: The first of the columns that are aligned to the right; None where none is.

    Example:
        >>> print(markdown_table(["network", "ms"], [["mlp", "1.5"]], numbers_from=1))
        | network | ms |
        |---|---:|
        | mlp | 1.5 |
    """
    left = len(header) if numbers_from is None else numbers_from
    rule = "|" + "---|" * left + "---:|" * (len(header) - left)
    return "\n".join([_row(header), rule, *map(_row, rows)])


def markdown_records(
    rows: Sequence[Mapping[str, object]], *, numbers_from: int | None = None
) -> str:
    """Return rows as a table in Markdown; the first row's columns are all rows'."""
    header = list(rows[0])
    cells = ([str(row[name]) for name in header] for row in rows)
    return markdown_table(header, cells, numbers_from=numbers_from)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def with_section(page: str, content: str, begin: str, end: str) -> str:
    """Return a page with what stands between two of its lines made anew.

    Args:
        page: The page as it is.
        content: What comes there, lines with their ends.
        begin: The line above.
        end: The line below.

    Raises:
        OptionError: The page does not have the two lines, each once and in this order.
    """
    before, first, rest = page.partition(f"{begin}\n")
    _, last, after = rest.partition(f"{end}\n")
    if not (first and last) or begin in rest.splitlines():
        raise OptionError(
            "the page lacks the marks of its generated part",
            repair=f"Add the lines {begin} and {end} behind it, once",
        )
    return f"{before}{first}{content}{last}{after}"
