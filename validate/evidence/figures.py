"""Figures of a machine, a few measured or published rates, that correct what is expected of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import roofline
from roofline.errors import OptionError, TableError
from roofline.model._case import choose_unit
from roofline.model._evidence_runs import machine_effect
from roofline.model._network_facts import facts_of
from roofline.model._request import at_precision
from roofline.model._run_facts import Facts
from roofline.model._time_law import Effect
from roofline.model.deployment import deployment
from roofline.surfaces import MODEL
from roofline.tables import with_columns
from roofline.validate.evidence.by_graph import published_runtimes
from roofline.validate.evidence.cells import number_of
from roofline.validate.evidence.forms import Source, read_source
from roofline.validate.evidence.published import IN_FLIGHT
from roofline.validate.evidence.readers import evidence_of

if TYPE_CHECKING:
    from roofline.spec import Platform
    from roofline.workload import Workload

COLUMNS = ("machine", "network", "datatype", "fps")
"""What a table of figures has to have; `OPTIONAL` and mode where they are known."""
OPTIONAL = ("batch", "runtime")
"""What it may have; mode is none of these, since a column model beside it is no misspelling."""


def read_effects(path: Path, platforms: Sequence[Platform]) -> dict[str, Effect]:
    """Return what the figures of a table say of each machine.

    Args:
        path: A CSV with `COLUMNS`: the machine by its key, the network by a shipped name or the path of a model, and
            its rate in items per second; or records: a store, its export, or what ``validate`` wrote.
        platforms: The machines that are asked about; rows of others are left aside.

    Raises:
        TableError: A column is missing, a rate is no number above zero, or a run stands there twice.
        OptionError: No row is of one of the machines, or published runs say nothing of its class.
    """
    source = read_source(path)
    if source.form.recorded:
        return _recorded(source, platforms)
    table = with_columns(source.table, str(path), "table of figures", COLUMNS, optional=OPTIONAL)
    found: dict[str, list[tuple[Facts, float]]] = {}
    seen: dict[tuple[str, ...], int] = {}
    keys = {machine.key: machine for machine in platforms}
    for place, row in enumerate(table.rows, 1):
        where = f"{path} row {place}"
        run = tuple(row.get(x, "") for x in (*COLUMNS[:3], *OPTIONAL, "mode"))
        if run in seen:
            raise TableError(
                f"{where} is the same run as row {seen[run]}", repair="Keep one of the two"
            )
        seen[run] = place
        machine = keys.get(row["machine"])
        if machine is not None:
            found.setdefault(machine.key, []).append(_figure(row, where, machine))
    return _effects(found, path, keys)


def _effects(
    found: Mapping[str, Sequence[tuple[Facts, float]]], path: Path, keys: Iterable[str]
) -> dict[str, Effect]:
    if not found:
        raise OptionError(
            f"{path} has no figure of {', '.join(keys)}",
            repair="Name the machine in the column machine by its key",
        )
    return {key: machine_effect(figures) for key, figures in found.items()}


def _recorded(source: Source, platforms: Sequence[Platform]) -> dict[str, Effect]:
    """Return what the runs of a file of records say; a runtime that nobody published is taken as the usual one."""
    evidence = evidence_of(source, machines=platforms)
    keys = {machine.key: machine for machine in platforms}
    known = published_runtimes()
    figures: dict[str, list[tuple[Facts, float]]] = {}
    for place, (row, placed) in enumerate(zip(evidence.rows, evidence.placed, strict=True), 1):
        machine = keys.get(row["machine"])
        if machine is None:
            continue
        figure = _at(
            machine, placed.workload, row["datatype"], int(row["batch"]), float(row["fps"]),
            f"{source.path} run {place}", runtime=row["runtime"] if row["runtime"] in known else None,
        )  # fmt: skip
        figures.setdefault(machine.key, []).append(figure)
    return _effects(figures, source.path, keys)


def _figure(row: dict[str, str], where: str, machine: Platform) -> tuple[Facts, float]:
    fps, batch = number_of(row, "fps", where), number_of(row, "batch", where, 1)
    return _at(
        machine, roofline.load(row["network"]), row["datatype"], int(batch), fps, where,
        runtime=row.get("runtime") or None, in_flight=row.get("mode", "") in IN_FLIGHT,
    )  # fmt: skip


def _at(
    machine: Platform,
    network: Workload,
    datatype: str,
    batch: int,
    fps: float,
    where: str,
    *,
    runtime: str | None,
    in_flight: bool = False,
) -> tuple[Facts, float]:
    """Return a rate with the facts of its run.

    Raises:
        OptionError: Published runs say nothing of such machines.
        TableError: The rate is far above what the machine's peak allows.
    """
    run = deployment(machine, runtime)
    if run is None:
        raise OptionError(
            f"published runs say nothing of machines like {machine.key}, so no figure corrects it",
            repair=f"Use {MODEL.at('equation1')}",
        )
    unit, _ = choose_unit(machine, datatype)
    facts = facts_of(
        at_precision(network, datatype), machine, machine_class=run.machine_class, runtime=run.runtime,
        datatype=datatype, unit=unit, batch=batch, cores=run.cores, in_flight=in_flight,
    )  # fmt: skip
    bound = facts.numbers["peak"][0] / (2 * facts.numbers["macs"][0])
    if fps > 3 * bound:
        raise TableError(
            f"{where}: {fps:g} fps is {fps / bound:.3g} times what the peak of {machine.key} allows",
            repair="Give frames per second, and check the datatype",
        )
    return facts, fps
