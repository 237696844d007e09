"""The main job end to end: count, predict on several machines, measure here, and compare."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from roofline.errors import DatatypeError, PlatformError
from roofline.number_format import plural
from roofline.progress import Report
from roofline.validate.analysis.compare import Comparison, compare
from roofline.validate.calibration.calibrate import (
    Roofs,
    calibrate,
    keep_best,
    platform_document,
    warnings,
)
from roofline.validate.calibration.this_machine import machine_threads
from roofline.validate.measuring.backend import backends
from roofline.validate.measuring.measure import measure
from roofline.validate.records.flag import join_flags
from roofline.validate.records.record import Measurement
from roofline.validate.records.request import Protocol, RunRequest
from roofline.validate.records.tuning import Tuning

if TYPE_CHECKING:
    from roofline.model import Prediction
    from roofline.spec import Platform
    from roofline.workload import Workload

MACHINES = (
    ("i7-3820", "fp32"), ("tx2:maxn", "fp16"), ("agx-orin:maxn", "fp16"), ("edgetpu:fast", "int8"),
    ("zcu104-dpu", "int8"), ("h100-sxm", "fp16"),
)  # fmt: skip
"""Machines that networks are predicted on, each at the datatype it is used with."""

NETWORKS = ("mlp", "cnv", "mobilenet_v1")
"""Shipped networks that are measured, beside ResNet-50 from the onnx package."""

RESNET = "light_resnet50"

_TUNED = (("mlp", 16, 0.05), ("cnv", 16, 0.15), ("mobilenet_v1", 8, 0.35), (RESNET, 8, 0.45))
"""Networks tuned with TVM, where they are here: schedules per kernel, and the share of the tuning time."""

_FIXED_S = 125.0
"""Seconds of everything but tuning, on two cores: counting, calibrating, compiling, timing, drawing."""

_SAMPLING_S = 4.0
_CALIBRATION_S = 10.0
_AGAIN = 2
"""How often this machine is measured again while runs exceed its peak."""
KEY = "this-machine"


@dataclass(frozen=True, slots=True)
class Demo:
    """Everything the demo found."""

    workloads: tuple[Workload, ...]
    predictions: tuple[Prediction, ...]
    """On other machines and on this one."""
    roofs: tuple[Roofs, ...]
    document: dict[str, object]
    """This machine's platform file."""
    machine: Platform
    measurements: tuple[Measurement, ...]
    comparisons: tuple[Comparison, ...]
    notes: tuple[str, ...]
    seconds: float


def run_demo(*, minutes: float, report: Report, remark: Callable[[str], None]) -> Demo:
    """Run it.

    Args:
        minutes: Time it may take on a machine with nothing else to do; tuning gets what is left over.
        report: Told of progress.
        remark: Told a line when a step is done.

    Returns:
        What was counted, predicted and measured.
    """
    import roofline

    start = time.monotonic()
    models = models_here()
    workloads = tuple(roofline.load(model) for model in models)
    remark(f"counted {plural(len(workloads), 'network')}")
    elsewhere, notes = _predict_other_machines(workloads)
    remark(f"predicted them on {len({entry.platform for entry in elsewhere})} machines")
    roofs = calibrate(seconds=_CALIBRATION_S, report=report)
    machine = _machine_of(roofs)
    remark(f"calibrated this machine: {_describe_roofs(machine)}")
    plan, missing = _plan(models, minutes)
    notes += missing
    threads = machine_threads(machine)
    runs: list[Measurement] = []
    for request in plan:
        run = measure(replace(request, threads=threads), machine=machine.key, report=report)
        runs.append(run)
        remark(_line(run))
    here, comparisons = _compare_runs(workloads, machine, runs)
    for _ in range(_AGAIN):
        if not any(entry.doubtful for entry in comparisons):
            break
        # No run exceeds a true peak: whatever held this machine back while it was measured may be over.
        roofs = keep_best(roofs, calibrate(seconds=_CALIBRATION_S, report=report))
        machine = _machine_of(roofs)
        remark(f"runs exceed that; calibrated this machine again: {_describe_roofs(machine)}")
        here, comparisons = _compare_runs(workloads, machine, runs)
    return Demo(
        workloads, (*here, *elsewhere), roofs, platform_document(roofs, KEY), machine, tuple(runs), comparisons,
        (*notes, *warnings(roofs)), time.monotonic() - start,
    )  # fmt: skip


