"""Schedules for what is neither convolution nor product: elementwise work, copies, pooling and averages.

A copy that puts a frame of zeros around an image asks of every element whether it is inside, and one that unrolls
patches divides its positions into rows and columns. Vectors across such loops are taken apart element by element, so
that frames keep their rows as loops of their own, what is read through them is made once, and positions are split
where they are divided.
"""

from __future__ import annotations

import importlib
import math
from typing import Any

from roofline.validate.tvm.blocked.block_reads import divisors, frames_rows, packs_narrowly
from roofline.validate.tvm.blocked.schedules import (
    blocks_of,
    has_blocks,
    kernel_schedule,
    mark_scheduled,
)

# A parallel loop costs about a microsecond to start on two threads; smaller kernels run on one.
_SMALL = 1 << 14


def plain_schedule(function: Any, lanes: int) -> Any | None:
    """Return a kernel of elementwise work, copies, pooling or averages, vectorized and spread over cores.

    None where it holds anything else, or one of its loops cannot be treated so.
    """
    if not has_blocks(function):
        return None
    schedule = kernel_schedule(function)
    try:
        outputs = schedule.get_output_blocks(schedule.get_sblock("root"))
        if len(outputs) != 1 or any(_scatters(schedule, block) for block in blocks_of(schedule)):
            return None
        _write_frame_in_shape(schedule, outputs[0])
        for block in blocks_of(schedule)[:-1]:
            if not _stays(schedule, block):
                schedule.compute_inline(block)
        for block in blocks_of(schedule):
            if _keeps_loops(schedule, block, lanes):
                _nest(schedule, block, lanes)
            elif not _spread(schedule, block, lanes):
                return None
    except _schedule_error():
        return None
    return mark_scheduled(schedule, function)


def _write_frame_in_shape(schedule: Any, last: Any) -> None:
    """Have a frame that only changes its shape afterwards written in that shape."""
    frames = [block for block in schedule.get_producers(last) if _frames(schedule, block)]
    if len(frames) == 1 and schedule.get(last).name_hint.startswith("T_reshape"):
        schedule.reverse_compute_inline(last)


def _stays(schedule: Any, block: Any) -> bool:
    """Return whether a block's result is made once: a sum, a frame, or what a pooling window or a frame reads."""
    users = schedule.get_consumers(block)
    return any(
        _reduces(schedule, one) or _frames(schedule, one) for one in (block, *users)
    )  # fmt: skip


def _keeps_loops(schedule: Any, block: Any, lanes: int) -> bool:
    """Return whether vectors across all loops of a block would be taken apart: frames, patches, narrow packing."""
    if _reduces(schedule, block):
        return False
    return (
        _frames(schedule, block)
        or any(_frames(schedule, source) for source in schedule.get_producers(block))
        or packs_narrowly(schedule.get(block), lanes)
    )


def _nest(schedule: Any, block: Any, lanes: int) -> None:
    """Split the loops of a block where its reads divide them, spread the outer ones and vectorize the last."""
    made = schedule.get(block)
    chains = divisors(made)
    parts: list[list[Any]] = []
    size = 1
    for place, loop in enumerate(schedule.get_loops(block)):
        extent = int(schedule.get(loop).extent)
        size *= extent
        factors = _split_sizes(extent, chains.get(place, ()))
        parts.append(list(schedule.split(loop, factors)) if len(factors) > 1 else [loop])
    outer = [loop for part in parts[:-1] for loop in part]
    if size > _SMALL and outer:
        schedule.parallel(schedule.fuse(*outer[:2]))
    if _frames(schedule, block) or packs_narrowly(made, lanes):
        return
    inner = parts[-1][-1]
    extent = int(schedule.get(inner).extent)
    if extent > 2 * lanes:
        _, inner = schedule.split(inner, [None, _vector_width(extent, lanes)])
    if int(schedule.get(inner).extent) > 1:
        schedule.vectorize(inner)


def _split_sizes(extent: int, by: tuple[int, ...]) -> list[int]:
    """Return the extents of the loops that a loop becomes when it is split at its divisors, outermost first."""
    sizes: list[int] = []
    for divisor in by:
        if divisor < extent and extent % divisor == 0:
            sizes.append(extent // divisor)
            extent = divisor
    return [*sizes, extent]


def _vector_width(size: int, lanes: int) -> int:
    """Return the widest vector, of those that fill a register or a part of it, that divides a size."""
    return next(
        width for width in (lanes, lanes // 2, lanes // 4, 1) if size % max(1, width) == 0
    )  # fmt: skip


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
        width = max(1, _vector_width(size, lanes))
        outer, inner = schedule.split(schedule.fuse(*spatial), [None, width])
    if size > _SMALL:
        schedule.parallel(outer)
    if int(schedule.get(inner).extent) > 1:
        schedule.vectorize(inner)
    return True


def _frames(schedule: Any, block: Any) -> bool:
    return frames_rows(schedule.get(block))


def _reduces(schedule: Any, block: Any) -> bool:
    return any(int(variable.iter_type) != 0 for variable in schedule.get(block).iter_vars)


def _scatters(schedule: Any, block: Any) -> bool:
    return any(int(variable.iter_type) > 2 for variable in schedule.get(block).iter_vars)


def _schedule_error() -> type[Exception]:
    s_tir: Any = importlib.import_module("tvm.s_tir.schedule")
    return s_tir.ScheduleError
