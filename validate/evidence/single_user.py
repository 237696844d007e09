"""One user on one machine: tokens per second of decoders from the data sheet, fitted to published runs.

A token's time is the weights it reads by the data sheet's bandwidth, over a share that the class of machines and the
format of the weights reach, and a floor per step, larger behind a small host. A prompt's time per token is its
arithmetic by the fp16 peak, over a share. Machines behind one another (llama.cpp) hold layers in series: their
bandwidths do not add up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np

from roofline.errors import RooflineError
from roofline.model.sum_law import Floats, Prior, Runs
from roofline.spec import Platform, platform
from roofline.validate.evidence.cells import optional_number

COLUMNS = frozenset({"weight_gb", "bandwidth_gb_s", "phase", "machine", "model"})
"""By which such a table is known."""

PRIORS: Mapping[str, Mapping[str, Prior]] = {
    "decode": {
        "work": Prior(np.log(1 / 0.7), 0.5, 0.3),
        "floor": Prior(np.log(2e-3), 1.5, 0.7),
        "host": Prior(np.log(3e-3), 1.0, 0.3),
    },
    "prefill": {
        "work": Prior(np.log(1 / 0.35), 0.7, 0.3),
        "floor": Prior(np.log(1e-5), 2.0, 0.5),
        "host": Prior(np.log(1e-4), 1.0, 0.3),
    },
}

_ACTIVE = {"gpt-oss-20b": 3.61 / 20.91, "gpt-oss-120b": 5.13 / 116.83}
"""Share of the parameters that a token reads: OpenAI, gpt-oss model card, 2025 (arXiv:2508.10925), Table 1."""

_SMALL_HOST = re.compile(r"\b(Pi|CM5|HiFive|Radxa|Orange|Rock)\b", re.IGNORECASE)
_HBM = 1100.0
"""GB/s above which a data-centre card has stacked memory; below, it is built as a graphics card."""


def kind_of(row: Mapping[str, str]) -> str:
    """Return the class that a machine is fitted with."""
    name = row.get("machine_class", "")
    if name == "gpu_dc" and optional_number(row, "bandwidth_gb_s") < _HBM:
        return "gpu_nvidia"
    return name or "other"


def phase_of(row: Mapping[str, str]) -> str | None:
    """Return the phase of a row that has a basis; None for others."""
    phase = row.get("phase", "")
    needed = {
        "decode": ("weight_gb", "bandwidth_gb_s"),
        "prefill": ("parameters_b", "fp16_peak_op_s"),
    }.get(phase)
    if needed is None or any(not optional_number(row, name) > 0 for name in needed):
        return None
    return phase


def runs_of(rows: Sequence[Mapping[str, str]], phase: str) -> Runs:
    """Return what the law of a phase needs of rows that have a basis."""
    active = np.array([_ACTIVE.get(row.get("model", ""), 1.0) for row in rows])
    if phase == "decode":
        weights = np.array([optional_number(row, "weight_gb") for row in rows]) * 1e9 * active
        work = weights / np.array([_bandwidth(row) for row in rows])
    else:
        parameters = (
            np.array([optional_number(row, "parameters_b") for row in rows]) * 1e9 * active
        )
        work = 2 * parameters / np.array([_peak(row) for row in rows])
    card = np.array(["gpu" in kind_of(row) for row in rows])
    small = np.array([bool(_SMALL_HOST.search(row.get("host", ""))) for row in rows])
    fraction = np.array([row.get("weight_format", "") == "F16" for row in rows])
    return Runs(
        {"work": work, "floor": np.ones(len(rows)), "host": (card & small).astype(np.float64)},
        {
            "class": np.array([kind_of(row) for row in rows]),
            "format": np.where(fraction, "16 bit", "packed"),
        },
    )


def _bandwidth(row: Mapping[str, str]) -> float:
    """Return B/s: of the machine's platform file, by which laws are used, where one ships; else the row's own."""
    machine = _shipped(row.get("key", ""))
    return 1e9 * optional_number(row, "bandwidth_gb_s") if machine is None else machine.bandwidth


def _peak(row: Mapping[str, str]) -> float:
    """Return OP/s in fp16, likewise."""
    machine = _shipped(row.get("key", ""))
    if machine is None or not machine.has("fp16"):
        return optional_number(row, "fp16_peak_op_s")
    return machine.peak("fp16")


@cache
def _shipped(key: str) -> Platform | None:
    try:
        return platform(key) if key else None
    except RooflineError:
        return None


def log_times(rows: Sequence[Mapping[str, str]]) -> Floats:
    """Return the logarithm of the measured seconds per token; NaN where a row states none."""
    return -np.log([optional_number(row, "tokens_per_s") for row in rows])


def label_of(row: Mapping[str, str]) -> str:
    """Return the machine that is left out as one."""
    return row.get("machine", "")
