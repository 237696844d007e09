"""The microbenchmarks: ONNX models that repeat one operator, so that the difference of two lengths is its time.

A probe builds the same graph with any number of copies. Two lengths are timed; their difference holds copies alone, and
neither the start of a run nor what stands before and after the copies. Copies follow each other where shapes allow, and
read the same input side by side where they do not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roofline.node import Array

_OPSET = 17
_IR_VERSION = 8
_PERIOD = 65_521
"""Random values before they repeat: drawing all of them would take longer than timing a probe."""
_APART = 7919
"""Places from where one weight begins among them to where the next one does."""


@lru_cache(maxsize=1)
def _normals() -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal(_PERIOD, dtype=np.float32)


@lru_cache(maxsize=1)
def _whole() -> NDArray[np.int64]:
    return np.random.default_rng(0).integers(0, 100, _PERIOD)


def normal(shape: Sequence[int], place: int = 0) -> NDArray[np.float32]:
    """Return normal random values of a shape, which repeat after a while.

    Args:
        shape: Of the result.
        place: Where to begin: values from one place and another are not the same.
    """
    return np.resize(np.roll(_normals(), -place * _APART), tuple(shape))


class Graph:
    """An ONNX graph under construction; weights are drawn from a seeded generator.

    No two weights are the same: a runtime keeps equal ones once, and reads them from the nearest cache.
    """

    def __init__(self) -> None:
        from onnx import TensorProto, helper, numpy_helper

        self._helper: Any = helper
        self._numpy: Any = numpy_helper
        self._types: Any = TensorProto
        self._nodes: list[Any] = []
        self._stored: list[Any] = []
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []

    def input(self, *shape: int) -> str:
        """Declare a float input and return its name."""
        name = f"input_{len(self._inputs)}"
        kind = self._types.FLOAT
        self._inputs.append(self._helper.make_tensor_value_info(name, kind, shape))
        return name

    def weight(self, *shape: int, dtype: str = "float32", scale: float = 0.05) -> str:
        """Store random values of a shape, which repeat after a while, and return their name."""
        place = len(self._stored)
        if dtype.startswith("float"):
            return self.store((normal(shape, place) * np.float32(scale)).astype(dtype, copy=False))
        # Signed values lie around zero.
        low = 0 if dtype.startswith("u") else 50
        values = (np.roll(_whole(), -place * _APART) - low).astype(dtype)
        return self.store(np.resize(values, shape))

    def store(self, values: Array) -> str:
        """Store values and return their name."""
        name = f"stored_{len(self._stored)}"
        self._stored.append(self._numpy.from_array(np.asarray(values), name))
        return name

    def call(
        self, op_type: str, *operands: str, results: int = 1, domain: str = "", **attributes: Any
    ) -> str:
        """Add a call and return the name of its first result."""
        name = f"node_{len(self._nodes)}"
        names = [f"{name}_{number}" for number in range(results)]
        self._nodes.append(
            self._helper.make_node(
                op_type, operands, names, name=name, domain=domain, **attributes
            )
        )
        return names[0]

    def output(self, name: str) -> None:
        """Make a value a result of the graph."""
        self._outputs.append(self._helper.make_empty_tensor_value_info(name))

    def model(self) -> bytes:
        """Return the model, serialized."""
        graph = self._helper.make_graph(
            self._nodes, "probe", self._inputs, self._outputs, self._stored
        )
        opsets = [
            self._helper.make_opsetid("", _OPSET),
            self._helper.make_opsetid("com.microsoft", 1),
        ]
        model = self._helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)
        return model.SerializeToString()


Step = Callable[[Graph, str], str]
"""Adds one copy that reads a value, and returns what it makes."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One microbenchmark."""

    name: str
    build: Callable[[int], bytes]
    """Returns the model with so many copies."""
    copies: int
    """Copies in the longer of the two models; the shorter has one."""
    of: str
    """Operator that is measured; others in a copy belong to it."""
    role: str = "sample"
    """``sample`` of a kind of work, or what is found out: ``between``, ``lanes``, ``pattern``, ``overhead``."""
    about: Mapping[str, str] = field(default_factory=dict[str, str])


def chain(
    shape: Sequence[int], step: Step, tail: Step | None = None, head: Step | None = None
) -> Callable[[int], bytes]:
    """Return a builder whose copies each read the one before."""

    def build(count: int) -> bytes:
        graph = Graph()
        value = graph.input(*shape)
        if head is not None:
            value = head(graph, value)
        for _ in range(count):
            value = step(graph, value)
        graph.output(tail(graph, value) if tail is not None else value)
        return graph.model()

    return build


def half_chain(shape: Sequence[int], step: Step) -> Callable[[int], bytes]:
    """Return a builder of a chain in half precision, between a value in single precision and its result in it."""
    return chain(shape, step, tail=unary("Cast", to=1), head=unary("Cast", to=10))


_LARGE = 1 << 15
"""Elements of an input from which what is added to use a result up costs nothing beside it."""


