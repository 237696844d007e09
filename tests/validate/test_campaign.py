from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from roofline.errors import MeasurementError, NetworkError, OptionError, StoreError
from roofline.validate.campaigns.grid import load, shipped_campaigns
from roofline.validate.campaigns.runner import (
    Retry,
    Task,
    measure_point,
    parse_retry,
    run_tasks,
    state,
)
from roofline.validate.records.compression import Compression
from roofline.validate.records.failure import Failure, FailureKind
from roofline.validate.records.files import import_csv
from roofline.validate.records.record import Environment, Measurement, Status
from roofline.validate.records.request import Protocol, RunRequest
from roofline.validate.records.store import Store

from ..cli_process import run_roofline

VERSION_1 = Path(__file__).parent / "version_1"
MLP = RunRequest("mlp", batch=1, threads=1, tuning="none", trials=0)

pytest.importorskip("onnxruntime", reason="the reference is computed by ONNX Runtime")


def write(folder, text, name="grid.yaml"):
    path = folder / name
    path.write_text(f"schema_version: 1\n{text}")
    return path


GRID = """
network: [mlp, cnv]
compression: [dense, {keep_channels: 0.5}, {sparsity: 0.9, sparse_format: csr}]
backend: [onnxruntime, tvm]
algorithm: [direct, gemm]
tuning: [untuned, tuned]
threads: [1, 2]
trials: 4
exclude:
  - {backend: tvm, threads: 2}
  - {network: cnv, compression: {keep_channels: 0.5}}
"""


def test_a_grid_becomes_its_points_in_order_and_once(tmp_path):
    campaign = load(write(tmp_path, GRID))
    # 2 networks x 3 compressions x 2 backends x 2 algorithms x 2 tunings x 2 threads
    assert campaign.combinations == 2 * 3 * 2 * 2 * 2 * 2
    # TVM: 5 compressed networks x 4 ways, 1 thread. ONNX Runtime has nothing to choose: 5 x 2 threads.
    assert Counter(point.backend for point in campaign.points) == {
        "tvm": 5 * 4,
        "onnxruntime": 5 * 2,
    }
    assert len({point.key for point in campaign.points}) == len(campaign.points)
    # The first rule leaves out half of TVM's 48, the second one sixth of the other 24 and of ONNX Runtime's 48.
    assert campaign.excluded == 48 // 2 + 24 // 6 + 48 // 6
    runtime = [point for point in campaign.points if point.backend == "onnxruntime"]
    assert {(p.algorithm, p.tuning, p.compression.sparse_format) for p in runtime} == {
        ("default", "none", "dense")
    }
    untuned = [point for point in campaign.points if point.tuning == "untuned"]
    assert {point.trials for point in untuned} == {0}
    assert load(write(tmp_path, GRID)).points == campaign.points


def test_a_points_key_is_what_is_asked_and_nothing_else(tmp_path):
    point = RunRequest("mlp", tuning="none", batch=1, threads=1, protocol=Protocol(runs=10))
    same = replace(point, protocol=Protocol(runs=10, time_limit_s=1.0, memory_limit_bytes=7))
    assert same.key == point.key
    for changed in (
        {"network": "cnv"}, {"compression": Compression(0.5)}, {"compression": Compression(sparsity=0.5)},
        {"datatype": "int8"}, {"compression": Compression(keep_layers=(("conv*", 0.5),))},
        {"backend": "torch"}, {"algorithm": "gemm"}, {"tuning": "tuned"}, {"trials": 1},
        {"batch": 2}, {"threads": 2}, {"target": "pi"}, {"options": {"a": 1}}, {"dims": {"n": 2}},
        {"protocol": Protocol(runs=11)}, {"protocol": Protocol(runs=10, seed=1)},
    ):  # fmt: skip
        assert replace(point, **changed).key != point.key, changed
    # The order of a file decides nothing: the same point in another file is the same point.
    here = load(write(tmp_path, "network: [cnv, mlp]\nbackend: onnxruntime\n"))
    there = load(write(tmp_path, "backend: onnxruntime\nnetwork: mlp\n", "other.yaml"))
    assert there.points[0].key == here.points[1].key


