"""The microbenchmarks: ONNX models that repeat one operator, so that the difference of two lengths is its time.

A probe builds the same graph with any number of copies. Two lengths are timed; their difference holds copies alone, and
neither the start of a run nor what stands before and after the copies. Copies follow each other where shapes allow, and
read the same input side by side where they do not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from roofline.node import Array
from roofline.number_format import plural

_OPSET = 17
_IR_VERSION = 8
_PERIOD = 65_521
"""Random values before they repeat: drawing all of them would take longer than timing a probe."""


class Graph:
    """An ONNX graph under construction; weights are drawn from a seeded generator."""

    def __init__(self) -> None:
        from onnx import TensorProto, helper, numpy_helper

        self._helper: Any = helper
        self._numpy: Any = numpy_helper
        self._types: Any = TensorProto
        self._nodes: list[Any] = []
        self._stored: list[Any] = []
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []
        random = np.random.default_rng(0)
        self._normal = random.standard_normal(_PERIOD).astype(np.float32)
        self._whole = random.integers(0, 100, _PERIOD)

    def input(self, *shape: int) -> str:
        """Declare a float input and return its name."""
        name = f"input_{len(self._inputs)}"
        kind = self._types.FLOAT
        self._inputs.append(self._helper.make_tensor_value_info(name, kind, shape))
        return name

    def weight(self, *shape: int, dtype: str = "float32", scale: float = 0.05) -> str:
        """Store random values of a shape, which repeat after a while, and return their name."""
        if dtype.startswith("float"):
            return self.store(np.resize(self._normal * np.float32(scale), shape).astype(dtype))
        # Signed values lie around zero.
        low = 0 if dtype.startswith("u") else 50
        return self.store(np.resize((self._whole - low).astype(dtype), shape))

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


def chain(shape: Sequence[int], step: Step, tail: Step | None = None) -> Callable[[int], bytes]:
    """Return a builder whose copies each read the one before."""

    def build(count: int) -> bytes:
        graph = Graph()
        value = graph.input(*shape)
        for _ in range(count):
            value = step(graph, value)
        graph.output(tail(graph, value) if tail is not None else value)
        return graph.model()

    return build


def branches(shape: Sequence[int], step: Step) -> Callable[[int], bytes]:
    """Return a builder whose copies read the same input side by side."""

    def build(count: int) -> bytes:
        graph = Graph()
        value = graph.input(*shape)
        for _ in range(count):
            graph.output(step(graph, value))
        return graph.model()

    return build


def pooled(graph: Graph, value: str) -> str:
    """Reduce an image to one value per channel: the cheapest end of a chain on packed channels."""
    return graph.call("GlobalAveragePool", value)


def convolution(
    inner: int,
    outer: int,
    kernel: int,
    *,
    groups: int = 1,
    stride: int = 1,
    flat: bool = False,
    width: int = 0,
) -> Step:
    """Return a step that convolves, "same" padding; ``width`` is of a kernel that is no square."""
    sizes = (kernel,) if flat else (kernel, width or kernel)

    def step(graph: Graph, value: str) -> str:
        weight = graph.weight(outer, inner // groups, *sizes)
        bias = graph.weight(outer)
        pads = [size // 2 for size in sizes] * 2
        if kernel % 2 == 0:
            pads = [kernel // 2 - 1] * len(sizes) + [kernel // 2] * len(sizes)
        return graph.call(
            "Conv", value, weight, bias, group=groups, pads=pads, strides=[stride] * len(sizes),
            kernel_shape=sizes,
        )  # fmt: skip

    return step


def both(first: Step, second: Step) -> Step:
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


def _first(graph: Graph, value: str) -> str:  # noqa: ARG001
    """Return the graph's first input, whatever the value."""
    return "input_0"


def _second(graph: Graph, value: str) -> str:  # noqa: ARG001
    """Return the graph's second input, whatever the value."""
    return "input_1"


def clip(graph: Graph, value: str) -> str:
    """Clip to 0 ... 6."""
    low, high = (graph.store(np.array(bound, np.float32)) for bound in (0.0, 6.0))
    return graph.call("Clip", value, low, high)


