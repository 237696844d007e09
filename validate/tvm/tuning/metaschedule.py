"""Tunes the kernels of a module with MetaSchedule within a budget, kernel by kernel, resumably."""

from __future__ import annotations

import importlib
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roofline.progress import Report
from roofline.validate.tvm.calls import is_scheduled, kernel_functions
from roofline.validate.tvm.tuning.kernel_records import KernelRecords
from roofline.validate.tvm.tuning.schedule_timing import builder_and_runner

LIGHT_TRIALS = 4
"""Schedules tried for a kernel without a reduction worth the name: it has few that differ."""

RANDOM_TRIALS = 32
"""Schedules of a kernel that are drawn at random before any search: with few trials, searching takes
seven times the CPU time of drawing and finds nothing better."""

_FIRST = 4
_BATCH = 16
"""Schedules built and timed together; the first round is short, so that a small budget reaches every
kernel."""

_SEEDS_APART = 100_003
"""More than the schedules of any kernel: no two seeds draw alike."""

_WORKLOADS, _RECORDS = "database_workload.json", "database_tuning_record.json"
_HEAVY = ("conv", "matmul", "dense", "einsum")


@dataclass(frozen=True, slots=True)
class TuningResult:
    """What tuning came to."""

    seconds: float
    kernels: int
    trials: int
    """Schedules tried in this call."""
    finished: bool
    """Whether every kernel got its trials before the budget was used up."""


def open_database(folder: Path) -> Any:
    """Open, or start, the database of schedules in a folder.

    A line that a killed process left half-written is dropped; everything before it is kept.
    """
    ms: Any = importlib.import_module("tvm.s_tir.meta_schedule")
    folder.mkdir(parents=True, exist_ok=True)
    workloads, records = folder / _WORKLOADS, folder / _RECORDS
    for path in (workloads, records):
        _drop_torn_line(path)
    return ms.database.JSONDatabase(str(workloads), str(records), module_equality="structural")


def tune(
    module: Any,
    target: Any,
    folder: Path,
    *,
    trials: int,
    budget_s: float,
    threads: int,
    report: Report,
    shared: KernelRecords | None = None,
    seed: int = 0,
) -> TuningResult:
    """Try schedules for every kernel until each has its number or time is up.

    Every kernel first gets a short round, so that none stays untuned while others are polished; from
    then on the one with the largest share of the running time goes first. What is already in the
    database counts.

    Args:
        module: A Relax module with fused kernels.
        target: The TVM target.
        folder: Where the database is kept.
        trials: Schedules to try for a kernel with a convolution or matrix product.
        budget_s: Seconds it may take; 0 is no limit.
        threads: Cores to build on.
        report: Told of every batch: the kernel and its best time so far.
        shared: What other programs tried of the same kernels, with the seed 0.
        seed: Other schedules are drawn with another one; the database is to be that seed's own.

    Returns:
        How long it took and whether it finished.
    """
    ms: Any = importlib.import_module("tvm.s_tir.meta_schedule")
    start = time.monotonic()
    database = open_database(folder)
    kernels = _kernels(ms, module, target)
    if shared is not None:
        for kernel in kernels:
            have = _count_records(database, kernel)
            shared.take(kernel, database, have, _trials_of(kernel, trials))
    searcher = _Searcher(ms, target, folder, database, trials, threads, seed)
    goals = [goal for goal in (_FIRST, *range(_BATCH, trials, _BATCH)) if goal < trials]
    total = sum(_trials_of(kernel, trials) for kernel in kernels)
    done = sum(
        min(_count_records(database, kernel), _trials_of(kernel, trials)) for kernel in kernels
    )
    tried = 0
    for number, goal in enumerate([*goals, trials]):
        order = (
            sorted(kernels, key=lambda kernel: -_share(database, kernel)) if number else kernels
        )
        for kernel in order:
            known = _count_records(database, kernel)
            missing = min(goal, _trials_of(kernel, trials)) - known
            if missing <= 0:
                continue
            if budget_s and time.monotonic() - start > budget_s:
                return TuningResult(time.monotonic() - start, len(kernels), tried, finished=False)
            searcher.search(kernel, known, missing)
            if shared is not None:
                shared.keep(kernel, folder / _WORKLOADS, folder / _RECORDS)
            tried += missing
            best = f"{_best_s(database, kernel) * 1e3:.3g} ms"
            report(f"tuning {kernel.task_name}: {best}", done + tried, total)
    return TuningResult(time.monotonic() - start, len(kernels), tried, finished=True)