def test_recorded_campaigns_go_on_where_they_were():
    # Written by the first version of the program: the digests of today's points are still theirs.
    points = {point.key for point in load(VERSION_1 / "grid.yaml").points}
    records = import_csv((VERSION_1 / "records.csv").read_text(encoding="utf-8"))
    turns = [record.turn for record in records]
    assert len(turns) == 13
    assert {turn.point for turn in turns} <= points


def test_a_models_key_follows_its_content_not_its_place(small_model, tmp_path):
    text = f"network: {small_model.name}\nbackend: onnxruntime\nbatch: 2\n"
    first = load(write(tmp_path, text)).points[0]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(small_model, elsewhere)
    assert load(write(elsewhere, text)).points[0].key == first.key
    content = small_model.read_bytes()
    (elsewhere / small_model.name).write_bytes(content.replace(b"small", b"smell"))
    assert load(write(elsewhere, text)).points[0].key != first.key


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("netwrok: mlp\n", OptionError, "line 2: netwrok: unknown key netwrok. Did you mean 'network'"),
        ("network: mpl\n", NetworkError, "no network is called 'mpl'. Did you mean 'mlp'"),
        ("network: gone.onnx\n", NetworkError, "gone.onnx does not exist"),
        ("backend: tvm\n", OptionError, "no network is named"),
        ("network: mlp\nbackend: tvn\n", MeasurementError, "unknown .*backend 'tvn'.*'tvm'"),
        ("network: mlp\ntuning: tunned\n", OptionError, "no tuning 'tunned'. Did you mean 'tuned'"),
        ("network: mlp\nalgorithm: gem\n", OptionError, "no algorithm 'gem'. Did you mean 'gemm'"),
        ("network: mlp\ndatatype: int9\n", OptionError, "int9"),
        ("network: mlp\nthreads: [1, 0]\n", OptionError, r"line 3: threads\[1\]: .* not 0"),
        ("network: mlp\ncompression: {keep_channels: 50}\n", OptionError, "line 3.*not 50"),
        ("network: mlp\ncompression: {sparsity: 0.5, sparse_format: crs}\n", OptionError,
         "unknown sparse format 'crs'"),
        ("network: mlp\ntarget: pi\n", OptionError, "no board is called 'pi'"),
        ("network: mlp\nexclude: [{network: cnv}]\n", OptionError, "no grid has network cnv"),
        ("network: mlp\nexclude: [{}]\n", OptionError, "would exclude everything"),
        ("network: mlp\nexclude: [{netwok: mlp}]\n", OptionError, r"exclude\[0\].netwok.*network"),
        ("network: mlp\nnetwork: cnv\n", OptionError, "line 3: network is there twice"),
        ("network: mlp\nrounds: 0\n", OptionError, "rounds"),
        ("network: [\n", OptionError, "not valid YAML"),
    ],
)  # fmt: skip
def test_a_wrong_campaign_is_one_line_that_says_where(tmp_path, text, error, message):
    with pytest.raises(error, match=message) as caught:
        load(write(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_a_newer_campaign_and_none_at_all(tmp_path):
    path = tmp_path / "new.yaml"
    path.write_text("schema_version: 2\nfuture: 1\n")
    with pytest.raises(OptionError, match="schema version 2; this program knows 1"):
        load(path)
    path.write_text("schema_version: 1.0\nnetwork: mlp\n")
    with pytest.raises(OptionError, match=r"schema_version 1\.0, not 1\. Begin it with"):
        load(path)
    path.write_text("network: mlp\n")
    with pytest.raises(
        OptionError, match=r"no schema_version, not 1. Begin it with: schema_version: 1"
    ):
        load(path)
    with pytest.raises(OptionError, match=r"no campaign is called 'dals'. Did you mean 'dlas'"):
        load("dals")
    with pytest.raises(OptionError, match=r"absent\.yaml does not exist"):
        load(tmp_path / "absent.yaml")


@pytest.mark.parametrize("name", shipped_campaigns())
def test_a_shipped_campaign_can_be_read(name):
    campaign = load(name)
    assert campaign.title
    assert len(campaign.points) >= 20


def record(point, *, status=Status.OK, seconds=1e-3, count=20, **fields):
    job = RunRequest(point.network, point.backend, batch=point.batch, threads=point.threads)
    samples = (seconds,) * count if status is Status.OK else ()
    failure = None if status is Status.OK else Failure(FailureKind.ERROR, "why")
    return Measurement(job, status, failure, samples_s=samples, **fields)


def batches(tmp_path, count=4, rounds=1):
    text = f"network: mlp\nbackend: onnxruntime\nrounds: {rounds}\nbatch: {list(range(1, count + 1))}\n"
    return load(write(tmp_path, text))


def go(campaign, store, measure_point, retry=()):
    seen = []
    tasks = state(campaign, store).tasks(retry)
    run_tasks(tasks, store, measure_point, report=lambda t, r: seen.append(t) if r else None)
    return [(task.point.batch, task.round, task.attempt) for task in seen]


def test_what_failed_is_recorded_and_only_repeated_when_asked(tmp_path):
    campaign = batches(tmp_path)
    outcome = {1: Status.OK, 2: Status.FAILED, 3: Status.WRONG, 4: Status.TIMEOUT}
    with Store(tmp_path / "records.db") as store:
        done = go(campaign, store, lambda point: record(point, status=outcome[point.batch]))
        assert done == [(1, 1, 1), (2, 1, 1), (3, 1, 1), (4, 1, 1)]
        assert go(campaign, store, record) == []
        assert go(campaign, store, record, {Retry.WRONG}) == [(3, 1, 2)]
        assert go(campaign, store, record, {Retry.FAILED}) == [(2, 1, 2), (4, 1, 2)]
        assert go(campaign, store, record, set(Retry)) == []
        # The first attempts stay, for whoever wants to know.
        assert len(store) == 7
        counts = state(campaign, store).counts()
    assert (counts["ok"], counts["failed"], counts["left"]) == (4, 0, 0)


def test_rounds_interleave_and_show_drift(tmp_path):
    campaign = batches(tmp_path, count=2, rounds=3)
    order = []

    def measured(point):
        order.append(point.batch)
        # The machine is half as fast in the last round, for the second point only.
        slow = len(order) > 4 and point.batch == 2
        return record(point, seconds=2e-3 if slow else 1e-3)

    with Store(tmp_path / "records.db") as store:
        go(campaign, store, measured)
        assert order == [1, 2, 1, 2, 1, 2]
        found = state(campaign, store)
        second = campaign.points[1]
        assert found.deviation(second, 3) == pytest.approx(1.0)
        assert "+100%" in found.disturbance(second, 3)
        assert found.disturbance(second, 1) == ""
        assert found.counts()["disturbed"] == 1
        assert go(campaign, store, record, {Retry.DISTURBED}) == [(2, 3, 2)]
        assert state(campaign, store).counts()["disturbed"] == 0


def test_a_run_beside_other_load_can_be_repeated(tmp_path):
    campaign = batches(tmp_path, count=2)
    busy = Environment(cores=2, others_share=0.9)
    with Store(tmp_path / "records.db") as store:
        go(
            campaign,
            store,
            lambda p: record(p, environment=busy if p.batch == 1 else Environment()),
        )
        assert state(campaign, store).counts()["disturbed"] == 1
        assert go(campaign, store, record, {Retry.DISTURBED}) == [(1, 1, 2)]


def test_a_turn_is_recorded_once_whoever_comes_second(tmp_path):
    point = MLP
    turn = Task(point, 1, 1).turn
    with Store(tmp_path / "records.db") as store, Store(tmp_path / "records.db") as other:
        assert store.add(replace(record(point), turn=turn))
        assert not other.add(replace(record(point, seconds=5.0), turn=turn))
        assert other.add(replace(record(point, seconds=5.0), turn=replace(turn, attempt=2)))
        assert store.turns({turn.point})[turn.point][1].median_s == 5.0
        assert store.attempts(turn.point, 1) == 2


def test_a_full_disk_is_one_line_and_loses_nothing(tmp_path, monkeypatch):
    campaign = batches(tmp_path)
    path = tmp_path / "records.db"
    with Store(path) as store:
        # As many pages as the first two records need.
        go(campaign, store, record, ())
        store._connection.execute("DELETE FROM records")
        store._connection.execute("VACUUM")
        pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
        store._connection.execute(f"PRAGMA max_page_count = {pages}")
        incompressible = iter(range(10**9))

        def large(point):
            samples = tuple(hash((next(incompressible), i)) / 1e19 for i in range(400))
            return replace(record(point), samples_s=samples)

        with pytest.raises(StoreError, match="full") as caught:
            go(campaign, store, large)
        assert "same command again" in str(caught.value)
        kept = len(store)
    with Store(path) as store:
        assert len(list(store.records())) == kept < 4
        assert len(go(campaign, store, large)) == 4 - kept


def test_a_nearly_full_disk_starts_nothing(tmp_path, monkeypatch):
    campaign = batches(tmp_path)
    with Store(tmp_path / "records.db") as store:
        usage = shutil.disk_usage(tmp_path)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1_000_000))
        with pytest.raises(StoreError, match="only 1 MB are free"):
            go(campaign, store, record)
        assert len(store) == 0


