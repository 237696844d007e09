"""Equation 1 and its layerwise refinement against closed forms, laws, and the published predictions."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roofline._sweep import sweep
from roofline.cost import Cost
from roofline.errors import DatatypeError, NoBasisError, OptionError
from roofline.model import (
    Bound,
    attainable,
    effective_ops,
    equation1,
    layerwise,
    models,
    predict,
    requirement,
    ridge,
)
from roofline.node import Tensor
from roofline.ops import Kind
from roofline.precision import DATATYPES
from roofline.spec import Platform, from_mapping, in_mode
from roofline.spec.parts import HostLink
from roofline.workload import Layer, Workload

from .collected import rows

positive = st.floats(1e-3, 1e18, allow_nan=False)
sizes = st.integers(0, 10**12)


def quantity(value: float, unit: str) -> dict:
    return {"value": value, "unit": unit, "kind": "estimated", "source": "test"}


def machine(
    key="machine",
    peaks=(("fp32", 1e12), ("fp16", 2e12)),
    bandwidth=1e10,
    capacity=1e9,
    tdp=10.0,
    inner=(),
    skips="none",
) -> Platform:
    """Return a machine; ``inner`` holds the (bandwidth or None, capacity) of levels inside its memory."""
    levels = [(bandwidth, capacity), *inner]
    memories = [
        {"name": f"level {number}"}
        | ({"bandwidth": quantity(rate, "B/s")} if rate else {})
        | ({"capacity": quantity(size, "B")} if size else {})
        for number, (rate, size) in enumerate(levels)
    ]
    return in_mode(
        from_mapping(
            {
                "schema_version": 1,
                "key": key,
                "name": key,
                "vendor": "test",
                "kind": "cpu",
                "year": 2020,
                "peaks": {name: quantity(peak, "OP/s") for name, peak in dict(peaks).items()},
                "skips_zeros": skips,
                "memories": memories,
                "power": {"tdp": quantity(tdp, "W")},
                "sources": {"test": {"title": "test"}},
            }
        ),
        None,
    )


def layer(
    name: str, macs: int, weights: int, moved: int, datatype: str | None = "fp32", **more
) -> Layer:
    return Layer(
        name, "Conv", Cost(macs=macs), weight_bytes=weights, input_bytes=moved // 2,
        output_bytes=moved - moved // 2, datatype=datatype, **more,
    )  # fmt: skip


def network(*layers: Layer, **more) -> Workload:
    weights = sum(entry.weight_bytes for entry in layers)
    return Workload("net", layers, "test", layers, weight_bytes=weights, **more)


# --- Equation 1 -------------------------------------------------------------------------------


def test_attainable_below_at_and_above_the_ridge():
    peak, bandwidth = 4e12, 25.6e9
    knee = peak / bandwidth  # 156.25 OP/B
    np.testing.assert_allclose(
        attainable(peak, bandwidth, [knee / 2, knee, knee * 2]), [peak / 2, peak, peak]
    )
    assert float(ridge(peak, bandwidth)) == knee


def test_attainable_broadcasts_and_keeps_missing_units_missing():
    result = attainable([[1e12], [np.nan]], 1e9, [1.0, 1e6])
    np.testing.assert_array_equal(result, [[1e9, 1e12], [np.nan, np.nan]])


@given(positive, positive, positive, positive)
def test_attainable_is_monotone_capped_and_continuous(peak, bandwidth, first, second):
    low, high = sorted((first, second))
    at_low, at_high = attainable(peak, bandwidth, [low, high])
    assert at_low <= at_high <= peak
    assert at_low <= bandwidth * low
    knee = float(ridge(peak, bandwidth))
    step = attainable(peak, bandwidth, [knee * (1 - 1e-9), knee * (1 + 1e-9)])
    assert step[1] - step[0] <= 2e-9 * peak


rates = st.floats(1e6, 1e18)
counts = st.integers(1, 10**12)


@given(rates, rates, counts, counts, st.integers(1, 4096))
def test_time_is_equation_1_solved_for_time(peak, bandwidth, macs, weights, batch):
    board = machine(peaks={"fp32": peak}, bandwidth=bandwidth)
    found = equation1(network(layer("one", macs, weights, 0)), board, batch=batch)
    performance = attainable(
        peak, bandwidth, 2 * macs * batch / weights
    )  # at the batch's intensity
    assert found.latency_s == pytest.approx(2 * macs * batch / float(performance), rel=1e-9)


layers_of_numbers = st.lists(st.tuples(counts, counts, counts), min_size=1, max_size=20)


@given(layers_of_numbers, rates, rates, st.integers(1, 512))
def test_layers_are_never_faster_than_the_whole(rows, peak, bandwidth, batch):
    board = machine(peaks={"fp32": peak}, bandwidth=bandwidth)
    work = network(*(layer(f"layer {i}", *row) for i, row in enumerate(rows)))
    choices = {"traffic": "fused", "operations": "all", "batch": batch}
    whole, by_layer = equation1(work, board, **choices), layerwise(work, board, **choices)
    assert by_layer.latency_s >= whole.latency_s * (1 - 1e-9)
    # Each layer takes the larger of two times, never their sum.
    both = whole.ops / peak + whole.bytes / bandwidth
    assert by_layer.latency_s <= both * (1 + 1e-9)


@given(counts, counts, rates, rates)
def test_times_are_linear_in_the_batch_where_no_weights_are_read(
    macs, activations, peak, bandwidth
):
    board = machine(peaks={"fp32": peak}, bandwidth=bandwidth)
    one, many = (
        layerwise(network(layer("one", macs, 0, activations)), board, batch=batch).latency_s
        for batch in (1, 7)
    )
    assert many == pytest.approx(7 * one)


def holding(capacity: float, excess_from: str = "host_link", bandwidth: float = 1e10) -> Platform:
    """Return a machine whose scratchpad holds weights, behind a link of a tenth of its memory's bandwidth."""
    board = machine(peaks={"int8": 1e12}, bandwidth=bandwidth, inner=((None, capacity),))
    content = board.specification
    # Only over a size that is known is an excess charged.
    size = content.memories[1].capacity.model_copy(update={"kind": "datasheet"})
    held = {"holds_weights": True, "excess_from": excess_from, "capacity": size}
    memories = (
        content.memories[0],
        content.memories[1].model_copy(update=held),
    )
    link = HostLink.model_validate({"name": "link", "bandwidth": quantity(bandwidth / 10, "B/s")})
    return in_mode(content.model_copy(update={"memories": memories, "host_link": link}), None)


