"""One operator call with its tensors, free of any file format."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Flag, auto
from typing import Any, cast

from numpy.typing import NDArray

from roofline.precision import DataType, packed_bytes

Shape = tuple[int | None, ...]
"""Dimensions; None where the size depends on data and is unknown."""

Array = NDArray[Any]

Attributes = Mapping[str, Any]
"""Attributes of a call by name; whether one is a number, a text, several of them or an array, its operator says."""


class Limit(Flag):
    """Why sizes of a tensor are upper limits; none where they are exact."""

    EXACT = 0
    CHANNELS = auto()
    """Channels that may only fill up a block are among its channels."""
    SIZES = auto()
    """A size that depends on values is the most that its operator can give."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """A value that flows between operators."""

    name: str
    shape: Shape | None = None
    """Dimensions, or None when even the rank is unknown."""
    dtype: DataType | None = None
    constant: bool = False
    """Whether it does not depend on any input of the graph."""
    stored: bool = False
    """Whether its elements are stored in the model (an initializer or a Constant); such a tensor is constant too."""
    value: Array | None = field(default=None, compare=False, repr=False)
    """The elements, for small tensors that decide shapes or branches. An object array may hold None for unknowns."""
    carrier: DataType | None = None
    """The type that the graph computes in, where a quantizer left values of the narrower ``dtype``."""
    limit: Limit = Limit.EXACT
    """Whether its sizes are upper limits, and why."""

    def cast(self, dtype: DataType) -> Tensor:
        """Return the tensor at another datatype."""
        # Counting at a datatype asks this of every tensor; `dataclasses.replace` takes several times as long.
        return Tensor(
            self.name, self.shape, dtype, self.constant, self.stored, self.value, self.carrier, self.limit
        )  # fmt: skip

    @property
    def elements(self) -> int | None:
        """How many elements, or None when a dimension is unknown."""
        if self.shape is None or None in self.shape:
            return None
        return math.prod(cast("tuple[int, ...]", self.shape))

    @property
    def bytes(self) -> int | None:
        """Packed size in bytes, or None when a dimension or the datatype is unknown."""
        elements = self.elements
        if elements is None or self.dtype is None:
            return None
        return packed_bytes(elements, self.dtype.bits)


@dataclass(frozen=True, slots=True)
class Node:
    """One call of an operator. Operand positions are ONNX's own; an absent optional operand is None."""

    op_type: str
    name: str
    operands: tuple[Tensor | None, ...]
    outputs: tuple[Tensor | None, ...] = ()
    """Results by position; their shapes are None until inferred."""
    attributes: Attributes = field(default_factory=dict[str, Any])
    """Numbers, strings, tuples of them, and arrays for tensor attributes; never graphs."""
    domain: str = ""
    """Operator domain; the empty string is ai.onnx."""
    version: int = 0
    """Version of the domain's operator set that the model imports."""

    def operand(self, position: int) -> Tensor | None:
        """Return the operand at a position, or None when it is absent."""
        return self.operands[position] if position < len(self.operands) else None

    @property
    def carried(self) -> list[DataType]:
        """The datatypes of the operands as they are carried, of those whose datatype is known."""
        return [
            tensor.carrier or tensor.dtype
            for tensor in self.operands
            if tensor is not None and tensor.dtype is not None
        ]

    def value(self, position: int) -> Array | None:
        """Return the known value of the operand at a position, or None."""
        tensor = self.operand(position)
        return None if tensor is None else tensor.value
