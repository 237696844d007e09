"""One decoder on one kind of machine: what its phases need of several devices, and what they come to."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from roofline._sweep import Omission
from roofline.decoder_classes import unpacking_peak
from roofline.decoding.memory import Memory
from roofline.decoding.phases import Decoding
from roofline.decoding.request import CONTEXT, Phase, Request, Spread
from roofline.expected_tokens import Parts
from roofline.model import Prediction
from roofline.model._tokens import Tokens, answer_rate
from roofline.number_format import number, plural
from roofline.precision import precision

if TYPE_CHECKING:
    from roofline.spec import Platform
    from roofline.spec.parts import Link

_ENDLESS = 2**30
"""Positions that only a cache which does not grow with them has room for."""
_SHARING = {
    Spread.TENSOR: "share every layer and add up",
    Spread.SERIES: "have layers in series and hand on",
}


_MESSAGE_S = 1e-5
"""Latency in seconds of a link whose platform file states none: what AI Configurator takes for NVIDIA's cards, over
NVLink and over PCIe alike (github.com/ai-dynamo/aiconfigurator, p2p_latency of its systems)."""


@dataclass(frozen=True, slots=True)
class ServingCase:
    """One decoder on one kind of machine: what its phases need, and what they come to."""

    decoder: Decoding
    request: Request
    platform: Platform
    batch: int
    """Requests in flight."""
    prompt: Prediction | None
    """The prompt on one device; None in phase ``decode``."""
    step: Prediction
    """One further token of each request on one device."""
    memory: Memory
    one: Prediction | None = None
    """One further token of one request alone, where there are several."""

    def omission(self, model: str, reason: str) -> Omission:
        """Return the case as one that a model says nothing of."""
        step = self.step
        return Omission(step.network, step.platform, step.datatype, self.batch, model, reason)

    def row(self) -> Prediction:
        """Return the phases as one prediction."""
        ask, batch = self.request, self.batch
        together = batch if ask.phase is Phase.PREFILL else 1
        first = (
            None if self.prompt is None else self._seconds(self.prompt, together, 0, ask.context)
        )
        then = self._seconds(self.step, batch, ask.context, 1)
        tpot = total = each = None
        main = self.step
        if ask.phase is Phase.PREFILL and self.prompt is not None:
            main, latency = self.prompt, first
            total = None if first is None else batch * ask.context / first
            each = None if total is None else total / batch
        elif ask.phase is Phase.DECODE:
            tpot = latency = then
        else:
            latency = None
            if first is not None and then is not None:
                # While a request writes its tokens, each of the others has its prompt answered once.
                tpot = then + (batch - 1) / ask.new_tokens * first
                latency = first + (ask.new_tokens - 1) * tpot
                if first > ask.new_tokens * then and self.prompt is not None:
                    main = self.prompt
        if tpot is not None and then is not None:
            each = 1 / tpot
            total = answer_rate(batch, ask.new_tokens, first, tpot, then / tpot)
        fits = self._fits(batch, ask.context, ask.devices)
        tokens = Tokens(
            phase=ask.phase.value, context=ask.context, new_tokens=ask.new_tokens, devices=ask.devices,
            spread=ask.spread.value,
            ttft_s=first, tpot_s=tpot, tokens_per_s=total, tokens_per_s_per_user=each,
            kv_bytes_per_token=self.memory.per_token, max_batch=self._max_batch(),
            max_context=self._max_context(), least_devices=self._least_devices(),
            weight_bytes=self._required_bytes(0, ask.context, ask.devices),
            cache_bytes=self._required_bytes(batch, ask.context, ask.devices)
            - self._required_bytes(0, ask.context, ask.devices),
            memory_bytes=self.platform.capacity,
            prefill_bound=None if self.prompt is None else self.prompt.bound.value,
            decode_bound=None if ask.phase is Phase.PREFILL else self.step.bound.value,
            prefill_intensity=None if self.prompt is None else self.prompt.intensity,
            decode_intensity=None if ask.phase is Phase.PREFILL else self.step.intensity,
            strict_ttft=ask.devices == 1 and self.prompt is not None and self.prompt.upper_bound,
        )  # fmt: skip
        # Prompts alone are not held back by steps, which they are predicted beside.
        steps = [] if self.prompt is not None and ask.phase is Phase.PREFILL else [self.step]
        parts = [*([] if self.prompt is None else [self.prompt]), *steps]
        notes = [note for part in (main, *parts) for note in part.notes]
        mixed = self._mixing_time()
        return replace(
            main, batch=batch, throughput_fps=None, latency_s=latency, fits=fits,
            required_bytes=self._required_bytes(batch, ask.context, ask.devices),
            # Sums over devices may be hidden behind arithmetic, and prompts behind what steps read.
            upper_bound=ask.devices == 1 and mixed is None and all(part.upper_bound for part in parts), tokens=tokens,
            notes=tuple(dict.fromkeys((*notes, *self._notes(fits=fits), *_describe_mixing(mixed, tpot)))),
        )  # fmt: skip

    def _mixing_time(self) -> float | None:
        """Return the time per token of a server that puts pieces of prompts into its steps; None where there are none.

        Weights and caches are read once for both, so a step takes the larger of all arithmetic and of its reading.
        """
        ask, prompt = self.request, self.prompt
        if prompt is None or ask.phase is not Phase.BOTH or self.batch == 1:
            return None
        if self.step.latency_s is None or prompt.latency_s is None:
            return None
        share = (self.batch - 1) / ask.new_tokens
        arithmetic = self.step.ops / self.step.peak + share * prompt.ops / prompt.peak
        return max(self.step.latency_s, arithmetic) / (
            ask.devices if ask.spread is Spread.TENSOR else 1
        )

    def within_limits(self) -> ServingCase | None:
        """Return the case on the fewest devices, from those asked for on, that fit and reach the limits; None for none.

        Without limits the case itself.
        """
        ask = self.request
        if ask.max_ttft_s is None and ask.max_tpot_s is None:
            return self
        for count in self.decoder.counts(ask.spread):
            if count < ask.devices:
                continue
            case = replace(self, request=replace(ask, devices=count))
            row = case.row()
            if row.fits is not False and row.tokens is not None and all(
                limit is None or value is None or value <= limit
                for value, limit in (
                    (row.tokens.ttft_s, ask.max_ttft_s), (row.tokens.tpot_s, ask.max_tpot_s),
                )
            ):  # fmt: skip
                return case
        return None

    def _seconds(self, part: Prediction, requests: int, past: int, new: int) -> float | None:
        """Return the time of a phase on all devices: shared arithmetic and bytes, and the sums over the link."""
        if part.latency_s is None or self.request.devices == 1:
            return part.latency_s
        return self._time_over_devices(part, requests, past) + self._reduction_time(
            part, requests * new
        )

    def parts(self) -> Parts:
        """Return what estimates need of the phases, at the bound."""
        ask, prompt, one = self.request, self.prompt, self.one
        vector = unpacking_peak(self.platform)
        return Parts(
            self._time_over_devices(self.step, self.batch, ask.context),
            self.step.bytes / self.step.bandwidth,
            None if prompt is None else self._time_over_devices(prompt, 1, 0),
            self._reduction_time(self.step, self.batch) if ask.devices > 1 else 0.0,
            ask.context * (self.batch if ask.phase is Phase.PREFILL else 1),
            self.decoder.roles.layers,
            unpacking=0.0 if vector is None else self.step.ops / vector,
            weights=0.0 if prompt is None else self.memory.weights / self.platform.bandwidth,
            one=None
            if one is None
            else (one.bytes / one.bandwidth, 0.0 if vector is None else one.ops / vector),
            mixed=self._mixing_time(),
        )

    def _time_over_devices(self, part: Prediction, requests: int, past: int) -> float:
        """Return the time of a phase's arithmetic and bytes, without the sums over devices."""
        devices = self.request.devices
        if part.latency_s is None:
            return float("nan")
        if devices == 1 or self.request.spread is Spread.SERIES:
            return part.latency_s
        shares = min(devices, self.decoder.roles.kv_heads or devices)
        twice = requests * self.memory.growing(past) * (1 / shares - 1 / devices) if past else 0
        moved = (part.bytes / devices + twice) / self.platform.bandwidth
        return max(part.latency_s / devices, moved)

    def _reduction_time(self, part: Prediction, positions: int) -> float:
        """Return the time of two all-reduces a layer, or of the steps from one device to the next in series.

        Each is of the positions' hidden values.
        """
        link, hidden = self._link, self.decoder.roles.hidden
        if link is None or hidden is None:
            return 0.0
        devices = self.request.devices
        size = positions * hidden * float(precision(part.datatype).activation_bits) / 8
        latency = _MESSAGE_S if link.latency is None else link.latency.base
        if self.request.spread is Spread.SERIES:
            return (devices - 1) * (size / link.bandwidth.base + latency)
        each = 2 * (devices - 1) / devices * size / link.bandwidth.base + latency
        return 2 * self.decoder.roles.layers * each

    @property
    def _link(self) -> Link | None:
        specification = self.platform.specification
        return specification.device_link or specification.host_link

    def _required_bytes(self, requests: int, context: int, devices: int) -> float:
        length = context + self.request.new_tokens
        # In series a device holds the caches of its layers alone.
        heads = None if self.request.spread is Spread.SERIES else self.decoder.roles.kv_heads
        return self.memory.on_one(requests, length, devices, heads)

    def _fits(self, requests: int, context: int, devices: int) -> bool | None:
        capacity = self.platform.capacity
        return (
            None
            if capacity is None
            else self._required_bytes(requests, context, devices) <= capacity
        )

    def _max_batch(self) -> int | None:
        capacity, ask = self.platform.capacity, self.request
        if capacity is None:
            return None
        weights = self._required_bytes(0, ask.context, ask.devices)
        each = self._required_bytes(1, ask.context, ask.devices) - weights
        return max(int((capacity - weights) // each), 0) if each else None

    def _max_context(self) -> int | None:
        capacity, ask = self.platform.capacity, self.request
        if capacity is None:
            return None
        heads = None if ask.spread is Spread.SERIES else self.decoder.roles.kv_heads

        def fits(context: int) -> bool:
            length = context + ask.new_tokens
            return self.memory.on_one(self.batch, length, ask.devices, heads) <= capacity

        positions = self.decoder.roles.positions
        if positions is None and fits(_ENDLESS):
            return None
        high = (positions or _ENDLESS) + 1 - ask.new_tokens
        # Most machines hold all of it or nothing.
        if fits(high):
            return max(high, 0)
        if not fits(1):
            return 0
        return bisect_left(range(1, high), True, key=lambda context: not fits(context))

    def _least_devices(self) -> int | None:
        counts = self.decoder.counts(self.request.spread)
        return next(
            (count for count in counts if self._fits(self.batch, self.request.context, count)),
            None,
        )

    def _notes(self, *, fits: bool | None) -> list[str]:
        notes: list[str] = []
        if {"context", "new_tokens"} & self.request.defaults and self.request.context < CONTEXT:
            notes.append(
                f"{self.decoder.name} has {plural(self.decoder.roles.positions or 0, 'position')}: asked for "
                f"{self.request.context:,} of context and {plural(self.request.new_tokens, 'new token')}"
            )
        if self.decoder.unread and precision(self.step.datatype).weight_bits >= 16:
            notes.append(
                f"the quantization_config of {self.decoder.name} ({self.decoder.unread}) states a format that is not "
                f"known: this is of weights in {self.step.datatype}; ask for the stored one by its datatype"
            )
        if fits is False:
            notes.append(self.excess())
        elif fits and self.decoder.roles.positions is None and self._max_context() is None:
            notes.append(
                f"nothing limits the context of {self.decoder.name}: it states no number of positions, and "
                + (
                    "its cache stops growing"
                    if self.memory.per_token
                    else "none of its layers adds to a cache"
                )
            )
        if self.request.devices > 1:
            link = self._link
            if link is None or self.decoder.roles.hidden is None:
                notes.append(
                    f"{self.platform.key} states no link between devices: their sums are not charged"
                )
            else:
                notes.append(
                    f"{plural(self.request.devices, 'device')} {_SHARING[self.request.spread]} over {link.name} at "
                    f"{link.bandwidth.base / 1e9:g} GB/s"
                )
        return notes

    def excess(self) -> str:
        """Return in words by how much it does not fit, and what would."""
        ask, capacity = self.request, self.platform.capacity or 0.0
        weights = self.memory.weights / ask.devices
        required = self._required_bytes(self.batch, ask.context, ask.devices)
        fewest = self._least_devices()
        most = self._max_batch()
        largest = (
            f"the largest that fit: {f'batch {most}' if most else 'none'} at this context, context "
            f"{self._max_context() or 0:,} at this batch"
            if weights < capacity
            else "its weights alone do not fit"
        )
        return (
            f"{self.decoder.name} at {plural(ask.length, 'position')} and batch {self.batch} does not fit on "
            f"{ask.devices} x {self.platform.key}: {weights / 1e9:.4g} GB of weights and "
            f"{(required - weights) / 1e9:.4g} GB of cache exceed its {capacity / 1e9:.4g} GB by "
            f"{(required - capacity) / 1e9:.4g} GB; {largest}"
            + (
                f"; it fits on {plural(fewest, 'device')}"
                if fewest is not None and fewest > ask.devices
                else ""
            )
        )


def _describe_mixing(mixed: float | None, apart: float | None) -> list[str]:
    """Return what is to be said where prompts that are mixed into steps make tokens faster than those behind them."""
    if mixed is None or apart is None or mixed >= apart:
        return []
    return [
        "prompts are taken to be answered between steps, so this is no strict bound: servers that mix pieces of "
        f"prompts into steps (chunked prefill) reach down to {number(1e3 * mixed)} ms per token"
    ]
