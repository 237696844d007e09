"""Subnormal numbers among stored weights: how many vectors hold one, and what a run takes more for them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from roofline import Workload
from roofline.graph.reading.subnormals import subnormal_shares
from roofline.model.machine_profile import Profile, Sample
from roofline.model.network_time import calibrated_time
from roofline.model.subnormal_steps import SUBNORMAL, subnormal_weights, subnormal_work

TINY = np.float32(1e-40)
CHANNELS, SIZE = 32, 8
PEAK = 1e11


def model(
    weight: np.ndarray, *, relu: bool = False, scale: np.ndarray | None = None
) -> onnx.ModelProto:
    """Return a convolution by 1 x 1, with a cut-off before it and a scale behind it if asked for."""
    nodes = [helper.make_node("Relu", ["x"], ["r"], "relu")] if relu else []
    nodes.append(helper.make_node("Conv", ["r" if relu else "x", "w"], ["y"], "conv"))
    stored = [numpy_helper.from_array(weight, "w")]
    if scale is not None:
        nodes.append(helper.make_node("Mul", ["y", "s"], ["z"], "scale"))
        stored.append(numpy_helper.from_array(scale, "s"))
    shape = (1, weight.shape[1], SIZE, SIZE)
    graph = helper.make_graph(
        nodes, "net", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_empty_tensor_value_info(nodes[-1].output[0])], stored,
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def weights(*places: tuple[int, int]) -> np.ndarray:
    found = np.ones((CHANNELS, CHANNELS, 1, 1), np.float32)
    for place in places:
        found[place] = TINY
    return found


@pytest.mark.parametrize(
    ("places", "vectors"),
    [
        ([], 0),
        ([(0, 0)], 1),
        # One vector of sixteen results holds both; another input's, or the other half of the results', is another.
        ([(0, 0), (15, 0)], 1),
        ([(0, 0), (0, 1)], 2),
        ([(0, 0), (16, 0)], 2),
    ],
)  # fmt: skip
def test_a_vector_is_slow_if_any_of_its_weights_is_subnormal(places, vectors):
    shares = subnormal_shares(model(weights(*places)))
    assert shares.get("w", (0.0,)) == pytest.approx((vectors / (2 * CHANNELS),))


def test_numbers_that_are_written_one_by_one_are_read():
    given = model(weights((0, 0)))
    values = numpy_helper.to_array(given.graph.initializer[0])
    written = helper.make_tensor("w", TensorProto.FLOAT, values.shape, values.ravel().tolist())
    assert written.float_data
    assert not written.raw_data
    given.graph.initializer[0].CopyFrom(written)
    assert subnormal_shares(given) == {"w": pytest.approx((1 / (2 * CHANNELS),))}


def depthwise(rows: tuple[int, ...], height: int) -> Workload:
    """Return filters of five rows for sixteen channels, some rows subnormal, over an image of so many rows."""
    weight = np.ones((16, 1, 5, 1), np.float32)
    weight[:, :, list(rows)] = TINY
    node = helper.make_node("Conv", ["x", "w"], ["y"], "conv", group=16, pads=[2, 0, 2, 0])
    graph = helper.make_graph(
        [node], "net", [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 16, height, 4))],
        [helper.make_empty_tensor_value_info("y")], [numpy_helper.from_array(weight, "w")],
    )  # fmt: skip
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return Workload.from_onnx(made)


@pytest.mark.parametrize(
    ("rows", "height", "multiplied"),
    [
        # On an image of two rows the first and the last of five rows of a filter meet padding alone.
        ((0, 4), 2, 0),
        ((2,), 2, 2),
        # The second meets one of the two rows, once.
        ((1,), 2, 1),
        ((0, 4), 5, 3 + 3),
    ],
)
def test_rows_of_a_filter_that_meet_padding_alone_cost_nothing(rows, height, multiplied):
    net = depthwise(rows, height)
    (layer,) = net.layers
    work = subnormal_work(layer, subnormal_weights(net), {})
    # Two operations for each weight, sixteen channels and four columns.
    assert (0 if work is None else work.ops) == pytest.approx(2 * 16 * 4 * multiplied)


@pytest.mark.parametrize("value", [0.0, float(np.finfo(np.float32).tiny), -1.0])
def test_zero_and_the_smallest_normal_number_are_not_subnormal(value):
    weight = np.full((CHANNELS, CHANNELS, 1, 1), value, np.float32)
    assert subnormal_shares(model(weight)) == {}


def test_weights_are_taken_times_the_scale_that_follows():
    scale = np.ones((CHANNELS, 1, 1), np.float32)
    scale[16:] = 1e30
    # The half of the results that is scaled up holds none; what is scaled down does.
    found = subnormal_shares(model(weights((0, 0), (16, 0)), scale=scale))
    assert found == {"w": pytest.approx((1 / (2 * CHANNELS),))}
    assert subnormal_shares(model(weights(), scale=scale[:1, 0, 0] * TINY)) == {
        "w": pytest.approx((1.0,))
    }


def test_a_file_that_is_gone_says_nothing(tmp_path):
    assert subnormal_shares(model(weights((0, 0))), tmp_path / "gone.onnx") == {}


def profile(**more: tuple[Sample, ...]) -> Profile:
    samples = {
        "conv.1x1.fp32": (Sample((32, 32, 64, 1, 1), 0.5),),
        "elementwise.Relu": (Sample((2048,), 0.5),),
        **more,
    }
    return Profile("x", "1", 1, {"fp32": PEAK}, 1e10, 1e-6, 1e-7, 1, samples)


@pytest.mark.parametrize(("relu", "active"), [(False, 1.0), (True, 0.5)])
def test_slow_vectors_take_what_was_measured_of_them_and_zeros_nothing(relu, active, tmp_path):
    path = tmp_path / "net.onnx"
    onnx.save(model(weights((0, 0), (0, 1)), relu=relu), path)
    net = Workload.from_onnx(path)
    slow = 2 * CHANNELS * CHANNELS * SIZE * SIZE * active * 2 / (2 * CHANNELS)
    taken = calibrated_time(net, profile(**{SUBNORMAL: (Sample((slow,), 0.004),)}))
    usual = calibrated_time(net, profile())
    assert taken is not None
    assert usual is not None
    more = [layer for layer in taken.layers if layer.kind == SUBNORMAL]
    assert len(more) == 1
    assert more[0].estimate.seconds == pytest.approx(slow / PEAK / 0.004)
    assert taken.seconds - usual.seconds == pytest.approx(more[0].estimate.seconds)


def test_nothing_is_read_where_no_probe_says_what_they_take(monkeypatch):
    def refuse(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("roofline.model.subnormal_steps.subnormal_shares", refuse)
    assert calibrated_time(Workload.from_onnx(model(weights())), profile()) is not None
