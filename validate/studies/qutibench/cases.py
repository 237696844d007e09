"""The configurations of QuTiBench: their names, their requirements as the authors rounded them, their prediction."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from roofline.model import Prediction, equation1
from roofline.precision import DATATYPES
from roofline.spec import platform
from roofline.workload import Workload
from roofline.workloads.published import Row, table


def name_of(row: Row) -> str:
    """Return a network's name with the share of channels kept, in percent."""
    return f"{row['network']} {100 * row['keep_channels']:g} %"


def variant(row: Row) -> str:
    """Return the name of a configuration: machine, network, share kept and datatype."""
    return f"{row['platform']} {name_of(row)} {row['datatype']}"


PREDICTED: Mapping[str, Row] = {variant(row): row for row in table("qutibench_predictions")}
"""The published predictions, by configuration."""

_REQUIRED: Mapping[str, Row] = {name_of(row): row for row in table("qutibench_requirements")}


@cache
def workload(name: str, datatype: str) -> Workload:
    """Return a network as the authors' own rounded operations and intensity describe it."""
    row = _REQUIRED[name]
    ops = 1e9 * row["ops_used_gop"]
    return Workload.from_table(
        name,
        ops=ops,
        weights=ops / row["intensity_int8"],
        bits=DATATYPES[datatype].bits,
        source=row["source"],
    )


def predict_row(row: Row) -> Prediction:
    """Predict a configuration with Equation 1 at batch 1, from the authors' own rounded requirements."""
    datatype = row["datatype"]
    work = workload(name_of(row), datatype)
    # The paper reads all weights again for every inference, also where they stay on the chip.
    return equation1(
        work, platform(row["platform"]), datatype=datatype, traffic="weights", emulate=True
    )


def measured_rows(**wanted: Any) -> list[Row]:
    """Return the measured configurations whose columns have the values given.

    A platform without a mode matches all its modes.
    """
    return [
        row
        for row in table("qutibench_measured")
        if all(
            row[column] == value or (column == "platform" and row[column].startswith(f"{value}:"))
            for column, value in wanted.items()
        )
    ]
