"""No estimate of `expected` exceeds a bound that holds."""

from __future__ import annotations

import pytest

import roofline as rl
from roofline.model._request import Choices, predictions_at

PLATFORMS = (
    "edgetpu",
    "edgetpu-usb",
    "hailo-8",
    "h100-sxm",
    "rpi4",
    "t4",
    "xeon-8380",
    "zcu102-dpu-pg338",
)


@pytest.mark.parametrize("name", PLATFORMS)
@pytest.mark.parametrize("network", ["resnet50", "mlp"])
def test_no_estimate_exceeds_a_bound_that_holds(name: str, network: str) -> None:
    choices: Choices = {"datatype": "int8"}
    workload = rl.load(network).under(precision="int8")
    for batch in (1, 64):
        found = predictions_at(workload, rl.platform(name), [batch], None, choices)
        bound, estimates = found[0], found[1:]
        assert estimates, "the class has evidence"
        for entry in estimates:
            assert entry.throughput_fps is not None
            assert entry.interval_fps is not None
            low, high = entry.interval_fps
            assert 0 < low < high
            assert low <= entry.throughput_fps <= high * (1 + 1e-9)
            if bound.upper_bound:
                assert bound.throughput_fps is not None
                assert high <= bound.throughput_fps * (1 + 1e-9)


def test_a_capped_estimate_says_so() -> None:
    choices: Choices = {"datatype": "int8"}
    workload = rl.load("resnet50").under(precision="int8")
    bound, entry = predictions_at(workload, rl.platform("edgetpu"), [1], None, choices)
    assert bound.upper_bound
    assert any("capped by the bound" in note for note in entry.notes)
