"""Runs that people and vendors report of machines and runtimes that no published table is of.

A row names a machine, a network, and where it was read; counts are of the graph or the traced layers, and roofs of the
platform file. How such runs were made is told in less detail than by the tables of benchmarks, and by many hands. So
they say what tables do not: how another runtime, another batch or another machine differs. See
`roofline.validate.evidence.fit`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from roofline.errors import TableError
from roofline.model._network_facts import class_of, counts_of, facts_of_counts
from roofline.model._run_facts import Facts, join_facts
from roofline.model._units import choose_unit
from roofline.reading import decode, read_bytes, read_csv
from roofline.validate.evidence.evidence import Evidence, names
from roofline.validate.evidence.rate_counts import named_counts
from roofline.validate.evidence.rates import Rate, machine_of, network_of, read_rates

RUNS = Path(__file__).with_name("reported_runs.csv")
"""Machine, silicon, network, family, datatype, batch, runtime, mode, fps or latency_ms, source (where it was read),
title and date of each run that was found of a shipped network."""

NAMED_RUNS = Path(__file__).with_name("reported_named_runs.csv")
"""The same, and the input_size, of networks whose layers alone are shipped (`named_layers`)."""

REPORTED = "reported"
"""The source of such a run in the evidence."""

FIRST_YEAR = 2020
"""The fit leaves out what earlier software was measured with: today's is not as slow."""

_CORES = {"cpu": 4.0, "cpu_mobile": 4.0}
"""Cores of a run on a whole processor, as published tables state them, where the mode says no number of threads; other
classes have none."""


def is_early(row: Mapping[str, str], first_year: int = FIRST_YEAR) -> bool:
    """Return whether a row of a table of reported runs is dated before a year; one without a date is not."""
    year = row.get("date", "")[:4]
    return year.isdigit() and int(year) < first_year


def read_reported(
    paths: Sequence[Path] = (RUNS, NAMED_RUNS), *, first_year: int = FIRST_YEAR
) -> Evidence:
    """Read the runs of tables of reported ones, of machines whose class estimates are made for.

    Args:
        paths: Tables of rates with the columns silicon, family and date; where one has input_size, its networks are
            those of `named_layers`.
        first_year: Runs whose date is of an earlier one are left out; those without a date are kept.

    Raises:
        TableError: A cell is not what its column needs, or no run is left.
    """
    facts: list[Facts] = []
    kept: list[dict[str, str]] = []
    rates: list[float] = []
    digest = hashlib.sha256()
    for path in paths:
        content = read_bytes(path, "table of reported runs")
        digest.update(content)
        table = read_csv(decode(content, path), str(path))
        for row, rate in zip(table.rows, read_rates(table, str(path)), strict=True):
            found = None if is_early(row, first_year) else _facts_of(rate, row)
            if found is None:
                continue
            facts.append(found)
            machine = str(found.machine[0])
            kept.append({**row, "key": machine, "batch": str(rate.batch), "fps": repr(rate.fps)})
            rates.append(rate.fps)
    if not kept:
        raise TableError(f"{paths[0]} has no run that says something", repair="Give later ones")
    return Evidence(
        join_facts(facts), names([row["network"] for row in kept]), names([row["family"] for row in kept]),
        names([row["silicon"] for row in kept]), names([REPORTED] * len(kept)), np.asarray(rates, np.float64),
        digest.hexdigest(), tuple(kept),
    )  # fmt: skip


def _facts_of(rate: Rate, row: Mapping[str, str]) -> Facts | None:
    """Return the facts of a run; None where estimates are made for no machine of its class."""
    machine = machine_of(rate)
    machine_class = class_of(machine)
    if machine_class is None:
        return None
    counts = named_counts(rate) if "input_size" in row else counts_of(network_of(rate))
    return facts_of_counts(
        counts, machine, machine_class=machine_class, runtime=rate.runtime, datatype=rate.datatype,
        unit=choose_unit(machine, rate.datatype)[0], batch=rate.batch,
        cores=float(machine.threads or _CORES.get(machine_class, 1.0)),
        in_flight=rate.in_flight,
    )  # fmt: skip
