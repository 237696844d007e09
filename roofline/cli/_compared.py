"""What changes on machines between two networks, and the rows of a comparison that ``--fail-if`` looks at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from roofline.number_format import number

if TYPE_CHECKING:
    from roofline.cli._differences import Line
    from roofline.workload import Workload

PAIRED = ("throughput_fps", "latency_ms")
"""Columns of predictions that are compared: the second's as it is, the first's, and their ratio."""
SAID = ("bound", "upper_bound", "fits")


def predicted(
    networks: Sequence[Workload],
    platforms: Sequence[str],
    datatypes: Sequence[str] | None,
    batch: int | None,
    model: str | None,
) -> list[dict[str, Any]]:
    """Return what is predicted of the second of two networks, beside the first, one row for each case that both have.

    Args:
        networks: The first and the second.
        platforms: Keys or files of machines.
        datatypes: Precisions; None for the networks' own.
        batch: Items per batch; None for the networks' own.
        model: Name of a model; None for the bound and the best estimate.

    Raises:
        RooflineError: A name is not known, or no machine has a datatype.
    """
    from roofline._sweep import sweep
    from roofline.spec import platform

    machines = [platform(key) for key in dict.fromkeys(platforms)]
    before, after = (
        {
            tuple(row[name] for name in ("platform", "datatype", "batch", "model")): row
            for row in sweep(
                [network], machines, datatypes=datatypes, model=model,
                batches=None if batch is None else [batch],
            ).records()
        }
        for network in networks
    )  # fmt: skip
    return [_pair(before[case], row) for case, row in after.items() if case in before]


def _pair(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    row = {name: second[name] for name in ("platform", "datatype", "batch", "model")}
    row |= {name: second[name] for name in (*PAIRED, *SAID)}
    row |= {f"first_{name}": first[name] for name in (*PAIRED, *SAID)}
    for name in PAIRED:
        old, new = first[name], second[name]
        row[f"{name}_ratio"] = new / old if old and new is not None else None
    return row


def cells(rows: Sequence[dict[str, Any]], names: tuple[str, str]) -> list[dict[str, str | None]]:
    """Return predictions of both as rows for people."""
    return [
        {
            "platform": row["platform"], "datatype": row["datatype"], "batch": str(row["batch"]),
            "model": row["model"],
            f"{names[0]}, fps": number(row["first_throughput_fps"]),
            f"{names[1]}, fps": number(row["throughput_fps"]),
            "change": "unknown" if row["throughput_fps_ratio"] is None
            else f"{row['throughput_fps_ratio'] - 1:+.2%}",
            "bound": row["bound"] or "unknown",
        }
        for row in rows
    ]  # fmt: skip


def checked(lines: Sequence[Line], names: tuple[str, str]) -> dict[str, Any]:
    """Return all totals as one row: the second's by name, its ratio to the first, and the difference."""
    row: dict[str, Any] = {"compared": f"{names[0]} and {names[1]}"}
    for line in lines:
        row[line.quantity] = line.second
        row[f"{line.quantity}_ratio"] = line.ratio
        row[f"{line.quantity}_difference"] = line.difference
    return row
