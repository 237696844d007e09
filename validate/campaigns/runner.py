"""Runs the points of a campaign that have no record yet, one record for each, and tells how far it is."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from roofline.errors import (
    MeasurementError,
    OptionError,
    RooflineError,
    StoreError,
    check_known,
    did_you_mean,
    printable,
)
from roofline.progress import Report
from roofline.surfaces import argument
from roofline.user_folders import cache_folder
from roofline.validate.campaigns.grid import Campaign, point_row
from roofline.validate.measuring.environment import describe
from roofline.validate.measuring.measure import measure, now
from roofline.validate.measuring.process import Outcome, run_step
from roofline.validate.measuring.steps import Compress, WrittenFile
from roofline.validate.records.failure import Failure, FailureKind
from roofline.validate.records.flag import Flag, FlagKind, join_flags
from roofline.validate.records.record import DRIFT_LIMIT, Measurement, Status, Turn
from roofline.validate.records.request import RunRequest
from roofline.validate.records.store import Store

LEAST_FREE_BYTES = 64 << 20
"""Free disk space below which no further point is started."""

Measure = Callable[[RunRequest], Measurement]
"""Runs one point; errors of the input become records too."""


class Retry(StrEnum):
    """Kinds of recorded points that may be run again."""

    FAILED = "failed"
    """Failed, timed out or ran out of memory."""
    WRONG = "wrong"
    """Ran with wrong outputs."""
    DISTURBED = "disturbed"
    """Ran beside other load, or drifted."""


@dataclass(frozen=True, slots=True)
class Task:
    """One run that is to be done."""

    point: RunRequest
    round: int
    attempt: int

    @property
    def turn(self) -> Turn:
        """The run's place in the store."""
        return Turn(self.point.key, self.round, self.attempt)


@dataclass(frozen=True, slots=True)
class State:
    """What a store holds of a campaign: the last attempt of every round of every point."""

    campaign: Campaign
    records: Mapping[str, Mapping[int, Measurement]]

    def runs(self) -> Iterator[tuple[RunRequest, int, Measurement | None]]:
        """Yield every run of the campaign, round by round, with its record if it has one."""
        for number in range(1, self.campaign.rounds + 1):
            for point in self.campaign.points:
                yield point, number, self.records.get(point.key, {}).get(number)

    def records_in_order(self) -> tuple[Measurement, ...]:
        """Return the records, in the order of the campaign."""
        return tuple(run for _, _, run in self.runs() if run is not None)

    def counts(self) -> dict[str, int]:
        """Return how many runs ended how, how many were disturbed, and how many are left."""
        counts = {status.value: 0 for status in Status} | {"disturbed": 0, "left": 0}
        for point, number, run in self.runs():
            if run is None:
                counts["left"] += 1
                continue
            counts[run.status.value] += 1
            counts["disturbed"] += bool(self.disturbance(point, number))
        return counts

    def disturbance(self, point: RunRequest, number: int) -> str:
        """Return what disturbed a run that ended well, in a few words; empty when nothing did."""
        run = self.records.get(point.key, {}).get(number)
        if run is None or not run.ok:
            return ""
        found = run.disturbances
        off = self.deviation(point, number)
        if off is not None and abs(off) > DRIFT_LIMIT:
            found = (*found, Flag(FlagKind.ROUND_DRIFT, off))
        return join_flags(found)

    def deviation(self, point: RunRequest, number: int) -> float | None:
        """Return how far a round's median is from the median of all rounds, as a share of it."""
        rounds = self.records.get(point.key, {})
        medians = [run.median_s for run in rounds.values() if run.ok and run.median_s]
        own = rounds[number].median_s if number in rounds and rounds[number].ok else None
        if own is None or len(medians) < 2:
            return None
        return own / statistics.median(medians) - 1.0

    def tasks(self, retry: Collection[Retry] = ()) -> tuple[Task, ...]:
        """Return the runs that are left, and those to be repeated, round by round."""
        found: list[Task] = []
        for point, number, run in self.runs():
            if run is None or run.turn is None:
                found.append(Task(point, number, 1))
            elif self._needs_retry(point, number, run, retry):
                found.append(Task(point, number, run.turn.attempt + 1))
        return tuple(found)

    def only(self, wanted: Sequence[str]) -> frozenset[str]:
        """Return the keys of the points that have certain values: ``["network=mlp", "threads=2"]``.

        Several values of one name are alternatives; every name must fit.

        Raises:
            OptionError: A text is not of that form, or no point has the value.
        """
        values: dict[str, set[str]] = {}
        rows = {point.key: point_row(point) for point in self.campaign.points}
        for text in wanted:
            name, equals, value = text.partition("=")
            known = {str(row[name]) for row in rows.values() if name in row}
            if not equals or value not in known:
                hint = did_you_mean(value, known) or f"Known: {', '.join(sorted(known))}"
                raise OptionError(
                    f"{argument('only').at(repr(text))}: no point of the campaign has it",
                    repair=hint,
                )
            values.setdefault(name, set()).add(value)
        return frozenset(
            key
            for key, row in rows.items()
            if all(str(row[name]) in chosen for name, chosen in values.items())
        )

    def _needs_retry(
        self, point: RunRequest, number: int, run: Measurement, retry: Collection[Retry]
    ) -> bool:
        if run.ok:
            return Retry.DISTURBED in retry and bool(self.disturbance(point, number))
        return (Retry.WRONG if run.status is Status.WRONG else Retry.FAILED) in retry


