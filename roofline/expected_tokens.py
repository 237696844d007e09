"""What public runs let one expect of a decoder on a machine: times with an 80 % interval, beside the bound.

Graphics cards, desktops, Apple chips and processors have runs of one user (llama.cpp); data-centre cards with stacked
memory have runs of many (vLLM, SGLang, TensorRT-LLM). Where neither fits what is asked there is no estimate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from roofline.model import Basis, Prediction, Term
from roofline.model._tokens import answer_rate
from roofline.model.decoder_laws import shipped_laws
from roofline.model.sum_law import Runs
from roofline.number_format import plural
from roofline.precision import precision

if TYPE_CHECKING:
    from roofline.model._tokens import Tokens
    from roofline.spec import Platform

Figures = Mapping[str, Sequence[float]]
"""Of a machine, by ``tpot`` and ``ttft``: logarithms of measured times over those expected without the figures."""
STACKED = 1.1e12
"""Bandwidth in B/s from which a card's memory is stacked."""
MOST_QUEUED = 16
"""Requests up to which the time to the first token is estimated; beyond, queues decide."""

_VENDORS = {"nvidia": "gpu_nvidia", "amd": "gpu_amd", "intel": "gpu_intel"}


@dataclass(frozen=True, slots=True)
class Parts:
    """What the laws need: seconds at the bound."""

    step: float
    """A step of all requests, shared by the devices."""
    step_bytes: float
    """The same by the outermost memory alone."""
    prompt: float | None
    """One prompt; None in phase ``decode``."""
    sums: float
    """Sums over the devices in a step."""
    positions: int
    """Of the prompt."""
    layers: int
    mixed: float | None = None
    """A step with its share of prompts mixed into it, by which no run is faster; None where the bound's row has it."""


def class_of(platform: Platform) -> str | None:
    """Return the class of machines whose runs are a basis: ``served``, or one of single users; None for others."""
    vendor = platform.vendor.casefold()
    if vendor == "apple":
        return "apple"
    if platform.kind == "gpu":
        if platform.segment == "data centre" and platform.bandwidth >= STACKED:
            return "served" if vendor == "nvidia" else None
        return _VENDORS.get(vendor)
    if platform.kind == "cpu":
        return "cpu_arm" if platform.segment in {"edge", "phone"} else "cpu"
    return None


def estimate_beside(
    bound: Prediction, platform: Platform, parts: Parts, figures: Figures | None = None
) -> Prediction | None:
    """Return the estimate beside a bound; None where no runs are a basis.

    Args:
        bound: The row of the bound.
        platform: The machine.
        parts: What its phases need at the bound.
        figures: What measured rates of this machine say of it.
    """
    tokens, kind = bound.tokens, class_of(platform)
    known = figures or {}
    after, before = known.get("tpot", ()), known.get("ttft", ())
    if tokens is None or kind is None or bound.latency_s is None:
        return None
    bits = precision(bound.datatype).weight_bits
    series = tokens.spread == "series" and tokens.devices > 1
    if kind == "served" and series:
        # No public runs are of such cards behind one another.
        return None
    if kind == "served":
        # While a request writes its tokens, each of the others has its prompt answered once.
        others = (bound.batch - 1) / tokens.new_tokens
        share = 0.0 if parts.prompt is None else others * parts.prompt
        tpot = _time(
            "tpot", "", {}, after, step=parts.step, prompts=share, sums=parts.sums,
            layers=parts.layers, requests=bound.batch,
        )  # fmt: skip
        ttft = None
        if parts.prompt is not None and bound.batch <= MOST_QUEUED and bound.fits is not False:
            waiting = (bound.batch - 1) * parts.prompt
            ttft = _time("ttft", "", {}, before, prompt=parts.prompt, queue=waiting, floor=1.0)
        rests = "served runs on H100, B200 and GB200 (vLLM, SGLang, TensorRT-LLM)"
    elif bound.batch == 1 and (tokens.devices == 1 or series):
        groups = {"class": kind, "format": "16 bit" if bits >= 16 else "packed"}
        tpot = _time("decode", kind, groups, after, work=parts.step_bytes, floor=1.0, host=0.0)
        ttft = None
        if parts.prompt is not None:
            each = _time(
                "prefill",
                kind,
                groups,
                before,
                work=parts.prompt / parts.positions,
                floor=1.0,
                host=0.0,
            )
            ttft = tuple(parts.positions * value for value in each)
        rests = "runs of one user on 37 machines (llama.cpp)"
    else:
        return None
    if after or before:
        rests += f", corrected by {plural(len(after) + len(before), 'figure')} of it"
    least = tokens.tpot_s if parts.mixed is None else parts.mixed
    return _row(bound, tokens, tpot, ttft, rests, least)


