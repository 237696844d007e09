"""Pooling: closed forms, and the rule for windows that hang over."""

from __future__ import annotations

import pytest

from roofline.errors import ModelError


def test_operations_per_window(call):
    options = {"kernel_shape": (3, 2), "strides": (2, 2)}
    outputs = 4 * 7 * 8  # 4 channels, (16 - 3) // 2 + 1 rows, (16 - 2) // 2 + 1 columns
    assert call("MaxPool", (1, 4, 16, 16), **options).shape == (1, 4, 7, 8)
    assert call("MaxPool", (1, 4, 16, 16), **options).cost.other_ops == (3 * 2 - 1) * outputs
    assert call("AveragePool", (1, 4, 16, 16), **options).cost.other_ops == 3 * 2 * outputs
    assert call("LpPool", (1, 4, 16, 16), **options).cost.other_ops == 2 * 3 * 2 * outputs


def test_global_pooling_reduces_every_element(call):
    assert call("GlobalAveragePool", (2, 8, 7, 7)).shape == (2, 8, 1, 1)
    assert (
        call("GlobalAveragePool", (2, 8, 7, 7)).cost.other_ops == 2 * 8 * 7 * 7
    )  # 48 sums and a division each
    assert call("GlobalMaxPool", (2, 8, 7, 7)).cost.other_ops == 2 * 8 * (7 * 7 - 1)


def test_global_pooling_takes_data_without_places_and_no_less(call):
    assert call("GlobalAveragePool", (2, 8)).shape == (2, 8)
    with pytest.raises(ModelError, match="rank 2 or more"):
        _ = call("GlobalAveragePool", (2,)).shape


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "pad", "expected"),
    [
        (112, 3, 2, 0, 56),  # GoogLeNet's: ceil(109 / 2) + 1
        (2, 1, 2, 0, 1),  # a window may not start behind the operand
        (5, 2, 3, 1, 2),  # the third window would start at place 6, the first behind 1 + 5
        (6, 2, 3, 1, 3),  # the third window starts at place 6, the operand's last
    ],
)
def test_ceil_mode_clips_the_last_window(call, size, kernel, stride, pad, expected):
    pool = call(
        "MaxPool",
        (1, 1, size),
        kernel_shape=(kernel,),
        strides=(stride,),
        pads=(pad, pad),
        ceil_mode=1,
    )
    assert pool.shape == (1, 1, expected)


def test_indices_are_int64(call):
    pool = call("MaxPool", ((1, 1, 4, 4), "fp16"), kernel_shape=(2, 2), results=2)
    assert [kind[1].name for kind in pool.types] == ["fp16", "int64"]


def test_region_pooling(call):
    assert call("MaxRoiPool", (1, 3, 32, 32), (5, 5), pooled_shape=(6, 7)).shape == (5, 3, 6, 7)
    assert call(
        "RoiAlign", (1, 3, 32, 32), (5, 4), ((5,), "int64"), output_height=6, output_width=7
    ).shape == (5, 3, 6, 7)


def test_a_kernel_must_be_stated(call):
    with pytest.raises(ModelError, match="'kernel_shape' is missing"):
        _ = call("MaxPool", (1, 1, 4, 4)).shape
    with pytest.raises(ModelError, match="positive"):
        _ = call("MaxPool", (1, 1, 4, 4), kernel_shape=(0, 2)).shape
