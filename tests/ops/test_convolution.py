"""Convolutions: closed forms, and the rules a broken one breaks."""

from __future__ import annotations

import numpy as np
import pytest

from roofline.errors import DimensionError, ModelError


def test_macs_are_output_elements_times_weights_of_one_channel(call):
    conv = call("Conv", (2, 32, 28, 28), (64, 8, 3, 3), (64,), group=4, pads=(1, 1, 1, 1))
    assert conv.shape == (2, 64, 28, 28)
    assert conv.cost.macs == 2 * 64 * 28 * 28 * 8 * 3 * 3
    assert conv.cost.other_ops == 2 * 64 * 28 * 28  # the bias


def test_transposed_macs_are_operand_elements_times_weights_of_one_channel(call):
    conv = call("ConvTranspose", (1, 16, 14, 14), (16, 8, 4, 4), strides=(2, 2), pads=(1, 1, 1, 1))
    assert conv.shape == (1, 8, 28, 28)
    assert conv.cost.macs == 16 * 14 * 14 * 8 * 4 * 4


def test_a_1x1_convolution_is_a_matrix_product(call):
    conv = call("Conv", (1, 24, 7, 5), (10, 24, 1, 1))
    product = call("MatMul", (10, 24), (24, 35))
    assert conv.cost.macs == product.cost.macs


@pytest.mark.parametrize(
    ("attributes", "size"),
    [
        ({}, 225 - 3 + 1),
        ({"auto_pad": "SAME_UPPER", "strides": (2, 2)}, 113),  # ceil(225 / 2)
        ({"auto_pad": "SAME_LOWER", "strides": (4, 4)}, 57),  # ceil(225 / 4)
        (
            {"auto_pad": "VALID", "strides": (2, 2), "pads": (9, 9, 9, 9)},
            (225 - 3) // 2 + 1,
        ),  # pads do not count
        ({"dilations": (5, 5)}, 225 - 5 * 2),
        ({"pads": (1, 1, 2, 2), "strides": (3, 3)}, (225 + 3 - 3) // 3 + 1),
    ],
)
def test_windows(call, attributes, size):
    assert call("Conv", (1, 3, 225, 225), (8, 3, 3, 3), **attributes).shape == (1, 8, size, size)


def test_transposed_output_padding_and_stated_output(call):
    data, weights = (1, 2, 5, 5), (2, 3, 3, 3)
    stretched = call("ConvTranspose", data, weights, strides=(3, 3), output_padding=(1, 2))
    assert stretched.shape == (1, 3, 3 * 4 + 1 + 3, 3 * 4 + 2 + 3)
    stated = call("ConvTranspose", data, weights, strides=(3, 3), output_shape=(14, 15))
    assert stated.shape == (1, 3, 14, 15)
    same = call("ConvTranspose", data, weights, strides=(3, 3), auto_pad="SAME_UPPER")
    assert same.shape == (1, 3, 15, 15)


def test_unknown_dimensions_stay_unknown(call):
    conv = call("Conv", (None, 3, None, 224), (8, 3, 3, 3))
    assert conv.shape == (None, 8, None, 222)
    with pytest.raises(DimensionError, match="dims"):
        _ = conv.cost
    assert call("Conv", (1, 3, 9, 9), (None, 3, 3, 3)).shape == (1, None, 7, 7)


def test_quantized_positions(call):
    scale, zero = np.array(0.1, np.float32), ((), "uint8")
    conv = call(
        "QLinearConv", ((1, 16, 14, 14), "uint8"), scale, zero, ((32, 16, 3, 3), "int8"), scale, ((), "int8"), scale,
        zero, ((32,), "int32"), pads=(1, 1, 1, 1),
    )  # fmt: skip
    assert conv.shape == (1, 32, 14, 14)
    assert conv.dtype == "uint8"
    assert conv.cost.macs == 32 * 14 * 14 * 16 * 3 * 3
    assert conv.cost.other_ops == 32 * 14 * 14 * (1 + 3)  # bias; scale, round, saturate
    assert conv.row.weights == (3, 8)
    assert call("ConvInteger", ((1, 2, 4, 4), "uint8"), ((3, 2, 2, 2), "int8")).dtype == "int32"


def test_channels_last(call):
    conv = call("NhwcConv", (1, 9, 9, 3), (8, 3, 3, 3), domain="com.microsoft")
    assert conv.shape == (1, 7, 7, 8)
    assert conv.cost.macs == 8 * 7 * 7 * 3 * 3 * 3


def test_a_causal_convolution_keeps_its_last_positions(call):
    conv = call("CausalConvWithState", (2, 6, 10), (6, 1, 4), activation="silu", results=2)
    assert [kind[0] for kind in conv.types] == [(2, 6, 10), (2, 6, 3)]
    assert conv.cost.macs == 2 * 6 * 10 * 4
    assert conv.cost.other_ops == 2 * 6 * 10 * 6


@pytest.mark.parametrize(
    ("operands", "attributes", "rule"),
    [
        (((1, 3, 8, 8), (4, 3, 3, 3)), {"group": 0}, "'group' must be positive, it is 0"),
        (
            ((1, 3, 8, 8), (4, 3, 3, 3)),
            {"strides": (0, 1)},
            "'strides' must hold 2 positive integers",
        ),
        (
            ((1, 3, 8, 8), (4, 3, 3, 3)),
            {"strides": (1,)},
            "'strides' must hold 2 positive integers",
        ),
        (((1, 3, 8, 8), (4, 3, 3, 3)), {"pads": (1, 1)}, "'pads' must hold 4 integers"),
        (
            ((1, 3, 8, 8), (4, 3, 3, 3)),
            {"dilations": "two"},
            "'dilations' must be a list of integers, it is 'two'",
        ),
        (((1, 3, 8, 8), (4, 3, 9, 9)), {}, "larger than the padded operand"),
        (((1, 3, 8, 8), (4, 2, 3, 3)), {}, "3 channels"),
        (((1, 3, 8, 8), (4, 3, 3)), {}, "same rank"),
        (((1, 3, 8, 8), (4, 3, 3, 3)), {"kernel_shape": (5, 5)}, "must be equal"),
        (((1, 3, 8, 8), (4, 3, 3, 3)), {"auto_pad": "MAYBE"}, "must be one of"),
        (((8, 8), (4, 3, 3, 3)), {}, "rank 3 or more"),
        (((1, 3, 8, 8),), {}, "operand 1 is missing"),
    ],
)
def test_broken_calls_name_the_rule(call, operands, attributes, rule):
    with pytest.raises(ModelError, match=rule) as caught:
        _ = call("Conv", *operands, **attributes).shape
    assert str(caught.value).startswith("Conv node 'n': ")
