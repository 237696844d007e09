"""Decoders on machines: phases predicted as any workload is, and put together to tokens per second.

Tensor parallel: of every layer each of N machines holds an Nth of the weights and does an Nth of the arithmetic, and
holds the cache of an Nth of the key heads, at least of one; behind attention and behind the MLP they add their results
up (two all-reduces a layer).

In series: each machine holds an Nth of the layers and of their cache and hands the positions' hidden values on; a token
takes the time of one machine, and no two work at once.

Queues, expert parallelism and separate machines for the two phases are not modelled; vLLM's and SGLang's benchmarks
measure them, simulators such as Vidur and AIConfigurator estimate them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from roofline._sweep import Prepare, Skipped, Sweep, sweep
from roofline.decoding.memory import Memory, memory_of
from roofline.decoding.phases import Decoding, Phase, Request, Spread
from roofline.errors import NoBasisError, OptionError
from roofline.expected_tokens import Figures, Parts, estimated
from roofline.model import Prediction, at_precision, models
from roofline.model._tokens import Tokens
from roofline.number_format import plural
from roofline.precision import precision
from roofline.surfaces import BATCH, DEVICES, MODEL, Argument, argument

if TYPE_CHECKING:
    from roofline.spec import Platform
    from roofline.spec.parts import Link
    from roofline.workload import Workload


_MAX_TTFT = Argument("--max-ttft-ms", "max_ttft_s")
_MAX_TPOT = Argument("--max-tpot-ms", "max_tpot_s")


def serve(
    decoder: Decoding,
    request: Request,
    platforms: Sequence[Platform],
    *,
    datatypes: Sequence[str] = (),
    batches: Sequence[int] = (1,),
    model: str | None = None,
    prepare: Prepare | None = None,
    unheld: bool = False,
    figures: Mapping[str, Figures] | None = None,
    **choices: Any,
) -> Sweep:
    """Predict a decoder's phases.

    Args:
        decoder: The network.
        request: Lengths, phase and devices.
        platforms: Machines, each the kind of all devices.
        datatypes: Precisions; by default the graph's own.
        batches: Requests in flight.
        model: Name of a bound; None for Equation 1.
        prepare: Brings a workload to a datatype where more than its datatype is to change.
        unheld: Whether rows are of use though it fits on no machine.
        figures: What measured rates of machines say of them, by key; for estimates.
        **choices: Everything else that `roofline.sweep` takes.

    Returns:
        A row per machine, datatype and batch; those that cannot be are in ``skipped``.

    Raises:
        OptionError: The request is longer than the model's positions, its heads do not spread over the devices, it
            fits on no machine, or the model gives no bound.
    """
    decoder.check(request)
    bound = "equation1" if model in {None, "expected"} else str(model)
    if not models.get(bound).upper_bound:
        raise OptionError(
            f"{bound} rests on no runs of decoders",
            repair=f"Ask for a bound, {MODEL.at('equation1')}, or {MODEL.at('expected')}",
        )
    phases = _Phases(decoder, request, platforms, bound, prepare, choices)
    predictions: list[Prediction] = []
    skipped: list[Skipped] = []
    for datatype in dict.fromkeys(datatypes or (None,)):
        for case in phases.at(datatype, dict.fromkeys(batches)):
            answer = (
                _answer(case, bound, model, (figures or {}).get(case.platform.key))
                if isinstance(case, ServingCase)
                else case
            )
            if isinstance(answer, Skipped):
                skipped.append(answer)
            else:
                predictions += answer
    if not predictions and skipped:
        limited = request.max_ttft_s is not None or request.max_tpot_s is not None
        if limited:
            raise OptionError(skipped[0].reason, repair=f"Raise {_MAX_TTFT} or {_MAX_TPOT}")
        if model == "expected":
            repair = f"Ask for a bound: {MODEL.at('equation1')}"
            raise NoBasisError(skipped[0].reason, repair=repair)
    order = {platform.key: place for place, platform in enumerate(platforms)}
    predictions.sort(key=lambda entry: order[entry.platform])
    if not unheld:
        _check_fits(predictions)
    return Sweep(tuple(predictions), tuple(skipped))


@dataclass(frozen=True, slots=True)
class _Phases:
    """A decoder's phases on machines, each predicted as any workload is."""

    decoder: Decoding
    request: Request
    platforms: Sequence[Platform]
    bound: str
    """The model of the phases."""
    prepare: Prepare | None
    choices: Mapping[str, Any]
    """Everything else that a sweep takes."""

    def at(self, datatype: str | None, batches: Iterable[int]) -> Iterator[ServingCase | Skipped]:
        """Yield a case for each batch and machine; those that cannot be are told in its place."""
        machines = {platform.key: platform for platform in self.platforms}
        prompts: dict[int, Sweep] = {}
        for batch in batches:
            step = self._ready(self.decoder.step(self.request, batch), datatype)
            memory = memory_of(step)
            steps = self._sweep(step, datatype)
            yield from steps.skipped
            before: Sequence[Prediction | None] = [None] * len(steps.predictions)
            if self.request.phase is not Phase.DECODE:
                # Behind one another prompts are answered one by one; phase prefill has them all at once.
                together = batch if self.request.phase is Phase.PREFILL else 1
                if together not in prompts:
                    prompt = self._ready(self.decoder.prompt(self.request, together), datatype)
                    prompts[together] = self._sweep(prompt, datatype)
                before = prompts[together].predictions
            for first, then in zip(before, steps.predictions, strict=True):
                machine = machines[then.platform]
                yield ServingCase(self.decoder, self.request, machine, batch, first, then, memory)

    def _ready(self, workload: Workload, datatype: str | None) -> Workload:
        if self.prepare is not None:
            return self.prepare(workload, datatype)
        return workload if datatype is None else at_precision(workload, datatype)

    def _sweep(self, workload: Workload, datatype: str | None) -> Sweep:
        return sweep(
            [workload], self.platforms, datatypes=None if datatype is None else [datatype], batches=[workload.batch],
            model=self.bound, prepare=lambda given, _: given, **self.choices,
        )  # fmt: skip


