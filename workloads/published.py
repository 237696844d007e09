"""The papers' own figures as tables: requirements, accuracies, predictions, measured runs, memory.

Each table is a CSV file beside this module with a source in every row; a ``flag`` says why a row is doubtful and
should stay out of fits (``power_flag``: its power only).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from roofline.errors import TableError, check_known
from roofline.reading import read_csv

TABLES: Mapping[str, str] = MappingProxyType(
    {
        "dlas_achieved": "DLAS: share of the expected speed-up that was measured, by device and technique",
        "dlas_expected": "DLAS: expected speed-up of each technique",
        "dlas_observations": "DLAS: the thirteen observations, paraphrased",
        "qutibench_accuracy": "QuTiBench Table 3: accuracy of each variant",
        "qutibench_measured": "QuTiBench: best throughput, latency and power of each measured configuration",
        "qutibench_overview": "QuTiBench Table 5: the configurations that were planned",
        "qutibench_platforms": "QuTiBench Table 2: peaks, bandwidth, capacity and power of the machines",
        "qutibench_predictions": "QuTiBench: throughput that Equation 1 predicts",
        "qutibench_requirements": "QuTiBench Table 4: operations, model size and intensity",
        "qutibench_statements": "QuTiBench: what the text concludes from the measurements, paraphrased",
        "turner_memory": "Turner et al. Tables IV and VI: memory of the compressed networks",
        "turner_variants": "Turner et al. Tables III and V: how far each technique compresses",
    }
)
"""What each table holds, by name."""

_TEXT = frozenset(
    {
        "platform", "network", "networks", "graph", "datatype", "unit", "sweep", "sweep_values", "flag", "power_flag",
        "source", "table", "variant", "technique", "dataset", "device", "tuned", "observation", "claim", "settled_by",
        "statement", "published",
    }
)  # fmt: skip

Row = Mapping[str, Any]
"""One row: text as written, numbers as float, an empty number as None."""


@cache
def table(name: str) -> tuple[Row, ...]:
    """Return a published table.

    Args:
        name: One of `TABLES`.

    Raises:
        TableError: No table has that name, or a cell that should be a number is not one.

    Example:
        >>> table("qutibench_predictions")[0]["throughput_fps"]
        306.70927
    """
    name = check_known(name, TABLES, f"unknown published table {name!r}", error=TableError)
    text = (
        files("roofline.workloads").joinpath("tables", f"{name}.csv").read_text(encoding="utf-8")
    )
    return tuple(
        MappingProxyType({column: _cell(name, column, cell) for column, cell in row.items()})
        for row in read_csv(text, name).rows
    )


def _cell(name: str, column: str, cell: str) -> str | float | None:
    if column in _TEXT:
        return cell
    if not cell:
        return None
    try:
        return float(cell)
    except ValueError:
        raise TableError(f"table {name}: {cell!r} in column {column} is not a number") from None
