"""Evidence from a CSV of published runs: one row per run, counts of the network and roofs of the machine in it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from roofline.errors import TableError
from roofline.model._core import Floats
from roofline.model._network_facts import held_bytes, streamed
from roofline.model._time_law import Facts
from roofline.reading import CsvTable, read_csv, read_text
from roofline.spec import canonical, platform
from roofline.validate.evidence.evidence import Chosen, Evidence, names

COLUMNS = (
    "machine", "machine_class", "peak_op_s", "bandwidth_b_s", "runtime", "network", "datatype", "batch",
    "fps", "gmacs", "params_m", "activation_elements_m",
)  # fmt: skip
"""What a table of published runs has to have."""

IN_FLIGHT = frozenset({"throughput", "offline", "multi"})
"""Modes in which several runs are in flight, so that a run's latency is not batch over rate."""

BYTES = {
    "fp32": (4, 4),
    "tf32": (4, 4),
    "fp16": (2, 2),
    "bf16": (2, 2),
    "int8": (1, 1),
    "fp8": (1, 1),
    "w8a16": (1, 2),
    "int4": (0.5, 0.5),
    "fp4": (0.5, 0.5),
}
"""Bytes of a weight and of an activation, where a table does not say."""


def read_published(path: Path) -> Evidence:
    """Read published runs.

    The columns are `COLUMNS`, and where known key, silicon, cores, mode, family, depthwise_mac_share,
    grouped_mac_share, attention_mac_share, weight_bytes_per_element, activation_bytes_per_element, held_bytes (weights
    that stay on the chip; by default those of the machine's platform file), activations_imputed (``True`` where the
    table guesses them) and source.

    Args:
        path: A CSV file.

    Raises:
        TableError: A column is missing, a number is not one or not above zero, or a run is given twice with
            different results.
    """
    text = read_text(path, "table of evidence")
    table = read_csv(text, str(path))
    missing = [name for name in COLUMNS if name not in table.header]
    if missing:
        raise TableError(
            f"{path} has no column {', '.join(missing)}",
            repair=f"A table of evidence has the columns {', '.join(COLUMNS)}",
        )
    if not table.rows:
        raise TableError(f"{path} has no runs", repair="Give one row per run")
    return _evidence(table, str(path), hashlib.sha256(text.encode()).hexdigest())


ALIKE = 0.02
"""Logarithm within which multiply-accumulates and parameters are those of one network."""


def counted_elsewhere(columns: dict[str, list[float]], guessed: Chosen) -> Floats:
    """Return the activations of each run: where its table guesses, those of a run of the same counts that does not.

    Args:
        columns: Multiply-accumulates, parameters and activations of each run.
        guessed: Which runs' activations are not counted.
    """
    macs, parameters, found = (
        np.asarray(columns[name]) for name in ("macs", "parameters", "activations")
    )
    known = np.flatnonzero(~guessed)
    counts = np.log(np.stack([macs, parameters], 1))
    unlike, place = np.unique(counts[guessed], axis=0, return_inverse=True)
    said = np.full(len(unlike), np.nan)
    for i, pair in enumerate(unlike):
        same = known[(np.abs(counts[known] - pair) < ALIKE).all(1)]
        if len(same):
            said[i] = np.median(found[same])
    better = said[place.ravel()]
    found[guessed] = np.where(np.isfinite(better), better, found[guessed])
    return found


def machine_of(row: dict[str, str]) -> str:
    """Return the key of a run's machine: that of its platform file where the table of aliases knows one."""
    own = row.get("key") or row["machine"]
    for name in (own, row["machine"]):
        alias = canonical(name)
        if alias is not None and alias.units == 1:
            return alias.platform
    return own


@cache
def _held(machine: str) -> float:
    """Return the bytes of weights that a machine keeps on the chip, by its platform file; 0 where there is none."""
    return held_bytes(platform(machine)) if canonical(machine) else 0.0


def _evidence(table: CsvTable, where: str, sha256: str) -> Evidence:
    rows = table.rows

    def text(column: str, other: Callable[[dict[str, str]], str] = lambda _: "") -> list[str]:
        return [row.get(column) or other(row) for row in rows]

    def number(column: str, default: float | None = None, *, above: bool = True) -> list[float]:
        found: list[float] = []
        for place, row in enumerate(rows, 1):
            cell = row.get(column, "")
            try:
                value = default if not cell and default is not None else float(cell)
            except ValueError:
                value = math.nan
            allowed = value > 0 if above else value >= 0
            if not math.isfinite(value) or not allowed:
                raise TableError(
                    f"{where} row {place}: {column} is {cell!r}",
                    repair=f"Give a number {'above zero' if above else 'of zero or more'}",
                )
            found.append(value)
        return found

    datatypes = text("datatype")
    own = [BYTES.get(name, (1, 1)) for name in datatypes]
    weight, activation = (
        [
            width[side] if not row.get(column) else value
            for width, row, value in zip(own, rows, number(column, 1.0), strict=True)
        ]
        for side, column in enumerate(("weight_bytes_per_element", "activation_bytes_per_element"))
    )
    columns = {
        "peak": number("peak_op_s"),
        "bandwidth": number("bandwidth_b_s"),
        "cores": number("cores", 1.0),
        "batch": number("batch"),
        "macs": [1e9 * value for value in number("gmacs")],
        "parameters": [1e6 * value for value in number("params_m")],
        "activations": [1e6 * value for value in number("activation_elements_m")],
        "depthwise": number("depthwise_mac_share", 0.0, above=False),
        "grouped": number("grouped_mac_share", 0.0, above=False),
        "attention": number("attention_mac_share", 0.0, above=False),
        "weight_bytes": weight,
        "activation_bytes": activation,
        "throughput": [1.0 if mode in IN_FLIGHT else 0.0 for mode in text("mode")],
    }
    guessed = np.asarray([row.get("activations_imputed") == "True" for row in rows])
    columns["activations"] = list(counted_elsewhere(columns, guessed))
    machines = [machine_of(row) for row in rows]
    columns["held"] = [
        held if row.get("held_bytes") else _held(machine)
        for row, held, machine in zip(
            rows, number("held_bytes", 0.0, above=False), machines, strict=True
        )
    ]
    columns["batch"] = [
        streamed(batch, parameters * width, held)
        for batch, parameters, width, held in zip(
            columns["batch"], columns["parameters"], weight, columns["held"], strict=True
        )
    ]
    return Evidence(
        Facts(
            names(machines), names(text("machine_class")), names(text("runtime")), names(datatypes),
            {name: np.asarray(values, np.float64) for name, values in columns.items()},
        ),
        names(text("network")),
        names(text("family", lambda row: row["network"])),
        names(text("silicon", lambda row: row["machine"])),
        names(text("source")),
        np.asarray(number("fps"), np.float64),
        sha256,
        rows,
    )  # fmt: skip
