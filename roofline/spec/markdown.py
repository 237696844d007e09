"""The shipped machines as tables for the documentation."""

from __future__ import annotations

from collections.abc import Iterable

from roofline.errors import PlatformError
from roofline.spec.finding import platform, platform_keys
from roofline.spec.machine import Platform

BEGIN = "<!-- begin generated: roofline platforms docs docs/platforms.md -->"
"""The line above the generated part of the page."""
END = "<!-- end generated -->"
"""The line below it."""

_COLUMNS = ("fp32", "fp16", "bf16", "fp8", "int8", "int4", "int2")


def refreshed(page: str) -> str:
    """Return a page with the part between its two marks generated anew.

    Raises:
        PlatformError: The page does not have the two marks.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise PlatformError(
            "the page lacks the marks of its generated part",
            repair=f"Add the lines {BEGIN} and {END}",
        )
    return f"{before}{begin}\n\n{tables()}\n{end}{after}"


def tables() -> str:
    """Return the table of all machines, and for each where its numbers come from."""
    machines = [platform(key) for key in platform_keys()]
    header = [
        "key",
        "machine",
        "year",
        *(f"{name} TOP/s" for name in _COLUMNS),
        "memory GB/s",
        "power W",
    ]
    rows = [
        [
            f"`{machine.key}`",
            machine.specification.name,
            str(machine.year),
            *(_peak(machine, name) for name in _COLUMNS),
            f"{machine.bandwidth / 1e9:g}",
            "" if machine.tdp is None else f"{machine.tdp:g}",
        ]
        for machine in machines
    ]
    lines = [_row(header), _row(["---"] * 3 + ["---:"] * (len(header) - 3)), *map(_row, rows)]
    lines += [
        "",
        "A number in italics is an estimate. `×` marks a datatype the machine is known to lack.",
        "",
        "### Sources",
        "",
    ]
    seen: set[str] = set()
    for machine in machines:
        specification = machine.specification
        if specification.key not in seen:
            seen.add(specification.key)
            sources = "; ".join(
                f"[{source.title}]({source.url})" if source.url else source.title
                for source in specification.sources.values()
            )
            lines.append(f"- `{specification.key}`: {sources}")
            lines += [f"    - {note}" for note in specification.notes]
    return "\n".join(lines) + "\n"


def _peak(machine: Platform, datatype: str) -> str:
    peak = machine.peaks.get(datatype)
    if peak is None:
        return "×" if datatype in machine.specification.absent else ""
    text = f"{peak.base / 1e12:.4g}"
    return f"*{text}*" if peak.kind == "estimated" else text


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