def test_only_weights_beyond_the_chip_cross_the_link():
    work = network(layer("one", macs=10**6, weights=10**7, moved=0, datatype="int8"))
    # 10 MB of weights, of which the chip holds 8: 2 MB over 1 GB/s.
    assert equation1(work, holding(8e6)).latency_s == pytest.approx(2e-3)
    assert equation1(work, holding(8e6, "memory")).latency_s == pytest.approx(2e-4)
    # All of them fit: nothing is read, arithmetic alone takes time.
    held = equation1(work, holding(1e7))
    assert (held.bytes, held.latency_s) == (0, pytest.approx(2e6 / 1e12))
    assert "weights stay in" in held.notes[0]
    # Asked for by name, the papers' assumption stands, and it is no upper bound there.
    pinned = equation1(work, holding(1e7), traffic="weights")
    assert (pinned.latency_s, pinned.upper_bound) == (pytest.approx(1e-3), False)
    assert held.upper_bound


@given(layers_of_numbers, st.floats(1, 1e9), rates)
def test_no_choice_of_weights_to_hold_is_faster_than_the_one_charged(rows, capacity, peak):
    board = holding(capacity, "memory")
    board = in_mode(
        board.specification.model_copy(
            update={"peaks": machine(peaks={"int8": peak}).specification.peaks}
        ),
        None,
    )
    work = network(
        *(layer(f"layer {i}", m, w, 0, datatype="int8") for i, (m, w, _) in enumerate(rows))
    )
    best = layerwise(work, board).latency_s
    # Held in order, in reverse, and in proportion: other choices of as many bytes.
    compute, weights = (np.array([row[i] for row in rows], np.float64) for i in (0, 1))
    compute = 2 * compute / peak
    for order in (slice(None), slice(None, None, -1)):
        room = np.maximum(capacity - (np.cumsum(weights[order]) - weights[order]), 0)[order]
        left = weights - np.minimum(weights, room)
        assert best <= np.maximum(compute, left / 1e10).sum() * (1 + 1e-9)
    share = min(1.0, capacity / weights.sum())
    assert best <= np.maximum(compute, weights * (1 - share) / 1e10).sum() * (1 + 1e-9)


