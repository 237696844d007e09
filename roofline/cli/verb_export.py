"""``roofline export``: records out of the store, for other programs and other machines."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roofline.cli._measuring import StoreOption
from roofline.cli._output import check_ending, output_option, say
from roofline.errors import OptionError, own_spelling
from roofline.number_format import plural

if TYPE_CHECKING:
    from roofline.validate.records.record import Measurement
    from roofline.validate.records.store import Store

app = typer.Typer(add_completion=False)

_ENDINGS = (".csv", ".json", ".parquet")


@app.command("export")
def export_records(
    *,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]",
            callback=check_ending("a list of records", *_ENDINGS),
            help="Ends in .csv, .json or .parquet; or name it with -o.",
        ),
    ] = None,
    campaign: Annotated[
        str,
        typer.Option("--campaign", help="Only this campaign's records, the last attempt of each."),
    ] = "",
    network: Annotated[str, typer.Option("--network", help="Only this network.")] = "",
    backend: Annotated[str, typer.Option("--backend", help="Only this backend.")] = "",
    store: StoreOption = None,
    output: Annotated[
        Path | None,
        output_option("a list of records", *_ENDINGS),
    ] = None,
) -> None:
    """Write records to a file that roofline import reads back with nothing lost."""
    from roofline.validate.measuring.backend import backends
    from roofline.validate.records.files import export
    from roofline.validate.records.store import open_for_reading
    from roofline.workloads import networks
    from roofline.writing import write_whole

    if (file is None) == (output is None):
        raise OptionError(
            "no file is named" if file is None else f"two files are named, {file} and {output}",
            repair="Name one: roofline export -o records.csv (or .json, .parquet)",
        )
    path = output or file or Path()
    wanted = {
        "network": own_spelling(network, networks) or network,
        "backend": own_spelling(backend, backends) or backend,
    }
    wanted = {name: value for name, value in wanted.items() if value}
    written = itertools.count()
    with open_for_reading(store) as kept:
        found = _campaign_runs(campaign, kept, wanted) if campaign else kept.records(**wanted)
        # Records are read while their lines are written, and dropped again.
        counted = (run for run, _ in zip(found, written, strict=False))
        write_whole(path, export(counted, path))
    say(f"{plural(next(written), 'record')} in {path}")


def _campaign_runs(
    campaign: str, store: Store, wanted: Mapping[str, str]
) -> Iterator[Measurement]:
    from roofline.validate.campaigns.grid import load
    from roofline.validate.campaigns.runner import state

    for run in state(load(campaign), store).records_in_order():
        if all(getattr(run.job, name) == value for name, value in wanted.items()):
            yield run
