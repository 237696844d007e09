"""What a step's process is asked and what it answers: one frozen request and one frozen result for each action."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar, get_args

from roofline.binding import Binding
from roofline.validate.measuring.backend import Artifact, Request, Samples
from roofline.validate.measuring.runnable_model import Runnable
from roofline.validate.records.compression import Compression
from roofline.validate.records.failure import Failure
from roofline.validate.records.plain import from_plain
from roofline.validate.records.record import Check, Environment, KernelTime, Status

R = TypeVar("R")


class Action(Generic[R]):
    """What a process is to do; its type parameter is the type of what it answers."""

    __slots__ = ()

    @classmethod
    def title(cls) -> str:
        """Return its name in files and messages."""
        return cls.__name__.lower()

    @classmethod
    def answer(cls, document: Mapping[str, object]) -> R:
        """Return the answer that a process wrote as plain values.

        Raises:
            DamagedError: It is not of the action's type.
        """
        base: Any = cls.__orig_bases__[0]  # type: ignore[attr-defined]
        return from_plain(get_args(base)[0], document)


@dataclass(frozen=True, slots=True)
class Make(Action[Runnable]):
    """Make a runnable model of what a user named."""

    model: str
    binding: Binding
    seed: int
    folder: Path
    phase: str = ""
    """Of a decoder whose inputs are to be bound by their roles."""
    context: int = 0


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file that was written."""

    path: Path


@dataclass(frozen=True, slots=True)
class Compress(Action[WrittenFile]):
    """Write a compressed network to a file."""

    model: str
    compression: Compression
    seed: int
    folder: Path


@dataclass(frozen=True, slots=True)
class Refer(Action[WrittenFile]):
    """Compute the reference's outputs and write them to a file."""

    model: Path
    inputs: Path
    outputs: Path


@dataclass(frozen=True, slots=True)
class Prepare(Action[Artifact]):
    """Have the backend make a program of a model."""

    request: Request


@dataclass(frozen=True, slots=True)
class RunResult:
    """What one run gave."""

    first_s: float
    """Time of the very first inference."""
    check: Check
    environment: Environment
    peak_rss_bytes: int | None
    samples: Samples = field(default_factory=Samples)
    """None were taken where the outputs are wrong."""
    kernel_times: tuple[KernelTime, ...] = ()


@dataclass(frozen=True, slots=True)
class Run(Action[RunResult]):
    """Run and time what was prepared, and compare its outputs with the reference's."""

    request: Request
    artifact: Artifact
    inputs: Path
    reference: Path | None
    """File of the reference's outputs; None where there is none."""
    reference_note: str
    """What computed the reference, or why there is none."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Rates that probes found."""

    by_name: Mapping[str, float]
    """In OP/s or B/s."""
    taken: float
    """Share of the machine's CPU time that others took meanwhile."""


@dataclass(frozen=True, slots=True)
class Probe(Action[Rates]):
    """Probe this machine with the libraries at hand."""

    kind: str
    """``streams``, ``peaks`` or ``products``."""
    threads: int
    seconds: float
    datatypes: tuple[str, ...] = ()
    """Of the products."""


@dataclass(frozen=True, slots=True)
class Share:
    """A share of the machine's CPU time that others took."""

    taken: float


@dataclass(frozen=True, slots=True)
class Microbenchmarks(Action[Share]):
    """Time probes with a backend, one line of a file for each."""

    backend: str
    threads: int
    names: tuple[str, ...]
    """Of the probes."""
    round: int
    into: Path
    """The file that lines are appended to."""
    together: int = 1
    """Probes that are loaded at a time and timed in turn; one ends alone where it ends the process."""
    usual_s: float = 0.0
    """What the fixed work usually takes on this machine; 0 where it is not known yet."""
    programs: Path | None = None
    """Where a backend that compiles keeps the programs of probes; None of one that takes models as they are."""


@dataclass(frozen=True, slots=True)
class ProbePrograms(Action[Share]):
    """Compile probes with a backend, both lengths of each, and say in one line of a file that it was done."""

    backend: str
    threads: int
    names: tuple[str, ...]
    """Of the probes."""
    into: Path
    """The file that lines are appended to."""
    programs: Path
    """Where the programs are kept."""


@dataclass(frozen=True, slots=True)
class RaisedError:
    """An error of this library that a process met, by its class."""

    kind: str
    message: str
    repair: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a process writes at its end."""

    status: Status
    failure: Failure | None = None
    answer: Mapping[str, object] | None = None
    """The plain values of the action's answer."""
    raised: RaisedError | None = None
