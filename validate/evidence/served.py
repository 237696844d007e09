"""Decoders served to many requests at once: time per token and time to the first, fitted to published runs.

Terms of the time per output token, from the sizes of the model and the data sheet: the step of all requests at its
bound, the other requests' prompts at their bound (other requests over output tokens, times one prompt), the sums over
devices, a floor per layer (kernels are launched layer by layer), and what each request costs a step beside (its place
in the schedule, its sampling). Of the time to the first token: the prompt, the prompts in front of it, and a floor.
Runtimes and formats have no factors of their own: on a system that was left out these made predictions worse.
Of machines that no servers' table is of (cards with GDDR memory, boards, Macs, other makers' accelerators) the time per
token is another quantity, ``several``: it starts from the law of those systems, and classes of machines have factors.
Runs whose scheme is not modelled (attention or expert parallel, several instances behind one entrance; other attention)
have no basis.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from roofline.decoder_classes import class_of, several_class
from roofline.errors import RooflineError
from roofline.expected_tokens import MOST_QUEUED
from roofline.model import choose_unit
from roofline.model.decoder_laws import shipped_laws
from roofline.model.sum_law import Floats, Prior, Runs
from roofline.precision import precision
from roofline.spec import Platform, platform
from roofline.spec.matching import find_match
from roofline.validate.evidence.cells import optional_number
from roofline.workloads import Decoder, decoders

COLUMNS = frozenset({"system", "tp_size", "input_tokens", "output_tokens", "model"})
"""By which such a table is known."""

_TPOT: Mapping[str, Prior] = {
    "step": Prior(np.log(1 / 0.7), 0.4),
    "prompts": Prior(np.log(1 / 0.5), 0.5),
    "sums": Prior(0.5, 0.7),
    "layers": Prior(np.log(3e-5), 1.0),
    "requests": Prior(np.log(2e-5), 1.0),
}
_OF_SERVERS = 0.3
"""How far, in logarithms, factors of other machines may be from those of served systems."""

_TTFT: Mapping[str, Prior] = {
    "prompt": Prior(np.log(2.0), 0.7),
    "queue": Prior(np.log(0.5), 1.0),
    "floor": Prior(np.log(0.02), 1.0),
}
TERMS: Mapping[str, tuple[str, ...]] = {
    "tpot": tuple(_TPOT), "ttft": tuple(_TTFT), "several": tuple(_TPOT),
}  # fmt: skip
"""Of each quantity what its law sums."""
RUNS = Path(__file__).with_name("reported_served.csv")
"""Runs of machines that no servers' table is of, with where each was read."""

_BYTES = {"bf16": 2.0, "fp16": 2.0, "fp8": 1.0, "fp4": 4.5 / 8, "int4": 4.5 / 8, "mxfp4": 2.0}
"""Bytes of a weight, scales included; of mxfp4 outside of experts."""
_PHASES = ("decode", "both", "")
"""What rates are of: steps alone, or whole answers, which an empty cell means too."""
_LLAMA_TABLE = 6.5625 / 8
"""Bytes of an output projection in llama.cpp's narrow formats (q6_k)."""

_EXPERT_BYTES = {"gpt_oss_20b": 4.25 / 8, "gpt_oss_120b": 4.25 / 8}
"""Of experts that are published in a narrower format than the rest."""

_NARROW_CACHES = frozenset({"trtllm", "tensorrt-llm"})
"""Names of the runtime whose checkpoints in 8 bits and fewer come with caches of 8 bits; the others keep 16."""

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


def priors_of(quantity: str) -> Mapping[str, Prior]:
    """Return what the law of a quantity starts from; that of other machines from the shipped law of servers."""
    if quantity != "several":
        return {"tpot": _TPOT, "ttft": _TTFT}[quantity]
    factors = shipped_laws()["tpot"].law.factors
    return {term: Prior(factors[term], _OF_SERVERS, _OF_SERVERS) for term in _TPOT}