def test_a_run_that_failed_for_want_of_space_is_not_recorded(tmp_path):
    campaign = batches(tmp_path)

    def full(point):
        return replace(
            record(point, status=Status.FAILED),
            failure=Failure(FailureKind.DISK_FULL, "no room"),
        )

    with Store(tmp_path / "records.db") as store:
        with pytest.raises(StoreError, match="disk is full"):
            go(campaign, store, full)
        assert len(go(campaign, store, record)) == 4


def test_only_chosen_points_are_run(tmp_path):
    campaign = batches(tmp_path)
    with Store(tmp_path / "records.db") as store:
        found = state(campaign, store)
    chosen = found.only(["batch=2", "batch=3", "network=mlp"])
    assert [p.batch for p in campaign.points if p.key in chosen] == [2, 3]
    with pytest.raises(OptionError, match="no point of the campaign has it"):
        found.only(["batch=9"])
    with pytest.raises(MeasurementError, match="retry='all' is not known"):
        parse_retry(["all"])


def test_compression_is_written_run_and_named(small_model, tmp_path, fake_backend):
    text = f"network: {small_model.name}\nbackend: fake\nbatch: 2\nprotocol: {{runs: 3}}\n"
    text += "compression: [dense, {keep_channels: 0.5}, {sparsity: 0.5}]\n"
    campaign = load(write(tmp_path, text))
    with Store(tmp_path / "records.db") as store:
        go(campaign, store, partial(measure_point, folder=tmp_path / "cache"))
        records = state(campaign, store).records_in_order()
    assert [run.status for run in records] == [Status.OK] * 3, [run.reason for run in records]
    assert [run.job.compression.label for run in records] == [
        "dense",
        "keep-channels=0.5",
        "sparsity=0.5",
    ]
    assert {run.job.network for run in records} == {"small"}
    assert len({run.job.model_sha256 for run in records}) == 3
    # Half of the 16 hidden channels go: the written file has 8.
    (pruned,) = [
        path for path in (tmp_path / "cache" / "variants").rglob("small.onnx")
        if hashlib.sha256(path.read_bytes()).hexdigest() == records[1].job.model_sha256
    ]  # fmt: skip
    import onnx

    shapes = {tuple(tensor.dims) for tensor in onnx.load(pruned).graph.initializer}
    assert shapes == {(8, 8), (8, 4)}


