"""``roofline networks``: what is shipped, what each requires, how to get one as a file, and how to add one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roofline.cli._counting import listed_inputs
from roofline.cli._groups import command
from roofline.cli._options import InputOptions, load_model
from roofline.cli._output import (
    OrderOptions,
    ResultOptions,
    as_table,
    emit_scaffold,
    output_option,
    say_written,
)
from roofline.errors import NetworkError, RooflineError
from roofline.number_format import human, plural
from roofline.tables import Record, Row
from roofline.writing import write_whole

if TYPE_CHECKING:
    from roofline.workload import Workload
    from roofline.workloads import DecoderNetwork, Network

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="List, show and export the networks that are shipped; check and scaffold your own.",
)

KeyArgument = Annotated[str, typer.Argument(metavar="KEY", help="A shipped network.")]
CONVENTIONS = {
    "operations": "one multiply-accumulate is two operations",
    "parameters": "parameters are stored elements",
    "batch": "batch 1",
    "decoders": "decoders are counted for one token behind 4,096",
}


class Fill(StrEnum):
    """What stored tensors of an exported network hold."""

    NONE = "none"
    RANDOM = "random"


@command(app, "list")
def list_networks(*, order: OrderOptions, result: ResultOptions) -> None:
    """List the shipped networks with what one inference requires."""
    from roofline.workloads import decoders, networks

    shipped = [*map(networks.get, networks), *map(decoders.get, decoders)]
    rows = [_summary(entry) for entry in shipped]
    rows = order.arrange(rows, rows)
    result.emit(
        document=lambda: {"conventions": CONVENTIONS, "networks": rows},
        rows=lambda: rows,
        table=lambda: as_table(
            [_list_cells(row) for row in rows],
            explained=(*CONVENTIONS.values(), "more of one: roofline networks show KEY"),
        ),
    )


def _list_cells(row: Row) -> Record:
    return {
        "network": row["network"],
        "title": row["title"],
        "for": row["dataset"],
        "GMAC": f"{row['macs'] / 1e9:.3f}",
        "Mparameters": f"{row['parameters'] / 1e6:.2f}",
    }


@command(app)
def show(*, key: KeyArgument, result: ResultOptions) -> None:
    """Show where one network comes from and what it requires."""
    from roofline.workloads import find_shipped

    network = find_shipped(key)
    row = {**_summary(network), **_details(network)}
    result.emit(
        document=lambda: {"conventions": CONVENTIONS, "network": row},
        rows=lambda: [row],
        table=lambda: as_table(
            [{"what": name.replace("_", " "), "value": _show(row[name])} for name in row],
            explained=(*CONVENTIONS.values(), f"layers: roofline count {key} --layers"),
        ),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportOptions:
    """Where a network is written, and how."""

    output: Annotated[Path, output_option("the network", ".onnx")]
    weights: Fill = Fill.NONE
    """none: declared only, enough to count; random: runs in any runtime."""
    seed: Annotated[int, typer.Option(min=0)] = 0
    """Of the random weights."""
    batch: Annotated[int | None, typer.Option("-b", min=1)] = None
    """Items per inference; left open without it."""


@command(app)
def export(*, key: KeyArgument, options: ExportOptions) -> None:
    """Write one network as an ONNX file."""
    from roofline.workloads import build

    weights = "random" if options.weights is Fill.RANDOM else None
    model = build(key, weights=weights, seed=options.seed, batch=options.batch)
    content = model.SerializeToString()
    write_whole(options.output, content)
    say_written(f"{options.output} ({human(len(content), 'B')})")


@command(app)
def check(
    *,
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...", help="ONNX files, modules (.py) that define networks, or keys."
        ),
    ],
    inputs: InputOptions,
    result: ResultOptions,
) -> None:
    """Check that networks can be read and are counted whole; exit code 2 if one is not."""
    binding = inputs.bound()
    rows: list[Record] = []
    for name in models:
        try:
            found = _names_for(name)
        except RooflineError as error:
            rows.append(_check_row(name, error))
            continue
        for shown in found:
            try:
                workload = load_model(shown, binding)
            except RooflineError as error:
                rows.append(_check_row(shown, error))
            else:
                rows.append(_check_row(shown, workload))
    wrong = [str(row["model"]) for row in rows if row["problem"]]
    result.emit(
        document=lambda: {"ok": not wrong, "networks": rows},
        rows=lambda: rows,
        table=lambda: "\n".join(
            f"{row['model']}: {row['problem'] or _sizes(row)}" for row in rows
        ),
    )
    if wrong:
        raise NetworkError(
            f"not whole: {', '.join(wrong)}", repair="Mend what is listed, and check again"
        )


@command(app)
def new(
    *,
    key: Annotated[str, typer.Argument(metavar="KEY", help="The network's name: my_network.")],
    decoder: Annotated[bool, typer.Option(help="A language model, from its sizes.")] = False,
    output: Annotated[Path | None, output_option("the module", ".py")] = None,
) -> None:
    """Write a commented module to fill in for a network of one's own."""
    from roofline.workloads._scaffold import scaffold

    emit_scaffold(scaffold(key, decoder=decoder), output)


