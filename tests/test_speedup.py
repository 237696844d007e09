"""Expected and achieved speed-ups, and the orthogonality of pruning and quantization."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import roofline
from roofline.compress import Pruning, Quantization, Request, Sparsity
from roofline.errors import OptionError
from roofline.spec import platform
from roofline.speedup import ideal_speedup, orthogonality, speed_up
from roofline.workload import Workload

from .collected import rows

DENSE = Workload.from_table("net", ops=2e9, weights=1e6, bits=32, source="a table")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        # "95 % weight pruning: 20x; int8: 4x; fp16: 2x" (Gibson et al. 2023).
        ({"sparsity": 0.95}, 20), ({"precision": "int8"}, 4), ({"precision": "fp16"}, 2),
        ({"precision": "int8", "sparsity": 0.5}, 8), ({"precision": "w4a8"}, 4),
    ],
)  # fmt: skip
def test_the_ideal_speed_up_is_work_times_width(
    changes: dict[str, object], expected: float
) -> None:
    assert ideal_speedup(DENSE, DENSE.under(**changes)) == pytest.approx(expected)


def test_halving_channels_promises_nearly_four_times() -> None:
    dense = roofline.load("cnv")
    found = speed_up(dense, Request(Pruning(0.5)))
    assert found.ideal == dense.macs / dense.under(pruning=0.5).macs
    assert 3.9 < found.ideal < 4
    assert (found.technique, found.variant, found.predicted) == (
        "channel pruning",
        "keep-channels=0.5",
        None,
    )


def test_a_compute_bound_network_gains_what_its_operations_lose() -> None:
    machine = platform("tx2:maxn")
    dense = roofline.load("resnet18")
    found = speed_up(dense, Request(quantization=Quantization("fp16")), machine)
    assert found.predicted == pytest.approx(machine.peak("fp16") / machine.peak("fp32"))
    assert found.ideal == 2


def test_zeros_that_a_machine_does_not_skip_gain_nothing_in_compute() -> None:
    machine = platform("tx2:maxn")
    assert machine.skips_zeros == "none"
    found = speed_up(roofline.load("resnet18"), Request(sparsity=Sparsity(0.9)), machine)
    assert found.predicted == pytest.approx(1)
    assert found.ideal == pytest.approx(10, rel=0.01)


def test_the_measured_share_of_the_ideal() -> None:
    found = speed_up(DENSE, Request(sparsity=Sparsity(0.95)), dense_fps=10, fps=26)
    # MobileNetV1 at 95 %: 2.6x is 13 % of 20x (Gibson et al. 2023).
    assert found.achieved == pytest.approx(0.13)
    assert found.record()["achieved_share"] == found.achieved
    with pytest.raises(OptionError, match="both"):
        speed_up(DENSE, Request(sparsity=Sparsity(0.95)), fps=26)


def test_published_squares_are_reproduced() -> None:
    squares = rows("squares")
    assert len(squares) == 236
    for row in squares:
        figures = [float(row[name]) for name in "abcd"]
        found = orthogonality(*figures, lower_is_better=row["metric"].startswith("lat"))
        for name in ("p1", "p2", "q1", "q2"):
            assert getattr(found, name) == pytest.approx(float(row[name]), rel=2e-5)
        assert 100 * found.ratio == pytest.approx(float(row["ratio_percent"]), rel=2e-5)


figures = st.floats(1e-3, 1e6)


@given(figures, figures, figures, figures)
def test_both_ratios_are_one_number(a: float, b: float, c: float, d: float) -> None:
    found = orthogonality(a, b, c, d)
    assert found.q2 / found.q1 == pytest.approx(found.ratio)
    assert found.ratio == pytest.approx(a * d / (b * c))
    latency = orthogonality(1 / a, 1 / b, 1 / c, 1 / d, lower_is_better=True)
    assert latency.ratio == pytest.approx(found.ratio)


def test_figures_that_are_not_positive_are_refused() -> None:
    with pytest.raises(OptionError, match="above zero"):
        orthogonality(1, 0, 1, 1)
