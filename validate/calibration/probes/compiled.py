"""The microbenchmarks of a backend that compiles a network: fewer, short, and apart where chains would be one kernel.

Each is compiled twice, for seconds. A chain of operators on elements is one kernel of a compiler, so that its copies
stand side by side here, and what uses each of them up is merged with nothing; and what is done on blocks of channels is
done behind a convolution.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from roofline.validate.calibration.probes.convolutions import convolutions, lanes
from roofline.validate.calibration.probes.graph import (
    Graph,
    Probe,
    Step,
    binary,
    chain,
    clip,
    constant,
    convolution,
    in_turn,
    pick,
    pool,
    unary,
)
from roofline.validate.calibration.probes.moves import pad
from roofline.validate.calibration.probes.neighbours import conversions, probes_between
from roofline.validate.calibration.probes.products import products

_COPIES = 3
"""Copies in the longer model, beyond which compiling takes longer than they tell."""
_BESIDE_SMALL = 24
_TAKEN = frozenset(
    f"conv {rest}"
    for rest in (
        "16-16 3x3 at 112", "32-32 3x3 at 56", "64-64 3x3 at 56", "128-128 3x3 at 28", "256-256 3x3 at 14",
        "512-512 3x3 at 7", "64-64 3x3 at 14", "64-64 3x3 at 112", "512-512 3x3 at 14", "24-24 3x3 at 40",
        "96-96 3x3 at 20", "16-16 3x3 at 20", "32-32 3x3 at 256", "256-32 3x3 at 14", "32-128 3x3 at 28",
        "64-64 5x5 at 28", "16 1x9 at 64",
        "16-64 1x1 at 112", "64-64 1x1 at 56", "64-256 1x1 at 56", "128-512 1x1 at 28", "256-1024 1x1 at 14",
        "512-2048 1x1 at 7", "96-24 1x1 at 28", "32-32 1x1 at 14", "256-256 1x1 at 28", "1024-1024 1x1 at 7",
        "128-128 1x1 at 4", "40-240 1x1 at 20", "512-512 1x1 at 1", "128-32 1x1 at 1", "128-16 1x1 at 160",
    )
) | frozenset(
    {
        "1x1/2 64-128 at 56", "1x1/2 256-512 at 28",
        "first 3-64 7x7/2 at 224", "first 3-32 3x3/2 at 112", "first 3-16 3x3/1 at 224", "first 1-32 3x3/1 at 64",
        "first 3-64 3x3/1 at 64", "first 3-32 3x3/2 at 640",
        "depthwise 64 3x3 at 112", "depthwise 128 3x3 at 56", "depthwise 512 3x3 at 14", "depthwise 256 3x3 at 28",
        "depthwise 1024 3x3 at 7", "depthwise 96 5x5 at 28", "depthwise 240 5x5 at 14", "depthwise 16 3x3 at 320",
        "depthwise 30 3x3 at 56", "depthwise 58 5x5 at 14", "depthwise 122 3x3 at 28",
        "grouped 128/4 at 28", "grouped 512/32 at 14", "grouped 256/2 at 14",
        "unrolled 10 3x3 at 56", "unrolled 30 3x3 at 28", "unrolled 50 1x1 at 28", "unrolled 130 3x3 at 14",
        "unrolled 18 1x1 at 112", "few 8 3x3 at 112", "few 12 3x3 at 56",
        "1-D 64 3 at 256", "1-D 128 3 at 64", "1-D 256 1 at 512", "1-D 32 5 at 4096", "1-D 64 7 at 1024",
        "1-D 258 3 at 16", "1-D 1-96 256/64 at 2048", "1-D 128 3 at 1, 1 item", "1-D depthwise 64 7 at 512",
        "transposed 64-32 2x2 at 28", "transposed 24-1 2x2 at 80", "transposed 128-64 3x3 at 14",
        "lanes 32", "lanes 40", "lanes 48", "lanes 56", "lanes 64",
    }
) | frozenset(
    f"{image} {rest}"
    for image in ("packed", "unpacked")
    for rest in ("64 at 14", "32 at 56", "128 at 28", "64 at 112", "512 at 7", "24 at 56")
)  # fmt: skip
_BETWEEN: Mapping[str, Step] = {
    "Abs": unary("Abs"), "Relu": unary("Relu"), "Clip": clip, "Sigmoid": unary("Sigmoid"), "Tanh": unary("Tanh"),
    "HardSigmoid": unary("HardSigmoid"), "HardSwish": unary("HardSwish"), "LeakyRelu": unary("LeakyRelu"),
    "PRelu": binary("PRelu", constant(16, 1, 1, value=0.2)), "Erf": unary("Erf"), "Exp": unary("Exp"),
    "Mul.channel": binary("Mul", constant(1, 16, 1, 1)),
}  # fmt: skip
"""What stands behind a convolution, and alone."""
_IMAGE = (1, 16, 112, 112)
_SIZES = ((1, 16, 16, 16), (1, 64, 64, 64), (1, 32, 256, 256))


def compiled_probes() -> list[Probe]:
    """Return the probes: those of other backends that tell something of a compiler too, and its own."""
    known = (*convolutions(), *lanes(), *products(), *conversions())
    taken = [
        probe
        for probe in known
        if probe.name in _TAKEN or probe.name.startswith(("matmul", "batched"))
    ]
    found = [replace(probe, copies=min(probe.copies, _COPIES)) for probe in taken]
    smallest = apart((1,), unary("Abs"))
    found.append(Probe("smallest operator", smallest, _BESIDE_SMALL, "Abs", "overhead"))
    return [*found, *_beside_convolutions(), *_passes(), *_over_images(), *_over_rows(), *_moves()]


def apart(shape: Sequence[int], step: Step) -> Callable[[int], bytes]:
    """Return a builder whose copies all read one input, and have a result of the graph each."""

    def build(count: int) -> bytes:
        graph = Graph()
        value = graph.input(*shape)
        for _ in range(count):
            graph.output(step(graph, value))
        return graph.model()

    return build


def over_image(shape: Sequence[int], step: Step) -> Callable[[int], bytes]:
    """Return a builder whose copies all read one image, and are used up at once by what is merged with nothing.

    As in a network, an image was just written when it is read, and the next copy writes where the last one did.
    """
    return apart(shape, in_turn(step, pick(max(shape[2:]))))


def _added(shape: Sequence[int]) -> Callable[[int], bytes]:
    """Return a builder of sums of two images."""

    def build(count: int) -> bytes:
        graph = Graph()
        first, second = graph.input(*shape), graph.input(*shape)
        for _ in range(count):
            graph.output(pick(shape[2])(graph, graph.call("Add", first, second)))
        return graph.model()

    return build


def _beside_convolutions() -> Iterator[Probe]:
    known = {probe.name: probe for probe in probes_between()}
    for name in ("none", "Add.same", "residual"):
        probe = known[f"between convolutions: {name}"]
        yield replace(probe, copies=_COPIES)
    convolve = convolution(16, 16, 1)
    for name, step in _BETWEEN.items():
        both = chain(_IMAGE, in_turn(convolve, step), pool)
        yield Probe(f"between convolutions: {name}", both, _COPIES, "Conv", "between", {"op": name})  # fmt: skip
        alone = over_image(_IMAGE, step)
        yield Probe(f"alone: {name}", alone, _COPIES, "Conv", "alone", {"op": name})
    added = _added(_IMAGE)
    yield Probe("alone: Add.same", added, _COPIES, "Conv", "alone", {"op": "Add.same"})


def _passes() -> Iterator[Probe]:
    for shape in _SIZES:
        size, copies = int(np.prod(shape)), 2 if shape == _SIZES[-1] else 4
        for name, step in (
            ("Relu", unary("Relu")), ("Sigmoid", unary("Sigmoid")), ("Tanh", unary("Tanh")), ("Exp", unary("Exp")),
            ("Erf", unary("Erf")), ("Mul channel", binary("Mul", constant(1, shape[1], 1, 1))),
            ("Add row", binary("Add", constant(shape[-1]))), ("Mul scalar", binary("Mul", constant())),
        ):  # fmt: skip
            yield Probe(
                f"{name} of {size}", over_image(shape, step), copies, name.partition(" ")[0]
            )
        added = _added(shape)
        yield Probe(f"Add same of {size}", added, copies, "Add")


def _over_images() -> Iterator[Probe]:
    """Yield pools behind a convolution, which leaves its image in blocks."""
    for channels, size, window in ((64, 56, 3), (64, 112, 2), (256, 14, 3), (24, 40, 3)):
        low, high = (window - 1) // 2, window // 2
        for op_type in ("MaxPool", "AveragePool"):
            step = unary(op_type, kernel_shape=[window] * 2, pads=[low, low, high, high])
            build = chain((1, channels, size, size), step, pool, convolution(channels, channels, 1))  # fmt: skip
            name = f"{op_type} {window}x{window} of {channels} at {size}"
            yield Probe(name, build, _COPIES, op_type)


def _over_rows() -> Iterator[Probe]:
    for rows, width in ((64, 64), (1536, 128), (100, 1000)):
        build = chain((rows, width), unary("Softmax", axis=-1))
        yield Probe(f"Softmax {rows}x{width}", build, 3, "Softmax")
    for rows, width in ((128, 64), (197, 768), (400, 120)):
        build = chain((1, rows, width), _layer_normalization(width))
        yield Probe(f"LayerNormalization {rows}x{width}", build, 3, "LayerNormalization")
    for shape, axes in (((1, 64, 56, 56), [2, 3]), ((197, 768), [1]), ((64, 8, 256), [1])):
        build = apart(shape, unary("ReduceMean", axes=axes))
        yield Probe(f"ReduceMean {shape} over {axes}", build, 3, "ReduceMean")


def _layer_normalization(width: int) -> Step:
    return lambda graph, value: graph.call(
        "LayerNormalization", value, graph.weight(width), graph.weight(width), axis=-1
    )


def _moves() -> Iterator[Probe]:
    steps: dict[str, Step] = {
        "Transpose all": unary("Transpose", perm=[0, 3, 2, 1]),
        "Transpose rows": unary("Transpose", perm=[0, 2, 1, 3]),
        "Transpose last": unary("Transpose", perm=[0, 2, 3, 1]),
        "Concat": lambda graph, value: graph.call("Concat", value, value, axis=1),
        "Pad": pad,
        "Resize nearest": _enlarge("nearest"),
        "Resize linear": _enlarge("linear"),
    }
    for channels, size in ((64, 28), (64, 112)):
        for name, step in steps.items():
            build = over_image((1, channels, size, size), step)
            yield Probe(f"{name} of {channels * size * size}", build, 3, name.partition(" ")[0])
    for rows in (16, 512):
        build = apart((4096, 64), _gather(rows))
        yield Probe(f"Gather {rows}", build, 4, "Gather")


def _enlarge(mode: str) -> Step:
    def step(graph: Graph, value: str) -> str:
        scales = graph.store(np.array([1, 1, 2, 2], np.float32))
        return graph.call("Resize", value, "", scales, mode=mode)

    return step


def _gather(rows: int) -> Step:
    places = (np.arange(rows) * 37) % 4096
    return lambda graph, value: graph.call("Gather", value, graph.store(places), axis=0)
