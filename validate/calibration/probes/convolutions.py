"""Convolutions in floating point, and how their times step with the width of a vector."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from roofline.number_format import plural
from roofline.validate.calibration.probes.graph import (
    Graph,
    Probe,
    Step,
    branches,
    chain,
    convolution,
    half_chain,
    in_turn,
    normal,
    pick,
    pool,
)


def convolutions() -> list[Probe]:
    """Return the probes of convolutions in floating point."""
    return [
        *_pairs(),
        *_first_layer_probes(),
        *_depthwise(),
        *_grouped_probes(3, _GROUPED),
        *_unrolled_probes("unrolled", _UNROLLED),
        *_along_a_line(),
        *_grouped_probes(1, _GROUPED_1X1),
        *_unrolled_probes("few", _FEW),
        *_oblong(),
        *_of_items(),
        *_low_planes(),
        *_depthwise_along_a_line(),
        *_transposed_probes(),
        *_half_probes(),
        *_unpacked_probes(),
        *_slowed_probes(),
    ]


# Channels, groups, size of the plane, copies.
_GROUPED = (
    (128, 4, 28, 4), (256, 16, 14, 6), (512, 32, 14, 4), (272, 8, 14, 6), (64, 8, 28, 5), (128, 32, 28, 4),
    (96, 3, 20, 4), (240, 15, 14, 4), (256, 2, 14, 3), (128, 2, 28, 3),
)  # fmt: skip
_GROUPED_1X1 = (
    (272, 4, 28, 5), (136, 4, 28, 6), (544, 4, 14, 6), (64, 4, 28, 8), (1088, 4, 7, 4), (240, 3, 28, 4),
)  # fmt: skip
# Channels, size of the plane, kernel, copies.
_UNROLLED = (
    (10, 56, 3, 5), (30, 28, 3, 5), (50, 28, 1, 8), (130, 14, 3, 4), (18, 112, 1, 5), (50, 7, 3, 8), (22, 56, 5, 3),
)  # fmt: skip
_SLOWED = 1 / 8
"""Share of weights that are subnormal numbers, where some are."""
_FEW = ((8, 112, 3, 5), (8, 64, 7, 4), (12, 56, 3, 6), (8, 56, 1, 10))


def _plane(name: str, channels: int, size: int, step: Step, copies: int, items: int = 1) -> Probe:
    """Return a probe of a step that keeps channels and size, over planes."""
    return Probe(name, chain((items, channels, size, size), step, pool), copies, "Conv")


def _line(name: str, channels: int, size: int, step: Step, copies: int, items: int = 1) -> Probe:
    """Return a probe of a step that keeps channels and size, over lines."""
    return Probe(name, chain((items, channels, size), step), copies, "Conv")


def _pairs() -> Iterator[Probe]:
    """Yield convolutions from some channels to others, and back where these differ."""
    kernels = (
        (3, (
            (16, 16, 112, 6), (32, 32, 56, 6), (64, 64, 56, 3), (128, 128, 28, 3), (256, 256, 14, 4), (512, 512, 7, 4),
            (64, 64, 14, 8), (32, 128, 28, 3), (64, 64, 224, 1), (512, 512, 28, 1), (256, 32, 14, 4), (512, 512, 14, 2),
            (64, 64, 112, 2), (128, 64, 112, 1), (32, 32, 256, 2), (24, 24, 40, 8), (96, 96, 20, 5), (16, 16, 20, 12),
        )),
        (1, (
            (16, 64, 112, 4), (64, 64, 56, 8), (64, 256, 56, 3), (128, 512, 28, 3), (256, 1024, 14, 3),
            (512, 2048, 7, 3), (96, 24, 28, 8), (32, 32, 14, 16), (256, 256, 28, 5), (1024, 1024, 7, 4),
            (128, 128, 4, 10), (40, 240, 20, 6), (512, 512, 1, 12), (128, 32, 1, 20), (16, 16, 320, 8),
            (128, 16, 160, 3), (32, 48, 160, 3),
        )),
        (5, ((64, 64, 28, 3),)),
        (7, ((16, 16, 40, 5),)),
        (5, ((128, 128, 14, 3),)),
    )  # fmt: skip
    for kernel, shapes in kernels:
        for c1, c2, size, copies in shapes:
            step = convolution(c1, c2, kernel)
            if c1 != c2:
                step = in_turn(step, convolution(c2, c1, kernel))
            yield _plane(f"conv {c1}-{c2} {kernel}x{kernel} at {size}", c1, size, step, copies)


def _first_layer_probes() -> Iterator[Probe]:
    """Yield first layers, of few channels, up to results beyond the caches, and products that halve the plane."""
    for inner, outer, size, kernel, stride, copies in (
        (3, 64, 224, 7, 2, 3), (3, 32, 112, 3, 2, 8), (3, 16, 224, 3, 1, 4), (1, 32, 64, 3, 1, 10),
        (3, 64, 64, 3, 1, 6), (1, 64, 128, 5, 1, 5), (1, 64, 256, 3, 1, 2),
        (3, 32, 640, 3, 2, 2), (3, 64, 320, 3, 1, 1), (1, 64, 512, 3, 1, 1), (3, 16, 640, 3, 2, 2),
        (1, 16, 768, 3, 2, 2),
    ):  # fmt: skip
        step = in_turn(convolution(inner, outer, kernel, stride=stride), pick(size // stride))
        name = f"first {inner}-{outer} {kernel}x{kernel}/{stride} at {size}"
        # Images of some size come from where the end of the run before has left them: each copy has its own.
        yield Probe(name, branches((1, inner, size, size), step), copies, "Conv")
    for inner, outer, size, copies in ((64, 128, 56, 5), (256, 512, 28, 4)):
        step = in_turn(convolution(inner, outer, 1, stride=2), pick(size // 2))
        name = f"1x1/2 {inner}-{outer} at {size}"
        yield Probe(name, branches((1, inner, size, size), step, kept=True), copies, "Conv")


def _depthwise() -> Iterator[Probe]:
    """Yield depthwise convolutions, the last of them of channels that fill no vector."""
    for channels, size, kernel, copies in (
        (64, 112, 3, 5), (128, 56, 3, 6), (512, 14, 3, 10), (256, 28, 3, 8), (1024, 7, 3, 10), (96, 28, 5, 8),
        (240, 14, 5, 10), (64, 28, 7, 6), (128, 14, 9, 5), (32, 40, 11, 4),
        (16, 320, 3, 8), (32, 160, 3, 6), (48, 192, 3, 6), (128, 100, 5, 4),
        (30, 56, 3, 5), (122, 28, 3, 5), (58, 14, 5, 6), (30, 14, 3, 10), (18, 80, 5, 3), (30, 40, 7, 3),
    ):  # fmt: skip
        step = convolution(channels, channels, kernel, groups=channels)
        name = f"depthwise {channels} {kernel}x{kernel} at {size}"
        yield _plane(name, channels, size, step, copies)


def _grouped_probes(kernel: int, shapes: Sequence[tuple[int, int, int, int]]) -> Iterator[Probe]:
    square = "" if kernel == 3 else f" {kernel}x{kernel}"
    for channels, groups, size, copies in shapes:
        step = convolution(channels, channels, kernel, groups=groups)
        name = f"grouped {channels}/{groups}{square} at {size}"
        yield _plane(name, channels, size, step, copies)


def _unrolled_probes(noun: str, shapes: Sequence[tuple[int, int, int, int]]) -> Iterator[Probe]:
    """Yield convolutions whose channels fill no vector, or less than one."""
    for channels, size, kernel, copies in shapes:
        step = convolution(channels, channels, kernel)
        name = f"{noun} {channels} {kernel}x{kernel} at {size}"
        yield _plane(name, channels, size, step, copies)


def _along_a_line() -> Iterator[Probe]:
    """Yield convolutions along one axis: that keep their size, of several items, and of a stride."""
    for channels, size, kernel, copies in (
        (64, 256, 3, 8), (128, 64, 3, 8), (128, 4, 3, 12), (256, 512, 1, 4), (32, 4096, 5, 4), (258, 16, 3, 5),
        (64, 1024, 7, 4), (256, 32, 3, 5), (64, 16, 3, 12), (32, 32, 5, 12), (512, 128, 1, 3), (128, 256, 9, 3),
        (64, 7500, 3, 2), (16, 2048, 15, 3), (8, 24, 1, 12),
    ):  # fmt: skip
        step = convolution(channels, channels, kernel, flat=True)
        yield _line(f"1-D {channels} {kernel} at {size}", channels, size, step, copies)
    for channels, size, kernel, items, copies in (
        (128, 4, 3, 16, 3), (64, 64, 3, 8, 2), (128, 1, 3, 1, 12), (256, 8, 3, 8, 3), (64, 2, 3, 32, 3),
    ):  # fmt: skip
        step = convolution(channels, channels, kernel, flat=True)
        name = f"1-D {channels} {kernel} at {size}, {plural(items, 'item')}"
        yield _line(name, channels, size, step, copies, items)
    for inner, outer, size, kernel, stride, items, copies in (
        (1, 258, 320, 256, 64, 1, 4), (1, 96, 2048, 256, 64, 1, 4),
        (128, 64, 4, 3, 2, 1, 12), (64, 64, 2, 3, 2, 1, 12), (64, 128, 1, 3, 1, 1, 12),
        (1, 64, 4096, 9, 2, 1, 4), (129, 128, 8, 3, 1, 1, 6), (40, 96, 400, 5, 2, 1, 3), (1, 128, 512, 128, 64, 16, 2),
    ):  # fmt: skip
        step = convolution(inner, outer, kernel, stride=stride, flat=True)
        name = f"1-D {inner}-{outer} {kernel}/{stride} at {size}"
        name += f", {plural(items, 'item')}" if items > 1 else ""
        yield Probe(name, branches((items, inner, size), step), copies, "Conv")


def _oblong() -> Iterator[Probe]:
    """Yield convolutions whose kernels are no squares."""
    for channels, size, kernel, width, copies in (
        (8, 64, 3, 39, 3), (8, 128, 3, 25, 2), (32, 40, 3, 15, 2), (64, 14, 9, 9, 2), (16, 64, 1, 9, 4),
        (32, 48, 9, 25, 1), (24, 72, 1, 3, 5), (48, 32, 3, 1, 8), (96, 16, 1, 3, 8),
    ):  # fmt: skip
        step = convolution(channels, channels, kernel, width=width)
        name = f"conv {channels} {kernel}x{width} at {size}"
        yield _plane(name, channels, size, step, copies)


def _of_items() -> Iterator[Probe]:
    for channels, size, kernel, items, copies in ((64, 28, 3, 8, 2), (256, 14, 1, 8, 3)):
        step = convolution(channels, channels, kernel)
        name = f"conv {channels} {kernel}x{kernel} at {size}, {plural(items, 'item')}"
        yield _plane(name, channels, size, step, copies, items)


def _low_planes() -> Iterator[Probe]:
    """Yield convolutions on images of fewer rows than their filters have, or little more: as of a line of text."""
    for channels, height, width, kernel, groups, copies in (
        (208, 2, 96, 5, 208, 6), (96, 3, 96, 5, 96, 6), (64, 2, 96, 3, 1, 4), (64, 1, 160, 3, 1, 4),
    ):  # fmt: skip
        step = convolution(channels, channels, kernel, groups=groups)
        build = chain((1, channels, height, width), step, pool)
        name = f"low {channels}/{groups} {kernel}x{kernel} at {height}x{width}"
        yield Probe(name, build, copies, "Conv")


def _depthwise_along_a_line() -> Iterator[Probe]:
    for channels, size, kernel, copies in (
        (64, 512, 7, 5), (256, 64, 3, 8), (64, 21, 17, 5), (12, 24, 11, 10),
    ):  # fmt: skip
        step = convolution(channels, channels, kernel, flat=True, groups=channels)
        yield _line(f"1-D depthwise {channels} {kernel} at {size}", channels, size, step, copies)


def _slowed_probes() -> Iterator[Probe]:
    """Yield convolutions of which every eighth weight of a channel is a subnormal number."""

    def step(graph: Graph, value: str) -> str:
        weight = normal((64, 64, 1, 1), 0) * np.float32(0.1)
        weight[:, :: round(1 / _SLOWED)] = np.float32(1e-40)
        return graph.call("Conv", value, graph.store(weight), kernel_shape=[1, 1])

    for size, copies in ((14, 4), (28, 2)):
        name = f"conv 64-64 1x1 at {size} with subnormal weights"
        about = {"share": str(_SLOWED)}
        yield Probe(
            name, chain((1, 64, size, size), step, pool), copies, "Conv", "subnormal", about
        )


def _half_probes() -> Iterator[Probe]:
    """Yield convolutions in half precision, which a runtime without such kernels computes in single precision."""
    for channels, size, kernel, groups, copies in (
        (64, 52, 3, 1, 1), (256, 13, 3, 1, 1), (512, 6, 3, 1, 1), (64, 28, 1, 1, 3), (256, 14, 1, 1, 2),
        (64, 28, 3, 64, 3),
    ):  # fmt: skip
        step = convolution(channels, channels, kernel, groups=groups, dtype="float16")
        name = f"fp16 conv {channels} {kernel}x{kernel}/{groups} at {size}"
        yield Probe(name, half_chain((1, channels, size, size), step), copies, "Conv")


def _unpacked_probes() -> Iterator[Probe]:
    """Yield convolutions by weights that are no constants: no runtime packs them before it runs."""
    for inner, outer, size, kernel, copies in (
        (64, 64, 28, 3, 2), (64, 64, 128, 3, 1), (256, 256, 14, 3, 1), (512, 512, 6, 3, 1), (32, 3, 128, 3, 1),
        (64, 64, 28, 1, 4), (256, 256, 14, 1, 2), (16, 16, 56, 3, 3), (3, 64, 112, 5, 1),
    ):  # fmt: skip
        step = _by_input(outer, inner, kernel)
        name = f"by an operand {inner}-{outer} {kernel}x{kernel} at {size}"
        yield Probe(name, branches((1, inner, size, size), step), copies, "Conv")


def _by_input(outer: int, inner: int, kernel: int) -> Step:
    def step(graph: Graph, value: str) -> str:
        weight = graph.input(outer, inner, kernel, kernel)
        return graph.call("Conv", value, weight, pads=[kernel // 2] * 4, kernel_shape=[kernel] * 2)

    return step


def _transposed_probes() -> Iterator[Probe]:
    """Yield transposed convolutions, which double the plane."""
    for inner, outer, size, kernel, copies in (
        (64, 32, 28, 2, 4), (32, 16, 56, 4, 3), (128, 64, 14, 3, 3), (24, 1, 80, 2, 5), (16, 16, 20, 3, 6),
        (256, 128, 14, 2, 2), (24, 24, 160, 2, 2),
    ):  # fmt: skip
        name = f"transposed {inner}-{outer} {kernel}x{kernel} at {size}"
        build = branches((1, inner, size, size), _transposed_step(inner, outer, kernel))
        yield Probe(name, build, copies, "ConvTranspose")


def _transposed_step(inner: int, outer: int, kernel: int) -> Step:
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
        step = in_turn(convolution(32, outer, 3), convolution(outer, 32, 3))
        made.append(
            Probe(f"lanes {outer}", chain((1, 32, 28, 28), step, pool), 4, "Conv", "lanes")
        )
    return made
