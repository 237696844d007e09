"""Tunes a program within one budget: algorithms of convolutions, tiles of kernels on blocks, schedules of the rest.

What is found is kept: tiles and algorithms by processor, schedules by program. A later call goes on where one ended.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roofline.number_format import plural
from roofline.progress import Report
from roofline.validate.measuring.backend import Request
from roofline.validate.records.request import RunRequest
from roofline.validate.records.tuning import Tuning
from roofline.validate.tvm.plan import BEST, BLOCKED, Computation
from roofline.validate.tvm.setup import lanes

if TYPE_CHECKING:
    from roofline.validate.tvm.blocked.tile_search import Findings
    from roofline.validate.tvm.tuning.algorithm_choice import Choice, Choices
    from roofline.validate.tvm.tuning.kernel_records import KernelRecords

SHIPPED_TILES = "shipped_tiles"
"""Name of the job's option that, when false, leaves aside the tiles that come with the program."""

FEW_TILES = "few_tiles"
"""Name of the job's option that, when true, ends the search of a kernel's tile with the best of the first few."""


def variant(job: RunRequest) -> str:
    """Return the name of what is kept for a job beside other tunings of the same program."""
    if job.tuning is not Tuning.TUNED:
        return "untuned"
    return f"tuned-{job.trials}-few" if job.options.get(FEW_TILES) else f"tuned-{job.trials}"


@dataclass(frozen=True, slots=True)
class TuningResult:
    """What tuning came to."""

    seconds: float
    finished: bool
    notes: tuple[str, ...]


def tune(
    request: Request, how: Computation, target: Any, database: Path, report: Report
) -> TuningResult:
    """Choose algorithms, try tiles for what has a template and schedules for the rest, within one budget.

    Args:
        request: The model, the job with its budget in seconds, and where findings are kept.
        how: How the layers are computed.
        target: The TVM target.
        database: Folder of MetaSchedule's schedules.
        report: Told of every step.
    """
    from roofline.validate.tvm.blocked import tile_search as tiling
    from roofline.validate.tvm.importing import import_model
    from roofline.validate.tvm.tuning import metaschedule as _tvm_tune

    job = request.job
    start = time.monotonic()

    def remaining_s() -> float:
        spent = time.monotonic() - start
        return max(1e-3, job.tuning_budget_s - spent) if job.tuning_budget_s else 0.0

    notes: list[str] = []
    finished = True
    choices: Choices | None = None
    if how.algorithm == BEST:
        choices, chosen = _choose(request, how, target, database, remaining_s() / 2, report)
        finished = chosen.finished
        if chosen.left:
            notes.append(f"the budget ended before {plural(chosen.left, 'choice')} of algorithms")
        if chosen.failed:
            notes.append(
                f"no algorithm could be timed for {plural(chosen.failed, 'convolution')}: blocked"
            )
    if job.tuning is not Tuning.TUNED:
        return TuningResult(time.monotonic() - start, finished, tuple(notes))
    module = import_model(request.model, target, how, choices).module
    findings = findings_of(request, target)
    searched = tiling.search(
        module, target, findings, budget_s=remaining_s(), workers=job.threads, report=report,
        again=request.fresh, few=bool(job.options.get(FEW_TILES)),
    )  # fmt: skip
    finished = finished and searched.finished
    if not searched.finished:
        notes.append(f"the budget ended after {plural(searched.tried, 'tile')}")
    module = tiling.schedule_blocks(
        module, lanes(target), findings.tile, tune_products=how.algorithm != BLOCKED
    )
    tuned = _tvm_tune.tune(
        module, target, database,
        trials=job.trials, budget_s=remaining_s(), threads=job.threads, report=report,
        shared=kernel_records(request, target),
    )  # fmt: skip
    if not tuned.finished:
        notes.append(f"the tuning budget ended after {plural(tuned.trials, 'trial')}")
    return TuningResult(time.monotonic() - start, finished and tuned.finished, tuple(notes))


def findings_of(request: Request, target: Any) -> Findings:
    """Return the tiles that are known for a target, and where those of this machine are kept."""
    from roofline.validate.tvm.blocked.tile_search import findings_for

    cpu = str(target.attrs["mcpu"])
    shipped = bool(request.job.options.get(SHIPPED_TILES, True)) and not request.fresh
    return findings_for(request.folder / "tvm", cpu, lanes(target), fresh=not shipped)


def kernel_records(request: Request, target: Any) -> KernelRecords:
    """Return what programs for a target tried of their kernels; a request for a fresh start takes nothing of it."""
    from roofline.validate.tvm.tuning.kernel_records import KernelRecords

    return KernelRecords(request.folder / "tvm" / "kernels", target, known=not request.fresh)


def choices_of(request: Request, target: Any) -> Choices:
    """Return the algorithms that were chosen for a target."""
    from roofline.validate.tvm.tuning.algorithm_choice import Choices

    cpu = str(target.attrs["mcpu"])
    name = f"algorithms-{cpu}-{lanes(target)}-{variant(request.job)}.json"
    return Choices(request.folder / "tvm" / name)


def _choose(
    request: Request,
    how: Computation,
    target: Any,
    database: Path,
    budget_s: float,
    report: Report,
) -> tuple[Choices, Choice]:
    """Choose the algorithm of every convolution of a model for which none was chosen before."""
    from roofline.validate.tvm.tuning import algorithm_choice as best

    job = request.job
    choices = choices_of(request, target)
    convs = best.convolutions(request.model, target, how)
    if request.fresh:
        choices.forget(convs)
    chosen = best.choose(
        convs, choices, target, findings_of(request, target), database,
        trials=job.trials, budget_s=budget_s, threads=job.threads, report=report,
        shared=kernel_records(request, target),
    )  # fmt: skip
    return choices, chosen
