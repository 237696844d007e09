from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path

import pytest

from roofline.child import start_python
from roofline.validate.campaigns.grid import load
from roofline.validate.campaigns.runner import run_tasks, state
from roofline.validate.records.store import Store

from ..cli_process import run_python

SCRIPT = Path(__file__).with_name("killed_campaign.py")


def lives(path, store, kills, seed):
    done = run_python(SCRIPT, path, store, str(kills), str(seed), check=True, timeout=300)
    return json.loads(done.stdout)


def finish(path, store):
    """Run what the kills left, and return the records of the finished store."""
    sys.path.insert(0, str(SCRIPT.parent))
    try:
        from killed_campaign import measure_point
    finally:
        sys.path.remove(str(SCRIPT.parent))
    campaign = load(path)
    with Store(store) as kept:
        left = state(campaign, kept).tasks()
        run_tasks(left, kept, measure_point, report=lambda task, record: None)
        assert state(campaign, kept).tasks() == ()
        return list(kept.records()), len(left)


def grid(folder, points, rounds=2):
    path = folder / "kill.yaml"
    batches = ", ".join(map(str, range(1, points + 1)))
    path.write_text(
        f"schema_version: 1\nnetwork: mlp\nbackend: onnxruntime\nrounds: {rounds}\nbatch: [{batches}]\n"
    )
    return path


@pytest.mark.parametrize(
    ("kills", "points"), [(5, 400), pytest.param(50, 1500, marks=pytest.mark.slow)]
)
def test_a_campaign_killed_at_any_moment_loses_and_doubles_nothing(tmp_path, kills, points):
    path, store = grid(tmp_path, points), tmp_path / "records.db"
    told = lives(path, store, kills, seed=kills)
    assert told["killed"] == kills
    assert told["lost"] == []
    assert told["confirmed"] > 0
    records, left = finish(path, store)
    # Otherwise the last life had nothing to resume and the kills proved little.
    assert 0 < left < 2 * points
    turns = [(run.turn.point, run.turn.round) for run in records]
    assert len(turns) == len(set(turns)) == 2 * points
    assert all(run.turn.attempt == 1 and len(run.samples_s) == 150 for run in records)


def test_two_processes_on_one_store_double_nothing(tmp_path):
    path, store = grid(tmp_path, 40), tmp_path / "records.db"
    code = (
        f"import sys; sys.path.insert(0, {str(SCRIPT.parent)!r}); import os, killed_campaign as k;"
        f"from pathlib import Path; k.run(k.load({str(path)!r}), Path({str(store)!r}),"
        " os.open(os.devnull, os.O_WRONLY))"
    )
    both = [start_python("-c", code) for _ in range(2)]
    assert [process.wait(120) for process in both] == [0, 0]
    records, left = finish(path, store)
    assert left == 0
    turns = [(run.turn.point, run.turn.round) for run in records]
    assert len(turns) == len(set(turns)) == 80


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the kernel ends orphans on Linux"
)
def test_a_killed_campaign_leaves_no_run_behind(small_model, tmp_path, fake_backend):
    path = tmp_path / "hang.yaml"
    path.write_text(
        f"schema_version: 1\nnetwork: {small_model.name}\nbackend: fake\nbatch: 2\noptions: {{mode: hang}}\n"
    )
    process = start_python(
        "-m", "roofline", "campaign", "run", str(path), "--store", str(tmp_path / "records.db"),
        variables={"ROOFLINE_CACHE": str(tmp_path / "cache")},
    )  # fmt: skip
    try:
        worker = waited(lambda: next(iter(children(process.pid, "worker", action=b'"run"')), None))
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert waited(lambda: not Path(f"/proc/{worker}").exists() or state_of(worker) == "Z")


def children(parent, word, action):
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().split(b"\0")
            ppid = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            ours = ppid == parent and any(word.encode() in part for part in command)
            if ours and action in (Path(command[-3].decode()) / "request.json").read_bytes():
                yield int(entry.name)
        except (OSError, IndexError, ValueError):
            continue


def state_of(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def waited(check, limit=60.0):
    end = time.monotonic() + limit
    while time.monotonic() < end:
        found = check()
        if found:
            return found
        time.sleep(0.05)
    return None
