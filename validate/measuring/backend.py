"""The backend protocol: what a measurement backend implements, and the registry it joins.

A backend is one module of this package (or a third party's, named by the entry-point group
``roofline.backends``). Every method but `Backend.missing` and `Backend.environment` is called in
a process of its own, so a backend may import its runtime at will and may crash.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from roofline.errors import MeasurementError, check_known
from roofline.node import Array
from roofline.progress import Report
from roofline.registry import Registry
from roofline.validate.records.executed import Executed
from roofline.validate.records.failure import FailureKind
from roofline.validate.records.plain import from_plain, to_plain
from roofline.validate.records.record import Environment, KernelTime
from roofline.validate.records.request import Protocol as Timing
from roofline.validate.records.request import RunRequest
from roofline.validate.records.tuning import Tuning
from roofline.writing import write_whole

Arrays = Mapping[str, Array]


DEVICE = "device"
"""Name of a request's option for what its model runs on; without it, it is the backend's own choice."""
ONE_WAY = ("default",)
"""The algorithms of a backend that computes convolutions in its own way alone."""


class RunError(MeasurementError):
    """A run cannot go on; it is recorded as failed with this kind and reason."""

    kind: FailureKind = FailureKind.ERROR


class UnsupportedModelError(RunError):
    """A backend cannot take this model."""

    kind = FailureKind.UNSUPPORTED


@dataclass(frozen=True, slots=True)
class Request:
    """A job with the files it needs."""

    job: RunRequest
    model: Path
    """The ONNX file with every weight and every input shape filled in."""
    folder: Path
    """Where the backend may keep what is worth keeping between runs."""
    fresh: bool
    """Whether kept artefacts must be made again."""
    in_turn: bool = False
    """Whether other models run in turn in the same process: threads of one that is not running must leave the cores."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """What `Backend.prepare` made of a model, in files, and what is to be recorded of it."""

    path: Path
    compiled_for: str = ""
    executed: Executed = field(default_factory=Executed)
    """What the products are computed in; without a datatype it is that of the model's weights."""
    compile_s: float | None = None
    tune_s: float | None = None
    tuning_finished: bool | None = None
    """Whether all was tried that was asked for; false where the budget ended it, None where nothing was tuned."""
    kernels: int | None = None
    untuned_kernels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """For the backend's own use, JSON values."""


def keep_artifact(made: Artifact, file: Path) -> None:
    """Write an artifact beside its program, for `kept_artifact` in later runs.

    Args:
        made: Its program lies in the file's folder, which may be moved as a whole.
        file: Where it is written, whole or not at all.
    """
    kept = replace(made, path=Path(made.path.name))
    write_whole(file, json.dumps(to_plain(kept)).encode())


def kept_artifact(file: Path) -> Artifact | None:
    """Return the artifact that an earlier run kept; None where there is none, or one of another version's form."""
    try:
        kept = from_plain(Artifact, json.loads(file.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError):
        return None
    return replace(kept, path=file.parent / kept.path)


@dataclass(frozen=True, slots=True)
class Samples:
    """What timing a session gave."""

    samples_s: tuple[float, ...] = ()
    wall_s: float | None = None
    """Wall time from the first to the last, with what ran untimed between them."""
    cpu_s: float | None = None
    shares: tuple[float, float] | None = None
    """Shares of the machine's CPU time that other processes and other guests took meanwhile."""


class Session(Protocol):
    """A model loaded and ready; one step is one inference of the whole batch."""

    def bind(self, inputs: Arrays) -> None:
        """Put the inputs where the runtime wants them; not timed."""
        ...

    def step(self) -> None:
        """Run once and return when the outputs are complete; this alone is timed."""
        ...

    def outputs(self) -> Sequence[Array]:
        """Return the outputs of the last step, in the model's order; not timed."""
        ...


@runtime_checkable
class KernelTimer(Protocol):
    """A session that can time the single kernels of a step."""

    def kernel_times(self) -> Sequence[KernelTime]:
        """Return the times of all kernels in the order of their calls."""
        ...


@runtime_checkable
class AcceleratedSession(Protocol):
    """A session whose model may run on something else than the CPU."""

    @property
    def accelerator(self) -> str:
        """Name of the device it runs on, as its driver calls it; empty for the CPU."""
        ...


@runtime_checkable
class DistantSession(Protocol):
    """A session whose model runs on another machine, which takes the samples and describes itself."""

    def sample(self, protocol: Timing) -> Samples:
        """Time it by its protocol."""
        ...

    def environment(self, versions: Mapping[str, str]) -> Environment:
        """Return the machine it runs on, as it was while the samples were taken."""
        ...

    def peak_rss_bytes(self) -> int | None:
        """Return the largest resident set of the process there, where it can be read."""
        ...


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a backend has a choice of; the defaults are those of one that runs a model as it is."""

    tunings: tuple[Tuning, ...] = (Tuning.NONE,)
    """Those it has, the default first."""
    algorithms: tuple[str, ...] = ONE_WAY
    """Ways to compute a convolution."""
    devices: tuple[str, ...] = ("cpu",)
    """What it can run a model on here: a request's option `DEVICE`."""
    sparse_formats: tuple[str, ...] = ()
    """Formats of pruned weights whose zeros it skips."""
    times_kernels: bool = False
    """Whether its sessions are `KernelTimer`s."""
    waiting_s: float = 0.0
    """How long a step may wait for a machine that others are using, beyond its time limit."""
    loads_models: bool = False
    """Whether `Backend.load` takes the model itself: preparing it only finds what a record says of it."""
    board_backend: str = ""
    """Name of the backend that runs the same on boards; empty where there is none."""

    @property
    def has_one_way(self) -> bool:
        """Whether there is no choice of algorithms."""
        return self.algorithms == ONE_WAY

    @property
    def has_tunings(self) -> bool:
        """Whether there is anything to tune."""
        return self.tunings != (Tuning.NONE,)

    def choose_algorithm(self, asked: str, unknown: str) -> str:
        """Return an algorithm in its own spelling; the one way where there is no choice, whatever is asked for.

        Args:
            asked: The algorithm.
            unknown: What a message says of one that there is not, among others.

        Raises:
            OptionError: There are others.
        """
        return ONE_WAY[0] if self.has_one_way else check_known(asked, self.algorithms, unknown)


class Backend(Protocol):
    """Something that can run an ONNX model and be timed."""

    title: str
    """Its name for people: ``Apache TVM``."""
    capabilities: Capabilities

    def missing(self) -> str:
        """Return the package that is not installed, or an empty string when it can run."""
        ...

    def environment(self, job: RunRequest) -> Mapping[str, str]:
        """Return the environment variables that must be set before its process starts."""
        ...

    def versions(self) -> Mapping[str, str]:
        """Return the versions that decide its speed."""
        ...

    def prepare(self, request: Request, report: Report) -> Artifact:
        """Import, rewrite, tune and compile the model; kept by content, so done once.

        Raises:
            UnsupportedModelError: The model holds something it cannot take.
        """
        ...

    def load(self, request: Request, artifact: Artifact) -> Session:
        """Load what `prepare` made."""
        ...


backends: Registry[Backend] = Registry(
    "backend", "roofline.validate.backends", "roofline.backends", MeasurementError
)
"""Every measurement backend by name."""
