"""Convolution algorithms for TVM: direct, GEMM, spatial pack and Winograd, chosen when Relax is legalized.

The algorithms are those that DLAS (Gibson et al. 2023, Section 4) varies, and Winograd. Each returns a Relax
expression, so that what is constant in it (a reshaped or transformed kernel) is folded before code is made. Copies
that an algorithm is known by (the unrolled patches of GEMM, the packed input of spatial pack) are functions of their
own: inlined into the convolution they would turn every algorithm back into the direct one.
"""

# The lambdas of tensor expressions take index variables, which have no type at all.
# pyright: reportUnknownLambdaType=false

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from roofline.errors import MeasurementError, did_you_mean

# Channels of one packed block: the widest vector of fp32 in use (AVX-512); narrower machines use two or four.
_BLOCK = 16

# Output tile of Winograd F(4x4, 3x3): fewer multiplications than F(2x2) at a rounding error that fp32 stands.
_TILE = 4


@dataclass(frozen=True, slots=True)
class Convolution:
    """The numbers of one 2-D convolution in NCHW layout."""

    batch: int
    channels: int
    height: int
    width: int
    filters: int
    kernel: tuple[int, int]
    strides: tuple[int, int]
    padding: tuple[int, int, int, int]
    """Top, left, bottom, right."""
    dilation: tuple[int, int]
    groups: int
    dtype: str
    """Datatype of the input."""
    sums: str
    """Datatype of the products and their sums: ``int32`` for 8-bit integers."""

    @property
    def output(self) -> tuple[int, int]:
        """Height and width of the result."""
        top, left, bottom, right = self.padding
        reach = [
            (size - 1) * step + 1 for size, step in zip(self.kernel, self.dilation, strict=True)
        ]
        return (
            (self.height + top + bottom - reach[0]) // self.strides[0] + 1,
            (self.width + left + right - reach[1]) // self.strides[1] + 1,
        )


Emit = Callable[[Any, Any, Any, Convolution], Any]
"""Builds a convolution from a block builder, the input, the kernel and the numbers."""


def _divisor(size: int, most: int) -> int:
    return next(block for block in range(min(size, most), 0, -1) if size % block == 0)


def padded(data: Any, conv: Convolution) -> Any:
    """Return the input tensor expression with its frame of zeros."""
    topi: Any = importlib.import_module("tvm.topi")

    top, left, bottom, right = conv.padding
    if not any(conv.padding):
        return data
    return topi.nn.pad(data, (0, 0, top, left), (0, 0, bottom, right), name="padded")


