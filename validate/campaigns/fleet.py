"""Spreads a campaign's runs over all boards that share a key; a board that goes away loses nothing."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from roofline.number_format import plural
from roofline.validate.campaigns.grid import Board
from roofline.validate.campaigns.runner import Measure, Task, check_space, finish, measure_point
from roofline.validate.records.failure import FailureKind
from roofline.validate.records.record import Measurement, Turn
from roofline.validate.records.request import RunRequest, Scalar
from roofline.validate.records.store import Store
from roofline.validate.tvm.boards.tracker import BoardError, Tracker

BOARDS_TRIED = 2
"""How many boards a run may lose, or keep beyond the time limit, before that is recorded as its end."""

_WAITS = 20
"""How often a run may wait for a board in vain before the campaign stops."""

_POLL_S = 1.0
_GONE_S = 30.0
"""How long to wait for a board to come back when none is left."""


def spread(
    tasks: Sequence[Task],
    store: Store,
    measure_point: Measure,
    tracker: Tracker,
    key: str,
    *,
    report: Callable[[Task, Measurement | None], None],
    gone_s: float = _GONE_S,
) -> int:
    """Run tasks on as many boards at a time as serve a key; records are written as they come.

    A run whose board went away, or did not answer within the time limit, is given to another board once; how it ends
    there is recorded.

    Args:
        tasks: What is to be run, all on boards of this key.
        store: Where the records go.
        measure_point: Runs one point on whichever board is free.
        tracker: Where the boards are known.
        key: Their key.
        report: Told of every task that starts (None) and ends (its record).
        gone_s: Seconds without any board after which the campaign stops.

    Returns:
        How many were recorded.

    Raises:
        BoardError: All boards are gone, or the tracker is; what is recorded stays, the rest is left.
        StoreError: A record cannot be written.
    """
    left = [task for task in tasks if store.attempts(task.point.key, task.round) < task.attempt]
    fleet = _Fleet(store, measure_point, report, left)
    seen = time.monotonic()
    while fleet.left or fleet.running:
        boards = len(tracker.servers().get(key, ()))
        if boards or fleet.running:
            seen = time.monotonic()
        elif time.monotonic() - seen > gone_s:
            raise BoardError(
                f"no server with the key {key!r} is left at {tracker}; "
                f"{plural(len(fleet.left), 'run is', 'runs are')} left",
                repair="Start one and give the same command again",
            )
        fleet.start(boards)
        fleet.finish()
    return fleet.recorded


@dataclass(slots=True)
class _Fleet:
    """The runs of a campaign that wait for a board, and those that are on one."""

    store: Store
    measure_point: Measure
    report: Callable[[Task, Measurement | None], None]
    left: list[Task]
    running: set[Turn] = field(default_factory=set[Turn])
    recorded: int = 0
    _ends: queue.Queue[tuple[Task, Measurement]] = field(
        default_factory=queue.Queue[tuple[Task, Measurement]]
    )
    _trouble: dict[Turn, list[int]] = field(default_factory=dict[Turn, list[int]])

    def start(self, boards: int) -> None:
        """Start runs until there are as many as boards."""
        while self.left and len(self.running) < boards:
            check_space(self.store)
            task = self.left.pop(0)
            self.report(task, None)
            self.running.add(task.turn)
            # A daemon: a campaign that is stopped does not wait for its boards.
            threading.Thread(target=self._run, args=(task,), daemon=True).start()

    def finish(self) -> None:
        """Record the runs that have ended, or put them back in line."""
        for task, record in _collect(self._ends, _POLL_S):
            self.running.remove(task.turn)
            if _needs_another(task, record, self._trouble.setdefault(task.turn, [0, 0])):
                self.left.append(task)
                continue
            self.report(task, finish(task, record, self.store))
            self.recorded += 1

    def _run(self, task: Task) -> None:
        self._ends.put((task, self.measure_point(task.point)))


def board_measure(board: Board, folder: Path | None = None, *, fresh: bool = False) -> Measure:
    """Return what runs a point on a board."""

    def run(point: RunRequest) -> Measurement:
        options: dict[str, Scalar] = {**point.options, "rpc_key": board.key}
        if board.target:
            options["rpc_target"] = board.target
        there = replace(point, options=options)
        return measure_point(there, folder, machine=board.name, fresh=fresh)

    return run


def _collect(
    ends: queue.Queue[tuple[Task, Measurement]], wait_s: float
) -> list[tuple[Task, Measurement]]:
    """Return what has ended, after waiting a while for the first of it."""
    found: list[tuple[Task, Measurement]] = []
    try:
        found.append(ends.get(timeout=wait_s))
        while True:
            found.append(ends.get_nowait())
    except queue.Empty:
        return found


def _needs_another(task: Task, record: Measurement, trouble: list[int]) -> bool:
    """Return whether a run that ended is to be given to another board.

    Args:
        task: The run.
        record: How it ended.
        trouble: How often it found no board, and how often it lost one; counted on here.
    """
    kind = record.failure.kind if record.failure is not None else None
    if kind is FailureKind.NO_BOARD:
        trouble[0] += 1
        if trouble[0] < _WAITS:
            return True
        raise BoardError(
            f"{task.point.title}: {record.reason}, {_WAITS} times",
            repair="Start the servers again, and give the same command to go on",
        )
    if kind in {FailureKind.BOARD_LOST, FailureKind.TIME_LIMIT}:
        trouble[1] += 1
        return trouble[1] < BOARDS_TRIED
    return False