def convolutions() -> list[Probe]:
    """Return the probes of convolutions in floating point."""
    found: list[Probe] = []

    def add(name: str, build: Callable[[int], bytes], copies: int) -> None:
        found.append(Probe(name, build, copies, "Conv"))

    def pair(c1: int, c2: int, size: int, kernel: int, copies: int) -> None:
        step = convolution(c1, c2, kernel)
        if c1 != c2:
            step = both(step, convolution(c2, c1, kernel))
        add(
            f"conv {c1}-{c2} {kernel}x{kernel} at {size}",
            chain((1, c1, size, size), step, pooled),
            copies,
        )

    for c1, c2, size, copies in (
        (16, 16, 112, 6), (32, 32, 56, 6), (64, 64, 56, 3), (128, 128, 28, 3), (256, 256, 14, 4), (512, 512, 7, 4),
        (64, 64, 14, 8), (32, 128, 28, 3), (64, 64, 224, 1),
        (512, 512, 28, 1), (256, 32, 14, 4), (512, 512, 14, 2), (64, 64, 112, 2), (24, 24, 40, 8),
        (96, 96, 20, 5), (16, 16, 20, 12),
    ):  # fmt: skip
        pair(c1, c2, size, 3, copies)
    for c1, c2, size, copies in (
        (16, 64, 112, 4), (64, 64, 56, 8), (64, 256, 56, 3), (128, 512, 28, 3), (256, 1024, 14, 3), (512, 2048, 7, 3),
        (96, 24, 28, 8), (32, 32, 14, 16), (256, 256, 28, 5), (1024, 1024, 7, 4), (128, 128, 4, 10), (40, 240, 20, 6),
        (512, 512, 1, 12), (128, 32, 1, 20),
    ):  # fmt: skip
        pair(c1, c2, size, 1, copies)
    for c1, c2, size, kernel, copies in (
        (64, 64, 28, 5, 3),
        (16, 16, 40, 7, 5),
        (128, 128, 14, 5, 3),
    ):
        pair(c1, c2, size, kernel, copies)
    for inner, outer, size, kernel, stride, copies in (
        (3, 64, 224, 7, 2, 3), (3, 32, 112, 3, 2, 8), (3, 16, 224, 3, 1, 4), (1, 32, 64, 3, 1, 10),
        (3, 64, 64, 3, 1, 6),
        (1, 64, 128, 5, 1, 5),
    ):  # fmt: skip
        step = both(convolution(inner, outer, kernel, stride=stride), pooled)
        add(
            f"first {inner}-{outer} {kernel}x{kernel}/{stride} at {size}",
            branches((1, inner, size, size), step),
            copies,
        )
    for inner, outer, size, copies in ((64, 128, 56, 5), (256, 512, 28, 4)):
        step = both(convolution(inner, outer, 1, stride=2), pooled)
        add(f"1x1/2 {inner}-{outer} at {size}", branches((1, inner, size, size), step), copies)
    for channels, size, kernel, copies in (
        (64, 112, 3, 5), (128, 56, 3, 6), (512, 14, 3, 10), (256, 28, 3, 8), (1024, 7, 3, 10), (96, 28, 5, 8),
        (240, 14, 5, 10), (64, 28, 7, 6), (128, 14, 9, 5), (32, 40, 11, 4),
    ):  # fmt: skip
        step = convolution(channels, channels, kernel, groups=channels)
        add(
            f"depthwise {channels} {kernel}x{kernel} at {size}",
            chain((1, channels, size, size), step, pooled),
            copies,
        )
    for channels, size, kernel, copies in (
        (30, 56, 3, 5),
        (122, 28, 3, 5),
        (58, 14, 5, 6),
        (30, 14, 3, 10),
        (18, 80, 5, 3),
    ):
        step = convolution(channels, channels, kernel, groups=channels)
        add(
            f"depthwise {channels} {kernel}x{kernel} at {size}",
            chain((1, channels, size, size), step, pooled),
            copies,
        )
    for channels, groups, size, copies in (
        (128, 4, 28, 4),
        (256, 16, 14, 6),
        (512, 32, 14, 4),
        (272, 8, 14, 6),
        (64, 8, 28, 5),
        (128, 32, 28, 4),
        (96, 3, 20, 4),
        (240, 15, 14, 4),
    ):
        step = convolution(channels, channels, 3, groups=groups)
        add(
            f"grouped {channels}/{groups} at {size}",
            chain((1, channels, size, size), step, pooled),
            copies,
        )
    for c1, size, kernel, copies in (
        (10, 56, 3, 5),
        (30, 28, 3, 5),
        (50, 28, 1, 8),
        (130, 14, 3, 4),
        (18, 112, 1, 5),
        (50, 7, 3, 8),
        (22, 56, 5, 3),
    ):
        add(
            f"unrolled {c1} {kernel}x{kernel} at {size}",
            chain((1, c1, size, size), convolution(c1, c1, kernel), pooled),
            copies,
        )
    for channels, size, kernel, copies in (
        (64, 256, 3, 8), (128, 64, 3, 8), (128, 4, 3, 12), (256, 512, 1, 4), (32, 4096, 5, 4),
        (258, 16, 3, 5), (64, 1024, 7, 4),
        (256, 32, 3, 5), (64, 16, 3, 12), (32, 32, 5, 12), (512, 128, 1, 3), (128, 256, 9, 3),
        (64, 7500, 3, 2), (16, 2048, 15, 3),
    ):  # fmt: skip
        step = convolution(channels, channels, kernel, flat=True)
        add(f"1-D {channels} {kernel} at {size}", chain((1, channels, size), step), copies)
    for channels, size, kernel, items, copies in (
        (128, 4, 3, 16, 3),
        (64, 64, 3, 8, 2),
        (128, 1, 3, 1, 12),
    ):
        step = convolution(channels, channels, kernel, flat=True)
        add(
            f"1-D {channels} {kernel} at {size}, {plural(items, 'item')}",
            chain((items, channels, size), step),
            copies,
        )
    for inner, outer, size, kernel, stride, copies in (
        (1, 258, 640, 256, 64, 4),
        (128, 64, 4, 3, 2, 12),
        (64, 64, 2, 3, 2, 12),
        (64, 128, 1, 3, 1, 12),
        (1, 64, 4096, 9, 2, 4),
        (129, 128, 8, 3, 1, 6),
        (40, 96, 400, 5, 2, 3),
    ):
        step = convolution(inner, outer, kernel, stride=stride, flat=True)
        add(
            f"1-D {inner}-{outer} {kernel}/{stride} at {size}",
            branches((1, inner, size), step),
            copies,
        )
    for channels, groups, size, copies in (
        (272, 4, 28, 5),
        (136, 4, 28, 6),
        (544, 4, 14, 6),
        (64, 4, 28, 8),
        (1088, 4, 7, 4),
        (240, 3, 28, 4),
    ):
        step = convolution(channels, channels, 1, groups=groups)
        add(
            f"grouped {channels}/{groups} 1x1 at {size}",
            chain((1, channels, size, size), step, pooled),
            copies,
        )
    for c1, size, kernel, copies in (
        (8, 112, 3, 5),
        (8, 64, 7, 4),
        (12, 56, 3, 6),
        (8, 56, 1, 10),
    ):
        add(
            f"few {c1} {kernel}x{kernel} at {size}",
            chain((1, c1, size, size), convolution(c1, c1, kernel), pooled),
            copies,
        )
    for c1, size, kernel, width, copies in (
        (8, 64, 3, 39, 3),
        (8, 128, 3, 25, 2),
        (32, 40, 3, 15, 2),
        (64, 14, 9, 9, 2),
        (16, 64, 1, 9, 4),
    ):
        step = convolution(c1, c1, kernel, width=width)
        add(
            f"conv {c1} {kernel}x{width} at {size}",
            chain((1, c1, size, size), step, pooled),
            copies,
        )
    for c1, size, kernel, items, copies in ((64, 28, 3, 8, 2), (256, 14, 1, 8, 3)):
        add(
            f"conv {c1} {kernel}x{kernel} at {size}, {plural(items, 'item')}",
            chain((items, c1, size, size), convolution(c1, c1, kernel), pooled),
            copies,
        )
    for channels, size, kernel, copies in ((64, 512, 7, 5), (256, 64, 3, 8)):
        step = convolution(channels, channels, kernel, flat=True, groups=channels)
        add(
            f"1-D depthwise {channels} {kernel} at {size}",
            chain((1, channels, size), step),
            copies,
        )
    for inner, outer, size, kernel, copies in (
        (64, 32, 28, 2, 4),
        (32, 16, 56, 4, 3),
        (128, 64, 14, 3, 3),
        (24, 1, 80, 2, 5),
        (16, 16, 20, 3, 6),
        (256, 128, 14, 2, 2),
        (24, 24, 160, 2, 2),
    ):
        step = _transposed(inner, outer, kernel)
        found.append(
            Probe(f"transposed {inner}-{outer} {kernel}x{kernel} at {size}", branches((1, inner,
                size, size), step), copies,
                  "ConvTranspose")
        )  # fmt: skip
    return found


