"""Schedules for kernels on blocks of channels: sums stay in registers, the innermost loop fills a vector.

Each kernel has a few numbers left open (`Tile`): how many filter blocks, rows and columns are summed at once, and in
which order tiles follow each other.
"""

from __future__ import annotations

import importlib
import math
from collections import Counter
from typing import Any

from roofline.validate.tvm.blocked import kernels as blocks
from roofline.validate.tvm.blocked.tiles import Kernel, Tile, divisors
from roofline.validate.tvm.calls import kernel_functions

_MAIN = frozenset(
    {blocks.CONVOLUTION, blocks.DEPTHWISE, blocks.GEMM, blocks.INTEGER_CONVOLUTION, blocks.INTEGER_GEMM}
)  # fmt: skip


def recognize(function: Any) -> Kernel | None:
    """Return what a kernel computes when it is one on blocks with open numbers, else None."""
    if not has_blocks(function):
        return None
    schedule = kernel_schedule(function)
    for block in blocks_of(schedule):
        made = schedule.get(block)
        if made.name_hint not in _MAIN:
            continue
        spatial = tuple(int(v.dom.extent) for v in made.iter_vars if int(v.iter_type) == 0)
        reduced = tuple(int(v.dom.extent) for v in made.iter_vars if int(v.iter_type) != 0)
        framed = any("pad" in schedule.get(other).name_hint for other in blocks_of(schedule))
        form = str(made.annotations[blocks.FORM])
        return Kernel(made.name_hint, spatial, reduced, form, len(function.params), framed)
    return None


def kernel_products(module: Any) -> dict[str, int]:
    """Return the multiply-accumulates of every kernel by its name: steps of its longest summing block, or 0."""
    return {
        str(variable.name_hint): _products(kernel) for variable, kernel in kernel_functions(module)
    }


def kernel_calls(module: Any) -> Counter[str]:
    """Return how often the main function calls each kernel, by its name."""
    relax: Any = importlib.import_module("tvm.relax")
    calls: Counter[str] = Counter()

    def visit(expression: Any) -> None:
        if getattr(getattr(expression, "op", None), "name", "") == "relax.call_tir":
            calls[str(expression.args[0].name_hint)] += 1

    relax.analysis.post_order_visit(module["main"], visit)
    return calls


def _products(function: Any) -> int:
    if not has_blocks(function):
        return 0
    schedule = kernel_schedule(function)
    most = 0
    for block in blocks_of(schedule):
        made = schedule.get(block)
        sums = any(int(variable.iter_type) == 2 for variable in made.iter_vars)
        # A product reads two tensors; pooling and averages read one.
        if sums and len({str(region.source.name) for region in made.reads}) > 1:
            most = max(most, math.prod(int(variable.dom.extent) for variable in made.iter_vars))
    return most


def schedule_kernel(function: Any, tile: Tile) -> Any:
    """Return a kernel on blocks with its schedule.

    Args:
        function: A fused PrimFunc that `recognize` knows.
        tile: Its open numbers.
    """
    schedule = kernel_schedule(function)
    kind, main = next(
        (schedule.get(block).name_hint, block)
        for block in blocks_of(schedule)
        if schedule.get(block).name_hint in _MAIN
    )
    frames = list(schedule.get_producers(main))
    last = _single_output(schedule, main, frames)
    {
        blocks.CONVOLUTION: _convolution,
        blocks.INTEGER_CONVOLUTION: _convolution,
        blocks.DEPTHWISE: _depthwise,
        blocks.GEMM: _gemm,
        blocks.INTEGER_GEMM: _integer_gemm,
    }[kind](schedule, main, last, frames, tile)
    return mark_scheduled(schedule, function)


