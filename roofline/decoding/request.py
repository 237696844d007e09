"""What is asked of a decoder: lengths, the phase, and the machines that share it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from roofline.conventions import Causal
from roofline.errors import OptionError
from roofline.surfaces import CONTEXT_LENGTH, DEVICES, MAX_TPOT, MAX_TTFT, NEW_TOKENS, PHASE

CONTEXT = 4096
"""Positions of the prompt when none are asked for."""


class Spread(StrEnum):
    """How several machines share a decoder."""

    TENSOR = "tensor"
    """Every layer is divided; behind attention and the MLP the devices add up."""
    SERIES = "series"
    """Each has some layers and hands on to the next, as llama.cpp spreads: a token takes the time of one device."""


class Phase(StrEnum):
    """Which part of answering a request is meant."""

    PREFILL = "prefill"
    """The prompt, up to the first token."""
    DECODE = "decode"
    """The tokens behind it, one at a time."""
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a decoder."""

    context: int = CONTEXT
    """Positions of the prompt."""
    new_tokens: int = 1
    """Tokens that are written behind it."""
    phase: Phase = Phase.BOTH
    devices: int = 1
    """Machines that share the decoder."""
    spread: Spread = Spread.TENSOR
    causal: Causal = Causal.VISIBLE
    max_ttft_s: float | None = None
    """Longest time to the first token: the fewest devices that reach it at the bound are taken, from `devices` on."""
    max_tpot_s: float | None = None
    """Longest time per output token, reached in the same way."""
    defaults: frozenset[str] = frozenset()
    """Which of ``context`` and ``new_tokens`` nobody asked for: they give way where a model has fewer positions."""

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            OptionError: One is not positive, or limits a phase that is not asked for.
        """
        for given, value in (
            (CONTEXT_LENGTH, self.context), (NEW_TOKENS, self.new_tokens), (DEVICES, self.devices),
        ):  # fmt: skip
            if value < 1:
                raise OptionError(f"{given.at(value)} is not positive", repair="Give 1 or more")
        for given, limit, left_out, holder in (
            (MAX_TTFT, self.max_ttft_s, Phase.DECODE, Phase.PREFILL),
            (MAX_TPOT, self.max_tpot_s, Phase.PREFILL, Phase.DECODE),
        ):
            if limit is not None and self.phase is left_out:
                raise OptionError(
                    f"{given} limits {holder}, which {PHASE.at(left_out)} leaves out",
                    repair=f"Leave {given} out, or ask for {PHASE.at(Phase.BOTH)}",
                )

    @property
    def positions(self) -> int:
        """Positions that are computed: the first new token comes of the prompt, the last is fed to nothing."""
        if self.phase is Phase.PREFILL:
            return self.context
        return self.length if self.phase is Phase.DECODE else self.length - 1

    @property
    def length(self) -> int:
        """Positions that a request's cache holds in the end."""
        return self.context + self.new_tokens
