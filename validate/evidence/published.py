"""Evidence from a CSV of published runs: one row per run, counts of the network and roofs of the machine in it."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from roofline.errors import TableError, did_you_mean
from roofline.model._core import Floats
from roofline.model._layer_groups import ELEMENTS, LayerGroups, groups_of
from roofline.model._network_facts import held_bytes, items_under_way, origin
from roofline.model._run_facts import FAMILIES, Facts
from roofline.model._run_features import YEAR
from roofline.reading import CsvTable, decode, read_bytes, read_csv
from roofline.spec import Platform, find_alias, platform
from roofline.tables import with_columns
from roofline.validate.evidence.cells import Cells, optional_number
from roofline.validate.evidence.corrections import is_miscounted, scale_peaks
from roofline.validate.evidence.evidence import Evidence, Mask, names
from roofline.validate.evidence.named_layers import layers_of

COLUMNS = (
    "machine", "machine_class", "peak_op_s", "bandwidth_b_s", "runtime", "network", "datatype", "batch",
    "fps", "gmacs", "params_m", "activation_elements_m",
)  # fmt: skip
"""What a table of published runs has to have."""

IN_FLIGHT = frozenset({"throughput", "offline", "multi"})
"""Modes in which several runs are in flight, so that a run's latency is not batch over rate."""

