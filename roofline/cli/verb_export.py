"""``roofline export``: records out of the store, for other programs and other machines."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roofline.cli._groups import command
from roofline.cli._measuring import StoreOption
from roofline.cli._output import check_ending, output_option, say
from roofline.errors import OptionError, own_spelling
from roofline.number_format import plural

if TYPE_CHECKING:
    from roofline.validate.records.record import Measurement
    from roofline.validate.records.store import Store

app = typer.Typer(add_completion=False)

_RECORDS = ("a list of records", ".csv", ".json", ".parquet")


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportOptions:
    """Which records are written, and where."""

    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", callback=check_ending(*_RECORDS))
    ] = None
    """Ends in .csv, .json or .parquet; or name it with -o."""
    campaign: str = ""
    """Only this campaign's records, the last attempt of each."""
    network: str = ""
    """Only this network."""
    backend: str = ""
    """Only this backend."""
    store: StoreOption = None
    output: Annotated[Path | None, output_option(*_RECORDS)] = None


@command(app, "export")
def export_records(*, options: ExportOptions) -> None:
    """Write records to a file that roofline import reads back with nothing lost."""
    from roofline.validate.measuring.backend import backends
    from roofline.validate.records.files import export
    from roofline.validate.records.store import open_for_reading
    from roofline.workloads import networks
    from roofline.writing import write_whole

    file, output = options.file, options.output
    if (file is None) == (output is None):
        raise OptionError(
            "no file is named" if file is None else f"two files are named, {file} and {output}",
            repair="Name one: roofline export -o records.csv (or .json, .parquet)",
        )
    path = output or file or Path()
    wanted = {
        "network": own_spelling(options.network, networks) or options.network,
        "backend": own_spelling(options.backend, backends) or options.backend,
    }
    wanted = {name: value for name, value in wanted.items() if value}
    written = itertools.count()
    with open_for_reading(options.store) as kept:
        found = (
            _campaign_runs(options.campaign, kept, wanted)
            if options.campaign
            else kept.records(**wanted)
        )
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
