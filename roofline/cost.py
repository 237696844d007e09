"""What a layer requires: a few integers that add."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Cost:
    """Arithmetic and data of one or more layers, in operations and elements (never bytes)."""

    macs: int = 0
    """Multiply-accumulates, exact by the operator's definition."""
    other_ops: int = 0
    """Arithmetic outside the multiply-accumulates (additions, comparisons, exponentials, ...), in operations."""
    weights: int = 0
    """Elements of stored weights read."""
    inputs: int = 0
    """Elements of input-dependent tensors read, those of a cache aside."""
    outputs: int = 0
    """Elements written, those of a cache aside."""
    cache_read: int = 0
    """Elements of a key-value cache read: its valid positions."""
    cache_written: int = 0
    """Elements of a key-value cache written: its new positions."""
    masked_macs: int = 0
    """Multiply-accumulates that a causal mask or a window leaves out; `macs` are those that remain."""
    masked_ops: int = 0
    """The same of `other_ops`."""

    @property
    def ops(self) -> int:
        """Operations: one multiply-accumulate is two."""
        return 2 * self.macs + self.other_ops

    @property
    def unmasked(self) -> Cost:
        """The same with whole squares of scores, as tools count that know no masks."""
        if not self.masked_macs and not self.masked_ops:
            return self
        return replace(
            self,
            macs=self.macs + self.masked_macs,
            other_ops=self.other_ops + self.masked_ops,
            masked_macs=0,
            masked_ops=0,
        )

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.macs + other.macs,
            self.other_ops + other.other_ops,
            self.weights + other.weights,
            self.inputs + other.inputs,
            self.outputs + other.outputs,
            self.cache_read + other.cache_read,
            self.cache_written + other.cache_written,
            self.masked_macs + other.masked_macs,
            self.masked_ops + other.masked_ops,
        )

    def __mul__(self, times: int) -> Cost:
        return Cost(
            self.macs * times,
            self.other_ops * times,
            self.weights * times,
            self.inputs * times,
            self.outputs * times,
            self.cache_read * times,
            self.cache_written * times,
            self.masked_macs * times,
            self.masked_ops * times,
        )

    __rmul__ = __mul__
