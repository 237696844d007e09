"""Machines of one make: more of everything is never slower, and what a machine's own runs say stays."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

import roofline as rl
from roofline.errors import OptionError
from roofline.model._expected_data import shipped_parameters
from roofline.model._machine_roofs import roofs_of
from roofline.model._siblings import RATIO, clamp, order_of, settle, siblings_of
from roofline.model.deployment import deployment
from roofline.model.expected import estimate, estimates


def _orders(rng: np.random.Generator, machines: int) -> NDArray[np.bool_]:
    roofs = rng.integers(1, 4, (machines, 2))
    return np.asarray((roofs[None] >= roofs[:, None]).all(2), np.bool_)


@pytest.mark.parametrize("seed", range(20))
def test_settled_times_are_in_order_and_those_of_sure_machines_stay(seed: int) -> None:
    rng = np.random.default_rng(seed)
    stronger, times = _orders(rng, 7), rng.normal(size=(7, 3))
    sure = rng.random(7) < 0.3
    found = settle(times, stronger, sure)
    assert np.array_equal(found[sure], times[sure])
    for one in np.flatnonzero(~sure):
        for other in np.flatnonzero(~sure & stronger[one]):
            assert (found[other] <= found[one] + 1e-12).all()


def test_times_that_are_in_order_are_left_as_they_are() -> None:
    stronger = np.triu(np.ones((4, 4), np.bool_))
    times = np.asarray([[4.0], [3.0], [2.0], [1.0]])
    assert np.array_equal(settle(times, stronger, np.zeros(4, np.bool_)), times)
    swapped = settle(times[[1, 0, 2, 3]], stronger, np.zeros(4, np.bool_))
    assert swapped.ravel().tolist() == [3.5, 3.5, 2.0, 1.0]


def test_a_machine_without_runs_lies_between_its_siblings() -> None:
    others = np.asarray([[3.0], [1.0]])
    weaker, stronger = np.asarray([[True], [False]]), np.asarray([[False], [True]])
    assert clamp(np.asarray([5.0]), others, stronger, weaker) == 3
    assert clamp(np.asarray([0.0]), others, stronger, weaker) == 1
    assert clamp(np.asarray([2.0]), others, stronger, weaker) == 2
    none = np.zeros((2, 1), np.bool_)
    assert clamp(np.asarray([9.0]), others, none, none) == 9


@pytest.mark.parametrize(
    ("weaker", "stronger"),
    [("arc-a750", "arc-a770"), ("mi300a", "mi300x"), ("xeon-8270", "xeon-8280"),
     ("quadro-rtx-6000", "quadro-rtx-8000"), ("l4", "l40s")],
)  # fmt: skip
@pytest.mark.parametrize("network", ["resnet50", "mobilenet_v2", "vit_b16", "vgg16"])
def test_a_sibling_with_more_of_everything_is_not_slower(
    weaker: str, stronger: str, network: str
) -> None:
    datatype = "fp32" if weaker.startswith("xeon") else "fp16"
    workload = rl.load(network).under(precision=datatype)
    less, more = (
        estimates(workload, rl.platform(key), datatype=datatype, batches=(1, 8, 64))
        for key in (weaker, stronger)
    )
    for slow, fast in zip(less, more, strict=True):
        # Makers round peaks, each datatype's by itself.
        assert slow.fps <= fast.fps * (1 + RATIO / 2)


@pytest.mark.parametrize(
    ("weaker", "stronger"),
    [("xeon-8380", "xeon-8480plus"), ("rtx-3060", "rtx-4000-ada"), ("rtx-3080", "rtx-3090"), ("rtx-2070", "rtx-4090"),
     ("i5-8500", "i9-13900k")],
)  # fmt: skip
@pytest.mark.parametrize("network", ["resnet50", "mobilenet_v2", "vit_b16"])
@pytest.mark.parametrize("datatype", ["fp32", "int8"])
def test_a_stronger_machine_of_another_design_is_not_slower(
    weaker: str, stronger: str, network: str, datatype: str
) -> None:
    workload = rl.load(network).under(precision=datatype)
    slow, fast = (
        estimate(workload, rl.platform(key), datatype=datatype, batch=1)
        for key in (weaker, stronger)
    )
    assert slow is not None
    assert fast is not None
    assert slow.fps <= fast.fps * (1 + RATIO / 2)


def test_siblings_are_of_one_maker_and_one_ratio_of_peaks() -> None:
    roofs = roofs_of(rl.platform("mi300a"))
    found = siblings_of(roofs, "gpu_dc", shipped_parameters().machines)
    makes = [each for each in found if each.make]
    assert [each.key for each in makes] == ["mi300x"]
    order = order_of(roofs, makes)
    assert order.tolist() == [[True, False], [True, True]]


@pytest.mark.parametrize(
    ("machine", "runtime"),
    [("rtx-4090", "xnnpack"), ("h100-sxm", "tengine"), ("hailo-8", "ncnn"), ("a100-sxm-80gb", "opencv")],
)  # fmt: skip
def test_a_runtime_of_no_maker_is_refused_where_no_like_machine_ran_it(
    machine: str, runtime: str
) -> None:
    with pytest.raises(OptionError, match=f"no published run of {runtime} is on a machine of"):
        deployment(rl.platform(machine), runtime)


@pytest.mark.parametrize(
    ("machine", "runtime"),
    [("rx-9070xt", "pt-eager"), ("rx-7900xtx", "pt-eager"), ("arc-b580", "openvino"), ("mi300a", "migraphx"),
     ("rtx-3080", "trt"), ("h100-sxm", "trt")],
)  # fmt: skip
def test_a_card_runs_by_default_what_cards_of_its_maker_were_run_with(
    machine: str, runtime: str
) -> None:
    found = deployment(rl.platform(machine))
    assert found is not None
    assert found.runtime == runtime


@pytest.mark.parametrize("network", ["resnet50", "mobilenet_v1"])
def test_the_items_of_a_batch_take_turns_on_an_edge_tpu(network: str) -> None:
    found = estimates(
        rl.load(network).under(precision="int8"), rl.platform("edgetpu"), datatype="int8", batches=(1, 2, 16)
    )  # fmt: skip
    assert found[0].fps == pytest.approx(found[1].fps) == pytest.approx(found[2].fps)
    if found[0].latency_s is not None and found[2].latency_s is not None:
        assert found[2].latency_s == pytest.approx(16 * found[0].latency_s)


@pytest.mark.parametrize("machine", ["rk3566-cpu", "rk3568-cpu", "rpi5", "orion-o6-cpu"])
def test_single_precision_computed_in_halves_is_one_run_with_halves(machine: str) -> None:
    workload = rl.load("resnet50")
    single, half = (
        estimate(workload.under(precision=name), rl.platform(machine), datatype=name, runtime="ncnn")
        for name in ("fp32", "fp16")
    )  # fmt: skip
    assert single is not None
    assert half is not None
    assert half.fps == pytest.approx(single.fps)


def test_an_estimate_names_the_machine_that_limits_it() -> None:
    workload, machine = rl.load("resnet50").under(precision="int8"), rl.platform("rtx-3080")
    limited = estimate(workload, machine, datatype="int8", batch=1)
    limit = estimate(workload, rl.platform("rtx-3060"), datatype="int8", batch=1)
    assert limited is not None
    assert limit is not None
    assert limited.rests_on.endswith(", no slower than rtx-3060")
    assert limited.fps == pytest.approx(limit.fps, rel=0.01)
    assert "slower" not in limit.rests_on
    assert "faster" not in limit.rests_on
