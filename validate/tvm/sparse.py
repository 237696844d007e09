"""Weight-pruned convolutions and linear layers for TVM: kernels that store and multiply only what is not zero.

Two storage formats, compressed sparse rows (CSR) and blocks of rows (BSR), and two ways to convolve: as a matrix
product with unrolled patches (``gemm``), and ``direct``, where an entry's index is its offset in the padded input, so
that no patch is ever copied. TVM has no sparse operators for Relax; these are written in TVMScript.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from roofline.errors import MeasurementError, check_known
from roofline.node import Array
from roofline.validate.tvm.algorithms import im2col
from roofline.validate.tvm.calls import (
    Bound,
    constant,
    operator_name,
    permutation,
    replace_counted,
)
from roofline.validate.tvm.convolution import Convolution, conv2d_numbers, pad
from roofline.validate.tvm.sparse_kernels import sparse_direct, sparse_gemm, sparse_linear

DENSEST = 0.5
"""Share of non-zeros above which a layer stays dense: CSR then takes more memory than it saves (4-byte indices)."""

# Lanes of one vector register (fp32, AVX-512), and the most accumulators of one row that stay in registers.
_VECTOR = 16
_WIDEST = 64
# Filters that share one index: as many as registers hold beside the inputs.
_BLOCK_ROWS = 8


@dataclass(frozen=True, slots=True)
class SparseForm:
    """A storage format and a way to convolve with it."""

    name: str
    block_rows: int
    """Filters that share an index; 1 is CSR."""
    direct: bool
    """Whether indices are offsets in the padded input, instead of rows of unrolled patches."""


FORMS: Mapping[str, SparseForm] = MappingProxyType(
    {
        form.name: form
        for form in (
            SparseForm("csr_gemm", 1, direct=False),
            SparseForm("csr_direct", 1, direct=True),
            SparseForm("bsr_gemm", _BLOCK_ROWS, direct=False),
            SparseForm("bsr_direct", _BLOCK_ROWS, direct=True),
        )
    }
)
"""Every sparse form by name."""


@dataclass(frozen=True, slots=True)
class BlockSparseMatrix:
    """A matrix of which only blocks with a non-zero are stored."""

    data: Array
    """Values, shape [blocks, block_rows]."""
    index: Array
    """Column of each block, int32."""
    start: Array
    """First block of each row of blocks, and the end of the last, int32."""

    @property
    def bytes(self) -> int:
        """Bytes of values, indices and row starts."""
        return self.data.nbytes + self.index.nbytes + self.start.nbytes


def sparse_form(name: str) -> SparseForm:
    """Return the sparse form of that name.

    Raises:
        MeasurementError: No form has that name.
    """
    return FORMS[check_known(name, FORMS, f"unknown sparse form {name!r}", error=MeasurementError)]


def compress(matrix: Array, block_rows: int) -> BlockSparseMatrix:
    """Store a matrix by blocks of ``block_rows`` × 1 in which anything is not zero.

    Args:
        matrix: Values, shape [rows, columns]; rows a multiple of block_rows.
        block_rows: Height of a block.
    """
    rows, columns = matrix.shape
    blocks = matrix.reshape(rows // block_rows, block_rows, columns)
    held = (blocks != 0).any(axis=1)
    group, index = np.nonzero(held)
    start = np.concatenate([[0], np.cumsum(held.sum(axis=1))]).astype(np.int32)
    return BlockSparseMatrix(
        np.ascontiguousarray(blocks[group, :, index]), index.astype(np.int32), start
    )


def apply_sparse(
    module: Any, form: SparseForm, densest: float = DENSEST
) -> tuple[Any, dict[str, int]]:
    """Replace the convolutions and linear layers whose constant weights are sparse.

    Args:
        module: A Relax module before legalization, weights as constants.
        form: Storage format and way to convolve.
        densest: Largest share of non-zeros that is stored sparsely.

    Returns:
        The module, and how many layers became sparse (``sparse``) and how many stayed (``dense``).
    """

    def is_layer(call: Any) -> bool:
        return operator_name(call) in {"relax.nn.conv2d", "relax.matmul"}

    def sparse_layer(builder: Any, bound: Bound, call: Any) -> Any:
        weights = _constant(bound, call.args[1])
        if weights is None or np.count_nonzero(weights) > densest * weights.size:
            return None
        conv = conv2d_numbers(call)
        if conv is None:
            return _linear(builder, call, weights)
        return (
            _convolution(builder, call.args[0], weights, conv, form) if conv.groups == 1 else None
        )

    return replace_counted(module, is_layer, sparse_layer, ("sparse", "dense"))


def _constant(bound: Bound, expression: Any) -> Array | None:
    """Return weights, which may pass through a transpose on their way into a matrix product."""
    value = bound(expression)
    if operator_name(value) != "relax.permute_dims":
        return constant(value)
    inner = _constant(bound, value.args[0])
    return None if inner is None else inner.transpose(permutation(value))


def _convolution(
    builder: Any, data: Any, weights: Array, conv: Convolution, form: SparseForm
) -> Any:
    relax: Any = importlib.import_module("tvm.relax")

    if conv.dtype != "float32" or conv.filters % form.block_rows:
        return None
    matrix = weights.reshape(conv.filters, -1)
    stored = compress(matrix, form.block_rows)
    if stored.index.size == 0:
        return None
    oh, ow = conv.output
    groups = conv.filters // form.block_rows
    if form.direct:
        framed = _frame(builder, data, conv) if any(conv.padding) else data
        height, width = _frame_size(conv)
        source = builder.emit(
            relax.op.reshape(builder.emit(framed), (conv.batch, conv.channels * height * width))
        )
        function = sparse_direct(
            conv.batch, groups, form.block_rows, stored.index.size, conv.channels * height * width, oh, ow,
            conv.strides[0] * width, conv.strides[1], vector_lanes(ow),
        )  # fmt: skip
        index = _offsets(stored.index, conv)
    else:
        source = builder.emit(im2col(builder, data, conv))
        depth = conv.channels * conv.kernel[0] * conv.kernel[1]
        function = sparse_gemm(
            conv.batch,
            groups,
            form.block_rows,
            stored.index.size,
            depth,
            oh * ow,
            vector_lanes(oh * ow),
        )
        index = stored.index
    variable = builder.add_func(function, "sparse_conv2d")
    arguments = [relax.const(stored.data), relax.const(index), relax.const(stored.start), source]
    shape = (conv.batch, groups, form.block_rows, oh * ow)
    product = builder.emit(
        relax.call_tir(variable, arguments, relax.TensorType(shape, conv.dtype))
    )
    return relax.op.reshape(product, (conv.batch, conv.filters, oh, ow))


def _offsets(index: Array, conv: Convolution) -> Array:
    """Return each column's offset in one padded image, from its channel, row and column in the kernel."""
    kh, kw = conv.kernel
    height, width = _frame_size(conv)
    channel, row, column = index // (kh * kw), index // kw % kh, index % kw
    offset = channel * height * width + row * conv.dilation[0] * width + column * conv.dilation[1]
    return offset.astype(np.int32)