def test_whatever_a_backend_does_the_campaign_goes_on(small_model, tmp_path, fake_backend):
    modes = ("ok", "crash", "hang", "wrong", "allocate")
    grids = "".join(f"  - options: {{mode: {mode}}}\n" for mode in modes)
    text = f"network: {small_model.name}\nbackend: fake\nbatch: 2\n"
    text += "protocol: {runs: 3, time_limit_s: 20, memory_limit_gb: 0.6}\ngrids:\n" + grids
    path = write(tmp_path, text)
    done = run_roofline(
        "campaign", "run", path, "--format", "json", "--store", tmp_path / "records.db",
        check=True, variables={"ROOFLINE_CACHE": str(tmp_path / "cache")},
    )  # fmt: skip
    document = json.loads(done.stdout)
    assert [entry["status"] for entry in document["records"]] == [
        "ok", "failed", "timeout", "wrong", "out-of-memory",
    ]  # fmt: skip
    assert document["left"] == 0
    estimate, *told = done.stderr.splitlines()
    assert estimate.startswith("5 runs left, roughly ")
    assert len(told) == len(modes)
    assert "SIGABRT" in document["records"][1]["reason"]


def test_a_dry_run_lists_and_runs_nothing(tmp_path):
    path = write(tmp_path, GRID)
    store = tmp_path / "records.db"
    done = run_roofline(
        "campaign", "run", path, "--dry-run", "--format", "json", "--store", store, check=True
    )
    document = json.loads(done.stdout)
    assert document["runs"] == len(document["tasks"]) == 30
    assert document["estimate_h"] > 0
    with Store(store) as kept:
        assert len(kept) == 0


