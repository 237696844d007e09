"""Matrix products: closed forms."""

from __future__ import annotations

import pytest

from roofline.errors import ModelError


@pytest.mark.parametrize(
    ("left", "right", "shape", "macs"),
    [
        ((2, 12, 197, 64), (2, 12, 64, 197), (2, 12, 197, 197), 2 * 12 * 197 * 197 * 64),
        ((64,), (64, 10), (10,), 640),
        ((10, 64), (64,), (10,), 640),
        ((64,), (64,), (), 64),
        ((5, 1, 3, 4), (6, 4, 2), (5, 6, 3, 2), 5 * 6 * 3 * 2 * 4),  # the batches broadcast
    ],
)
def test_macs_are_output_elements_times_the_contraction(call, left, right, shape, macs):
    product = call("MatMul", left, right)
    assert product.shape == shape
    assert product.cost.macs == macs
    assert product.cost.other_ops == 0


def test_gemm_transposes_and_adds(call):
    gemm = call("Gemm", (64, 2), (64, 10), (10,), transA=1, alpha=0.5, beta=2.0)
    assert gemm.shape == (2, 10)
    assert gemm.cost.macs == 2 * 10 * 64
    assert gemm.cost.other_ops == 2 * 10 * 3  # bias, alpha, beta


def test_integer_and_quantized_products(call):
    assert call("MatMulInteger", ((4, 256), "uint8"), ((256, 128), "int8")).dtype == "int32"
    packed = call(
        "MatMulNBits", (4, 4096), ((4096, 128, 16), "uint8"), (4096 * 128,), domain="com.microsoft", K=4096, N=4096,
    )  # fmt: skip
    assert packed.shape == (4, 4096)
    assert packed.cost.macs == 4 * 4096 * 4096
    assert packed.cost.other_ops == 2 * 4096 * 4096  # each weight is shifted and scaled


def test_fused_product(call):
    fused = call(
        "FusedMatMul", (2, 4, 3), (2, 4, 5), domain="com.microsoft", transA=1, alpha=0.125
    )
    assert fused.shape == (2, 3, 5)
    assert fused.cost.macs == 2 * 3 * 5 * 4
    assert fused.cost.other_ops == 2 * 3 * 5


@pytest.mark.parametrize(
    ("equation", "operands", "shape", "macs"),
    [
        (
            "bhqd,bhkd->bhqk",
            [(2, 12, 197, 64), (2, 12, 197, 64)],
            (2, 12, 197, 197),
            2 * 12 * 197 * 197 * 64,
        ),
        ("ij,jk", [(3, 4), (4, 5)], (3, 5), 3 * 4 * 5),  # the result's labels are implied
        ("...ij,...jk->...ik", [(7, 3, 4), (1, 4, 5)], (7, 3, 5), 7 * 3 * 4 * 5),
        ("i,i", [(6,), (6,)], (), 6),
        ("b...d,d->b...", [(2, 3, 4, 5), (5,)], (2, 3, 4), 2 * 3 * 4 * 5),
    ],
)
def test_einsum_is_counted_by_contraction(call, equation, operands, shape, macs):
    einsum = call("Einsum", *operands, equation=equation)
    assert einsum.shape == shape
    assert einsum.cost.macs == macs


def test_einsum_of_one_operand_multiplies_nothing(call):
    assert call("Einsum", (3, 4), equation="ij->ji").cost.ops == 0
    assert call("Einsum", (3, 4), equation="ij->i").cost.ops == 3 * (4 - 1)


@pytest.mark.parametrize("equation", ["ij,jk->ik", "i->ij", "i?->i", "", "ijk->i"])
def test_broken_equations(call, equation):
    with pytest.raises(ModelError, match="equation"):
        _ = call("Einsum", (3, 4), equation=equation).shape


def test_determinant(call):
    det = call("Det", (4, 9, 9))
    assert det.shape == (4,)
    assert det.cost.other_ops == 4 * (2 * 9**3 // 3)


def test_contracted_sizes_must_agree(call):
    with pytest.raises(ModelError, match="contracted dimensions"):
        _ = call("MatMul", (2, 3), (4, 5)).shape
    with pytest.raises(ModelError, match="scalars"):
        _ = call("MatMul", (), (4, 5)).shape


def test_a_dynamically_quantized_product_adds_a_bias_only_where_there_is_one(call):
    scale, zero, bias = ((), "fp32"), ((), "int8"), (5,)
    weights = ((4, 5), "int8")

    def other(*operands):
        return call(
            "DynamicQuantizeMatMul", (3, 4), weights, *operands, domain="com.microsoft"
        ).cost.other_ops

    # Six operations quantize each of 12 elements; each of 15 results is scaled, and added to where there is a bias.
    assert other(scale) == other(scale, zero) == 6 * 12 + 15
    assert other(scale, None, bias) == other(scale, zero, bias) == 6 * 12 + 2 * 15
