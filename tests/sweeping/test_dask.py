"""A sweep on a real Dask cluster: a scheduler and two workers of their own, one of which is killed."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from roofline.child import start_python
from roofline.errors import OptionError
from roofline.sweeping import Folder
from roofline.sweeping import dask_cluster as cluster

from .sweep_in_parts import small_grid

distributed = pytest.importorskip("distributed")
pq = pytest.importorskip("pyarrow.parquet")


def silent(*_: object) -> None:
    """Report nothing."""


def started(*arguments: str, cwd: Path) -> subprocess.Popen:
    return start_python(
        "-m", "dask", *arguments, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


@pytest.fixture
def scheduler(tmp_path):
    note = tmp_path / "scheduler.json"
    process = started(
        "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(note),
        cwd=tmp_path,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not note.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    yield note
    process.kill()
    process.wait()


@pytest.fixture
def processes(scheduler, tmp_path):
    workers = [
        started(
            "worker", "--scheduler-file", str(scheduler), "--nthreads", "1", "--no-dashboard", "--no-nanny",
            cwd=tmp_path,
        )
        for _ in range(2)
    ]  # fmt: skip
    yield scheduler, workers
    for process in workers:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_a_lost_worker_loses_and_doubles_nothing(processes, tmp_path):
    note, workers = processes
    grid, folder = small_grid(), Folder(tmp_path / "out")
    folder.begin(grid)

    def kill_one(_what: str, done: int, _total: int) -> None:
        if done == 5:
            workers[0].send_signal(signal.SIGKILL)

    with distributed.Client(scheduler_file=str(note), timeout=60) as client:
        client.wait_for_workers(2, timeout=60)
        cluster.run_on(client, grid, folder, range(grid.parts), kill_one)
    assert folder.done() == set(range(grid.parts))
    rows = pq.read_table(folder.path).select(["platform", "batch"]).to_pylist()
    assert len({(row["platform"], row["batch"]) for row in rows}) == len(rows) == grid.rows


@pytest.mark.slow
def test_a_local_cluster_does_the_same_as_this_process(tmp_path):
    from roofline.sweeping import parquet

    grid, folder = small_grid(), Folder(tmp_path / "out")
    folder.begin(grid)
    with cluster.connect(cluster.LOCAL) as client:
        cluster.run_on(client, grid, folder, [0, 7, 39], silent)
    assert folder.done() == {0, 7, 39}
    assert folder.part(7).read_bytes() == parquet(grid, 7)


def test_a_scheduler_that_does_not_answer_is_one_line(monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_S", 0.2)
    with (
        pytest.raises(OptionError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"),
        cluster.connect("tcp://127.0.0.1:9"),
    ):
        pass


@pytest.mark.parametrize("address", ["nonsense://x", "", "tcp://"])
def test_an_address_that_is_none_is_one_line(address, monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_S", 0.2)
    with pytest.raises(OptionError, match="no Dask scheduler"), cluster.connect(address):
        pass


@pytest.mark.slow
def test_a_scheduler_without_workers_is_one_line(scheduler, monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_S", 5)
    address = json.loads(scheduler.read_text())["address"]
    with pytest.raises(OptionError, match="has no workers"), cluster.connect(address):
        pass
