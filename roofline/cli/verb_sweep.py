"""``roofline sweep``: predictions for every combination that a file names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roofline.cli._decoding import split_decoders
from roofline.cli._groups import command
from roofline.cli._options import load_model
from roofline.cli._output import (
    Format,
    FormatOption,
    ResultOptions,
    check_ending,
    check_writable_folder,
    emit,
    say,
)
from roofline.cli._predictions import conventions, tables_of
from roofline.cli._progress import progress
from roofline.compression_flags import compress_by_flags
from roofline.errors import OptionError, word_repairs_for
from roofline.labels import labels
from roofline.number_format import plural
from roofline.reading import is_file, is_folder
from roofline.surfaces import Surface

if TYPE_CHECKING:
    from roofline._sweep import Sweep
    from roofline.cli._sweep_file import SweepFile
    from roofline.decoding.phases import Decoding
    from roofline.progress import Report
    from roofline.spec import Platform
    from roofline.sweeping import Grid, Variant
    from roofline.workload import Workload

app = typer.Typer(add_completion=False)

LONG = 10_000
"""Predictions from which a sweep says how long it will take before it starts."""


_check_file = check_ending("a sweep", ".csv", ".json", ".parquet", ".md", ".txt")


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepOptions:
    """What is predicted, where it goes, and where it is made."""

    file: Annotated[Path | None, typer.Argument(metavar="FILE.yaml")] = None
    """What to predict; leave out for an example."""
    output: Annotated[Path | None, typer.Option("-o")] = None
    """A file (.csv, .json, .parquet), or a folder: any size, in parts, and the same command goes on where it was
    stopped."""
    shard: Annotated[str | None, typer.Option(metavar="I/N")] = None
    """Do the I-th of N shares of the parts, into one folder."""
    dask: Annotated[str | None, typer.Option(metavar="ADDRESS")] = None
    """Do the parts on the cluster of this Dask scheduler, tcp://host:8786, or local for all cores here."""
    dry_run: bool = False
    """Say how many, how large and how long, and stop."""


@command(app)
def sweep(
    *,
    context: typer.Context,
    form: FormatOption = Format.CSV,
    options: SweepOptions,
) -> None:
    """Predict networks × variants × machines × datatypes × batches, to CSV, JSON or Parquet."""
    from roofline.cli._sweep_file import EXAMPLE, check_size, read_sweep

    file = options.file
    if file is None:
        emit(EXAMPLE, None)
        return
    suffix = "" if options.output is None else options.output.suffix.lower()
    in_parts = options.output is not None and (
        is_folder(options.output) or not (suffix or is_file(options.output))
    )
    if options.output is not None:
        (check_writable_folder if in_parts else _check_file)(options.output)
    asked, repeated = read_sweep(file).without_repeats()
    if repeated:
        say(f"roofline: {file} repeats {' and '.join(repeated)}; each is predicted once")
    source = context.get_parameter_source("form")
    if in_parts and source is not None and source.name == "COMMANDLINE":
        raise OptionError(
            f"{options.output} is a folder, whose parts are Parquet files; --format is for one file",
            repair=f"Leave --format out, or name a file: -o OUT.{form.value}",
        )
    if suffix == ".parquet" and source is not None and source.name == "COMMANDLINE":
        raise OptionError(
            f"--format {form.value} contradicts {options.output}, whose name asks for Parquet",
            repair=f"Leave --format out, or name a file .{form.value}",
        )
    if in_parts or options.dry_run:
        _in_parts(asked, options.output, options.shard, options.dask, dry_run=options.dry_run)
        return
    if options.shard or options.dask:
        raise OptionError(
            f"{'--shard' if options.shard else '--dask'} needs a folder to write into",
            repair="Name one: -o FOLDER",
        )
    check_size(asked, file)
    if options.output is not None and suffix == ".parquet":
        _one_file(asked, options.output)
        return
    form = Format.JSON if suffix == ".json" else form
    found = _run(asked)
    ResultOptions(form=form, output=options.output).emit(
        document=lambda: {
            "conventions": conventions(found.predictions),
            "predictions": found.rows(),
        },
        rows=found.rows,
        table=lambda: tables_of(found),
    )
    for reason in dict.fromkeys(gone.reason for gone in found.skipped):
        say(f"roofline: left out: {reason}")


def _in_parts(
    asked: SweepFile, output: Path | None, share: str | None, dask: str | None, *, dry_run: bool
) -> None:
    """Do what is left of a sweep, or its share, into a folder."""
    from roofline.parquet import arrow
    from roofline.sweeping import Folder, check_room, plan, run
    from roofline.sweeping import shard as parts_of

    arrow()
    grid = _grid(asked)
    mine = parts_of(share or "1/1", grid.parts)
    if not mine:
        say(f"share {share} is empty: this sweep has {plural(grid.parts, 'part')}")
        return
    if output is None or dry_run:
        planned = plan(grid, len(mine))
        say(str(planned))
        if output is not None:
            check_room(planned, output)
        return
    folder = Folder(output)
    if not output.exists():
        # Nothing is there that would make it less, and what is refused leaves nothing behind.
        check_room(plan(grid, len(mine)), output)
    done = folder.begin(grid)
    left = [index for index in mine if index not in done]
    if not left:
        say(f"nothing is left to do: {output} holds {plural(len(mine), 'part')} of this sweep")
        return
    planned = plan(grid, len(left))
    kept = len(mine) - len(left)
    say(str(planned) + (f"; {plural(kept, 'part')} there already" if kept else ""))
    check_room(planned, output)
    with progress("sweep") as report:
        if dask is None:
            run(grid, folder, left, report)
            return
        from roofline.sweeping.dask_cluster import connect, run_on

        with connect(dask) as client:
            run_on(client, grid, folder, left, report)


