"""The shipped laws of decoders: what a token takes for one user on one machine, and served to many."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.resources import files
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from roofline.model._own_figures import REPEATED
from roofline.model._quantiles import EIGHT_OF_TEN
from roofline.model.sum_law import Runs, SumLaw

NAME = "decoder_laws.json"

NEAR = 0.4
"""How far apart runs of one decoder in one format may be, in logarithms of their terms, and share what is their own."""
_TAILS = 8.0
"""Degrees of freedom of the errors: fewer, and a figure that is far off widens the interval more."""


@dataclass(frozen=True, slots=True)
class LawRun:
    """One run of a decoder as a law has it."""

    law: str
    """``decode``, ``prefill``, ``tpot``, ``several`` or ``ttft``."""
    group: str
    """Of the machine, by which widths are."""
    of: tuple[str, str]
    """The decoder and its format."""
    runs: Runs
    """Its terms and groups, one run long."""
    machine: str = ""
    """Its silicon, whose own runs tell how it differs from its class; empty where it is judged by the class alone."""

    @property
    def expected(self) -> float:
        """Logarithm of the seconds that the shipped law expects."""
        entry = shipped_laws()[self.law]
        own = entry.own.get(self.machine, 0.0)
        return float(entry.law.log_times(self.runs)[0]) + own

    @property
    def place(self) -> NDArray[np.float64]:
        """Where it is among runs of one decoder: the size of its first term, and the others beside that."""
        (_, first), *others = ((name, float(value[0])) for name, value in self.runs.terms.items())
        timed = [math.log1p(value / first) for name, value in others if name not in _COUNTS]
        return np.array([math.log(first), *timed])


_COUNTS = {"floor", "host", "layers", "requests"}
"""Terms that are no times."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured time of a machine."""

    run: LawRun
    off: float
    """Logarithm of the measured time over the expected one."""


@dataclass(frozen=True, slots=True)
class FittedLaw:
    """A law, and how far off it was on runs that it was fitted without."""

    law: SumLaw
    widths: Mapping[str, float]
    """Logarithmic half-widths that held 80 % of such runs: by group, and ``other``."""
    within: Mapping[str, float]
    """The same around the mean of a run's own installation: a machine with its host and its software."""
    known: tuple[str, ...]
    """Machines or systems it was fitted to."""
    runs: int
    sha256: str
    """Digest of the table."""
    own: Mapping[str, float] = field(default_factory=dict[str, float])
    """By silicon, how its own runs differ from the law: logarithms, shrunken towards none."""
    narrower: float = 1.0
    """What is left of the width where a machine's own runs are known."""

    def width(self, group: str, machine: str = "") -> float:
        """Return the half-width of a group of runs, of a machine if it is named."""
        whole = self.widths.get(group, self.widths["other"])
        return whole * (self.narrower if machine in self.own else 1.0)

    def correct(self, run: LawRun, figures: Sequence[Figure]) -> tuple[float, float]:
        """Return by how much figures of a machine move the logarithmic time of a run, and the half-width that is left.

        What is off has three parts: how an installation differs from its class, which all its runs share; how a run
        differs from the installation's own mean, which runs of the same decoder in the same format share the nearer
        they are; and what a repetition changes. Given the figures, the run follows as in regression by a Gaussian
        process (Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, equations 2.25 and 2.26), with
        the tails of Student's distribution: figures that are far off widen the interval (Shah, Wilson and
        Ghahramani, Student-t Processes as Alternatives to Gaussian Processes, 2014, lemma 3).

        Args:
            run: What is asked about.
            figures: Of its machine, by the same law.
        """
        width = self.width(run.group, run.machine)
        if not figures or not width:
            return 0.0, width
        own = min(self.within.get(run.group, self.within["other"]), width) ** 2
        between, known = width**2 - own, [figure.run for figure in figures]
        off = np.array([figure.off for figure in figures])
        among = between + own * (
            (1 - REPEATED) * _correlations(known, known) + REPEATED * np.eye(len(known))
        )
        to = between + own * (1 - REPEATED) * _correlations([run], known)[0]
        weights = np.asarray(np.linalg.solve(among, to), np.float64)
        far = EIGHT_OF_TEN**2 * float(off @ np.linalg.solve(among, off))
        tails = (_TAILS + far) / (_TAILS + len(off))
        left = max(width**2 - float(to @ weights), 0.0)
        return float(weights @ off), math.sqrt(left * tails)


def _correlations(left: Sequence[LawRun], right: Sequence[LawRun]) -> NDArray[np.float64]:
    """Return which share of what is their own runs have in common."""
    return np.array([[_correlation(first, second) for second in right] for first in left])


def _correlation(first: LawRun, second: LawRun) -> float:
    if first.of != second.of:
        return 0.0
    return float(np.exp(-((first.place - second.place) ** 2).sum() / (2 * NEAR**2)))


class _Factors(TypedDict):
    factors: Mapping[str, float]


class _LawDocument(TypedDict):
    """A law as the shipped file holds it."""

    law: _Factors
    widths: Mapping[str, float]
    within: Mapping[str, float]
    known: Sequence[str]
    runs: int
    sha256: str
    own: Mapping[str, float]
    narrower: float


@cache
def shipped_laws() -> Mapping[str, FittedLaw]:
    """Return the laws by quantity: ``decode``, ``prefill`` (one user), ``tpot``, ``ttft`` (served), ``several``."""
    text = files("roofline.model").joinpath(NAME).read_text(encoding="utf-8")
    document: dict[str, _LawDocument] = json.loads(text)
    return {
        name: FittedLaw(
            SumLaw(entry["law"]["factors"]), entry["widths"], entry["within"], tuple(entry["known"]),
            entry["runs"], entry["sha256"], entry["own"], entry["narrower"],
        )
        for name, entry in document.items()
    }  # fmt: skip


def to_document(laws: Mapping[str, FittedLaw]) -> str:
    """Return laws as the text of the shipped file."""
    return json.dumps({name: asdict(law) for name, law in laws.items()}, indent=1) + "\n"
