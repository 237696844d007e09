"""Convolution algorithms for TVM: direct, GEMM, spatial pack and Winograd, chosen when Relax is legalized.

The algorithms are those that DLAS (Gibson et al. 2023, Section 4) varies, and Winograd. Each returns a Relax
expression, so that what is constant in it (a packed or transformed kernel) is folded before code is made. Copies
that an algorithm is known by (the panels of GEMM, the packed input of spatial pack) are functions of their own: inlined
into the convolution they would turn every algorithm back into the direct one. The products of GEMM and of spatial pack
are kernels on blocks, whose tiles are sought.
"""

# The lambdas of tensor expressions take index variables, which have no type at all.
# pyright: reportUnknownLambdaType=false

from __future__ import annotations

import functools
import importlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from roofline.errors import MeasurementError, check_known
from roofline.validate.tvm.blocked import kernels as blocks
from roofline.validate.tvm.calls import Bound, replace_calls
from roofline.validate.tvm.convolution import Convolution, conv2d_numbers, pad
from roofline.validate.tvm.setup import lanes

# Vectors that the positions of an image must fill for its patches to be the panels; weights are below.
_ENOUGH = 2

# Output tile of Winograd F(4x4, 3x3): fewer multiplications than F(2x2) at a rounding error that fp32 stands.
_TILE = 4


Emit = Callable[[Any, Any, Any, Convolution], Any]
"""Builds a convolution from a block builder, the input, the kernel and the numbers."""


def im2col(builder: Any, data: Any, conv: Convolution) -> Any:
    """Return the patches of the input as a matrix, shape [batch, channels × kernel, output positions]."""
    relax: Any = importlib.import_module("tvm.relax")
    te: Any = importlib.import_module("tvm.te")

    oh, ow = conv.output
    if conv.kernel == (1, 1) and conv.strides == (1, 1) and not any(conv.padding):
        return relax.op.reshape(data, (conv.batch, conv.depth, oh * ow))

    def patches(inputs: Any) -> Any:
        element = _patch(pad(inputs, conv), conv)
        return te.compute((conv.batch, conv.depth, oh * ow), element, name="patches")

    return builder.call_te(patches, data, primfunc_name_hint="im2col")


