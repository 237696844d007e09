"""A result inside a network under construction, and the arithmetic of sliding windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Pair = int | tuple[int, int]
Padding = Literal["half", "valid", "same"] | int
"""``half``: k // 2 on each side; ``valid``: none; ``same``: TensorFlow's, the odd pixel at the end; or pixels."""


@dataclass(frozen=True, slots=True)
class Value:
    """A result inside a network under construction."""

    name: str
    shape: tuple[int, ...]
    """Dimensions without the batch."""
    power: float = 1.0
    """About the mean square of its elements with random weights."""
    positive: bool = False
    """Whether a large part of it is never negative, so that a ReLU keeps its power."""


def window(
    size: Sequence[int], kernel: tuple[int, int], stride: int, pad: Padding, *, ceil: bool = False
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the pads (begins, then ends) and the output size of a sliding window."""
    begins: list[int] = []
    ends: list[int] = []
    out: list[int] = []
    for extent, k in zip(size, kernel, strict=True):
        if pad == "same":
            count = -(-extent // stride)
            total = max((count - 1) * stride + k - extent, 0)
            begin, end = total // 2, total - total // 2
        else:
            begin = end = {"half": k // 2, "valid": 0}[pad] if isinstance(pad, str) else pad
            room = extent + begin + end - k
            count = (-(-room // stride) if ceil else room // stride) + 1
        begins.append(begin)
        ends.append(end)
        out.append(count)
    return (*begins, *ends), tuple(out)