def im2col(builder: Any, data: Any, conv: Convolution) -> Any:
    """Return the patches of the input as a matrix, shape [batch, channels × kernel, output positions]."""
    relax: Any = importlib.import_module("tvm.relax")
    te: Any = importlib.import_module("tvm.te")

    (kh, kw), (sh, sw), (dh, dw) = conv.kernel, conv.strides, conv.dilation
    oh, ow = conv.output
    depth = conv.channels * kh * kw
    if conv.kernel == (1, 1) and conv.strides == (1, 1) and not any(conv.padding):
        return relax.op.reshape(data, (conv.batch, depth, oh * ow))

    def patches(inputs: Any) -> Any:
        framed = padded(inputs, conv)
        return te.compute(
            (conv.batch, depth, oh * ow),
            lambda n, k, p: framed[
                n,
                k // (kh * kw),
                (p // ow) * sh + (k // kw) % kh * dh,
                (p % ow) * sw + k % kw * dw,
            ],
            name="patches",
        )

    return builder.call_te(patches, data, primfunc_name_hint="im2col")


def _gemm(builder: Any, data: Any, kernel: Any, conv: Convolution) -> Any:
    """Unroll the patches into a matrix, then one matrix product (im2col)."""
    relax: Any = importlib.import_module("tvm.relax")
    te: Any = importlib.import_module("tvm.te")
    columns = builder.emit(im2col(builder, data, conv))
    depth = conv.channels * conv.kernel[0] * conv.kernel[1]
    size = conv.output[0] * conv.output[1]
    matrix = relax.op.reshape(kernel, (conv.filters, depth))

    def multiply(weights: Any, patches: Any) -> Any:
        k = te.reduce_axis((0, depth), name="k")
        return te.compute(
            (conv.batch, conv.filters, size),
            lambda n, f, p: te.sum(
                weights[f, k].astype(conv.sums) * patches[n, k, p].astype(conv.sums), axis=k
            ),
            name="matmul",
        )

    product = builder.emit(
        builder.call_te(multiply, builder.emit(matrix), columns, primfunc_name_hint="conv2d_gemm")
    )
    return relax.op.reshape(product, (conv.batch, conv.filters, *conv.output))


def _spatial_pack(builder: Any, data: Any, kernel: Any, conv: Convolution) -> Any:
    """Pack channels into blocks that fill a vector, convolve block by block, unpack."""
    relax: Any = importlib.import_module("tvm.relax")
    te: Any = importlib.import_module("tvm.te")
    topi: Any = importlib.import_module("tvm.topi")

    (kh, kw), (sh, sw), (dh, dw) = conv.kernel, conv.strides, conv.dilation
    oh, ow = conv.output
    inner, outer = _divisor(conv.channels, _BLOCK), _divisor(conv.filters, _BLOCK)

    def pack(inputs: Any) -> Any:
        return te.compute(
            (conv.batch, conv.channels // inner, conv.height, conv.width, inner),
            lambda n, c, y, x, i: inputs[n, c * inner + i, y, x],
            name="packed",
        )

    def convolve(packed: Any, weights: Any) -> Any:
        top, left, bottom, right = conv.padding
        framed = (
            topi.nn.pad(packed, (0, 0, top, left, 0), (0, 0, bottom, right, 0), name="padded")
            if any(conv.padding)
            else packed
        )
        c = te.reduce_axis((0, conv.channels // inner), name="c")
        i = te.reduce_axis((0, inner), name="i")
        ky = te.reduce_axis((0, kh), name="ky")
        kx = te.reduce_axis((0, kw), name="kx")
        return te.compute(
            (conv.batch, conv.filters // outer, oh, ow, outer),
            lambda n, o, y, x, b: te.sum(
                framed[n, c, y * sh + ky * dh, x * sw + kx * dw, i].astype(conv.sums)
                * weights[o, c, ky, kx, i, b].astype(conv.sums),
                axis=[c, ky, kx, i],
            ),
            name="conv2d_spatial_pack",
        )

    def unpack(blocks: Any) -> Any:
        return te.compute(
            (conv.batch, conv.filters, oh, ow),
            lambda n, f, y, x: blocks[n, f // outer, y, x, f % outer],
            name="unpacked",
        )

    split = relax.op.reshape(
        kernel, (conv.filters // outer, outer, conv.channels // inner, inner, kh, kw)
    )
    weights = relax.op.permute_dims(split, [0, 2, 4, 5, 3, 1])
    packed = builder.emit(builder.call_te(pack, data, primfunc_name_hint="pack"))
    blocks = builder.emit(
        builder.call_te(
            convolve, packed, builder.emit(weights), primfunc_name_hint="conv2d_spatial_pack"
        )
    )
    return builder.call_te(unpack, blocks, primfunc_name_hint="unpack")


def _winograd(builder: Any, data: Any, kernel: Any, conv: Convolution) -> Any:
    """Transform kernel and input tiles, multiply tile by tile, transform back (Lavin and Gray 2016)."""
    te: Any = importlib.import_module("tvm.te")
    topi: Any = importlib.import_module("tvm.topi")
    matrices: Any = importlib.import_module(
        "tvm.topi.nn.winograd_util"
    ).winograd_transform_matrices

    size = _TILE + conv.kernel[0] - 1
    oh, ow = conv.output
    rows, columns = -(-oh // _TILE), -(-ow // _TILE)
    tiles = conv.batch * rows * columns

    def transform(weights: Any) -> Any:
        _, _, g = matrices(_TILE, conv.kernel[0], conv.dtype)
        ky = te.reduce_axis((0, conv.kernel[0]), name="ky")
        kx = te.reduce_axis((0, conv.kernel[1]), name="kx")
        return te.compute(
            (size, size, conv.channels, conv.filters),
            lambda y, x, c, o: te.sum(weights[o, c, ky, kx] * g[y, ky] * g[x, kx], axis=[ky, kx]),
            name="winograd_weights",
        )

    def convolve(inputs: Any, weights: Any) -> Any:
        a, b, _ = matrices(_TILE, conv.kernel[0], conv.dtype)
        top, left, _, _ = conv.padding
        # Whole tiles: topi's own form reads past the edge where the output is no multiple of the tile.
        bottom = rows * _TILE + conv.kernel[0] - 1 - conv.height - top
        right = columns * _TILE + conv.kernel[1] - 1 - conv.width - left
        framed = topi.nn.pad(inputs, (0, 0, top, left), (0, 0, bottom, right), name="padded")

        def tile(p: Any) -> tuple[Any, Any, Any]:
            return p // (rows * columns), p // columns % rows * _TILE, p % columns * _TILE

        ty = te.reduce_axis((0, size), name="ty")
        tx = te.reduce_axis((0, size), name="tx")
        forward = te.compute(
            (size, size, conv.channels, tiles),
            lambda y, x, c, p: te.sum(
                framed[tile(p)[0], c, tile(p)[1] + ty, tile(p)[2] + tx] * b[ty, y] * b[tx, x],
                axis=[ty, tx],
            ),
            name="winograd_input",
        )
        c = te.reduce_axis((0, conv.channels), name="c")
        product = te.compute(
            (size, size, conv.filters, tiles),
            lambda y, x, o, p: te.sum(weights[y, x, c, o] * forward[y, x, c, p], axis=c),
            name="winograd_product",
        )
        ry = te.reduce_axis((0, size), name="ry")
        rx = te.reduce_axis((0, size), name="rx")
        inverse = te.compute(
            (conv.filters, tiles, _TILE, _TILE),
            lambda o, p, y, x: te.sum(product[ry, rx, o, p] * a[ry, y] * a[rx, x], axis=[ry, rx]),
            name="winograd_inverse",
        )
        return te.compute(
            (conv.batch, conv.filters, oh, ow),
            lambda n, o, y, x: inverse[
                o, (n * rows + y // _TILE) * columns + x // _TILE, y % _TILE, x % _TILE
            ],
            name="winograd_output",
        )

    transformed = builder.emit(
        builder.call_te(transform, kernel, primfunc_name_hint="winograd_weights")
    )
    return builder.call_te(convolve, data, transformed, primfunc_name_hint="conv2d_winograd")


def _dense(conv: Convolution) -> bool:
    return conv.groups == 1


def _winograd_applies(conv: Convolution) -> bool:
    return (
        conv.groups == 1 and conv.kernel == (3, 3) and conv.strides == (1, 1) and conv.dilation == (1, 1)
        and conv.dtype == "float32"
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Algorithm:
    """A way to compute a convolution."""

    name: str
    emit: Emit | None
    """None leaves the convolution to TVM, whose own form is the direct one."""
    applies: Callable[[Convolution], bool]


ALGORITHMS: Mapping[str, Algorithm] = MappingProxyType(
    {
        entry.name: entry
        for entry in (
            Algorithm("direct", None, lambda _: True),
            Algorithm("gemm", _gemm, _dense),
            Algorithm("spatial_pack", _spatial_pack, _dense),
            Algorithm("winograd", _winograd, _winograd_applies),
        )
    }
)
"""Every algorithm by the name that ``--algorithm`` takes."""


def algorithm(name: str) -> Algorithm:
    """Return the algorithm of that name.

    Raises:
        MeasurementError: No algorithm has that name.
    """
    if name not in ALGORITHMS:
        hint = did_you_mean(name, ALGORITHMS) or f"Known: {', '.join(ALGORITHMS)}"
        raise MeasurementError(f"unknown convolution algorithm {name!r}", repair=hint)
    return ALGORITHMS[name]


def apply(
    module: Any, target: Any, choose: Callable[[Convolution], str]
) -> tuple[Any, dict[str, int]]:
    """Rewrite every 2-D convolution of a Relax module with the algorithm chosen for it.

    Args:
        module: A Relax module before legalization, convolutions in NCHW with constant shapes.
        target: The TVM target.
        choose: Returns an algorithm's name for a convolution; where that algorithm does not apply
            (grouped convolutions, Winograd off 3×3 stride 1), the direct one takes its place.

    Returns:
        The module with these convolutions legalized, and how many use each algorithm.
    """
    relax: Any = importlib.import_module("tvm.relax")

    used: dict[str, int] = {}

    @relax.expr_functor.mutator
    class Rewriter(relax.PyExprMutator):
        """Replaces the calls of ``nn.conv2d`` and leaves all others."""

        def visit_call_(self, call: Any) -> Any:
            call = self.visit_expr_post_order(call)
            conv = conv2d_numbers(call)
            if conv is None:
                return call
            picked = algorithm(choose(conv))
            if picked.emit is None or not picked.applies(conv):
                used["direct"] = used.get("direct", 0) + 1
                return call
            used[picked.name] = used.get(picked.name, 0) + 1
            return picked.emit(self.builder_, call.args[0], call.args[1], conv)

    rewriter = Rewriter(module)
    with target:
        for variable, function in module.functions_items():
            if isinstance(function, relax.Function):
                rewriter.builder_.update_func(variable, rewriter.visit_expr(function))
    return rewriter.builder_.get(), used


def conv2d_numbers(call: Any) -> Convolution | None:
    """Return the numbers of a call of ``nn.conv2d`` in NCHW, or None for any other call."""
    if getattr(call.op, "name", "") != "relax.nn.conv2d":
        return None
    attributes = call.attrs
    if attributes.data_layout != "NCHW" or attributes.kernel_layout != "OIHW":
        return None
    sizes: list[Any] = [size for argument in call.args for size in argument.ty.shape]
    if len(sizes) != 8 or not all(
        hasattr(size, "value") or isinstance(size, int) for size in sizes
    ):
        return None
    data, kernel = ([int(size) for size in part] for part in (sizes[:4], sizes[4:]))
    top, left, bottom, right = (int(size) for size in attributes.padding)
    return Convolution(
        data[0], data[1], data[2], data[3], kernel[0], (kernel[2], kernel[3]),
        (int(attributes.strides[0]), int(attributes.strides[1])), (top, left, bottom, right),
        (int(attributes.dilation[0]), int(attributes.dilation[1])), int(attributes.groups),
        str(call.args[0].ty.dtype), str(call.ty.dtype),
    )  # fmt: skip
