"""Bytes that pruned weights take in each sparse format.

A weight tensor is seen as filters x depth x kernel, so that 3x3 kernels and matrix rows can be told apart. Indices take
32 bits, as in every CSR library, unless said otherwise. Formats whose size depends on where the zeros are (blocks,
channels) are given in their best case: whole blocks or channels are zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from roofline.errors import CompressionError
from roofline.number_format import plural
from roofline.precision import Bits as Width
from roofline.registry import Registry


@dataclass(frozen=True, slots=True)
class WeightShape:
    """A weight tensor as filters x depth x kernel rows x kernel columns."""

    filters: int
    depth: int
    rows: int = 1
    columns: int = 1

    @classmethod
    def of(cls, dims: Sequence[int]) -> WeightShape:
        """Return the view of a weight tensor's dimensions: [filters, depth, kernel...]; a vector is one row.

        Example:
            >>> WeightShape.of((64, 32, 3, 3))
            WeightShape(filters=64, depth=32, rows=3, columns=3)
        """
        if len(dims) < 2:
            return cls(1, math.prod(dims))
        kernel = dims[2:]
        columns = kernel[-1] if kernel else 1
        return cls(dims[0], dims[1], math.prod(kernel[:-1]), columns)

    @property
    def kernels(self) -> int:
        """How many kernels there are."""
        return self.filters * self.depth

    @property
    def elements(self) -> int:
        """How many weights there are."""
        return self.kernels * self.rows * self.columns


Bits = Callable[[WeightShape, Fraction, Width, int], Fraction]
"""Bits of a tensor, from its shape, nonzeros, bits of a value, bits of an index."""


@dataclass(frozen=True, slots=True)
class SparseFormat:
    """A way to store weights that are partly zero."""

    name: str
    title: str
    bits: Bits
    least: float = 0.0
    """The smallest sparsity it can hold."""

    def bytes(
        self, shape: WeightShape, nonzeros: int, value_bits: Width = 32, index_bits: int = 32
    ) -> int:
        """Return the bytes a tensor takes, packed.

        Example:
            >>> formats.get("csr-kernel").bytes(WeightShape(1, 1, 3, 3), 2)
            32
        """
        if not 0 <= nonzeros <= shape.elements:
            raise CompressionError(
                f"{plural(nonzeros, 'nonzero does', 'nonzeros do')} not fit in {plural(shape.elements, 'weight')}"
            )
        if nonzeros > math.ceil(shape.elements * (1 - self.least)):
            raise CompressionError(
                f"the format {self.name} holds weights of which {self.least:g} or more are zero",
                repair="Raise the sparsity or choose another format",
            )
        return math.ceil(self.bits(shape, Fraction(nonzeros), value_bits, index_bits) / 8)


formats: Registry[SparseFormat] = Registry(
    "sparse format", "roofline.compress", "roofline.sparse_formats", CompressionError
)
"""Every sparse format, by the name that ``--sparse-format`` takes."""


def sparse_format(name: str, title: str, least: float = 0.0) -> Callable[[Bits], Bits]:
    """Return a decorator that registers a format by its size function."""
    return formats.register(name, wrap=lambda bits: SparseFormat(name, title, bits, least))


@sparse_format("dense", "every weight, zeros too")
def dense(shape: WeightShape, _nonzeros: Fraction, value: Width, _index: int) -> Fraction:
    """Return the bits of all elements."""
    return Fraction(shape.elements * value)


@sparse_format("coo", "coordinates: row, column and value of each nonzero")
def coo(_shape: WeightShape, nonzeros: Fraction, value: Width, index: int) -> Fraction:
    """Return three numbers a nonzero (Gibson et al. 2023: "up to three values per nonzero")."""
    return nonzeros * (value + 2 * index)


@sparse_format("csr", "compressed rows, one matrix per layer: filters x (depth x kernel)")
def csr(shape: WeightShape, nonzeros: Fraction, value: Width, index: int) -> Fraction:
    """Return value and column of each nonzero, and a pointer to each row and past the last."""
    return nonzeros * (value + index) + (shape.filters + 1) * index


@sparse_format("csr-kernel", "compressed rows, one matrix per kernel")
def csr_kernel(shape: WeightShape, nonzeros: Fraction, value: Width, index: int) -> Fraction:
    """Return value and column of each nonzero, and row pointers of every kernel (Turner et al. 2018)."""
    return nonzeros * (value + index) + Fraction(shape.kernels * (shape.rows + 1) * index)


_BLOCK = 4


@sparse_format("bsr", "compressed rows of 4x4 blocks of the layer's matrix")
def bsr(shape: WeightShape, nonzeros: Fraction, value: Width, index: int) -> Fraction:
    """Return whole blocks and the column of each, and a pointer to each block row; zeros fill whole blocks."""
    blocks = nonzeros / (_BLOCK * _BLOCK)
    pointers = -(-shape.filters // _BLOCK) + 1
    return blocks * (_BLOCK * _BLOCK * value + index) + pointers * index


@sparse_format("bitmap", "one bit per weight, and the nonzeros")
def bitmap(shape: WeightShape, nonzeros: Fraction, value: Width, _index: int) -> Fraction:
    """Return a bit for each element and the nonzero values."""
    return shape.elements + nonzeros * value


@sparse_format("2:4", "two of every four weights, with a two-bit position each", least=0.5)
def two_of_four(shape: WeightShape, _nonzeros: Fraction, value: Width, _index: int) -> Fraction:
    """Return half the values and their positions, whatever zeros lie among them."""
    return Fraction(shape.elements, 2) * (value + 2)


@sparse_format("channel-list", "the filters that are not zero, and the index of each")
def channel_list(shape: WeightShape, nonzeros: Fraction, value: Width, index: int) -> Fraction:
    """Return whole filters and one index for each; zeros fill whole filters."""
    filters = nonzeros / (shape.depth * shape.rows * shape.columns)
    return nonzeros * value + filters * index