USING_UP = ("Reshape", "Gather", "MaxPool")
"""Operators that stand behind a large result for that alone."""


def _first_element(graph: Graph, value: str) -> str:
    line = graph.call("Reshape", value, graph.store(np.array([-1], np.int64)))
    return graph.call("Gather", line, graph.store(np.array([0], np.int64)))


def branches(shape: Sequence[int], step: Step, *, kept: bool = False) -> Callable[[int], bytes]:
    """Return a builder whose copies stand side by side.

    Large results are used up at once, so that the next copy writes where the last one did, as in a network: results of
    a whole graph lie in memory that no cache has seen. Such copies have an input each, or they would be run as one.

    Args:
        shape: Of the input.
        step: Builds a copy.
        kept: Whether results are small, and those of the graph, whatever the input; all copies read the same one.
    """

    def build(count: int) -> bytes:
        graph = Graph()
        large = math.prod(shape) >= _LARGE and not kept
        value = graph.input(*shape)
        for number in range(count):
            if large and number:
                value = graph.input(*shape)
            made = step(graph, value)
            graph.output(_first_element(graph, made) if large else made)
        return graph.model()

    return build


def pool(graph: Graph, value: str) -> str:
    """Reduce an image to one value per channel: the cheapest end of a chain on packed channels."""
    return graph.call("GlobalAveragePool", value)


def pick(size: int) -> Step:
    """Return a step that takes one value of each channel of an image: packed channels are used up at no cost."""
    return unary("MaxPool", kernel_shape=[1, 1], strides=[size, size])


def convolution(
    inner: int,
    outer: int,
    kernel: int,
    *,
    groups: int = 1,
    stride: int = 1,
    flat: bool = False,
    width: int = 0,
    dtype: str = "float32",
) -> Step:
    """Return a step that convolves, "same" padding; ``width`` is of a kernel that is no square."""
    sizes = (kernel,) if flat else (kernel, width or kernel)

    def step(graph: Graph, value: str) -> str:
        weight = graph.weight(outer, inner // groups, *sizes, dtype=dtype)
        bias = graph.weight(outer, dtype=dtype)
        pads = [size // 2 for size in sizes] * 2
        if kernel % 2 == 0:
            pads = [kernel // 2 - 1] * len(sizes) + [kernel // 2] * len(sizes)
        return graph.call(
            "Conv", value, weight, bias, group=groups, pads=pads, strides=[stride] * len(sizes),
            kernel_shape=sizes,
        )  # fmt: skip

    return step


def in_turn(first: Step, second: Step) -> Step:
    """Return a step that does one after the other."""
    return lambda graph, value: second(graph, first(graph, value))


def unary(op_type: str, **attributes: Any) -> Step:
    """Return a step of one operand."""
    return lambda graph, value: graph.call(op_type, value, **attributes)


def binary(op_type: str, operand: Callable[[Graph, str], str]) -> Step:
    """Return a step of two operands; the second is made or found anew for each copy."""
    return lambda graph, value: graph.call(op_type, value, operand(graph, value))


def constant(*shape: int, value: float = 1.001) -> Callable[[Graph, str], str]:
    """Return the maker of a stored operand."""
    return lambda graph, _: graph.store(np.full(shape, value, np.float32))


def first_input(graph: Graph, value: str) -> str:  # noqa: ARG001
    """Return the graph's first input, whatever the value."""
    return "input_0"


def second_input(graph: Graph, value: str) -> str:  # noqa: ARG001
    """Return the graph's second input, whatever the value."""
    return "input_1"


def clip(graph: Graph, value: str) -> str:
    """Clip to 0 ... 6."""
    low, high = (graph.store(np.array(bound, np.float32)) for bound in (0.0, 6.0))
    return graph.call("Clip", value, low, high)


def view_as(shape: Sequence[int]) -> Step:
    """Return a view of a value in some shape."""
    return lambda graph, value: graph.call(
        "Reshape", value, graph.store(np.array(shape, np.int64))
    )


def linear_layer(inner: int, columns: int, bias: bool = False, dtype: str = "float32") -> Step:
    """Return a step that multiplies by a stored matrix, and adds a bias if asked for."""

    def step(graph: Graph, value: str) -> str:
        made = graph.call("MatMul", value, graph.weight(inner, columns, dtype=dtype))
        return graph.call("Add", made, graph.weight(columns)) if bias else made

    return step


def scale_and_zero(graph: Graph) -> tuple[str, str]:
    """Store the scale and the zero point of uint8 values and return their names."""
    return graph.store(np.array(0.05, np.float32)), graph.store(np.array(128, np.uint8))


def with_second(shape: Sequence[int], step: Step) -> Callable[[int], bytes]:
    """Return a builder of a chain whose copies also read a second input."""

    def build(count: int) -> bytes:
        graph = Graph()
        value = graph.input(*shape)
        graph.input(*shape)
        for _ in range(count):
            value = step(graph, value)
        graph.output(value)
        return graph.model()

    return build
