"""``roofline export``: records out of the store, for other programs and other machines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roofline.cli._measuring import StoreOption
from roofline.cli._output import say, writable
from roofline.errors import OptionError
from roofline.number_format import plural

if TYPE_CHECKING:
    from roofline.validate.records.record import Measurement
    from roofline.validate.records.store import Store

app = typer.Typer(add_completion=False)


@app.command("export")
def export_records(
    *,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]",
            callback=writable,
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
        typer.Option(
            "--output", "-o", callback=writable, help="The file, as every verb takes it."
        ),
    ] = None,
) -> None:
    """Write records to a file that roofline import reads back with nothing lost."""
    from roofline.validate.records.files import exported
    from roofline.validate.records.store import reading
    from roofline.writing import write_whole

    if (file is None) == (output is None):
        raise OptionError(
            "no file is named" if file is None else f"two files are named, {file} and {output}",
            repair="Name one: roofline export -o records.csv (or .json, .parquet)",
        )
    path = output or file or Path()
    wanted = {"network": network, "backend": backend}
    with reading(store) as kept:
        # Records are read while the store is open.
        found = _of_campaign(campaign, kept) if campaign else tuple(kept.records())
    chosen = [
        run
        for run in found
        if all(not value or getattr(run.job, name) == value for name, value in wanted.items())
    ]
    write_whole(path, exported(chosen, path))
    say(f"{plural(len(chosen), 'record')} in {path}")


def _of_campaign(campaign: str, store: Store) -> tuple[Measurement, ...]:
    from roofline.validate.campaigns.grid import load
    from roofline.validate.campaigns.runner import state

    return state(load(campaign), store).recorded()