def _transposed(inner: int, outer: int, kernel: int) -> Step:
    def step(graph: Graph, value: str) -> str:
        weight = graph.weight(inner, outer, kernel, kernel)
        return graph.call(
            "ConvTranspose", value, weight, strides=[2, 2], kernel_shape=[kernel, kernel]
        )

    return step


def lanes() -> list[Probe]:
    """Return convolutions whose output channels grow by four: their times step at whole vectors."""
    made: list[Probe] = []
    for outer in (32, 36, 40, 44, 48, 52, 56, 60, 64):
        step = both(convolution(32, outer, 3), convolution(outer, 32, 3))
        made.append(
            Probe(f"lanes {outer}", chain((1, 32, 28, 28), step, pooled), 4, "Conv", "lanes")
        )
    return made


def products() -> list[Probe]:
    """Return the probes of matrix products in floating point, with and without stored weights."""
    found: list[Probe] = []
    for rows, inner, columns, copies in (
        (1, 256, 256, 20), (1, 512, 512, 8), (1, 1024, 1024, 6), (1, 2048, 2048, 4), (1, 4096, 4096, 3),
        (1, 64, 64, 30),
        (4, 256, 256, 12), (4, 1024, 1024, 4), (8, 512, 512, 6), (12, 256, 1024, 4), (4, 2048, 2048, 3),
        (16, 256, 256, 10), (32, 512, 512, 5), (64, 128, 128, 12), (128, 768, 768, 2), (128, 384, 1536, 2),
        (64, 256, 1024, 3),
        (256, 64, 64, 10), (400, 96, 384, 3), (1024, 128, 128, 4), (16, 1024, 4096, 2), (197, 192, 768, 3),
        (40, 120, 120, 10),
    ):  # fmt: skip
        step = _linear(inner, columns)
        if inner != columns:
            step = both(step, _linear(columns, inner))
        found.append(
            Probe(
                f"matmul {rows}x{inner}x{columns}", chain((1, rows, inner), step), copies, "MatMul"
            )
        )
    for rows, inner, columns, copies in ((1024, 256, 1, 4), (128, 512, 15, 6)):
        builder = branches((1, rows, inner), _linear(inner, columns))
        found.append(Probe(f"matmul {rows}x{inner}x{columns}", builder, copies, "MatMul"))
    for copies, size, long in (
        (1, 128, 6),
        (8, 64, 4),
        (12, 128, 3),
        (6, 197, 3),
        (8, 16, 10),
        (4, 400, 2),
    ):
        depth = 64 if size > 16 else 32
        found.append(
            Probe(
                f"batched {copies}x{size}x{depth}", _batched(copies, size, depth), long, "MatMul"
            )
        )
    return found


def _linear(inner: int, columns: int, bias: bool = False) -> Step:
    def step(graph: Graph, value: str) -> str:
        made = graph.call("MatMul", value, graph.weight(inner, columns))
        return graph.call("Add", made, graph.weight(columns)) if bias else made

    return step


def _batched(copies: int, size: int, depth: int) -> Callable[[int], bytes]:
    def build(count: int) -> bytes:
        graph = Graph()
        value = graph.input(1, copies, size, depth)
        keys, values = graph.input(1, copies, depth, size), graph.input(1, copies, size, depth)
        for _ in range(count):
            value = graph.call("MatMul", graph.call("MatMul", value, keys), values)
        graph.output(value)
        return graph.model()

    return build