def _convolution(schedule: Any, main: Any, last: Any, frames: list[Any], tile: Tile) -> None:
    n, f, y, x, b = schedule.get_loops(last)
    fo, fi = schedule.split(f, [None, tile.outer])
    yo, yi = schedule.split(y, [None, tile.rows])
    xo, xi = schedule.split(x, [None, tile.columns])
    first, second = (yo, fo) if tile.rows_first else (fo, yo)
    schedule.reorder(n, first, second, xo, fi, yi, xi, b)
    schedule.compute_at(main, xo, preserve_unit_loops=True)
    schedule.set_scope(main, 0, "local")
    integers = schedule.get(main).name_hint == blocks.INTEGER_CONVOLUTION
    loops = schedule.get_loops(main)[-10 if integers else -9 :]
    _, f2, y2, x2, b2, c, ky, kx, i, *four = loops
    schedule.reorder(c, ky, kx, i, f2, y2, x2, b2, *four)
    for loop in (f2, y2, x2):
        schedule.unroll(loop)
    if not integers:
        schedule.vectorize(b2)
    if tile.depth > 1:
        steps = math.gcd(tile.depth, int(schedule.get(i).extent))
        _, inner = schedule.split(i, [None, steps])
        schedule.unroll(inner)
    for frame in frames:
        if tile.frame_inside and tile.rows_first:
            schedule.compute_at(frame, first)
    _run_parallel(schedule, n, first, *(() if tile.frame_inside else (second,)))
    _finish(schedule, main, c, last, b2 if integers else None)
    _spread_frames(schedule, frames, tile.frame_inside and tile.rows_first)


def _depthwise(schedule: Any, main: Any, last: Any, frames: list[Any], tile: Tile) -> None:
    n, f, y, x, b = schedule.get_loops(last)
    # Rows per task: enough that the rows which two tasks frame twice are few.
    yo, ym, yi = schedule.split(
        y, [None, _band(int(schedule.get(y).extent), tile.rows), tile.rows]
    )
    xo, xi = schedule.split(x, [None, tile.columns])
    schedule.reorder(n, f, yo, ym, xo, yi, xi, b)
    schedule.compute_at(main, xo, preserve_unit_loops=True)
    schedule.set_scope(main, 0, "local")
    loops = schedule.get_loops(main)[-7:]
    _, _, y2, x2, b2, ky, kx = loops
    schedule.reorder(ky, kx, y2, x2, b2)
    for loop in (y2, x2):
        schedule.unroll(loop)
    schedule.vectorize(b2)
    if tile.depth > 1:
        schedule.unroll(kx)
    if tile.frame_inside:
        for frame in frames:
            schedule.compute_at(frame, yo)
    _run_parallel(schedule, n, f, yo)
    _finish(schedule, main, ky, last)
    _spread_frames(schedule, frames, tile.frame_inside)


def _gemm(schedule: Any, main: Any, last: Any, frames: list[Any], tile: Tile) -> None:
    m, n = schedule.get_loops(last)[-2:]
    lanes = int(str(schedule.get(main).annotations[blocks.FORM])[1:].split()[0])
    no, ni, lane = schedule.split(n, [None, tile.outer, lanes])
    mo, mi = schedule.split(m, [None, tile.rows])
    first, second = (mo, no) if tile.rows_first else (no, mo)
    schedule.reorder(first, second, mi, ni, lane)
    schedule.compute_at(main, second, preserve_unit_loops=True)
    schedule.set_scope(main, 0, "local")
    m2, n2, k = schedule.get_loops(main)[-3:]
    n3, lane2 = schedule.split(n2, [None, lanes])
    schedule.reorder(k, m2, n3, lane2)
    for loop in (m2, n3):
        schedule.unroll(loop)
    schedule.vectorize(lane2)
    if tile.depth > 1:
        steps = math.gcd(tile.depth, int(schedule.get(k).extent))
        k, inner = schedule.split(k, [None, steps])
        schedule.unroll(inner)
    _run_parallel(schedule, first, second)
    _finish(schedule, main, k, last)
    _spread_frames(schedule, frames, inside=False)


