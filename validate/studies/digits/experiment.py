"""The experiment step by step: train, compress, evaluate, predict, measure; what is finished is not done again."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from roofline.compress.sparsity import zero_share
from roofline.compress.tensors import read_whole
from roofline.errors import MissingPackageError, OptionError
from roofline.model import predict
from roofline.speedup import ideal_speedup
from roofline.surfaces import argument
from roofline.tables import Record, Row
from roofline.validate.accuracy.datasets import LabelledItems
from roofline.validate.accuracy.evaluation import Accuracy, evaluate, with_accuracy
from roofline.validate.analysis.compare import backend_label, compare
from roofline.validate.measuring.backend import backends
from roofline.validate.measuring.measure import measure
from roofline.validate.measuring.runnable_model import write_whole
from roofline.validate.records.compression import compression_of
from roofline.validate.records.flag import join_flags
from roofline.validate.records.record import Measurement
from roofline.validate.records.request import Protocol, RunRequest
from roofline.validate.records.store import Store
from roofline.validate.records.tuning import Tuning
from roofline.validate.studies.digits.data import SOURCE, Split
from roofline.validate.studies.digits.networks import TITLES, count
from roofline.validate.studies.digits.variants import (
    FINE_TUNING,
    FROM_SCRATCH,
    VARIANTS,
    Variant,
    make,
    train_dense,
)

if TYPE_CHECKING:
    from roofline.model import Prediction
    from roofline.spec import Platform
    from roofline.workload import Workload

BATCHES = (1, 64)
"""Images per inference."""

TUNED = ("dense", "channels_0.5", "channels_0.25", "channels_0.125", "sparsity_0.9", "int8")
"""Variants that TVM is tuned for; the others run with its default schedules."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class VariantFile:
    """A variant that was written as a file."""

    network: str
    variant: Variant
    path: Path
    accuracy: Accuracy
    zero_share: float
    """Share of the weights that multiply which are zero."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of the experiment is done."""

    networks: Sequence[str] = tuple(TITLES)
    variants: Sequence[Variant] = VARIANTS
    epochs: int = FROM_SCRATCH.epochs
    """Of the dense networks; training again takes half as many."""
    trials: int = 24
    """Schedules that TVM tries for each kernel; 0 leaves TVM out."""
    budget_s: float = 60.0
    """Time that tuning one variant may take."""
    sampling_s: float = 3.0


def check_packages(plan: Plan) -> None:
    """See that everything the plan needs is installed, before hours are spent on a part of it.

    Raises:
        MissingPackageError: torch, scikit-learn, matplotlib, ONNX Runtime or TVM is not installed.
    """
    purpose = "the digits experiment"
    for module, package, extra in (
        ("torch", "torch", "experiments"), ("sklearn", "scikit-learn", "experiments"),
        ("matplotlib", "matplotlib", "plot"),
    ):  # fmt: skip
        if importlib.util.find_spec(module) is None:
            raise MissingPackageError(package, extra, purpose)
    for backend in ("onnxruntime", "tvm") if plan.trials else ("onnxruntime",):
        missing = backends.get(backend).missing()
        if missing:
            raise MissingPackageError(missing, "validate", purpose)


