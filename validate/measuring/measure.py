"""Measures a model with a backend: every step in a process of its own, one record whatever happens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from roofline import errors
from roofline.errors import (
    MeasurementError,
    MissingPackageError,
    OptionError,
    RooflineError,
    printable,
)
from roofline.number_format import plural
from roofline.progress import Report, tell_nobody
from roofline.user_folders import cache_folder
from roofline.validate.measuring.backend import Artifact, Backend, Request, backends
from roofline.validate.measuring.environment import available_cores, describe
from roofline.validate.measuring.process import Outcome, run_step
from roofline.validate.measuring.runnable_model import Runnable
from roofline.validate.measuring.steps import (
    Action,
    Make,
    Prepare,
    RaisedError,
    Refer,
    Run,
    RunResult,
)
from roofline.validate.records.failure import Failure, FailureKind
from roofline.validate.records.record import Measurement, Status
from roofline.validate.records.request import RunRequest
from roofline.validate.records.tuning import Tuning

R = TypeVar("R")

_REFERENCE = "reference-2.npz"
"""File of the reference's outputs in the cache; another number where what it holds changes, so that none is misread."""


def measure(
    request: RunRequest,
    *,
    model: str = "",
    machine: str = "",
    fresh: bool = False,
    folder: Path | None = None,
    report: Report | None = None,
) -> Measurement:
    """Run a network as requested and return the record of it.

    Args:
        request: The network and how it is run and timed; weights that it lacks are random.
        model: The file that is run in the network's place: what its compression has made of it.
        machine: Key of the platform that it runs on, for the record.
        fresh: Whether kept compiled programs and tuning results are made again.
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
    chosen = backends.get(request.backend)
    _check(request, chosen)
    run = _Run(
        chosen, request, machine, folder or cache_folder(), report or tell_nobody, fresh=fresh
    )
    made = run.make(model or request.network)
    job = _fill_in(request, chosen, made.answer)
    if made.answer is None:
        return run.failure(job, made)
    return run.measure(job, made.answer)


def _check(request: RunRequest, backend: Backend) -> None:
    missing = backend.missing()
    if missing:
        raise MissingPackageError(missing, "validate", f"measuring with {backend.title}")
    if request.tuning and request.tuning not in backend.capabilities.tunings:
        known = ", ".join(backend.capabilities.tunings)
        raise OptionError(
            f"{request.backend} has no tuning {request.tuning!r}", repair=f"Use one of: {known}"
        )
    for name, value, least in (
        ("trials", request.trials, 0),
        ("threads", request.threads, 0),
        ("batch", request.batch, 0),
        ("runs", request.protocol.runs, 1),
        ("time_limit_s", request.protocol.time_limit_s, 0),
    ):
        if value < least:
            raise OptionError(f"{name} must be at least {least}, not {value}")


def _fill_in(request: RunRequest, backend: Backend, made: Runnable | None) -> RunRequest:
    """Return a request with the backend's and the model's own values where it leaves them the choice."""
    tuning = request.tuning or backend.capabilities.tunings[0]
    tuned = tuning is Tuning.TUNED
    return replace(
        request,
        network=printable(Path(request.network).stem) if made is None else made.network,
        model_sha256="" if made is None else made.sha256,
        datatype=request.datatype or ("fp32" if made is None else made.datatype),
        batch=(0 if made is None else made.batch) or request.batch or 1,
        threads=request.threads or available_cores(),
        tuning=tuning,
        trials=max(1, request.trials) if tuned else 0,
        tuning_budget_s=request.tuning_budget_s if tuned else 0.0,
    )


@dataclass(frozen=True, slots=True)
class _Run:
    """The steps of one measurement; each is a process."""

    backend: Backend
    request: RunRequest
    machine: str
    folder: Path
    report: Report
    fresh: bool

    def make(self, model: str) -> Outcome[Runnable]:
        """Read the model and fill in what it lacks; input errors are raised, not recorded."""
        asked = self.request
        make = Make(
            model, asked.binding, asked.protocol.seed, self.folder, asked.phase, asked.context
        )
        made = self._step(make, {})
        if made.raised is not None:
            raise _rebuild_error(made.raised)
        return made

    def measure(self, job: RunRequest, made: Runnable) -> Measurement:
        """Prepare, compute the reference, run and time."""
        request = Request(job, made.model, self.folder, fresh=self.fresh)
        variables = self.backend.environment(job)
        # Tuning has a budget of its own; only compiling counts against the time limit.
        tuning_s = job.tuning_budget_s if job.tuning_budget_s else float("inf")
        extra_s = tuning_s if job.tuning is Tuning.TUNED else 0.0
        # Waiting for a machine that others use is no part of a run either.
        waiting_s = self.backend.capabilities.waiting_s
        prepared = self._step(Prepare(request), variables, extra_s=extra_s + waiting_s)
        artifact = prepared.answer
        if artifact is None:
            return self.failure(job, prepared)
        action = Run(request, artifact, made.inputs, *self._reference(made))
        run = self._step(action, variables, extra_s=waiting_s)
        if run.answer is None:
            return self.failure(job, run, artifact)
        return self._record(job, run.answer, artifact, made)

    def failure(
        self, job: RunRequest, outcome: Outcome[Any], artifact: Artifact | None = None
    ) -> Measurement:
        """Return the record of a run that did not end well."""
        return Measurement(
            job,
            outcome.status,
            outcome.failure,
            machine=self.machine,
            compiled_for=artifact.compiled_for if artifact is not None else "",
            compile_s=artifact.compile_s if artifact is not None else None,
            tune_s=artifact.tune_s if artifact is not None else None,
            environment=describe(self.backend.versions(), None, None),
            timestamp=now(),
        )

    def _record(
        self,
        job: RunRequest,
        result: RunResult,
        artifact: Artifact,
        made: Runnable,
    ) -> Measurement:
        check, taken = result.check, result.samples
        notes = list(artifact.notes)
        if made.filled:
            notes.append(
                f"{plural(made.filled, 'weight is', 'weights are')} random (seed {job.protocol.seed})"
            )
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
            machine=self.machine,
            executed=artifact.executed
            if artifact.executed.datatype
            else replace(artifact.executed, datatype=job.datatype),
            compiled_for=artifact.compiled_for,
            samples_s=taken.samples_s,
            first_s=result.first_s,
            wall_s=taken.wall_s,
            cpu_s=taken.cpu_s,
            peak_rss_bytes=result.peak_rss_bytes,
            compile_s=artifact.compile_s,
            tune_s=artifact.tune_s,
            tuning_finished=artifact.tuning_finished,
            kernels=artifact.kernels,
            untuned_kernels=artifact.untuned_kernels,
            check=check,
            environment=result.environment,
            kernel_times=result.kernel_times,
            notes=tuple(notes),
            timestamp=now(),
        )

    def _reference(self, made: Runnable) -> tuple[Path | None, str]:
        """Return the file of the reference outputs and what computed it, or nothing and why."""
        backend = backends.get("onnxruntime")
        if backend.missing():
            return None, "onnxruntime, which computes the reference, is not installed"
        path = made.inputs.with_name(_REFERENCE)
        if not path.exists():
            written = self._step(Refer(made.model, made.inputs, path), {})
            if written.answer is None:
                return None, f"no reference: {written.reason}"
        from roofline.validate.backends.onnxruntime import REFERENCE

        return path, REFERENCE

    def _step(
        self, action: Action[R], variables: Mapping[str, str], *, extra_s: float = 0.0
    ) -> Outcome[R]:
        protocol = self.request.protocol
        limit = protocol.time_limit_s + extra_s
        return run_step(
            action,
            environment=variables,
            time_limit_s=limit if limit != float("inf") else 0.0,
            memory_limit_bytes=protocol.memory_limit_bytes,
            report=self.report,
        )


def _rebuild_error(raised: RaisedError) -> RooflineError:
    """Return the error that a process met, as its own class."""
    kind = getattr(errors, raised.kind, MeasurementError)
    known = isinstance(kind, type) and issubclass(kind, RooflineError)
    if not known or kind is MissingPackageError:
        kind = MeasurementError
    return kind(raised.message, repair=raised.repair)


def now() -> str:
    """Return the time for a record: ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