def _answer(
    case: ServingCase, bound: str, model: str | None, figures: Figures | None
) -> tuple[Prediction, ...] | Skipped:
    """Return what is shown of a case: the bound, the estimate behind it, or why there is neither."""
    enough = case.within_limits()
    if enough is None:
        return case.skipped(
            bound,
            f"no number of devices of {case.step.platform} reaches the limits of {case.step.network} at batch "
            f"{case.batch}, even at the bound",
        )
    row = enough.row()
    if model not in {None, "expected"}:
        return (row,)
    found = estimated(row, enough.platform, enough.parts(), figures)
    if model is None:
        return (row,) if found is None else (row, found)
    if found is None:
        return case.skipped(
            "expected",
            f"no public runs of decoders are a basis for {row.network} on {row.platform} at batch {case.batch} on "
            f"{enough.request.devices} devices",
        )
    return (found,)


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

    def skipped(self, model: str, reason: str) -> Skipped:
        """Return the case as one that a model says nothing of."""
        step = self.step
        return Skipped(step.network, step.platform, step.datatype, self.batch, model, reason)

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
        if tpot is not None:
            each = 1 / tpot
            whole = tpot if first is None else tpot + first / ask.new_tokens
            total = batch / whole
        fits = self._fits(batch, ask.context, ask.devices)
        tokens = Tokens(
            phase=ask.phase.value, context=ask.context, new_tokens=ask.new_tokens, devices=ask.devices,
            spread=ask.spread.value,
            ttft_s=first, tpot_s=tpot, tokens_per_s=total, tokens_per_s_per_user=each,
            kv_bytes_per_token=self.memory.per_token, max_batch=self._max_batch(),
            max_context=self._max_context(), least_devices=self._least_devices(),
            weight_bytes=self._required(0, ask.context, ask.devices),
            cache_bytes=self._required(batch, ask.context, ask.devices)
            - self._required(0, ask.context, ask.devices),
            memory_bytes=self.platform.capacity,
            prefill_bound=None if self.prompt is None else self.prompt.bound.value,
            decode_bound=None if ask.phase is Phase.PREFILL else self.step.bound.value,
        )  # fmt: skip
        parts = [part for part in (self.prompt, self.step) if part is not None]
        return replace(
            main, batch=batch, throughput_fps=None, latency_s=latency, fits=fits,
            required_bytes=self._required(batch, ask.context, ask.devices),
            # Sums over devices may be hidden behind arithmetic.
            upper_bound=ask.devices == 1 and all(part.upper_bound for part in parts), tokens=tokens,
            notes=tuple(dict.fromkeys((*main.notes, *self._notes(fits=fits)))),
        )  # fmt: skip

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
        return self._shared(part, requests, past) + self._reduced(part, requests * new)

    def parts(self) -> Parts:
        """Return what estimates need of the phases, at the bound."""
        ask, prompt = self.request, self.prompt
        return Parts(
            self._shared(self.step, self.batch, ask.context),
            self.step.bytes / self.step.bandwidth,
            None if prompt is None else self._shared(prompt, 1, 0),
            self._reduced(self.step, self.batch) if ask.devices > 1 else 0.0,
            ask.context * (self.batch if ask.phase is Phase.PREFILL else 1),
            self.decoder.roles.layers,
        )

    def _shared(self, part: Prediction, requests: int, past: int) -> float:
        """Return the time of a phase's arithmetic and bytes, without the sums over devices."""
        devices = self.request.devices
        if part.latency_s is None:
            return float("nan")
        if devices == 1 or self.request.spread is Spread.SERIES:
            return part.latency_s
        shares = min(devices, self.decoder.roles.kv_heads or devices)
        twice = (
            requests * self.memory.per_request(past) * (1 / shares - 1 / devices) if past else 0
        )
        moved = (part.bytes / devices + twice) / self.platform.bandwidth
        return max(part.latency_s / devices, moved)

    def _reduced(self, part: Prediction, positions: int) -> float:
        """Return the time of two all-reduces a layer, or of the steps from one device to the next in series.

        Each is of the positions' hidden values.
        """
        link, hidden = self._link, self.decoder.roles.hidden
        if link is None or hidden is None:
            return 0.0
        devices = self.request.devices
        size = positions * hidden * float(precision(part.datatype).activation_bits) / 8
        latency = 0.0 if link.latency is None else link.latency.base
        if self.request.spread is Spread.SERIES:
            return (devices - 1) * (size / link.bandwidth.base + latency)
        each = 2 * (devices - 1) / devices * size / link.bandwidth.base + latency
        return 2 * self.decoder.roles.layers * each

    @property
    def _link(self) -> Link | None:
        specification = self.platform.specification
        return specification.device_link or specification.host_link

    def _required(self, requests: int, context: int, devices: int) -> float:
        length = context + self.request.new_tokens
        # In series a device holds the caches of its layers alone.
        heads = None if self.request.spread is Spread.SERIES else self.decoder.roles.kv_heads
        return self.memory.on_one(requests, length, devices, heads)

    def _fits(self, requests: int, context: int, devices: int) -> bool | None:
        capacity = self.platform.capacity
        return None if capacity is None else self._required(requests, context, devices) <= capacity

    def _max_batch(self) -> int | None:
        capacity, ask = self.platform.capacity, self.request
        if capacity is None:
            return None
        weights = self._required(0, ask.context, ask.devices)
        each = self._required(1, ask.context, ask.devices) - weights
        return max(int((capacity - weights) // each), 0) if each else None

    def _max_context(self) -> int | None:
        if self.platform.capacity is None:
            return None
        low, high = 0, (self.decoder.roles.positions or 2**30) + 1 - self.request.new_tokens
        while low < high:
            middle = (low + high + 1) // 2
            if self._fits(self.batch, middle, self.request.devices):
                low = middle
            else:
                high = middle - 1
        return max(low, 0)

    def _least_devices(self) -> int | None:
        counts = self.decoder.counts(self.request.spread)
        return next(
            (count for count in counts if self._fits(self.batch, self.request.context, count)),
            None,
        )

    def _notes(self, *, fits: bool | None) -> list[str]:
        notes: list[str] = []
        if fits is False:
            notes.append(self._excess())
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

    def _excess(self) -> str:
        """Say by how much it does not fit, and what would."""
        ask, capacity = self.request, self.platform.capacity or 0.0
        weights = self.memory.weights / ask.devices
        required = self._required(self.batch, ask.context, ask.devices)
        fewest = self._least_devices()
        largest = (
            f"the largest that fit: batch {self._max_batch()} at this context, context {self._max_context():,} at "
            "this batch"
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


_SHARING = {
    Spread.TENSOR: "share every layer and add up",
    Spread.SERIES: "have layers in series and hand on",
}


def _check_fits(predictions: Sequence[Prediction]) -> None:
    """Refuse what fits nowhere: its rates would be of a machine that cannot be bought.

    Raises:
        OptionError: No prediction fits; the message says by how much, and what would.
    """
    if predictions and all(entry.fits is False for entry in predictions):
        why = next(note for note in predictions[0].notes if "does not fit" in note)
        raise OptionError(
            why,
            repair=f"Change {DEVICES}, {BATCH}, {argument('context')} or the datatype, or add a machine",
        )
