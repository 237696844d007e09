"""Times of kernels find their layers again by order and size."""

from __future__ import annotations

import pytest

import roofline
from roofline.validate.measuring.kernel_times import layer_rows, map_to_layers
from roofline.validate.measuring.measure import measure
from roofline.validate.records.reading import from_dict
from roofline.validate.records.record import KernelTime, Measurement, Status
from roofline.validate.records.request import Protocol, RunRequest

# x[2, 8] · W[8, 16], relu, · V[16, 4], softmax
FIRST, SECOND = 2 * 8 * 16, 2 * 16 * 4


@pytest.fixture
def network(small_model):
    return roofline.load(str(small_model))


def kernels(*macs: int) -> list[KernelTime]:
    return [KernelTime(f"k{place}", 0.5 + place, count) for place, count in enumerate(macs)]


def layers(found) -> list[str]:
    return [time.layer for time in found]


def test_kernels_in_order(network) -> None:
    first, second = (layer.name for layer in network.fused_layers if layer.cost.macs)
    assert first != second
    assert layers(map_to_layers(kernels(0, FIRST, 0, SECOND, 0), network)) == [
        "",
        first,
        "",
        second,
        "",
    ]


def test_filled_blocks_count_more_products(network) -> None:
    first, second = (layer.name for layer in network.fused_layers if layer.cost.macs)
    # Four outputs fill a block of eight.
    assert layers(map_to_layers(kernels(FIRST, 2 * SECOND), network)) == [first, second]


def test_a_kernel_that_belongs_to_no_layer_is_listed(network) -> None:
    first, second = (layer.name for layer in network.fused_layers if layer.cost.macs)
    found = map_to_layers(kernels(FIRST, 9 * FIRST, SECOND), network)
    assert layers(found) == [first, "", second]
    run = Measurement(RunRequest("small", "tvm"), Status.OK, kernel_times=found)
    assert [time.kernel for time in run.kernel_times if not time.layer] == ["k1"]
    assert from_dict(run.to_dict()) == run


def test_rows_of_the_chart(network) -> None:
    run = Measurement(
        RunRequest("small", "tvm"),
        Status.OK,
        kernel_times=map_to_layers(kernels(FIRST, SECOND), network),
    )
    machine = roofline.platform("tx2:maxn")
    prediction = roofline.predict(network, machine, datatype="fp32", model="layerwise")
    rows = layer_rows(run, prediction)
    assert [row["measured_ms"] for row in rows] == [500.0, 1500.0]
    for row in rows:
        assert row["efficiency"] == pytest.approx(row["time_ms"] / row["measured_ms"])
    from roofline.chart import Options as ChartOptions
    from roofline.chart import charts

    drawn = charts.get("layers").compute(rows, ChartOptions())
    assert [layer.measured for layer in drawn.layers] == [500.0, 1500.0]


@pytest.mark.tvm
def test_a_real_run_finds_both_layers(small_model, tmp_path, network) -> None:
    pytest.importorskip("tvm", reason="apache-tvm is not installed")
    run = measure(
        RunRequest(
            str(small_model),
            tuning="untuned", threads=1, options={"per_layer": True}, protocol=Protocol(runs=3)
        ),
        folder=tmp_path,
    )  # fmt: skip
    assert run.ok, run.reason
    expected = {layer.name for layer in network.fused_layers if layer.cost.macs}
    assert {time.layer for time in run.kernel_times if time.layer} == expected
    assert all(time.seconds > 0 for time in run.kernel_times)
    assert {time.macs for time in run.kernel_times} >= {FIRST, SECOND}