def _integer_gemm(schedule: Any, main: Any, last: Any, frames: list[Any], tile: Tile) -> None:
    m, n, b = schedule.get_loops(last)[-3:]
    no, ni = schedule.split(n, [None, tile.outer])
    mo, mi = schedule.split(m, [None, tile.rows])
    first, second = (mo, no) if tile.rows_first else (no, mo)
    schedule.reorder(first, second, mi, ni, b)
    schedule.compute_at(main, second, preserve_unit_loops=True)
    schedule.set_scope(main, 0, "local")
    m2, n2, b2, i, j = schedule.get_loops(main)[-5:]
    schedule.reorder(i, m2, n2, b2, j)
    for loop in (m2, n2):
        schedule.unroll(loop)
    _run_parallel(schedule, first, second)
    _finish(schedule, main, i, last, b2)
    _spread_frames(schedule, frames, inside=False)


def _finish(schedule: Any, main: Any, reduction: Any, last: Any, instruction: Any = None) -> None:
    """Take the zeros out of the reduction, and vectorize both ends.

    Args:
        schedule: The schedule.
        main: The block that sums.
        reduction: The outermost loop it sums over.
        last: The block that writes the result.
        instruction: The loop that one integer instruction replaces, with all inside it.
    """
    start = schedule.decompose_reduction(main, reduction)
    if instruction is not None:
        vnni: Any = importlib.import_module("roofline.validate.tvm.blocked.vnni")
        schedule.tensorize(instruction, vnni.register())
        schedule.vectorize(schedule.get_loops(start)[-1])
    loops = schedule.get_loops(last)
    schedule.vectorize(loops[-1])
    for loop in loops[-4:-1]:
        if int(schedule.get(loop).extent) <= 32 and str(schedule.get(loop).kind) in {
            "0",
            "ForKind.SERIAL",
        }:
            schedule.unroll(loop)


def _single_output(schedule: Any, main: Any, frames: list[Any]) -> Any:
    """Return the block that writes the result, everything between it and the main block inlined."""
    outputs = schedule.get_output_blocks(schedule.get_sblock("root"))
    kept = {schedule.get(block).name_hint for block in (main, outputs[0], *frames)}
    for block in blocks_of(schedule):
        if schedule.get(block).name_hint not in kept:
            schedule.compute_inline(block)
    if schedule.get(outputs[0]).same_as(schedule.get(main)):
        return schedule.cache_write(main, 0, "local")
    return outputs[0]


def _spread_frames(schedule: Any, frames: list[Any], inside: bool) -> None:
    for frame in frames:
        loops = schedule.get_loops(frame)
        schedule.vectorize(loops[-1])
        if not inside:
            schedule.parallel(schedule.fuse(*loops[:-2]))


def _run_parallel(schedule: Any, *loops: Any) -> None:
    schedule.parallel(schedule.fuse(*loops))


def kernel_schedule(function: Any) -> Any:
    """Return a kernel's schedule as it stands, to be worked on."""
    tvm: Any = importlib.import_module("tvm")
    s_tir: Any = importlib.import_module("tvm.s_tir")
    return s_tir.Schedule(tvm.IRModule({"main": function}))


def mark_scheduled(schedule: Any, function: Any) -> Any:
    """Return what a schedule made of a kernel, marked so that no tuner takes it up."""
    made = schedule.mod["main"].with_attr("tirx.is_scheduled", True)
    symbol = function.attrs.get("global_symbol")
    return made if symbol is None else made.with_attr("global_symbol", symbol)


def has_blocks(function: Any) -> bool:
    """Return whether a kernel is made of blocks at all: one written as plain loops has its schedule already."""
    tirx: Any = importlib.import_module("tvm.s_tir")
    return isinstance(function.body, tirx.SBlockRealize)


def blocks_of(schedule: Any) -> list[Any]:
    """Return the blocks of a kernel in their order."""
    return list(schedule.get_child_blocks(schedule.get_sblock("root")))


def _band(rows: int, tile: int) -> int:
    """Return how many tiles of rows one task takes: about sixteen rows."""
    steps = rows // tile
    return max((number for number in divisors(steps, max(1, 16 // tile))), default=1)
