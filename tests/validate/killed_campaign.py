"""Starts a campaign again and again and kills it each time at a moment of chance; run as a script.

Every child tells, over a pipe, each record that the store has confirmed: one of those may never be missing later.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import sys
import time
from pathlib import Path

from roofline.validate.campaigns.grid import load
from roofline.validate.campaigns.runner import run_tasks, state
from roofline.validate.records.record import Measurement, Status
from roofline.validate.records.request import RunRequest
from roofline.validate.records.store import Store


def measure_point(point):
    time.sleep(0.001)
    job = RunRequest(point.network, point.backend, batch=point.batch)
    return Measurement(job, Status.OK, samples_s=tuple(random.random() for _ in range(150)))


def run(campaign, store, tell):
    def report(task, record):
        if record is not None:
            os.write(tell, f"{task.point.key} {task.round}\n".encode())

    with Store(store) as kept:
        run_tasks(state(campaign, kept).tasks(), kept, measure_point, report=report)


def one_life(campaign, store, span, from_first_record):
    """Return what the campaign's process confirmed before it was killed, and whether it was.

    ``span`` counts from the start of the process or, so that a busy machine confirms some too, from its first record.
    """
    listen, tell = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(listen)
        run(campaign, store, tell)
        os._exit(0)
    os.close(tell)
    if from_first_record:
        select.select([listen], [], [])
    time.sleep(span)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    with os.fdopen(listen) as lines:
        # The last line may be torn by the kill.
        confirmed = [line.split() for line in lines.read().split("\n")[:-1]]
    return confirmed, os.WIFSIGNALED(status)


def main():
    path, store, kills = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    random.seed(int(sys.argv[4]))
    campaign = load(path)
    [point.key for point in campaign.points]
    confirmed, killed, lost = [], 0, []
    while killed < kills:
        told, was_killed = one_life(campaign, store, random.uniform(0.0, 0.15), killed % 2 == 1)
        confirmed += told
        killed += was_killed
        with Store(store) as kept:
            there = {(run.turn.point, str(run.turn.round)) for run in kept.records()}
        lost += [entry for entry in confirmed if tuple(entry) not in there]
        if not was_killed:
            break
    json.dump({"killed": killed, "confirmed": len(confirmed), "lost": lost}, sys.stdout)


if __name__ == "__main__":
    main()