def _names_for(name: str) -> list[str]:
    """Return the networks that a name stands for: those a module registers, or the one it is."""
    if not name.endswith(".py"):
        return [name]
    import runpy

    from roofline.workloads import decoders, networks

    before = {*networks, *decoders}
    try:
        runpy.run_path(name)
    except RooflineError:
        raise
    except Exception as error:
        raise NetworkError(
            f"{name} does not run: {type(error).__name__}: {error}",
            repair="Start from a scaffold: roofline networks new my_network",
        ) from error
    found = [key for key in (*networks, *decoders) if key not in before]
    if not found:
        raise NetworkError(
            f"{name} registers no network",
            repair="Decorate its definition with @network(key, ...), or call decoder(key, ...)",
        )
    return found


def _check_row(name: str, found: Workload | RooflineError) -> Record:
    """Return what a check says of a network: what it requires, or what is wrong with it."""
    if isinstance(found, RooflineError):
        return {
            "model": name,
            "macs": None,
            "parameters": None,
            "nodes": None,
            "problem": str(found),
        }
    coverage = found.coverage
    problem = ""
    if coverage.unresolved:
        missed = ", ".join(coverage.unsupported) or ", ".join(coverage.unresolved[:3])
        problem = f"{1 - coverage.nodes:.1%} of its nodes are not counted: {missed}"
    return {
        "model": name, "macs": found.macs, "parameters": found.parameters, "nodes": len(found.layers),
        "problem": problem,
    }  # fmt: skip


def _sizes(row: Row) -> str:
    return f"OK, {plural(row['nodes'], 'node')}, {plural(row['macs'], 'MAC')}, {plural(row['parameters'], 'parameter')}"


def _summary(network: Network | DecoderNetwork) -> dict[str, object]:
    workload = _count(network)
    return {
        "network": network.key,
        "title": network.title,
        "task": network.task,
        "dataset": network.dataset,
        "inputs": {tensor.name: list(tensor.shape or ()) for tensor in workload.inputs},
        "macs": workload.macs,
        "ops": workload.ops,
        "parameters": workload.parameters,
        "weight_bytes": workload.weight_bytes,
    }


def _details(network: Network | DecoderNetwork) -> dict[str, object]:
    workload = _count(network)
    return {
        "activation_bytes": workload.activation_bytes,
        "peak_activation_bytes": workload.peak_activation_bytes,
        "layers": len(workload.layers),
        "source": network.source,
        "notes": network.notes,
    }


def _count(network: Network | DecoderNetwork) -> Workload:
    import roofline

    return roofline.load(network.key)


def _show(value: Any) -> str:
    if isinstance(value, dict):
        return listed_inputs(value)  # pyright: ignore[reportUnknownArgumentType]
    return f"{value:,}" if isinstance(value, int) else str(value)
