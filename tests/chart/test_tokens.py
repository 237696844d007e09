"""Tokens per second over the time per token: a curve per machine, its bound apart from its estimate."""

from __future__ import annotations

import pytest

from roofline.chart.tokens import compute
from roofline.errors import TableError


def row(batch: int, tpot: float, **changes: object) -> dict[str, object]:
    return {
        "network": "llama31_8b", "platform": "h100-sxm", "datatype": "fp16", "model": "equation1", "batch": batch,
        "tpot_ms": tpot, "tokens_per_s": 1e3 * batch / tpot, "devices": 1, "fits": True, **changes,
    }  # fmt: skip


def test_a_curve_per_machine_and_model_in_order_of_requests() -> None:
    rows = [
        row(8, 6.0), row(1, 5.0), row(256, 30.0, fits=False), row(1, 7.0, model="expected"), row(1, 3.0, devices=2),
    ]  # fmt: skip
    chart = compute(rows)
    first, estimate, two = chart.curves
    assert [batch for batch, _, _ in first.points] == [1, 8, 256]
    assert first.too_large == {256}
    assert (first.name, first.bound) == ("h100-sxm, at most", True)
    assert (estimate.name, estimate.bound) == ("h100-sxm, expected", False)
    assert two.name == "2 x h100-sxm, at most"
    # What all curves have in common is the title.
    assert chart.title == "llama31_8b fp16"
    lines = chart.plot().get_lines()
    assert [line.get_linestyle() for line in lines if len(line.get_xdata()) == 3] == ["--"]


def test_rows_without_tokens_are_refused() -> None:
    with pytest.raises(TableError, match="no column 'tpot_ms'"):
        compute([{"network": "mlp", "platform": "h100-sxm", "batch": 1}])


def test_both_phases_of_a_row_are_points_under_the_roof() -> None:
    from roofline.chart.rooflines import compute as rooflines

    answered = {
        "platform": "p", "datatype": "fp16", "peak_op_s": 1e12, "bandwidth_b_s": 1e10, "network": "d", "batch": 4,
        "phase": "both", "context": 512, "intensity": 4.0, "prefill_intensity": 400.0, "decode_intensity": 4.0,
        "performance_op_s": None,
    }  # fmt: skip
    points = rooflines([answered]).points
    assert [(point.label, point.intensity, point.performance) for point in points] == [
        ("prefill at 512", 400.0, 1e12), ("decode at 512", 4.0, 4e10),
    ]  # fmt: skip


def test_charts_of_rates_say_that_those_of_decoders_are_of_tokens() -> None:
    from roofline.chart import charts

    run = {
        "platform": "p", "network": "d decode at 512", "phase": "decode", "context": 512, "batch": 1,
        "backend": "onnxruntime", "predicted_fps": None, "measured_fps": None, "predicted_tokens_per_s": 60.0,
        "measured_tokens_per_s": 15.0,
    }  # fmt: skip
    bars = charts.get("efficiency").compute([run]).plot()
    assert bars.get_ylabel() == "throughput, tokens/s"
    points = charts.get("scatter").compute([{**run, "machine_class": "c"}]).plot()
    assert "measured, tokens/s" in {axes.get_xlabel() for axes in points.get_figure().axes}
    assert charts.get("heatmap").compute([run]).records() == [
        {"platform": "p", "network": "d decode at 512", "predicted_fps": 60.0}
    ]
