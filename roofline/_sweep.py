"""Predictions for every combination of networks, machines, datatypes and batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

from roofline.arguments import check_list
from roofline.conventions import Operations, Traffic, WeightsRead
from roofline.errors import DatatypeError, NoBasisError, OptionError
from roofline.model import Choices, Prediction, at_precision, choose_unit
from roofline.model._prediction import draw
from roofline.model._request import own_precision, predictions_at
from roofline.number_format import plural
from roofline.precision import precision
from roofline.progress import Report, tell_nobody
from roofline.spec import Platform
from roofline.tables import frame
from roofline.workload import Workload

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from roofline.model._law_estimates import Effect


Prepare = Callable[[Workload, str | None], Workload]
"""Brings a workload to a datatype, None for its own, where more than its datatype is to change."""


@dataclass(frozen=True, slots=True)
class Omission:
    """A combination that was asked for and cannot be: the machine has no such unit, or the model no basis."""

    network: str
    platform: str
    datatype: str
    batch: int
    model: str
    reason: str

    def record(self) -> dict[str, Any]:
        """Return the combination as a row of predictions: without figures, and with the reason in ``skipped``."""
        named: dict[str, Any] = asdict(self)
        return named | {"skipped": named.pop("reason"), "basis": [], "notes": []}


@dataclass(frozen=True, slots=True)
class Sweep:
    """Predictions in the order networks, machines, datatypes, batches, and what was left out."""

    predictions: tuple[Prediction, ...]
    skipped: tuple[Omission, ...] = ()

    def __repr__(self) -> str:
        return f"<Sweep of {plural(len(self.predictions), 'prediction')}, {len(self.skipped):,} left out>"

    @classmethod
    def join(cls, parts: Iterable[Sweep]) -> Sweep:
        """Return several sweeps as one; what is left out of more than one of them stands in it once."""
        listed = list(parts)
        return cls(
            tuple(entry for part in listed for entry in part.predictions),
            tuple(dict.fromkeys(entry for part in listed for entry in part.skipped)),
        )

    def records(self) -> list[dict[str, Any]]:
        """Return one row per prediction."""
        return [prediction.record() for prediction in self.predictions]

    def rows(self) -> list[dict[str, Any]]:
        """Return one row per prediction and, behind them, one for each combination that was left out."""
        rows = self.records()
        empty: dict[str, Any] = dict.fromkeys(rows[0]) if rows else {}
        return [*rows, *(empty | gone.record() for gone in self.skipped)]

    def to_frame(self) -> pd.DataFrame:
        """Return one row per prediction (needs pandas)."""
        return frame(self.records())

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the machines' rooflines with every prediction as a point (needs matplotlib).

        Args:
            ax: Axes to draw into; by default those of a new figure.
        """
        return draw("roofline", self.records(), ax)


def sweep(
    workloads: Sequence[Workload],
    platforms: Sequence[Platform],
    *,
    datatypes: Sequence[str] | None = None,
    batches: Sequence[int] | None = None,
    model: str | None = "equation1",
    traffic: Traffic | str | None = None,
    operations: Operations | str | None = None,
    weights_read: WeightsRead | str = WeightsRead.PER_BATCH,
    emulate: bool = False,
    runtime: str | None = None,
    effects: Mapping[str, Effect] | None = None,
    prepare: Prepare | None = None,
    report: Report = tell_nobody,
) -> Sweep:
    """Predict every combination.

    A machine that lacks a datatype is left out for that datatype, provided that another machine has it.

    Args:
        workloads: Networks, and variants of them.
        platforms: Machines.
        datatypes: Precisions; by default each workload's own.
        batches: Items per batch; by default each workload's.
        model: Name of a prediction model; None for the bound of Equation 1 and behind it the best estimate.
        traffic: A traffic assumption; by default the model's own.
        operations: ``macs`` or ``all``; by default the model's own.
        weights_read: ``per-batch`` or ``per-item``.
        emulate: Whether the next wider unit may stand in for a missing one.
        runtime: The runtime of an estimate from published runs; by default the fastest of the machine's class.
        effects: What figures of single machines say of them, by key; for estimates from published runs.
        prepare: Brings a workload to a datatype (None for its own) where more than its datatype is to change.
        report: Is told which network comes next, and of how many.

    Raises:
        DatatypeError: No machine has one of the datatypes.
        NoBasisError: The model has no basis for any combination.
        OptionError: A name or a batch is not allowed, or there is no network or no machine.
    """
    _check_lists(workloads, platforms, datatypes, batches)
    names = (
        (None,) if datatypes is None else dict.fromkeys(precision(name).name for name in datatypes)
    )
    batches = None if batches is None else list(dict.fromkeys(batches))
    platforms = distinct(platforms)
    common: Choices = {
        "traffic": traffic, "operations": operations, "weights_read": weights_read, "emulate": emulate,
        "runtime": runtime, "effects": effects,
    }  # fmt: skip
    ready = _ready(workloads, names, prepare, report)
    return _predict_cases(_cases(ready, platforms, emulate=emulate), batches, model, common)


