"""The shipped machines as tables for the documentation."""

from __future__ import annotations

from collections import Counter
from importlib import resources
from typing import get_args

from roofline.markdown import markdown_records, with_section
from roofline.number_format import plural
from roofline.spec.audit import census, default_quantities
from roofline.spec.finding import platform, platform_keys
from roofline.spec.folders import platform_files
from roofline.spec.loading import load
from roofline.spec.machine import Platform
from roofline.spec.quantity import Kind
from roofline.spec.schema import Specification

BEGIN = "<!-- begin generated: roofline platforms docs docs/platforms.md -->"
"""The line above the generated part of the page."""
END = "<!-- end generated -->"
"""The line below it."""

KINDS: tuple[str, ...] = get_args(Kind)
"""How a number can be known, best first."""

_COLUMNS = ("fp32", "fp16", "bf16", "fp8", "int8", "int4", "int2")


def refresh(page: str) -> str:
    """Return a page with the part between its two marks generated anew.

    Raises:
        OptionError: The page does not have the two marks.
    """
    return with_section(page, f"\n{tables()}\n", BEGIN, END)


ASKED_FOR = "asked_for.csv"
"""The table, beside the shipped files, of the machines that people choosing hardware for inference ask for most."""


def tables() -> str:
    """Return how the numbers are known, the machines most asked for, the table of all, and where numbers come from."""
    machines = [platform(key) for key in platform_keys()]
    return "\n".join([*_shares(), *_popular_section(), *_machines_table(machines)]) + "\n"


def popular_machines() -> tuple[str, ...]:
    """Return the keys of the machines most asked for."""
    table = resources.files("roofline.platforms").joinpath(ASKED_FOR)
    return tuple(table.read_text(encoding="utf-8").split()[1:])


def _shares() -> list[str]:
    """Return how many numbers are of each kind, over every machine and over those most asked for."""
    specs = [load(path) for path in platform_files().values()]
    asked = [
        quantity
        for key in popular_machines()
        for quantity in default_quantities(platform_specification(key))
    ]
    counted = census(specs)
    kinds = Counter(quantity.kind for quantity in asked)
    rows = [
        {
            "kind": kind,
            "numbers": f"{counted.kinds.get(kind, 0):,}",
            "share": f"{counted.share(kind):.1%}",
            f"share over the {len(popular_machines())} most asked for": f"{kinds[kind] / len(asked):.1%}",
        }
        for kind in KINDS
    ]
    return [
        f"{counted.sourced} of {plural(counted.machines, 'machine has', 'machines have')} "
        "a sourced peak and a sourced bandwidth.",
        "",
        markdown_records(rows, numbers_from=1),
        "",
    ]


def _popular_section() -> list[str]:
    names = ", ".join(f"`{key}`" for key in popular_machines())
    return [
        f"### The {len(popular_machines())} most asked for",
        "",
        f"{names}.",
        "",
        "The choice is a judgement, not a count.",
        "",
        "### All",
        "",
    ]


def platform_specification(key: str) -> Specification:
    """Return what the file of a shipped machine says."""
    return load(platform_files()[key])


def _machines_table(machines: list[Platform]) -> list[str]:
    """Return the table of all machines, and for each where its numbers come from."""
    rows = [
        {
            "key": f"`{machine.key}`",
            "machine": machine.specification.name,
            "segment": machine.segment or "",
            "year": machine.year,
            **{f"{name} TOP/s": _peak(machine, name) for name in _COLUMNS},
            "memory GB/s": f"{machine.bandwidth / 1e9:g}",
            "power W": "" if machine.tdp is None else f"{machine.tdp:g}",
        }
        for machine in machines
    ]
    lines = [
        markdown_records(rows, numbers_from=4),
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
    return lines


def _peak(machine: Platform, datatype: str) -> str:
    peak = machine.peaks.get(datatype)
    if peak is None:
        return "×" if datatype in machine.specification.absent else ""
    text = f"{peak.base / 1e12:.4g}"
    return f"*{text}*" if peak.kind == "estimated" else text
