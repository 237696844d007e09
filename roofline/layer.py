"""A layer: one executed operator, or several that a runtime fuses, with its counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from roofline.cost import Cost
from roofline.node import Tensor
from roofline.ops import Kind


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
    """Bytes of stored operands read once, at their own datatypes, packed."""
    input_bytes: int = 0
    output_bytes: int = 0
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
    attributes: Mapping[str, Any] = field(default_factory=dict[str, Any], compare=False)
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

    @property
    def traffic_bytes(self) -> int:
        """Weights, inputs and outputs, in bytes, for one inference."""
        return self.weight_bytes + self.input_bytes + self.output_bytes
