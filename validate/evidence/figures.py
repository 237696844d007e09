"""Figures of a machine, a few measured or published rates, that correct what is expected of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from roofline.errors import OptionError, TableError
from roofline.model._evidence_runs import machine_effect
from roofline.model._expected_data import shipped_parameters
from roofline.model._law_estimates import Effect
from roofline.model._network_facts import NetworkCounts, counts_of
from roofline.model._reach import times_beyond
from roofline.model._run_facts import Facts
from roofline.model._units import choose_unit
from roofline.model.deployment import deployment, find_kin
from roofline.model.equation1 import equation1
from roofline.model.fast_convolution import FEWER
from roofline.precision import DATATYPES, DatatypeKind
from roofline.validate.evidence.by_graph import published_runtimes
from roofline.validate.evidence.evidence import RunContext
from roofline.validate.evidence.forms import Source, read_source
from roofline.validate.evidence.rate_counts import counts_at, graph_of
from roofline.validate.evidence.rates import (
    Rate,
    check_basis,
    facts_at,
    machine_of,
    read_rates,
)
from roofline.validate.evidence.readers import evidence_of

if TYPE_CHECKING:
    from roofline.spec import Platform
    from roofline.workload import Workload


CLOCKS = 1.25
"""Times what a bound allows that a figure may say: boards run above the clocks that their peaks are stated at."""


def read_effects(
    path: Path, platforms: Sequence[Platform], tell: Callable[[str], None] | None = None
) -> dict[str, Effect]:
    """Return what the figures of a table say of each machine.

    Args:
        path: A table of rates, as `read_rates` takes it: the machine by its key or another of its names, the network
            by a shipped name or the path of a model; or records: a store, its export, or what ``validate`` wrote.
        platforms: The machines that are asked about; rows of others are left aside.
        tell: Called with a line on each figure that is a little above its bound.

    Raises:
        TableError: A column is missing, a rate is no number above zero or above what Equation 1 allows, or a run
            stands there twice.
        OptionError: No row is of one of the machines, or published runs say nothing of its class.
    """
    source = read_source(path)
    if source.form.recorded:
        return _read_records(source, platforms, tell)
    keys = {machine.key: machine for machine in platforms}
    found: dict[str, list[tuple[Facts, float]]] = {}
    for rate in read_rates(source.table, str(path)):
        # A machine that nobody knows may be meant for one that was asked about: it is refused.
        machine = keys.get(machine_of(rate, platforms).key)
        if machine is not None:
            found.setdefault(machine.key, []).append(_figure(rate, machine, tell))
    return _effects(found, path, keys)


def _effects(
    found: Mapping[str, Sequence[tuple[Facts, float]]], path: Path, keys: Mapping[str, Platform]
) -> dict[str, Effect]:
    if not found:
        raise OptionError(
            f"{path} has no figure of {', '.join(keys)}",
            repair="Name the machine in the column machine by its key",
        )
    known = shipped_parameters()
    return {
        key: machine_effect(figures, known, find_kin(keys[key], known))
        for key, figures in found.items()
    }


def _read_records(
    source: Source, platforms: Sequence[Platform], tell: Callable[[str], None] | None
) -> dict[str, Effect]:
    """Return what the runs of a file of records say; a runtime that nobody published is taken as the usual one."""
    evidence = evidence_of(source, machines=platforms)
    keys = {machine.key: machine for machine in platforms}
    known = published_runtimes()
    figures: dict[str, list[tuple[Facts, float]]] = {}
    for place, (row, placed) in enumerate(zip(evidence.rows, evidence.placed, strict=True), 1):
        machine = keys.get(row["machine"])
        if machine is None:
            continue
        rate = Rate(
            f"{source.path} run {place}", machine.key, row["network"], row["datatype"], int(row["batch"]),
            float(row["fps"]), row["runtime"] if row["runtime"] in known else "", in_flight=False,
        )  # fmt: skip
        figures.setdefault(machine.key, []).append(_figure(rate, machine, tell, placed))
    return _effects(figures, source.path, keys)


def _figure(
    rate: Rate,
    machine: Platform,
    tell: Callable[[str], None] | None,
    placed: RunContext | None = None,
) -> tuple[Facts, float]:
    """Return what the law is told of a rate, and the rate; where nothing is placed, its network is looked up."""
    check_basis(rate, machine)
    graph = graph_of(rate) if placed is None else placed.workload
    counts = counts_at(rate, graph) if placed is None else counts_of(placed.workload)
    facts = facts_at(rate, counts, machine, runtime=rate.runtime or None)
    most = _most_of(rate, machine, graph, counts)
    if rate.fps > CLOCKS * most:
        raise TableError(
            f"{rate.where}: {rate.fps:g} fps is {rate.fps / most:.3g} times the most that Equation 1 allows of "
            f"{rate.network} on {machine.key} in {rate.datatype}, {most:.4g} fps",
            repair="Check the rate, its unit and the datatype; or the peak in the platform file",
        )
    if rate.fps > most and tell is not None:
        tell(
            f"{rate.where}: {rate.fps:g} fps is {rate.fps / most:.3g} times the bound of {machine.key}, {most:.4g} "
            "fps: its peak is stated for lower clocks, or one of them is wrong"
        )
    return facts, rate.fps


def _most_of(
    rate: Rate, machine: Platform, graph: Workload | None, counts: NetworkCounts
) -> float:
    """Return the items per second that Equation 1 allows of a rate's run, with what faster algorithms explain.

    Of a network whose layers alone are known, and where the bound does not hold, that of its arithmetic.
    """
    unit, run = choose_unit(machine, rate.datatype)[0], deployment(machine, rate.runtime or None)
    arithmetic = machine.peak(unit) / (2 * counts.macs)
    if graph is None or run is None:
        wide = DATATYPES[unit].kind is DatatypeKind.FLOAT and machine.kind == "cpu"
        return arithmetic * (FEWER if wide else 1.0)
    bound = equation1(graph, machine, datatype=rate.datatype, batch=rate.batch)
    least = bound.throughput_fps if bound.upper_bound else None
    return (least or arithmetic) * times_beyond(graph, machine, unit, run)
