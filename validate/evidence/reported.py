"""Runs that people and vendors report of machines and runtimes that no published table is of.

A row of `RUNS` names a machine, a network, and where it was read; counts and roofs are of the graph and the platform
file. How such runs were made is told in less detail than by the tables of benchmarks, and by many hands. So they say
what tables do not: how another runtime, another batch or another machine differs. See `roofline.validate.evidence.fit`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from roofline.errors import TableError
from roofline.model._network_facts import class_of, facts_of
from roofline.model._run_facts import Facts, join_facts
from roofline.model._units import choose_unit
from roofline.reading import decode, read_bytes, read_csv
from roofline.validate.evidence.evidence import Evidence, names
from roofline.validate.evidence.rates import machine_of, network_of, read_rates

RUNS = Path(__file__).with_name("reported_runs.csv")
"""Machine, silicon, network, family, datatype, batch, runtime, mode, fps or latency_ms, source (where it was read),
title and date of each run that was found."""

REPORTED = "reported"
"""The source of such a run in the evidence."""

FIRST_YEAR = 2020
"""The fit leaves out what earlier software was measured with: today's is not as slow."""

_CORES = {"cpu": 4.0, "cpu_mobile": 4.0}
"""Cores of a run on a whole processor, as published tables state them; other classes have none."""


def read_reported(path: Path = RUNS, *, first_year: int = FIRST_YEAR) -> Evidence:
    """Return the runs of a table of reported ones, of machines whose class estimates are made for.

    Args:
        path: A table of rates with the columns silicon, family and date.
        first_year: Runs whose date is of an earlier one are left out; those without a date are kept.

    Raises:
        TableError: A cell is not what its column needs, or no run is left.
    """
    content = read_bytes(path, "table of reported runs")
    table = read_csv(decode(content, path), str(path))
    facts: list[Facts] = []
    kept: list[dict[str, str]] = []
    rates: list[float] = []
    for row, rate in zip(table.rows, read_rates(table, str(path)), strict=True):
        machine = machine_of(rate)
        machine_class, year = class_of(machine), row["date"][:4]
        if machine_class is None or (year.isdigit() and int(year) < first_year):
            continue
        facts.append(
            facts_of(
                network_of(rate), machine, machine_class=machine_class, runtime=rate.runtime, datatype=rate.datatype,
                unit=choose_unit(machine, rate.datatype)[0], batch=rate.batch,
                cores=_CORES.get(machine_class, 1.0), in_flight=rate.in_flight,
            )
        )  # fmt: skip
        kept.append({**row, "key": machine.key, "batch": str(rate.batch), "fps": repr(rate.fps)})
        rates.append(rate.fps)
    if not kept:
        raise TableError(f"{path} has no run that says something", repair="Give later ones")
    return Evidence(
        join_facts(facts), names([row["network"] for row in kept]), names([row["family"] for row in kept]),
        names([row["silicon"] for row in kept]), names([REPORTED] * len(kept)), np.asarray(rates, np.float64),
        hashlib.sha256(content).hexdigest(), tuple(kept),
    )  # fmt: skip
