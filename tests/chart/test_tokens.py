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
    assert (first.name, first.bound) == ("h100-sxm, llama31_8b, at most", True)
    assert (estimate.name, estimate.bound) == ("h100-sxm, llama31_8b, expected", False)
    assert two.name == "2 x h100-sxm, llama31_8b, at most"
    lines = chart.plot().get_lines()
    assert [line.get_linestyle() for line in lines if len(line.get_xdata()) == 3] == ["--"]


def test_rows_without_tokens_are_refused() -> None:
    with pytest.raises(TableError, match="no column 'tpot_ms'"):
        compute([{"network": "mlp", "platform": "h100-sxm", "batch": 1}])
