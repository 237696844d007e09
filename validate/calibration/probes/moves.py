"""Data movement, quantization steps and the smallest operator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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

_WIDTH = 64
"""Values of a row that is gathered or scattered, where nothing else is said."""


def moves() -> list[Probe]:
    """Return the probes of data movement, quantization steps and the smallest operator."""
    smallest = Probe("smallest operator", chain((1,), unary("Abs")), 60, "Abs", "overhead")
    return [*_of_images(), *_reshaping_probes(), *_by_index(), *_quantization_probes(), smallest]


def _of_images() -> Iterator[Probe]:
    for channels, size in ((8, 4), (64, 28), (64, 112)):
        shape = (1, channels, size, size)
        tiny = 20 if shape == TINY else 0
        resized = 2 if size > 56 else 3
        # Side by side: one after the other, runtimes cancel them.
        for op_type, form, step, copies in (
            ("Transpose", " all", unary("Transpose", perm=[0, 3, 2, 1]), 3),
            ("Transpose", " rows", unary("Transpose", perm=[0, 2, 1, 3]), 3),
            ("Transpose", " last", unary("Transpose", perm=[0, 2, 3, 1]), 3),
            ("Concat", "", _double, 4),
            ("Slice", "", _slice(size), 5),
            ("Pad", "", pad, 4),
            ("Split", "", unary("Split", axis=1, results=2), 5),
            ("Resize", " nearest", _resize("nearest", 2), resized),
            ("Resize", " linear", _resize("linear", 2), resized),
        ):
            name = f"{op_type}{form} of {channels * size * size}"
            yield Probe(name, branches(shape, step), tiny or copies, op_type)


def _reshaping_probes() -> Iterator[Probe]:
    for name, of, shape, step, copies in (
        ("Transpose of heads", "Transpose", (1, 197, 12, 64), unary("Transpose", perm=[0, 2, 1, 3]), 4),
        ("Transpose of channels", "Transpose", (1, 64, 56, 56), unary("Transpose", perm=[0, 2, 3, 1]), 4),
        ("Concat of rows", "Concat", (400, 64), _double, 5),
        ("Concat of short rows", "Concat", (16384, 8), _double, 3),
        ("Resize nearest by 4", "Resize", (1, 24, 40, 40), _resize("nearest", 4), 3),
        ("Resize cubic", "Resize", (1, 32, 14, 14), _resize("cubic", 2), 2),
        ("Resize cubic to less", "Resize", (1, 64, 37, 37), _resize("cubic", 16 / 37), 2),
        ("Tile", "Tile", (1, 64, 28, 28), _with_sizes("Tile", 1, 1, 2, 2), 4),
        ("Expand", "Expand", (1, 64, 1, 1), _with_sizes("Expand", 1, 64, 56, 56), 5),
        ("Expand of short runs", "Expand", (4096, 1), _with_sizes("Expand", 4096, 96), 4),
        ("DepthToSpace", "DepthToSpace", (1, 64, 56, 56), unary("DepthToSpace", blocksize=2), 4),
    ):  # fmt: skip
        yield Probe(name, branches(shape, step), copies, of)


def _by_index() -> Iterator[Probe]:
    """Yield what rows are gathered and scattered by: networks of graphs do little else."""
    for rows, copies in ((1, 8), (16, 8), (512, 8), (8192, 3)):
        gathered = branches((4096, 64), _gather(rows), kept=True)
        yield Probe(f"Gather {rows}", gathered, copies, "Gather")
    for rows, into, width, copies in (
        (64, 64, 64, 8), (1024, 256, 64, 4), (8192, 600, 64, 2), (8192, 600, 256, 1), (200, 32_320, 1, 4),
        (16, 4096, 64, 3),
    ):  # fmt: skip
        for op_type, step in (
            ("GatherElements", _gather_elements(rows, into, width)),
            ("ScatterElements", _scatter("ScatterElements", rows, into, width)),
            ("ScatterND", _scatter("ScatterND", rows, into, width)),
        ):
            build = branches((into, width), step, kept=True)
            wide = "" if width == _WIDTH else f" by {width}"
            yield Probe(f"{op_type} {rows} of {into}{wide}", build, copies, op_type)


def _quantization_probes() -> Iterator[Probe]:
    for rows in (2, 64, 4096):
        shape = (rows, 64)
        for op_type, build in (
            (
                "DynamicQuantizeLinear",
                branches(shape, unary("DynamicQuantizeLinear", results=3)),
            ),
            ("QuantizeLinear", branches(shape, _quantize)),
            ("DequantizeLinear", _dequantized_copies(shape)),
        ):
            yield Probe(f"{op_type} of {rows * 64}", build, 5, op_type)


def _double(graph: Graph, value: str) -> str:
    return graph.call("Concat", value, value, axis=1)


def _with_sizes(op_type: str, *sizes: int) -> Step:
    return lambda graph, value: graph.call(op_type, value, graph.store(np.array(sizes)))


def _slice(size: int) -> Step:
    def step(graph: Graph, value: str) -> str:
        bounds = [graph.store(np.array([bound], np.int64)) for bound in (0, size - 1, 3)]
        return graph.call("Slice", value, *bounds)

    return step


def pad(graph: Graph, value: str) -> str:
    """Pad an image by one row and column of zeros on each side."""
    return graph.call("Pad", value, graph.store(np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64)))


def _resize(mode: str, scale: float) -> Step:
    def step(graph: Graph, value: str) -> str:
        scales = graph.store(np.array([1, 1, scale, scale], np.float32))
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


def _gather_elements(rows: int, of: int, width: int) -> Step:
    places = np.repeat((np.arange(rows) * 7 % of)[:, None], width, axis=1)
    return lambda graph, value: graph.call("GatherElements", value, graph.store(places), axis=0)


def _scatter(op_type: str, rows: int, into: int, width: int) -> Step:
    """Return a step that adds rows of so many values to those of the operand."""
    places = (np.arange(rows) * 7 % into)[:, None]
    more: dict[str, Any] = {"reduction": "add"}
    if op_type == "ScatterElements":
        places, more = np.repeat(places, width, axis=1), {**more, "axis": 0}

    def step(graph: Graph, value: str) -> str:
        added = graph.input(rows, width)
        return graph.call(op_type, value, graph.store(places), added, **more)

    return step


def _quantize(graph: Graph, value: str) -> str:
    return graph.call("QuantizeLinear", value, *scale_and_zero(graph))


def _dequantized_copies(shape: Sequence[int]) -> Callable[[int], bytes]:
    def build(count: int) -> bytes:
        graph = Graph()
        scale, zero = scale_and_zero(graph)
        value = graph.call("QuantizeLinear", graph.input(*shape), scale, zero)
        for _ in range(count):
            graph.output(graph.call("DequantizeLinear", value, scale, zero))
        return graph.model()

    return build
