"""The sparse kernels in TVMScript, for sizes that are known when the code is made."""
# TVMScript is a language of its own in Python's syntax: it is parsed as text, and its annotations are no types.
# pyright: basic, reportInvalidTypeForm=false, reportAttributeAccessIssue=false, reportIndexIssue=false
# ruff: noqa: ANN202

from __future__ import annotations

from typing import Any

# Keeps a kernel from being fused with its neighbours: theirs are made from tensor expressions, whose sizes are of
# another integer type, and TVM does not join the two.
_OPAQUE = 8


def sparse_gemm(
    batch: int, groups: int, block: int, blocks: int, depth: int, size: int, lanes: int
) -> Any:
    """Return a kernel: sparse [groups × block, depth] times dense [batch, depth, size].

    Args:
        batch: Images.
        groups: Rows of blocks.
        block: Filters in a block.
        blocks: Stored blocks.
        depth: Rows of the dense matrix.
        size: Columns of the dense matrix, a multiple of lanes.
        lanes: Columns computed together, in registers.
    """
    from tvm.script import tirx as T  # noqa: N812

    @T.prim_func(private=True, s_tir=True)
    def kernel(
        values: T.Buffer((blocks, block), "float32"),
        index: T.Buffer((blocks,), "int32"),
        start: T.Buffer((groups + 1,), "int32"),
        patches: T.Buffer((batch, depth, size), "float32"),
        result: T.Buffer((batch, groups, block, size), "float32"),
    ):
        T.func_attr({"tirx.noalias": True, "op_pattern": _OPAQUE})
        for ng in T.parallel(batch * groups):
            total = T.alloc_buffer((block, lanes), "float32", scope="local")
            for tile in range(size // lanes):
                for b in T.unroll(block):
                    for v in T.vectorized(lanes):
                        total[b, v] = T.float32(0)
                for e in T.serial(start[ng % groups + 1] - start[ng % groups]):
                    for b in T.unroll(block):
                        for v in T.vectorized(lanes):
                            total[b, v] = (
                                total[b, v]
                                + values[start[ng % groups] + e, b]
                                * patches[
                                    ng // groups, index[start[ng % groups] + e], tile * lanes + v
                                ]
                            )
                for b in T.unroll(block):
                    for v in T.vectorized(lanes):
                        result[ng // groups, ng % groups, b, tile * lanes + v] = total[b, v]

    return kernel


def sparse_direct(
    batch: int, groups: int, block: int, blocks: int, area: int, rows: int, columns: int, down: int,
    right: int, lanes: int,
) -> Any:  # fmt: skip
    """Return a kernel that convolves padded images; an entry's index is its offset from the window's origin.

    Args:
        batch: Images.
        groups: Rows of blocks.
        block: Filters in a block.
        blocks: Stored blocks.
        area: Elements of one padded image, all channels.
        rows: Rows of the output.
        columns: Columns of the output, a multiple of lanes.
        down: Elements from one output row's window to the next one's.
        right: Elements from one output column's window to the next one's.
        lanes: Columns computed together, in registers.
    """
    from tvm.script import tirx as T  # noqa: N812

    @T.prim_func(private=True, s_tir=True)
    def kernel(
        values: T.Buffer((blocks, block), "float32"),
        index: T.Buffer((blocks,), "int32"),
        start: T.Buffer((groups + 1,), "int32"),
        image: T.Buffer((batch, area), "float32"),
        result: T.Buffer((batch, groups, block, rows * columns), "float32"),
    ):
        T.func_attr({"tirx.noalias": True, "op_pattern": _OPAQUE})
        for ng in T.parallel(batch * groups):
            total = T.alloc_buffer((block, lanes), "float32", scope="local")
            for y, tile in T.grid(rows, columns // lanes):
                for b in T.unroll(block):
                    for v in T.vectorized(lanes):
                        total[b, v] = T.float32(0)
                for e in T.serial(start[ng % groups + 1] - start[ng % groups]):
                    for b in T.unroll(block):
                        for v in T.vectorized(lanes):
                            total[b, v] = (
                                total[b, v]
                                + values[start[ng % groups] + e, b]
                                * image[
                                    ng // groups,
                                    index[start[ng % groups] + e]
                                    + y * down
                                    + (tile * lanes + v) * right,
                                ]
                            )
                for b in T.unroll(block):
                    for v in T.vectorized(lanes):
                        result[ng // groups, ng % groups, b, y * columns + tile * lanes + v] = (
                            total[b, v]
                        )

    return kernel


def sparse_linear(rows: int, depth: int, outputs: int, blocks: int) -> Any:
    """Return a kernel: dense [rows, depth] times sparse [depth, outputs], stored by output."""
    from tvm.script import tirx as T  # noqa: N812

    @T.prim_func(private=True, s_tir=True)
    def kernel(
        values: T.Buffer((blocks, 1), "float32"),
        index: T.Buffer((blocks,), "int32"),
        start: T.Buffer((outputs + 1,), "int32"),
        inputs: T.Buffer((rows, depth), "float32"),
        result: T.Buffer((rows, outputs), "float32"),
    ):
        T.func_attr({"tirx.noalias": True, "op_pattern": _OPAQUE})
        for o in T.parallel(outputs):
            for n in range(rows):
                result[n, o] = T.float32(0)
                for e in T.serial(start[o + 1] - start[o]):
                    result[n, o] = (
                        result[n, o] + values[start[o] + e, 0] * inputs[n, index[start[o] + e]]
                    )

    return kernel
