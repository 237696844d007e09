"""``roofline compare``: two networks or two machines on one page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roofline.cli._check import FailIfOption, conditions, report_failures
from roofline.cli._groups import command
from roofline.cli._options import InputOptions, load_together
from roofline.cli._output import OrderOptions, ResultOptions
from roofline.errors import NetworkError, OptionError, did_you_mean
from roofline.labels import labels
from roofline.reading import exists

if TYPE_CHECKING:
    from roofline.decoding.phases import Decoding
    from roofline.workload import Workload

app = typer.Typer(add_completion=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class CompareOptions:
    """What is compared, and what of two networks."""

    first: Annotated[str, typer.Argument(metavar="A")]
    """A network (.onnx, or the name of a shipped one) or a machine (key, key:mode or .yaml)."""
    second: Annotated[str, typer.Argument(metavar="B")]
    """Another of the same sort."""
    layers: bool = False
    """Changed layers only: all of them, one row each."""
    fused: bool = False
    """Compare layers as runtimes fuse them."""
    platform: Annotated[list[str] | None, typer.Option("-p")] = None
    """Predict both networks on this machine, too; repeatable, or several by commas."""
    datatype: Annotated[list[str] | None, typer.Option("-d")] = None
    """Datatype of the predictions; repeatable, or several by commas."""
    model: str | None = None
    """Prediction model. Default: the bound and the best estimate."""


@command(app)
def compare(
    *,
    options: CompareOptions,
    inputs: InputOptions,
    fail_if: FailIfOption = None,
    order: OrderOptions,
    result: ResultOptions,
) -> None:
    """Compare two networks, two files of one network, or two machines; ratios are those of the second to the first.

    With -p both networks are predicted, and CSV has those rows. --sort and --top are of the layers, or with -p of the
    predictions. --fail-if 'macs_ratio>1.02', 'parameters>5e6', 'fps_ratio<0.95': the second's figures by their names,
    ratios and differences with the endings _ratio, _difference.
    """
    first, second = options.first, options.second
    if _are_machines(first, second):
        given = {
            "--batch": inputs.batch, "--dim": inputs.dim, "--input": inputs.input_, "--value": inputs.value,
            "--layers": options.layers, "--fused": options.fused, "-p": options.platform, "-d": options.datatype,
            "--model": options.model, "--sort": order.sort, "--top": order.top,
        }  # fmt: skip
        for flag, value in given.items():
            if value:
                raise OptionError(
                    f"{flag} is about networks; these are machines", repair=f"Leave {flag} out"
                )
        _compare_machines(first, second, result, fail_if)
        return
    from roofline.cli import _compared
    from roofline.cli._compared_networks import ComparedNetworks

    binding = inputs.bound()
    networks = load_together([first, second], binding)
    if (options.datatype or options.model) and not options.platform:
        raise OptionError(
            f"{'-d' if options.datatype else '--model'} is about predictions",
            repair="Name a machine: -p tx2:maxn",
        )
    names = _pair(labels([network.name for network in networks], [first, second]))
    rows = None
    if options.platform:
        asked = _choose_subjects((first, second), networks, bound=inputs.is_given)
        rows = _compared.predict_pairs(
            asked, options.platform, options.datatype, inputs.batch, options.model
        )
    page = ComparedNetworks(
        networks[0], networks[1], names, layers=options.layers, fused=options.fused,
        predictions=None if rows is None else order.arrange(rows, rows), order=OrderOptions() if rows else order,
    )  # fmt: skip
    totals = _compared.difference_row(page.lines(), names)
    checks = conditions(fail_if, [*totals, *(rows[0] if rows else ())])
    result.emit(document=page.document, rows=page.rows, table=page.table)
    report_failures([totals], [check for check in checks if check.column in totals], ["compared"])
    report_failures(rows or [], checks, ["platform", "datatype", "batch", "model"])


def _choose_subjects(
    names: tuple[str, str], networks: Sequence[Workload], *, bound: bool
) -> Sequence[Workload | Decoding]:
    """Return what is predicted of two networks: decoders as such, unless their inputs are bound by hand.

    Raises:
        OptionError: One is a decoder and the other is none: their rates count different things.
    """
    from roofline.cli._decoding import split_decoders

    decoders = [split_decoders([name], None, bound=bound)[1] for name in names]
    if not any(decoders):
        return networks
    if not all(decoders):
        which, other = names if decoders[0] else names[::-1]
        raise OptionError(
            f"{which} is a decoder, whose rates are of tokens, and {other} is none",
            repair="Leave -p out, or compare two decoders",
        )
    return [decoder for (decoder,) in decoders]


def _compare_machines(
    first: str, second: str, result: ResultOptions, fail_if: list[str] | None
) -> None:
    from roofline.cli import _compared
    from roofline.cli._compared_machines import ComparedMachines
    from roofline.spec import platform

    machines = platform(first), platform(second)
    names = _pair([machine.key for machine in machines])
    page = ComparedMachines(*machines, names)
    row = _compared.difference_row(page.lines(), names)
    checks = conditions(fail_if, list(row))
    result.emit(document=page.document, rows=page.rows, table=page.table)
    report_failures([row], checks, ["compared"])


def _are_machines(first: str, second: str) -> bool:
    """Return whether two names mean machines; else both mean networks.

    Raises:
        NetworkError: One means nothing that is there.
        OptionError: One is a machine and the other is none.
    """
    machines = [_is_machine(first), _is_machine(second)]
    if any(machines) and not all(machines):
        machine, other = (first, second) if machines[0] else (second, first)
        raise OptionError(
            f"{machine!r} is a machine and {other!r} is none",
            repair="Compare two networks or two machines; predict shows a network on machines",
        )
    return all(machines)


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
    from roofline.spec.names import without_mode

    bare = without_mode(name).casefold()
    keys = {key.casefold() for key in platform_files()}
    if bare.endswith((".yaml", ".yml")) or bare in keys or name.strip().lower() in aliases():
        return True
    known = networks()
    path = Path(name)
    named = name.casefold() in {key.casefold() for key in known}
    if not (exists(path) or path.suffix or len(path.parts) > 1 or named):
        hint = did_you_mean(name, [*known, *platform_files()])
        raise NetworkError(
            f"{name!r} is neither a file nor the name of a network or machine",
            repair=hint or "See: roofline networks list, roofline platforms list",
        )
    return False
