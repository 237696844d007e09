"""Apache TVM: Relax import from ONNX, LLVM code for this CPU, MetaSchedule tuning.

``untuned`` is TVM's default lowering: plain serial loops, tens of times slower than the machine allows,
so it says nothing about the machine. ``tuned`` keeps images in blocks of channels (or what ``--algorithm`` asks for
instead), tries a few tiles for every kernel on blocks, vectorizes elementwise work, and has MetaSchedule try schedules
for whatever is left, within a budget.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from roofline.errors import MeasurementError, check_known
from roofline.node import Array
from roofline.progress import Report
from roofline.surfaces import argument
from roofline.validate.measuring.backend import (
    Artifact,
    Capabilities,
    Request,
    Session,
    backends,
    keep_artifact,
    kept_artifact,
)
from roofline.validate.records.executed import Executed
from roofline.validate.records.record import KernelTime
from roofline.validate.records.request import RunRequest
from roofline.validate.records.tuning import Tuning
from roofline.validate.tvm import setup, weights
from roofline.validate.tvm.plan import ALGORITHMS, BEST, BLOCKED, Computation
from roofline.validate.tvm.setup import lanes
from roofline.validate.tvm.tuning.program import choices_of, findings_of, tune, variant
from roofline.validate.tvm.virtual_machine import Program

_DATATYPES = ("fp32", "fp64", "fp16", "bf16", "int8", "uint8", "int4")
_KERNELS = 4
"""Raised when the same request makes another program: what was kept before is then made again."""
_WEIGHTS = ".weights"
"""Ending of the file that a program's weights are in."""
_COMPILERS = ("g++", "clang++", "c++")


class TvmSession(Program):
    """A compiled module in the Relax virtual machine."""

    def __init__(
        self,
        executable: Any,
        names: Sequence[str],
        products: Mapping[str, int] | None = None,
        weights: Sequence[Any] = (),
    ) -> None:
        tvm: Any = importlib.import_module("tvm")
        super().__init__(executable, tvm.cpu(), names, weights)
        self._products = dict(products or {})

    def kernel_times(self, runs: int = 9) -> list[KernelTime]:
        """Return the shortest time of every kernel in the order of their calls, over a few runs."""
        calls: list[tuple[str, float]] = []
        begun: list[float] = []

        def watch(_function: Any, name: str, before: bool, *_: Any) -> None:
            if str(name) not in self._products:
                return
            if before:
                begun.append(time.perf_counter())
            else:
                calls.append((str(name), time.perf_counter() - begun.pop()))

        best: list[tuple[str, float]] = []
        self.machine.set_instrument(watch)
        for _ in range(runs):
            calls.clear()
            self.step()
            best = [
                (name, min(seconds, kept))
                for (name, seconds), (_, kept) in zip(calls, best or calls, strict=True)
            ]
        return [KernelTime(name, seconds, self._products[name]) for name, seconds in best]


class TvmBackend:
    """Compiles and runs a model with Apache TVM on this machine's CPU."""

    title = "Apache TVM"
    capabilities = Capabilities(
        tunings=(Tuning.TUNED, Tuning.UNTUNED),
        algorithms=ALGORITHMS,
        sparse_formats=("csr", "bsr"),
        times_kernels=True,
        board_backend="tvm-rpc",
    )

    def missing(self) -> str:
        """Return ``apache-tvm`` when it is not installed."""
        return "" if importlib.util.find_spec("tvm") else "apache-tvm"

    def environment(self, job: RunRequest) -> Mapping[str, str]:
        """Return the thread count: TVM reads it once, when it is imported, and else takes half the cores."""
        return {"TVM_NUM_THREADS": str(job.threads), "OMP_NUM_THREADS": str(job.threads)}

    def versions(self) -> Mapping[str, str]:
        """Return the versions of TVM and of its ffi."""
        return setup.versions()

    def prepare(self, request: Request, report: Report) -> Artifact:
        """Import, tune when asked, compile, and keep the program by content."""
        computation(request.job)
        tvm = setup.load_tvm()
        description = setup.local_target_description(tvm, request.job.threads)
        folder = _folder(request, description)
        kept = folder / f"{variant(request.job)}.json"
        found = None if request.fresh else kept_artifact(kept)
        if found is not None:
            return found
        made = _compile(tvm, request, description, folder, report)
        if made.details["complete"]:
            keep_artifact(made, kept)
        return made

    def load(self, request: Request, artifact: Artifact) -> Session:
        """Load the compiled program, or compile it here where no linker could keep it."""
        tvm = setup.load_tvm()
        details = artifact.details
        if details["library"]:
            library = tvm.runtime.load_module(str(artifact.path))
            kept = weights.read(artifact.path.with_suffix(_WEIGHTS), details["weights"])
            return TvmSession(library, details["inputs"], details.get("products"), kept)
        built = _build(tvm, request, details["target"], artifact.path)
        kept = [tvm.runtime.tensor(array) for array in built.weights]
        return TvmSession(built.executable, built.inputs, built.products, kept)


