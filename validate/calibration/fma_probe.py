"""The fused multiply-add loop in TVMScript that measures a processor's peak, in registers alone."""
# TVMScript is a language of its own in Python's syntax: it is parsed as text, and its annotations are no types.
# pyright: basic, reportInvalidTypeForm=false, reportAttributeAccessIssue=false, reportIndexIssue=false
# ruff: noqa: ANN202

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

CHAINS = 12
"""Independent sums per thread: more than latency times units (4 × 2) on current cores, and all of them
fit in the 16 vector registers of AVX2."""


def _fma(threads: int, lanes: int, dtype: str, intrinsic: str) -> Any:
    """Return a kernel: on every thread, CHAINS vectors of sums, each ``sum = sum · x + y``."""
    from tvm.script import tirx as T  # noqa: N812

    vector = f"{dtype}x{lanes}"

    @T.prim_func(s_tir=True)
    def main(
        factor: T.Buffer((lanes,), dtype),
        n: T.int64,
        out: T.Buffer((threads, CHAINS * lanes), dtype),
    ):
        T.func_attr({"global_symbol": "main", "tirx.noalias": True})
        for t in T.parallel(threads):
            total = T.alloc_buffer((CHAINS * lanes,), dtype, scope="local")
            for c in T.unroll(CHAINS):
                total[T.ramp(c * lanes, 1, lanes)] = T.broadcast(T.cast(c + 1, dtype), lanes)
            for _ in T.serial(n):
                for c in T.unroll(CHAINS):
                    total[T.ramp(c * lanes, 1, lanes)] = T.call_llvm_pure_intrin(
                        vector, intrinsic, total[T.ramp(c * lanes, 1, lanes)],
                        factor[T.ramp(0, 1, lanes)], factor[T.ramp(0, 1, lanes)],
                    )  # fmt: skip
            for c in T.unroll(CHAINS):
                out[t, T.ramp(c * lanes, 1, lanes)] = total[T.ramp(c * lanes, 1, lanes)]

    return main


def _dot(threads: int) -> Any:
    """Return a kernel: on every thread, CHAINS vectors of 16 int32 sums of four int8 products each (VNNI)."""
    from tvm.script import tirx as T  # noqa: N812

    @T.prim_func(s_tir=True)
    def main(
        factor: T.Buffer((64,), "int8"), n: T.int64, out: T.Buffer((threads, CHAINS * 16), "int32")
    ):
        T.func_attr({"global_symbol": "main", "tirx.noalias": True})
        for t in T.parallel(threads):
            total = T.alloc_buffer((CHAINS * 16,), "int32", scope="local")
            for c in T.unroll(CHAINS):
                total[T.ramp(c * 16, 1, 16)] = T.broadcast(T.cast(c + 1, "int32"), 16)
            for _ in T.serial(n):
                for c in T.unroll(CHAINS):
                    total[T.ramp(c * 16, 1, 16)] = T.call_llvm_pure_intrin(
                        "int32x16", "llvm.x86.avx512.vpdpbusd.512", total[T.ramp(c * 16, 1, 16)],
                        factor[T.ramp(0, 1, 64)], factor[T.ramp(0, 1, 64)],
                    )  # fmt: skip
            for c in T.unroll(CHAINS):
                out[t, T.ramp(c * 16, 1, 16)] = total[T.ramp(c * 16, 1, 16)]

    return main


def peaks(threads: int, seconds: float) -> Mapping[str, float]:
    """Return the operations per second of register-only loops by datatype; needs TVM.

    Args:
        threads: Threads that run the loop, as TVM was started with.
        seconds: Time for each datatype.
    """
    import numpy as np

    from roofline.validate.tvm.setup import load_tvm, local_target

    tvm = load_tvm()
    target = local_target(tvm, threads)
    known = tvm.target.codegen.target_has_features
    with target:
        width = 64 if known("avx512f") else 32 if known("avx2") else 16
        has_dot = bool(known("avx512vnni"))
    found: dict[str, float] = {}
    for name, dtype, size in (("fp32", "float32", 4), ("fp64", "float64", 8)):
        lanes = width // size
        kernel = _fma(threads, lanes, dtype, "llvm.fma")
        ops = 2 * threads * CHAINS * lanes
        # A factor below one: the sums stay finite and never denormal.
        factor = np.full(lanes, 0.5, dtype)
        out = np.zeros((threads, CHAINS * lanes), dtype)
        found[name] = _rate(tvm, target, kernel, factor, out, ops, seconds)
        # The fixed point of s = s·x + x; anything else means that the loop did not run as written.
        if not np.allclose(out, 1.0):
            raise RuntimeError(f"the {name} probe computed {out.flat[0]}, not 1")
    if has_dot:
        factor, out = np.ones(64, "int8"), np.zeros((threads, CHAINS * 16), "int32")
        ops = 2 * threads * CHAINS * 64
        found["int8"] = _rate(tvm, target, _dot(threads), factor, out, ops, seconds)
    return found


def _rate(
    tvm: Any, target: Any, kernel: Any, factor: Any, out: Any, ops: int, seconds: float
) -> float:
    library = tvm.compile(tvm.IRModule({"main": kernel}), target=target)
    run = library["main"]
    given, result = tvm.runtime.tensor(factor), tvm.runtime.tensor(out)
    count = 10_000
    best = 0.0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        run(given, count, result)
        span = time.perf_counter() - start
        best = max(best, ops * count / span)
        # Runs of about 20 ms: long against the start of threads, short against a time slice lost to others.
        count = max(1000, min(1 << 40, int(count * 0.02 / max(span, 1e-6))))
    out[...] = result.numpy()
    return best