def _row(
    bound: Prediction,
    tokens: Tokens,
    tpot: tuple[float, ...],
    ttft: tuple[float, ...] | None,
    rests: str,
    least: float | None,
) -> Prediction:
    # No run is faster than the bound.
    if least is not None:
        tpot = tuple(max(value, least) for value in tpot)
    if ttft is not None and tokens.ttft_s is not None:
        ttft = tuple(max(value, tokens.ttft_s) for value in ttft)
    intervals: dict[str, tuple[float, float]] = {}
    changed = replace(tokens, ttft_s=None if ttft is None else ttft[0])
    latency = None
    if ttft is not None:
        intervals["ttft_ms"] = (1e3 * ttft[1], 1e3 * ttft[2])
    if tokens.phase == "prefill":
        rates = None if ttft is None else [bound.batch * tokens.context / value for value in ttft]
        latency = None if ttft is None else ttft[0]
        changed = replace(
            changed,
            tokens_per_s=None if rates is None else rates[0],
            tokens_per_s_per_user=None if rates is None else rates[0] / bound.batch,
        )
    else:
        # The rate of a whole answer has its prompt in it, as the bound's has; where none is estimated, the bound's.
        known = tokens.ttft_s
        firsts = (known, known, known) if ttft is None else ttft
        others = (bound.batch - 1) / tokens.new_tokens * (known or 0.0)
        share = 1 - others / tokens.tpot_s if tokens.tpot_s else 1.0
        rates = [
            answer_rate(bound.batch, tokens.new_tokens, first, each, share)
            for each, first in zip(tpot, firsts, strict=True)
        ]
        intervals["tpot_ms"] = (1e3 * tpot[1], 1e3 * tpot[2])
        intervals["tokens_per_s_per_user"] = (1 / tpot[2], 1 / tpot[1])
        changed = replace(
            changed, tpot_s=tpot[0], tokens_per_s=rates[0], tokens_per_s_per_user=1 / tpot[0]
        )
        if tokens.phase == "decode":
            latency = tpot[0]
        elif ttft is not None:
            latency = ttft[0] + (tokens.new_tokens - 1) * tpot[0]
    if rates is not None:
        intervals["tokens_per_s"] = (rates[2], rates[1])
    return replace(
        bound, model="expected", upper_bound=False, latency_s=latency, intervals=intervals, tokens=changed,
        basis=(Term("tokens", Basis.PUBLISHED, 1.0),), notes=(
            *bound.notes, f"expected on {bound.platform}: {rests}, 80 % interval; check it with roofline score",
        ),
    )  # fmt: skip


def _time(
    quantity: str, kind: str, groups: dict[str, str], off: Sequence[float], **terms: float
) -> tuple[float, float, float]:
    """Return the time in seconds that a law expects, and the ends of its 80 % interval.

    Figures of the machine, by how far they are off as logarithms, move and narrow it.
    """
    entry = shipped_laws()[quantity]
    runs = Runs(
        {name: np.array([value]) for name, value in terms.items()},
        {name: np.array([value]) for name, value in groups.items()},
    )
    shift, width = entry.correct(kind, off)
    middle = float(entry.law.log_times(runs)[0]) + shift
    return (
        float(np.exp(middle)),
        float(np.exp(middle - width)),
        float(np.exp(middle + width)),
    )