def integers() -> list[Probe]:
    """Return the probes of products in int8, quantized before the run and in it, and of weights in int4."""
    found: list[Probe] = []
    for rows, inner, columns, copies in (
        (1, 512, 512, 10), (1, 2048, 2048, 4), (4, 512, 512, 8), (16, 256, 256, 10), (32, 512, 512, 6),
        (128, 384, 384, 5),
        (128, 768, 768, 3), (256, 256, 1024, 3),
    ):  # fmt: skip
        dynamic, static = _dynamic_linear(inner, columns), _static_linear(inner, columns)
        if inner != columns:
            dynamic = both(dynamic, _dynamic_linear(columns, inner))
            static = both(static, _static_linear(columns, inner))
        found.append(
            Probe(
                f"dynamic {rows}x{inner}x{columns}",
                chain((1, rows, inner), dynamic),
                copies,
                "MatMulInteger",
            )
        )
        found.append(
            Probe(
                f"static {rows}x{inner}x{columns}",
                _quantized((1, rows, inner), static),
                copies,
                "QLinearMatMul",
            )
        )
    for rows, inner, columns, copies in ((1024, 512, 1, 4), (64, 512, 15, 8), (64, 512, 512, 4)):
        builder = branches((1, rows, inner), _dynamic_linear(inner, columns))
        found.append(Probe(f"dynamic {rows}x{inner}x{columns}", builder, copies, "MatMulInteger"))
    for c1, size, kernel, groups, copies in (
        (64, 56, 3, 1, 4), (128, 28, 3, 1, 4), (256, 14, 3, 1, 4), (64, 56, 1, 1, 8), (256, 14, 1, 1, 8),
        (512, 7, 1, 1, 8),
        (32, 56, 3, 32, 6), (256, 14, 3, 256, 8),
    ):  # fmt: skip
        step = _static_convolution(c1, kernel, groups)
        found.append(
            Probe(f"static conv {c1} {kernel}x{kernel}/{groups} at {size}", _quantized((1, c1,
                size, size), step), copies,
                  "QLinearConv")
        )  # fmt: skip
    for c1, size, kernel, copies in ((64, 28, 3, 4), (128, 14, 1, 6)):
        found.append(
            Probe(f"dynamic conv {c1} {kernel}x{kernel} at {size}", chain((1, c1, size, size),
                _dynamic_convolution(c1, kernel)),
                  copies, "ConvInteger")
        )  # fmt: skip
    for rows, size, copies in ((1, 1024, 6), (1, 2048, 4), (16, 1024, 3)):
        found.append(
            Probe(
                f"int4 {rows}x{size}",
                chain((1, rows, size), _four_bits(size)),
                copies,
                "MatMulNBits",
            )
        )
    return found


def _dynamic(graph: Graph, value: str) -> tuple[str, str, str]:
    first = graph.call("DynamicQuantizeLinear", value, results=3)
    stem = first.rpartition("_")[0]
    return first, f"{stem}_1", f"{stem}_2"


def _scaled(graph: Graph, product: str, scale: str) -> str:
    cast = graph.call("Cast", product, to=1)
    factor = graph.call("Mul", scale, graph.store(np.array(0.003, np.float32)))
    return graph.call("Mul", cast, factor)


def _dynamic_linear(inner: int, columns: int) -> Step:
    def step(graph: Graph, value: str) -> str:
        quantized, scale, zero = _dynamic(graph, value)
        weight = graph.weight(inner, columns, dtype="int8")
        none = graph.store(np.array(0, np.int8))
        return _scaled(graph, graph.call("MatMulInteger", quantized, weight, zero, none), scale)

    return step


