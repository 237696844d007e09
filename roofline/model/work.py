"""What one layer asks of a machine: the kind of its work, its shape, its operations and its bytes.

A kind is a dotted name from the general to the special: ``conv.kxk.fp32`` is a convolution, with a kernel larger than
one, in single precision. Kinds that begin alike are alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

BLOCK: Final = 4
"""Channels in a convolution's input must be a multiple of this for kernels on packed channels; others unroll
patches. From ONNX Runtime 1.31, and measured as kinds of their own."""


WIDEST = 16
"""Channels of a pool must be a multiple of this for kernels on packed channels of the widest vectors; others are of a
kind of their own."""


@dataclass(frozen=True, slots=True)
class Work:
    """What one layer asks of a machine."""

    kind: str
    at: tuple[float, ...]
    """Its shape along the axes of its kind (`AXES`), all positive."""
    ops: float
    """Operations as the definition counts them, all repeats together."""
    datatype: str
    """Peak the operations run on."""
    bytes: int
    """Bytes of operands and results, all repeats together, weights aside."""
    weight_bytes: int
    repeats: int = 1
    channels: tuple[int, ...] = ()
    """Numbers of channels that kernels on packed channels fill up to whole vectors."""
    inside: float = 1.0
    """Share of the rows of filters that lie on the image: kernels on packed channels skip the others."""
    patch_bytes: int = 0
    """Bytes of the patches that a convolution unrolls for a matrix product, where no packed kernel does it."""
    reread_bytes: int = 0
    """Bytes of weights that are gone through again and again, at every step of a recurrent layer but the first."""
    held_bytes: int = 0
    """Those of one step of one direction: they compete for the caches with one another alone."""

    def padded_ops(self, lanes: int, *, skips: bool = True) -> float:
        """Return the operations that packed kernels execute.

        Args:
            lanes: Channels of a vector; they are filled up to whole ones.
            skips: Whether rows of filters that lie off the image are skipped.
        """
        full = self.inside if skips else 1.0
        for count in self.channels:
            full *= math.ceil(count / lanes) * lanes / count
        return self.ops * full

    @property
    def batch_axis(self) -> int:
        """The axis of the shape that grows with the batch."""
        if self.kind.startswith("matmul.batched"):
            return 3
        return _BATCH_AXIS.get(self.kind.partition(".")[0], 0)

    @property
    def grows_rows(self) -> bool:
        """Whether it is a product whose rows grow with the batch: their number decides its kind."""
        return self.kind.startswith("matmul.") and self.batch_axis == 0

    def times(self, factor: float) -> Work:
        """Return the work at so many times the batch; weights stay as they are."""
        if factor == 1:
            return self
        grown = self.batch_axis
        at = tuple(size * factor if axis == grown else size for axis, size in enumerate(self.at))
        kind = self.kind
        if self.grows_rows:
            _, _, bits = kind.split(".")
            kind = f"matmul.{rows_form(at[0])}.{bits}"
        return replace(
            self, kind=kind, at=at, ops=self.ops * factor, bytes=round(self.bytes * factor),
            patch_bytes=round(self.patch_bytes * factor),
        )  # fmt: skip


NARROW_ROWS = 16
"""Rows of a product from which it is wide: its weights are used again and again."""

_BATCH_AXIS = {"conv": 4, "conv_transpose": 4, "rnn": 3, "attention": 2, "pool": 1, "layout": 1}
"""The axis that grows with the batch, by the first part of a kind's name; the first axis of all others."""

AXES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "conv": ("in_channels", "out_channels", "positions", "taps", "items"),
        "conv_transpose": ("in_channels", "out_channels", "positions", "taps", "items"),
        "matmul": ("rows", "inner", "columns", "copies"),
        "einsum": ("rows", "inner", "columns", "copies"),
        "spectral": ("transforms", "points"),
        "scattering": ("updates", "places"),
        "rnn": ("input", "hidden", "steps", "batch"),
        "attention": ("queries", "keys", "heads", "head_size"),
        "elementwise": ("elements",),
        "normalization": ("elements", "width"),
        "softmax": ("elements", "width"),
        "reduction": ("elements", "width"),
        "pool": ("channels", "positions", "taps"),
        "move": ("elements", "run"),
        "quantization": ("elements",),
        "layout": ("channels", "positions"),
        "subnormal": ("operations",),
        "other": ("elements",),
    }
)
"""Names of a kind's axes, by the first part of its name."""


def rows_form(rows: float) -> str:
    """Return the form of a product of so many rows."""
    return "vector" if rows == 1 else "narrow" if rows < NARROW_ROWS else "wide"