@cache
def decoder_of(name: str) -> str | None:
    """Return the shipped decoder that a table's name means (``Qwen/Qwen3-8B-FP8``); None for others."""
    short = _plain(name.rsplit("/", 1)[-1]).removeprefix("meta")
    stems = {_plain(key): key for key in decoders}
    known = [stem for stem in stems if short.startswith(stem)]
    return stems[max(known, key=len)] if known else None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())


@cache
def machine_of(system: str) -> Platform | None:
    """Return the machine of a table's system; None for one that is not shipped."""
    plain = system.replace("_", "-")
    for key in (plain, plain.removesuffix("-sxm"), f"{plain}-sxm"):
        try:
            return platform(key)
        except RooflineError:
            continue
    # Looked for last: it reads every platform file.
    alike = find_match(system)
    return None if alike is None else platform(alike)


def serving_of(row: Mapping[str, str]) -> Serving | None:
    """Return the terms of a run; None where its scheme, model or machine is not modelled."""
    key, machine = decoder_of(row["model"]), machine_of(row.get("system", ""))
    if key is None or machine is None:
        return None
    if row.get("phase", "both") not in _PHASES:
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
    name = row.get("precision", "")
    unit, plain, table = _unit(machine, name), _weight_bytes(name), _table_bytes(name)
    if unit is None or plain is None:
        return None
    expert = min(plain, _EXPERT_BYTES.get(key, plain))
    peak, shares = devices * machine.peak(unit), min(devices, sizes.kv_heads)
    mean = context + new / 2
    stored = _weights(sizes, 1e9, plain, expert, table)
    # Requests whose caches do not fit wait outside: a step is of those that run.
    wide = 1 if row.get("backend") in _NARROW_CACHES and plain <= 1 else 2
    capacity, each = (
        machine.capacity,
        (wide * _cache(sizes, context + new) / shares + 2 * sizes.state_elements / devices),
    )
    room = None if capacity is None else (capacity - stored / devices) / each
    running = requests if room is None else min(requests, max(room, 1.0))
    read = _weights(sizes, running, plain, expert, table)
    # A state of fixed size is read and written each step.
    cache_bytes = running * (wide * _cache(sizes, mean) + 2 * 2 * sizes.state_elements)
    moved = (read / devices + cache_bytes / shares) / machine.bandwidth
    step = max(2 * running * _macs(sizes, mean) / peak, moved)
    prompt = max(
        2 * context * _macs(sizes, context / 2) / peak,
        _weights(sizes, context, plain, expert, table) / devices / machine.bandwidth,
    )
    # Where steps alone were timed no prompt is waited for; a rate of all requests has each one's own in it.
    answered = running if _rated(row) else running - 1
    others = 0.0 if row.get("phase") == "decode" else answered / new * prompt
    return Serving(
        step, others, _sums(sizes, machine, devices, running), prompt, (requests - 1) * prompt,
        running >= requests, sizes.layers, running,
    )  # fmt: skip


def _weight_bytes(name: str) -> float | None:
    """Return the bytes of a weight, scales included; None for a format that is not known."""
    if name in _BYTES:
        return _BYTES[name]
    try:
        return float(precision(name).weight_bits) / 8
    except RooflineError:
        return None


def _table_bytes(name: str) -> float:
    """Return the bytes of an element of the output projection: 16 bit, but in formats of llama.cpp."""
    plain = _weight_bytes(name)
    if name in _BYTES or plain is None or not precision(name).rounded:
        return 2.0
    return max(plain, _LLAMA_TABLE)


def _unit(machine: Platform, name: str) -> str | None:
    """Return the unit that a format runs on; None where the machine has none."""
    if name in _BYTES:
        units = _UNITS.get(name, ("fp16", "bf16"))
        return next((unit for unit in units if machine.has(unit)), None)
    try:
        return choose_unit(machine, name)[0]
    except RooflineError:
        return None


