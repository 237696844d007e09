"""Laws of evidence without some of it, several at a time where that is asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from multiprocessing import get_context

import numpy as np

from roofline.model._time_law import TimeLaw
from roofline.validate.evidence.evidence import Evidence, Names, Rows, names
from roofline.validate.evidence.fit import Fitting
from roofline.validate.evidence.priors import Options


class LawsWithout:
    """Laws of evidence without some of it: each is fitted from the law of all on."""

    def __init__(
        self,
        evidence: Evidence,
        options: Options | None = None,
        progress: Callable[[], None] | None = None,
        jobs: int = 1,
    ) -> None:
        """Fit the law of all.

        Args:
            evidence: The runs.
            options: What is chosen before a fit.
            progress: Called after each law without something.
            jobs: How many laws are fitted at a time, each by a process of its own.
        """
        self.evidence = evidence
        self._fitting = Fitting(evidence, options)
        self._fitting.fit(layers=False)
        self._progress = progress
        self._jobs = jobs

    def laws(
        self, left_out: Sequence[Sequence[str]], by: Names, *, layers: bool = True
    ) -> Iterator[TimeLaw]:
        """Yield the law without the runs of some labels, of each of several sets of labels in turn.

        Args:
            left_out: The sets.
            by: The label of each run.
            layers: Whether the law of layers is fitted too.
        """
        fit = partial(_law, by=by, layers=layers)
        if self._jobs == 1:
            yield from (self._tell(fit(out, fitting=self._fitting)) for out in left_out)
            return
        # Forked, so that no process reads or prepares the evidence again.
        forked = get_context("fork")
        with forked.Pool(self._jobs, _start, (self._fitting,)) as pool:
            yield from map(self._tell, pool.imap(fit, left_out))

    def rows(self, left_out: Sequence[str], by: Names) -> Rows:
        """Return the runs of some labels.

        Args:
            left_out: The labels.
            by: The label of each run.
        """
        return np.flatnonzero(np.isin(by.astype(str), names(left_out).astype(str)))

    def _tell(self, law: TimeLaw) -> TimeLaw:
        if self._progress is not None:
            self._progress()
        return law


_shared: list[Fitting] = []
"""What the laws of a process are fitted to."""


def _start(fitting: Fitting) -> None:
    """Begin a process that fits laws, in a session of its own so that it has a processor's share of its own."""
    os.setsid()
    _shared[:] = [fitting]


def _law(
    left_out: Sequence[str], *, by: Names, layers: bool, fitting: Fitting | None = None
) -> TimeLaw:
    """Return the law without the runs of some labels."""
    return (fitting or _shared[0]).fit(names(left_out), by, layers=layers)
