"""Predictions of networks as they were run: in the datatypes and batches that were measured, and layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from roofline.errors import DatatypeError, OptionError
from roofline.model import Prediction, choose_unit, predict
from roofline.model._request import own_precision
from roofline.precision import precision
from roofline.spec import Platform
from roofline.surfaces import argument
from roofline.tables import Record
from roofline.validate.measuring.kernel_times import layer_rows
from roofline.validate.records.record import Measurement
from roofline.workload import Workload


@dataclass(frozen=True, slots=True)
class RunPredictions:
    """What is predicted of networks that were run."""

    predictions: tuple[Prediction, ...]
    failed: tuple[tuple[str, DatatypeError], ...]
    """Networks that ran in a datatype for which the machine has no unit."""


def check_units(workloads: Sequence[Workload], machine: Platform, *, emulate: bool) -> None:
    """Refuse, before anything is run, what cannot be compared: no network can run in a datatype of the machine.

    Runtimes take fp32 where they cannot do what is asked, so a machine that has fp32 may still have a run to compare.

    Raises:
        DatatypeError: The machine has the datatype of none of the networks, nor fp32.
    """
    errors: list[DatatypeError] = []
    for workload in workloads:
        asked = own_precision(workload, machine)
        for name in (str(asked), "fp32"):
            try:
                choose_unit(machine, precision(name), emulate=emulate)
            except DatatypeError as error:
                errors.append(error)
            else:
                return
    if errors:
        raise errors[0]


def predict_measured(
    workloads: Sequence[Workload],
    runs: Sequence[Measurement],
    machine: Platform,
    models: Sequence[str],
    *,
    emulate: bool,
) -> RunPredictions:
    """Return predictions of networks at the datatypes and batches they ran at.

    Args:
        workloads: The networks.
        runs: Their runs.
        machine: What they ran on.
        models: Names of prediction models.
        emulate: Whether a datatype that the machine lacks is predicted on its next wider unit.

    Raises:
        DatatypeError: The machine has a unit for none of the datatypes.
    """
    found: list[Prediction] = []
    failed: list[tuple[str, DatatypeError]] = []
    for workload in workloads:
        own = [(_datatype(run), run.job.batch) for run in runs if run.job.shown == workload.name]
        for datatype, batch in dict.fromkeys(own):
            try:
                found += [
                    predict(
                        workload, machine, datatype=datatype, batch=batch, model=model, emulate=emulate
                    )
                    for model in models
                ]  # fmt: skip
            except DatatypeError as error:
                failed.append((workload.name, error))
    if failed and not found:
        raise failed[0][1]
    return RunPredictions(tuple(found), tuple(failed))


def _datatype(run: Measurement) -> str:
    """Return the datatype that a run is predicted at.

    Of decoders narrow weights are most of what is read, so they are taken as they are stored.
    """
    return run.asked if run.job.phase and not run.is_emulated else run.operands


def predict_layers(
    workloads: Sequence[Workload], runs: Sequence[Measurement], machine: Platform
) -> list[Record]:
    """Return predicted and measured time of every layer of runs whose kernels were timed.

    Args:
        workloads: The networks.
        runs: Their runs.
        machine: What they ran on.

    Raises:
        OptionError: No run has times of its kernels.
    """
    rows = [
        row
        for workload in workloads
        for run in runs
        if run.kernel_times and run.job.network == workload.name
        for row in layer_rows(
            run,
            predict(
                workload, machine, datatype=run.job.datatype, batch=run.job.batch, model="layerwise"
            ),
        )
    ]  # fmt: skip
    if not rows:
        raise OptionError(
            "no layer was timed",
            repair=f"Use {argument('backend').at('tvm')}, which can time single kernels",
        )
    return rows
