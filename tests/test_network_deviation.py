"""How wide the interval of a network's time is: what its layers, its passes over values and its threads add."""

from __future__ import annotations

import math

import numpy as np
import pytest
from onnx import TensorProto, helper

from roofline import Workload
from roofline.model._prediction import Basis
from roofline.model.calibrated import describe_thin_ground
from roofline.model.executed_steps import steps_of
from roofline.model.machine_profile import Profile, Sample
from roofline.model.network_error import ErrorSums, fast_deviation, slow_deviation
from roofline.model.network_time import calibrated_time, times_at

COMMON, STREAMING, THREADS, KEPT, FAR = 0.09, 0.18, 0.1, 0.4, 0.2
CLASSES, MOVING = 3.0, 1.2


def profile(
    *, threads: int = 1, spread: float = 1.0, kind: str = "elementwise.Relu", size: float = 1e6
) -> Profile:
    return Profile(
        backend="onnxruntime", version="0", threads=threads, peaks={"fp32": 1e11}, bandwidth=1e10, run_s=1e-9,
        layer_s=1e-9, lanes=16, samples={kind: (Sample((size,), 0.5),)}, spread=spread,
    )  # fmt: skip


def deviation(layers: float, passing: float, known: Profile) -> float:
    return float(fast_deviation(np.array(layers), np.array(passing), known))


@pytest.mark.parametrize(("layers", "passing", "threads", "parts"), [
    (0.0, 0.0, 1, (COMMON,)),
    (0.2, 0.0, 1, (COMMON, 0.2)),
    (0.0, 0.5, 1, (COMMON, 0.5 * STREAMING)),
    (0.2, 1.0, 2, (COMMON, 0.2, STREAMING, THREADS)),
])  # fmt: skip
def test_parts_of_a_deviation_add_in_squares(layers, passing, threads, parts):
    assert deviation(layers, passing, profile(threads=threads)) == pytest.approx(
        math.hypot(*parts)
    )


def test_a_spread_that_was_found_on_networks_scales_all_of_it():
    assert deviation(0.1, 0.3, profile(spread=1.5)) == pytest.approx(
        1.5 * deviation(0.1, 0.3, profile())
    )


@pytest.mark.parametrize("spread", [1.0, 1.5])
def test_the_slow_side_adds_what_classes_and_passes_over_values_err_together(spread):
    found = slow_deviation(np.array(0.2), np.array(0.1), np.array(0.05), profile(spread=spread))
    assert float(found) == pytest.approx(
        math.hypot(0.2, spread * CLASSES * 0.1, spread * MOVING * 0.05)
    )


def sums(*kinds: str) -> ErrorSums:
    """Layers of one second each with a deviation of 0.1, well inside of what was measured."""
    one, errors = np.ones(1), ErrorSums(1)
    for kind in kinds:
        errors.add(kind, one, 0.1 * one, Basis.MEASURED, 0 * one)
    return errors


@pytest.mark.parametrize(("kinds", "own", "together"), [
    (("conv.1x1.fp32",), 1.0, 1.0),
    # Half alike: the mean of the square of the sum and the sum of the squares.
    (("conv.1x1.fp32", "conv.1x1.fp32"), math.sqrt(3) / 2, 1.0),
    (("conv.1x1.fp32", "conv.kxk.fp32"), math.sqrt(2) / 2, 1.0),
    (("conv.1x1.fp32", "matmul.matrix.fp32"), math.sqrt(2) / 2, math.sqrt(2) / 2),
])  # fmt: skip
def test_layers_of_a_kind_are_half_alike_and_those_of_a_class_wholly_on_the_slow_side(
    kinds, own, together
):
    found = sums(*kinds).deviations(np.array([float(len(kinds))]), profile())
    fast = math.hypot(COMMON, KEPT * 0.1 * own)
    assert found.fast[0] == pytest.approx(fast)
    assert found.slow[0] == pytest.approx(math.hypot(fast, CLASSES * KEPT * 0.1 * together))


def test_passes_over_values_err_together_whatever_their_operators():
    found = sums("elementwise.Relu", "reduction.sum").deviations(np.array([2.0]), profile())
    fast = math.hypot(COMMON, STREAMING, KEPT * 0.1 * math.sqrt(2) / 2)
    classes = CLASSES * KEPT * 0.1 * math.sqrt(2) / 2
    assert found.fast[0] == pytest.approx(fast)
    assert found.slow[0] == pytest.approx(math.hypot(fast, classes, MOVING * 0.1))


