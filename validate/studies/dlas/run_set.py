"""Runs of the campaign on one machine: each by itself, and those that were timed in turns too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from roofline.validate.analysis.configurations import Configuration
from roofline.validate.records.record import Measurement
from roofline.validate.studies.dlas.in_turns import (
    PAIRS_SINCE,
    TURNS,
    TURNS_ELSEWHERE,
    Session,
    clock_of_turns,
    configurations_in_turns,
    shipped_sessions,
)
from roofline.validate.studies.dlas.runs import (
    ELSEWHERE,
    IMAGENET,
    SHIPPED,
    compared_configurations,
    shipped_runs,
)
from roofline.validate.studies.dlas.times import Clock


@dataclass(frozen=True, slots=True)
class RunSet:
    """Runs of one machine."""

    runs: Sequence[Measurement]
    """Records of any part of the campaign."""
    sessions: Sequence[Session] = ()
    """Programs of these that were timed in turns too."""

    @property
    def alone(self) -> tuple[Configuration, ...]:
        """The configurations, each timed by itself."""
        return compared_configurations(self.runs)

    @property
    def in_turns(self) -> tuple[Configuration, ...]:
        """The configurations that were timed in turns, with the times of these."""
        return configurations_in_turns(self.runs, self.sessions)

    @property
    def before_pairs(self) -> RunSet:
        """The same with the sessions that began before the rule for pairs was stated."""
        sessions = tuple(one for one in self.sessions if one.when < PAIRS_SINCE)
        return replace(self, sessions=sessions)

    @property
    def since_pairs(self) -> RunSet:
        """The same with the sessions that began after it."""
        sessions = tuple(one for one in self.sessions if one.when >= PAIRS_SINCE)
        return replace(self, sessions=sessions)

    @property
    def clock(self) -> Clock:
        """What looks up the times of configurations turn by turn."""
        return clock_of_turns(self.runs, self.sessions)


@dataclass(frozen=True, slots=True)
class PageRuns:
    """What the page is made from."""

    here: RunSet
    """Runs of the machine that the page is about."""
    elsewhere: RunSet = RunSet(())
    """Runs of another machine, for comparison."""
    imagenet: RunSet = RunSet(())
    """Runs of networks of ImageNet's size, on the machine that the page is about."""


def runs_elsewhere() -> RunSet:
    """Return the runs of another machine that come with the program."""
    return RunSet(shipped_runs(ELSEWHERE), shipped_sessions(TURNS_ELSEWHERE))


def shipped_page_runs() -> PageRuns:
    """Return all runs that come with the program."""
    return PageRuns(
        RunSet(shipped_runs(SHIPPED), shipped_sessions(TURNS)),
        runs_elsewhere(),
        RunSet(shipped_runs(IMAGENET)),
    )
