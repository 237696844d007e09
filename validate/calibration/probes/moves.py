"""Data movement, quantization steps and the smallest operator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from roofline.validate.calibration.probes.elementwise import TINY
from roofline.validate.calibration.probes.graph import (
    Graph,
    Probe,
    Step,
    branches,
    chain,
    scale_and_zero,
    unary,
)


def moves() -> list[Probe]:
    """Return the probes of data movement, quantization steps and the smallest operator."""
    found: list[Probe] = []

    def add(name: str, build: Callable[[int], bytes], copies: int, of: str) -> None:
        found.append(Probe(name, build, copies, of))

    for channels, size in ((8, 4), (64, 28), (64, 112)):
        shape = (1, channels, size, size)
        tiny = 20 if shape == TINY else 0
        count = channels * size * size
        # Side by side: one after the other, runtimes cancel them.
        for name, perm in (("all", [0, 3, 2, 1]), ("rows", [0, 2, 1, 3]), ("last", [0, 2, 3, 1])):
            step = unary("Transpose", perm=perm)
            add(f"Transpose {name} of {count}", branches(shape, step), tiny or 3, "Transpose")
        add(
            f"Concat of {count}",
            branches(shape, lambda graph, value: graph.call("Concat", value, value, axis=1)),
            tiny or 4,
            "Concat",
        )
        add(f"Slice of {count}", branches(shape, _slice(size)), tiny or 5, "Slice")
        add(f"Pad of {count}", branches(shape, padded), tiny or 4, "Pad")
        add(
            f"Split of {count}",
            branches(shape, unary("Split", axis=1, results=2)),
            tiny or 5,
            "Split",
        )
        for mode in ("nearest", "linear"):
            add(
                f"Resize {mode} of {count}",
                branches(shape, _resize(mode)),
                tiny or (2 if size > 56 else 3),
                "Resize",
            )
    heads = unary("Transpose", perm=[0, 2, 1, 3])
    add("Transpose of heads", branches((1, 197, 12, 64), heads), 4, "Transpose")
    add(
        "Concat of rows",
        branches((400, 64), lambda graph, value: graph.call("Concat", value, value, axis=1)),
        5,
        "Concat",
    )
    add(
        "Tile",
        branches(
            (1, 64, 28, 28),
            lambda graph, value: graph.call("Tile", value, graph.store(np.array([1, 1, 2, 2]))),
        ),
        4,
        "Tile",
    )
    add(
        "Expand",
        branches(
            (1, 64, 1, 1),
            lambda graph, value: graph.call(
                "Expand", value, graph.store(np.array([1, 64, 56, 56]))
            ),
        ),
        5,
        "Expand",
    )
    add(
        "DepthToSpace",
        branches((1, 64, 56, 56), unary("DepthToSpace", blocksize=2)),
        4,
        "DepthToSpace",
    )
    for rows in (1, 16, 512):
        add(f"Gather {rows}", branches((4096, 64), _gather(rows), kept=True), 8, "Gather")
    for rows in (2, 64, 4096):
        shape = (rows, 64)
        add(
            f"DynamicQuantizeLinear of {rows * 64}",
            branches(shape, unary("DynamicQuantizeLinear", results=3)),
            5,
            "DynamicQuantizeLinear",
        )
        add(f"QuantizeLinear of {rows * 64}", branches(shape, _quantize), 5, "QuantizeLinear")
        add(f"DequantizeLinear of {rows * 64}", _dequantized(shape), 5, "DequantizeLinear")
    found.append(Probe("smallest operator", chain((1,), unary("Abs")), 60, "Abs", "overhead"))
    return found


def _slice(size: int) -> Step:
    def step(graph: Graph, value: str) -> str:
        bounds = [graph.store(np.array([bound], np.int64)) for bound in (0, size - 1, 3)]
        return graph.call("Slice", value, *bounds)

    return step


def padded(graph: Graph, value: str) -> str:
    """Pad an image by one row and column of zeros on each side."""
    return graph.call("Pad", value, graph.store(np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64)))


def _resize(mode: str) -> Step:
    def step(graph: Graph, value: str) -> str:
        scales = graph.store(np.array([1, 1, 2, 2], np.float32))
        more: dict[str, Any] = (
            {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
            if mode == "nearest"
            else {}
        )
        return graph.call("Resize", value, "", scales, mode=mode, **more)

    return step


def _gather(rows: int) -> Step:
    return lambda graph, value: graph.call(
        "Gather", value, graph.store(np.arange(rows) * 7 % 4096)
    )


def _quantize(graph: Graph, value: str) -> str:
    return graph.call("QuantizeLinear", value, *scale_and_zero(graph))


def _dequantized(shape: Sequence[int]) -> Callable[[int], bytes]:
    def build(count: int) -> bytes:
        graph = Graph()
        scale, zero = scale_and_zero(graph)
        value = graph.call("QuantizeLinear", graph.input(*shape), scale, zero)
        for _ in range(count):
            graph.output(graph.call("DequantizeLinear", value, scale, zero))
        return graph.model()

    return build
