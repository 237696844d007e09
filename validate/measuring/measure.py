"""Measures a model with a backend: every step in a process of its own, one record whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from roofline import errors
from roofline.errors import MeasurementError, MissingPackageError, OptionError, RooflineError
from roofline.validate.measuring.backend import Artifact, Backend, backends
from roofline.validate.measuring.environment import available_cores, describe
from roofline.validate.measuring.process import Ended, run_step
from roofline.validate.measuring.runnable_model import cache_folder
from roofline.validate.records.compression import Compression
from roofline.validate.records.failure import Failure, FailureKind
from roofline.validate.records.plain import from_plain
from roofline.validate.records.record import (
    Check,
    Environment,
    Job,
    KernelTime,
    Measurement,
    Protocol,
    Scalar,
    Status,
)
from roofline.validate.tvm.boards.tracker import WAIT_S

DEFAULT_TRIALS = 16
"""Schedules tried per kernel when tuning without a number given."""

Report = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Options:
    """What a measurement is asked to do; the defaults are those of the command line."""

    tuning: str = ""
    """``untuned`` or ``tuned``; empty is the backend's own default."""
    trials: int = DEFAULT_TRIALS
    tuning_budget_s: float = 0.0
    threads: int = 0
    """0 is every core this process may use."""
    batch: int | None = None
    dims: Mapping[str, int] = field(default_factory=dict[str, int])
    compression: Compression = field(default_factory=Compression)
    datatype: str = ""
    """Empty is the model's own."""
    algorithm: str = "default"
    target: str = "local"
    """Where it runs: ``local``, or the name of a board."""
    machine: str = ""
    fresh: bool = False
    """Whether kept compiled programs and tuning results are made again."""
    backend_options: Mapping[str, Scalar] = field(default_factory=dict[str, Scalar])
    protocol: Protocol = field(default_factory=Protocol)


def measure(
    model: str,
    *,
    backend: str = "tvm",
    options: Options | None = None,
    folder: Path | None = None,
    report: Report | None = None,
) -> Measurement:
    """Run a model on this machine and return the record of it.

    Args:
        model: Path of an ``.onnx`` file, or the name of a shipped network; missing weights are random.
        backend: Name of a registered backend.
        options: How it is run and timed.
        folder: Where compiled programs and tuning results are kept; None is the user's cache.
        report: Told of progress: what is being done, steps done, steps in all.

    Returns:
        The record. A crash, a hang, a lack of memory or a wrong result is a record too, with its status
        and reason.

    Raises:
        MeasurementError: The backend is unknown.
        OptionError: The backend does not know an option's value.
        MissingPackageError: The backend's package is not installed.
        ModelError: The model cannot be read.
        DimensionError: A symbolic dimension has no value.
    """
    asked = options or Options()
    chosen = backends.get(backend)
    _check_options(backend, chosen, asked)
    run = _Run(chosen, asked, folder or cache_folder(), report or _silent)
    made = run.make(model)
    job = _job(backend, chosen, asked, made.result or {}, model)
    if made.status is not Status.OK:
        return run.failed(job, made)
    return run.measure(job, made.result or {})


def _check_options(name: str, backend: Backend, options: Options) -> None:
    missing = backend.missing()
    if missing:
        raise MissingPackageError(missing, "validate", f"measuring with {backend.title}")
    if options.tuning and options.tuning not in backend.tunings:
        known = ", ".join(backend.tunings)
        raise OptionError(
            f"{name} has no tuning {options.tuning!r}", repair=f"Use one of: {known}"
        )
    for flag, value, least in (
        ("--trials", options.trials, 1),
        ("--threads", options.threads, 0),
        ("--batch", 1 if options.batch is None else options.batch, 1),
        ("--runs", options.protocol.runs, 1),
        ("--time-limit", options.protocol.time_limit_s, 0),
    ):
        if value < least:
            raise OptionError(f"{flag} must be at least {least}, not {value}")


def _job(
    name: str, backend: Backend, options: Options, made: Mapping[str, Any], model: str
) -> Job:
    tuning = options.tuning or backend.tunings[0]
    tuned = tuning == "tuned"
    return Job(
        network=made.get("network", Path(model).stem),
        backend=name,
        model_sha256=made.get("sha256", ""),
        compression=options.compression,
        datatype=options.datatype or made.get("datatype", "fp32"),
        batch=made.get("batch") or options.batch or 1,
        threads=options.threads or available_cores(),
        tuning=tuning,
        trials=options.trials if tuned else 0,
        tuning_budget_s=options.tuning_budget_s if tuned else 0.0,
        algorithm=options.algorithm,
        target=options.target,
        options=dict(options.backend_options),
        protocol=options.protocol,
    )


