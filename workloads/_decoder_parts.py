"""What the layers of decoders are made of: norms, tables, lengths and angles."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from roofline.workloads._builder import Builder
    from roofline.workloads._value import Value


def table(net: Builder, name: str, *dims: int) -> str:
    """Store a tensor, and return its name."""
    from roofline.workloads._weights import Draw

    return net.store(name, dims, Draw.NORMAL, 1 / math.sqrt(dims[-1]))


def norm(net: Builder, x: Value) -> Value:
    """Add a normalization by the root of the mean square, over the last dimension."""
    from roofline.workloads._weights import Draw

    scale = net.store(f"{x.name}.norm", x.shape[-1:], Draw.SCALE)
    return net.node("RMSNormalization", [x.name, scale], x.shape, axis=-1, epsilon=1e-5)


def cap(net: Builder, x: Value, most: float) -> Value:
    """Bring a value below a bound: most · tanh(x / most)."""
    bound = net.constant("cap", most)
    inner = net.node("Div", [x.name, bound], x.shape)
    return net.node("Mul", [net.node("Tanh", [inner.name], x.shape).name, bound], x.shape)


def head_norm(net: Builder, x: Value, heads: int, size: int) -> Value:
    """Normalize each head of a value that has them side by side."""
    apart = net.vector(f"{x.name}.apart", (0, 0, heads, size))
    normed = norm(net, net.node("Reshape", [x.name, apart], (heads, size)))
    joined = net.vector(f"{x.name}.joined", (0, 0, heads * size))
    return net.node("Reshape", [normed.name, joined], x.shape)


def lengths(net: Builder, mask: Value) -> tuple[str, str]:
    """Return, of a mask, the place of each request's last position, and the length of all."""
    axis, one = net.vector("lengths.axis", [1]), net.vector("lengths.one", [1])
    summed = net.node("ReduceSum", [mask.name, axis], (), name="lengths.sum", keepdims=0)
    last = net.node("Sub", [summed.name, one], (), name="lengths.less_one")
    valid = net.node("Cast", [last.name], (), name="lengths.valid", to=_INT32)
    whole = net.node("Shape", [mask.name], (), name="lengths.shape", start=1, end=2)
    scalar = net.node("Squeeze", [whole.name], (), name="lengths.scalar")
    return valid.name, net.node("Cast", [scalar.name], (), name="lengths.total", to=_INT32).name


def angles(net: Builder, positions: int, turned: int) -> list[str]:
    """Store the tables of the cosine and sine of each position's angles, of which two dimensions share one."""
    return [table(net, f"rotary.{part}", positions, turned // 2) for part in ("cosine", "sine")]


def last_bounds(net: Builder) -> list[str]:
    """Return the bounds that cut the last position out."""
    return [
        net.vector(f"last_position.{part}", [value])
        for part, value in (("start", -1), ("end", 2**31 - 1), ("axis", 1))
    ]


_INT32 = 6
"""`TensorProto.INT32`, without the package onnx."""