def state(campaign: Campaign, store: Store) -> State:
    """Return what a store holds of a campaign."""
    return State(campaign, store.turns({point.key for point in campaign.points}))


def run_tasks(
    tasks: Sequence[Task],
    store: Store,
    measure_point: Measure,
    *,
    report: Callable[[Task, Measurement | None], None],
) -> int:
    """Run tasks one after the other; each is recorded before the next one starts.

    Args:
        tasks: What is to be run, in order.
        store: Where the records go.
        measure_point: Runs one point.
        report: Told of every task that starts (None) and ends (its record).

    Returns:
        How many were run; those that another process recorded meanwhile are left out.

    Raises:
        StoreError: A record cannot be written, or the disk is nearly full; what is recorded stays.
    """
    done = 0
    for task in tasks:
        check_space(store)
        if store.attempts(task.point.key, task.round) >= task.attempt:
            continue
        report(task, None)
        record = finish(task, measure_point(task.point), store)
        report(task, record)
        done += 1
    return done


def finish(task: Task, record: Measurement, store: Store) -> Measurement:
    """Write a task's record and return it.

    Raises:
        StoreError: It cannot be written, or the run failed for want of disk space.
    """
    if record.failure is not None and record.failure.kind is FailureKind.DISK_FULL:
        raise StoreError(f"the disk is full: {task.point.title} was not run", repair=_RESUME)
    kept = replace(record, turn=task.turn)
    try:
        store.add(kept)
    except StoreError as error:
        raise StoreError(error.message, repair=error.repair or _RESUME) from error
    return kept


_RESUME = "Make room and give the same command again: what is recorded stays"


def check_space(store: Store) -> None:
    """Stop before the disk is full.

    Raises:
        StoreError: The store's disk has no room for further runs.
    """
    free = shutil.disk_usage(store.path.parent).free
    if free < LEAST_FREE_BYTES:
        raise StoreError(
            f"only {free / 1e6:.0f} MB are free beside {store.path}: no further point is started",
            repair=_RESUME,
        )


def measure_point(
    point: RunRequest,
    folder: Path | None = None,
    *,
    machine: str = "",
    fresh: bool = False,
    report: Report | None = None,
) -> Measurement:
    """Compress a point's network and run it; whatever goes wrong is a record with its reason.

    Args:
        point: What is run.
        folder: Where compiled programs, models and schedules are kept; None is the user's cache.
        machine: Key of this machine's platform, or name of a board, for the record.
        fresh: Whether what is kept is made again.
        report: Told of progress within the point.
    """
    folder = folder or cache_folder()
    written = _write_compressed(point, folder, report)
    if written.answer is None:
        kind = FailureKind.COMPRESSION
        if written.failure is not None and written.status is not Status.FAILED:
            kind = written.failure.kind
        failure = Failure(kind, f"compressing: {written.reason}")
        return failed_record(point, written.status, failure, machine)
    try:
        return measure(
            for_backend(point), model=str(written.answer.path), machine=machine, fresh=fresh,
            folder=folder, report=report,
        )  # fmt: skip
    except RooflineError as error:
        return failed_record(point, Status.FAILED, Failure(FailureKind.ERROR, str(error)), machine)


def _write_compressed(
    point: RunRequest, folder: Path, report: Report | None
) -> Outcome[WrittenFile]:
    if point.compression.nothing:
        return Outcome(Status.OK, answer=WrittenFile(Path(point.network)))
    return run_step(
        Compress(point.network, point.compression, point.protocol.seed, folder),
        environment={},
        time_limit_s=point.protocol.time_limit_s,
        memory_limit_bytes=point.protocol.memory_limit_bytes,
        report=report,
    )


def for_backend(point: RunRequest) -> RunRequest:
    """Return a point with the format of its weights among the options for the backend, which is to run from it."""
    form = point.compression.sparse_format
    sparse = {} if form == "dense" else {"sparse_format": form}
    return replace(point, options={**point.options, **sparse})


def failed_record(
    point: RunRequest, status: Status, failure: Failure, machine: str
) -> Measurement:
    """Return the record of a point that never got as far as a run."""
    job = replace(for_backend(point), network=printable(Path(point.network).stem))
    return Measurement(
        job,
        status,
        failure,
        machine=machine,
        environment=describe({}, None, None),
        timestamp=now(),
    )


def parse_retry(names: Sequence[str]) -> frozenset[Retry]:
    """Return the kinds of points to run again.

    Raises:
        MeasurementError: A name is none of them.
    """
    known = [kind.value for kind in Retry]

    def parse(name: str) -> Retry:
        unknown = f"{argument('retry').at(repr(name))} is not known"
        return Retry(check_known(name, known, unknown, error=MeasurementError))

    return frozenset(map(parse, names))