class _Run:
    """The steps of one measurement; each is a process."""

    def __init__(self, backend: Backend, options: Options, folder: Path, report: Report) -> None:
        self._backend = backend
        self._options = options
        self._folder = folder
        self._report = report

    def make(self, model: str) -> Ended:
        """Read the model and fill in what it lacks; input errors are raised, not recorded."""
        ended = self._step(
            {
                "action": "make",
                "model": model,
                "batch": self._options.batch,
                "dims": dict(self._options.dims),
                "seed": self._options.protocol.seed,
            },
            {},
        )
        if ended.status is Status.FAILED and ended.result is not None:
            raise _again(ended.result)
        return ended

    def measure(self, job: Job, made: Mapping[str, Any]) -> Measurement:
        """Prepare, compute the reference, run and time."""
        common = {
            "job": asdict(job),
            "model": made["model"],
            "inputs": made["inputs"],
            "fresh": self._options.fresh,
        }
        variables = self._backend.environment(job)
        # Tuning has a budget of its own; only compiling counts against the time limit.
        tuning_s = job.tuning_budget_s if job.tuning_budget_s else float("inf")
        extra_s = tuning_s if job.tuning == "tuned" else 0.0
        # Waiting for a board that others use is no part of a run either.
        waiting_s = 0.0 if job.target == "local" else WAIT_S
        prepared = self._step(
            {**common, "action": "prepare"}, variables, extra_s=extra_s + waiting_s
        )
        if prepared.status is not Status.OK or prepared.result is None:
            return self.failed(job, prepared)
        artifact = from_plain(Artifact, prepared.result)
        reference, why = self._reference(made)
        request = {
            **common,
            "action": "run",
            "artifact": prepared.result,
            "reference": reference,
            "reference_by": why if reference else "",
            "why_unchecked": "" if reference else why,
        }
        ended = self._step(request, variables, extra_s=waiting_s)
        if ended.status is not Status.OK or ended.result is None:
            return self.failed(job, ended, artifact)
        return self._record(job, ended.result, artifact, made)

    def failed(self, job: Job, ended: Ended, artifact: Artifact | None = None) -> Measurement:
        """Return the record of a run that did not end well."""
        return Measurement(
            job,
            ended.status,
            ended.failure,
            machine=self._options.machine,
            compiled_for=artifact.compiled_for if artifact is not None else "",
            compile_s=artifact.compile_s if artifact is not None else None,
            tune_s=artifact.tune_s if artifact is not None else None,
            environment=describe(self._backend.versions(), None, None),
            timestamp=now(),
        )

    def _record(
        self,
        job: Job,
        result: Mapping[str, Any],
        artifact: Artifact,
        made: Mapping[str, Any],
    ) -> Measurement:
        check = Check(**result["check"])
        notes = list(artifact.notes)
        if made["filled"]:
            notes.append(f"{made['filled']} weights are random (seed {job.protocol.seed})")
        right = check.passed is not False
        if right:
            status, failure = Status.OK, None
        else:
            why = check.why or f"relative error {check.max_rel_error:.2g}"
            detail = f"outputs differ from the reference: {why}"
            status, failure = Status.WRONG, Failure(FailureKind.WRONG_OUTPUTS, detail)
        return Measurement(
            job,
            status,
            failure,
            machine=self._options.machine,
            executed=artifact.executed
            if artifact.executed.datatype
            else replace(artifact.executed, datatype=job.datatype),
            compiled_for=artifact.compiled_for,
            samples_s=tuple(result.get("samples_s", ())),
            first_s=result["first_s"],
            wall_s=result.get("wall_s"),
            cpu_s=result.get("cpu_s"),
            peak_rss_bytes=result["peak_rss_bytes"],
            compile_s=artifact.compile_s,
            tune_s=artifact.tune_s,
            kernels=artifact.kernels,
            untuned_kernels=artifact.untuned_kernels,
            check=check,
            environment=Environment(**result["environment"]),
            kernel_times=tuple(KernelTime(**time) for time in result.get("kernel_times", ())),
            notes=tuple(notes),
            timestamp=now(),
        )

    def _reference(self, made: Mapping[str, Any]) -> tuple[str, str]:
        """Return the file of the reference outputs and what computed it, or nothing and why."""
        backend = backends.get("onnxruntime")
        if backend.missing():
            return "", "onnxruntime, which computes the reference, is not installed"
        path = Path(made["inputs"]).with_name("reference_outputs.npz")
        if not path.exists():
            request = {
                "action": "reference",
                "model": made["model"],
                "inputs": made["inputs"],
                "reference": str(path),
            }
            ended = self._step(request, {})
            if ended.status is not Status.OK:
                return "", f"no reference: {ended.reason}"
        from roofline.validate.backends.onnxruntime import REFERENCE

        return str(path), REFERENCE

    def _step(
        self, request: Mapping[str, Any], variables: Mapping[str, str], *, extra_s: float = 0.0
    ) -> Ended:
        protocol = self._options.protocol
        limit = protocol.time_limit_s + extra_s
        return run_step(
            {"folder": str(self._folder), **request},
            environment=variables,
            time_limit_s=limit if limit != float("inf") else 0.0,
            memory_limit_bytes=protocol.memory_limit_bytes,
            report=self._report,
        )


def _again(result: Mapping[str, Any]) -> RooflineError:
    """Return the error that a worker met, as its own class."""
    kind = getattr(errors, str(result["error"]), MeasurementError)
    made = MeasurementError(result["message"], repair=result["repair"])
    if (
        isinstance(kind, type)
        and issubclass(kind, RooflineError)
        and kind is not MissingPackageError
    ):
        made = kind(result["message"], repair=result["repair"])
    return made


def _silent(what: str, done: int, total: int) -> None:
    """Take no notice of progress."""


def now() -> str:
    """Return the time for a record: ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
