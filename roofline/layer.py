"""A layer: one executed operator, or several that a runtime fuses, with its counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from roofline.cost import Cost
from roofline.node import Attributes, Tensor
from roofline.ops import Kind
from roofline.precision import packed_bytes

MIXTURES = frozenset({"MoE", "QMoE"})
"""Operators that read the weights of some experts only: of those that the tokens are expected to reach."""


class Use(Enum):
    """The part that data plays in a layer: whether it is charged once or per item, and at which width."""

    WEIGHT = "weight"
    """Stored in the model; read once per batch."""
    INPUT = "input"
    """A value that depends on an input, read per item."""
    OUTPUT = "output"
    CACHE_READ = "cache read"
    """Valid positions of a key-value cache, read per item."""
    CACHE_WRITE = "cache write"
    """New positions of a key-value cache, written per item."""


@dataclass(frozen=True, slots=True)
class Access:
    """Elements of one tensor that a layer reads or writes in one inference."""

    use: Use
    tensor: Tensor
    """The whole tensor; its datatype gives the width of an element."""
    elements: int
    """Elements that cross the memory interface, all repeats included; of stored tensors, each once. Fewer than the
    tensor has where rows of a table are looked up, or positions of a cache are valid."""
    bytes: int
    """Their bytes as they are stored: packed, or in a sparse format."""
    parameter: bool = False
    """Whether they are parameters; scales, zero points and tables of angles are stored too."""
    rows: bool = False
    """Whether they are a part of a stored tensor that is looked up; none, where another layer reads it whole."""

    def of(self, tensor: Tensor, size: int) -> Access:
        """Return the access to the same elements of a tensor at another datatype, and their bytes there."""
        return Access(self.use, tensor, self.elements, size, self.parameter, self.rows)


def access(use: Use, tensor: Tensor, elements: int) -> Access:
    """Return the access to so many elements of a tensor, packed at its own width; an unknown width adds no bytes."""
    bits = 0 if tensor.dtype is None else tensor.dtype.bits
    return Access(use, tensor, elements, packed_bytes(elements, bits))


@dataclass(frozen=True, slots=True)
class Layer:
    """One executed operator, or a group of them that a runtime fuses; counts are totals over its repeats."""

    name: str
    op_type: str
    cost: Cost
    """Arithmetic and elements of one inference, all repeats included."""
    kind: Kind = Kind.COMPUTE
    domain: str = ""
    inputs: tuple[Tensor, ...] = ()
    """Input-dependent operands."""
    weights: tuple[Tensor, ...] = ()
    """Stored operands: parameters, and the scales and zero points of quantized ones."""
    outputs: tuple[Tensor, ...] = ()
    weight_bytes: int = 0
    """Bytes of stored operands read once, at their own datatypes, packed: of a table that is looked up, the rows."""
    input_bytes: int = 0
    """Bytes of input-dependent operands read, a cache aside."""
    output_bytes: int = 0
    """Bytes of results written, a cache aside."""
    cache_read_bytes: int = 0
    """Bytes of the valid positions of a key-value cache that are read."""
    cache_written_bytes: int = 0
    """Bytes of the new positions of a key-value cache."""
    accesses: tuple[Access, ...] = ()
    """What the bytes above are made of, tensor by tensor; empty for a layer that has totals only."""
    parameters: int = 0
    """Stored weight elements; scales and zero points are not parameters."""
    trainable_parameters: int = 0
    """Parameters without the running statistics of BatchNormalization."""
    datatype: str | None = None
    """Datatype of the arithmetic: the peak it runs on (``fp32``, ``int8``); None for layers without arithmetic."""
    repeats: int = 1
    """How often it runs in one inference (loop trips)."""
    members: tuple[str, ...] = ()
    """Names of the ONNX nodes in a fused layer, in execution order."""
    attributes: Attributes = field(default_factory=dict[str, Any], compare=False)
    """The operator's own attributes (kernel_shape, group, ...)."""
    sparsity: float = 0.0
    """Share of the multiplying weights that are zero."""
    weight_format: str = "dense"
    """How those weights are stored; `roofline.compress.formats` has the formats."""
    effective_macs: int | None = None
    """Multiply-accumulates with a weight that is not zero; None when no weight is known to be zero."""
    unknown: bool = False
    """Whether a count of this layer could not be resolved (data-dependent size, unsupported operator)."""
    note: str = ""
    """Why it is unknown, or an upper limit."""
    at_most: bool = False
    """Whether its counts are upper limits: sizes are the most that can be, not those that are."""

    def of(
        self,
        *,
        weights: tuple[Tensor, ...],
        inputs: tuple[Tensor, ...],
        outputs: tuple[Tensor, ...],
        accesses: tuple[Access, ...],
        gained: Mapping[Use, int],
        datatype: str | None,
    ) -> Layer:
        """Return the layer with its tensors at other datatypes.

        Args:
            weights: Its stored operands, in their order.
            inputs: Its other operands.
            outputs: Its results.
            accesses: What it reads and writes of them.
            gained: Bytes that each use has more than before.
            datatype: The datatype of its arithmetic.
        """
        # Counting at a datatype asks this of every layer; `dataclasses.replace` takes several times as long.
        return Layer(
            self.name, self.op_type, self.cost, self.kind, self.domain, inputs, weights, outputs,
            self.weight_bytes + gained[Use.WEIGHT],
            self.input_bytes + gained[Use.INPUT],
            self.output_bytes + gained[Use.OUTPUT],
            self.cache_read_bytes + gained[Use.CACHE_READ],
            self.cache_written_bytes + gained[Use.CACHE_WRITE],
            accesses, self.parameters, self.trainable_parameters, datatype, self.repeats, self.members,
            self.attributes, self.sparsity, self.weight_format, self.effective_macs, self.unknown, self.note,
            self.at_most,
        )  # fmt: skip

    @property
    def traffic_bytes(self) -> int:
        """Weights, inputs, outputs and cache, in bytes, for one inference."""
        return self.weight_bytes + self.input_bytes + self.output_bytes + self.cache_bytes

    @property
    def cache_bytes(self) -> int:
        """Bytes of a key-value cache that are read and written in one inference."""
        return self.cache_read_bytes + self.cache_written_bytes