def test_a_network_that_is_not_fully_counted_has_no_throughput():
    work = network(COMPUTE_LAYER, replace(MEMORY_LAYER, unknown=True))
    found = predict(work, MACHINE)
    assert (found.throughput_fps, found.latency_s) == (None, None)
    row = found.record()
    assert [row[name] for name in ("bound", "utilization", "energy_mj", "fps_per_w")] == [None] * 4


def test_overhead_is_added_to_every_item():
    found = predict(network(COMPUTE_LAYER), MACHINE, batch=4)
    slow = found.with_overhead(1e-3)
    assert slow.latency_s == pytest.approx(found.latency_s + 4e-3)
    assert slow.throughput_fps == pytest.approx(4 / slow.latency_s)


def test_overhead_moves_the_ends_of_intervals_as_it_moves_the_prediction():
    found = replace(
        predict(network(COMPUTE_LAYER), MACHINE, batch=4),
        interval_fps=(100.0, 400.0),
        intervals={"latency_ms": (2.0, 8.0), "power_w": (5.0, 6.0)},
    )
    slow = found.with_overhead(1e-3)
    # An item takes 10 and 2.5 ms, and 1 ms more; a batch of four 4 ms more. Watts stay.
    assert slow.interval_fps == (pytest.approx(1 / 0.011), pytest.approx(1 / 0.0035))
    assert slow.intervals["latency_ms"] == (pytest.approx(6.0), pytest.approx(12.0))
    assert slow.intervals["power_w"] == (5.0, 6.0)


# --- Predictions ------------------------------------------------------------------------------

MACHINE = machine()
# 100 OP/B is the ridge point at fp32.
COMPUTE_LAYER = layer(
    "heavy", macs=10**9, weights=10**6, moved=0
)  # 2 ms of compute, 0.1 ms of memory
MEMORY_LAYER = layer(
    "light", macs=10**6, weights=10**7, moved=10**7
)  # 2 us of compute, 2 ms of memory


def test_equation1_takes_one_intensity_over_the_weights():
    prediction = equation1(network(COMPUTE_LAYER, MEMORY_LAYER), MACHINE)
    ops = 2 * (10**9 + 10**6)
    assert prediction.intensity == ops / 1.1e7  # 182 OP/B, above the ridge
    assert prediction.bound is Bound.COMPUTE
    assert prediction.throughput_fps == pytest.approx(1e12 / ops)
    assert prediction.latency_s == pytest.approx(ops / 1e12)
    assert prediction.utilization == pytest.approx(1.0)
    assert prediction.ridge == 100.0
    assert prediction.upper_bound
    assert prediction.interval_fps is None


def test_layerwise_sums_the_maximum_of_each_layer():
    prediction = layerwise(network(COMPUTE_LAYER, MEMORY_LAYER), MACHINE)
    assert prediction.latency_s == pytest.approx(2e9 / 1e12 + 2e7 / 1e10)
    assert [entry.bound for entry in prediction.layers] == [Bound.COMPUTE, Bound.MEMORY]
    assert prediction.layers[1].utilization == pytest.approx(2e6 / 2e-3 / 1e12)
    assert prediction.layers[1].intensity == pytest.approx(2e6 / 2e7)
    assert sum(entry.time_s for entry in prediction.layers) == pytest.approx(prediction.latency_s)


