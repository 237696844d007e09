"""Schedules for kernels on blocks of channels: sums stay in registers, the innermost loop fills a vector.

Each kernel has a few numbers left open (`Tile`): how many filter blocks, rows and columns are summed at once, and in
which order tiles follow each other. The best guess stands first among `tiles`; the search tries the others.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from roofline.validate import _tvm_blocks as blocks

# A parallel loop costs about a microsecond to start on two threads; smaller kernels run on one.
_SMALL = 1 << 14


@dataclass(frozen=True, slots=True)
class Tile:
    """The open numbers of one kernel."""

    outer: int = 1
    """Blocks of filters (or of a matrix's columns) summed at once."""
    rows: int = 1
    columns: int = 1
    depth: int = 1
    """Steps of the innermost reduction that are unrolled."""
    rows_first: bool = False
    """Whether all filters of a row come before the next row (else the other way around)."""
    frame_inside: bool = False
    """Whether the frame of zeros is put around a tile when it is needed, not around the image beforehand."""

    def to_list(self) -> list[int]:
        """Return the numbers as JSON values."""
        return [
            self.outer, self.rows, self.columns, self.depth, int(self.rows_first), int(self.frame_inside),
        ]  # fmt: skip

    @classmethod
    def from_list(cls, numbers: Iterable[int]) -> Tile:
        """Return the tile of `to_list`."""
        outer, rows, columns, depth, rows_first, frame_inside = numbers
        return cls(outer, rows, columns, depth, bool(rows_first), bool(frame_inside))


@dataclass(frozen=True, slots=True)
class Kernel:
    """What a kernel on blocks computes: its main block and the extents of its loops."""

    kind: str
    spatial: tuple[int, ...]
    reduced: tuple[int, ...]
    form: str
    operands: int
    framed: bool

    @property
    def key(self) -> str:
        """A text that is the same for kernels to which the same tile is best."""
        spatial, reduced = ("x".join(map(str, part)) for part in (self.spatial, self.reduced))
        return f"{self.kind} {spatial} {reduced} {self.form} {self.operands}"

    @property
    def lanes(self) -> int:
        """Elements of one vector."""
        return int(self.form[1:]) if self.kind == blocks.GEMM else self.spatial[-1]


def recognize(function: Any) -> Kernel | None:
    """Return what a kernel computes when it is one on blocks with open numbers, else None."""
    schedule = _schedule(function)
    for block in _blocks(schedule):
        made = schedule.get(block)
        if made.name_hint not in {blocks.CONVOLUTION, blocks.DEPTHWISE, blocks.GEMM}:
            continue
        spatial = tuple(int(v.dom.extent) for v in made.iter_vars if int(v.iter_type) == 0)
        reduced = tuple(int(v.dom.extent) for v in made.iter_vars if int(v.iter_type) != 0)
        framed = any("pad" in schedule.get(other).name_hint for other in _blocks(schedule))
        form = str(made.annotations[blocks.FORM])
        return Kernel(made.name_hint, spatial, reduced, form, len(function.params), framed)
    return None


def tiles(kernel: Kernel) -> list[Tile]:
    """Return tiles worth trying, the best guess first."""
    registers = 28 if kernel.lanes > 8 else 12
    if kernel.kind == blocks.GEMM:
        rows = _divisors(kernel.spatial[0], registers)
        outers = _divisors(kernel.spatial[1] // kernel.lanes, registers)
        found = [
            Tile(outer, rows=row, depth=4) for row in rows for outer in outers if row * outer <= registers
        ]  # fmt: skip
        found.sort(key=lambda tile: -_reuse(tile.outer, tile.rows))
        return found[:8]
    _, outer_size, height, width, _ = kernel.spatial
    columns = _divisors(width, registers)
    if kernel.kind == blocks.DEPTHWISE:
        found = [
            Tile(rows=row, columns=column, frame_inside=kernel.framed)
            for column in columns
            for row in _divisors(height, min(4, registers // column))
        ]
        found.sort(key=lambda tile: -tile.rows * tile.columns)
        return found[:6]
    found = [
        Tile(outer, row, column, depth=4)
        for column in columns
        for row in _divisors(height, min(7, registers // column))
        for outer in _divisors(outer_size, min(4, registers // (column * row)))
    ]
    found.sort(
        key=lambda tile: -_reuse(tile.outer, tile.rows * tile.columns) - tile.columns / 1000
    )
    return found[:8]


def neighbours(kernel: Kernel, tile: Tile) -> list[Tile]:
    """Return variants of a tile that is good already: another order, unrolling, place of the frame."""
    outer, rows, columns = tile.outer, tile.rows, tile.columns
    if kernel.kind == blocks.GEMM:
        return [Tile(outer, rows, columns, depth) for depth in (1, 8)] + [
            Tile(outer, rows, columns, tile.depth, rows_first=True)
        ]
    if kernel.kind == blocks.DEPTHWISE:
        whole = kernel.reduced[-1]
        kinds = [(1, False), (whole, True), (whole, False)] if kernel.framed else [(whole, False)]
        return [Tile(outer, rows, columns, depth, frame_inside=inside) for depth, inside in kinds]
    deep = [depth for depth in (1, 16) if kernel.reduced[-1] % depth == 0]
    found = [Tile(outer, rows, columns, depth) for depth in deep]
    found.append(Tile(outer, rows, columns, tile.depth, rows_first=True))
    if kernel.framed:
        found.append(Tile(outer, rows, columns, tile.depth, rows_first=True, frame_inside=True))
    return found


def scheduled(function: Any, tile: Tile) -> Any:
    """Return a kernel on blocks with its schedule.

    Args:
        function: A fused PrimFunc that `recognize` knows.
        tile: Its open numbers.
    """
    schedule = _schedule(function)
    kind, main = next(
        (schedule.get(block).name_hint, block)
        for block in _blocks(schedule)
        if schedule.get(block).name_hint in {blocks.CONVOLUTION, blocks.DEPTHWISE, blocks.GEMM}
    )
    frames = list(schedule.get_producers(main))
    last = _single_output(schedule, main, frames)
    {blocks.CONVOLUTION: _convolution, blocks.DEPTHWISE: _depthwise, blocks.GEMM: _gemm}[kind](
        schedule, main, last, frames, tile
    )
    return _done(schedule, function)


def plainly_scheduled(function: Any, lanes: int) -> Any | None:
    """Return a kernel of elementwise work, copies, pooling or averages, vectorized and spread over cores.

    None where it holds anything else, or one of its loops cannot be treated so.
    """
    schedule = _schedule(function)
    found = _blocks(schedule)
    try:
        outputs = schedule.get_output_blocks(schedule.get_sblock("root"))
        if len(outputs) != 1 or any(_scatters(schedule, block) for block in found):
            return None
        for block in found[:-1]:
            if not _reduces(schedule, block) and not _feeds_reduction(schedule, block):
                schedule.compute_inline(block)
        for block in _blocks(schedule):
            if not _spread(schedule, block, lanes):
                return None
    except _schedule_error():
        return None
    return _done(schedule, function)


def _convolution(schedule: Any, main: Any, last: Any, frames: list[Any], tile: Tile) -> None:
    n, f, y, x, b = schedule.get_loops(last)
    fo, fi = schedule.split(f, [None, tile.outer])
    yo, yi = schedule.split(y, [None, tile.rows])
    xo, xi = schedule.split(x, [None, tile.columns])
    first, second = (yo, fo) if tile.rows_first else (fo, yo)
    schedule.reorder(n, first, second, xo, fi, yi, xi, b)
    schedule.compute_at(main, xo, preserve_unit_loops=True)
    schedule.set_scope(main, 0, "local")
    _, f2, y2, x2, b2, c, ky, kx, i = schedule.get_loops(main)[-9:]
    schedule.reorder(c, ky, kx, i, f2, y2, x2, b2)
    for loop in (f2, y2, x2):
        schedule.unroll(loop)
    schedule.vectorize(b2)
    if tile.depth > 1:
        steps = math.gcd(tile.depth, int(schedule.get(i).extent))
        _, inner = schedule.split(i, [None, steps])
        schedule.unroll(inner)
    for frame in frames:
        if tile.frame_inside and tile.rows_first:
            schedule.compute_at(frame, first)
    _run_parallel(schedule, n, first, *(() if tile.frame_inside else (second,)))
    _finish(schedule, main, c, last)
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
    lanes = int(str(schedule.get(main).annotations[blocks.FORM])[1:])
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


def _finish(schedule: Any, main: Any, reduction: Any, last: Any) -> None:
    """Take the zeros out of the reduction, and vectorize both ends."""
    start = schedule.decompose_reduction(main, reduction)
    # Unrolled and vectorized like the sums themselves: the copy of the loops keeps their kinds.
    loops = schedule.get_loops(last)
    schedule.vectorize(loops[-1])
    for loop in loops[-4:-1]:
        if int(schedule.get(loop).extent) <= 32 and str(schedule.get(loop).kind) in {
            "0",
            "ForKind.SERIAL",
        }:
            schedule.unroll(loop)
    del start


def _single_output(schedule: Any, main: Any, frames: list[Any]) -> Any:
    """Return the block that writes the result, everything between it and the main block inlined."""
    outputs = schedule.get_output_blocks(schedule.get_sblock("root"))
    kept = {schedule.get(block).name_hint for block in (main, outputs[0], *frames)}
    for block in _blocks(schedule):
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


def _spread(schedule: Any, block: Any, lanes: int) -> bool:
    """Vectorize the last spatial loop of a block and spread the outer ones over cores."""
    made = schedule.get(block)
    loops = schedule.get_loops(block)
    if len(loops) != len(made.iter_vars):
        return False
    kinds = [int(variable.iter_type) for variable in made.iter_vars]
    spatial = [loop for loop, kind in zip(loops, kinds, strict=True) if kind == 0]
    reduced = [loop for loop, kind in zip(loops, kinds, strict=True) if kind != 0]
    if not spatial:
        return False
    size = math.prod(int(schedule.get(loop).extent) for loop in loops)
    if reduced:
        if len(spatial) < 2 or int(schedule.get(spatial[-1]).extent) % lanes:
            return False
        schedule.reorder(*spatial[:-1], *reduced, spatial[-1])
        outer = schedule.fuse(*spatial[:-1])
        if size > _SMALL:
            schedule.parallel(outer)
        schedule.vectorize(spatial[-1])
        schedule.decompose_reduction(block, reduced[0])
        return True
    last = int(schedule.get(spatial[-1]).extent)
    if last in {lanes, 2 * lanes} and len(spatial) > 1:
        outer, inner = schedule.fuse(*spatial[:-1]), spatial[-1]
    else:
        whole = schedule.fuse(*spatial)
        step = next(
            width for width in (lanes, lanes // 2, lanes // 4, 1) if size % max(1, width) == 0
        )
        outer, inner = schedule.split(whole, [None, max(1, step)])
    if size > _SMALL:
        schedule.parallel(outer)
    if int(schedule.get(inner).extent) > 1:
        schedule.vectorize(inner)
    return True


def _schedule(function: Any) -> Any:
    tvm: Any = importlib.import_module("tvm")
    s_tir: Any = importlib.import_module("tvm.s_tir")
    return s_tir.Schedule(tvm.IRModule({"main": function}))


def _schedule_error() -> type[Exception]:
    s_tir: Any = importlib.import_module("tvm.s_tir.schedule")
    return s_tir.ScheduleError


def _done(schedule: Any, function: Any) -> Any:
    made = schedule.mod["main"].with_attr("tirx.is_scheduled", True)
    symbol = function.attrs.get("global_symbol")
    return made if symbol is None else made.with_attr("global_symbol", symbol)


def _blocks(schedule: Any) -> list[Any]:
    return list(schedule.get_child_blocks(schedule.get_sblock("root")))


def _reduces(schedule: Any, block: Any) -> bool:
    return any(int(variable.iter_type) != 0 for variable in schedule.get(block).iter_vars)


def _feeds_reduction(schedule: Any, block: Any) -> bool:
    """Whether a copy stays: what a pooling window reads many times is made once."""
    return any(_reduces(schedule, user) for user in schedule.get_consumers(block))


def _scatters(schedule: Any, block: Any) -> bool:
    return any(int(variable.iter_type) > 2 for variable in schedule.get(block).iter_vars)


def _divisors(size: int, most: int) -> list[int]:
    return [number for number in range(1, min(size, most) + 1) if size % number == 0]


def _reuse(outer: int, positions: int) -> float:
    """Return multiply-adds per load of a tile; a broadcast that is used once needs no register."""
    loads = outer + (positions if outer > 1 else 0.3 * positions)
    return min(outer * positions, 16) / 16 * outer * positions / loads


def _band(rows: int, tile: int) -> int:
    """Return how many tiles of rows one task takes: about sixteen rows."""
    steps = rows // tile
    return max((number for number in _divisors(steps, max(1, 16 // tile))), default=1)
