"""One user on one machine: tokens per second of decoders from the data sheet, fitted to published runs.

A token's time is the weights it reads by the data sheet's bandwidth, over a share that the class of machines and the
format of the weights reach, the arithmetic of vector units that unpack them, and a floor per step, larger behind a
small host. A prompt's time per token is its arithmetic by the peak of its unit, over a share, and the weights that each
piece of it reads. Machines behind one another (llama.cpp) hold layers in series: their bandwidths do not add up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from roofline.decoder_classes import STACKED, alone_class, silicon_of, unpacking_peak
from roofline.errors import RooflineError
from roofline.expected_tokens import LAYERS, PIECE
from roofline.model import choose_unit
from roofline.model.sum_law import Floats, Prior, Runs
from roofline.spec import Platform, platform
from roofline.spec.matching import find_match
from roofline.validate.evidence.cells import optional_number

COLUMNS = frozenset({"weight_gb", "phase", "machine", "model", "tokens_per_s"})
"""By which such a table is known."""
RUNS = Path(__file__).with_name("reported_tokens.csv")
"""Runs of machines that no published table is of, with where each was read."""

PRIORS: Mapping[str, Mapping[str, Prior]] = {
    "decode": {
        "work": Prior(np.log(1 / 0.7), 0.5, 0.3),
        "unpacking": Prior(np.log(2.0), 1.0, 0.3),
        # Of small decoders few classes have runs: a looser floor would take up what holds back their large ones.
        "floor": Prior(np.log(2e-3), 1.5, 0.4),
        "host": Prior(np.log(3e-3), 1.0, 0.3),
    },
    "prefill": {
        "work": Prior(np.log(1 / 0.35), 0.7, 0.3),
        "weights": Prior(np.log(1 / 0.7), 0.7, 0.3),
        "floor": Prior(np.log(1e-5), 2.0, 0.5),
        "host": Prior(np.log(1e-4), 1.0, 0.3),
    },
}

_ACTIVE = {"gpt-oss-20b": 3.61 / 20.91, "gpt-oss-120b": 5.13 / 116.83}
"""Share of the parameters that a token reads: OpenAI, gpt-oss model card, 2025 (arXiv:2508.10925), Table 1."""

_PUBLISHED_LAYERS = {
    "Llama-3-8B": 32, "Llama-3-70B": 80, "Llama-3.1-70B": 80, "Llama-3.1-405B": 126, "Llama-3.2-3B": 28,
    "Qwen2.5-14B": 48, "gpt-oss-20b": 24, "gpt-oss-120b": 36,
}  # fmt: skip
"""`num_hidden_layers` of the configurations that are published with these decoders."""
_BY_LAYERS = 8.0
"""Billions of parameters of a decoder of `LAYERS` layers."""

_READ = {"gpt-oss-20b": 2.568 / 12.095, "gpt-oss-120b": 3.564 / 63.284}
"""Share of a file's bytes that a token reads, where experts are stored narrower than the rest: as this program counts
a step of the shipped definition in `mxfp4_moe`. Of others it is the share of their parameters."""

_SMALL_HOST = re.compile(r"\b(Pi|CM5|HiFive|Radxa|Orange|Rock)\b", re.IGNORECASE)
_WHOLE = frozenset({"F16", "FP16", "BF16"})
"""Formats of weights that need no unpacking."""


def kind_of(row: Mapping[str, str]) -> str:
    """Return the class that a machine is fitted with: that of its platform file, where one ships."""
    machine = _machine(row)
    found = None if machine is None else alone_class(machine)
    if found is not None:
        return found
    name = row.get("machine_class", "")
    if name == "gpu_dc" and 1e9 * optional_number(row, "bandwidth_gb_s") < STACKED:
        return "gpu_nvidia"
    return name or "other"


def phase_of(row: Mapping[str, str]) -> str | None:
    """Return the phase of a row that has a basis; None for others."""
    phase = row.get("phase", "")
    if phase not in PRIORS or not optional_number(row, "weight_gb") > 0 or not _bandwidth(row) > 0:
        return None
    if phase == "prefill" and not (optional_number(row, "parameters_b") > 0 and _peak(row) > 0):
        return None
    return phase


def gap_of(row: Mapping[str, str]) -> str:
    """Return why a row has no basis."""
    if row.get("phase", "") not in PRIORS:
        return f"phase {row.get('phase')!r} is not one of {' and '.join(PRIORS)}"
    if not optional_number(row, "weight_gb") > 0:
        return "weight_gb is no number above zero"
    if not _bandwidth(row) > 0:
        return f"machine {row.get('machine')!r} is not known, and bandwidth_gb_s is not stated"
    return "prompts need parameters_b, and a peak of the machine"


def runs_of(rows: Sequence[Mapping[str, str]], phase: str) -> Runs:
    """Return what the law of a phase needs of rows that have a basis."""
    size = np.array([optional_number(row, "weight_gb") for row in rows]) * 1e9
    read = size / np.array([_bandwidth(row) for row in rows])
    active = np.array([_active(row) for row in rows])
    multiplied = np.nan_to_num(2e9 * active)
    if phase == "decode":
        whole_b = np.array([optional_number(row, "parameters_b") for row in rows])
        read_share = [_READ.get(row.get("model", ""), np.nan) for row in rows]
        share = np.where(np.isfinite(read_share), read_share, active / whole_b)
        unpacked = np.array([_unpacking_peak(row) for row in rows])
        terms = {
            "work": read * np.where(share > 0, share, 1.0),
            "unpacking": multiplied / unpacked,
            "floor": np.array([_layers(row) for row in rows]) / LAYERS,
        }
    else:
        terms = {
            "work": multiplied / np.array([_peak(row) for row in rows]),
            "weights": read / np.array([_piece(row) for row in rows]),
            "floor": np.ones(len(rows)),
        }
    card = np.array(["gpu" in kind_of(row) for row in rows])
    small = np.array([bool(_SMALL_HOST.search(row.get("host", ""))) for row in rows])
    whole = np.array([row.get("weight_format", "").upper() in _WHOLE for row in rows])
    return Runs(
        {**terms, "host": (card & small).astype(np.float64)},
        {
            "class": np.array([kind_of(row) for row in rows]),
            "format": np.where(whole, "16 bit", "packed"),
        },
    )


def _active(row: Mapping[str, str]) -> float:
    """Return the billions of parameters that a token multiplies; NaN where none are stated."""
    stated = optional_number(row, "active_b")
    whole = optional_number(row, "parameters_b")
    return stated if stated > 0 else whole * _ACTIVE.get(row.get("model", ""), 1.0)


def _layers(row: Mapping[str, str]) -> float:
    """Return a decoder's layers: as stated, as published, or by its size, of which they grow with the cube root."""
    stated = optional_number(row, "layers")
    if stated > 0:
        return stated
    size = optional_number(row, "parameters_b")
    by_size = LAYERS * (size / _BY_LAYERS) ** (1 / 3) if size > 0 else LAYERS
    return _PUBLISHED_LAYERS.get(row.get("model", ""), by_size)


