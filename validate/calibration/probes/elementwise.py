"""Elementwise functions, sums and products with their ways to repeat an operand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

import numpy as np

from roofline.validate.calibration.probes.graph import (
    Graph,
    Probe,
    Step,
    binary,
    branches,
    chain,
    clip,
    constant,
    second_input,
    unary,
    with_second,
)

Shape = tuple[int, int, int, int]
"""Of an image: items, channels, height, width."""

TINY: Shape = (1, 8, 4, 4)
_MIDDLE, _HUGE = (1, 64, 64, 64), (1, 32, 256, 256)
_SIZES = (TINY, (1, 16, 16, 16), _MIDDLE, _HUGE)
"""Images of 128, 4 Ki, 256 Ki and 2 Mi elements: nothing but the call, inside the first caches, and beyond them."""
_MEDIUM, _LARGE = (1, 64, 128, 128), (1, 64, 352, 352)
"""Images of 1 Mi and 8 Mi elements: at the border of the caches and beyond."""

_SLOW = frozenset({"Exp", "Log", "Erf", "Softplus", "Elu", "Tanh", "Sigmoid"})
"""Functions that compute longer than they wait for memory: their pace is the same beyond the caches."""
_ALONE = frozenset({"Max", "Sum"})
"""Operators whose operands are repeated as those of sums are, and rarely."""

_CHAINED = (
    "Relu", "Sigmoid", "Tanh", "Abs", "HardSigmoid", "HardSwish", "LeakyRelu", "Erf", "Softplus", "Elu", "Neg", "Floor",
)  # fmt: skip
"""Functions that may be repeated on their own result: it stays in their range."""
_BESIDE: Mapping[str, Step] = MappingProxyType(
    {"Exp": unary("Exp"), "Reciprocal": unary("Reciprocal"), "Cast": unary("Cast", to=6)}
)
"""Functions that are repeated side by side: their results leave the range, or the datatype."""
_TWO_OPERANDS = ("Add", "Mul", "Sub", "Div", "Max", "Sum")


def elementwise() -> list[Probe]:
    """Return the probes of elementwise functions, sums and products with their ways to repeat an operand."""
    return [
        *_functions(),
        *_two_operands(),
        *_with_parameters(),
        *_short_rows(),
        *_beyond_caches(),
    ]


def _of(
    op_type: str, shape: Shape, build: Callable[[int], bytes], count: int, *, name: str = ""
) -> Probe:
    copies = {TINY: 24, _HUGE: 4, _MIDDLE: min(count, 3)}.get(shape, count)
    return Probe(f"{name or op_type} of {np.prod(shape)}", build, copies, op_type)


def _sizes(op_type: str) -> tuple[Shape, ...]:
    return _SIZES[:-1] if op_type in _SLOW else _SIZES


def _passing_copies(shape: Shape, step: Step) -> Callable[[int], bytes]:
    """Return copies of a step as networks pass values on: of some size, each from where no copy has written.

    A chain writes over what it reads, in the nearest cache that holds it. Small values are there in a network too, and
    the largest in none.
    """
    return branches(shape, step) if shape in (_MIDDLE, _MEDIUM) else chain(shape, step)


def _functions() -> Iterator[Probe]:
    for op_type in _CHAINED:
        for shape in _sizes(op_type):
            yield _of(op_type, shape, _passing_copies(shape, unary(op_type)), 6)
    for shape in _SIZES:
        yield _of("Clip", shape, _passing_copies(shape, clip), 6)
    for op_type, step in _BESIDE.items():
        for shape in _sizes(op_type):
            yield _of(op_type, shape, branches(shape, step), 4)
    for op_type in ("Sqrt", "Log"):
        for shape in _sizes(op_type):
            yield _of(op_type, shape, _after_abs(shape, op_type), 4)


def _two_operands() -> Iterator[Probe]:
    for op_type in _TWO_OPERANDS:
        for shape in _SIZES:
            same = with_second(shape, binary(op_type, second_input))
            yield _of(op_type, shape, same, 6, name=f"{op_type} same")
            for form, dims in (
                ("channel", (1, shape[1], 1, 1)),
                ("row", shape[-1:]),
                ("scalar", ()),
            ):
                if op_type in _ALONE:
                    continue
                repeated = _passing_copies(shape, binary(op_type, constant(*dims)))
                yield _of(op_type, shape, repeated, 6, name=f"{op_type} {form}")


def _shift(channels: int) -> Step:
    """Return a step that moves every channel by a random amount: as in networks, signs lie in stretches."""
    return lambda graph, value: graph.call(
        "Add", value, graph.weight(1, channels, 1, 1, scale=1.0)
    )


def _slope_chain(shape: Shape) -> Callable[[int], bytes]:
    return chain(
        shape, binary("PRelu", constant(shape[1], 1, 1, value=0.2)), head=_shift(shape[1])
    )


def _with_parameters() -> Iterator[Probe]:
    for shape in _SIZES:
        squares = branches(shape, binary("Pow", constant(value=2.0)))
        yield _of("Pow", shape, squares, 4)
        yield _of("PRelu", shape, _slope_chain(shape), 4)
        yield _of(
            "Greater", shape, branches(shape, binary("Greater", constant())), 4, name="Equal"
        )
        yield _of("Where", shape, _where_copies(shape), 4)
    for shape in ((1, 1, 100, 200), (1, 64, 128, 128)):
        yield _of("Where", shape, _where_row_copies(shape), 3, name="Where row")
    for shape in ((1, 28, 115, 155), (1, 16, 117, 157), (1, 48, 22, 22), (1, 128, 3, 3)):
        yield _of("PRelu", shape, _slope_chain(shape), 3)
    yield Probe("PRelu of large", _slope_chain((1, 10, 238, 318)), 3, "PRelu")
    for op_type in ("Add", "Mul"):
        # Runs shorter than a vector of the machine, as of points in space, and runs of a few vectors.
        for shape, copies in (((1, 64, 512, 3), 3), ((1, 64, 200, 20), 3), ((1, 64, 4096, 3), 1)):
            in_runs = _passing_copies(shape, binary(op_type, constant(*shape[1:3], 1)))
            yield _of(op_type, shape, in_runs, copies, name=f"{op_type} short channel")
        shape = (1, 16, 64, 256)
        yield _of(
            op_type,
            shape,
            _passing_copies(shape, binary(op_type, constant(256))),
            4,
            name=f"{op_type} wide row",
        )


def _short_rows() -> Iterator[Probe]:
    """Yield two operands of which one is a row of few values: means and scales of images whose channels stand last."""
    for op_type in ("Add", "Mul", "Sub", "Div"):
        for shape in ((1, 128, 128, 3), (1, 64, 128, 12)):
            repeated = _passing_copies(shape, binary(op_type, constant(shape[-1])))
            yield _of(op_type, shape, repeated, 3, name=f"{op_type} short row")


def _beyond_caches() -> Iterator[Probe]:
    both_read = with_second(_LARGE, binary("Add", second_input))
    yield Probe("Add same of large", both_read, 2, "Add")
    for shape, copies in ((_MEDIUM, 3), (_LARGE, 1)):
        same = with_second(shape, binary("Mul", second_input))
        yield _of("Relu", shape, _passing_copies(shape, unary("Relu")), copies)
        yield _of("Mul", shape, same, copies, name="Mul same")
        added = _passing_copies(shape, binary("Add", constant()))
        yield _of("Add", shape, added, copies, name="Add scalar")


def _after_abs(shape: Shape, op_type: str) -> Callable[[int], bytes]:
    def build(count: int) -> bytes:
        graph = Graph()
        value = graph.call("Abs", graph.input(*shape))
        for _ in range(count):
            graph.output(graph.call(op_type, value))
        return graph.model()

    return build


def _where_row_copies(shape: Shape) -> Callable[[int], bytes]:
    """Return a builder of choices between a value and zero by one row that is repeated."""

    def build(count: int) -> bytes:
        graph = Graph()
        value, row = graph.input(*shape), graph.input(shape[-1])
        zero = graph.store(np.array(0.0, np.float32))
        condition = graph.call("Greater", row, zero)
        for _ in range(count):
            graph.output(graph.call("Where", condition, value, zero))
        return graph.model()

    return build


def _where_copies(shape: Shape) -> Callable[[int], bytes]:
    def build(count: int) -> bytes:
        graph = Graph()
        value, other = graph.input(*shape), graph.input(*shape)
        condition = graph.call("Greater", value, other)
        for _ in range(count):
            graph.output(graph.call("Where", condition, value, other))
        return graph.model()

    return build
