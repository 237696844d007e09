"""Figures of a machine, a few measured or published rates, that correct what is expected of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import roofline
from roofline.errors import OptionError, TableError
from roofline.model._case import choose_unit
from roofline.model._network_facts import facts_of
from roofline.model._request import at_precision
from roofline.model._time_law import Effect, Facts
from roofline.model.expected import how, machine_effect
from roofline.reading import read_csv, read_text
from roofline.surfaces import MODEL
from roofline.validate.evidence.cells import number_of
from roofline.validate.evidence.published import IN_FLIGHT

if TYPE_CHECKING:
    from roofline.spec import Platform

COLUMNS = ("machine", "network", "datatype", "fps")
"""What a table of figures has to have; batch, runtime and mode where they are known."""


def read_effects(path: Path, platforms: Sequence[Platform]) -> dict[str, Effect]:
    """Return what the figures of a table say of each machine.

    Args:
        path: A CSV with `COLUMNS`: the machine by its key, the network by a shipped name or the path of a model, and
            its rate in items per second.
        platforms: The machines that are asked about; rows of others are left aside.

    Raises:
        TableError: A column is missing, a rate is no number above zero, or a run stands there twice.
        OptionError: No row is of one of the machines, or published runs say nothing of its class.
    """
    table = read_csv(read_text(path, "table of figures"), str(path))
    missing = [name for name in COLUMNS if name not in table.header]
    if missing:
        raise TableError(
            f"{path} has no column {', '.join(missing)}",
            repair=f"A table of figures has the columns {', '.join(COLUMNS)}",
        )
    found: dict[str, list[tuple[Facts, float]]] = {}
    seen: dict[tuple[str, ...], int] = {}
    keys = {machine.key: machine for machine in platforms}
    for place, row in enumerate(table.rows, 1):
        where = f"{path} row {place}"
        run = tuple(row.get(x, "") for x in (*COLUMNS[:3], "batch", "runtime", "mode"))
        if run in seen:
            raise TableError(
                f"{where} is the same run as row {seen[run]}", repair="Keep one of the two"
            )
        seen[run] = place
        machine = keys.get(row["machine"])
        if machine is not None:
            found.setdefault(machine.key, []).append(_figure(row, where, machine))
    if not found:
        raise OptionError(
            f"{path} has no figure of {', '.join(keys)}",
            repair="Name the machine in the column machine by its key",
        )
    return {key: machine_effect(figures) for key, figures in found.items()}


def _figure(row: dict[str, str], where: str, machine: Platform) -> tuple[Facts, float]:
    fps, batch = number_of(row, "fps", where), number_of(row, "batch", where, 1)
    run = how(machine, row.get("runtime") or None)
    if run is None:
        raise OptionError(
            f"published runs say nothing of machines like {machine.key}, so no figure corrects it",
            repair=f"Use {MODEL.at('equation1')}",
        )
    name, runtime, _, cores = run
    workload = at_precision(roofline.load(row["network"]), row["datatype"])
    unit, _ = choose_unit(machine, row["datatype"])
    facts = facts_of(
        workload, machine, machine_class=name, runtime=runtime, datatype=row["datatype"], unit=unit,
        batch=int(batch), cores=cores, in_flight=row.get("mode", "") in IN_FLIGHT,
    )  # fmt: skip
    bound = facts.numbers["peak"][0] / (2 * facts.numbers["macs"][0])
    if fps > 3 * bound:
        raise TableError(
            f"{where}: {fps:g} fps is {fps / bound:.3g} times what the peak of {machine.key} allows",
            repair="Give frames per second, and check the datatype",
        )
    return facts, fps
