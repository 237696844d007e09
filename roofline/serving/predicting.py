"""Decoders on machines: a case for each machine, datatype and batch, and what is shown of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Unpack

from roofline._sweep import Omission, Prepare, Sweep, sweep
from roofline.decoding.memory import memory_of
from roofline.decoding.phases import Decoding
from roofline.decoding.request import Phase, Request
from roofline.errors import NoBasisError, OptionError
from roofline.expected_tokens import Figures, estimate_beside
from roofline.model import Prediction, at_precision, models
from roofline.model._request import CommonChoices
from roofline.number_format import plural
from roofline.serving.case import ServingCase
from roofline.surfaces import BATCH, CONTEXT_LENGTH, DEVICES, MAX_TPOT, MAX_TTFT, MODEL

if TYPE_CHECKING:
    from roofline.spec import Platform
    from roofline.workload import Workload


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
    **choices: Unpack[CommonChoices],
) -> Sweep:
    """Predict a decoder's phases.

    Args:
        decoder: The network.
        request: Lengths, phase and devices.
        platforms: Machines, each the kind of all devices.
        datatypes: Precisions; by default that which its weights are published in, else the graph's own.
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
    bound = _bound(model)
    answers: list[_Answer] = []
    skipped: list[Omission] = []
    for case in cases(
        decoder, request, platforms, datatypes=datatypes, batches=batches, bound=bound, prepare=prepare, **choices
    ):  # fmt: skip
        answer = (
            case
            if isinstance(case, Omission)
            else _answer(case, bound, model, (figures or {}).get(case.platform.key))
        )
        if isinstance(answer, Omission):
            skipped.append(answer)
        else:
            answers.append(answer)
    if not answers and skipped:
        _refuse(skipped[0].reason, request, model)
    order = {platform.key: place for place, platform in enumerate(platforms)}
    answers.sort(key=lambda answer: order[answer.case.platform.key])
    if not unheld:
        _check_fits(answers)
    return Sweep(tuple(row for answer in answers for row in answer.rows), tuple(skipped))


def cases(
    decoder: Decoding,
    request: Request,
    platforms: Sequence[Platform],
    *,
    datatypes: Sequence[str] = (),
    batches: Sequence[int] = (1,),
    bound: str = "equation1",
    prepare: Prepare | None = None,
    **choices: Unpack[CommonChoices],
) -> Iterator[ServingCase | Omission]:
    """Yield a decoder on each machine at each datatype and batch; those that cannot be are told in their place.

    Takes what `serve` takes; `bound` is the model of the phases.

    Raises:
        OptionError: The request is longer than the model's positions, or its heads do not spread over the devices.
    """
    request = decoder.fit(request)
    decoder.check(request)
    phases = _Phases(decoder, request, platforms, bound, prepare, choices)
    for datatype in dict.fromkeys(datatypes or (decoder.stored or None,)):
        yield from phases.at(datatype, dict.fromkeys(batches))


def _bound(model: str | None) -> str:
    """Return the model that phases are predicted with."""
    bound = "equation1" if model in {None, "expected"} else str(model)
    if not models.get(bound).upper_bound:
        raise OptionError(
            f"{bound} rests on no runs of decoders",
            repair=f"Ask for a bound, {MODEL.at('equation1')}, or {MODEL.at('expected')}",
        )
    return bound


def _refuse(reason: str, request: Request, model: str | None) -> None:
    """Refuse a request of which nothing is left to show, where limits or the model's basis took it."""
    if request.max_ttft_s is not None or request.max_tpot_s is not None:
        raise OptionError(reason, repair=f"Raise {MAX_TTFT} or {MAX_TPOT}")
    if model == "expected":
        raise NoBasisError(reason, repair=f"Ask for a bound: {MODEL.at('equation1')}")


@dataclass(frozen=True, slots=True)
class _Phases:
    """A decoder's phases on machines, each predicted as any workload is."""

    decoder: Decoding
    request: Request
    platforms: Sequence[Platform]
    bound: str
    """The model of the phases."""
    prepare: Prepare | None
    choices: CommonChoices
    """Everything else that a sweep takes."""

    def at(self, datatype: str | None, batches: Iterable[int]) -> Iterator[ServingCase | Omission]:
        """Yield a case for each batch and machine; those that cannot be are told in its place."""
        machines = {platform.key: platform for platform in self.platforms}
        prompts: dict[int, Sweep] = {}
        alone: Mapping[str, Prediction] = {}
        for batch in batches:
            step = self._ready(self.decoder.step(self.request, batch), datatype)
            memory = memory_of(step)
            steps = self._sweep(step, datatype)
            if batch > 1 and not alone:
                one = self._sweep(
                    self._ready(self.decoder.step(self.request, 1), datatype), datatype
                )
                alone = {row.platform: row for row in one.predictions}
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
                yield ServingCase(
                    self.decoder, self.request, machine, batch, first, then, memory,
                    alone.get(then.platform) if batch > 1 else None,
                )  # fmt: skip

    def _ready(self, workload: Workload, datatype: str | None) -> Workload:
        if self.prepare is not None:
            return self.prepare(workload, datatype)
        return workload if datatype is None else at_precision(workload, datatype)

    def _sweep(self, workload: Workload, datatype: str | None) -> Sweep:
        return sweep(
            [workload], self.platforms, datatypes=None if datatype is None else [datatype], batches=[workload.batch],
            model=self.bound, prepare=lambda given, _: given, **self.choices,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Answer:
    """What is shown of a case: the bound, an estimate, or both."""

    case: ServingCase
    """On the devices that reach the request's limits."""
    rows: tuple[Prediction, ...]


def _answer(
    case: ServingCase, bound: str, model: str | None, figures: Figures | None
) -> _Answer | Omission:
    """Return what is shown of a case: the bound, the estimate behind it, or why there is neither."""
    enough = case.within_limits()
    if enough is None:
        return case.omission(
            bound,
            f"no number of devices of {case.step.platform} reaches the limits of {case.step.network} at batch "
            f"{case.batch}, even at the bound",
        )
    row = enough.row()
    if model not in {None, "expected"}:
        return _Answer(enough, (row,))
    found = estimate_beside(row, enough.platform, enough.parts(), figures)
    if model is None:
        return _Answer(enough, (row,) if found is None else (row, found))
    if found is None:
        return case.omission(
            "expected",
            f"no public runs of decoders are a basis for {row.network} on {row.platform} at batch {case.batch} on "
            f"{plural(enough.request.devices, 'device')}",
        )
    return _Answer(enough, (found,))


def _check_fits(answers: Sequence[_Answer]) -> None:
    """Refuse what fits nowhere: its rates would be of a machine that cannot be bought.

    Raises:
        OptionError: No prediction fits; the message says by how much, and what would.
    """
    if answers and all(row.fits is False for answer in answers for row in answer.rows):
        raise OptionError(
            answers[0].case.excess(),
            repair=f"Change {DEVICES}, {BATCH}, {CONTEXT_LENGTH} or the datatype, or add a machine",
        )
