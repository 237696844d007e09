"""A sweep's rows are those of `predict`, one for one, whatever the model, the traffic and the part."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import roofline as rl
from roofline.errors import DatatypeError, NoBasisError
from roofline.model import models
from roofline.sweeping import Assumptions, Grid, Variant, tables

pytest.importorskip("pyarrow")

NETWORKS = ("mlp", "cnv", "mobilenet_v1")
# A GPU, a chip that holds its weights, an FPGA without floating point, a machine that skips zeros.
MACHINES = ("tx2:maxn", "edgetpu-usb:fast", "zcu104-finn", "a100-sxm-80gb", "ncs")


@pytest.fixture(scope="module")
def networks():
    return tuple(rl.load(name) for name in NETWORKS)


@pytest.fixture(scope="module")
def machines():
    return tuple(rl.platform(key) for key in MACHINES)


def grid_of(networks, machines, **choices) -> Grid:
    assumed = {name: choices.pop(name) for name in Assumptions.model_fields if name in choices}
    names = tuple(entry.name for entry in networks)
    return Grid(networks, names, machines, assumed=Assumptions(**assumed), **choices)


def rows_of(grid: Grid) -> list[dict]:
    return [
        row for part in range(grid.parts) for found in tables(grid, part) for row in found.to_pylist()
    ]  # fmt: skip


def expected_row(workload, platform, datatype, batch, grid) -> dict:
    try:
        found = rl.predict(
            workload, platform, datatype=datatype, batch=batch, **grid.assumed.model_dump()
        )  # fmt: skip
    except (DatatypeError, NoBasisError) as error:
        return {"throughput_fps": None, "skipped": error.message}
    record = found.record()
    for name in ("interval_fps", "interval_latency_ms", "interval_fps_per_w"):
        low, high = record.pop(name, None) or (None, None)
        record |= {f"{name}_low": low, f"{name}_high": high}
    return {name: value for name, value in record.items() if name not in {"basis", "notes"}}


def assert_same(row: dict, wanted: dict) -> None:
    for name, value in wanted.items():
        if isinstance(value, float) and not math.isinf(value):
            assert row[name] == pytest.approx(value, rel=1e-11), name
        else:
            assert row[name] == value, name


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(
    model=st.sampled_from([name for name in models if name != "calibrated"]),
    traffic=st.sampled_from([None, "weights", "weights_io", "fused", "unfused", "resident"]),
    operations=st.sampled_from([None, "macs", "all"]),
    weights_read=st.sampled_from(["per-batch", "per-item"]),
    emulate=st.booleans(),
    batches=st.lists(st.integers(1, 10_000), min_size=1, max_size=4, unique=True),
    part_rows=st.integers(1, 40),
)
def test_rows_are_those_of_predict(
    networks, machines, model, traffic, operations, weights_read, emulate, batches, part_rows
):
    grid = grid_of(
        networks[:2], machines, datatypes=("int8", "fp16"), batches=batches, model=model, traffic=traffic,
        operations=operations, weights_read=weights_read, emulate=emulate, part_rows=part_rows,
    )  # fmt: skip
    rows = rows_of(grid)
    assert len(rows) == grid.rows
    points = product(networks[:2], machines, ("int8", "fp16"), batches)
    for row, (network, machine, datatype, batch) in zip(rows, points, strict=True):
        assert (row["network"], row["platform"], row["batch"]) == (
            network.name,
            machine.key,
            batch,
        )
        assert_same(row, expected_row(network, machine, datatype, batch, grid))


@pytest.mark.parametrize("model", ["equation1", "layerwise", "expected"])
def test_variants_are_those_of_the_compressed_network(networks, machines, model):
    variants = (
        Variant(),
        Variant(keep_channels=("0.5",)),
        Variant(sparsity=("0.9",), sparse_format="csr"),
    )
    grid = grid_of(
        networks[1:2], machines[:1], variants=variants, datatypes=("fp16",), batches=range(1, 4), model=model
    )  # fmt: skip
    rows = rows_of(grid)
    assert [(row["pruning"], row["batch"]) for row in rows] == [
        (name, batch)
        for name in ("dense", "keep-channels=0.5", "sparsity=0.9,csr")
        for batch in (1, 2, 3)
    ]
    half = networks[1].under(pruning=0.5)
    assert_same(rows[4], expected_row(half, machines[0], "fp16", 2, grid))


def test_a_model_without_a_law_is_asked_batch_by_batch(networks, machines, monkeypatch):
    plain = replace(models.get("layerwise"), law=None)
    monkeypatch.setattr("roofline.sweeping.columns.models", SimpleNamespace(get=lambda _: plain))
    grid = grid_of(
        networks[:1], machines[:1], datatypes=("fp16",), batches=(1, 7), model="layerwise"
    )
    slow = rows_of(grid)
    monkeypatch.undo()
    for row, wanted in zip(slow, rows_of(grid), strict=True):
        assert_same(row, wanted)


@settings(max_examples=50, suppress_health_check=list(HealthCheck))
@given(batches=st.integers(1, 30), part_rows=st.integers(1, 50), datatypes=st.integers(1, 3))
def test_parts_are_all_rows_once(networks, machines, batches, part_rows, datatypes):
    grid = grid_of(
        networks, machines, datatypes=("int8", "fp16", "fp32")[:datatypes],
        batches=range(1, batches + 1), part_rows=part_rows,
    )  # fmt: skip
    found = [
        point * batches + place
        for part in range(grid.parts)
        for point, first, last in grid.stretches(part)
        for place in range(first, last)
    ]
    assert found == list(range(grid.rows))
