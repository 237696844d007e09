"""Tables of rates as users and vendors write them: machine, network, datatype and a rate; the rest is derived."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import roofline
from roofline.errors import DatatypeError, OptionError, RooflineError, TableError, did_you_mean
from roofline.model._network_facts import NetworkCounts, class_of, facts_of_counts
from roofline.model._request import at_precision
from roofline.model._run_facts import Facts
from roofline.model._units import choose_unit
from roofline.model.deployment import deployment, other_maker, runtime_called
from roofline.precision import precision
from roofline.reading import CsvTable
from roofline.spec import find_alias, platform, platform_keys
from roofline.spec.aliases import aliases
from roofline.spec.matching import find_match
from roofline.surfaces import MODEL
from roofline.tables import with_columns
from roofline.validate.evidence.cells import number_of
from roofline.validate.evidence.published import is_in_flight
from roofline.workloads import decoders

if TYPE_CHECKING:
    from roofline.spec import Platform
    from roofline.workload import Workload

SPELLINGS = {
    "machine": ("platform",),
    "fps": ("throughput_fps", "measured_fps"),
    "tokens_per_s": ("measured_tokens_per_s",),
}
"""What a column may be called beside its own name."""

WHAT = ("machine", "network", "datatype")
OPTIONAL = ("batch", "runtime")
"""Columns that a table may have; mode is none of these, since a column model beside it is no misspelling."""

NOUN = "table of rates"
REPAIR = (
    "A table of rates has the columns machine (or platform), network, datatype and fps (or throughput_fps, "
    "latency_ms); batch, runtime and mode where they are known"
)

_MOST_OF_PEAK = 3.0
"""A rate may be so many times what the peak allows before it is refused: boards run above their rated clocks."""
_SEVERAL = 1.05
"""Rate over that of one batch behind another from which several are in flight."""
_APART = 2.0
"""A rate may be so many times below that of its latency: what lies between batches is not in all latencies."""
_IN_FLIGHT, _UNSTATED = 256.0, 16.0
"""It may be so many times above: where the mode says that several batches are in flight, and where there is no mode."""


def spell_columns(table: CsvTable) -> CsvTable:
    """Return a table whose columns have their own names; one that has both keeps both."""
    own = {
        other: name
        for name, others in SPELLINGS.items()
        if name not in table.header
        for other in [next((x for x in others if x in table.header), "")]
        if other
    }
    return CsvTable(
        tuple(own.get(name, name) for name in table.header),
        tuple({own.get(name, name): cell for name, cell in row.items()} for row in table.rows),
    )


def of_rates(header: Iterable[str]) -> bool:
    """Return whether a table with such columns is one of rates."""
    names = spell_columns(CsvTable(tuple(header), ())).header
    return {*WHAT} <= {*names} and bool({"fps", "latency_ms"} & {*names})


@dataclass(frozen=True, slots=True)
class Rate:
    """A row of a table of rates."""

    where: str
    """The table and the row, for messages."""
    machine: str
    """As the row names it."""
    network: str
    datatype: str
    batch: int
    fps: float
    runtime: str
    """Empty where none is named."""
    in_flight: bool
    """Whether several batches are under way at a time, so that the rate says nothing of a latency."""
    input_size: str = ""
    """Empty where none is stated."""


def read_rates(table: CsvTable, where: str) -> tuple[Rate, ...]:
    """Return the rows of a table of rates; what they name is not looked up.

    Args:
        table: Columns machine (or platform), network, datatype, and fps (or throughput_fps) or latency_ms; batch,
            runtime and mode where they are known, others are left aside.
        where: What to call it in messages: the file's path.

    Raises:
        TableError: A column is missing, a number is none, a run stands there twice, or the rows are predictions.
    """
    if "upper_bound" in table.header:
        raise TableError(
            f"{where} holds predictions, no runs",
            repair="Give rates that were measured or published",
        )
    table = spell_columns(table)
    rate = "fps" if "fps" in table.header or "latency_ms" not in table.header else "latency_ms"
    with_columns(table, where, NOUN, (*WHAT, rate), optional=OPTIONAL, repair=REPAIR)
    if not table.rows:
        raise TableError(f"{where} has no runs", repair="Give one row per run")
    found: list[Rate] = []
    seen: dict[tuple[str, ...], int] = {}
    for place, row in enumerate(table.rows, 1):
        at = f"{where} row {place}"
        run = tuple(
            row.get(name, "") for name in (*WHAT, *OPTIONAL, "mode", "input_size", "source")
        )
        if run in seen:
            raise TableError(
                f"{at} is the same run as row {seen[run]}", repair="Keep one of the two"
            )
        seen[run] = place
        found.append(_rate(row, at))
    return tuple(found)


def _rate(row: dict[str, str], where: str) -> Rate:
    for name in WHAT:
        if not row[name].strip():
            raise TableError(f"{where}: {name} is empty", repair=f"Name the {name}")
    batch = number_of(row, "batch", where, 1)
    if batch != int(batch):
        raise TableError(
            f"{where}: batch is {row['batch']!r}", repair="Give a whole number of items"
        )
    alone = 1e3 * batch / number_of(row, "latency_ms", where) if row.get("latency_ms") else None
    fps = number_of(row, "fps", where) if row.get("fps") or alone is None else alone
    in_flight = is_in_flight(row, where)
    if alone is not None:
        most = _IN_FLIGHT if in_flight else _APART if _mode(row) else _UNSTATED
        _check_agree(fps, alone, where, most)
    several = alone is not None and fps > _SEVERAL * alone
    try:
        datatype = precision(row["datatype"].strip()).name
    except RooflineError as error:
        raise TableError(f"{where}: {error.message}", repair=error.repair) from None
    return Rate(
        where, row["machine"].strip(), row["network"].strip(), datatype, int(batch), fps,
        runtime_called(row.get("runtime", "").strip()), several or in_flight, row.get("input_size", "").strip(),
    )  # fmt: skip


def _check_agree(fps: float, alone: float, where: str, most: float) -> None:
    """Check that a rate and a latency can be of one run.

    Raises:
        TableError: The rate is far below one batch behind another, or above what batches in flight explain.
    """
    if not alone / _APART <= fps <= most * alone:
        raise TableError(
            f"{where}: fps is {fps:g}, and one batch behind another at its latency_ms makes {alone:.4g}",
            repair="Give both of one run, of the batch; or leave one of them empty",
        )


def _mode(row: dict[str, str]) -> str:
    return row.get("mode", "").strip().casefold()


def count_unstated(table: CsvTable) -> int:
    """Return how many rows of a table of rates do not say whether several batches were in flight."""
    return sum(not _mode(row) and not row.get("latency_ms") for row in table.rows)


def machine_of(rate: Rate, at_hand: Iterable[Platform] = ()) -> Platform:
    """Return the machine of a rate; see `machine_called`."""
    return machine_called(rate.machine, rate.where, at_hand)


def machine_called(name: str, where: str, at_hand: Iterable[Platform] = ()) -> Platform:
    """Return the machine that a row names.

    Args:
        name: Its key, another of its names, its name as makers spell it, or a file.
        where: The table and the row, for messages.
        at_hand: Machines beside the shipped ones.

    Raises:
        TableError: None is called so; the message has the nearest names.
    """
    known = {machine.key: machine for machine in at_hand}
    if name in known:
        return known[name]
    try:
        found = _find_machine(name)
    except RooflineError as error:
        raise TableError(f"{where}: machine: {error.message}", repair=error.repair) from None
    if found is None:
        near = did_you_mean(name, [*known, *platform_keys(), *aliases()])
        raise TableError(
            f"{where}: machine {name!r} has no platform file",
            repair=near or "See: roofline platforms list; name a file of yours with -p",
        )
    return found


@cache
def _find_machine(name: str) -> Platform | None:
    """Return the machine that is called so; None where none is.

    Raises:
        PlatformError: It has modes, of which one must be named, or its file breaks a rule.
        TableError: The name stands for several machines together.
    """
    alias = find_alias(name)
    if alias is not None and alias.units != 1:
        raise TableError(
            f"{name!r} stands for {alias.units} x {alias.platform}",
            repair="Name one machine, with its own rate",
        )
    if alias is None and not name.endswith((".yaml", ".yml")):
        key = find_match(name)
        return None if key is None else platform(key)
    return platform(name if alias is None else alias.platform)


def network_of(rate: Rate, at_hand: Iterable[Path] = ()) -> Workload:
    """Return what the network of a rate requires at its datatype.

    Args:
        rate: A row.
        at_hand: ONNX files, known by the names of their files.

    Raises:
        TableError: None is called so, it cannot be counted, or it is a decoder; the message has the nearest names.
    """
    files = {path.stem: path for path in at_hand}
    if rate.network in decoders:
        raise TableError(
            f"{rate.where}: network {rate.network!r} is a decoder, whose rates are of tokens",
            repair="Leave the row out; tables of decoders have the column tokens_per_s",
        )
    try:
        return _count(files.get(rate.network, rate.network), rate.datatype)
    except RooflineError as error:
        raise TableError(f"{rate.where}: network: {error.message}", repair=error.repair) from None


@cache
def _count(model: str | Path, datatype: str) -> Workload:
    return at_precision(roofline.load(model), datatype)


def facts_at(
    rate: Rate, counts: NetworkCounts, machine: Platform, *, runtime: str | None
) -> Facts:
    """Return the facts of a rate's run.

    Args:
        rate: The row.
        counts: Those of its network.
        machine: Its machine.
        runtime: What it ran on; by default the usual one of the machine's class.

    Raises:
        TableError: The machine has no unit for the datatype, or the rate is far above what its peak allows.
    """
    maker = other_maker(rate.runtime, machine)
    if maker is not None:
        raise TableError(
            f"{rate.where}: runtime {rate.runtime} is of {maker}'s machines, and {machine.key} is {machine.vendor}'s",
            repair="Name the runtime that it ran on, or leave the cell empty",
        )
    try:
        unit, _ = choose_unit(machine, rate.datatype)
        run = deployment(machine, runtime)
    except DatatypeError as error:
        repair = "Write the datatype that it ran in"
        raise TableError(f"{rate.where}: datatype: {error.message}", repair=repair) from None
    except OptionError as error:
        raise TableError(f"{rate.where}: runtime: {error.message}", repair=error.repair) from None
    # Where no published run has several batches under way, as on chips that stream, what more of them add is unknown.
    in_flight = rate.in_flight and (run is None or run.usage.throughput)
    facts = facts_of_counts(
        counts, machine, machine_class=run.machine_class if run else class_of(machine) or machine.kind,
        runtime=run.runtime if run else rate.runtime, datatype=rate.datatype, unit=unit, batch=rate.batch,
        cores=run.cores if run else 1.0, in_flight=in_flight,
    )  # fmt: skip
    bound = facts.numbers["peak"][0] / (2 * facts.numbers["macs"][0])
    if rate.fps > _MOST_OF_PEAK * bound:
        raise TableError(
            f"{rate.where}: {rate.fps:g} fps is {rate.fps / bound:.3g} times what the peak of {machine.key} allows",
            repair="Give frames per second, and check the datatype",
        )
    return facts


def check_basis(rate: Rate, machine: Platform) -> None:
    """Check that published runs say something of a machine, so that a figure can correct what they do.

    Raises:
        OptionError: They do not.
        TableError: Nobody published a run of the runtime.
    """
    try:
        run = deployment(machine, rate.runtime or None)
    except OptionError as error:
        raise TableError(f"{rate.where}: runtime: {error.message}", repair=error.repair) from None
    if run is None:
        raise OptionError(
            f"published runs say nothing of machines like {machine.key}, so no figure corrects it",
            repair=f"Use {MODEL.at('equation1')}",
        )
