"""Times kernels on blocks, each built and run in a process of its own: one that crashes or hangs is alone."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from typing import Any

from roofline.validate.tvm.blocked.schedules import schedule_kernel
from roofline.validate.tvm.blocked.tiles import Tile
from roofline.validate.tvm.tuning import forked_timing as _fork

_BUILD_LIMIT_S = 60.0
_RUN_LIMIT_S = 20.0


def seconds_of(
    function: Any, candidates: list[Tile], target: Any, workers: int
) -> dict[Tile, float]:
    """Return the seconds of a kernel on blocks with each of several tiles, infinite where one does not run.

    Args:
        function: The kernel.
        candidates: The tiles; each is timed once.
        target: The TVM target.
        workers: Processes that build at the same time.
    """
    distinct = list(dict.fromkeys(candidates))
    times = time_tiles([(function, tile) for tile in distinct], target, workers)
    return {
        tile: math.inf if seconds is None else seconds
        for tile, seconds in zip(distinct, times, strict=True)
    }


def time_tiles(
    candidates: list[tuple[Any, Tile]], target: Any, workers: int
) -> list[float | None]:
    """Return the seconds of kernels on blocks, each with a tile, None where one cannot be built or run.

    Args:
        candidates: A kernel and its tile; a kernel may come several times.
        target: The TVM target.
        workers: Processes that build at the same time.
    """
    outcomes = _fork.race(
        candidates,
        lambda entry: kernel_timer(schedule_kernel(*entry), target),
        workers=workers,
        build_limit_s=_BUILD_LIMIT_S,
        run_limit_s=_RUN_LIMIT_S,
    )
    return [outcome.seconds for outcome in outcomes]


def kernel_timer(function: Any, target: Any) -> Callable[[float], float]:
    """Compile a kernel and return its timer, which takes CPU time on one thread: other load does not count."""
    tvm: Any = importlib.import_module("tvm")
    library = tvm.tirx.build(
        tvm.IRModule({"main": function.with_attr("global_symbol", "main")}), target=target
    )
    # One thread: waiting workers would spend CPU time too.
    tvm.get_global_func("runtime.config_threadpool")(1, 1)

    def seconds(best: float) -> float:
        fill = tvm.get_global_func("tvm.contrib.random.random_fill_for_measure")
        tensors: list[Any] = []
        for parameter in function.params:
            buffer = parameter.ty
            shape = [int(size) for size in buffer.shape]
            tensor = tvm.runtime.empty(shape=shape, dtype=str(buffer.dtype), device=tvm.cpu())
            fill(tensor)
            tensors.append(tensor)
        main = library["main"]
        return _fork.shortest_cpu_time(lambda: main(*tensors), best)

    return seconds
