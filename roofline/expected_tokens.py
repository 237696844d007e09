"""What public runs let one expect of a decoder on a machine: times with an 80 % interval, beside the bound.

Graphics cards, desktops, boards, Apple chips and processors have runs of one user (llama.cpp, and what makers of neural
processors run); data-centre cards with stacked memory have runs of many (vLLM, SGLang, TensorRT-LLM) and, in formats of
llama.cpp, of one. Where none fits what is asked there is no estimate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from roofline.decoder_classes import alone_class, class_of, several_class, silicon_of
from roofline.model import Basis, Prediction, Term
from roofline.model._tokens import answer_rate, answer_step
from roofline.model.decoder_laws import Figure, LawRun, shipped_laws
from roofline.model.sum_law import Runs
from roofline.number_format import plural
from roofline.precision import precision

if TYPE_CHECKING:
    from roofline.model._tokens import Tokens
    from roofline.spec import Platform

Figures = Sequence[Figure]
"""Measured times of a machine."""
MOST_QUEUED = 16
"""Requests up to which the time to the first token is estimated; beyond, queues decide."""

LAYERS = 32
"""Layers of a decoder of 8 billion parameters, by which those of others are counted."""
PIECE = 512
"""Positions of a prompt that llama.cpp computes at once (`n_ubatch`): weights are read once for each such piece."""


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
    unpacking: float = 0.0
    """A step's arithmetic by vector units (`unpacking_peak`); 0 where the class has none."""
    weights: float = 0.0
    """The weights of a prompt by the outermost memory, once."""
    one: tuple[float, float] | None = None
    """Of a step of one request alone: its time by the outermost memory, and its arithmetic by vector units."""
    mixed: float | None = None
    """A step with its share of prompts mixed into it, by which no run is faster; None where the bound's row has it."""


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
    tokens, laws = bound.tokens, _laws_of(bound, platform, parts)
    if tokens is None or laws is None:
        return None
    known = [figure for figure in figures or () if figure.run.law in laws.names]
    tpot: Sequence[float] = _time(laws.token, known)
    ttft = None
    if laws.first is not None:
        ttft = tuple(laws.positions * value for value in _time(laws.first, known))
    prompt = ttft
    if laws.whole is not None:
        tpot, prompt = _of_several(bound, laws, tpot, _time(laws.whole, known))
    if not laws.shows_first:
        ttft = None
    rests = laws.rests
    if known:
        rests += f", corrected by {plural(len(known), 'figure')} of it"
    least = tokens.tpot_s if parts.mixed is None else parts.mixed
    return _row(bound, tokens, tpot, (ttft, prompt), rests, least)


def figure_of(bound: Prediction, platform: Platform, parts: Parts, rate: float) -> Figure | None:
    """Return what a measured rate says of a machine; None where no runs are a basis.

    Args:
        bound: The row of the bound at what was measured.
        platform: The machine.
        parts: What its phases need at the bound.
        rate: Tokens per second of all requests, as the row's.
    """
    tokens, laws = bound.tokens, _laws_of(bound, platform, parts)
    if tokens is None or laws is None:
        return None
    if tokens.phase == "prefill":
        if laws.first is None:
            return None
        seconds = bound.batch * tokens.context / rate / laws.positions
        return Figure(laws.first, math.log(seconds) - laws.first.expected)
    if laws.whole is not None:
        return Figure(laws.whole, math.log(bound.batch / rate) - laws.whole.expected)
    first = None if tokens.ttft_s is None else tokens.ttft_s
    if first is not None and laws.first is not None:
        first = max(first, laws.positions * math.exp(laws.first.expected))
    seconds = answer_step(bound.batch, tokens.new_tokens, first, rate, _step_share(bound, tokens))
    # A prompt that is slower than the law has it leaves no time for the tokens behind it: no less than the bound.
    seconds = max(seconds, (tokens.tpot_s or 0.0) if parts.mixed is None else parts.mixed)
    return Figure(laws.token, math.log(seconds) - laws.token.expected)