def test_energy_is_thermal_design_power_times_time():
    prediction = equation1(network(COMPUTE_LAYER), MACHINE, batch=4)
    seconds = 4 * 2e9 / 1e12
    assert prediction.energy_j == pytest.approx(10.0 * seconds / 4)
    assert prediction.fps_per_w == pytest.approx(4 / seconds / 10.0)
    assert prediction.record()["energy_mj"] == pytest.approx(1e3 * 10.0 * seconds / 4)


def test_weights_are_read_once_per_batch_unless_asked_per_item():
    work = network(layer("fc", macs=10**6, weights=10**7, moved=0))
    compute = 2e6 / 1e12
    amortized = equation1(work, MACHINE, batch=1000)
    assert amortized.latency_s == pytest.approx(max(1000 * compute, 1e7 / 1e10))
    paper = equation1(work, MACHINE, batch=1000, weights_read="per-item")
    assert paper.throughput_fps == pytest.approx(equation1(work, MACHINE).throughput_fps)
    assert paper.intensity == pytest.approx(2e6 / 1e7)


def test_a_workload_counted_at_a_batch_predicts_the_same_as_one_scaled_to_it():
    one = network(layer("a", 10**9, 10**6, 10**6), layer("b", 10**6, 10**7, 10**7))
    eight = network(
        layer("a", 8 * 10**9, 10**6, 8 * 10**6), layer("b", 8 * 10**6, 10**7, 8 * 10**7), batch=8
    )
    for model in (equation1, layerwise):
        scaled, counted = model(one, MACHINE, batch=8), model(eight, MACHINE)
        assert counted.batch == 8
        assert scaled.latency_s == pytest.approx(counted.latency_s)


@given(
    st.lists(st.tuples(st.integers(1, 10**10), sizes, sizes), min_size=1, max_size=8),
    st.sampled_from(["weights", "weights_io", "fused", "unfused"]),
    st.integers(1, 64),
)
def test_layerwise_is_never_above_equation1_under_the_same_traffic(rows, traffic, batch):
    work = network(*(layer(str(i), *row) for i, row in enumerate(rows)))
    same = {"traffic": traffic, "operations": "all", "batch": batch}
    whole, by_layer = equation1(work, MACHINE, **same), layerwise(work, MACHINE, **same)
    assert by_layer.throughput_fps <= whole.throughput_fps * (1 + 1e-12)
    assert whole.utilization <= 1 + 1e-12


def test_traffic_assumptions_differ_by_what_crosses_the_memory():
    fp32 = DATATYPES["fp32"]
    image, middle, scores = (Tensor(name, (100,), fp32) for name in ("image", "middle", "scores"))
    first = Layer("1", "Conv", Cost(macs=1), inputs=(image,), outputs=(middle,), weight_bytes=10,
                  input_bytes=400, output_bytes=400)  # fmt: skip
    view = Layer("v", "Reshape", Cost(), kind=Kind.VIEW, input_bytes=400, output_bytes=400)
    second = Layer("2", "Gemm", Cost(macs=1), inputs=(middle,), outputs=(scores,), weight_bytes=20,
                   input_bytes=400, output_bytes=400)  # fmt: skip
    fused = replace(first, outputs=(scores,), weight_bytes=30)
    work = Workload("net", (first, view, second), fused_layers=(fused,), weight_bytes=30, inputs=(image,),
                    outputs=(scores,))  # fmt: skip

    def moved(traffic: str) -> float:
        required = requirement(work, traffic=traffic)
        return float(required.weights.sum() + required.activations.sum())

    assert moved("weights") == 30
    assert moved("weights_io") == 30 + 400 + 400
    assert moved("fused") == 30 + 400 + 400
    assert moved("unfused") == 30 + 4 * 400  # the view moves nothing


