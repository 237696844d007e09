"""What exporters write in several operators and runtimes may run as one."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from roofline.validate.calibration.probes.graph import (
    Graph,
    Probe,
    Step,
    chain,
    in_turn,
    linear_layer,
    second_input,
    unary,
    with_second,
)
from roofline.validate.calibration.probes.integers import (
    chain_around,
    clipped_chain,
    softmax_chain,
)

_ROWS = (128, 1024, 4096)
_WIDTH = 768
"""Of the values that a pattern of operators works on: inside the nearest caches, beyond them, and in memory."""
_LARGE = 1 << 17
"""Elements from which a group runs long enough with fewer copies."""


def _gelu(graph: Graph, value: str) -> str:
    erf = graph.call("Erf", graph.call("Div", value, graph.store(np.array(1.4142135, np.float32))))
    grown = graph.call(
        "Mul", value, graph.call("Add", erf, graph.store(np.array(1.0, np.float32)))
    )
    return graph.call("Mul", grown, graph.store(np.array(0.5, np.float32)))


def _gelu_halved(graph: Graph, value: str) -> str:
    """Add the same function with the half taken before the value is multiplied, as another exporter writes it."""
    erf = graph.call("Erf", graph.call("Div", value, graph.store(np.array(1.4142135, np.float32))))
    grown = graph.call("Add", erf, graph.store(np.array(1.0, np.float32)))
    return graph.call(
        "Mul", value, graph.call("Mul", graph.store(np.array(0.5, np.float32)), grown)
    )


def _silu(graph: Graph, value: str) -> str:
    return graph.call("Mul", value, graph.call("Sigmoid", value))


def _hard_swish(graph: Graph, value: str) -> str:
    return graph.call("Mul", value, graph.call("HardSigmoid", value, alpha=1 / 6, beta=0.5))


def _layer_norm(graph: Graph, value: str) -> str:
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
        graph.weight(_WIDTH, scale=1.0),
    )
    return graph.call("Add", scaled, graph.weight(_WIDTH))


ACTIVATIONS: Mapping[str, Step] = {"gelu": _gelu, "silu": _silu, "hard_swish": _hard_swish}
"""Activations that exporters write in several operators."""


def patterns() -> list[Probe]:
    """Return what exporters write in several operators and runtimes may run as one."""
    found = [
        Probe(
            f"pattern {name}" + (f" at {rows}" if rows != _ROWS[0] else ""),
            chain((1, rows, _WIDTH), step),
            4,
            name,
            "pattern",
            {"op": name, "elements": str(rows * _WIDTH)},
        )
        for name, step in {
            **ACTIVATIONS,
            "gelu_halved": _gelu_halved,
            "layer_norm": _layer_norm,
        }.items()
        for rows in _ROWS
    ]
    about = {"op": "quantized"}
    found.append(Probe("pattern quantized", chain_around(64, 28), 4, "Conv", "pattern", about))
    about = {"op": "clip_quantized"}
    found.append(
        Probe("pattern clip_quantized", clipped_chain(64, 56), 3, "Clip", "pattern", about)
    )
    found += _groups()
    linear = {
        "none": linear_layer(256, 256), "Add": linear_layer(256, 256, bias=True),
        "Relu": in_turn(linear_layer(256, 256, bias=True), unary("Relu")),
    }  # fmt: skip
    forms = {"none": "", "Add": "Add.row", "Relu": "Relu"}
    for name, step in linear.items():
        about = {"op": name, "form": forms[name]}
        found.append(
            Probe(
                f"after a product: {name}", chain((1, 64, 256), step), 8, "MatMul", "after", about
            )
        )
    for name in ("none", "Relu", "Sigmoid", "Tanh"):
        step = _gemm if name == "none" else in_turn(_gemm, unary(name))
        about = {"op": name, "form": "" if name == "none" else f"Gemm.{name}"}
        found.append(
            Probe(f"after a Gemm: {name}", chain((1, 64), step), 24, "Gemm", "after", about)
        )
    return found


def _gemm(graph: Graph, value: str) -> str:
    """Add a product that takes little longer than the call of what stands behind it."""
    return graph.call("Gemm", value, graph.weight(64, 64), graph.weight(64))


def _normalized_sum(width: int) -> Step:
    """Return a step that adds the second input and normalizes the sum, which nothing else reads."""

    def step(graph: Graph, value: str) -> str:
        added = graph.call("Add", value, second_input(graph, value))
        return graph.call(
            "LayerNormalization",
            added,
            graph.weight(width, scale=1.0),
            graph.weight(width),
            axis=-1,
        )

    return step


def _groups() -> list[Probe]:
    """Return groups that runtimes run in kernels of their own, whatever their parts take."""
    sums = [
        ("normalized_sum", rows * width, with_second((1, rows, width), _normalized_sum(width)), "LayerNormalization")
        for rows, width in ((4, 192), (64, 384), (128, 768))
    ]  # fmt: skip
    shapes = ((64, 64), (12, 64, 64), (6, 400, 400))
    softmax = [
        ("quantized_softmax", math.prod(shape), softmax_chain(*shape), "Softmax")
        for shape in shapes
    ]
    return [
        Probe(
            f"group {name} of {elements}", build, 4 if elements < _LARGE else 2, of, "group",
            {"op": name, "elements": str(elements)},
        )
        for name, elements, build, of in (*sums, *softmax)
    ]  # fmt: skip
