"""Normalizations, softmax, reductions and pooling."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from roofline.validate.calibration.probes.graph import (
    Graph,
    Probe,
    Step,
    branches,
    chain,
    pool,
    unary,
)


def reductions() -> list[Probe]:
    """Return the probes of normalizations, softmax, reductions and pooling."""
    return [*_over_rows(), *_over_images(), *_reductions(), *_pools()]


def _normalization(op_type: str, width: int, **attributes: Any) -> Step:
    def step(graph: Graph, value: str) -> str:
        return graph.call(op_type, value, graph.weight(width), graph.weight(width), **attributes)

    return step


def _over_rows() -> Iterator[Probe]:
    name = "LayerNormalization"
    for rows, width in ((4, 32), (128, 64), (197, 768), (400, 120)):
        build = chain((1, rows, width), _normalization(name, width, axis=-1))
        yield Probe(f"{name} {rows}x{width}", build, 5, name)
    for rows, width in ((4, 16), (64, 64), (1536, 128), (100, 1000), (40, 6625)):
        build = chain((rows, width), unary("Softmax", axis=-1))
        yield Probe(f"Softmax {rows}x{width}", build, 4, "Softmax")
    over_channels = chain((1, 2, 64, 64), unary("Softmax", axis=1))
    yield Probe("Softmax over channels", over_channels, 4, "Softmax")


def _over_images() -> Iterator[Probe]:
    def batch(graph: Graph, value: str) -> str:
        ones = [graph.store(np.full(64, 1.0, np.float32)) for _ in range(4)]
        return graph.call("BatchNormalization", value, *ones)

    for size in (28, 56):
        for op_type, step, copies in (
            ("InstanceNormalization", _normalization("InstanceNormalization", 64), 4),
            ("BatchNormalization", batch, 4),
            ("LRN", unary("LRN", size=5, alpha=1e-4), 3),
        ):
            yield Probe(f"{op_type} at {size}", chain((1, 64, size, size), step), copies, op_type)


def _reductions() -> Iterator[Probe]:
    for shape, axes in (
        ((1, 64, 56, 56), [2, 3]), ((197, 768), [1]), ((8, 16), [1]), ((64, 8, 256), [1]),
        ((1, 32, 128, 128), [1]), ((8, 128, 64), [1]),
    ):  # fmt: skip
        build = branches(shape, unary("ReduceMean", axes=axes))
        yield Probe(f"ReduceMean {shape} over {axes}", build, 5, "ReduceMean")
    for shape, axes in (
        ((1, 2, 161, 199), [1]), ((200, 257, 2), [2]), ((64, 8, 256), [1]), ((197, 768), [1]),
        ((1, 64, 56, 56), [2, 3]), ((8, 16), [1]), ((1, 2, 201, 2000), [1]),
    ):  # fmt: skip
        build = branches(shape, unary("ReduceSumSquare", axes=axes))
        yield Probe(f"ReduceSumSquare {shape} over {axes}", build, 4, "ReduceSumSquare")
    for shape, axes in (((1, 2, 161, 199), [1]), ((200, 257, 2), [2])):
        build = branches(shape, unary("ReduceMax", axes=axes))
        yield Probe(f"ReduceMax {shape} over {axes}", build, 4, "ReduceMax")
    yield Probe("ArgMax", branches((100, 200), unary("ArgMax", axis=1)), 4, "ArgMax")


def _pools() -> Iterator[Probe]:
    for channels, size, window, copies in ((64, 56, 3, 5), (64, 112, 2, 4), (256, 14, 3, 8)):
        low, high = (window - 1) // 2, window // 2
        for op_type in ("MaxPool", "AveragePool"):
            step = unary(op_type, kernel_shape=[window] * 2, pads=[low, low, high, high])
            build = chain((1, channels, size, size), step, pool)
            name = f"{op_type} {window}x{window} of {channels} at {size}"
            yield Probe(name, build, copies, op_type)
    large = chain(
        (1, 64, 224, 224), unary("MaxPool", kernel_shape=[2, 2], pads=[0, 0, 1, 1]), pool
    )
    yield Probe("MaxPool 2x2 of 64 at 224", large, 2, "MaxPool")
    yield from _halving_pools()
    name = "GlobalAveragePool"
    for channels, size in ((64, 56), (512, 7)):
        build = branches((1, channels, size, size), pool)
        yield Probe(f"{name} of {channels} at {size}", build, 6, name)


def _halving_pools() -> Iterator[Probe]:
    """Yield pools of planes beyond the caches, of wide windows, and of channels that fill no vector."""
    for op_type, channels, size, window, stride, copies in (
        ("MaxPool", 64, 320, 2, 2, 3), ("MaxPool", 32, 256, 2, 2, 3), ("MaxPool", 512, 40, 2, 2, 3),
        ("MaxPool", 192, 13, 5, 1, 6), ("MaxPool", 24, 160, 3, 1, 4), ("MaxPool", 24, 112, 3, 2, 6),
        ("MaxPool", 40, 20, 3, 1, 6), ("AveragePool", 136, 28, 3, 2, 6), ("AveragePool", 24, 56, 3, 2, 6),
        ("AveragePool", 256, 28, 3, 1, 6), ("AveragePool", 32, 32, 2, 2, 3),
    ):  # fmt: skip
        build = _pools_of_one(op_type, (1, channels, size, size), window, stride)
        name = f"{op_type} {window}x{window}/{stride} of {channels} at {size}"
        yield Probe(name, build, copies, op_type)


def _pools_of_one(
    op_type: str, shape: Sequence[int], window: int, stride: int
) -> Callable[[int], bytes]:
    """Return a builder of pools of one image, which differ in where they pad: equal ones would be run as one."""

    def build(count: int) -> bytes:
        graph = Graph()
        value = graph.input(*shape)
        for number in range(count):
            top, left = divmod(number, window)
            pads = [top, left, window - 1 - top, window - 1 - left]
            made = graph.call(
                op_type, value, kernel_shape=[window] * 2, pads=pads, strides=[stride] * 2
            )
            graph.output(pool(graph, made))
        return graph.model()

    return build