def _machine_of(roofs: Sequence[Roofs]) -> Platform:
    """Return this machine with its roofs."""
    from roofline.spec import from_mapping, in_mode

    return in_mode(from_mapping(platform_document(roofs, KEY)), None)


def _describe_roofs(machine: Platform) -> str:
    peak, bandwidth = machine.peak("fp32") / 1e9, machine.bandwidth / 1e9
    return f"{peak:,.0f} GFLOP/s fp32, {bandwidth:.3g} GB/s"


def _compare_runs(
    workloads: Sequence[Workload], machine: Platform, runs: Sequence[Measurement]
) -> tuple[list[Prediction], tuple[Comparison, ...]]:
    """Return the predictions of this machine, and runs beside them."""
    import roofline

    predictor = roofline.predict
    here = [predictor(workload, machine, datatype="fp32") for workload in workloads]
    return here, compare(here, runs, platforms={machine.key: machine})


def models_here() -> list[str | Path]:
    """Return the shipped networks of the demo, and ResNet-50 where the onnx package brings it."""
    models: list[str | Path] = list(NETWORKS)
    spec = importlib.util.find_spec("onnx")
    if spec is not None and spec.origin is not None:
        light = Path(spec.origin).parent / f"backend/test/data/light/{RESNET}.onnx"
        if light.is_file():
            models.append(light)
    return models


def _plan(models: Sequence[str | Path], minutes: float) -> tuple[list[RunRequest], list[str]]:
    """Return the runs to make, and what is left out for want of a package."""
    protocol = Protocol(sampling_s=_SAMPLING_S, time_limit_s=120.0)
    plan: list[RunRequest] = []
    notes: list[str] = []
    if backends.get("onnxruntime").missing():
        notes.append("onnxruntime is not installed: no ceiling beside TVM, outputs not checked")
    else:
        plan += [RunRequest(str(model), "onnxruntime", protocol=protocol) for model in models]
    if backends.get("tvm").missing():
        notes.append("apache-tvm is not installed: nothing was compiled and tuned here")
        return plan, notes
    untuned = RunRequest("mlp", "tvm", tuning=Tuning.UNTUNED, protocol=replace(protocol, runs=20))
    plan.append(untuned)
    tuning_s = max(20.0, minutes * 60.0 - _FIXED_S)
    named = {Path(model).stem: model for model in models}
    for name, trials, share in _TUNED:
        if name not in named:
            continue
        tuned = RunRequest(
            str(named[name]), "tvm", tuning=Tuning.TUNED, trials=trials,
            tuning_budget_s=share * tuning_s, protocol=protocol,
        )  # fmt: skip
        plan.append(tuned)
    return plan, notes


def _predict_other_machines(workloads: Sequence[Workload]) -> tuple[list[Prediction], list[str]]:
    import roofline

    found: list[Prediction] = []
    notes: list[str] = []
    for key, datatype in MACHINES:
        try:
            machine = roofline.platform(key)
            found += [roofline.predict(entry, machine, datatype=datatype) for entry in workloads]
        except (PlatformError, DatatypeError) as error:
            notes.append(f"{key} left out: {error.message}")
    return found, notes


def _line(run: Measurement) -> str:
    name = run.job.brief
    if not run.ok or run.median_s is None:
        return f"{name}: {run.status.value}, {run.reason}"
    tuned = f", tuned in {run.tune_s:.0f} s" if run.tune_s is not None else ""
    flags = f" ({join_flags(run.flags)})" if run.flags else ""
    return f"{name}: {run.median_s * 1e3:.3g} ms{tuned}{flags}"