def _dynamic_convolution(channels: int, kernel: int) -> Step:
    def step(graph: Graph, value: str) -> str:
        quantized, scale, zero = _dynamic(graph, value)
        weight = graph.weight(channels, channels, kernel, kernel, dtype="uint8")
        none = graph.store(np.array(128, np.uint8))
        made = graph.call(
            "ConvInteger",
            quantized,
            weight,
            zero,
            none,
            pads=[kernel // 2] * 4,
            kernel_shape=[kernel, kernel],
        )
        return _scaled(graph, made, scale)

    return step


def _scale(graph: Graph) -> tuple[str, str]:
    return graph.store(np.array(0.05, np.float32)), graph.store(np.array(128, np.uint8))


def _static_linear(inner: int, columns: int) -> Step:
    def step(graph: Graph, value: str) -> str:
        scale, zero = _scale(graph)
        weight = graph.weight(inner, columns, dtype="int8")
        own, none = graph.store(np.array(0.003, np.float32)), graph.store(np.array(0, np.int8))
        return graph.call("QLinearMatMul", value, scale, zero, weight, own, none, scale, zero)

    return step


def _static_convolution(channels: int, kernel: int, groups: int) -> Step:
    def step(graph: Graph, value: str) -> str:
        scale, zero = _scale(graph)
        weight = graph.weight(channels, channels // groups, kernel, kernel, dtype="int8")
        own, none = graph.store(np.array(0.003, np.float32)), graph.store(np.array(0, np.int8))
        return graph.call(
            "QLinearConv", value, scale, zero, weight, own, none, scale, zero, group=groups, pads=[kernel // 2] * 4,
            kernel_shape=[kernel, kernel],
        )  # fmt: skip

    return step


def _quantized(shape: Sequence[int], step: Step) -> Callable[[int], bytes]:
    """Return a chain on uint8 values, quantized before it and restored after it."""

    def build(count: int) -> bytes:
        graph = Graph()
        scale, zero = _scale(graph)
        value = graph.call("QuantizeLinear", graph.input(*shape), scale, zero)
        for _ in range(count):
            value = step(graph, value)
        graph.output(graph.call("DequantizeLinear", value, scale, zero))
        return graph.model()

    return build


def _four_bits(size: int) -> Step:
    def step(graph: Graph, value: str) -> str:
        blocks = size // 32
        packed = graph.weight(size, blocks, 16, dtype="uint8")
        scales = graph.weight(size * blocks)
        return graph.call(
            "MatMulNBits",
            value,
            packed,
            scales,
            domain="com.microsoft",
            K=size,
            N=size,
            bits=4,
            block_size=32,
        )

    return step


def recurrent() -> list[Probe]:
    """Return the probes of recurrent layers: gates in floating point and in int8."""
    found: list[Probe] = []
    for width, hidden, steps, directions, copies in (
        (128, 128, 1, 1, 8), (64, 64, 50, 2, 3), (128, 128, 20, 1, 5), (256, 256, 40, 2, 2),
        (160, 64, 100, 1, 3), (512, 256, 25, 2, 2), (128, 256, 64, 2, 2),
        (64, 128, 10, 1, 6),
    ):  # fmt: skip
        for cell, gates in (("LSTM", 4), ("GRU", 3)):
            step = _cell(cell, gates, width, hidden, directions)
            found.append(
                Probe(
                    f"{cell} {width}-{hidden} x{directions} over {steps}",
                    branches((steps, 1, width), step),
                    copies,
                    cell,
                )
            )
        if hidden > 64 or steps > 1:
            step = _quantized_cell(width, hidden, directions)
            found.append(
                Probe(f"DynamicQuantizeLSTM {width}-{hidden} x{directions} over {steps}",
                    branches((steps, 1, width), step),
                      copies, "DynamicQuantizeLSTM")
            )  # fmt: skip
    return found


def _cell(cell: str, gates: int, width: int, hidden: int, directions: int) -> Step:
    def step(graph: Graph, value: str) -> str:
        weights = [graph.weight(directions, gates * hidden, size) for size in (width, hidden)]
        bias = graph.weight(directions, 2 * gates * hidden)
        extra = {"linear_before_reset": 1} if cell == "GRU" else {}
        direction = "bidirectional" if directions == 2 else "forward"
        return graph.call(
            cell, value, *weights, bias, hidden_size=hidden, direction=direction, **extra
        )

    return step


def _quantized_cell(width: int, hidden: int, directions: int) -> Step:
    def step(graph: Graph, value: str) -> str:
        weights = [
            graph.weight(directions, size, 4 * hidden, dtype="int8") for size in (width, hidden)
        ]
        bias = graph.weight(directions, 8 * hidden)
        scales = [graph.store(np.full((directions,), 0.003, np.float32)) for _ in range(2)]
        zeros = [graph.store(np.zeros((directions,), np.int8)) for _ in range(2)]
        direction = "bidirectional" if directions == 2 else "forward"
        return graph.call(
            "DynamicQuantizeLSTM", value, *weights, bias, "", "", "", "", scales[0], zeros[0], scales[1], zeros[1],
            domain="com.microsoft", hidden_size=hidden, direction=direction,
        )  # fmt: skip

    return step


_TINY = (1, 8, 4, 4)
_HUGE = (1, 32, 256, 256)
_SIZES = (_TINY, (1, 16, 16, 16), (1, 64, 64, 64), _HUGE)
"""Images of 128, 4 Ki, 256 Ki and 2 Mi elements: nothing but the call, inside the first caches, and beyond them."""
_MEDIUM = (1, 64, 128, 128)
_LARGE = (1, 64, 352, 352)
"""Images of 1 Mi and 8 Mi elements: at the border of the caches and beyond."""


def _copies(shape: Sequence[int], count: int) -> int:
    """Return how many copies to take: many of what is over in a moment."""
    return 24 if shape == _TINY else 2 if shape == _HUGE else count


def elementwise() -> list[Probe]:
    """Return the probes of elementwise functions, sums and products with their ways to repeat an operand."""
    found: list[Probe] = []
    safe = (
        "Relu",
        "Sigmoid",
        "Tanh",
        "Abs",
        "HardSigmoid",
        "HardSwish",
        "LeakyRelu",
        "Erf",
        "Softplus",
        "Elu",
        "Neg",
        "Floor",
    )
    for op_type in safe:
        found += [
            Probe(
                f"{op_type} of {np.prod(shape)}",
                chain(shape, unary(op_type)),
                _copies(shape, 6),
                op_type,
            )
            for shape in _SIZES
        ]
    found += [
        Probe(f"Clip of {np.prod(shape)}", chain(shape, clip), _copies(shape, 6), "Clip")
        for shape in _SIZES
    ]
    for op_type in ("Exp", "Log", "Sqrt", "Reciprocal", "Not", "Cast"):
        step = {
            "Not": both(unary("Cast", to=9), unary("Not")), "Cast": unary("Cast", to=6),
                "Log": both(unary("Abs"), unary("Log")),
            "Sqrt": both(unary("Abs"), unary("Sqrt")),
        }.get(op_type, unary(op_type))  # fmt: skip
        if op_type in ("Not", "Log", "Sqrt"):
            continue
        found += [
            Probe(
                f"{op_type} of {np.prod(shape)}", branches(shape, step), _copies(shape, 4), op_type
            )
            for shape in _SIZES
        ]
    found += [
        Probe(f"Sqrt of {np.prod(shape)}", _after_abs(shape, "Sqrt"), _copies(shape, 4), "Sqrt")
        for shape in _SIZES
    ]
    found += [
        Probe(f"Log of {np.prod(shape)}", _after_abs(shape, "Log"), _copies(shape, 4), "Log")
        for shape in _SIZES
    ]
    for op_type in ("Add", "Mul", "Sub", "Div", "Max", "Sum"):
        for shape in _SIZES:
            channel = binary(op_type, constant(1, shape[1], 1, 1))
            row = binary(op_type, constant(shape[-1]))
            scalar = binary(op_type, constant())
            forms = {
                "same": binary(op_type, _second),
                "channel": channel,
                "row": row,
                "scalar": scalar,
            }
            for form, step in forms.items():
                builder = _with_second(shape, step) if form == "same" else chain(shape, step)
                found.append(
                    Probe(
                        f"{op_type} {form} of {np.prod(shape)}",
                        builder,
                        _copies(shape, 6),
                        op_type,
                    )
                )
    for shape in _SIZES:
        found.append(
            Probe(
                f"Pow of {np.prod(shape)}",
                branches(shape, binary("Pow", constant(value=2.0))),
                _copies(shape, 4),
                "Pow",
            )
        )
        found.append(
            Probe(
                f"PRelu of {np.prod(shape)}",
                chain(shape, binary("PRelu", constant(shape[1], 1, 1, value=0.2))),
                _copies(shape, 4),
                "PRelu",
            )
        )
        found.append(
            Probe(
                f"Equal of {np.prod(shape)}",
                branches(shape, binary("Greater", constant())),
                _copies(shape, 4),
                "Greater",
            )
        )
        found.append(
            Probe(f"Where of {np.prod(shape)}", _where(shape), _copies(shape, 4), "Where")
        )
    for shape in ((1, 28, 115, 155), (1, 16, 117, 157), (1, 48, 22, 22), (1, 128, 3, 3)):
        step = binary("PRelu", constant(shape[1], 1, 1, value=0.2))
        found.append(Probe(f"PRelu of {np.prod(shape)}", chain(shape, step), 3, "PRelu"))
    found.append(
        Probe(
            "PRelu of large",
            chain((1, 10, 238, 318), binary("PRelu", constant(10, 1, 1, value=0.2))),
            3,
            "PRelu",
        )
    )
    found.append(
        Probe(
            "Add same of large",
            _with_second(_LARGE, binary("Add", _second)),
            2,
            "Add",
        )
    )
    for shape in (_MEDIUM, _LARGE):
        count, copies = np.prod(shape), 3 if shape == _MEDIUM else 1
        same = _with_second(shape, binary("Mul", _second))
        scalar = chain(shape, binary("Add", constant()))
        found += [
            Probe(f"Relu of {count}", chain(shape, unary("Relu")), copies, "Relu"),
            Probe(f"Mul same of {count}", same, copies, "Mul"),
            Probe(f"Add scalar of {count}", scalar, copies, "Add"),
        ]
    return found


def _after_abs(shape: Sequence[int], op_type: str) -> Callable[[int], bytes]:
    def build(count: int) -> bytes:
        graph = Graph()
        value = graph.call("Abs", graph.input(*shape))
        for _ in range(count):
            graph.output(graph.call(op_type, value))
        return graph.model()

    return build


def _with_second(shape: Sequence[int], step: Step) -> Callable[[int], bytes]:
    def build(count: int) -> bytes:
        graph = Graph()
        value = graph.input(*shape)
        graph.input(*shape)
        for _ in range(count):
            value = step(graph, value)
        graph.output(value)
        return graph.model()

    return build


def _where(shape: Sequence[int]) -> Callable[[int], bytes]:
    def build(count: int) -> bytes:
        graph = Graph()
        value, other = graph.input(*shape), graph.input(*shape)
        condition = graph.call("Greater", value, other)
        for _ in range(count):
            graph.output(graph.call("Where", condition, value, other))
        return graph.model()

    return build


def reductions() -> list[Probe]:
    """Return the probes of normalizations, softmax, reductions and pooling."""
    found: list[Probe] = []
    for rows, width in ((4, 32), (128, 64), (197, 768), (400, 120)):

        def norm(graph: Graph, value: str, width: int = width) -> str:
            return graph.call(
                "LayerNormalization", value, graph.weight(width), graph.weight(width), axis=-1
            )

        found.append(
            Probe(
                f"LayerNormalization {rows}x{width}",
                chain((1, rows, width), norm),
                5,
                "LayerNormalization",
            )
        )
    for rows, width in ((4, 16), (64, 64), (1536, 128), (100, 1000), (40, 6625)):
        found.append(
            Probe(
                f"Softmax {rows}x{width}",
                chain((rows, width), unary("Softmax", axis=-1)),
                4,
                "Softmax",
            )
        )
    found.append(
        Probe(
            "Softmax over channels", chain((1, 2, 64, 64), unary("Softmax", axis=1)), 4, "Softmax"
        )
    )
    for size, channels in ((28, 64), (56, 64)):

        def instance(graph: Graph, value: str, channels: int = channels) -> str:
            return graph.call(
                "InstanceNormalization", value, graph.weight(channels), graph.weight(channels)
            )

        def batch(graph: Graph, value: str, channels: int = channels) -> str:
            ones = [graph.store(np.full(channels, 1.0, np.float32)) for _ in range(4)]
            return graph.call("BatchNormalization", value, *ones)

        shape = (1, channels, size, size)
        found.append(
            Probe(
                f"InstanceNormalization at {size}",
                chain(shape, instance),
                4,
                "InstanceNormalization",
            )
        )
        found.append(
            Probe(f"BatchNormalization at {size}", chain(shape, batch), 4, "BatchNormalization")
        )
        found.append(
            Probe(f"LRN at {size}", chain(shape, unary("LRN", size=5, alpha=1e-4)), 3, "LRN")
        )
    for shape, axes in (
        ((1, 64, 56, 56), [2, 3]),
        ((197, 768), [1]),
        ((8, 16), [1]),
        ((64, 8, 256), [1]),
    ):
        found.append(
            Probe(
                f"ReduceMean {shape} over {axes}",
                branches(shape, unary("ReduceMean", axes=axes)),
                5,
                "ReduceMean",
            )
        )
    found.append(Probe("ArgMax", branches((100, 200), unary("ArgMax", axis=1)), 4, "ArgMax"))
    for channels, size, window, copies in ((64, 56, 3, 5), (64, 112, 2, 4), (256, 14, 3, 8)):
        low, high = (window - 1) // 2, window // 2
        pads = [low, low, high, high]
        for op_type in ("MaxPool", "AveragePool"):
            step = unary(op_type, kernel_shape=[window] * 2, pads=pads)
            blocked = chain((1, channels, size, size), step, pooled)
            found.append(
                Probe(
                    f"{op_type} {window}x{window} of {channels} at {size}",
                    blocked,
                    copies,
                    op_type,
                )
            )
    for channels, size in ((64, 56), (512, 7)):
        found.append(
            Probe(
                f"GlobalAveragePool of {channels} at {size}",
                branches((1, channels, size, size), pooled),
                6,
                "GlobalAveragePool",
            )
        )
    return found


def moves() -> list[Probe]:
    """Return the probes of data movement, quantization steps and the smallest operator."""
    found: list[Probe] = []

    def add(name: str, build: Callable[[int], bytes], copies: int, of: str) -> None:
        found.append(Probe(name, build, copies, of))

    for channels, size in ((8, 4), (64, 28), (64, 112)):
        shape = (1, channels, size, size)
        tiny = 20 if shape == _TINY else 0
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
        add(f"Pad of {count}", branches(shape, _pad), tiny or 4, "Pad")
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
        add(f"Gather {rows}", branches((4096, 64), _gather(rows)), 8, "Gather")
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


def _pad(graph: Graph, value: str) -> str:
    return graph.call("Pad", value, graph.store(np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64)))


def _resize(mode: str) -> Step:
    def step(graph: Graph, value: str) -> str:
        scales = graph.store(np.array([1, 1, 2, 2], np.float32))
        more = (
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
    return graph.call("QuantizeLinear", value, *_scale(graph))


def _dequantized(shape: Sequence[int]) -> Callable[[int], bytes]:
    def build(count: int) -> bytes:
        graph = Graph()
        scale, zero = _scale(graph)
        value = graph.call("QuantizeLinear", graph.input(*shape), scale, zero)
        for _ in range(count):
            graph.output(graph.call("DequantizeLinear", value, scale, zero))
        return graph.model()

    return build


_BETWEEN = (1, 16, 112, 112)
_JOINED = (1, 32, 28, 28)
JOINED_ELEMENTS = 32 * 28 * 28
"""Elements of each of two images that are joined: both stay in the nearest caches."""
BETWEEN_ELEMENTS = 16 * 112 * 112
"""Elements of the image between two convolutions: many beside its few channels, so that what stands between shows."""


def between() -> list[Probe]:
    """Return convolutions with another operator between them: is it absorbed, and do channels stay packed?"""
    one = convolution(16, 16, 1)
    steps: dict[str, Step] = {
        "none": lambda _, value: value,
        "Abs": unary("Abs"),
        "Relu": unary("Relu"), "Clip": clip, "Sigmoid": unary("Sigmoid"), "Tanh": unary("Tanh"),
        "HardSigmoid": unary("HardSigmoid"), "HardSwish": unary("HardSwish"), "LeakyRelu": unary("LeakyRelu"),
        "PRelu": binary("PRelu", constant(16, 1, 1, value=0.2)),
        "Mul.channel": binary("Mul", constant(1, 16, 1, 1)), "Add.channel": binary("Add", constant(1, 16, 1, 1)),
        "Mul.scalar": binary("Mul", constant()), "Add.scalar": binary("Add", constant()),
            "Div.scalar": binary("Div", constant()),
        "Add.same": binary("Add", _second), "Mul.same": binary("Mul", _second),
        "MaxPool": unary("MaxPool", kernel_shape=[3, 3], pads=[1] * 4),
        "AveragePool": unary("AveragePool", kernel_shape=[3, 3], pads=[1] * 4),
        "Softmax": unary("Softmax", axis=1),
        "BatchNormalization": lambda graph, value: graph.call(
            "BatchNormalization", value, *[graph.store(np.full(16, 1.0, np.float32)) for _ in range(4)]
        ),
    }  # fmt: skip
    found: list[Probe] = []
    for name, step in steps.items():
        build = _between(both(one, step), second=name in ("Add.same", "Mul.same"))
        found.append(
            Probe(f"between convolutions: {name}", build, 6, "Conv", "between", {"op": name})
        )
    residual = _residual(one)
    found.append(
        Probe("between convolutions: residual", residual, 6, "Conv", "between", {"op": "residual"})
    )
    for name, join in (("joined", True), ("apart", False)):
        found.append(Probe(f"{name} convolutions", _joined(join=join), 10, "Conv", "joined"))
    joining: Step = lambda graph, value: graph.call("Concat", value, value, axis=1)  # noqa: E731
    found.append(Probe("alone: Concat", branches(_JOINED, joining), 10, "Concat", "joined"))
    found += _behind(one)
    found.append(Probe("mixed operators", chain(_TINY, _mixed), 3, "Add", "mixed"))
    alone = {"MaxPool", "AveragePool", "Softmax", "BatchNormalization", "none"}
    for name, step in steps.items():
        if name not in alone:
            second = name in ("Add.same", "Mul.same")
            builder = _between(step, second=second, tail=False)
            found.append(Probe(f"alone: {name}", builder, 6, "Conv", "alone", {"op": name}))
    return found


def _behind(one: Step) -> list[Probe]:
    """Return what may run on packed channels behind something that absorbs it not."""
    ones = [np.full(16, 1.0 + 0.01 * number, np.float32) for number in range(4)]
    steps: dict[str, Step] = {
        "none": lambda _, value: value,
        "BatchNormalization": lambda graph, value: graph.call(
            "BatchNormalization", value, *map(graph.store, ones)
        ),
        "Mul.channel": binary("Mul", constant(1, 16, 1, 1)),
        "Add.channel": binary("Add", constant(1, 16, 1, 1)),
    }
    found: list[Probe] = []
    for name, step in steps.items():
        build = chain(_BETWEEN, both(both(one, unary("Relu")), step), pooled)
        found.append(Probe(f"behind Relu: {name}", build, 6, "Conv", "behind", {"op": name}))
    return found


def conversions() -> list[Probe]:
    """Return cheap convolutions on packed channels with and without an operator that takes none between them."""
    found: list[Probe] = []
    for channels, size, copies in ((64, 14, 12), (32, 56, 6), (128, 28, 6), (64, 112, 3)):
        one = convolution(channels, channels, 3, groups=channels)
        shape, about = (1, channels, size, size), {"channels": str(channels), "size": str(size)}
        for name, step in (("packed", one), ("unpacked", both(one, unary("Abs")))):
            builder = chain(shape, step, pooled)
            found.append(
                Probe(f"{name} {channels} at {size}", builder, copies, "Conv", "convert", about)
            )
        alone = chain(shape, unary("Abs"))
        found.append(Probe(f"Abs {channels} at {size}", alone, copies, "Abs", "convert", about))
    return found


def _between(step: Step, *, second: bool, tail: bool = True) -> Callable[[int], bytes]:
    def build(count: int) -> bytes:
        graph = Graph()
        value = graph.input(*_BETWEEN)
        if second:
            graph.input(*_BETWEEN)
        for _ in range(count):
            value = step(graph, value)
        graph.output(graph.call("GlobalAveragePool", value) if tail else value)
        return graph.model()

    return build


def _residual(one: Step) -> Callable[[int], bytes]:
    """Return a chain of sums with what was before two convolutions; all of it stands behind a first convolution."""

    def build(count: int) -> bytes:
        graph = Graph()
        value = one(graph, graph.input(*_BETWEEN))
        for _ in range(count):
            made = one(graph, one(graph, value))
            value = graph.call("Relu", graph.call("Add", made, value))
        graph.output(pooled(graph, value))
        return graph.model()

    return build


def _joined(*, join: bool) -> Callable[[int], bytes]:
    """Return pairs of convolutions whose results are joined, or not, and pooled."""
    one = convolution(32, 32, 3, groups=32)

    def step(graph: Graph, value: str) -> str:
        first, second = one(graph, value), one(graph, value)
        if join:
            return pooled(graph, graph.call("Concat", first, second, axis=1))
        return graph.call("Add", pooled(graph, first), pooled(graph, second))

    return branches(_JOINED, step)


def _mixed(graph: Graph, value: str) -> str:
    """Add operators of twelve kinds on 128 elements, one after the other: none finds its code where it was."""
    steps: tuple[Step, ...] = (
        binary("Add", constant(1, 8, 1, 1)), unary("Sigmoid"), unary("Transpose", perm=[0, 1, 3, 2]), _pad,
        unary("Softmax", axis=-1), _cut, unary("Tanh"), binary("Pow", constant(value=2.0)), unary("Sqrt"),
        unary("ReduceMean", axes=[-1]), binary("Mul", _first), _doubled,
    )  # fmt: skip
    for step in steps:
        value = step(graph, value)
    return value


def _cut(graph: Graph, value: str) -> str:
    """Take away what `_pad` put around an image of 4 x 4."""
    bounds = [graph.store(np.array([bound, bound], np.int64)) for bound in (1, 5)]
    return graph.call("Slice", value, *bounds, graph.store(np.array([2, 3], np.int64)))


def _doubled(graph: Graph, value: str) -> str:
    """Join a value with itself and take the half of it."""
    return graph.call("Split", graph.call("Concat", value, value, axis=1), axis=1, results=2)


PATTERN_ELEMENTS = 128 * 768
"""Elements of the value that a pattern of operators works on."""


def patterns() -> list[Probe]:
    """Return what exporters write in several operators and runtimes may run as one."""
    shape = (1, 128, PATTERN_ELEMENTS // 128)

    def gelu(graph: Graph, value: str) -> str:
        erf = graph.call(
            "Erf", graph.call("Div", value, graph.store(np.array(1.4142135, np.float32)))
        )
        grown = graph.call(
            "Mul", value, graph.call("Add", erf, graph.store(np.array(1.0, np.float32)))
        )
        return graph.call("Mul", grown, graph.store(np.array(0.5, np.float32)))

    def silu(graph: Graph, value: str) -> str:
        return graph.call("Mul", value, graph.call("Sigmoid", value))

    def hard_swish(graph: Graph, value: str) -> str:
        return graph.call("Mul", value, graph.call("HardSigmoid", value, alpha=1 / 6, beta=0.5))

    def layer_norm(graph: Graph, value: str) -> str:
        centred = graph.call("Sub", value, graph.call("ReduceMean", value, axes=[-1]))
        squared = graph.call("Pow", centred, graph.store(np.array(2.0, np.float32)))
        spread = graph.call(
            "Add",
            graph.call("ReduceMean", squared, axes=[-1]),
            graph.store(np.array(1e-5, np.float32)),
        )
        scaled = graph.call(
            "Mul",
            graph.call("Div", centred, graph.call("Sqrt", spread)),
            graph.weight(768, scale=1.0),
        )
        return graph.call("Add", scaled, graph.weight(768))

    steps = {"gelu": gelu, "silu": silu, "hard_swish": hard_swish, "layer_norm": layer_norm}
    found = [
        Probe(f"pattern {name}", chain(shape, step), 4, name, "pattern", {"op": name})
        for name, step in steps.items()
    ]
    linear = {
        "none": _linear(256, 256), "Add": _linear(256, 256, bias=True),
        "Relu": both(_linear(256, 256, bias=True), unary("Relu")),
    }  # fmt: skip
    forms = {"none": "", "Add": "Add.row", "Relu": "Relu"}
    for name, step in linear.items():
        about = {"op": name, "form": forms[name]}
        found.append(
            Probe(
                f"after a product: {name}", chain((1, 64, 256), step), 8, "MatMul", "after", about
            )
        )
    return found


def probes() -> tuple[Probe, ...]:
    """Return every microbenchmark."""
    groups = (
        moves,
        convolutions,
        lanes,
        products,
        integers,
        recurrent,
        elementwise,
        reductions,
        between,
        conversions,
        patterns,
    )
    return tuple(probe for group in groups for probe in group())
