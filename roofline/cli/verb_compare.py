"""``roofline compare``: two networks or two machines on one page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roofline.cli._check import FailIfOption, conditions, report_failures
from roofline.cli._options import (
    BatchOption,
    DimOption,
    InputOption,
    ValueOption,
    labels,
    load_model,
    parse_binding,
)
from roofline.cli._output import (
    Format,
    FormatOption,
    OutputOption,
    as_csv,
    as_json,
    as_table,
    emit,
)
from roofline.errors import NetworkError, OptionError, did_you_mean
from roofline.number_format import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roofline.cli._differences import Line
    from roofline.spec import Platform
    from roofline.workload import Workload

app = typer.Typer(add_completion=False)

MOST_LAYERS = 10
"""Changed layers in a table unless another number is asked for."""

_SIDE = "A network (.onnx, or the name of a shipped one) or a machine (key, key:mode or .yaml)."


@app.command()
def compare(
    *,
    first: Annotated[str, typer.Argument(metavar="A", help=_SIDE)],
    second: Annotated[str, typer.Argument(metavar="B", help="Another of the same sort.")],
    layers: Annotated[
        bool, typer.Option("--layers", help="Changed layers only: all of them, one row each.")
    ] = False,
    fused: Annotated[
        bool, typer.Option("--fused", help="Compare layers as runtimes fuse them.")
    ] = False,
    batch: BatchOption = None,
    dim: DimOption = None,
    input_: InputOption = None,
    value: ValueOption = None,
    platform: Annotated[
        list[str] | None,
        typer.Option(
            "--platform", "-p", help="Predict both networks on this machine, too; repeatable."
        ),
    ] = None,
    datatype: Annotated[
        list[str] | None,
        typer.Option("--datatype", "-d", help="Datatype of the predictions; repeatable."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", help="Prediction model. Default: the bound and the best estimate."
        ),
    ] = None,
    fail_if: FailIfOption = None,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
) -> None:
    """Compare two networks, two files of one network, or two machines; ratios are those of the second to the first.

    With -p both networks are predicted, and CSV has those rows. --fail-if 'macs_ratio>1.02', 'parameters>5e6',
    'fps_ratio<0.95': the second's figures by their names, ratios and differences with the endings _ratio, _difference.
    """
    sides = (first, second)
    machines = [_is_machine(side) for side in sides]
    if all(machines):
        given = {"--batch": batch, "--dim": dim, "--input": input_, "--value": value}
        given |= {
            "--layers": layers,
            "--fused": fused,
            "-p": platform,
            "-d": datatype,
            "--model": model,
        }
        for flag, said in given.items():
            if said:
                raise OptionError(
                    f"{flag} is about networks; these are machines", repair=f"Leave {flag} out"
                )
        _compare_machines(sides, form, output, fail_if)
        return
    if any(machines):
        machine, other = sides if machines[0] else sides[::-1]
        raise OptionError(
            f"{machine!r} is a machine and {other!r} is none",
            repair="Compare two networks or two machines; predict shows a network on machines",
        )
    from roofline.cli import _compared, _differences

    networks = [load_model(side, parse_binding(batch, dim, input_, value)) for side in sides]
    if (datatype or model) and not platform:
        raise OptionError(
            f"{'-d' if datatype else '--model'} is about predictions",
            repair="Name a machine: -p tx2:maxn",
        )
    names = _pair(labels([network.name for network in networks], list(sides)))
    lines = _differences.network_lines(*networks)
    rows = _compared.predicted(networks, platform, datatype, batch, model) if platform else None
    totals = _compared.checked(lines, names)
    known = [*totals, *(rows[0] if rows else ())]
    checks = conditions(fail_if, known)
    page = written(
        networks[0], networks[1], names, form, layers=layers, fused=fused, predictions=rows
    )
    emit(page, output)
    report_failures([totals], [check for check in checks if check.column in totals], ["compared"])
    report_failures(rows or [], checks, ["platform", "datatype", "batch", "model"])


def _compare_machines(
    sides: tuple[str, str], form: Format, output: Path | None, fail_if: list[str] | None
) -> None:
    from roofline.cli import _compared
    from roofline.cli._differences import machine_lines
    from roofline.spec import platform

    machines = [platform(side) for side in sides]
    lines = machine_lines(machines[0], machines[1])
    names = _pair([machine.key for machine in machines])
    row = _compared.checked(lines, names)
    checks = conditions(fail_if, list(row))
    emit(_machines(machines, lines, names, form), output)
    report_failures([row], checks, ["compared"])


def written(
    first: Workload,
    second: Workload,
    names: tuple[str, str],
    form: Format,
    *,
    layers: bool,
    fused: bool,
    predictions: list[dict[str, Any]] | None = None,
) -> str:
    """Return how two networks differ, as a page for people, JSON or CSV.

    Args:
        first: What is compared with.
        second: What is compared.
        names: What they are called on the page.
        form: How it is written.
        layers: Whether a page lists all changed layers and nothing else, and CSV has them as its rows.
        fused: Whether the layers are the fused ones.
        predictions: Rows of both on machines; None where none were asked for.
    """
    from roofline.cli import _compared, _counting, _differences

    lines = _differences.network_lines(first, second)
    changes = _differences.layer_changes(first, second, fused=fused)
    sides = [
        {"name": name, "source": side.source, "unsupported": list(side.coverage.unsupported)}
        for name, side in zip(names, (first, second), strict=True)
    ]
    if form is Format.JSON:
        traffic = {f"intensity_{name}": meaning for name, meaning in _counting.TRAFFIC.items()}
        stated = {**_counting.CONVENTIONS, **traffic, **_SIGNS}
        more = {} if predictions is None else {"predictions": predictions}
        return _json("networks", stated, sides, lines, layers=changes, **more)
    if form is Format.CSV:
        if predictions is not None:
            return as_csv(predictions)
        if not layers:
            return as_csv([line.record() for line in lines])
        return as_csv([_flat(change) for change in changes])
    if layers:
        cells = [_differences.layer_cells(change, names) for change in changes]
        return as_table(cells) if cells else "no layer differs"
    # Weights that are zero are asked for with count --zeros; without it the two lines are one.
    shown = [
        line
        for line in lines
        if line.quantity != "effective_macs"
        or line.first != first.macs
        or line.second != second.macs
    ]
    uncounted = [
        f"{name}: {note}"
        for name, side in zip(names, (first, second), strict=True)
        if not side.fully_counted
        for note in _counting.coverage_notes(side)[1:]
    ]
    page = as_table(
        [line.cells(names) for line in shown],
        notes=["; ".join(uncounted)] if uncounted else [],
        explained=[*_counting.CONVENTIONS.values(), *_SIGNS.values()],
    )
    if predictions is not None:
        page += "\n\n" + as_table(_compared.cells(predictions, names), title="on machines")
    if not changes:
        return f"{page}\n\nno layer differs"
    largest = sorted(changes, key=_differences.changed_macs, reverse=True)[:MOST_LAYERS]
    title = f"{plural(len(changes), 'layer')} {'differs' if len(changes) == 1 else 'differ'}"
    if len(largest) < len(changes):
        title += f", {len(largest)} with the largest change of MACs shown; --layers lists all"
    table = as_table([_differences.layer_cells(change, names) for change in largest], title=title)
    return f"{page}\n\n{table}"


def _machines(
    machines: Sequence[Platform], lines: list[Line], names: tuple[str, str], form: Format
) -> str:
    if form is Format.JSON:
        described = [
            {"name": machine.key, "source": machine.specification.name} for machine in machines
        ]
        return _json("machines", _MACHINES | _SIGNS, described, lines)
    if form is Format.CSV:
        return as_csv([line.record() for line in lines])
    doubts = [
        f"the {noun} are of different products: {line.first} and {line.second}"
        for line in lines
        for noun in [{"watts_of": "watts", "price_of": "prices"}.get(line.quantity)]
        if noun and line.first and line.second and line.first != line.second
    ]
    notes = ["; ".join(doubts)] if doubts else []
    explained = [*_MACHINES.values(), *_SIGNS.values(), "sources: roofline platforms show KEY"]
    return as_table([line.cells(names) for line in lines], notes=notes, explained=explained)


def _json(
    sort: str,
    conventions: dict[str, str],
    sides: list[dict[str, Any]],
    lines: list[Line],
    **more: Any,
) -> str:
    return as_json(
        {
            "conventions": conventions,
            "compared": sort,
            "first": sides[0],
            "second": sides[1],
            "totals": [line.record() for line in lines],
            **more,
        }
    )


def _flat(change: dict[str, Any]) -> dict[str, Any]:
    from roofline.cli._differences import COMPARED

    row: dict[str, Any] = {"name": change["name"], "change": change["change"]}
    for side in ("first", "second"):
        own: dict[str, Any] = change[side] or {}
        row |= {f"{side}_{name}": own.get(name) for name in COMPARED}
    return row


def _pair(names: list[str]) -> tuple[str, str]:
    """Return two headings that differ, also for one thing compared with itself."""
    first, second = names
    return first, second if second != first else f"{second} (2)"


def _is_machine(name: str) -> bool:
    """Return whether a name means a machine: a platform file, or a key or alias of one.

    Raises:
        NetworkError: It means nothing that is there.
    """
    from roofline import networks
    from roofline.spec.aliases import aliases
    from roofline.spec.folders import platform_files

    bare = name.partition(":")[0].casefold()
    keys = {key.casefold() for key in platform_files()}
    if bare.endswith((".yaml", ".yml")) or bare in keys or name.strip().lower() in aliases():
        return True
    known = networks()
    path = Path(name)
    if not (path.exists() or path.suffix or len(path.parts) > 1 or name in known):
        hint = did_you_mean(name, [*known, *platform_files()])
        raise NetworkError(
            f"{name!r} is neither a file nor the name of a network or machine",
            repair=hint or "See: roofline networks list, roofline platforms list",
        )
    return False


_SIGNS = {"ratio": "difference is second less first, ratio second over first"}
_MACHINES = {
    "peaks": "peaks are dense; one multiply-accumulate is two operations",
    "memory": "bandwidth and capacity are the outermost memory's; the ridge is peak over bandwidth",
    "kind": "kind says how a number is known: datasheet, published, derived, measured or estimated",
}
