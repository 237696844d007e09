"""``roofline export``: records out of the store, for other programs and other machines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roofline.cli._measuring import StoreOption
from roofline.cli._output import say, writable
from roofline.number_format import plural

if TYPE_CHECKING:
    from roofline.validate.records.record import Measurement
    from roofline.validate.records.store import Store

app = typer.Typer(add_completion=False)


@app.command("export")
def export_records(
    *,
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", callback=writable, help="Ends in .csv, .json or .parquet."),
    ],
    campaign: Annotated[
        str,
        typer.Option("--campaign", help="Only this campaign's records, the last attempt of each."),
    ] = "",
    network: Annotated[str, typer.Option("--network", help="Only this network.")] = "",
    backend: Annotated[str, typer.Option("--backend", help="Only this backend.")] = "",
    store: StoreOption = None,
) -> None:
    """Write records to a file that roofline import reads back with nothing lost."""
    from roofline.validate.records.files import exported
    from roofline.validate.records.store import reading
    from roofline.writing import write_whole

    wanted = {"network": network, "backend": backend}
    with reading(store) as kept:
        # Records are read while the store is open.
        found = _of_campaign(campaign, kept) if campaign else tuple(kept.records())
    chosen = [
        run
        for run in found
        if all(not value or getattr(run.job, name) == value for name, value in wanted.items())
    ]
    write_whole(file, exported(chosen, file))
    say(f"{plural(len(chosen), 'record')} in {file}")


def _of_campaign(campaign: str, store: Store) -> tuple[Measurement, ...]:
    from roofline.validate.campaigns.grid import load
    from roofline.validate.campaigns.runner import state

    return state(load(campaign), store).recorded()
