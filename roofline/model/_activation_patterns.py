"""Normalizations and activations that exporters write as several operators and that runtimes run as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from roofline.layer import Layer

NEEDED: Mapping[str, frozenset[str]] = {
    "layer_norm": frozenset({"ReduceMean", "Sqrt"}),
    "gelu": frozenset({"Erf", "Mul"}),
    "silu": frozenset({"Sigmoid", "Mul"}),
    "hard_swish": frozenset({"HardSigmoid", "Mul"}),
}
"""The operators that tell each pattern."""

TAKEN: Mapping[str, frozenset[str]] = {
    "layer_norm": frozenset({"ReduceMean", "Sub", "Pow", "Mul", "Add", "Sqrt", "Div", "Cast"}),
    "gelu": frozenset({"Erf", "Mul", "Add", "Div"}),
    "silu": frozenset({"Sigmoid", "Mul"}),
    "hard_swish": frozenset({"HardSigmoid", "Mul"}),
}
"""All operators that are part of each."""


def is_product(layer: Layer) -> bool:
    """Return whether a layer is a convolution or a product with an epilogue."""
    return "Conv" in layer.op_type or layer.op_type in ("MatMul", "Gemm", "FusedMatMul")


def pattern_of(members: Sequence[Layer], anchor: Layer) -> tuple[str, tuple[Layer, ...]] | None:
    """Return the pattern in a fused group and the layers that are part of it; None where there is none.

    Args:
        members: The layers of the group, in order.
        anchor: The one that does its main work; a convolution or a product is part of no pattern.
    """
    own = [each for each in members if each is not anchor or not is_product(anchor)]
    names = {each.op_type for each in own}
    for name, needed in NEEDED.items():
        if needed <= names:
            return name, tuple(each for each in own if each.op_type in TAKEN[name])
    return None