@pytest.mark.parametrize("page", ["campaigns.md", "boards.md"])
def test_the_campaigns_in_the_documentation_can_be_run(tmp_path, page):
    text = (Path(__file__).parents[2] / "docs" / page).read_text()
    (tmp_path / "my").mkdir()
    (tmp_path / "my" / "model.onnx").write_bytes(b"not looked at before it is run")
    blocks = [block.partition("```")[0] for block in text.split("```yaml\n")[1:]]
    whole = [block for block in blocks if "schema_version" in block]
    assert whole
    for block in blocks:
        path = tmp_path / "documented.yaml"
        # A fragment is shown below the whole file it belongs to.
        path.write_text(block if block in whole else f"schema_version: 1\nnetwork: mlp\n{block}")
        assert load(path).points


def test_the_estimate_is_corrected_by_what_runs_took():
    from roofline.validate.campaigns.estimate import estimate, seconds

    once, point = (
        1e9,
        RunRequest("mlp", batch=1, threads=1, tuning="tuned", trials=10, tuning_budget_s=50),
    )
    assert seconds(point, once, 1000) > seconds(point, once, 0) + 49
    # A second round finds its programs tuned.
    assert estimate([point, point]) < 2 * estimate([point])
    plain = estimate([MLP])
    known = [(MLP, replace(record(MLP), wall_s=1000.0))] * 3
    # Six seconds of start-up and the thousand that each of the three took.
    assert estimate([MLP], known) == pytest.approx(1006)
    assert estimate([MLP], known[:2]) == plain


HOSTILE = {
    "grids: []": r"grids: must be a list of at least one",
    "network: [mlp]\nthreads: [100000000]": "4096",
    "network: [mlp]\nbatch: [" + "9" * 399 + "]": "about 399 digits",
    "network: [mlp]\nbatch: [" + "9" * 5000 + "]": "batch",
    "network: [mlp]\nprotocol: {sampling_s: .nan}": "finite number",
    "network: [mlp]\nprotocol: {time_limit_s: .inf}": "finite number",
    "network: [mlp]\nprotocol: {memory_limit_gb: .inf}": "finite number",
    "network: [mlp]\nbudget_s: .nan": "finite number",
    "network: [mlp]\n'batch[0]': 1": r"batch\[0\]: unknown key batch\[0\]",
    "network: [mlp]\nfunction-x: 1": r"function-x: unknown key function-x",
    "network: [mlp]\nnetwork: [cnv]": "is there twice",
    f"network: [mlp]\nbatch: {list(range(1, 400))}\nthreads: {list(range(1, 400))}": "159,201 combinations",
}


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_campaigns_are_one_short_line(tmp_path, text):
    with pytest.raises(OptionError, match=HOSTILE[text]) as caught:
        load(write(tmp_path, text))
    assert len(str(caught.value)) < 400


def test_a_key_with_an_escape_is_shown_harmless(tmp_path):
    with pytest.raises(OptionError) as caught:
        load(write(tmp_path, '"a\\e[2J": 1'))
    assert "\x1b" not in str(caught.value)


def test_a_pipe_is_no_campaign(tmp_path):
    os.mkfifo(tmp_path / "grid.yaml")
    with pytest.raises(OptionError, match="no regular file"):
        load(tmp_path / "grid.yaml")


def test_of_a_key_that_is_like_none_the_known_ones_are_listed(tmp_path):
    with pytest.raises(OptionError) as caught:
        load(write(tmp_path, "network: [mlp]\nqqqqqq: 1\n"))
    assert re.match("Known keys: .*network", str(caught.value.repair))