def _patch(framed: Any, conv: Convolution) -> Callable[[Any, Any, Any], Any]:
    """Return what gives element k of the patch at position p of image n, from the framed image."""
    (kh, kw), (sh, sw), (dh, dw) = conv.kernel, conv.strides, conv.dilation
    ow = conv.output[1]

    def element(n: Any, k: Any, p: Any) -> Any:
        row, column = (p // ow) * sh + k // kw % kh * dh, p % ow * sw + k % kw * dw
        return framed[n, k // (kh * kw), row, column]

    return element


def _gemm(builder: Any, data: Any, kernel: Any, conv: Convolution) -> Any:
    """Unroll the patches (im2col), then one matrix product whose right side is packed in panels of one vector."""
    positions = conv.output[0] * conv.output[1] * conv.batch
    width = _lanes()
    # A vector holds positions where there are enough of them: the panels are then written as they are read.
    if positions >= _ENOUGH * width:
        return _image_panels(builder, data, kernel, conv, width)
    return _weight_panels(builder, data, kernel, conv, width)


def _image_panels(builder: Any, data: Any, kernel: Any, conv: Convolution, width: int) -> Any:
    """Multiply [filters, depth] weights with patches in panels of positions."""
    relax: Any = importlib.import_module("tvm.relax")
    te: Any = importlib.import_module("tvm.te")
    depth, (oh, ow) = conv.depth, conv.output
    size = oh * ow

    def panels(image: Any) -> Any:
        element = _patch(pad(image, conv), conv)

        def pack(outer: Any, k: Any, lane: Any) -> Any:
            place = outer * width + lane
            value = element(place // size, k, place % size)
            return _value_within(place, conv.batch * size, width, value, conv.dtype)

        shape = (blocks.blocks(conv.batch * size, width), depth, width)
        return te.compute(shape, pack, name="panels")

    matrix = builder.emit(relax.op.reshape(kernel, (conv.filters, depth)))
    packed = builder.emit(builder.call_te(panels, data, primfunc_name_hint="im2col"))
    product = builder.emit(
        builder.call_te(blocks.matrix_product(conv.sums), matrix, packed, primfunc_name_hint="conv2d_gemm")
    )  # fmt: skip
    if conv.batch == 1 and size % width == 0:
        return relax.op.reshape(product, (1, conv.filters, oh, ow))

    def unpack(rows: Any) -> Any:
        return te.compute(
            (conv.batch, conv.filters, oh, ow),
            lambda n, f, y, x: rows[f, n * size + y * ow + x],
            name="unpacked",
        )

    return builder.call_te(unpack, product, primfunc_name_hint="unpack")


def _weight_panels(builder: Any, data: Any, kernel: Any, conv: Convolution, width: int) -> Any:
    """Multiply [positions, depth] patches with weights in panels of filters."""
    te: Any = importlib.import_module("tvm.te")
    depth, (oh, ow) = conv.depth, conv.output
    kh, kw = conv.kernel
    size = oh * ow

    def patches(image: Any) -> Any:
        element = _patch(pad(image, conv), conv)
        return te.compute(
            (conv.batch * size, depth),
            lambda p, k: element(p // size, k, p % size),
            name="patches",
        )

    def panels(weights: Any) -> Any:
        def pack(outer: Any, k: Any, lane: Any) -> Any:
            place = outer * width + lane
            value = weights[place, k // (kh * kw), k // kw % kh, k % kw]
            return _value_within(place, conv.filters, width, value, str(weights.dtype))

        shape = (blocks.blocks(conv.filters, width), depth, width)
        return te.compute(shape, pack, name="panels")

    def unpack(rows: Any) -> Any:
        return te.compute(
            (conv.batch, conv.filters, oh, ow),
            lambda n, f, y, x: rows[n * size + y * ow + x, f],
            name="unpacked",
        )

    rows = builder.emit(builder.call_te(patches, data, primfunc_name_hint="im2col"))
    packed = builder.emit(builder.call_te(panels, kernel, primfunc_name_hint="weight_panels"))
    product = builder.emit(
        builder.call_te(blocks.matrix_product(conv.sums), rows, packed, primfunc_name_hint="conv2d_gemm")
    )  # fmt: skip
    return builder.call_te(unpack, product, primfunc_name_hint="unpack")


def _spatial_pack(builder: Any, data: Any, kernel: Any, conv: Convolution) -> Any:
    """Pack channels into blocks that fill a vector, convolve block by block, unpack: layer by layer."""
    te: Any = importlib.import_module("tvm.te")
    width = _lanes()
    inner = blocks.depth_block(conv.channels, width)
    kh, kw = conv.kernel

    def packed_weights(weights: Any) -> Any:
        def pack(f: Any, c: Any, ky: Any, kx: Any, i: Any, b: Any) -> Any:
            value = weights[f * width + b, c * inner + i, ky, kx]
            dtype = str(weights.dtype)
            value = _value_within(c * inner + i, conv.channels, inner, value, dtype)
            return _value_within(f * width + b, conv.filters, width, value, dtype)

        outer = blocks.blocks(conv.filters, width), blocks.blocks(conv.channels, inner)
        return te.compute((*outer, kh, kw, inner, width), pack, name="packed_weights")

    weights = builder.emit(
        builder.call_te(packed_weights, kernel, primfunc_name_hint="pack_weights")
    )
    image = builder.emit(
        builder.call_te(blocks.pack(conv.channels, width), data, primfunc_name_hint="pack")
    )
    product = builder.emit(
        builder.call_te(
            blocks.convolution(conv), image, weights, primfunc_name_hint="conv2d_spatial_pack"
        )
    )
    return builder.call_te(blocks.unpack(conv.filters), product, primfunc_name_hint="unpack")


def _lanes() -> int:
    tvm: Any = importlib.import_module("tvm")
    return lanes(tvm.target.Target.current())


def _value_within(place: Any, size: int, step: int, value: Any, dtype: str) -> Any:
    """Return a value, or zero beyond the size where blocks of ``step`` do not fill it."""
    if size % step == 0:
        return value
    tirx: Any = importlib.import_module("tvm.tirx")
    return tirx.if_then_else(place < size, value, tirx.const(0, dtype))


def _winograd(builder: Any, data: Any, kernel: Any, conv: Convolution) -> Any:
    """Transform kernel and input tiles, multiply tile by tile, transform back (Lavin and Gray 2016)."""
    weights = builder.emit(
        builder.call_te(
            functools.partial(_winograd_weights, conv),
            kernel,
            primfunc_name_hint="winograd_weights",
        )
    )
    convolve = functools.partial(_winograd_convolution, conv)
    return builder.call_te(convolve, data, weights, primfunc_name_hint="conv2d_winograd")


def _winograd_matrices(conv: Convolution) -> tuple[Any, Any, Any]:
    """Return the matrices of the output, the input and the kernel."""
    util: Any = importlib.import_module("tvm.topi.nn.winograd_util")
    return util.winograd_transform_matrices(_TILE, conv.kernel[0], conv.dtype)


def _winograd_weights(conv: Convolution, weights: Any) -> Any:
    """Return filters of the size of an input tile, its places first."""
    te: Any = importlib.import_module("tvm.te")
    _, _, g = _winograd_matrices(conv)
    size = _TILE + conv.kernel[0] - 1
    ky = te.reduce_axis((0, conv.kernel[0]), name="ky")
    kx = te.reduce_axis((0, conv.kernel[1]), name="kx")
    return te.compute(
        (size, size, conv.channels, conv.filters),
        lambda y, x, c, o: te.sum(weights[o, c, ky, kx] * g[y, ky] * g[x, kx], axis=[ky, kx]),
        name="winograd_weights",
    )


def _winograd_convolution(conv: Convolution, inputs: Any, weights: Any) -> Any:
    """Return the products of input tiles and transformed filters, as a convolution's output."""
    te: Any = importlib.import_module("tvm.te")
    a, _, _ = _winograd_matrices(conv)
    oh, ow = conv.output
    rows, columns = -(-oh // _TILE), -(-ow // _TILE)
    forward = _winograd_tiles(conv, inputs, rows, columns)
    size, tiles = _TILE + conv.kernel[0] - 1, conv.batch * rows * columns
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


def _winograd_tiles(conv: Convolution, inputs: Any, rows: int, columns: int) -> Any:
    """Return the transformed input: the places of a tile, channels, and the tiles of all items."""
    te: Any = importlib.import_module("tvm.te")
    topi: Any = importlib.import_module("tvm.topi")
    _, b, _ = _winograd_matrices(conv)
    size = _TILE + conv.kernel[0] - 1
    top, left, _, _ = conv.padding
    # Whole tiles: topi's own form reads past the edge where the output is no multiple of the tile.
    bottom = rows * _TILE + conv.kernel[0] - 1 - conv.height - top
    right = columns * _TILE + conv.kernel[1] - 1 - conv.width - left
    framed = topi.nn.pad(inputs, (0, 0, top, left), (0, 0, bottom, right), name="padded")

    def tile(p: Any) -> tuple[Any, Any, Any]:
        return p // (rows * columns), p // columns % rows * _TILE, p % columns * _TILE

    ty = te.reduce_axis((0, size), name="ty")
    tx = te.reduce_axis((0, size), name="tx")
    return te.compute(
        (size, size, conv.channels, conv.batch * rows * columns),
        lambda y, x, c, p: te.sum(
            framed[tile(p)[0], c, tile(p)[1] + ty, tile(p)[2] + tx] * b[ty, y] * b[tx, x],
            axis=[ty, tx],
        ),
        name="winograd_input",
    )


def _is_dense(conv: Convolution) -> bool:
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
            Algorithm("gemm", _gemm, _is_dense),
            Algorithm("spatial_pack", _spatial_pack, _is_dense),
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
    unknown = f"unknown convolution algorithm {name!r}"
    return ALGORITHMS[check_known(name, ALGORITHMS, unknown, error=MeasurementError)]


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
    used: Counter[str] = Counter()

    def replace(builder: Any, _: Bound, call: Any) -> Any:
        conv = conv2d_numbers(call)
        if conv is None:
            return None
        picked = algorithm(choose(conv))
        if picked.emit is None or not picked.applies(conv):
            used["direct"] += 1
            return None
        used[picked.name] += 1
        return picked.emit(builder, call.args[0], call.args[1], conv)

    with target:
        return replace_calls(module, replace), dict(used)