@dataclass(frozen=True, slots=True)
class _Laws:
    """By which laws a case is estimated."""

    token: LawRun
    first: LawRun | None
    positions: int
    """Of the prompt, that the law of the first token has one of."""
    rests: str
    shows_first: bool = True
    """Whether the time to the first token is an estimate of its own; where queues decide it is part of rates alone."""
    whole: LawRun | None = None
    """A token with its share of all prompts, where a rate has each request's own in it."""
    alone: _Laws | None = None
    """Of one request alone: a step of several takes no less, and they no longer than one behind the other."""

    @property
    def names(self) -> set[str]:
        return {run.law for run in (self.token, self.first) if run is not None}


def _laws_of(bound: Prediction, platform: Platform, parts: Parts) -> _Laws | None:
    """Return by which laws a case is estimated; None where no runs are a basis."""
    tokens, kind = bound.tokens, class_of(platform)
    if tokens is None or bound.latency_s is None:
        return None
    series = tokens.spread == "series" and tokens.devices > 1
    alone = precision(bound.datatype).rounded != ""
    if kind == "served" and not series and not alone:
        shows_first = bound.batch <= MOST_QUEUED and bound.fits is not False
        first = None
        if shows_first or tokens.phase != "prefill":
            # In phase prefill all prompts are one pass: none waits for another. Beyond the requests that runs tell of
            # a rate takes the wait behind as many as those: no wait is shorter.
            ahead = 0 if tokens.phase == "prefill" else min(bound.batch, MOST_QUEUED) - 1
            first = _queued_prompt(bound, parts, ahead)
        rests = "served runs on H100, B200 and GB200 (vLLM, SGLang, TensorRT-LLM)"
        token = _served_token(bound, tokens, parts, "tpot", "", prompts=bound.batch - 1)
        return _Laws(token, first, 1, rests, shows_first)
    several = "gpu_nvidia" if kind == "served" else several_class(platform)
    together = bound.batch > 1 or kind is None or tokens.devices > 1
    if several is not None and not series and together:
        unlinked = tokens.devices > 1 and not parts.sums
        if tokens.phase == "prefill" or unlinked or (alone and several == "accelerator"):
            # Nor do accelerators run such files, and what sums cost over a link that nobody states is not known.
            return None
        machines = plural(len(shipped_laws()["several"].known), "machine")
        apart, whole = (
            _served_token(bound, tokens, parts, "several", several, prompts=count)
            for count in (bound.batch - 1, bound.batch)
        )
        return _Laws(
            apart, None, 1, f"runs of several requests on {machines} (vLLM, llama.cpp and their like)",
            whole=whole,
            alone=_alone_laws(bound, platform, parts) if tokens.devices == 1 else None,
        )  # fmt: skip
    if kind == "served" and series:
        # No runs are of such cards behind one another.
        return None
    if bound.batch > 1 or (tokens.devices > 1 and not series):
        # Nor of several requests on other machines.
        return None
    return _alone_laws(bound, platform, parts)


def _alone_laws(bound: Prediction, platform: Platform, parts: Parts) -> _Laws | None:
    """Return by which laws one of the requests is estimated, alone on the machine; None where no runs are a basis."""
    kind = alone_class(platform)
    if kind is None:
        return None
    of, bits = (bound.network, bound.datatype), precision(bound.datatype).weight_bits
    groups = {"class": kind, "format": "16 bit" if bits >= 16 else "packed"}
    silicon = silicon_of(platform)
    work, unpacking = parts.one or (parts.step_bytes, parts.unpacking)
    token = _law_run(
        "decode", kind, of, groups, silicon, work=work, unpacking=unpacking,
        floor=parts.layers / LAYERS, host=0.0,
    )  # fmt: skip
    first = None
    if parts.prompt is not None:
        first = _law_run(
            "prefill", kind, of, groups, silicon, work=parts.prompt / parts.positions,
            weights=parts.weights / min(parts.positions, PIECE), floor=1.0, host=0.0,
        )  # fmt: skip
    machines = plural(len(shipped_laws()["decode"].known), "machine")
    return _Laws(
        token, first, parts.positions, f"runs of one user on {machines} (llama.cpp and its like)"
    )