class _Searcher:
    """Tries schedules of one kernel at a time, at random first, then by evolution under a cost model."""

    def __init__(
        self,
        ms: Any,
        target: Any,
        folder: Path,
        database: Any,
        trials: int,
        threads: int,
        seed: int,
    ) -> None:
        self._ms = ms
        self._folder = folder
        self._database = database
        self._threads = threads
        self._seed = seed
        self._builder, self._runner = builder_and_runner(ms, target, threads)
        self._learns = trials > RANDOM_TRIALS
        self._model = (
            ms.cost_model.XGBModel(num_tuning_cores=threads, num_warmup_samples=RANDOM_TRIALS)
            if self._learns
            else ms.cost_model.RandomModel(seed=0)
        )

    def search(self, kernel: Any, known: int, missing: int) -> None:
        """Try ``missing`` more schedules of a kernel that has ``known`` of them."""
        ms = self._ms
        contexts, weights = ms.relax_integration.extracted_tasks_to_tune_contexts(
            [kernel],
            work_dir=str(self._folder / "logs"),
            strategy=self._strategy(known),
            num_threads=self._threads,
            seed=1 + known + _SEEDS_APART * self._seed,
        )
        callbacks = [ms.measure_callback.AddToDatabase()]
        if self._learns:
            callbacks.append(ms.measure_callback.UpdateCostModel())
        ms.tune_tasks(
            tasks=contexts,
            task_weights=weights,
            work_dir=str(self._folder),
            max_trials_global=missing,
            num_trials_per_iter=missing,
            builder=self._builder,
            runner=self._runner,
            database=self._database,
            cost_model=self._model,
            measure_callbacks=callbacks,
        )

    def _strategy(self, known: int) -> Any:
        search = self._ms.search_strategy
        if known < RANDOM_TRIALS:
            return search.ReplayTrace()
        return search.EvolutionarySearch(
            population_size=128,
            init_measured_ratio=0.5,
            init_min_unmeasured=24,
            genetic_num_iters=3,
        )


@dataclass(frozen=True, slots=True)
class Tries:
    """What was tried for one kernel."""

    name: str
    calls: int
    """How often the module calls the kernel."""
    seconds: tuple[float, ...]
    """Time of every schedule, in the order they were tried; infinite where one did not run."""


def tries(module: Any, target: Any, folder: Path) -> tuple[Tries, ...]:
    """Return what a database holds of every kernel with a convolution or matrix product, in the order of trying.

    Args:
        module: A Relax module with fused kernels.
        target: The TVM target.
        folder: Where the database is kept.
    """
    ms: Any = importlib.import_module("tvm.s_tir.meta_schedule")
    structural_hash: Any = importlib.import_module("tvm_ffi").structural_hash
    open_database(folder)  # drops what a killed process left half-written
    tried: dict[int, list[float]] = {}
    for line in (folder / _RECORDS).read_text(encoding="utf-8").splitlines():
        workload, (_, seconds, *_) = json.loads(line)
        ran = [float(entry) for entry in seconds or ()]
        tried.setdefault(workload, []).append(min(ran, default=math.inf))
    lines = (folder / _WORKLOADS).read_text(encoding="utf-8").splitlines()
    places = {int(json.loads(line)[0]): place for place, line in enumerate(lines)}
    found: list[Tries] = []
    for kernel in _kernels(ms, module, target):
        if _is_heavy(kernel):
            place = places.get(int(structural_hash(kernel.dispatched[0])), -1)
            seconds = tuple(tried.get(place, ()))
            found.append(Tries(str(kernel.task_name), int(kernel.weight), seconds))
    return tuple(found)


