"""Joins the files a user gives to ``report`` with the roofs of the machines they name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from roofline.errors import RooflineError, TableError
from roofline.report import ReportData, load_rows
from roofline.report.data import Row
from roofline.spec import platform

PUBLISHED = "qutibench"
"""What a user writes for the data of Blott et al. 2021 instead of a file."""


def gather(data: Sequence[str], title: str) -> ReportData:
    """Read every file and look up the roofs of the machines in it.

    Raises:
        TableError: A file cannot be read, or published data are mixed with a user's own.
    """
    if PUBLISHED in data and not Path(PUBLISHED).exists():
        from roofline.reproduce.qutibench_report import qutibench_report

        if len(data) > 1:
            raise TableError(f"{PUBLISHED!r} stands for a page of its own", repair="Give it alone")
        page = qutibench_report()
        return replace(page, title=title) if title else page
    rows = tuple(row for path in data for row in load_rows(Path(path)))
    return ReportData(
        title or "Roofline report", rows, tuple(_roofs(rows)), tuple(_requirements(rows))
    )


def _roofs(rows: Sequence[Row]) -> Iterable[dict[str, Any]]:
    for key in sorted({row["platform"] for row in rows}):
        try:
            machine = platform(key)
        except RooflineError:
            # Measured tables may name machines that have no file; they are shown without a roof.
            continue
        for datatype in machine.peaks:
            yield {
                "platform": key,
                "datatype": datatype,
                "peak_op_s": machine.peak(datatype),
                "bandwidth_b_s": machine.bandwidth,
                "tdp_w": machine.tdp,
            }


def _requirements(rows: Sequence[Row]) -> Iterable[dict[str, Any]]:
    """Recover each network's operations per frame from throughput at the compute peak."""
    seen: set[tuple[Any, ...]] = set()
    for row in rows:
        identity = (row["network"], row["pruning"], row["datatype"])
        if row["intensity"] is None or row["peak_fps"] is None or identity in seen:
            continue
        try:
            peak = platform(row["platform"]).peak(row["datatype"])
        except RooflineError:
            continue
        seen.add(identity)
        yield {
            "network": row["network"],
            "pruning": row["pruning"],
            "datatype": row["datatype"],
            "ops": peak / row["peak_fps"],
            "intensity": row["intensity"],
        }