def _served_token(
    bound: Prediction, tokens: Tokens, parts: Parts, law: str, kind: str, prompts: int
) -> LawRun:
    """Return a token of requests that are served together, as the law of their class has it.

    While a request writes its tokens, each of so many prompts is answered once.
    """
    share = 0.0 if parts.prompt is None else prompts / tokens.new_tokens * parts.prompt
    return _law_run(
        law, kind, (bound.network, bound.datatype), {"class": kind} if kind else {}, step=parts.step, prompts=share,
        sums=parts.sums, layers=parts.layers, requests=bound.batch,
    )  # fmt: skip


def _queued_prompt(bound: Prediction, parts: Parts, ahead: int) -> LawRun | None:
    """Return a prompt behind so many others; None in phase ``decode``."""
    if parts.prompt is None:
        return None
    of = (bound.network, bound.datatype)
    return _law_run("ttft", "", of, {}, prompt=parts.prompt, queue=ahead * parts.prompt, floor=1.0)


def _law_run(
    law: str,
    group: str,
    of: tuple[str, str],
    groups: dict[str, str],
    machine: str = "",
    **terms: float,
) -> LawRun:
    return LawRun(
        law, group, of,
        Runs(
            {name: np.array([value]) for name, value in terms.items()},
            {name: np.array([value]) for name, value in groups.items()},
        ),
        machine,
    )  # fmt: skip


def _of_several(
    bound: Prediction, laws: _Laws, tpot: Sequence[float], whole: Sequence[float]
) -> tuple[Sequence[float], Sequence[float] | None]:
    """Return the time per token of several requests, and the time of a prompt by which their rate is that of `whole`.

    They go with those of one request: a step of several is no faster than a step of one, none has more tokens per
    second than alone, and all have no fewer than one has that is answered behind the other.
    """
    tokens = bound.tokens
    assert tokens is not None
    new, factor = tokens.new_tokens, 1.0
    if laws.alone is not None:
        step, first = _time(laws.alone.token, ())[0], laws.alone.first
        prompt = None if first is None else laws.alone.positions * _time(first, ())[0]
        alone = 1 / answer_rate(1, new, prompt, step, 1.0)
        least = max(step / tpot[0], alone / whole[0])
        factor = max(min(1.0, bound.batch * alone / whole[0]), least)
    tpot, whole = ([factor * each for each in times] for times in (tpot, whole))
    if tokens.phase == "decode":
        return tpot, None
    share = _step_share(bound, tokens)
    return tpot, [
        new * all_of - (new - share) * each for all_of, each in zip(whole, tpot, strict=True)
    ]


def _step_share(bound: Prediction, tokens: Tokens) -> float:
    """Return the share of the step in the time per token, whose rest are the prompts of the other requests."""
    others = (bound.batch - 1) / tokens.new_tokens * (tokens.ttft_s or 0.0)
    return 1 - others / tokens.tpot_s if tokens.tpot_s else 1.0


def _row(
    bound: Prediction,
    tokens: Tokens,
    tpot: Sequence[float],
    prompts: tuple[Sequence[float] | None, Sequence[float] | None],
    rests: str,
    least: float | None,
) -> Prediction:
    # No run is faster than the bound.
    if least is not None:
        tpot = tuple(max(value, least) for value in tpot)
    ttft, firsts = (
        None if prompt is None else tuple(max(value, tokens.ttft_s or 0.0) for value in prompt)
        for prompt in prompts
    )
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
        firsts = firsts or (tokens.ttft_s,) * 3
        share = _step_share(bound, tokens)
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
    what = f"{rests}, 80 % interval; check it with roofline score"
    return replace(
        bound, model="expected", upper_bound=False, latency_s=latency, intervals=intervals, tokens=changed,
        basis=(Term("tokens", Basis.PUBLISHED, 1.0),), estimate_of=what,
        notes=(*bound.notes, f"expected on {bound.platform}: {what}"),
    )  # fmt: skip


def _time(run: LawRun, figures: Figures) -> tuple[float, float, float]:
    """Return the time in seconds that a law expects of a run, and the ends of its 80 % interval.

    Figures of the machine by the same law move and narrow it.
    """
    entry = shipped_laws()[run.law]
    shift, width = entry.correct(run, [figure for figure in figures if figure.run.law == run.law])
    middle = run.expected + shift
    return math.exp(middle), math.exp(middle - width), math.exp(middle + width)
