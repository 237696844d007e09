"""The x86 instruction that multiplies 64 pairs of 8-bit integers and adds them to 16 sums, for schedules to use.

TVM 0.27 ships it with operands of 16 32-bit integers; LLVM 22 wants 64 8-bit integers, and code made with the shipped
one is refused.
"""
# TVMScript is a language of its own in Python's syntax: it is parsed as text, and its annotations are no types.
# pyright: basic, reportInvalidTypeForm=false, reportAttributeAccessIssue=false, reportIndexIssue=false

from __future__ import annotations

import functools
from typing import Any

NAME = "roofline.vpdpbusd"


@functools.cache
def register() -> str:
    """Make the instruction known to TVM's schedules and return its name there."""
    from tvm.s_tir import TensorIntrin

    TensorIntrin.register(NAME, _description(), _implementation(), override=True)
    return NAME


def _description() -> Any:
    from tvm.script import tirx as T  # noqa: N812

    @T.prim_func(s_tir=True)
    def description(
        left: T.Buffer((4,), "uint8", offset_factor=1),
        right: T.Buffer((16, 4), "int8", offset_factor=1),
        total: T.Buffer((16,), "int32", offset_factor=1, scope="local"),
    ) -> None:
        with T.sblock("root"):
            T.reads(total[0:16], left[0:4], right[0:16, 0:4])
            T.writes(total[0:16])
            for i in T.serial(0, 16):
                for k in T.serial(0, 4):
                    with T.sblock("update"):
                        vi, vk = T.axis.remap("SR", [i, k])
                        total[vi] = total[vi] + T.cast(left[vk], "int32") * T.cast(
                            right[vi, vk], "int32"
                        )

    return description


def _implementation() -> Any:
    from tvm.script import tirx as T  # noqa: N812

    @T.prim_func(s_tir=True)
    def implementation(
        left: T.Buffer((4,), "uint8", offset_factor=1),
        right: T.Buffer((16, 4), "int8", offset_factor=1),
        total: T.Buffer((16,), "int32", offset_factor=1, scope="local"),
    ) -> None:
        with T.sblock("root"):
            T.reads(total[0:16], left[0:4], right[0:16, 0:4])
            T.writes(total[0:16])
            four = left.vload([0], "uint8x4")
            total[T.ramp(T.int32(0), 1, 16)] = T.call_llvm_pure_intrin(
                "int32x16",
                "llvm.x86.avx512.vpdpbusd.512",
                total.vload([0], dtype="int32x16"),
                T.reinterpret(
                    T.broadcast(T.reinterpret(four, dtype="int32"), 16), dtype="uint8x64"
                ),
                right.vload([0, 0], dtype="int8x64"),
            )

    return implementation
