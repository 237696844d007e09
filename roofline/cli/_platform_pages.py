"""What ``platforms`` shows of a machine: a row of a list, every number with its source, a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roofline.cli._output import as_table
from roofline.tables import Record

if TYPE_CHECKING:
    from roofline.spec import Platform


def summary(machine: Platform) -> Record:
    """Return a machine as a row of a list."""
    from roofline.precision import COMPUTE_DATATYPES

    return {
        "platform": machine.key,
        "name": machine.specification.name,
        "vendor": machine.vendor,
        "kind": machine.kind,
        "year": machine.year,
        **{
            f"peak_{name}_tops": machine.peak(name) / 1e12 if machine.has(name) else None
            for name in COMPUTE_DATATYPES
        },
        "bandwidth_gb_s": machine.bandwidth / 1e9,
        "capacity_gb": in_units(machine.capacity, 1e9),
        "on_chip_mb": in_units(machine.on_chip_capacity, 1e6),
        "host_gb_s": in_units(machine.host_bandwidth, 1e9),
        "tdp_w": machine.tdp,
        "idle_w": machine.idle_power,
        "price_usd": machine.price,
        "skips_zeros": machine.skips_zeros,
        "calibrated": bool(machine.profiles),
    }


def number_rows(machine: Platform) -> list[Record]:
    """Return a row for every number of a machine, with its unit, how it is known, and where it comes from."""
    from roofline.spec.consistency import quantities
    from roofline.spec.problem import dotted_path

    # The mode's own figures are in place already; the other modes would only confuse.
    return [
        {
            "platform": machine.key,
            "quantity": dotted_path(_name_path(machine, path)),
            "value": quantity.value,
            "unit": quantity.unit,
            "kind": quantity.kind,
            "source": quantity.source,
            "note": quantity.note or "",
        }
        for path, quantity in quantities(machine.specification)
        if path[0] != "modes"
    ]


def _name_path(machine: Platform, path: tuple[str | int, ...]) -> tuple[str | int, ...]:
    if path[0] == "memories" and isinstance(path[1], int):
        return (machine.memories[path[1]].name, *path[2:])
    return path


def page(machine: Platform) -> str:
    """Return all there is to know of a machine, for people."""
    specification = machine.specification
    rows = [{**row, "value": f"{row['value']:,.12g}"} for row in number_rows(machine)]
    columns = ("quantity", "value", "unit", "kind", "source", "note")
    cells = [{name: row[name] for name in columns} for row in rows]
    used = {row["source"] for row in rows}
    title = f"{machine.key}  {specification.name}, {machine.vendor}, {machine.year}"
    description = [specification.description] if specification.description else []
    if machine.mode is not None:
        mode = specification.modes[machine.mode]
        description.append(
            f"Mode {machine.mode} of {', '.join(specification.modes)}: {mode.description or ''}".rstrip(
                ": "
            )
        )
    table = as_table(cells, title="\n".join([title, *(f"  {line}" for line in description)]))
    lines = [
        table,
        "",
        f"Ridge points: {', '.join(f'{name} {machine.ridge(name):,.4g} OP/B' for name in machine.datatypes)}",
    ]
    if specification.absent:
        lines.append(f"No arithmetic for: {', '.join(specification.absent)}")
    if machine.skips_zeros != "none":
        lines.append(f"Skips zeros: {machine.skips_zeros}")
    lines += [f"Note: {note}" for note in specification.notes]
    lines += [f"Doubt: {doubt}" for doubt in specification.doubts]
    lines.append("Sources:")
    for key, source in specification.sources.items():
        if key in used:
            details = ", ".join(part for part in (source.date, source.url) if part)
            lines.append(f"  {key}: {source.title}" + (f" ({details})" if details else ""))
    return "\n".join(lines)


def in_units(value: float | None, size: float) -> float | None:
    """Return a number that may be unknown in units of that size."""
    return None if value is None else value / size


def shorten(value: float | None) -> str:
    """Return a number of a list for people."""
    return "–" if value is None else f"{value:,.4g}" if value < 10000 else f"{value:,.0f}"
