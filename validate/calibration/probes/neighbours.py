"""Convolutions with another operator between, behind or before them: absorbed, packed, or rearranged."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from roofline.validate.calibration.probes.elementwise import TINY
from roofline.validate.calibration.probes.graph import (
    Graph,
    Probe,
    Step,
    binary,
    branches,
    chain,
    clip,
    constant,
    convolution,
    first_input,
    in_turn,
    pool,
    second_input,
    unary,
    view_as,
)
from roofline.validate.calibration.probes.moves import pad
from roofline.validate.calibration.probes.patterns import ACTIVATIONS

_BETWEEN = (1, 16, 112, 112)
_JOINED = (1, 32, 28, 28)
_AMONG = ((96, 1), (256, 1), (256, 3))
"""Width of products among which small operators stand, and how often all of these do: the products' weights fill the
nearest caches, or go through them."""


JOINED_ELEMENTS = 32 * 28 * 28
"""Elements of each of two images that are joined: both stay in the nearest caches."""


BETWEEN_ELEMENTS = 16 * 112 * 112
"""Elements of the image between two convolutions: many beside its few channels, so that what stands between shows."""


def probes_between() -> list[Probe]:
    """Return convolutions with another operator between them: is it absorbed, and do channels stay packed?"""
    convolve = convolution(16, 16, 1)
    steps: dict[str, Step] = {
        "none": lambda _, value: value,
        "Abs": unary("Abs"),
        "Relu": unary("Relu"), "Clip": clip, "Sigmoid": unary("Sigmoid"), "Tanh": unary("Tanh"),
        "HardSigmoid": unary("HardSigmoid"), "HardSwish": unary("HardSwish"), "LeakyRelu": unary("LeakyRelu"),
        "PRelu": binary("PRelu", constant(16, 1, 1, value=0.2)),
        "Mul.channel": binary("Mul", constant(1, 16, 1, 1)), "Add.channel": binary("Add", constant(1, 16, 1, 1)),
        "Mul.scalar": binary("Mul", constant()), "Add.scalar": binary("Add", constant()),
            "Div.scalar": binary("Div", constant()),
        "Add.same": binary("Add", second_input), "Mul.same": binary("Mul", second_input),
        "MaxPool": unary("MaxPool", kernel_shape=[3, 3], pads=[1] * 4),
        "AveragePool": unary("AveragePool", kernel_shape=[3, 3], pads=[1] * 4),
        "Softmax": unary("Softmax", axis=1),
        "BatchNormalization": lambda graph, value: graph.call(
            "BatchNormalization", value, *[graph.store(np.full(16, 1.0, np.float32)) for _ in range(4)]
        ),
        **ACTIVATIONS,
    }  # fmt: skip
    found: list[Probe] = []
    for name, step in steps.items():
        build = _copies_between(in_turn(convolve, step), second=name in ("Add.same", "Mul.same"))
        found.append(
            Probe(f"between convolutions: {name}", build, 6, "Conv", "between", {"op": name})
        )
    residual = _residual(convolve)
    found.append(
        Probe("between convolutions: residual", residual, 6, "Conv", "between", {"op": "residual"})
    )
    for name, join in (("joined", True), ("apart", False)):
        found.append(Probe(f"{name} convolutions", _joined_pairs(join=join), 10, "Conv", "joined"))
    found.append(Probe("alone: Concat", branches(_JOINED, _join), 10, "Concat", "joined"))
    found += _probes_behind(convolve)
    found.append(Probe("mixed operators", chain(TINY, _mix), 3, "Add", "mixed"))
    found.append(Probe("views among operators", chain(TINY, _viewed), 12, "Abs", "views"))
    found += _passes()
    for width, times in _AMONG:
        name = f"operators among products {width} x{times}"
        found.append(Probe(name, _among(width, times), 1, "MatMul", "among"))
    alone = {"MaxPool", "AveragePool", "Softmax", "BatchNormalization", "none"}
    for name, step in steps.items():
        if name not in alone:
            second = name in ("Add.same", "Mul.same")
            builder = _copies_between(step, second=second, tail=False)
            found.append(Probe(f"alone: {name}", builder, 6, "Conv", "alone", {"op": name}))
    return found


def _probes_behind(convolve: Step) -> list[Probe]:
    """Return what may run on packed channels behind something that absorbs it not."""
    ones = [np.full(16, 1.0 + 0.01 * number, np.float32) for number in range(4)]
    steps: dict[str, Step] = {
        "none": lambda _, value: value,
        "BatchNormalization": lambda graph, value: graph.call(
            "BatchNormalization", value, *map(graph.store, ones)
        ),
        "Mul.channel": binary("Mul", constant(1, 16, 1, 1)),
        "Add.channel": binary("Add", constant(1, 16, 1, 1)),
        "Mul.scalar": binary("Mul", constant()),
        "Add.scalar": binary("Add", constant()),
    }
    found: list[Probe] = []
    for name, step in steps.items():
        build = chain(_BETWEEN, in_turn(in_turn(convolve, unary("Relu")), step), pool)
        found.append(Probe(f"behind Relu: {name}", build, 6, "Conv", "behind", {"op": name}))
    return found


def conversions() -> list[Probe]:
    """Return cheap convolutions on packed channels, with and without a view between them that takes none."""
    found: list[Probe] = []
    for channels, size, copies in (
        (64, 14, 12), (32, 56, 6), (128, 28, 6), (64, 112, 3), (24, 56, 6), (480, 20, 6), (96, 40, 5), (16, 160, 3),
        (512, 7, 12), (24, 320, 3), (256, 56, 3), (48, 224, 3), (96, 80, 3), (336, 20, 5), (192, 28, 5),
    ):  # fmt: skip
        convolve = convolution(channels, channels, 3, groups=channels)
        shape, about = (
            (1, channels, size, size),
            {"channels": str(channels), "size": str(size), "bytes": "4", "views": "1"},
        )
        for name, step in (("packed", convolve), ("unpacked", in_turn(convolve, view_as(shape)))):
            builder = chain(shape, step, pool)
            found.append(
                Probe(
                    f"{name} {channels} at {size}", builder, copies, "Conv", "convert",
                    {**about, "image": name},
                )
            )  # fmt: skip
    return found


def _copies_between(step: Step, *, second: bool, tail: bool = True) -> Callable[[int], bytes]:
    def build(count: int) -> bytes:
        graph = Graph()
        value = graph.input(*_BETWEEN)
        if second:
            graph.input(*_BETWEEN)
        if not tail:
            # Signs of an image differ by channel, as behind a convolution: some operators branch on them.
            value = graph.call("Add", value, graph.weight(1, _BETWEEN[1], 1, 1, scale=8.0))
        for _ in range(count):
            value = step(graph, value)
        graph.output(graph.call("GlobalAveragePool", value) if tail else value)
        return graph.model()

    return build


def _residual(convolve: Step) -> Callable[[int], bytes]:
    """Return a chain of sums with what was before two convolutions; all of it stands behind a first convolution."""

    def build(count: int) -> bytes:
        graph = Graph()
        value = convolve(graph, graph.input(*_BETWEEN))
        for _ in range(count):
            made = convolve(graph, convolve(graph, value))
            value = graph.call("Relu", graph.call("Add", made, value))
        graph.output(pool(graph, value))
        return graph.model()

    return build


def _joined_pairs(*, join: bool) -> Callable[[int], bytes]:
    """Return pairs of convolutions whose results are joined, or not, and pooled."""
    convolve = convolution(32, 32, 3, groups=32)

    def step(graph: Graph, value: str) -> str:
        first, second = convolve(graph, value), convolve(graph, value)
        if join:
            return pool(graph, graph.call("Concat", first, second, axis=1))
        return graph.call("Add", pool(graph, first), pool(graph, second))

    return branches(_JOINED, step)


def _passes() -> list[Probe]:
    """Return convolutions, in the longer model each followed by an operator that passes over what it made."""
    steps: dict[str, Step] = {
        "Abs": unary("Abs"), "Div": binary("Div", constant(value=1.5)), "Max": binary("Max", first_input),
        "Mul": binary("Mul", first_input), "MaxPool": unary("MaxPool", kernel_shape=[3, 3], pads=[1] * 4),
        "centred": lambda graph, value: graph.call("Sub", value, graph.call("ReduceMean", value, axes=[2, 3])),
        "Concat": lambda graph, value: graph.call("Split", _join(graph, value), axis=1, results=2),
        "Pad": lambda graph, value: graph.call("MaxPool", pad(graph, value), kernel_shape=[3, 3]),
    }  # fmt: skip
    return [
        Probe(
            f"convolutions with {name} at {size}", _follow((1, channels, size, size), step), 1,
            "Conv", "passes",
        )
        for channels, size in ((32, 28), (64, 56), (64, 112))
        for name, step in steps.items()
    ]  # fmt: skip


def _join(graph: Graph, value: str) -> str:
    return graph.call("Concat", value, value, axis=1)


def _follow(shape: Sequence[int], step: Step) -> Callable[[int], bytes]:
    def build(count: int) -> bytes:
        graph = Graph()
        value = graph.input(*shape)
        for _ in range(3):
            value = convolution(shape[1], shape[1], 1)(graph, value)
            if count > 1:
                value = step(graph, value)
        graph.output(pool(graph, value))
        return graph.model()

    return build


def _mix(graph: Graph, value: str) -> str:
    """Add operators of twelve kinds on 128 elements, one after the other: none finds its code where it was."""
    steps: tuple[Step, ...] = (
        binary("Add", constant(1, 8, 1, 1)), unary("Sigmoid"), unary("Transpose", perm=[0, 1, 3, 2]), pad,
        unary("Softmax", axis=-1), _cut, unary("Tanh"), binary("Pow", constant(value=2.0)), unary("Sqrt"),
        unary("ReduceMean", axes=[-1]), binary("Mul", first_input), _double,
    )  # fmt: skip
    for step in steps:
        value = step(graph, value)
    return value


def _among(width: int, times: int) -> Callable[[int], bytes]:
    """Return products by stored matrices, in the longer model each followed by small operators of other kinds.

    What a small operator needs, its code and what the runtime knows of it, is in no near cache after a product.
    """
    ends = [np.array([bound], np.int64) for bound in (0, width - 1, 1)]

    def cut(graph: Graph, value: str) -> str:
        shorter = graph.call("Slice", value, *map(graph.store, ends), graph.store(ends[2]))
        return graph.call("Pad", shorter, graph.store(np.array([0, 0, 0, 1], np.int64)))

    def turn(graph: Graph, value: str) -> str:
        column = graph.call("Transpose", value, perm=[1, 0])
        return graph.call("Reshape", column, graph.store(np.array([1, width], np.int64)))

    def centre(graph: Graph, value: str) -> str:
        return graph.call("Sub", value, graph.call("ReduceMean", value, axes=[-1]))

    steps: tuple[Step, ...] = (
        unary("Sigmoid"), unary("Tanh"), _double, binary("Mul", first_input), clip, cut,
        in_turn(unary("Abs"), unary("Sqrt")), centre, binary("Pow", constant(value=2.0)),
        unary("Softmax", axis=-1), turn,
    )  # fmt: skip

    def build(count: int) -> bytes:
        graph = Graph()
        value = graph.input(1, width)
        for step in steps * times:
            value = graph.call("MatMul", value, graph.weight(width, width))
            if count > 1:
                value = step(graph, value)
        graph.output(value)
        return graph.model()

    return build


def _viewed(graph: Graph, value: str) -> str:
    """Add three operators, each behind another view of 128 elements."""
    ends = graph.store(np.array([0], np.int64))
    value = graph.call("Abs", graph.call("Unsqueeze", value, ends))
    value = graph.call("Abs", graph.call("Squeeze", value, ends))
    return graph.call("Abs", view_as(TINY)(graph, value))


def _cut(graph: Graph, value: str) -> str:
    """Take away what `pad` put around an image of 4 x 4."""
    bounds = [graph.store(np.array([bound, bound], np.int64)) for bound in (1, 5)]
    return graph.call("Slice", value, *bounds, graph.store(np.array([2, 3], np.int64)))


def _double(graph: Graph, value: str) -> str:
    """Join a value with itself and take the half of it."""
    return graph.call("Split", graph.call("Concat", value, value, axis=1), axis=1, results=2)