def _one_file(asked: SweepFile, output: Path) -> None:
    from roofline.sweeping import tables
    from roofline.sweeping.columns import parquet_bytes
    from roofline.writing import write_whole

    grid = _grid(asked)
    if grid.rows >= LONG:
        from roofline.sweeping import plan

        say(str(plan(grid, grid.parts)))
    write_whole(
        output, parquet_bytes(table for part in range(grid.parts) for table in tables(grid, part))
    )


@word_repairs_for(Surface.SWEEP_FILE)
def _grid(asked: SweepFile) -> Grid:
    from roofline._sweep import check_units
    from roofline.sweeping import Grid

    names, decoders = _split_decoders(asked)
    if decoders:
        raise OptionError(
            f"{decoders[0].name} is a decoder, whose rows have more columns than the parts of a sweep",
            repair="Write it into a .csv or .json file: -o sweep.csv",
        )
    networks, digests = _networks(names)
    machines = _machines(asked)
    for network, datatype in product(networks, asked.datatypes or ()):
        check_units(network, machines, datatype, emulate=asked.emulate)
    for network, variant in product(networks, asked.variants):
        # What cannot be compressed so is told before the first part, and by a dry run.
        compress_by_flags(network, variant.keep_channels, variant.sparsity, variant.sparse_format)
    return Grid(
        tuple(networks), tuple(digests), tuple(machines), asked.variants, asked.datatypes or (None,),
        asked.items, asked.assumed,
    )  # fmt: skip


def _split_decoders(asked: SweepFile) -> tuple[list[str], list[Decoding]]:
    """Return the networks that are no decoders, and the decoders.

    Raises:
        OptionError: Something is asked of decoders, and there is none.
    """
    names, decoders = split_decoders(
        [asked.locate(name) for name in asked.networks], None, bound=False
    )
    if not decoders and (asked.context or asked.new_tokens or asked.phase):
        raise OptionError(
            "context, new_tokens and phase are for decoders, and no network of the sweep is one",
            repair="Leave them out",
        )
    return names, decoders


def _machines(asked: SweepFile) -> list[Platform]:
    from roofline._sweep import distinct
    from roofline.spec import platform

    return distinct([platform(asked.locate(key)) for key in asked.platforms])


def _networks(names: Sequence[str]) -> tuple[list[Workload], list[str]]:
    """Count every network, one of the same content once, and return them with digests of their contents."""
    import roofline

    counted: dict[str, Workload] = {}
    digests: list[str] = []
    found: list[Workload] = []
    for name in names:
        path = Path(name)
        content = path.read_bytes() if is_file(path) else f"{name} {roofline.__version__}".encode()
        digest = hashlib.sha256(content).hexdigest()
        if digest not in counted:
            counted[digest] = load_model(name)
        digests.append(digest)
        stem = path.stem if path.suffix == ".onnx" else counted[digest].name
        found.append(replace(counted[digest], name=stem))
    unique = labels([workload.name for workload in found], names)
    return [replace(each, name=name) for each, name in zip(found, unique, strict=True)], digests


@word_repairs_for(Surface.SWEEP_FILE)
def _run(asked: SweepFile) -> Sweep:
    from roofline._sweep import Sweep
    from roofline._sweep import sweep as every
    from roofline.serving import serve

    machines = _machines(asked)
    names, decoders = _split_decoders(asked)
    networks, _ = _networks(names)
    common = asked.assumed.model_dump()
    if asked.size >= LONG:
        say(f"{plural(asked.size, 'prediction')}, kept in memory until they are written")

    def at(variant: Variant, report: Report) -> Iterator[Sweep]:
        def prepare(workload: Workload, datatype: str | None) -> Workload:
            datatypes = [] if datatype is None else [datatype]
            return compress_by_flags(
                workload, variant.keep_channels, variant.sparsity, variant.sparse_format, datatypes
            )

        if networks:
            yield every(
                networks, machines, datatypes=asked.datatypes, batches=list(asked.items), prepare=prepare,
                report=report, **common,
            )  # fmt: skip
        for decoder, request in product(decoders, asked.requests):
            yield serve(
                decoder, request, machines, datatypes=asked.datatypes or (), batches=list(asked.items),
                prepare=prepare, unheld=True, **common,
            )  # fmt: skip

    with progress("sweep") as report:
        found = Sweep.join(part for variant in asked.variants for part in at(variant, report))
    # Networks first, as in the file; their variants follow one another.
    order = {network.name: place for place, network in enumerate((*networks, *decoders))}
    ordered = sorted(found.predictions, key=lambda prediction: order[prediction.network])
    return replace(found, predictions=tuple(ordered))