def _frame(builder: Any, data: Any, conv: Convolution) -> Any:
    def frame(inputs: Any) -> Any:
        return pad(inputs, conv)

    return builder.call_te(frame, data, primfunc_name_hint="frame")


def _frame_size(conv: Convolution) -> tuple[int, int]:
    top, left, bottom, right = conv.padding
    return conv.height + top + bottom, conv.width + left + right


def vector_lanes(size: int) -> int:
    """Return the divisor of a size that fills vectors best: no remainder loop, few idle lanes."""
    divisors = [lanes for lanes in range(1, _WIDEST + 1) if size % lanes == 0]
    return max(divisors, key=lambda lanes: (lanes / (-(-lanes // _VECTOR) * _VECTOR), lanes))


def _linear(builder: Any, call: Any, weights: Array) -> Any:
    """Multiply rows of inputs with a sparse [inputs, outputs] matrix, stored by output."""
    relax: Any = importlib.import_module("tvm.relax")

    shape = [int(size) for size in call.args[0].ty.shape]
    if weights.ndim != 2 or len(shape) != 2 or str(call.args[0].ty.dtype) != "float32":
        return None
    stored = compress(np.ascontiguousarray(weights.T), 1)
    if stored.index.size == 0:
        return None
    (rows, depth), outputs, blocks = shape, weights.shape[1], stored.index.size

    kernel = sparse_linear(rows, depth, outputs, blocks)
    variable = builder.add_func(kernel, "sparse_linear")
    arguments = [relax.const(part) for part in (stored.data, stored.index, stored.start)]
    return relax.call_tir(
        variable, [*arguments, call.args[0]], relax.TensorType((rows, outputs), "float32")
    )
