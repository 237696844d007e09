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
    pick,
    pool,
    scale_and_zero,
    view_as,
)


def integers() -> list[Probe]:
    """Return the probes of products in int8, quantized before the run and in it, and of weights in int4."""
    return [*_linear(), *_convolutions(), *_conversions(), *_four_bit_probes()]


def _linear() -> Iterator[Probe]:
    for rows, inner, columns, copies in (
        (1, 512, 512, 10), (1, 2048, 2048, 4), (4, 512, 512, 8), (8, 256, 256, 10), (8, 512, 2048, 4),
        (12, 1024, 1024, 4), (16, 256, 256, 10), (32, 512, 512, 6),
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
    for heads, size, depth, copies in ((12, 64, 32, 3), (4, 197, 64, 2), (6, 400, 64, 1)):
        builder = _static_batched(heads, size, depth)
        yield Probe(f"static batched {heads}x{size}x{depth}", builder, copies, "QLinearMatMul")
    for rows, inner, columns, copies in ((1024, 512, 1, 4), (64, 512, 15, 8), (64, 512, 512, 4)):
        builder = branches((1, rows, inner), _dynamic_linear(inner, columns))
        yield Probe(f"dynamic {rows}x{inner}x{columns}", builder, copies, "MatMulInteger")


def _convolutions() -> Iterator[Probe]:
    for c1, size, kernel, groups, copies in (
        (64, 56, 3, 1, 4), (128, 28, 3, 1, 4), (256, 14, 3, 1, 4), (64, 56, 1, 1, 8), (256, 14, 1, 1, 8),
        (512, 7, 1, 1, 8), (512, 7, 3, 1, 2), (96, 56, 1, 1, 4),
        (32, 56, 3, 32, 6), (256, 14, 3, 256, 8), (32, 112, 3, 32, 3), (144, 56, 3, 144, 3), (960, 7, 3, 960, 6),
        (240, 28, 5, 240, 4),
    ):  # fmt: skip
        name = f"static conv {c1} {kernel}x{kernel}/{groups} at {size}"
        step = _static_convolution(c1, kernel, groups)
        yield Probe(name, _quantized_chain((1, c1, size, size), step), copies, "QLinearConv")
    for c1, c2, size, copies in (
        (24, 144, 56, 2),
        (16, 96, 112, 2),
        (96, 576, 14, 4),
        (160, 960, 7, 4),
    ):
        step = in_turn(
            _static_convolution(c1, 1, 1, outer=c2), _static_convolution(c2, 1, 1, outer=c1)
        )
        name = f"static conv {c1}-{c2} 1x1 at {size}"
        yield Probe(name, _quantized_chain((1, c1, size, size), step), copies, "QLinearConv")
    for outer, size, kernel, stride, copies in (
        (32, 224, 3, 2, 3), (64, 224, 7, 2, 2), (16, 112, 3, 1, 4), (32, 48, 3, 1, 6),
    ):  # fmt: skip
        name = f"static first 3-{outer} {kernel}x{kernel}/{stride} at {size}"
        yield Probe(name, _quantized_first(outer, size, kernel, stride), copies, "QLinearConv")
    for c1, c2, size, kernel, copies in (
        (64, 64, 56, 3, 2), (128, 128, 28, 3, 2), (256, 256, 14, 3, 2), (512, 512, 7, 3, 1), (16, 16, 56, 3, 4),
        (64, 64, 56, 1, 4), (256, 256, 14, 1, 4), (96, 576, 14, 1, 2), (160, 960, 7, 1, 2), (64, 256, 56, 1, 2),
    ):  # fmt: skip
        step = _restored_convolution(c1, c2, kernel)
        if c1 != c2:
            step = in_turn(step, _restored_convolution(c2, c1, kernel))
        name = f"restored conv {c1}-{c2} {kernel}x{kernel} at {size}"
        yield Probe(name, chain((1, c1, size, size), step, pool), copies, "Conv")
    for c1, size, kernel, copies in (
        (64, 28, 3, 4),
        (128, 14, 1, 6),
        (32, 56, 3, 3),
        (192, 14, 3, 3),
    ):
        name = f"dynamic conv {c1} {kernel}x{kernel} at {size}"
        step = _dynamic_convolution(c1, kernel)
        yield Probe(name, chain((1, c1, size, size), step), copies, "ConvInteger")


def _conversions() -> Iterator[Probe]:
    """Yield pairs of cheap convolutions on integers, with and without views between them, which take plain images."""
    for channels, size, copies in (
        (32, 56, 3), (96, 56, 2), (192, 14, 6), (32, 112, 2), (960, 8, 5),
    ):  # fmt: skip
        convolve = _static_convolution(channels, 3, channels)
        shape, other = (1, channels, size, size), (1, channels, 2 * size, size // 2)
        about = {"channels": str(channels), "size": str(size), "bytes": "1", "views": "2"}
        viewed = in_turn(in_turn(convolve, view_as(other)), in_turn(convolve, view_as(shape)))
        for name, step in (("packed", in_turn(convolve, convolve)), ("unpacked", viewed)):
            yield Probe(
                f"{name} integers {channels} at {size}", _quantized_chain(shape, step), copies, "QLinearConv",
                "convert", {**about, "image": name},
            )  # fmt: skip


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


def _static_batched(heads: int, size: int, depth: int) -> Callable[[int], bytes]:
    """Return pairs of products of two values on integers, as attention has them."""

    def build(count: int) -> bytes:
        graph = Graph()
        scale, zero = scale_and_zero(graph)

        def times(left: str, right: str) -> str:
            return graph.call("QLinearMatMul", left, scale, zero, right, scale, zero, scale, zero)

        value, keys, values = (
            graph.call("QuantizeLinear", graph.input(1, heads, *shape), scale, zero)
            for shape in ((size, depth), (depth, size), (size, depth))
        )
        for _ in range(count):
            value = times(times(value, keys), values)
        graph.output(graph.call("DequantizeLinear", value, scale, zero))
        return graph.model()

    return build


def _static_convolution(
    channels: int, kernel: int, groups: int, *, outer: int = 0, stride: int = 1
) -> Step:
    def step(graph: Graph, value: str) -> str:
        scale, zero = scale_and_zero(graph)
        weight = graph.weight(outer or channels, channels // groups, kernel, kernel, dtype="int8")
        own, none = graph.store(np.array(0.003, np.float32)), graph.store(np.array(0, np.int8))
        return graph.call(
            "QLinearConv", value, scale, zero, weight, own, none, scale, zero, group=groups, pads=[kernel // 2] * 4,
            kernel_shape=[kernel, kernel], strides=[stride, stride],
        )  # fmt: skip

    return step


def _restored_convolution(inner: int, outer: int, kernel: int) -> Step:
    """Return a step in floating point whose weights are stored as integers and dequantized at each run."""

    def step(graph: Graph, value: str) -> str:
        stored = graph.weight(outer, inner, kernel, kernel, dtype="int8")
        own, none = graph.store(np.array(0.003, np.float32)), graph.store(np.array(0, np.int8))
        weight = graph.call("DequantizeLinear", stored, own, none)
        return graph.call(
            "Conv", value, weight, pads=[kernel // 2] * 4, kernel_shape=[kernel, kernel]
        )

    return step


def _quantized_first(outer: int, size: int, kernel: int, stride: int) -> Callable[[int], bytes]:
    """Return first layers side by side, which read one quantized image of three channels."""

    def build(count: int) -> bytes:
        graph = Graph()
        scale, zero = scale_and_zero(graph)
        value = graph.call("QuantizeLinear", graph.input(1, 3, size, size), scale, zero)
        convolve = _static_convolution(3, kernel, 1, outer=outer, stride=stride)
        for _ in range(count):
            small = pick(size // stride)(graph, convolve(graph, value))
            graph.output(graph.call("DequantizeLinear", small, scale, zero))
        return graph.model()

    return build


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


def softmax_chain(*shape: int) -> Callable[[int], bytes]:
    """Return a chain of softmax functions that stand between a dequantization and a quantization."""

    def step(graph: Graph, value: str) -> str:
        scale, zero = scale_and_zero(graph)
        made = graph.call("Softmax", graph.call("DequantizeLinear", value, scale, zero), axis=-1)
        return graph.call("QuantizeLinear", made, scale, zero)

    return _quantized_chain(shape, step)


def clipped_chain(channels: int, size: int) -> Callable[[int], bytes]:
    """Return a chain that scales a value and limits it before it is quantized, to more than its quantized range."""

    def step(graph: Graph, value: str) -> str:
        scale, zero = scale_and_zero(graph)
        made = graph.call("DequantizeLinear", value, scale, zero)
        grown = graph.call("Mul", made, graph.store(np.array(1.001, np.float32)))
        bounds = [graph.store(np.array(bound, np.float32)) for bound in (-7.0, 7.0)]
        return graph.call("QuantizeLinear", graph.call("Clip", grown, *bounds), scale, zero)

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
