"""Predictions for every combination of networks, machines, datatypes and batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

from roofline.arguments import check_list
from roofline.errors import DatatypeError, OptionError
from roofline.model import Prediction, at_precision, choose_unit, predict
from roofline.model._prediction import drawn, frame
from roofline.precision import precision
from roofline.spec import Platform
from roofline.workload import Workload

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True, slots=True)
class Skipped:
    """A combination that was asked for and cannot be: the machine has no such unit."""

    platform: str
    datatype: str
    reason: str


@dataclass(frozen=True, slots=True)
class Sweep:
    """Predictions in the order networks, machines, datatypes, batches, and what was left out."""

    predictions: tuple[Prediction, ...]
    skipped: tuple[Skipped, ...] = ()

    def records(self) -> list[dict[str, Any]]:
        """Return one row per prediction."""
        return [prediction.record() for prediction in self.predictions]

    def to_frame(self) -> pd.DataFrame:
        """Return one row per prediction (needs pandas)."""
        return frame(self.records())

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the machines' rooflines with every prediction as a point (needs matplotlib).

        Args:
            ax: Axes to draw into; by default those of a new figure.
        """
        return drawn("roofline", self.records(), ax)


def sweep(
    workloads: Sequence[Workload],
    platforms: Sequence[Platform],
    *,
    datatypes: Sequence[str] | None = None,
    batches: Sequence[int] | None = None,
    model: str = "equation1",
    traffic: str | None = None,
    operations: str | None = None,
    weights_read: str = "per-batch",
    emulate: bool = False,
    prepare: Callable[[Workload, str | None], Workload] | None = None,
) -> Sweep:
    """Predict every combination.

    A machine that lacks one of the datatypes is left out for that datatype, provided that another machine has it
    and that the machine has another of them.

    Args:
        workloads: Networks, and variants of them.
        platforms: Machines.
        datatypes: Precisions; by default each workload's own.
        batches: Items per batch; by default each workload's.
        model: Name of a prediction model.
        traffic: A traffic assumption; by default the model's own.
        operations: ``macs`` or ``all``; by default the model's own.
        weights_read: ``per-batch`` or ``per-item``.
        emulate: Whether the next wider unit may stand in for a missing one.
        prepare: Brings a workload to a datatype (None for its own) where more than its datatype is to change.

    Raises:
        DatatypeError: No machine has one of the datatypes, or a machine has none of them.
        OptionError: A name or a batch is not allowed, or there is no network or no machine.
    """
    check_list(workloads, Workload, "workloads", "Load each: rl.load('resnet50')")
    check_list(platforms, Platform, "platforms", "Find each: rl.platform('h100-sxm')")
    if datatypes is not None:
        check_list(datatypes, str, "datatypes", "Give their names: ['fp16', 'int8']")
        datatypes = list(dict.fromkeys(precision(name).name for name in datatypes))
    if batches is not None:
        check_list(batches, int, "batches", "Give whole numbers: [1, 8]")
    for things, flag in (
        (workloads, "networks"),
        (platforms, "platforms"),
        (datatypes, "datatypes"),
    ):
        if things is not None and not things:
            raise OptionError(f"the list of {flag} is empty", repair="Name at least one")
    skipped = _missing_units(platforms, datatypes, emulate=emulate)
    left_out = {(entry.platform, entry.datatype) for entry in skipped}
    predictions: list[Prediction] = []
    for workload in workloads:
        ready = {name: _prepared(workload, name, prepare) for name in datatypes or (None,)}
        for platform, datatype, batch in product(platforms, ready, batches or (None,)):
            if datatype is not None and (platform.key, datatype) in left_out:
                continue
            predictions.append(
                predict(
                    ready[datatype], platform, datatype=datatype,
                    batch=batch, model=model, traffic=traffic, operations=operations,
                    weights_read=weights_read, emulate=emulate,
                )
            )  # fmt: skip
    return Sweep(tuple(predictions), skipped)


def _prepared(
    workload: Workload,
    datatype: str | None,
    prepare: Callable[[Workload, str | None], Workload] | None,
) -> Workload:
    if prepare is not None:
        return prepare(workload, datatype)
    return workload if datatype is None else at_precision(workload, datatype)


def _missing_units(
    platforms: Sequence[Platform], datatypes: Sequence[str] | None, *, emulate: bool
) -> tuple[Skipped, ...]:
    missing: dict[tuple[str, str], DatatypeError] = {}
    for platform, datatype in product(platforms, datatypes or ()):
        try:
            choose_unit(platform, datatype, emulate=emulate)
        except DatatypeError as error:
            missing[platform.key, datatype] = error
    for datatype in datatypes or ():
        lacking = [missing[p.key, datatype] for p in platforms if (p.key, datatype) in missing]
        if len(lacking) == len(platforms):
            raise lacking[0]
    for platform in platforms:
        lacking = [
            missing[platform.key, d] for d in datatypes or () if (platform.key, d) in missing
        ]
        if lacking and len(lacking) == len(datatypes or ()):
            raise lacking[0]
    return tuple(Skipped(*key, error.message) for key, error in missing.items())