def test_network_inputs_are_charged_to_their_first_readers_and_outputs_to_their_producers():
    fp32 = DATATYPES["fp32"]
    image, mask, early, middle, late = (
        Tensor(name, (size,), fp32)
        for name, size in (("image", 1), ("mask", 2), ("early", 4), ("middle", 8), ("late", 16))
    )
    layers = (
        Layer("1", "Conv", Cost(macs=1), inputs=(image,), outputs=(early,)),
        Layer("2", "Conv", Cost(macs=1), inputs=(mask, early), outputs=(middle,)),
        Layer("3", "Conv", Cost(macs=1), inputs=(mask, middle), outputs=(late,)),
    )
    work = Workload(
        "net", layers, fused_layers=layers, inputs=(image, mask), outputs=(early, late)
    )
    # 4 bytes an element: the image and an output at the first layer, the mask at the second, an output at the third.
    charged = requirement(work, traffic="weights_io").activations
    assert charged.tolist() == [4 * (1 + 4), 4 * 2, 4 * 16]


def test_a_level_that_holds_the_working_set_is_not_charged_outside():
    small = network(
        layer("fc", macs=10**6, weights=10**6, moved=10**4), peak_activation_bytes=10**4
    )
    cached = machine(inner=((None, 2e6),))
    assert equation1(small, cached, traffic="weights").bound is Bound.MEMORY
    resident = equation1(small, cached, traffic="resident")
    assert resident.bound is Bound.COMPUTE
    assert resident.latency_s == pytest.approx(2e6 / 1e12)
    assert resident.bytes == 0
    assert math.isinf(resident.intensity)


def test_a_level_that_holds_the_working_set_is_charged_at_its_own_bandwidth():
    small = network(layer("fc", macs=10**6, weights=10**6, moved=0))
    cached = machine(inner=((1e11, 2e6),))
    assert layerwise(small, cached, traffic="resident").latency_s == pytest.approx(1e6 / 1e11)


def test_a_level_too_small_keeps_the_activations_of_small_layers_only():
    work = network(layer("a", 1, weights=0, moved=10**6), layer("b", 1, weights=0, moved=10**8))
    work = replace(work, peak_activation_bytes=10**8)
    cached = machine(inner=((None, 2e6),))
    assert layerwise(work, cached, traffic="resident").bytes == 10**8


def test_a_missing_unit_is_refused_with_those_there_are_or_emulated():
    work = network(replace(COMPUTE_LAYER, datatype="int8"))
    with pytest.raises(
        DatatypeError, match=r"whether it has int8 units; it has fp32, fp16.*let emulate"
    ):
        equation1(work, MACHINE)
    emulated = equation1(work, MACHINE, emulate=True)
    assert (emulated.datatype, emulated.unit, emulated.peak) == ("int8", "fp16", 2e12)
    assert "runs on the fp16 unit" in emulated.notes[0]
    # fp64 has nothing wider to run on, so that nobody is sent there.
    with pytest.raises(DatatypeError) as refused:
        equation1(network(replace(COMPUTE_LAYER, datatype="fp64")), MACHINE)
    assert "emulate" not in str(refused.value)


def test_the_default_datatype_is_that_of_most_multiply_accumulates():
    work = network(replace(COMPUTE_LAYER, datatype="fp16"), MEMORY_LAYER)
    assert equation1(work, MACHINE).datatype == "fp16"


def test_a_table_without_a_datatype_asks_for_one_where_the_machine_has_several():
    table = Workload.from_table("published", ops=2e9, weights=1e6, source="test")
    with pytest.raises(DatatypeError, match="several: fp32, fp16"):
        equation1(table, MACHINE)
    assert equation1(table, machine(peaks={"int8": 1e12})).datatype == "int8"


