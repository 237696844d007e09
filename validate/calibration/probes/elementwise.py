"""Elementwise functions, sums and products with their ways to repeat an operand."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from roofline.validate.calibration.probes.graph import (
    Graph,
    Probe,
    binary,
    both,
    branches,
    chain,
    clip,
    constant,
    second_input,
    unary,
    with_second,
)

TINY = (1, 8, 4, 4)


_HUGE = (1, 32, 256, 256)


_SIZES = (TINY, (1, 16, 16, 16), (1, 64, 64, 64), _HUGE)
"""Images of 128, 4 Ki, 256 Ki and 2 Mi elements: nothing but the call, inside the first caches, and beyond them."""


_MEDIUM = (1, 64, 128, 128)


_LARGE = (1, 64, 352, 352)
"""Images of 1 Mi and 8 Mi elements: at the border of the caches and beyond."""


def _copies(shape: Sequence[int], count: int) -> int:
    """Return how many copies to take: many of what is over in a moment."""
    return 24 if shape == TINY else 2 if shape == _HUGE else count


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
                "same": binary(op_type, second_input),
                "channel": channel,
                "row": row,
                "scalar": scalar,
            }
            for form, step in forms.items():
                builder = with_second(shape, step) if form == "same" else chain(shape, step)
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
            with_second(_LARGE, binary("Add", second_input)),
            2,
            "Add",
        )
    )
    for shape in (_MEDIUM, _LARGE):
        count, copies = np.prod(shape), 3 if shape == _MEDIUM else 1
        same = with_second(shape, binary("Mul", second_input))
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


def _where(shape: Sequence[int]) -> Callable[[int], bytes]:
    def build(count: int) -> bytes:
        graph = Graph()
        value, other = graph.input(*shape), graph.input(*shape)
        condition = graph.call("Greater", value, other)
        for _ in range(count):
            graph.output(graph.call("Where", condition, value, other))
        return graph.model()

    return build
