"""Runs what is left of a campaign: on this machine, then on each board."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from roofline.progress import Report
from roofline.validate.campaigns.fleet import board_measure, spread
from roofline.validate.campaigns.grid import Campaign
from roofline.validate.campaigns.runner import Task, measure_point, run_tasks
from roofline.validate.records.record import Measurement
from roofline.validate.records.store import Store
from roofline.validate.tvm.boards.reaching import reach
from roofline.validate.tvm.boards.tracker import Tracker, use_tracker


def reach_boards(campaign: Campaign, tasks: Sequence[Task], tracker: str) -> dict[str, Tracker]:
    """Return the tracker of every board that is used, each checked before anything is run.

    Args:
        campaign: Whose boards they are.
        tasks: What is to be run.
        tracker: Address of the tracker of all boards; empty for each board's own.

    Raises:
        OptionError: A board has no tracker.
        BoardError: A tracker does not answer, or nobody serves a board's key.
    """
    names = dict.fromkeys(task.point.target for task in tasks if task.point.target != "local")
    boards = {name: campaign.boards[name] for name in names}
    return {
        name: reach(tracker or board.tracker, board.key, board=f"the board {name!r}")
        for name, board in boards.items()
    }


def run_on_boards(
    campaign: Campaign,
    tasks: Sequence[Task],
    store: Store,
    trackers: Mapping[str, Tracker],
    *,
    machine: str,
    fresh: bool,
    progress: Report,
    report: Callable[[Task, Measurement | None], None],
) -> None:
    """Run tasks where each belongs, every record kept as soon as there is one.

    Args:
        campaign: Whose tasks they are.
        tasks: What is to be run, in this order.
        store: Where the records go.
        trackers: Of the boards, as `reach_boards` finds them.
        machine: Key of this machine's platform, for the records.
        fresh: Whether kept compiled programs and tuning results are made again.
        progress: Told of the progress of runs on this machine.
        report: Told of each task when it is done.
    """
    local = [task for task in tasks if task.point.target == "local"]
    measure = partial(measure_point, machine=machine, fresh=fresh, report=progress)
    run_tasks(local, store, measure, report=report)
    for name, tracker in trackers.items():
        board = campaign.boards[name]
        use_tracker(tracker)
        there = [task for task in tasks if task.point.target == name]
        run_point = board_measure(board, fresh=fresh)
        spread(there, store, run_point, tracker, board.key, report=report)
