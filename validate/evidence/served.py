"""Decoders served to many requests at once: time per token and time to the first, fitted to published runs.

Terms of the time per output token, from the sizes of the model and the data sheet: the step of all requests at its
bound, the other requests' prompts at their bound (other requests over output tokens, times one prompt), the sums over
devices, a floor per layer (kernels are launched layer by layer), and what each request costs a step beside (its place
in the schedule, its sampling). Of the time to the first token: the prompt, the prompts in front of it, and a floor.
Runtimes and formats have no factors of their own: on a system that was left out these made predictions worse.
Runs whose scheme is not modelled (attention or expert parallel, several instances behind one entrance; other attention)
have no basis.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from roofline.errors import RooflineError
from roofline.model.sum_law import Floats, Prior, Runs
from roofline.spec import Platform, platform
from roofline.validate.evidence.cells import optional_number
from roofline.workloads import Decoder, decoders

COLUMNS = frozenset({"system", "tp_size", "input_tokens", "output_tokens", "model"})
"""By which such a table is known."""

PRIORS: Mapping[str, Mapping[str, Prior]] = {
    "tpot": {
        "step": Prior(np.log(1 / 0.7), 0.4),
        "prompts": Prior(np.log(1 / 0.5), 0.5),
        "sums": Prior(0.5, 0.7),
        "layers": Prior(np.log(3e-5), 1.0),
        "requests": Prior(np.log(2e-5), 1.0),
    },
    "ttft": {
        "prompt": Prior(np.log(2.0), 0.7),
        "queue": Prior(np.log(0.5), 1.0),
        "floor": Prior(np.log(0.02), 1.0),
    },
}

MOST_QUEUED = 16
"""Requests up to which the time to the first token is estimated; beyond, queues decide, and it is only bounded."""

_MODELS = {
    "llama-3.1-8b": "llama31_8b", "llama-3.1-70b": "llama31_70b", "llama-3.2-1b": "llama32_1b",
    "llama-3.2-3b": "llama32_3b", "qwen3-32b": "qwen3_32b", "qwen3-235b-a22b": "qwen3_235b_a22b",
    "gpt-oss-20b": "gpt_oss_20b", "gpt-oss-120b": "gpt_oss_120b",
}  # fmt: skip
"""Shipped decoders by how published tables begin their names, without the owner."""

_BYTES = {"bf16": 2.0, "fp16": 2.0, "fp8": 1.0, "fp4": 4.5 / 8, "int4": 4.5 / 8}
"""Bytes of a weight, scales included."""

_EXPERT_BYTES = {"gpt_oss_20b": 4.25 / 8, "gpt_oss_120b": 4.25 / 8}
"""Of experts that are published in a narrower format than the rest."""

_NARROW_CACHES = "trtllm"
"""The runtime whose checkpoints in 8 bits and fewer come with caches of 8 bits; the others keep 16."""

_UNITS = {"fp4": ("fp4", "fp8", "fp16", "bf16"), "fp8": ("fp8", "fp16", "bf16")}
"""Peaks that a precision runs on, the first that a machine has."""


@dataclass(frozen=True, slots=True)
class Serving:
    """One run's terms, in seconds."""

    step: float
    prompts: float
    sums: float
    prompt: float
    queue: float
    fits: bool
    layers: float
    """How many there are."""
    requests: float
    """How many run at a time."""
    floor: float = 1.0
    """Once a request."""


def decoder_of(name: str) -> str | None:
    """Return the shipped decoder that a table's name means; None for others."""
    short = name.rsplit("/", 1)[-1].casefold()
    return next((key for stem, key in _MODELS.items() if short.startswith(stem)), None)


@cache
def machine_of(system: str) -> Platform | None:
    """Return the machine of a table's system; None for one that is not shipped."""
    plain = system.replace("_", "-")
    for key in (plain, plain.removesuffix("-sxm"), f"{plain}-sxm"):
        try:
            return platform(key)
        except RooflineError:
            continue
    return None


def serving_of(row: Mapping[str, str]) -> Serving | None:
    """Return the terms of a run; None where its scheme, model or machine is not modelled."""
    key, machine = decoder_of(row["model"]), machine_of(row.get("system", ""))
    precision = row.get("precision", "")
    if key is None or machine is None or precision not in _BYTES:
        return None
    if (
        row.get("parallelism", "tensor") != "tensor"
        or optional_number(row, "attention_dp_size", 1) > 1
    ):
        return None
    sizes = decoders.get(key).sizes
    requests, devices = optional_number(row, "concurrency"), optional_number(row, "tp_size", 1)
    if optional_number(row, "batch_per_rank", requests) != requests:
        # Several instances, or separate ones for prompts, share the requests.
        return None
    context, new = optional_number(row, "input_tokens"), optional_number(row, "output_tokens")
    if not (requests >= 1 and devices >= 1 and context >= 1 and new >= 1):
        return None
    units = [unit for unit in _UNITS.get(precision, ("fp16", "bf16")) if machine.has(unit)]
    if not units:
        return None
    plain = _BYTES[precision]
    expert = min(plain, _EXPERT_BYTES.get(key, plain))
    peak, shares = devices * machine.peak(units[0]), min(devices, sizes.kv_heads)
    mean = context + new / 2
    stored = _weights(sizes, 1e9, plain, expert)
    # Requests whose caches do not fit wait outside: a step is of those that run.
    wide = 1 if row.get("backend") == _NARROW_CACHES and plain <= 1 else 2
    capacity, each = machine.capacity, wide * _cache(sizes, context + new) / shares
    room = None if capacity is None else (capacity - stored / devices) / each
    running = requests if room is None else min(requests, max(room, 1.0))
    read = _weights(sizes, running, plain, expert)
    cache_bytes = running * wide * _cache(sizes, mean)
    moved = (read / devices + cache_bytes / shares) / machine.bandwidth
    step = max(2 * running * _macs(sizes, mean) / peak, moved)
    prompt = max(
        2 * context * _macs(sizes, context / 2) / peak,
        _weights(sizes, context, plain, expert) / devices / machine.bandwidth,
    )
    return Serving(
        step, (running - 1) / new * prompt, _sums(sizes, machine, devices, running), prompt, (requests - 1) * prompt,
        running >= requests, sizes.layers, running,
    )  # fmt: skip


