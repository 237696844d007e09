"""Builds and times candidates in forked children: no imports, no linker, and a crash costs one of them.

Children build side by side; timing is one at a time and only when nothing builds, so that candidates
do not disturb each other.
"""

from __future__ import annotations

import json
import os
import select
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn

Build = Callable[[Any], Callable[[float], float]]
"""Builds a candidate and returns its timer: told the best time so far, it returns seconds per run."""


SAMPLING_S = 0.03
"""CPU time spent on timing one candidate."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Seconds per run, or why there are none."""

    seconds: float | None
    error: str = ""


@dataclass(slots=True)
class _Child:
    """One forked process and the pipes to it."""

    pid: int
    commands: int
    replies: int
    pending: list[int]
    """Candidates it has not answered for, in order."""
    buffer: bytes = b""


def race(
    candidates: Sequence[Any],
    build: Build,
    *,
    workers: int,
    build_limit_s: float,
    run_limit_s: float,
) -> list[Outcome]:
    """Build all candidates and time those that were built.

    Args:
        candidates: Anything `build` understands; children inherit them, so nothing is serialized.
        build: Called in a child.
        workers: Children that build at the same time.
        build_limit_s: Time one build may take before its child is ended.
        run_limit_s: The same for timing.

    Returns:
        One outcome per candidate, in order.
    """
    outcomes: list[Outcome | None] = [None] * len(candidates)
    waiting = list(range(len(candidates)))
    while waiting:
        shares = [waiting[start::workers] for start in range(min(workers, len(waiting)))]
        children = [_fork(candidates, share, build) for share in shares]
        try:
            lost = _build_all(children, outcomes, build_limit_s)
            lost |= _time_all(children, outcomes, run_limit_s)
        finally:
            for child in children:
                _end(child)
        # A child that died took its later candidates with it: they get another child.
        waiting = sorted(index for index in lost if outcomes[index] is None)
    return [outcome or Outcome(None, "lost") for outcome in outcomes]


def shortest_cpu_time(run: Callable[[], object], best: float) -> float:
    """Return the shortest CPU time of a run in seconds: other load on the machine does not count.

    Args:
        run: What is timed, on one thread; it is called once before anything is timed.
        best: The best time of other candidates; one three times slower is soon given up.
    """
    run()
    shortest, spent = float("inf"), 0.0
    while spent < SAMPLING_S:
        begin = time.process_time()
        run()
        took = time.process_time() - begin
        shortest, spent = min(shortest, took), spent + took
        if shortest > 3 * best and spent > SAMPLING_S / 5:
            break
    return shortest


def _build_all(
    children: Sequence[_Child], outcomes: list[Outcome | None], limit_s: float
) -> set[int]:
    lost: set[int] = set()
    built: dict[int, list[int]] = {child.replies: [] for child in children}
    deadline = {child.replies: time.monotonic() + limit_s for child in children}
    active: list[_Child] = [child for child in children if child.pending]
    while active:
        nearest = min(deadline[child.replies] for child in active)
        ready, _, _ = select.select(
            [child.replies for child in active], [], [], max(0.0, nearest - time.monotonic())
        )
        for child in list(active):
            replies = _replies(child) if child.replies in ready else []
            for reply in replies or ():
                index = child.pending.pop(0)
                deadline[child.replies] = time.monotonic() + limit_s
                if reply["error"]:
                    outcomes[index] = Outcome(None, reply["error"])
                else:
                    built[child.replies].append(index)
            late = time.monotonic() > deadline[child.replies]
            if child.pending and (replies is None or late):
                culprit = child.pending.pop(0)
                why = "timed out" if late else "crashed"
                outcomes[culprit] = Outcome(None, f"the build {why}")
                lost |= {*child.pending, *built[child.replies]}
                built[child.replies] = []
                child.pending = []
                _end(child)
        active = [child for child in active if child.pending]
    for child in children:
        child.pending = built[child.replies]
    return lost


def _time_all(
    children: Sequence[_Child], outcomes: list[Outcome | None], limit_s: float
) -> set[int]:
    lost: set[int] = set()
    best = float("inf")
    for child in children:
        while child.pending:
            index = child.pending.pop(0)
            with suppress(OSError):
                os.write(child.commands, f"{json.dumps([index, best])}\n".encode())
            ready, _, _ = select.select([child.replies], [], [], limit_s)
            replies = _replies(child) if ready else None
            if not replies:
                why = "crashed" if ready else "timed out"
                outcomes[index] = Outcome(None, f"the run {why}")
                lost |= set(child.pending)
                child.pending = []
                _end(child)
                break
            reply = replies[0]
            outcomes[index] = Outcome(reply["seconds"], reply["error"])
            best = min(best, reply["seconds"] or best)
    return lost


def _fork(candidates: Sequence[Any], share: list[int], build: Build) -> _Child:
    down_read, down_write = os.pipe()
    up_read, up_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(down_write)
        os.close(up_read)
        _serve(candidates, share, build, down_read, up_write)
    os.close(down_read)
    os.close(up_write)
    return _Child(pid, down_write, up_read, list(share))


def _serve(
    candidates: Sequence[Any], share: list[int], build: Build, commands: int, replies: int
) -> NoReturn:
    """Be the child: build everything, then time what is asked for; never return into the parent's code."""
    try:
        timers: dict[int, Callable[[float], float]] = {}
        for index in share:
            error = ""
            try:
                timers[index] = build(candidates[index])
            except Exception as failure:
                error = f"{type(failure).__name__}: {failure}"[:300]
            os.write(replies, json.dumps({"error": error}).encode() + b"\n")
        with os.fdopen(commands, encoding="utf-8") as lines:
            for line in lines:
                index, best = json.loads(line)
                reply: dict[str, object] = {"seconds": None, "error": ""}
                try:
                    reply["seconds"] = timers.pop(index)(best)
                except Exception as failure:
                    reply["error"] = f"{type(failure).__name__}: {failure}"[:300]
                os.write(replies, json.dumps(reply).encode() + b"\n")
    finally:
        os._exit(0)


def _replies(child: _Child) -> list[Any] | None:
    """Return complete replies, or None when the child is gone."""
    chunk = os.read(child.replies, 65536)
    if not chunk:
        return None
    *lines, child.buffer = (child.buffer + chunk).split(b"\n")
    return [json.loads(line) for line in lines]


def _end(child: _Child) -> None:
    if not child.pid:
        return
    with suppress(ProcessLookupError):
        os.kill(child.pid, signal.SIGKILL)
    os.waitpid(child.pid, 0)
    os.close(child.commands)
    os.close(child.replies)
    child.pid = 0
