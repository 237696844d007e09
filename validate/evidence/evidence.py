"""One type for evidence: runs of networks, described by their counts, on machines, described by their roofs."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from roofline.model._core import Floats
from roofline.model._run_facts import Facts, join_facts
from roofline.spec.names import KEY_PATTERN

if TYPE_CHECKING:
    from roofline.spec import Platform
    from roofline.workload import Workload

Names = NDArray[np.object_]
Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class RunContext:
    """The graph and the platform behind a run."""

    workload: Workload
    platform: Platform


@dataclass(frozen=True, slots=True)
class Evidence:
    """Runs, one entry of each array per run."""

    facts: Facts
    """What the time law is told of each."""
    network: Names
    network_family: Names
    """Networks of one design, left out together."""
    silicon: Names
    """Machines of one chip or design, left out together."""
    source: Names
    fps: Floats
    """Items per second."""
    sha256: str
    """Digest of the file they were read from."""
    rows: tuple[dict[str, str], ...] = ()
    """The rows as they were read."""
    placed: tuple[RunContext, ...] = ()
    """The graph and the platform of each run, where it is a record; empty for tables of counts."""

    def __len__(self) -> int:
        return len(self.fps)

    @property
    def log_time(self) -> Floats:
        """Logarithm of the seconds per batch."""
        return np.log(self.facts.numbers["batch"] / self.fps)

    @property
    def silicon_settings(self) -> Names:
        """Silicon, runtime and datatype of each, ``t4/trt/int8``."""
        return self.silicon + np.asarray(["/"], object) + self.facts.setting

    def take(self, rows: NDArray[Any]) -> Evidence:
        """Return some of the runs."""
        places: Rows = np.arange(len(self))[rows]
        return Evidence(
            self.facts.take(rows), self.network[rows], self.network_family[rows], self.silicon[rows],
            self.source[rows], self.fps[rows], self.sha256,
            tuple(self.rows[int(i)] for i in places) if self.rows else (),
            tuple(self.placed[int(i)] for i in places) if self.placed else (),
        )  # fmt: skip


def combine(first: Evidence, second: Evidence) -> Evidence:
    """Return the runs of two tables as one evidence, in order; graphs and platforms behind runs are left out.

    Tables that call the silicon of one machine differently are of one silicon, by the first's name.
    """
    arrays = ("network", "network_family", "silicon", "source", "fps")
    network, family, silicon, source, fps = (
        np.concatenate([getattr(first, name), getattr(second, name)]) for name in arrays
    )
    facts = join_facts([first.facts, second.facts])
    digest = hashlib.sha256(f"{first.sha256} {second.sha256}".encode()).hexdigest()
    return Evidence(
        facts, network, family, unite_silicon(facts.machine, silicon), source, fps, digest, first.rows + second.rows
    )  # fmt: skip


def unite_silicon(machine: Names, silicon: Names) -> Names:
    """Return the silicon of each run, all that one machine is said to be under the name that came first.

    Else a machine would be judged by a law that knows its own runs, under another name.

    Args:
        machine: The machine of each run; its modes are one machine.
        silicon: What its table calls its silicon.
    """
    called = {str(name): str(name) for name in silicon}
    known: dict[str, str] = {}
    for name, label in dict.fromkeys(zip(machine, silicon, strict=True)):
        key, _, mode = name.partition(":")
        first = known.setdefault(key if KEY_PATTERN.fullmatch(mode) else name, called[label])
        this, other = called[first], called[label]
        called = {key: this if value == other else value for key, value in called.items()}
    return names([called[name] for name in silicon])


def names(values: Sequence[str]) -> Names:
    """Return texts as an array of objects, which compare with one another and with a text."""
    return np.asarray([*values, ""], object)[:-1]
