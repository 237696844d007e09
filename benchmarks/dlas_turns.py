"""Time the programs of the campaign `dlas-tuned` in turns, so that what differs between them is not the hour.

    python benchmarks/dlas_turns.py tuned.db --turns 12      (after `roofline campaign run dlas-tuned --store tuned.db`)

All programs of a network that the store has a good record of, and that are kept, are loaded into one process and
timed one after the other, turn after turn, on one thread. Each call is one session, added to the shipped table;
`dlas_page.py` writes the page. Two or more sessions at different hours say what the hour changes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from roofline.progress import tell_nobody
from roofline.user_folders import cache_folder
from roofline.validate.campaigns.grid import load
from roofline.validate.campaigns.runner import for_backend, state
from roofline.validate.measuring.backend import Request, backends
from roofline.validate.measuring.compressed_model import write
from roofline.validate.measuring.environment import Busy, share_taken_since
from roofline.validate.measuring.measure import now
from roofline.validate.measuring.runnable_model import load_arrays, make_runnable
from roofline.validate.records.request import RunRequest
from roofline.validate.records.store import open_for_reading
from roofline.validate.studies.dlas.in_turns import (
    TURNS,
    Session,
    parse_sessions,
    sessions_csv,
)
from roofline.writing import write_whole

TABLE = Path(__file__).parents[1] / "validate" / "campaigns" / TURNS
_BURST_S, _LONGEST_BURST = 0.04, 20
"""Seconds, and at most how many runs, of a program in one turn; a program that takes longer runs once."""


def step_of(point: RunRequest) -> Callable[[], None]:
    """Return what runs a point's program once."""
    backend, folder = backends.get(point.backend), cache_folder()
    source = point.network
    if not point.compression.nothing:
        source = str(write(point.network, point.compression, folder, seed=point.protocol.seed))
    made = make_runnable(source, binding=point.binding, seed=point.protocol.seed, folder=folder)
    job = replace(for_backend(point), datatype=made.datatype, batch=made.batch)
    request = Request(job, made.model, folder, fresh=False, in_turn=True)
    session = backend.load(request, backend.prepare(request, tell_nobody))
    session.bind(load_arrays(made.inputs))
    return session.step


def burst(step: Callable[[], None]) -> float:
    """Return the median seconds of some runs, the first of several left out."""
    taken: list[float] = []
    end = time.perf_counter() + _BURST_S
    while len(taken) < _LONGEST_BURST:
        begin = time.perf_counter()
        step()
        taken.append(time.perf_counter() - begin)
        if time.perf_counter() > end:
            break
    return statistics.median(taken[1:] or taken)


def time_in_turns(points: Sequence[RunRequest], turns: int) -> list[Session]:
    """Load the points' programs and time them in turns."""
    steps = {point.key: step_of(point) for point in points}
    for step in steps.values():
        step()
    when, busy = now(), Busy.now()
    taken: dict[str, list[float]] = {key: [] for key in steps}
    for turn in range(turns):
        # Every other turn goes backwards: no program always follows the same one.
        order = list(steps) if turn % 2 == 0 else list(reversed(steps))
        for key in order:
            taken[key].append(burst(steps[key]))
    others = share_taken_since(busy)
    return [Session(key, when, tuple(seconds), others) for key, seconds in taken.items()]


def main() -> None:
    """Add a session of each network to the table."""
    campaign = load("dlas-tuned")
    networks = list(dict.fromkeys(point.network for point in campaign.points))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("store", type=Path)
    parser.add_argument("--networks", nargs="+", default=networks, choices=networks)
    parser.add_argument("--turns", type=int, default=12)
    parser.add_argument(
        "--table", type=Path, default=TABLE, help="CSV file that sessions are added to"
    )
    given = parser.parse_args()
    os.environ["TVM_NUM_THREADS"] = "1"
    with open_for_reading(given.store) as kept:
        well = {
            run.turn.point
            for run in state(campaign, kept).records_in_order()
            if run.ok and run.turn
        }
    titles: Mapping[str, str] = {point.key: point.title for point in campaign.points}
    for network in given.networks:
        points = [
            point
            for point in campaign.points
            if point.key in well
            and point.network == network
            and point.backend == "tvm"
            and point.threads == 1
        ]
        if not points:
            continue
        added = time_in_turns(points, given.turns)
        before = parse_sessions(given.table.read_text("utf-8")) if given.table.exists() else ()
        write_whole(given.table, sessions_csv([*before, *added], titles).encode())
        print(f"  {network}: {len(points)} programs, {given.turns} turns", file=sys.stderr)


if __name__ == "__main__":
    main()