_MODES = IN_FLIGHT | {"", "single", "single-stream", "singlestream", "latency", "batch"}
_THREADS = re.compile(r"\d+t")
"""As published tables write on how many threads one batch behind another ran."""

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

    A run alone on a machine that runs several side by side is given its share of the peak. The columns are `COLUMNS`,
    and where known key, silicon, cores, mode, family, depthwise_mac_share,
    grouped_mac_share, attention_mac_share, weight_bytes_per_element, activation_bytes_per_element, held_bytes (weights
    that stay on the chip; by default those of the machine's platform file), params_imputed and activations_imputed
    (``True`` where the table guesses them), input_size (``224x224x3``, by which better is guessed) and source. A
    network that `named_layers` knows, by its name and counts, comes with its layers.

    Args:
        path: A CSV file.

    Raises:
        TableError: A column is missing, a number is not one, not above zero or of another unit, or a run is given
            twice.
    """
    content = read_bytes(path, "table of evidence")
    table = read_csv(decode(content, path), str(path))
    return published_runs(table, str(path), hashlib.sha256(content).hexdigest())


def published_runs(table: CsvTable, where: str, sha256: str) -> Evidence:
    """Return the runs of a table that was read; the same as `read_published` of its path.

    Args:
        table: One row per run.
        where: What to call it in messages: the file's path.
        sha256: Digest of the file.

    Raises:
        TableError: As `read_published`.
    """
    with_columns(table, where, "table of evidence", COLUMNS)
    if not table.rows:
        raise TableError(f"{where} has no runs", repair="Give one row per run")
    _each_once(table, where)
    kept = tuple(row for row in table.rows if not is_miscounted(row))
    return _evidence(CsvTable(table.header, kept), where, sha256)


RUN = (
    "machine", "key", "runtime", "mode", "network", "input_size", "datatype", "batch", "cores", "peak_op_s", "source",
)  # fmt: skip
"""Columns that tell runs apart, beside the counts of their networks."""

MOST_OF_PEAK = 50.0
"""Rate of arithmetic over the stated peak beyond which one of the numbers has another unit than its column; published
tables, whose counts and peaks do not always belong together, reach 25."""


def _each_once(table: CsvTable, where: str) -> None:
    """Check that no run is given twice, and that rates, counts and peaks are of one order.

    Raises:
        TableError: Two rows are one run, a class is not known, a batch is no whole number, or a number has another
            unit than its column.
    """
    seen: dict[tuple[str, ...], int] = {}
    columns = (*(name for name in RUN if name in table.header), "gmacs", "params_m")
    for place, row in enumerate(table.rows, 1):
        run = tuple(row[name] for name in columns)
        if run in seen:
            raise TableError(
                f"{where} row {place} is the same run as row {seen[run]}",
                repair="Keep one of the two",
            )
        seen[run] = place
        is_in_flight(row, f"{where} row {place}")
        # A class of machines that nothing is published of is judged as one without a basis; a misspelt one is not.
        near = did_you_mean(row["machine_class"], FAMILIES)
        if row["machine_class"] not in FAMILIES and near:
            raise TableError(
                f"{where} row {place}: unknown machine_class {row['machine_class']!r}", repair=near
            )
        if optional_number(row, "batch", 1.0) % 1:
            raise TableError(
                f"{where} row {place}: batch is {row['batch']!r}",
                repair="Give a whole number of items",
            )
        fps, giga, peak = (optional_number(row, name) for name in ("fps", "gmacs", "peak_op_s"))
        attained = 2e9 * giga * fps
        if MOST_OF_PEAK * peak < attained < math.inf:
            raise TableError(
                f"{where} row {place}: {fps:g} fps of {giga:g} GMAC are {attained / peak:.3g} times "
                f"what peak_op_s {peak:g} allows",
                repair="Give frames per second, 1e9 multiply-accumulates and operations per second",
            )


ALIKE = 0.02
"""Logarithm within which multiply-accumulates and parameters are those of one network."""


def look_up_activations(columns: dict[str, list[float]], mask: Mask) -> Floats:
    """Return the activations of each run: where its table guesses, those of a run of the same counts that does not.

    Args:
        columns: Multiply-accumulates, parameters and activations of each run.
        mask: Which runs' activations are not counted.
    """
    macs, parameters, found = (
        np.asarray(columns[name]) for name in ("macs", "parameters", "activations")
    )
    known = np.flatnonzero(~mask)
    counts = np.log(np.stack([macs, parameters], 1))
    unlike, place = np.unique(counts[mask], axis=0, return_inverse=True)
    medians = np.full(len(unlike), np.nan)
    for i, pair in enumerate(unlike):
        same = known[(np.abs(counts[known] - pair) < ALIKE).all(1)]
        if len(same):
            medians[i] = np.median(found[same])
    better = medians[place.ravel()]
    found[mask] = np.where(np.isfinite(better), better, found[mask])
    return found


ACTIVATIONS = (1.8998, 0.8090, -0.2950, 0.2293, 0.1642, -0.4446, 0.0883, 0.3747, -0.2332, 0.3924)
"""Coefficients of `guess_activations`, fitted by ridge to the networks whose activations and input size the evidence
states (timm's) by `benchmarks/guess_activations.py`: half of them are within a factor of 1.28, nine of ten of 1.96."""


def guess_activations(columns: Mapping[str, Sequence[float] | Floats], pixels: Floats) -> Floats:
    """Return the activations of networks whose input is so large; NaN where it is not known.

    Args:
        columns: Multiply-accumulates, parameters and kinds of arithmetic of each run.
        pixels: Height times width of the input of each.
    """
    return 1e6 * np.exp(activation_features(columns, pixels) @ np.asarray(ACTIVATIONS))


def activation_features(columns: Mapping[str, Sequence[float] | Floats], pixels: Floats) -> Floats:
    """Return what a guess of activations is told of each run: (runs, coefficients)."""
    macs, parameters, depthwise, grouped, attention = (
        np.asarray(columns[name], np.float64)
        for name in ("macs", "parameters", "depthwise", "grouped", "attention")
    )
    m, p, x = np.log(macs / 1e9), np.log(parameters / 1e6), np.log(pixels / 5e4)
    return np.stack(
        [np.ones_like(m), m, depthwise, grouped, attention, depthwise * (m - x), attention * (m - x), x, p,
         depthwise * p], 1,
    )  # fmt: skip


def pixels_of(size: str) -> float:
    """Return height times width of an input: ``224``, ``224x224``, ``224*224*3``; NaN where it is not told."""
    numbers = [int(x) for x in re.findall(r"\d+", size)]
    if len(numbers) == 3:
        numbers = numbers[1:] if numbers[0] <= MOST_CHANNELS < numbers[2] else numbers[:2]
    if not 1 <= len(numbers) <= 2 or not all(numbers):
        return math.nan
    return float(numbers[0] * numbers[-1])


MOST_CHANNELS = 16
"""A first number of three that is no larger is of channels, where the last is."""

HALF = frozenset(
    ["A55", "A65", "A75", "A76", "A77", "A78", "A510", "A520", "A710", "A715", "A720", "A725",
     "X1", "X2", "X3", "X4", "X925"]
)  # fmt: skip
"""Arm's cores of Armv8.2-A and later, which compute in half precision (each core's technical reference manual)."""


def origin_of(row: dict[str, str], machine: Platform | None) -> dict[str, float]:
    """Return what is known of the make of a run's machine: by its platform file, else by its name."""
    name = row.get("machine_class", "")
    if machine is not None:
        return origin(machine, name)
    cores = set(re.findall(r"Cortex.?([AX]\d+)", row["machine"]))
    return {"half": float(name == "cpu_mobile" and bool(cores & HALF)), "phone": 0.0, "year": YEAR}


def is_in_flight(row: Mapping[str, str], where: str) -> bool:
    """Return whether a row says that several of its runs are in flight.

    Raises:
        TableError: Its mode is not known.
    """
    mode = row.get("mode", "").strip().casefold()
    if mode not in _MODES and not _THREADS.fullmatch(mode):
        known = sorted(_MODES - {""})
        raise TableError(
            f"{where}: unknown mode {row['mode'].strip()!r}",
            repair=did_you_mean(mode, known)
            or f"Use one of: {', '.join(known)}; or leave it empty",
        )
    return mode in IN_FLIGHT


def share_peak(row: dict[str, str], peak: float, machine: Platform | None) -> float:
    """Return the peak that a run has: of a machine that runs several side by side, alone its share of the whole."""
    if machine is None or machine.lanes == 1 or row.get("mode", "") in IN_FLIGHT:
        return peak
    whole = [found.base for found in machine.peaks.values()]
    return (
        peak / machine.lanes if any(math.isclose(peak, x, rel_tol=0.02) for x in whole) else peak
    )


THROUGH = {("paddleclas", "trt"): "paddle-trt"}
"""What a source calls a runtime that ran inside another: PaddleClas's TensorRT is a part of Paddle Inference."""


def runtime_of(row: Mapping[str, str]) -> str:
    """Return what a row ran on."""
    return THROUGH.get((row.get("source", ""), row["runtime"]), row["runtime"])


def machine_of(row: dict[str, str]) -> str:
    """Return the key of a run's machine: that of its platform file where the table of aliases knows one."""
    own = row.get("key") or row["machine"]
    for name in (own, row["machine"]):
        alias = find_alias(name)
        if alias is not None and alias.units == 1:
            return alias.platform
    return own


@cache
def _platform(machine: str) -> Platform | None:
    """Return the platform of a machine; None where there is no file of it."""
    return platform(machine) if find_alias(machine) else None


@cache
def _weights_on_chip(machine: str, attention: float) -> float:
    """Return the bytes of weights that a machine keeps on the chip, by its platform file; 0 where there is none."""
    found = _platform(machine)
    return 0.0 if found is None else held_bytes(found, attention)


def _evidence(table: CsvTable, where: str, sha256: str) -> Evidence:
    cells = Cells(table.rows, where)
    machines = [machine_of(row) for row in cells.rows]
    counts = _count_columns(cells)
    layers = _layers(cells, counts)
    columns = _add_machine_columns(cells, machines, counts)
    return Evidence(
        Facts(
            names(machines), names(cells.words("machine_class")), names([runtime_of(row) for row in cells.rows]),
            names(cells.words("datatype")),
            {name: np.asarray(values, np.float64) for name, values in columns.items()},
            layers,
        ),
        names(cells.words("network")),
        names([row.get("family") or row["network"] for row in cells.rows]),
        names([row.get("silicon") or row["machine"] for row in cells.rows]),
        names(cells.words("source")),
        np.asarray(cells.numbers("fps"), np.float64),
        sha256,
        cells.rows,
    )  # fmt: skip


def _count_columns(cells: Cells) -> dict[str, list[float]]:
    """Return what the table says of networks, machines and how they were run."""
    rows, number = cells.rows, cells.numbers
    own = [BYTES.get(name, (1, 1)) for name in cells.words("datatype")]
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
        "throughput": [1.0 if mode in IN_FLIGHT else 0.0 for mode in cells.words("mode")],
    }
    unsure = np.asarray([row.get("activations_imputed") == "True" for row in rows])
    better = guess_activations(
        columns, np.asarray([pixels_of(row.get("input_size", "")) for row in rows])
    )
    stated = np.asarray(columns["activations"])
    columns["activations"] = list(np.where(unsure & np.isfinite(better), better, stated))
    columns["activations"] = list(look_up_activations(columns, unsure))
    return columns


def _layers(cells: Cells, counts: dict[str, list[float]]) -> LayerGroups:
    """Return the layers of each run's network where they are known, relative to what the table states."""
    groups: list[Floats | None] = []
    for place, row in enumerate(cells.rows):
        guess = row.get("params_imputed") == "True"
        found = layers_of(
            row["network"], counts["macs"][place], None if guess else counts["parameters"][place],
            pixels_of(row.get("input_size", "")),
        )  # fmt: skip
        if found is None:
            groups.append(None)
            continue
        own = found[0].copy()
        own[:, ELEMENTS] *= found[1] / counts["activations"][place]
        groups.append(own)
    return groups_of(groups)


def _add_machine_columns(
    cells: Cells, machines: Sequence[str], columns: Mapping[str, list[float]]
) -> dict[str, list[float]]:
    """Return the columns with what the platform files of the machines add: make, share of the peak, weights held."""
    rows, found = cells.rows, dict(columns)
    files = [_platform(name) for name in machines]
    made = [origin_of(row, file) for row, file in zip(rows, files, strict=True)]
    found |= {name: [entry[name] for entry in made] for name in ("half", "phone", "year")}
    found["peak"] = [
        share_peak(row, peak, file)
        for row, peak, file in zip(
            rows, scale_peaks(rows, files, found["peak"]), files, strict=True
        )
    ]
    found["held"] = [
        held if row.get("held_bytes") else _weights_on_chip(machine, attention)
        for row, held, machine, attention in zip(
            rows,
            cells.numbers("held_bytes", 0.0, above=False),
            machines,
            columns["attention"],
            strict=True,
        )
    ]
    found["batch"] = [
        float(items_under_way(batch, parameters * width, held))
        for batch, parameters, width, held in zip(
            found["batch"], found["parameters"], found["weight_bytes"], found["held"], strict=True
        )
    ]
    return found