def make_all(plan: Plan, split: Split, folder: Path, say: Say) -> list[VariantFile]:
    """Train both networks, write every variant, and evaluate it on the held-out images.

    Args:
        plan: What to make.
        split: The images.
        folder: Files go to ``NETWORK/VARIANT/NETWORK.onnx`` below it; those that are there are taken as they are.
        say: Told a line for each variant.

    Raises:
        OptionError: The folder holds networks that were trained longer or shorter than the plan says.
        MissingPackageError: torch or ONNX Runtime is not installed.
    """
    _same_training(plan, folder)
    test = LabelledItems(split.test_images, split.test_labels, SOURCE)
    made: list[VariantFile] = []
    for network in plan.networks:
        dense_path = _path(folder, network, VARIANTS[0])
        if not dense_path.exists():
            trained = train_dense(network, split, replace(FROM_SCRATCH, epochs=plan.epochs))
            _write(dense_path, trained.SerializeToString())
        dense = read_whole(dense_path)
        again = replace(FINE_TUNING, epochs=-(-plan.epochs // 2))
        for variant in plan.variants:
            path = _path(folder, network, variant)
            if not path.exists():
                _write(path, make(variant, dense, split, again).SerializeToString())
            accuracy = evaluate(path, test, name=network)
            made.append(
                VariantFile(network, variant, path, accuracy, zero_share(read_whole(path)))
            )
            say(f"{network} {variant.key}: {accuracy.top1:.2%} of {accuracy.items} right")
    return made


def measure_all(
    made: Sequence[VariantFile], machine: Platform, plan: Plan, folder: Path, say: Say
) -> list[tuple[VariantFile, Measurement]]:
    """Run every variant on one thread of this machine, with ONNX Runtime and TVM.

    Args:
        made: The variants.
        machine: This machine, calibrated for one thread.
        plan: Trials and times.
        folder: Keeps the records; runs that ended well are not measured again.
        say: Told a line for each run.
    """
    runs: list[tuple[VariantFile, Measurement]] = []
    with Store(folder / "records.db") as store:
        kept = {_identity(run): run for run in store.records() if run.ok}
        for entry in made:
            for request in _requests(entry, plan):
                run = kept.get(_run_key(entry, request, machine))
                if run is None:
                    run = measure(request, machine=machine.key)
                    run = with_accuracy(run, entry.accuracy)
                    store.add(run)
                runs.append((entry, run))
                say(_line(entry, run))
    return runs


def rows(
    made: Sequence[VariantFile],
    runs: Sequence[tuple[VariantFile, Measurement]],
    machine: Platform,
    elsewhere: Sequence[Platform],
) -> list[Record]:
    """Return the results: one row for each variant, machine, batch and program that ran it.

    The columns are those that the charts ``pareto``, ``speedup`` and ``efficiency`` take, and more.
    """
    base = {network: count(network) for network in {entry.network for entry in made}}
    dense = {
        (entry.network, backend_label(run), run.job.batch): run.throughput_fps
        for entry, run in runs
        if entry.variant.key == VARIANTS[0].key and run.ok
    }
    table: list[Record] = []
    for entry in made:
        workload = entry.variant.request.under(base[entry.network])
        own = [run for other, run in runs if other is entry]
        for batch in BATCHES:
            for platform in (machine, *elsewhere):
                before = predict(base[entry.network], platform, batch=batch)
                after = predict(workload, platform, batch=batch)
                row = {
                    **_describe(entry, base[entry.network], workload),
                    **_prediction_columns(before, after),
                }
                measured = [run for run in own if platform is machine and run.job.batch == batch]
                table += [
                    row | _measured_columns(after, run, row, dense, machine)
                    for run in measured or [None]
                ]
    return table


def _describe(entry: VariantFile, base: Workload, workload: Workload) -> Record:
    found = entry.accuracy.record()
    return {
        "network": entry.network, "variant": entry.variant.key, "technique": entry.variant.technique,
        "pruning": entry.variant.pruning, "datatype": entry.variant.datatype, "task": "digits", "macs": workload.macs,
        "effective_macs": workload.effective_macs, "parameters": workload.parameters,
        "weight_bytes": workload.weight_bytes, "zero_share": round(entry.zero_share, 4),
        "accuracy": found["accuracy"], "accuracy_low": found["accuracy_low"], "accuracy_high": found["accuracy_high"],
        "items": found["items"], "accuracy_source": found["data"], "expected_speedup": ideal_speedup(base, workload),
    }  # fmt: skip


def _prediction_columns(before: Prediction, after: Prediction) -> Record:
    slow, fast = before.throughput_fps, after.throughput_fps
    return {
        "platform": after.platform, "batch": after.batch, "predicted_fps": fast,
        "bound": after.bound.value, "intensity": after.intensity,
        "predicted_speedup": None if slow is None or fast is None else fast / slow,
    }  # fmt: skip


def _measured_columns(
    prediction: Prediction,
    run: Measurement | None,
    row: Row,
    dense: Mapping[tuple[str, str, int], float | None],
    machine: Platform,
) -> Record:
    names = (
        "backend", "trials", "executed", "measured_fps", "median_us", "efficiency", "achieved_speedup",
        "achieved_share", "status", "explanation", "flags",
    )  # fmt: skip
    if run is None:
        return dict.fromkeys(names)
    speed = run.throughput_fps if run.ok else None
    before = dense.get((row["network"], backend_label(run), run.job.batch))
    gained = None if speed is None or before is None else speed / before
    pairs = compare([prediction], [run], platforms={machine.key: machine})
    compared = next(iter(pairs), None)
    return dict(zip(names, (
        backend_label(run), run.job.trials or None, run.operands, speed,
        None if run.median_s is None else 1e6 * run.median_s, None if compared is None else compared.efficiency, gained,
        None if gained is None else gained / row["expected_speedup"], run.status.value,
        "" if compared is None else compared.explanation, join_flags(run.flags) or run.reason,
    ), strict=True))  # fmt: skip


def _requests(entry: VariantFile, plan: Plan) -> list[RunRequest]:
    """Return what runs a variant: ONNX Runtime everything, TVM what it computes in the datatype itself."""
    variant = entry.variant
    request = RunRequest(
        str(entry.path), "onnxruntime", threads=1, compression=compression_of(variant.request),
        datatype=variant.datatype,
        protocol=Protocol(runs=2000, warmup=20, sampling_s=plan.sampling_s, time_limit_s=300.0),
    )  # fmt: skip
    found = [replace(request, batch=batch) for batch in BATCHES]
    if not plan.trials or variant.datatype not in {"fp32", "int8"}:
        return found
    for batch in BATCHES:
        if variant.key in TUNED:
            tuned = replace(
                request, backend="tvm", batch=batch, tuning=Tuning.TUNED, trials=plan.trials,
                tuning_budget_s=plan.budget_s,
            )  # fmt: skip
            found.append(tuned)
    return [*found, replace(request, backend="tvm", batch=BATCHES[0], tuning=Tuning.UNTUNED)]


def _run_key(
    entry: VariantFile, request: RunRequest, machine: Platform
) -> tuple[str | int | None, ...]:
    """Return what a kept run must agree in to stand for a wanted one."""
    tuning = request.tuning or Tuning.NONE
    trials = request.trials if tuning is Tuning.TUNED else 0
    model = entry.accuracy.model_sha256
    return model, request.backend, tuning, trials, request.batch, machine.key


def _identity(run: Measurement) -> tuple[str | int | None, ...]:
    job = run.job
    return job.model_sha256, job.backend, job.tuning, job.trials, job.batch, run.machine


def _same_training(plan: Plan, folder: Path) -> None:
    """Note in the folder how long its networks were trained, so that no other run mixes its own with them."""
    note = folder / "training.json"
    if not note.exists():
        _write(note, f"{json.dumps({'epochs': plan.epochs})}\n".encode())
    epochs = json.loads(note.read_text(encoding="utf-8"))["epochs"]
    if epochs != plan.epochs:
        raise OptionError(
            f"the networks in {folder} were trained for {epochs} epochs, not {plan.epochs}",
            repair=f"Use {argument('epochs').at(epochs)}, or another folder as {argument('output')}",
        )


def _line(entry: VariantFile, run: Measurement) -> str:
    name = f"{entry.network} {entry.variant.key} on {backend_label(run)}, batch {run.job.batch}"
    if run.median_s is None:
        return f"{name}: {run.status.value}, {run.reason}"
    flags = f" ({join_flags(run.flags)})" if run.flags else ""
    return f"{name}: {1e6 * run.median_s:.4g} µs{flags}"


def _path(folder: Path, network: str, variant: Variant) -> Path:
    return folder / network / variant.key / f"{network}.onnx"


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content)
