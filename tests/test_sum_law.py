"""Laws that are sums of terms: how runs are weighed, and which half-width holds a share of errors."""

from __future__ import annotations

import numpy as np
import pytest

from roofline.model.sum_law import balance, half_width


def test_four_runs_of_one_machine_count_as_two_of_others() -> None:
    weights = balance(["a", "b", "a", "a", "a"])
    assert weights[1] == 1
    assert weights[[0, 2, 3, 4]].sum() == pytest.approx(4**0.5)


def test_a_half_width_is_the_quantile_of_the_errors_without_their_signs() -> None:
    # Linear between the fourth and the fifth of five, at 0.8 * (5 - 1) = 3.2.
    assert half_width(np.array([5.0, -1.0, 2.0, -3.0, 4.0])) == pytest.approx(4.2)


def test_an_error_of_weight_counts_more_and_errors_together_count_as_one() -> None:
    errors = np.array([1.0, 2.0, 3.0])
    # Nine tenths of all weight lie at the first error.
    assert half_width(errors, weights=np.array([18.0, 1.0, 1.0])) == 1
    assert half_width(errors, weights=np.array([1.0, 1.0, 18.0])) == 3
    # Eight runs of one machine and one of another: half of the weight is the machine's.
    many = np.array([1.0] * 8 + [2.0])
    assert half_width(many, 0.6, together=["a"] * 8 + ["b"]) == 2
    assert half_width(many, 0.6) == 1


def test_nothing_known_has_no_half_width() -> None:
    assert np.isnan(half_width(np.array([np.nan])))
