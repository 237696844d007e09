"""Weights that no runtime packs before a run: those a run may replace, and shared ones in half precision."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from roofline import Workload
from roofline.model.executed_steps import steps_of
from roofline.model.machine_profile import Profile, Sample
from roofline.model.plain_weights import with_plain_weights

CHANNELS, SIZE = 32, 8
WEIGHTS = CHANNELS * CHANNELS * 9


def model(
    *, readers: int = 1, half: bool = False, default: bool = False, ir_version: int = 8
) -> onnx.ModelProto:
    """Return convolutions side by side that read one weight."""
    kind = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    weight = np.ones((CHANNELS, CHANNELS, 3, 3), np.float16 if half else np.float32)
    inputs = [helper.make_tensor_value_info("x", kind, (1, CHANNELS, SIZE, SIZE))]
    if default:
        inputs.append(helper.make_tensor_value_info("w", kind, weight.shape))
    nodes = [
        helper.make_node("Conv", ["x", "w"], [f"y{place}"], f"conv{place}", pads=[1] * 4)
        for place in range(readers)
    ]
    graph = helper.make_graph(
        nodes, "net", inputs, [helper.make_empty_tensor_value_info(node.output[0]) for node in nodes],
        [numpy_helper.from_array(weight, "w")],
    )  # fmt: skip
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=ir_version)


PROFILE = Profile(
    "x", "1", 1, {"fp32": 1e11}, 1e10, 1e-6, 1e-7, 1,
    {"conv.kxk.fp32": (Sample((32, 32, 64, 9, 1), 0.5),), "elementwise.Cast": (Sample((WEIGHTS,), 0.5),)},
)  # fmt: skip


def kinds(given: onnx.ModelProto) -> list[str]:
    steps = steps_of(Workload.from_onnx(given), PROFILE)
    assert steps is not None
    return [step.work.kind for step in steps if step.work is not None]


def test_a_stored_value_that_is_an_input_is_only_its_default():
    assert kinds(model()) == ["conv.kxk.fp32"]
    assert kinds(model(default=True)) == ["conv.unpacked.fp32"]


def test_the_first_versions_of_the_format_list_all_stored_values_as_inputs():
    assert kinds(model(default=True, ir_version=3)) == ["conv.kxk.fp32"]


@pytest.mark.parametrize(
    ("half", "readers", "found"),
    [
        (False, 2, ["conv.kxk.fp32"] * 2),
        (True, 1, ["conv.kxk.fp16"]),
        # Converted once, by whichever reads it first.
        (True, 2, ["elementwise.Cast", "conv.unpacked.fp32", "conv.unpacked.fp32"]),
    ],
)
def test_half_precision_that_two_layers_read_is_converted_at_each_run(half, readers, found):
    assert kinds(model(half=half, readers=readers)) == found


def test_a_converted_weight_is_read_in_half_and_written_in_single_precision():
    steps = steps_of(Workload.from_onnx(model(half=True, readers=2)), PROFILE)
    assert steps is not None
    (cast,) = [step.work for step in steps if step.work and step.work.kind == "elementwise.Cast"]
    assert (cast.at, cast.bytes) == ((WEIGHTS,), WEIGHTS * (2 + 4))


def test_a_network_without_such_weights_is_itself():
    net = Workload.from_onnx(model())
    assert with_plain_weights(net).workload is net
    other = Workload.from_onnx(model(default=True))
    assert with_plain_weights(other) is with_plain_weights(other)