def test_layers_in_another_datatype_run_on_their_own_unit():
    work = network(replace(COMPUTE_LAYER, datatype="fp16"), layer("full", 10**6, 0, 0, "fp32"))
    prediction = layerwise(work, MACHINE)
    assert [entry.datatype for entry in prediction.layers] == ["fp16", "fp32"]
    assert prediction.latency_s == pytest.approx(2e9 / 2e12 + 2e6 / 1e12)


def test_fits_compares_weights_and_live_activations_with_the_capacity():
    work = network(layer("a", 1, weights=9 * 10**8, moved=0), peak_activation_bytes=10**8)
    assert equation1(work, MACHINE).fits is True
    assert equation1(work, MACHINE, batch=2).fits is False
    assert equation1(work, machine(capacity=None)).fits is None


def test_a_network_without_multiply_accumulates_is_counted_by_its_other_arithmetic():
    work = network(Layer("add", "Add", Cost(other_ops=10**9), datatype="fp32"))
    assert equation1(work, MACHINE).latency_s == pytest.approx(1e9 / 1e12)


def test_unresolved_layers_are_named():
    work = network(COMPUTE_LAYER, replace(MEMORY_LAYER, unknown=True))
    assert any("not counted: 1 (light)" in note for note in equation1(work, MACHINE).notes)


@pytest.mark.parametrize("wrong", [{"traffic": "none"}, {"batch": 0}, {"model": "oracle"},
                                   {"operations": "some"}, {"weights_read": "never"}])  # fmt: skip
def test_wrong_choices_are_refused(wrong):
    with pytest.raises(OptionError):
        predict(network(COMPUTE_LAYER), MACHINE, **wrong)


def test_zeros_save_operations_only_where_the_machine_skips_them():
    sparse = replace(COMPUTE_LAYER, effective_macs=10**8, sparsity=0.9)
    assert effective_ops(COMPUTE_LAYER, MACHINE) == 2 * 10**9
    assert effective_ops(sparse, MACHINE) == 2 * 10**9
    assert effective_ops(sparse, machine(skips="unstructured")) == 2 * 10**8
    assert effective_ops(sparse, machine(skips="2:4")) == 2 * 10**9
    halved = replace(sparse, weight_format="2:4")
    assert effective_ops(halved, machine(skips="2:4")) == 10**9  # never more than half is skipped
    assert equation1(network(sparse), machine(skips="unstructured")).ops == 2 * 10**8


# --- Conformance and the grid -----------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(models))
def test_every_model_keeps_the_rules(name):
    entry = models.get(name)
    assert entry.name == name
    try:
        prediction = predict(network(COMPUTE_LAYER, MEMORY_LAYER), MACHINE, model=name, batch=2)
    except NoBasisError:
        # Nothing was measured or published of a machine that a test makes up.
        assert not entry.upper_bound
        return
    assert prediction.model == name
    assert prediction.throughput_fps * prediction.latency_s == pytest.approx(2)
    assert prediction.upper_bound == entry.upper_bound
    assert (prediction.interval_fps is None) == entry.upper_bound


@pytest.mark.parametrize("model", ["equation1", "layerwise"])
@pytest.mark.parametrize("weights_read", ["per-batch", "per-item"])
def test_a_sweep_gives_the_numbers_of_single_predictions(model, weights_read):
    works = {
        "both": replace(network(COMPUTE_LAYER, MEMORY_LAYER), name="both"),
        "light": replace(network(MEMORY_LAYER), name="light"),
        "sparse": replace(network(replace(COMPUTE_LAYER, effective_macs=10**8)), name="sparse"),
    }
    machines = {
        "machine": MACHINE,
        "other": machine(key="other", peaks={"fp16": 5e12}, bandwidth=1e11),
        "skips": machine(key="skips", skips="unstructured"),
    }
    found = sweep(
        list(works.values()), list(machines.values()), datatypes=["fp32"], batches=[1, 64], model=model,
        weights_read=weights_read,
    )  # fmt: skip
    assert {gone.platform for gone in found.skipped} == {"other"}  # it has no fp32 unit
    assert len(found.predictions) == 12
    for row in found.predictions:
        single = predict(
            works[row.network], machines[row.platform], datatype="fp32", batch=row.batch, model=model,
            weights_read=weights_read,
        )  # fmt: skip
        assert row == single


