from __future__ import annotations

import pytest

from roofline.chart.memory import compute
from roofline.chart.rooflines import compute as roofline
from roofline.errors import TableError


def row(context: int, **changes: object) -> dict[str, object]:
    return {
        "network": "llama31_8b", "platform": "l40s", "datatype": "fp8", "batch": 8, "devices": 1, "context": context,
        "weight_bytes": 9e9, "cache_bytes": 8 * 65536.0 * context, "memory_bytes": 48e9, **changes,
    }  # fmt: skip


def test_weights_cache_and_what_is_left_make_the_memory() -> None:
    chart = compute([row(4096), row(65536), row(130000)])
    small, large, over = chart.records()
    for bar in (small, large):
        assert bar["weight_bytes"] + bar["cache_bytes"] + bar["free_bytes"] == pytest.approx(48e9)
        assert bar["fits"]
    assert (over["free_bytes"], over["fits"]) == (0.0, False)
    chart.figure()


def test_a_bound_and_an_estimate_are_one_bar_and_batches_are_apart() -> None:
    rows = [row(4096, model="equation1"), row(4096, model="expected"), row(4096, batch=1)]
    names = [bar["name"] for bar in compute(rows).records()]
    assert len(names) == 2
    assert any("batch 1" in name for name in names)


def test_other_networks_have_no_such_split() -> None:
    with pytest.raises(TableError, match="context"):
        compute([{"network": "resnet50", "platform": "l40s", "batch": 1}])


def test_phases_contexts_and_requests_are_points_of_their_own() -> None:
    rows = [
        {
            "network": "llama31_8b", "platform": "h100-sxm", "datatype": "fp16", "peak_op_s": 1e15,
            "bandwidth_b_s": 3e12, "phase": phase, "context": context, "batch": batch,
            "intensity": batch * (context if phase == "prefill" else 1),
        }
        for phase in ("prefill", "decode") for context in (512, 4096) for batch in (1, 32)
    ]  # fmt: skip
    points = [entry for entry in roofline(rows).records() if entry["kind"] == "network"]
    assert {point["name"] for point in points} == {
        f"{phase} at {context}, batch {batch}"
        for phase in ("prefill", "decode")
        for context in ("512", "4,096")
        for batch in (1, 32)
    }
    assert all(
        point["performance_op_s"] == min(1e15, 3e12 * point["intensity"]) for point in points
    )
