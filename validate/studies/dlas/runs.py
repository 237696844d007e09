"""DLAS from measured runs: its observations decided, and expected speed-ups beside those achieved."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import cast

from roofline.number_format import plural
from roofline.validate.analysis.configurations import Configuration, configurations, pairs
from roofline.validate.records.record import Measurement
from roofline.validate.records.request import RunRequest
from roofline.validate.records.tuning import Tuning
from roofline.validate.studies.cells import Cell, Table
from roofline.validate.studies.dlas.verdicts import HOLDS, MOSTLY, Verdict, verdicts
from roofline.workloads.published import table
from roofline.writing import csv_text

SHIPPED = "dlas-tuned.results.csv"
"""The table of the runs that decide, beside the campaigns."""

ELSEWHERE = "dlas-tuned.ice-lake.results.csv"
"""The table of runs of the same campaign on another machine."""

IMAGENET = "dlas-imagenet.results.csv"
"""The table of the runs of networks of ImageNet's size, on the machine of those that decide."""

_ALGORITHMS = ("direct", "gemm", "spatial_pack", "winograd", "blocked", "best")
"""In the order shown: the paper's, then those of this program."""

_LONGEST = 8
"""Cases that are listed one by one in a table for the terminal."""


@cache
def shipped_runs(table: str = SHIPPED) -> tuple[Measurement, ...]:
    """Return the runs that come with the program: those of ``dlas-tuned`` that decide, or a table's; none without it.

    Example:
        >>> {run.job.network for run in shipped_runs()} >= {"resnet18_cifar10"}
        True
    """
    from roofline.validate.records.files import import_csv

    place = files("roofline.validate").joinpath("campaigns", table)
    return tuple(import_csv(place.read_text(encoding="utf-8"))) if place.is_file() else ()


def shipped_csv(runs: Iterable[Measurement]) -> str:
    """Return records as the CSV of ``roofline export``, made small.

    Samples have five digits; what is empty, and lists that no figure rests on, are left out.
    """
    rows = [{**small.to_row(), "record": _pack(small)} for small in map(_shrink, runs)]
    return csv_text(rows, () if rows else ("record",))


def _shrink(run: Measurement) -> Measurement:
    samples = tuple(float(f"{sample:.4e}") for sample in run.samples_s)
    untuned = run.untuned_kernels if run.job.tuning is Tuning.TUNED else ()
    return replace(run, samples_s=samples, untuned_kernels=untuned, kernel_times=())


def _pack(run: Measurement) -> str:
    return json.dumps(_without_empty(run.to_dict()), separators=(",", ":"))


def _without_empty(entry: Mapping[str, object]) -> dict[str, object]:
    kept = {
        name: _without_empty(cast("Mapping[str, object]", value))
        if isinstance(value, dict)
        else value
        for name, value in entry.items()
    }
    return {name: value for name, value in kept.items() if value not in (None, "", (), [], {})}


def tables(runs: Iterable[Measurement], *, shortest: bool = False) -> tuple[Table, ...]:
    """Decide every observation, and list the speed-ups behind them.

    Args:
        runs: Records of the campaign ``dlas`` or ``dlas-tuned``, or of any like it.
        shortest: Compare shortest samples instead of medians: on a machine that others use too.
    """
    found = compared_configurations(runs, shortest=shortest)
    return (observations(found), achieved_table(found))


def compared_configurations(
    runs: Iterable[Measurement], *, shortest: bool = False
) -> tuple[Configuration, ...]:
    """Return the configurations that DLAS is about: those of batch 1."""
    return tuple(entry for entry in configurations(runs, shortest=shortest) if entry.batch == 1)


def order_of_way(entry: Configuration | RunRequest) -> tuple[int, bool, bool, int]:
    """Return what sorts ways to run a network: by threads, other runtimes last, untuned before tuned, by algorithm."""
    known = entry.algorithm in _ALGORITHMS
    return (
        entry.threads,
        entry.backend != "tvm",
        entry.tuning is not Tuning.UNTUNED,
        _ALGORITHMS.index(entry.algorithm) if known else len(_ALGORITHMS),
    )


def observations(found: Sequence[Configuration]) -> Table:
    """Decide the observations."""
    cells = [
        Cell(
            f"{verdict.observation} {verdict.claim}",
            "observed",
            verdict.verdict,
            verdict.verdict in {HOLDS, MOSTLY},
            _figures(verdict),
        )
        for verdict in verdicts(found)
    ]
    rule = "more than half of the cases bear it out, however the undecided ones would fall"
    return Table("Observations, measured", tuple(cells), rule)


def _figures(verdict: Verdict) -> str:
    if verdict.without_rule:
        return verdict.rule
    remark = f" ({verdict.remark})" if verdict.remark else ""
    if not verdict.cases:
        return f"no run speaks to it{remark}"
    listed = "; ".join(case.words for case in verdict.cases[:_LONGEST])
    more = f"; and {len(verdict.cases) - _LONGEST} more" if len(verdict.cases) > _LONGEST else ""
    return f"{verdict.counts}{remark}: {listed}{more}"


def printed_range(entry: Configuration) -> tuple[float, float] | None:
    """Return the least and greatest share of the expectation that the paper prints for CPUs, in percent."""
    tuned = "yes" if entry.tuning is Tuning.TUNED else "no"
    shares = [
        row["achieved_percent"]
        for row in table("dlas_achieved")
        if row["device"] == "cpu"
        and (row["technique"], row["tuned"]) == (entry.technique, tuned)
        and row["dataset"] == ("CIFAR-10" if entry.network.endswith("_cifar10") else "ImageNet")
    ]
    return (min(shares), max(shares)) if shares else None


def achieved_table(found: Sequence[Configuration]) -> Table:
    """List what share of the expected speed-up was achieved, beside the paper's range on CPUs."""
    cells: list[Cell] = []
    for base, entry in pairs(found):
        printed = printed_range(entry)
        gain = base.seconds / entry.seconds
        share = 100 * gain / entry.expected
        row = entry.row()
        name = f"{row['network']}, {row['technique']} ({row['pruning']}, {row['datatype']}), {row['backend']}"
        marks = "; disturbed" if base.disturbed or entry.disturbed else ""
        why = (
            f"{gain:.3g}x ({base.low_s / entry.high_s:.3g} to {base.high_s / entry.low_s:.3g}) of "
            f"{entry.expected:.3g}x expected: {base.seconds * 1e3:.4g} ms dense, {entry.seconds * 1e3:.4g} ms{marks}"
        )
        shown = f"{printed[0]:g} to {printed[1]:g}" if printed else None
        within = printed is not None and printed[0] <= share <= printed[1]
        threads = plural(entry.threads, "thread")
        cells.append(Cell(f"{name}, {threads}", shown, share, within, why))
    return Table(
        "Achieved percent of it, measured",
        tuple(cells), "within the printed range over the paper's CPUs",
    )  # fmt: skip
