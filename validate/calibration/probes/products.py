"""Matrix products in floating point, with and without stored weights."""

from __future__ import annotations

from collections.abc import Callable

from roofline.number_format import plural
from roofline.validate.calibration.probes.graph import (
    Graph,
    Probe,
    Step,
    branches,
    chain,
    half_chain,
    in_turn,
    linear_layer,
)


def products() -> list[Probe]:
    """Return the probes of matrix products in floating point, with and without stored weights."""
    found: list[Probe] = []
    for rows, inner, columns, copies in (
        (1, 256, 256, 20), (1, 512, 512, 8), (1, 1024, 1024, 6), (1, 2048, 2048, 4), (1, 4096, 4096, 1),
        (1, 64, 64, 30), (1, 720, 720, 1),
        (4, 256, 256, 12), (4, 1024, 1024, 4), (8, 512, 512, 6), (12, 256, 1024, 4), (4, 2048, 2048, 3),
        (16, 256, 256, 10), (32, 512, 512, 5), (64, 128, 128, 12), (128, 768, 768, 2), (128, 384, 1536, 2),
        (64, 256, 1024, 3),
        (256, 64, 64, 10), (400, 96, 384, 3), (1024, 128, 128, 4), (16, 1024, 4096, 1), (197, 192, 768, 3),
        (40, 120, 120, 10), (24, 320, 640, 12),
        # Results that fit no cache, as those of pictures of a thousand pixels.
        (16384, 96, 384, 1),
    ):  # fmt: skip
        step = linear_layer(inner, columns)
        if inner != columns:
            step = in_turn(step, linear_layer(columns, inner))
        found.append(
            Probe(
                f"matmul {rows}x{inner}x{columns}",
                chain((1, rows, inner), step),
                copies,
                "MatMul",
                about={"rows": str(rows)},
            )
        )
    for rows, inner, columns, copies in ((1024, 256, 1, 4), (128, 512, 15, 6)):
        builder = branches((1, rows, inner), linear_layer(inner, columns))
        name, about = f"matmul {rows}x{inner}x{columns}", {"rows": str(rows)}
        found.append(Probe(name, builder, copies, "MatMul", about=about))
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
                f"batched {copies}x{size}x{depth}",
                _batched_products(copies, size, depth),
                long,
                "MatMul",
            )
        )
    return [*found, *_half_products(), *_contractions()]


def _contractions() -> list[Probe]:
    """Return products in Einstein's notation: a matrix for each group of values, and for each head."""
    return [
        Probe(
            f"einsum of {plural(groups, 'group')} {rows}x{inner}x{columns}",
            branches((rows, groups, inner), _grouped_product(groups, inner, columns)),
            copies,
            "Einsum",
        )
        for groups, rows, inner, columns, copies in (
            (16, 100, 32, 16, 3), (8, 100, 64, 32, 3), (8, 1, 64, 64, 4), (4, 400, 128, 128, 2), (16, 16, 16, 60, 3),
        )
    ] + [
        Probe(
            f"einsum of {plural(groups, 'moved group')} {rows}x{inner}x{columns}",
            branches((1, rows, groups, inner), _grouped_product(groups, inner, columns, moved=True)),
            copies,
            "Einsum",
        )
        for groups, rows, inner, columns, copies in (
            (32, 100, 96, 16, 2), (16, 100, 32, 16, 3), (8, 100, 64, 32, 3), (8, 4, 64, 64, 4), (4, 400, 128, 128, 2),
        )
    ] + [
        Probe(
            f"einsum of {heads} heads of {size}",
            branches((1, heads, size, 64), _head_product(heads, size)),
            copies,
            "Einsum",
        )
        for heads, size, copies in ((4, 128, 3), (8, 32, 4))
    ]  # fmt: skip


def _grouped_product(groups: int, inner: int, columns: int, *, moved: bool = False) -> Step:
    equation = "btgi,gih->btgh" if moved else "tgi,gih->tgh"
    return lambda graph, value: graph.call(
        "Einsum", value, graph.weight(groups, inner, columns), equation=equation
    )


def _head_product(heads: int, size: int) -> Step:
    return lambda graph, value: graph.call(
        "Einsum", value, graph.input(1, heads, size, 64), equation="bhqd,bhkd->bhqk"
    )


def _half_products() -> list[Probe]:
    """Return products in half precision, which a runtime without such kernels computes in single precision."""
    return [
        Probe(
            f"fp16 matmul {rows}x{size}x{size}",
            half_chain((1, rows, size), linear_layer(size, size, dtype="float16")),
            copies,
            "MatMul",
        )
        for rows, size, copies in ((1, 1024, 3), (8, 512, 3), (64, 512, 3), (128, 768, 2))
    ]


def _batched_products(copies: int, size: int, depth: int) -> Callable[[int], bytes]:
    def build(count: int) -> bytes:
        graph = Graph()
        value = graph.input(1, copies, size, depth)
        keys, values = graph.input(1, copies, depth, size), graph.input(1, copies, size, depth)
        for _ in range(count):
            value = graph.call("MatMul", graph.call("MatMul", value, keys), values)
        graph.output(value)
        return graph.model()

    return build