def apply(module: Any, target: Any, folder: Path) -> tuple[Any, tuple[str, ...]]:
    """Give every kernel its best schedule, and rewrite the weights to the layouts these want.

    Returns:
        The module, and the names of the kernels for which there is no schedule.
    """
    relax: Any = importlib.import_module("tvm.relax")
    passes = relax.transform
    with target, open_database(folder):
        module = passes.MetaScheduleApplyDatabase(enable_warning=False)(module)
        missing = unscheduled_kernels(module)
        module = passes.SplitLayoutRewritePreproc()(_with_root_blocks(module))
        module = passes.FoldConstant()(module)
        module = passes.DeadCodeElimination()(module)
    return module, missing


def _with_root_blocks(module: Any) -> Any:
    """Return the module with kernels that were written as loops inside a block.

    TVM's pass that splits off layout changes fails on any kernel without one, also where there is none to split.
    """
    s_tir: Any = importlib.import_module("tvm.s_tir")
    rooted = module.clone()
    for variable, function in kernel_functions(module):
        if not isinstance(function.body, s_tir.SBlockRealize):
            computes = s_tir.SBlock([], [], [], "computes", function.body)
            root = s_tir.SBlock([], [], [], "root", s_tir.SBlockRealize([], True, computes))
            rooted[variable] = function.with_body(s_tir.SBlockRealize([], True, root))
    return rooted


def unscheduled_kernels(module: Any) -> tuple[str, ...]:
    """Return the names of the kernels that no schedule was applied to.

    Reshapes need none, and kernels that were written as loops are their own schedule.
    """
    s_tir: Any = importlib.import_module("tvm.s_tir")
    names = [
        str(variable.name_hint)
        for variable, function in kernel_functions(module)
        if isinstance(function.body, s_tir.SBlockRealize)
        and not is_scheduled(function)
        and "reshape" not in variable.name_hint
    ]
    return tuple(sorted(names))


def _kernels(ms: Any, module: Any, target: Any) -> list[Any]:
    """Return the kernels with convolutions and matrix products first, the most often used first among them."""
    open_kernels = set(unscheduled_kernels(module))
    found = ms.relax_integration.extract_tasks(module, target)
    kept = [kernel for kernel in found if kernel.task_name in open_kernels]
    return sorted(
        kept, key=lambda kernel: (not _is_heavy(kernel), -kernel.weight, kernel.task_name)
    )


def _is_heavy(kernel: Any) -> bool:
    return any(word in kernel.task_name for word in _HEAVY)


def _trials_of(kernel: Any, trials: int) -> int:
    return trials if _is_heavy(kernel) else min(trials, LIGHT_TRIALS)


def _records(database: Any, kernel: Any) -> list[Any]:
    module = kernel.dispatched[0]
    if not database.has_workload(module):
        return []
    return list(database.get_top_k(database.commit_workload(module), 1_000_000))


def _count_records(database: Any, kernel: Any) -> int:
    return len(_records(database, kernel))


def _best_s(database: Any, kernel: Any) -> float:
    """Return the seconds of the best schedule; infinite when none ran."""
    records = _records(database, kernel)
    if not records:
        return float("inf")
    return min((float(entry) for entry in records[0].run_secs), default=float("inf"))


def _share(database: Any, kernel: Any) -> float:
    """Return the seconds that a kernel takes in one inference."""
    return _best_s(database, kernel) * float(kernel.weight)


def _drop_torn_line(path: Path) -> None:
    if not path.exists():
        return
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):
        path.write_bytes(content[: content.rfind(b"\n") + 1])