def test_an_interval_reaches_further_on_the_slow_side():
    time = calibrated_time(relu(1_000_000), profile())
    assert time is not None
    low, high = time.interval_s
    wide = 1.2815515655446004
    assert math.log(time.seconds / low) == pytest.approx(wide * time.deviation)
    assert math.log(high / time.seconds) == pytest.approx(wide * time.slow_deviation)
    assert time.slow_deviation > time.deviation


def relu(elements: int) -> Workload:
    sizes = (1, elements)
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["out"], "relu")],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, sizes)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, sizes)],
    )
    opset = [helper.make_opsetid("", 17)]
    return Workload.from_onnx(
        helper.make_model(graph, opset_imports=opset, ir_version=8), name="net"
    )


def test_a_borrowed_layer_keeps_all_of_its_deviation():
    workload = relu(1_000_000)
    own, borrowed = (
        calibrated_time(workload, profile(kind=kind))
        for kind in ("elementwise.Relu", "elementwise.Relu.other")
    )
    assert own is not None
    assert borrowed is not None
    for time, kept in ((own, KEPT), (borrowed, 1.0)):
        layer = time.layers[0].estimate.deviation * time.layers[0].estimate.seconds / time.seconds
        passing = time.layers[0].estimate.seconds / time.seconds
        assert time.deviation == pytest.approx(
            math.hypot(COMMON, STREAMING * passing, kept * layer), rel=1e-6
        )
    assert borrowed.deviation > own.deviation


@pytest.mark.parametrize(
    ("octaves", "kept"),
    [(-3, 1.0), (-2, 0.7), (-1, KEPT), (0, KEPT), (1, KEPT), (2, 0.7), (5, 1.0)],
)
def test_a_layer_far_outside_of_what_was_measured_keeps_all_of_its_deviation(octaves, kept):
    """One octave outside changes nothing, three keep all: half way between there is half of it more."""
    time = calibrated_time(relu(round(2.0**octaves * 2**20)), profile(size=2.0**20))
    assert time is not None
    estimate = time.layers[0].estimate
    assert estimate.beyond == pytest.approx(abs(octaves))
    share = estimate.seconds / time.seconds
    layer = estimate.deviation * share
    expected = math.hypot(COMMON, STREAMING * share, kept * layer)
    assert time.deviation == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("octaves", [2.0, 3.0, 7.0])
def test_each_octave_beyond_the_end_of_a_trend_adds_to_the_deviation(octaves):
    fit = profile(size=2.0**20)._fit("elementwise.Relu")

    def deviation_at(size: float) -> float:
        return float(fit.at(np.array([[size]]))[1][0])

    end = deviation_at(2.0**22)
    assert deviation_at(2.0 ** (20 + octaves)) == pytest.approx(
        math.hypot(end, FAR * (octaves - 2))
    )
    assert deviation_at(2.0 ** (20 - octaves)) == pytest.approx(
        math.hypot(deviation_at(2.0**18), FAR * (octaves - 2))
    )


@pytest.mark.parametrize("kind", ["elementwise.Relu", "elementwise.Relu.other"])
def test_the_law_at_many_batches_has_the_deviation_of_one(kind):
    workload, known = relu(1_000_000), profile(kind=kind, threads=2)
    steps = steps_of(workload, known)
    assert steps is not None
    found = times_at(workload, known, steps, np.array([1.0, 3.0]))
    for place, batches in enumerate((1.0, 3.0)):
        time = calibrated_time(workload, known, batches)
        assert time is not None
        assert found.deviation[place] == pytest.approx(time.deviation, rel=1e-9)
        assert found.slow_deviation[place] == pytest.approx(time.slow_deviation, rel=1e-9)


@pytest.mark.parametrize(
    ("kind", "size", "said"),
    [
        ("elementwise.Relu", 2.0**20, ()),
        ("elementwise.Relu", 2.0**17, ("layers beyond the shapes that were measured of their kind",)),
        ("elementwise.Relu.other", 2.0**20, ("kinds that no probe measured",)),
    ],
)  # fmt: skip
def test_what_makes_an_interval_wider_is_named_with_its_share(kind, size, said):
    time = calibrated_time(relu(2**20), profile(kind=kind, size=size))
    assert time is not None
    share = time.layers[0].estimate.seconds / time.seconds
    assert describe_thin_ground(time) == tuple(
        f"the interval is wider for {what}: elementwise.Relu {share:.0%}" for what in said
    )
