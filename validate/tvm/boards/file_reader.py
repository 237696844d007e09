"""A program that reads a file on a board: the RPC server cannot send files of ``/proc``, which have no size."""
# TVMScript is a language of its own in Python's syntax: it is parsed as text, and its annotations are no types.
# pyright: basic, reportInvalidTypeForm=false, reportAttributeAccessIssue=false, reportIndexIssue=false
# ruff: noqa: ANN202

from __future__ import annotations

from typing import Any


def read_file() -> Any:
    """Return a kernel: reads up to 64 KiB of a file from an offset; tells how many bytes, or -1."""
    from tvm.script import tirx as T  # noqa: N812

    @T.prim_func(s_tir=True)
    def kernel(
        path: T.Buffer((256,), "uint8"),
        content: T.Buffer((65536,), "uint8"),
        where: T.Buffer((2,), "int64"),
    ):
        T.func_attr({"global_symbol": "read_file", "tirx.noalias": True})
        file: T.let = T.call_extern("int32", "open", path.data, 0)
        where[1] = T.call_extern("int64", "pread", file, content.data, T.int64(65536), where[0])
        T.evaluate(T.call_extern("int32", "close", file))

    return kernel
