"""Bytes of sparse formats against the arithmetic of their arrays, and break-even sparsities against published ones."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roofline.compress.formats import WeightShape, formats
from roofline.errors import CompressionError


def break_even(name: str, shape: WeightShape, value_bits: int = 32) -> float | None:
    """Return the sparsity above which a format is smaller than dense storage: its size is linear in the nonzeros."""
    chosen = formats.get(name)
    dense = Fraction(value_bits * shape.elements)
    empty, full = (chosen.bits(shape, Fraction(n), value_bits, 32) for n in (0, shape.elements))
    if empty >= dense:
        return None
    return chosen.least if full <= dense else float(1 - (dense - empty) / (full - empty))


shapes = st.builds(WeightShape, *(st.integers(1, n) for n in (64, 64, 7, 7)))


@pytest.mark.parametrize(("kernel", "published"), [(3, 0.722), (5, 0.62), (7, 0.58), (11, 0.55)])
def test_one_csr_matrix_per_kernel_pays_from_the_published_sparsity(
    kernel: int, published: float
) -> None:
    shape = WeightShape(64, 64, kernel, kernel)
    # Values and columns take 8 B a nonzero, row pointers 4 B for each row and one more; dense takes 4 B a weight.
    nonzeros = (4 * kernel**2 - 4 * (kernel + 1)) / 8
    found = break_even("csr-kernel", shape)
    assert found == pytest.approx(1 - nonzeros / kernel**2)
    assert found == pytest.approx(published, abs=0.005)


def test_one_csr_matrix_per_1x1_kernel_never_pays() -> None:
    assert break_even("csr-kernel", WeightShape(64, 64)) is None


def test_one_csr_matrix_per_layer_pays_from_one_half() -> None:
    # The row pointers are all that is above one half: (512 + 1) x 4 B of 8 B x 512 x 4608.
    shape = WeightShape(512, 512, 3, 3)
    expected = 1 / 2 + (512 + 1) * 4 / (8 * shape.elements)
    assert break_even("csr", shape) == pytest.approx(expected)
    assert break_even("csr", shape) == pytest.approx(0.5, abs=0.0002)


def test_the_other_formats_pay_from_what_their_indices_take() -> None:
    shape = WeightShape(64, 64, 3, 3)
    assert break_even("bitmap", shape) == pytest.approx(1 / 32)
    assert break_even("coo", shape) == pytest.approx(2 / 3)
    assert break_even("2:4", shape) == 0.5
    # One index of 4 B for a filter of 64 x 9 weights of 4 B.
    assert break_even("channel-list", shape) == pytest.approx(1 - 576 / 577)
    assert break_even("dense", shape) is None


@pytest.mark.parametrize(
    ("name", "nonzeros", "expected"),
    [
        ("dense", 100, 8 * 8 * 9 * 4),
        ("csr", 100, 100 * 8 + 9 * 4),
        ("csr-kernel", 100, 100 * 8 + 64 * 4 * 4),
        ("coo", 100, 100 * 12),
        ("bitmap", 100, 8 * 8 * 9 // 8 + 100 * 4),
        ("2:4", 288, 288 * 4 + 288 * 2 // 8),
        # 32 nonzeros fill two blocks; 8 rows make 2 block rows and 3 pointers.
        ("bsr", 32, 2 * (16 * 4 + 4) + 3 * 4),
        ("channel-list", 3 * 72, 3 * 72 * 4 + 3 * 4),
    ],
)
def test_bytes_of_eight_filters_of_depth_eight(name: str, nonzeros: int, expected: int) -> None:
    assert formats.get(name).bytes(WeightShape(8, 8, 3, 3), nonzeros) == expected


@given(shape=shapes, name=st.sampled_from(list(formats)), bits=st.sampled_from([32, 16, 8]))
def test_a_format_is_smaller_than_dense_exactly_above_its_break_even(
    shape: WeightShape, name: str, bits: int
) -> None:
    found = formats.get(name)
    least = break_even(name, shape, bits)
    dense = formats.get("dense").bytes(shape, shape.elements, bits)
    for nonzeros in {0, shape.elements // 10, shape.elements // 3, shape.elements // 2}:
        sparsity = 1 - nonzeros / shape.elements
        smaller = found.bytes(shape, nonzeros, bits) <= dense
        if least is None or sparsity < least - 8 / (bits * shape.elements) - 1e-9:
            assert name == "dense" or not found.bytes(shape, nonzeros, bits) < dense
        elif sparsity > least:
            assert smaller


@given(shape=shapes, name=st.sampled_from(list(formats)))
def test_more_zeros_never_take_more_bytes(shape: WeightShape, name: str) -> None:
    found = formats.get(name)
    half = shape.elements // 2
    assert found.bytes(shape, 0) <= found.bytes(shape, half // 2) <= found.bytes(shape, half)


def test_a_tensor_is_seen_as_filters_depth_and_kernel() -> None:
    assert WeightShape.of((64, 32, 3, 5)) == WeightShape(64, 32, 3, 5)
    assert WeightShape.of((10, 20)) == WeightShape(10, 20)
    assert WeightShape.of((7,)) == WeightShape(1, 7)


def test_bad_requests_are_refused() -> None:
    with pytest.raises(CompressionError, match="Did you mean 'csr'"):
        formats.get("crs")
    with pytest.raises(CompressionError, match="577 nonzeros do not fit in 576"):
        formats.get("csr").bytes(WeightShape(8, 8, 3, 3), 577)
    with pytest.raises(CompressionError, match=r"0\.5 or more are zero"):
        formats.get("2:4").bytes(WeightShape(8, 8, 3, 3), 289)