def phase_of(row: Mapping[str, str]) -> str | None:
    """Return ``tpot`` for runs that have a basis; None for others."""
    return None if serving_of(row) is None else "tpot"


def is_queue_bound(row: Mapping[str, str]) -> bool:
    """Return whether the time to the first token is decided by queues."""
    terms = serving_of(row)
    return terms is None or not terms.fits or optional_number(row, "concurrency") > MOST_QUEUED


def set_aside(row: Mapping[str, str]) -> str:
    """Return why a run says nothing of a steady load, by its own times; empty where it does.

    Of the requests in flight only those that have their first token write. With T to the first token and t for each of
    O tokens they are O t / (T + O t) of all: where that is less than half, prompts or places are what is waited for,
    and the step that was timed is of fewer requests than are stated. A run that is faster than the bound of those that
    do write reads less than is charged: of its prompts or its cache something is shared or narrower.
    """
    terms = serving_of(row)
    tpot, ttft = (optional_number(row, f"{name}_ms") / 1e3 for name in ("tpot", "ttft"))
    if terms is None or not math.isfinite(tpot):
        return ""
    writing = 1.0
    if math.isfinite(ttft):
        tokens = optional_number(row, "output_tokens") * tpot
        writing = tokens / (ttft + tokens)
    if writing < FEWEST_WRITING:
        return FEW_WRITE
    fewer = str(max(1.0, optional_number(row, "concurrency") * writing))
    at_work = serving_of({**row, "concurrency": fewer, "batch_per_rank": fewer})
    return ABOVE_BOUND if at_work is not None and tpot < at_work.step + at_work.prompts else ""


FEWEST_WRITING = 0.5
"""Share of the requests in flight that write tokens, below which a load is not steady."""

FEW_WRITE, ABOVE_BOUND = "few requests write at a time", "faster than its bound"


def runs_of(rows: Sequence[Mapping[str, str]], quantity: str) -> Runs:
    """Return what the law of a quantity (``tpot``, ``ttft``) needs of runs that have a basis."""
    found = [terms for row in rows if (terms := serving_of(row)) is not None]
    names = PRIORS[quantity]
    return Runs(
        {name: np.array([float(getattr(entry, name)) for entry in found]) for name in names}, {}
    )


def log_times(rows: Sequence[Mapping[str, str]], quantity: str) -> Floats:
    """Return the logarithm of the measured seconds; NaN where a row states none."""
    return np.log([optional_number(row, f"{quantity}_ms") / 1e3 for row in rows])


def _weights(sizes: Decoder, tokens: float, plain: float, expert: float) -> float:
    """Return the bytes of weights that a step of so many tokens reads, experts by expectation."""
    experts = sizes.layers * sizes.experts * 3 * sizes.hidden * sizes.expert_mlp
    table = sizes.vocabulary * sizes.hidden
    # Tables of embeddings and the output projection stay at 16 bit; of the former a row a token is read.
    rest = sizes.parameters - experts - (1 if sizes.tied else 2) * table
    reached = 1 - (1 - sizes.active / sizes.experts) ** min(tokens, 1e6) if sizes.experts else 0.0
    return rest * plain + 2 * table + experts * reached * expert


def _macs(sizes: Decoder, seen: float) -> float:
    """Return the multiply-accumulates of a token that sees so many positions."""
    table = sizes.vocabulary * sizes.hidden
    idle = sizes.layers * (sizes.experts - sizes.active) * 3 * sizes.hidden * sizes.expert_mlp
    products = sizes.parameters - idle - (1 if sizes.tied else 2) * table
    return products + 2 * sizes.heads * sizes.head_size * _visible_positions(sizes, seen)


def _visible_positions(sizes: Decoder, length: float) -> float:
    """Return the positions that all layers together see."""
    return sum(
        min(length, sizes.window) if sizes.is_windowed(layer) else length
        for layer in range(sizes.layers)
    )


def _cache(sizes: Decoder, length: float) -> float:
    """Return the elements of one request's cache."""
    return 2 * sizes.kv_heads * sizes.head_size * _visible_positions(sizes, length)


def _sums(sizes: Decoder, machine: Platform, devices: float, tokens: float) -> float:
    """Return the seconds of two all-reduces a layer."""
    if devices <= 1:
        return 0.0
    link = machine.specification.device_link
    # NVLink's order of magnitude where a platform file states none: the fitted factor takes up the rest.
    rate = 450e9 if link is None else link.bandwidth.base
    wait = 1e-5 if link is None or link.latency is None else link.latency.base
    return (
        2 * sizes.layers * (2 * (devices - 1) / devices * tokens * sizes.hidden * 2 / rate + wait)
    )