def computation(job: RunRequest) -> Computation:
    """Return how a job's layers are to be computed.

    Raises:
        MeasurementError: The backend does not know the datatype, the algorithm or the sparse format.
    """
    if job.datatype not in _DATATYPES:
        raise MeasurementError(
            f"the TVM backend runs {', '.join(_DATATYPES)}, not {job.datatype}",
            repair=f"Use {argument('backend').at('onnxruntime')} for it",
        )
    form = str(job.options.get("sparse_format", "dense"))
    for asked, known, what in (
        (job.algorithm, TvmBackend.capabilities.algorithms, "algorithm"),
        (form, ("dense", *TvmBackend.capabilities.sparse_formats), "sparse format"),
    ):
        check_known(
            asked, known, f"the TVM backend has no {what} {asked!r}", error=MeasurementError
        )
    tuned_by_choice = job.algorithm == "default" and job.tuning is Tuning.TUNED
    return Computation(BLOCKED if tuned_by_choice else job.algorithm, form)


def _folder(request: Request, description: setup.TargetDescription) -> Path:
    """Return where everything about this model, target and TVM version is kept."""
    how = asdict(computation(request.job))
    return setup.kept_folder(
        request.folder / "tvm", [_content(request.model), dict(description)], [how, _KERNELS]
    )


def _content(model: Path) -> str:
    """Return a digest of a model's bytes: the same file elsewhere is the same program."""
    with model.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _compile(
    tvm: Any, request: Request, description: setup.TargetDescription, folder: Path, report: Report
) -> Artifact:
    job = request.job
    folder.mkdir(parents=True, exist_ok=True)
    database = folder / "schedules"
    tuned = None
    if request.fresh:
        shutil.rmtree(database, ignore_errors=True)
    if job.tuning is Tuning.TUNED or computation(job).algorithm == BEST:
        report("importing into TVM", 0, 1)
        target = tvm.target.Target(dict(description))
        tuned = tune(request, computation(job), target, database, report)
    report("compiling", 0, 1)
    start = time.monotonic()
    built = _build(tvm, request, description, database)
    notes = built.rewrites
    library = folder / f"{variant(job)}.so"
    linked = any(shutil.which(name) for name in _COMPILERS)
    forms: list[list[Any]] = []
    if linked:
        built.executable.export_library(str(library))
        forms = weights.write(built.weights, library.with_suffix(_WEIGHTS))
    else:
        notes += (
            "no C++ compiler: compiled again in the measured process, its peak memory included",
        )
    if tuned is not None:
        notes += tuned.notes
    return Artifact(
        library if linked else database,
        compiled_for=setup.describe(description),
        executed=built.executed,
        compile_s=time.monotonic() - start,
        tune_s=tuned.seconds if tuned is not None and job.tuning is Tuning.TUNED else None,
        tuning_finished=None if tuned is None else tuned.finished,
        kernels=built.kernels,
        untuned_kernels=built.untuned,
        notes=notes,
        details={
            "library": linked,
            "weights": forms,
            "inputs": built.inputs,
            "products": dict(built.products),
            "target": dict(description),
            "complete": tuned is None or tuned.finished,
        },
    )


@dataclass(frozen=True, slots=True)
class _BuiltModule:
    """A compiled module and what is to be said of it."""

    executable: Any
    kernels: int
    untuned: tuple[str, ...]
    rewrites: tuple[str, ...]
    inputs: tuple[str, ...]
    executed: Executed
    products: Mapping[str, int]
    """Multiply-accumulates of every kernel, 0 for those without."""
    weights: tuple[Array, ...]
    """What the program takes after its inputs."""


def _executed_datatypes(found: Executed, job: RunRequest, target: Any) -> Executed:
    """Return what is executed on this processor; a model without products counts by its weights."""
    executed = found if found.datatype else replace(found, datatype=job.datatype)
    if executed.datatype != "fp16":
        return executed
    codegen: Any = importlib.import_module("tvm.target.codegen")
    return replace(executed, emulated=not codegen.target_has_features(["avx512fp16"], target))


def _build(
    tvm: Any, request: Request, description: setup.TargetDescription, database: Path
) -> _BuiltModule:
    from roofline.validate.tvm.blocked.schedules import kernel_products
    from roofline.validate.tvm.blocked.tile_search import (
        first_guess,
        guessed_tiles,
        schedule_blocks,
    )
    from roofline.validate.tvm.executed import check_executed
    from roofline.validate.tvm.importing import import_model, input_names
    from roofline.validate.tvm.tuning import metaschedule as _tvm_tune

    target = tvm.target.Target(dict(description))
    how, tuned = computation(request.job), request.job.tuning is Tuning.TUNED
    best = how.algorithm == BEST
    imported = import_model(
        request.model, target, how, choices_of(request, target) if best else None
    )
    module = imported.module
    names = tuple(input_names(module))
    kernels = len(_tvm_tune.unscheduled_kernels(module))
    products = kernel_products(module)
    guesses: tuple[str, ...] = ()
    if how.blocked or tuned:
        known = findings_of(request, target) if tuned else None
        find = first_guess if known is None else known.best_known
        guesses = guessed_tiles(module, None if known is None else known.tile)
        module = schedule_blocks(
            module, lanes(target), find, tune_products=tuned and how.algorithm != BLOCKED
        )
    if tuned:
        module, untuned = _tvm_tune.apply(module, target, database)
    else:
        untuned = _tvm_tune.unscheduled_kernels(module)
    found = check_executed(request.job.datatype, imported.executed)
    executed = _executed_datatypes(found, request.job, target)
    detached = weights.detach(module)
    return _BuiltModule(
        tvm.compile(detached.module, target), kernels, tuple(sorted((*untuned, *guesses))), imported.notes,
        names, executed, products, detached.weights,
    )  # fmt: skip


backends.add("tvm", TvmBackend())
