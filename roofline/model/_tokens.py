"""What a prediction says of a decoder: tokens, their latencies, and the memory that their cache takes."""

from __future__ import annotations

from dataclasses import dataclass

from roofline.tables import Record

INTERVALS = ("ttft_ms", "tpot_ms", "tokens_per_s", "tokens_per_s_per_user")
"""Columns of a decoder's row that estimates give an interval of."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Of one decoder on one kind of machine, at so many requests in flight."""

    phase: str
    """``prefill``, ``decode`` or ``both``."""
    context: int
    new_tokens: int
    devices: int
    """Machines that share the decoder."""
    spread: str
    """How: ``tensor`` (every layer) or ``series`` (layers behind one another)."""
    ttft_s: float | None
    """Time to the first token: the prompt without a queue; None in phase ``decode``."""
    tpot_s: float | None
    """Time per output token of one request: the mean over its new tokens; None in phase ``prefill``."""
    tokens_per_s: float | None
    """Of all requests: new ones; those of the prompts in phase ``prefill``."""
    tokens_per_s_per_user: float | None
    kv_bytes_per_token: float
    """Bytes of keys and values of one position of one request, in all layers and on all devices."""
    max_batch: int | None
    """Most requests whose caches fit at context and new tokens; None where no capacity is known."""
    max_context: int | None
    """Longest context that fits at this batch and these new tokens; 0 where none does, None where nothing limits it."""
    least_devices: int | None
    """Fewest devices on which it fits, of those its heads spread over; None where none is known to."""
    weight_bytes: float
    """Bytes of weights on each device."""
    cache_bytes: float
    """Bytes of the caches of all requests on each device, at context and new tokens."""
    memory_bytes: float | None
    """Bytes that a device holds; None where no capacity is known."""
    prefill_bound: str | None
    """What holds the prompt back: ``compute`` or ``memory``; None in phase ``decode``."""
    decode_bound: str | None
    """The same of the tokens behind it; None in phase ``prefill``."""
    prefill_intensity: float | None = None
    """Operational intensity of the prompt, OP/B; None in phase ``decode``."""
    decode_intensity: float | None = None
    """The same of the tokens behind it; None in phase ``prefill``."""
    strict_ttft: bool = False
    """Whether no run's first token comes sooner than `ttft_s`, however a server mixes prompts and steps."""

    def record(self) -> Record:
        """Return the columns that a row of a decoder has more than others."""
        return {
            "phase": self.phase,
            "context": self.context,
            "new_tokens": self.new_tokens,
            "ttft_ms": None if self.ttft_s is None else 1e3 * self.ttft_s,
            "tpot_ms": None if self.tpot_s is None else 1e3 * self.tpot_s,
            "tokens_per_s": self.tokens_per_s,
            "tokens_per_s_per_user": self.tokens_per_s_per_user,
            "kv_bytes_per_token": self.kv_bytes_per_token,
            "max_batch": self.max_batch,
            "max_context": self.max_context,
            "devices": self.devices,
            "spread": self.spread,
            "least_devices": self.least_devices,
            "weight_bytes": self.weight_bytes,
            "cache_bytes": self.cache_bytes,
            "memory_bytes": self.memory_bytes,
            "prefill_bound": self.prefill_bound,
            "decode_bound": self.decode_bound,
            "prefill_intensity": self.prefill_intensity,
            "decode_intensity": self.decode_intensity,
        }


def answer_rate(
    batch: int, new_tokens: int, first_s: float | None, tpot_s: float, share: float
) -> float:
    """Return the tokens per second of all requests; without prompts (`first_s` None) of steps alone.

    A prompt gives the first token, so an answer takes a step less than it has tokens. `share` is that of
    the step in the time per token, whose rest are the prompts of the others: a step less is no prompt less.
    """
    if first_s is None:
        return batch / tpot_s
    return batch * new_tokens / (first_s + (new_tokens - share) * tpot_s)


def answer_step(
    batch: int, new_tokens: int, first_s: float | None, tokens_per_s: float, share: float
) -> float:
    """Return the time per token at which `answer_rate` is so many tokens per second; below zero where none is."""
    if first_s is None:
        return batch / tokens_per_s
    return (batch * new_tokens / tokens_per_s - first_s) / (new_tokens - share)
