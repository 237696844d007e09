"""Products in int8, quantized before the run and in it, and products of weights in int4."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from roofline.validate.calibration.probes.graph import (
    Graph,
    Probe,
    Step,
    branches,
    chain,
    in_turn,
    scale_and_zero,
)


def integers() -> list[Probe]:
    """Return the probes of products in int8, quantized before the run and in it, and of weights in int4."""
    return [*_linear(), *_convolutions(), *_four_bit_probes()]


def _linear() -> Iterator[Probe]:
    for rows, inner, columns, copies in (
        (1, 512, 512, 10), (1, 2048, 2048, 4), (4, 512, 512, 8), (16, 256, 256, 10), (32, 512, 512, 6),
        (128, 384, 384, 5),
        (128, 768, 768, 3), (256, 256, 1024, 3),
    ):  # fmt: skip
        dynamic, static = _dynamic_linear(inner, columns), _static_linear(inner, columns)
        if inner != columns:
            dynamic = in_turn(dynamic, _dynamic_linear(columns, inner))
            static = in_turn(static, _static_linear(columns, inner))
        shape, size = (1, rows, inner), f"{rows}x{inner}x{columns}"
        yield Probe(f"dynamic {size}", chain(shape, dynamic), copies, "MatMulInteger")
        yield Probe(f"static {size}", _quantized_chain(shape, static), copies, "QLinearMatMul")
    for rows, inner, columns, copies in ((1024, 512, 1, 4), (64, 512, 15, 8), (64, 512, 512, 4)):
        builder = branches((1, rows, inner), _dynamic_linear(inner, columns))
        yield Probe(f"dynamic {rows}x{inner}x{columns}", builder, copies, "MatMulInteger")


def _convolutions() -> Iterator[Probe]:
    for c1, size, kernel, groups, copies in (
        (64, 56, 3, 1, 4), (128, 28, 3, 1, 4), (256, 14, 3, 1, 4), (64, 56, 1, 1, 8), (256, 14, 1, 1, 8),
        (512, 7, 1, 1, 8),
        (32, 56, 3, 32, 6), (256, 14, 3, 256, 8),
    ):  # fmt: skip
        name = f"static conv {c1} {kernel}x{kernel}/{groups} at {size}"
        step = _static_convolution(c1, kernel, groups)
        yield Probe(name, _quantized_chain((1, c1, size, size), step), copies, "QLinearConv")
    for c1, size, kernel, copies in (
        (64, 28, 3, 4),
        (128, 14, 1, 6),
        (32, 56, 3, 3),
        (192, 14, 3, 3),
    ):
        name = f"dynamic conv {c1} {kernel}x{kernel} at {size}"
        step = _dynamic_convolution(c1, kernel)
        yield Probe(name, chain((1, c1, size, size), step), copies, "ConvInteger")


def _four_bit_probes() -> Iterator[Probe]:
    for rows, size, copies in ((1, 1024, 6), (1, 2048, 4), (16, 1024, 3)):
        builder = chain((1, rows, size), _four_bits(size))
        yield Probe(f"int4 {rows}x{size}", builder, copies, "MatMulNBits")


def _dynamic(graph: Graph, value: str) -> tuple[str, str, str]:
    first = graph.call("DynamicQuantizeLinear", value, results=3)
    stem = first.rpartition("_")[0]
    return first, f"{stem}_1", f"{stem}_2"


def _scale(graph: Graph, product: str, scale: str) -> str:
    cast = graph.call("Cast", product, to=1)
    factor = graph.call("Mul", scale, graph.store(np.array(0.003, np.float32)))
    return graph.call("Mul", cast, factor)


def _dynamic_linear(inner: int, columns: int) -> Step:
    def step(graph: Graph, value: str) -> str:
        quantized, scale, zero = _dynamic(graph, value)
        weight = graph.weight(inner, columns, dtype="int8")
        none = graph.store(np.array(0, np.int8))
        return _scale(graph, graph.call("MatMulInteger", quantized, weight, zero, none), scale)

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
        return _scale(graph, made, scale)

    return step


def _static_linear(inner: int, columns: int) -> Step:
    def step(graph: Graph, value: str) -> str:
        scale, zero = scale_and_zero(graph)
        weight = graph.weight(inner, columns, dtype="int8")
        own, none = graph.store(np.array(0.003, np.float32)), graph.store(np.array(0, np.int8))
        return graph.call("QLinearMatMul", value, scale, zero, weight, own, none, scale, zero)

    return step


def _static_convolution(channels: int, kernel: int, groups: int) -> Step:
    def step(graph: Graph, value: str) -> str:
        scale, zero = scale_and_zero(graph)
        weight = graph.weight(channels, channels // groups, kernel, kernel, dtype="int8")
        own, none = graph.store(np.array(0.003, np.float32)), graph.store(np.array(0, np.int8))
        return graph.call(
            "QLinearConv", value, scale, zero, weight, own, none, scale, zero, group=groups, pads=[kernel // 2] * 4,
            kernel_shape=[kernel, kernel],
        )  # fmt: skip

    return step


def _quantized_chain(shape: Sequence[int], step: Step) -> Callable[[int], bytes]:
    """Return a chain on uint8 values, quantized before it and restored after it."""

    def build(count: int) -> bytes:
        graph = Graph()
        scale, zero = scale_and_zero(graph)
        value = graph.call("QuantizeLinear", graph.input(*shape), scale, zero)
        for _ in range(count):
            value = step(graph, value)
        graph.output(graph.call("DequantizeLinear", value, scale, zero))
        return graph.model()

    return build


def chain_around(channels: int, size: int) -> Callable[[int], bytes]:
    """Return a chain of convolutions in floating point that stand between a dequantization and a quantization."""

    def step(graph: Graph, value: str) -> str:
        scale, zero = scale_and_zero(graph)
        stored = graph.weight(channels, channels, 3, 3, dtype="int8")
        own, none = graph.store(np.array(0.003, np.float32)), graph.store(np.array(0, np.int8))
        image = graph.call("DequantizeLinear", value, scale, zero)
        weight = graph.call("DequantizeLinear", stored, own, none)
        made = graph.call("Conv", image, weight, pads=[1] * 4, kernel_shape=[3, 3])
        return graph.call("QuantizeLinear", made, scale, zero)

    return _quantized_chain((1, channels, size, size), step)


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
