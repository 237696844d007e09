"""A real tracker and two real servers as processes of this machine; one dies in the middle of a campaign."""

from __future__ import annotations

import signal
import threading
import time
from dataclasses import replace

import pytest

from roofline.errors import MeasurementError
from roofline.validate.campaigns.fleet import board_measure, spread
from roofline.validate.campaigns.grid import load
from roofline.validate.campaigns.runner import state
from roofline.validate.measuring.measure import measure
from roofline.validate.records.record import Status
from roofline.validate.records.request import Protocol, RunRequest
from roofline.validate.records.store import Store
from roofline.validate.tvm.boards.tracker import use_tracker

from ..rpc_fleet import KEY, running

pytestmark = [pytest.mark.tvm, pytest.mark.slow]
for package in ("tvm", "tornado", "cloudpickle", "onnxruntime"):
    pytest.importorskip(package)


@pytest.fixture
def fleet(tmp_path, monkeypatch):
    with running(tmp_path) as (tracker, servers):
        monkeypatch.setenv("ROOFLINE_RPC_TRACKER", str(tracker))
        use_tracker(tracker)
        yield tracker, servers


def campaign(folder, runs, limit):
    path = folder / "fleet.yaml"
    path.write_text(
        "schema_version: 1\nnetwork: [mlp_12_5, cnv_12_5]\nbatch: [1, 2, 3, 4]\ntuning: untuned\n"
        f"target: board\nboards: {{board: {{key: {KEY}}}}}\n"
        f"protocol: {{runs: {runs}, sampling_s: 10, time_limit_s: {limit}}}\n"
    )
    return load(path)


def run(wanted, store, tracker, folder, report=lambda task, record: None):
    run_point = board_measure(wanted.boards["board"], folder)
    spread(state(wanted, store).tasks(), store, run_point, tracker, KEY, report=report)


def test_a_server_killed_in_mid_campaign_loses_nothing(fleet, tmp_path):
    tracker, servers = fleet
    wanted = campaign(tmp_path, 20, 120)
    ended = []

    def kill_one(task, record):
        if record is not None:
            ended.append(task.point.key)
        if len(ended) == 2 and record is not None:
            # Not at once: the next run is to be under way on it.
            threading.Timer(5.0, servers[0].end).start()

    with Store(tmp_path / "records.db") as store:
        run(wanted, store, tracker, tmp_path / "cache", kill_one)
        found = state(wanted, store)
        assert len(store) == 8
    assert len(tracker.servers()[KEY]) == 1
    records = found.records_in_order()
    assert [record.status for record in records] == [Status.OK] * 8, [r.reason for r in records]
    assert {record.machine for record in records} == {"board"}
    assert all(record.check.passed and len(record.samples_s) == 20 for record in records)
    served_by = [record.environment.versions["server"] for record in records]
    # The first runs were spread over both, what came after the kill ran on the one that is left.
    assert len(set(served_by)) == 2
    assert all(record.environment.cpu for record in records)
    assert all(record.environment.versions["board's apache-tvm"] == record.environment.versions["apache-tvm"]
               for record in records)  # fmt: skip


def test_a_server_that_hangs_costs_a_time_limit_and_no_run(fleet, tmp_path):
    tracker, servers = fleet
    wanted = campaign(tmp_path, 5, 60)
    servers[0].send(signal.SIGSTOP)
    try:
        with Store(tmp_path / "records.db") as store:
            run(wanted, store, tracker, tmp_path / "cache")
            records = state(wanted, store).records_in_order()
    finally:
        servers[0].send(signal.SIGCONT)
    assert [record.status for record in records] == [Status.OK] * 8, [r.reason for r in records]
    assert len({record.environment.versions["server"] for record in records}) == 1


def test_a_program_for_another_processor_is_a_record_with_its_reason(fleet, tmp_path):
    options = RunRequest(
        "",
        threads=1, target="board", protocol=Protocol(runs=3, time_limit_s=120.0),
        options={"rpc_key": KEY, "rpc_target": "riscv64-generic-rv64"},
    )  # fmt: skip
    record = measure(
        replace(options, network="mlp_12_5", backend="tvm-rpc"), folder=tmp_path / "cache"
    )
    assert record.status is Status.FAILED
    assert "cannot load the program" in record.reason


def test_a_key_nobody_serves_is_refused_at_once(fleet):
    tracker, _ = fleet
    start = time.monotonic()
    with pytest.raises(MeasurementError, match=r"has the key 'test-bord'. Did you mean"):
        tracker.request("test-bord", wait_s=60)
    assert time.monotonic() - start < 10
