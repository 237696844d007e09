"""Programs of the campaign's cells timed in turns in one process: what happens to the machine happens to all alike.

A cell is timed by itself, and the interval of its samples holds everything that happened to the machine meanwhile. In
turns the median of each turn is one figure, and the interval is that of their median, by ranks: no distribution is
assumed. Sessions at other hours widen it by what differs between them.
"""

from __future__ import annotations

import csv
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

from roofline.validate.analysis.configurations import Configuration
from roofline.validate.records.record import Measurement
from roofline.validate.studies.dlas.runs import compared_configurations
from roofline.validate.studies.dlas.times import Clock, TurnTimes, median_interval
from roofline.writing import csv_text

TURNS = "dlas-tuned.turns.csv"
"""The table of the turns, beside the campaigns."""

TURNS_ELSEWHERE = "dlas-tuned.ice-lake.turns.csv"
"""The same of another machine."""

PAIRS_SINCE = "2026-11-30T19:08:00+00:00"
"""When the rule for pairs was stated: sessions that began later are judged by it, those before by intervals alone."""


@dataclass(frozen=True, slots=True)
class Session:
    """One program in one session of turns."""

    point: str
    """Key of the campaign's point."""
    when: str
    """When the session of its network began, ISO 8601."""
    seconds: tuple[float, ...]
    """Median of each turn."""
    others: float
    """Share of the machine's CPU time that other processes took in the session."""


def parse_sessions(text: str) -> tuple[Session, ...]:
    """Return the sessions of a table that `sessions_csv` wrote."""
    return tuple(
        Session(
            row["point"],
            row["when"],
            tuple(map(float, row["seconds"].split())),
            float(row["others"]),
        )
        for row in csv.DictReader(text.splitlines())
    )


@cache
def shipped_sessions(table: str = TURNS) -> tuple[Session, ...]:
    """Return the sessions of a table that comes with the program; none where there is no such table."""
    place = files("roofline.validate").joinpath("campaigns", table)
    return parse_sessions(place.read_text(encoding="utf-8")) if place.is_file() else ()


def sessions_csv(sessions: Iterable[Session], titles: Mapping[str, str]) -> str:
    """Return sessions as CSV, with what each point is in words for people."""
    return csv_text(
        {
            "point": one.point,
            "program": titles.get(one.point, ""),
            "when": one.when,
            "others": f"{one.others:.3f}",
            "seconds": " ".join(f"{seconds:.4e}" for seconds in one.seconds),
        }
        for one in sessions
    )


def configurations_in_turns(
    cells: Iterable[Measurement], sessions: Iterable[Session]
) -> tuple[Configuration, ...]:
    """Return the configurations of the cells that were timed in turns too, with the times of these.

    Args:
        cells: Records of the campaign, which say how a program was made and that its outputs are right.
        sessions: Of any of their points.
    """
    by_point: dict[str, list[Session]] = {}
    for session in sessions:
        by_point.setdefault(session.point, []).append(session)
    found: list[Configuration] = []
    for run in cells:
        taken = by_point.get(run.turn.point, []) if run.turn is not None else []
        for entry in compared_configurations([run]) if taken else ():
            spans = [median_interval(session.seconds) for session in taken]
            found.append(
                replace(
                    entry,
                    seconds=statistics.median(
                        statistics.median(session.seconds) for session in taken
                    ),
                    low_s=min(low for low, _ in spans),
                    high_s=max(high for _, high in spans),
                    rounds=len(taken),
                    disturbed="",
                )
            )
    return tuple(found)


def clock_of_turns(cells: Iterable[Measurement], sessions: Iterable[Session]) -> Clock:
    """Return what looks up the time of a configuration turn by turn: an empty one for what was not timed in turns."""
    by_point: dict[str, dict[str, tuple[float, ...]]] = {}
    for session in sessions:
        by_point.setdefault(session.point, {})[session.when] = session.seconds
    found = {
        entry.beside(): TurnTimes(by_point.get(run.turn.point, {}))
        for run in cells
        if run.turn is not None
        for entry in compared_configurations([run])
    }
    return lambda entry: found.get(entry.beside(), TurnTimes({}))