def _piece(row: Mapping[str, str]) -> float:
    """Return the positions of a prompt that are computed at once."""
    length = optional_number(row, "context_tokens")
    return min(length, PIECE) if length > 0 else PIECE


def _bandwidth(row: Mapping[str, str]) -> float:
    """Return B/s: of the machine's platform file, by which laws are used, where one ships; else the row's own."""
    machine = _machine(row)
    return 1e9 * optional_number(row, "bandwidth_gb_s") if machine is None else machine.bandwidth


def _peak(row: Mapping[str, str]) -> float:
    """Return OP/s of the unit that prompts run on, likewise."""
    machine = _machine(row)
    if machine is None:
        return optional_number(row, "fp16_peak_op_s")
    stored = row.get("weight_format", "").casefold()
    try:
        return machine.peak(choose_unit(machine, "int8" if stored == "w8a8" else "w4a16")[0])
    except RooflineError:
        return 0.0


def _unpacking_peak(row: Mapping[str, str]) -> float:
    """Return OP/s of the units that unpack weights; infinite where the class has no term for it, or none is known."""
    machine = _machine(row)
    peak = None if machine is None else unpacking_peak(machine)
    return np.inf if peak is None else peak


@cache
def _find_platform(name: str) -> Platform | None:
    try:
        return platform(name)
    except RooflineError:
        return None


def _machine(row: Mapping[str, str]) -> Platform | None:
    """Return the platform of a row's machine, by its key or by a name that is known for it."""
    name = row.get("key", "") or row.get("machine", "")
    found = _find_platform(name) if name else None
    if found is not None or not name or optional_number(row, "bandwidth_gb_s") > 0:
        return found
    alike = find_match(name)
    return None if alike is None else _find_platform(alike)


def label_of(row: Mapping[str, str]) -> str:
    """Return the machine that is left out as one: its silicon, whichever board or mode it is in."""
    machine = _machine(row)
    return row.get("machine", "") if machine is None else silicon_of(machine)


def log_times(rows: Sequence[Mapping[str, str]]) -> Floats:
    """Return the logarithm of the measured seconds per token; NaN where a row states none."""
    return -np.log([optional_number(row, "tokens_per_s") for row in rows])