def phase_of(row: Mapping[str, str]) -> str | None:
    """Return the law of a run's time per token: ``tpot`` of served systems, ``several``; None without a basis."""
    machine = machine_of(row.get("system", ""))
    if machine is None or serving_of(row) is None:
        return None
    if class_of(machine) == "served":
        # Runs that servers' tables have of linear attention are of kernels in their first months.
        decoder = decoders.get(decoder_of(row["model"]) or "")
        return None if decoder.sizes.linear_heads else "tpot"
    return None if several_class(machine) is None else "several"


def gap_of(row: Mapping[str, str]) -> str:
    """Return why a run has no basis."""
    machine = machine_of(row.get("system", ""))
    if machine is None:
        return f"system {row.get('system')!r} is not known"
    if decoder_of(row.get("model", "")) is None:
        return f"decoder {row.get('model')!r} is not known"
    if _unit(machine, row.get("precision", "")) is None:
        return f"{machine.key} has no unit for {row.get('precision')!r}"
    if row.get("phase", "both") not in _PHASES:
        return f"phase {row.get('phase')!r} is not one of decode and both"
    if serving_of(row) is None:
        return "requests or lengths are no numbers above zero, or its scheme is not modelled"
    return f"no runs of several requests are a basis for {machine.key}"


def kind_of(row: Mapping[str, str]) -> str:
    """Return the class that a machine of several requests is fitted with."""
    machine = machine_of(row.get("system", ""))
    return (None if machine is None else several_class(machine)) or "other"


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
    groups = {}
    if quantity == "several":
        groups = {"class": np.array([kind_of(row) for row in rows])}
    return Runs(
        {
            name: np.array([float(getattr(entry, name)) for entry in found])
            for name in TERMS[quantity]
        },
        groups,
    )


def log_times(rows: Sequence[Mapping[str, str]], quantity: str) -> Floats:
    """Return the logarithm of the measured seconds; NaN where a row states none."""
    if quantity == "ttft":
        return np.log([optional_number(row, "ttft_ms") / 1e3 for row in rows])
    return np.log([_token_time(row) for row in rows])


def _rated(row: Mapping[str, str]) -> bool:
    """Return whether a run's time per token is that of all requests' rate."""
    return optional_number(row, "tokens_per_s") > 0 and not optional_number(row, "tpot_ms") > 0


def _token_time(row: Mapping[str, str]) -> float:
    """Return the seconds per token of a request: as stated, or by the tokens per second of all."""
    if _rated(row):
        return optional_number(row, "concurrency") / optional_number(row, "tokens_per_s")
    return optional_number(row, "tpot_ms") / 1e3


def _weights(
    sizes: Decoder, tokens: float, plain: float, expert: float, head: float = 2.0
) -> float:
    """Return the bytes of weights that a step of so many tokens reads, experts by expectation."""
    experts = sizes.layers * sizes.experts * 3 * sizes.hidden * sizes.expert_mlp
    table = sizes.vocabulary * sizes.hidden
    # Of the table of embeddings a row a token is read, of the output projection all.
    rest = sizes.parameters - experts - (1 if sizes.tied else 2) * table
    reached = 1 - (1 - sizes.active / sizes.experts) ** min(tokens, 1e6) if sizes.experts else 0.0
    return rest * plain + head * table + experts * reached * expert


def _macs(sizes: Decoder, seen: float) -> float:
    """Return the multiply-accumulates of a token that sees so many positions."""
    table = sizes.vocabulary * sizes.hidden
    idle = sizes.layers * (sizes.experts - sizes.active) * 3 * sizes.hidden * sizes.expert_mlp
    products = sizes.parameters - idle - (1 if sizes.tied else 2) * table
    states = 3 * sizes.linear_heads * sizes.linear_size**2 * sizes.linear_layers
    return products + states + 2 * sizes.heads * sizes.head_size * _visible_positions(sizes, seen)


def _visible_positions(sizes: Decoder, length: float) -> float:
    """Return the positions that all layers together see."""
    return sum(
        min(length, sizes.window) if sizes.is_windowed(layer) else length
        for layer in range(sizes.layers)
        if not sizes.is_linear(layer)
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