# --- The published predictions ----------------------------------------------------------------

# Blott et al. 2021: peaks in TOP/s and bandwidths in GB/s of Table 2; requirements as the authors rounded them for
# their prediction table: GOP, and operations per weight byte at INT8.
_AUTHORS = {
    "GoogLeNetv1_100": (3.13, 523.49), "MobileNetv1_100": (1.14, 268.87), "ResNet-50_100": (7.72, 302.71),
    "ResNet-50_80": (6.54, 271.65), "ResNet-50_50": (3.75, 237.46), "ResNet-50_30": (2.45, 242.54),
    "EfficientNet-S_100": (4.7, 870.37), "EfficientNet-M_100": (7.4, 1072.46),
    "EfficientNet-L_100": (19.38, 1828.3), "CNV_100": (0.47, 76.24), "CNV_50": (0.12, 77.08),
    "CNV_25": (0.03, 78.75), "CNV_12.5": (0.01, 83.15), "MLP_100": (0.02, 2.0), "MLP_50": (0.006, 2.0),
    "MLP_25": (0.002, 2.0), "MLP_12.5": (0.000668672, 2.0),
}  # fmt: skip

# Peak in TOP/s by unit, and bandwidth in GB/s (Blott et al. 2021, Table 2).
_TABLE2 = {
    "Ultra96-DPU": ({"int8": 0.96}, 4.26), "ZCU104-DPU": ({"int8": 4.6}, 19.2),
    "ZCU102-DPU": ({"int8": 6.71}, 19.2), "ZCU104-FINN": ({"int2": 30.7, "int4": 8.8}, 19.2),
    "ZCU104-BISMO": ({"int2": 30.7, "int4": 8.8}, 19.2),
    "TX2-maxn": ({"fp16": 1.33, "fp32": 0.67}, 59.7), "TX2-maxp": ({"fp16": 1.15, "fp32": 0.57}, 59.7),
    "TX2-maxq": ({"fp16": 0.87, "fp32": 0.44}, 59.7), "EdgeTPU-fast": ({"int8": 4.0}, 25.6),
    "EdgeTPU-slow": ({"int8": 2.0}, 25.6), "NCS": ({"int8": 1.0, "fp16": 0.5}, 12.8),
    "U96-Quadcore-A53": ({"int8": 0.192}, 4.26),
}  # fmt: skip


def test_equation1_reproduces_164_of_the_165_published_predictions():
    cells = [row for row in rows("predictions") if float(row["published_fps"]) > 0]
    wrong = []
    for cell in cells:
        gop, intensity = _AUTHORS[cell["network"]]
        peaks, bandwidth = _TABLE2[cell["platform"]]
        board = machine(
            peaks={name: 1e12 * peak for name, peak in peaks.items()}, bandwidth=1e9 * bandwidth
        )
        datatype = cell["datatype"]
        work = Workload.from_table(
            cell["network"], ops=1e9 * gop, weights=1e9 * gop / intensity, bits=DATATYPES[datatype].bits,
            source="Blott et al. 2021",
        )  # fmt: skip
        ours = equation1(work, board, datatype=datatype, emulate=True).throughput_fps
        share = ours / float(cell["published_fps"])
        if abs(share - 1) > 1e-3:
            wrong.append((cell["platform"], cell["unit"], cell["network"], share))
    assert len(cells) == 165
    # A misprint: the INT4 value stands in the INT2 cell; the BISMO row has twice as much.
    assert wrong == [("ZCU104-FINN", "int2", "MLP_25", pytest.approx(2.0, rel=1e-3))]