def _predict_cases(
    cases: Iterable[tuple[Workload, Platform, str | None]],
    batches: Sequence[int] | None,
    model: str | None,
    common: Choices,
) -> Sweep:
    """Return what is predicted of each case, and what is left out for want of a unit or a basis."""
    predictions: list[Prediction] = []
    skipped: list[Omission] = []
    errors: list[DatatypeError | NoBasisError] = []
    for network, platform, datatype in cases:
        sizes = batches or (network.batch,)
        choices: Choices = {"datatype": datatype, **common}
        try:
            predictions += predictions_at(network, platform, sizes, model, choices)
        except (DatatypeError, NoBasisError) as error:
            errors.append(error)
            skipped += _omissions(network, platform, datatype, sizes, model, error.message)
    if not predictions:
        raise errors[0]
    return Sweep(tuple(predictions), tuple(skipped))


def _ready(
    workloads: Sequence[Workload],
    datatypes: Iterable[str | None],
    prepare: Prepare | None,
    report: Report,
) -> Iterator[Mapping[str | None, Workload]]:
    """Yield each network at each datatype."""
    for done, workload in enumerate(workloads):
        report(workload.name, done, len(workloads))
        yield {name: _prepare(workload, name, prepare) for name in datatypes}


def _cases(
    ready: Iterable[Mapping[str | None, Workload]],
    platforms: Sequence[Platform],
    *,
    emulate: bool,
) -> Iterator[tuple[Workload, Platform, str | None]]:
    """Yield each network at each of its datatypes on each machine.

    Raises:
        DatatypeError: No machine has one of the datatypes.
    """
    for at in ready:
        for datatype, network in at.items():
            check_units(network, platforms, datatype, emulate=emulate)
        for platform, datatype in product(platforms, at):
            yield at[datatype], platform, datatype


def distinct(platforms: Sequence[Platform]) -> list[Platform]:
    """Return each machine once, however often and under however many names it was asked for."""
    found: dict[str, list[Platform]] = {}
    for platform in platforms:
        # Files of two users may describe machines of one key.
        alike = found.setdefault(platform.key, [])
        if platform not in alike:
            alike.append(platform)
    return [platform for alike in found.values() for platform in alike]


def _omissions(
    network: Workload, platform: Platform, datatype: str | None, batches: Sequence[int], model: str | None, reason: str
) -> list[Omission]:  # fmt: skip
    name = datatype or str(own_precision(network, platform))
    return [
        Omission(network.name, platform.key, name, batch, model or "equation1", reason)
        for batch in batches
    ]


def _check_lists(
    workloads: Sequence[Workload],
    platforms: Sequence[Platform],
    datatypes: Sequence[str] | None,
    batches: Sequence[int] | None,
) -> None:
    check_list(workloads, Workload, "workloads", "Load each: rl.load('resnet50')")
    check_list(platforms, Platform, "platforms", "Find each: rl.platform('h100-sxm')")
    if datatypes is not None:
        check_list(datatypes, str, "datatypes", "Give their names: ['fp16', 'int8']")
    if batches is not None:
        check_list(batches, int, "batches", "Give whole numbers: [1, 8]")
    lists = (("networks", workloads), ("platforms", platforms), ("datatypes", datatypes))
    for noun, entries in lists:
        if entries is not None and not entries:
            raise OptionError(f"the list of {noun} is empty", repair="Name at least one")


def _prepare(
    workload: Workload,
    datatype: str | None,
    prepare: Prepare | None,
) -> Workload:
    if prepare is not None:
        return prepare(workload, datatype)
    return workload if datatype is None else at_precision(workload, datatype)


def check_units(
    workload: Workload, platforms: Sequence[Platform], datatype: str | None, *, emulate: bool
) -> None:
    """Refuse a datatype that none of the machines has."""
    refused: DatatypeError | None = None
    for platform in platforms:
        try:
            choose_unit(platform, datatype or own_precision(workload, platform), emulate=emulate)
        except DatatypeError as error:
            refused = refused or error
        else:
            return
    if refused is not None:
        raise refused
