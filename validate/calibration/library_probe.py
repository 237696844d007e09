"""Microbenchmarks of this machine without a compiler: memory streams, and matrix products as lower bounds.

Array bytes are counted once each (no write-allocate traffic), as inference is counted.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

_CACHES = "/sys/devices/system/cpu/cpu0/cache"
_SMALLEST = 1 << 20


def single_threaded() -> Mapping[str, str]:
    """Return the variables that keep libraries from starting threads of their own."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return dict.fromkeys(names, "1")


def last_level_cache() -> int:
    """Return the bytes of the largest cache of the first core, or 0 where it cannot be read (Linux)."""
    sizes: list[int] = []
    for path in Path(_CACHES).glob("index*/size"):
        text = path.read_text(encoding="utf-8").strip()
        factor = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}.get(text[-1:], 1)
        sizes.append(int(text.rstrip("KMG")) * factor)
    return max(sizes, default=0)


def bandwidths(threads: int, seconds: float) -> Mapping[str, float]:
    """Return bytes per second of the main memory (``memory``) and of the last cache (``cache``).

    The best of many repetitions of three streams is taken: reading two arrays (dot product), copying
    (read one, write one) and adding (read two, write one).

    Args:
        threads: Threads that stream at the same time, each its own arrays.
        seconds: Time for each of the two levels.
    """
    cache = last_level_cache()
    # Arrays of all threads together: eight times the cache, so that hardly a line survives in it.
    outer = max(8 * cache, 256 << 20)
    found = {"memory": _stream(threads, outer, seconds)}
    if cache >= _SMALLEST:
        found["cache"] = _stream(threads, cache // 4, seconds)
    return found


def matrix_product(seconds: float, datatype: str) -> float:
    """Return operations per second of NumPy's matrix product: at most the peak, often 80 % of it.

    Args:
        seconds: Time to spend; threads are those the process was started with.
        datatype: ``fp32`` or ``fp64``.
    """
    dtype = {"fp32": np.float32, "fp64": np.float64}[datatype]
    size = 1024
    left = np.ones((size, size), dtype)
    out = np.empty_like(left)
    fastest = _time_fastest(lambda: np.matmul(left, left, out=out), seconds)
    return 2.0 * size**3 / fastest


def integer_product(threads: int, seconds: float) -> float:
    """Return operations per second of ONNX Runtime's int8 matrix product: at most the peak."""
    from onnx import TensorProto, helper, numpy_helper

    from roofline.validate.backends.onnxruntime import in_memory_session

    size = 1024
    weight = numpy_helper.from_array(np.ones((size, size), np.int8), "weight")
    node = helper.make_node("MatMulInteger", ["input", "weight"], ["output"])
    shape = [size, size]
    given = helper.make_tensor_value_info("input", TensorProto.UINT8, shape)
    made = helper.make_tensor_value_info("output", TensorProto.INT32, shape)
    graph = helper.make_graph([node], "probe", [given], [made], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    session = in_memory_session(model.SerializeToString(), threads)
    feed = {"input": np.ones((size, size), np.uint8)}
    return 2.0 * size**3 / _time_fastest(lambda: session.run(None, feed), seconds)


def _stream(threads: int, total: int, seconds: float) -> float:
    """Return the best bytes per second of the three streams, arrays of ``total`` bytes in all."""
    elements = max(1024, total // threads // 3 // 4)
    repeats = max(1, (32 << 20) // total)
    sets = [[np.ones(elements, np.float32) for _ in range(3)] for _ in range(threads)]
    size = elements * 4
    kinds: tuple[tuple[Callable[[Any], Any], int], ...] = (
        (lambda arrays: np.dot(arrays[0], arrays[1]), 2 * size),
        (lambda arrays: np.copyto(arrays[0], arrays[1]), 2 * size),
        (lambda arrays: np.add(arrays[0], arrays[1], out=arrays[2]), 3 * size),
    )
    best = 0.0
    with ThreadPoolExecutor(threads) as pool:
        for work, moved in kinds:
            barrier = threading.Barrier(threads)
            task = partial(_repeat, work, repeats, barrier)
            end = time.perf_counter() + seconds / len(kinds)
            while time.perf_counter() < end:
                spans = list(pool.map(task, sets))
                elapsed = max(stop for _, stop in spans) - min(start for start, _ in spans)
                best = max(best, threads * repeats * moved / elapsed)
    return best


def _repeat(
    work: Callable[[Any], Any], repeats: int, barrier: threading.Barrier, arrays: Any
) -> tuple[float, float]:
    barrier.wait()
    start = time.perf_counter()
    for _ in range(repeats):
        work(arrays)
    return start, time.perf_counter()


def _time_fastest(work: Callable[[], Any], seconds: float) -> float:
    work()
    best = float("inf")
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best
