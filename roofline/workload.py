"""What a network requires: its layers, their costs, and the totals over them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

from roofline.cost import Cost
from roofline.errors import CompressionError
from roofline.node import Tensor
from roofline.ops import Kind
from roofline.registry import Registry

if TYPE_CHECKING:
    import pandas as pd

Transformation = Callable[["Workload", Any], "Workload"]
"""Returns a workload changed as a request says."""

transformations: Registry[Transformation] = Registry(
    "transformation", "roofline.compress", "roofline.transformations", CompressionError
)
"""What `Workload.under` can do, by the name of its keyword."""

TRAFFIC_ASSUMPTIONS = ("weights", "weights_io", "fused", "unfused")
"""Which bytes cross the memory interface, by name; `Workload.traffic_bytes` says what each means."""


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


@dataclass(frozen=True, slots=True)
class Origin:
    """The graph that counts come from, so that a changed graph can be counted the same way."""

    model: Any
    """The ONNX model, with or without its weights."""
    binding: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """How its open dimensions and values were bound: the keyword arguments of `Workload.from_onnx`."""


@dataclass(frozen=True, slots=True)
class Workload:
    """A network's requirements for one inference at one batch."""

    name: str
    layers: tuple[Layer, ...]
    """The executed ONNX nodes in order (view ``unfused``)."""
    source: str = ""
    """Where the counts come from: a file and its digest, or a published table."""
    fused_layers: tuple[Layer, ...] = ()
    """The same work grouped as runtimes fuse it; MACs are unchanged."""
    batch: int = 1
    """Items per inference the counts are for."""
    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()
    parameters: int = 0
    """Distinct stored weight elements."""
    trainable_parameters: int = 0
    weight_bytes: int = 0
    """Distinct stored weight bytes, scales included, packed."""
    activation_bytes: int = 0
    """Bytes of all input-dependent results of executed nodes."""
    peak_activation_bytes: int = 0
    """Largest set of live input-dependent values, in bytes, nodes in file order."""
    notes: tuple[str, ...] = ()
    """Conventions and choices made while counting (default batch, untaken branches, ...)."""
    variant: str = "dense"
    """What was done to the network: ``dense``, ``keep-channels=0.5``, ..."""
    precision: str | None = None
    """The precision asked for; None is the graph's own datatypes."""
    origin: Origin | None = field(default=None, compare=False, repr=False)
    """The graph the counts come from; None for published tables."""

    @property
    def cost(self) -> Cost:
        """The sum over the executed nodes."""
        return reduce(add, (layer.cost for layer in self.layers), Cost())

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return self.cost.macs

    @property
    def ops(self) -> int:
        """Operations of one inference: two for a multiply-accumulate, and the other arithmetic."""
        return self.cost.ops

    @property
    def effective_macs(self) -> int:
        """Multiply-accumulates with a weight that is not zero; all of them where no weight is known to be zero."""
        return sum(
            layer.cost.macs if layer.effective_macs is None else layer.effective_macs
            for layer in self.layers
        )

    def under(self, **changes: Any) -> Workload:
        """Return what the network requires after it is compressed; the model itself is not touched.

        Args:
            **changes: Requests by transformation: ``pruning`` (a share of channels to keep, shares by layer
                pattern, or a `Pruning`), ``precision`` (a name such as ``int8`` or ``w4a8``, names by layer
                pattern, or a `Quantization`) and ``sparsity`` (a share of weights to zero, or a `Sparsity`).
                None changes nothing.

        Raises:
            RooflineError: A request cannot be met, or no transformation has that name.
        """
        changed = self
        # Channels go first: they change the graph, and what remains is quantized and made sparse.
        order = {"pruning": 0, "precision": 1, "sparsity": 2}
        for name in sorted(changes, key=lambda name: (order.get(name, len(order)), name)):
            if changes[name] is not None:
                changed = transformations.get(name)(changed, changes[name])
        return changed

    @classmethod
    def from_table(
        cls, name: str, *, ops: float, weights: float, bits: int = 8, source: str, batch: int = 1
    ) -> Workload:
        """Return a one-layer workload from published totals (the paper's rounded requirements).

        Args:
            name: The network's name.
            ops: Operations per item; kept as half as many MACs, so an odd number keeps one other operation.
            weights: Stored weight elements.
            bits: Width of a weight.
            source: The table the numbers come from.
            batch: Items per inference.
        """
        macs, other = divmod(round(ops), 2)
        elements = round(weights)
        weight_bytes = -(-elements * bits // 8)
        layer = Layer(
            name, "Table", Cost(macs=macs * batch, other_ops=other * batch, weights=elements),
            weight_bytes=weight_bytes, parameters=elements, trainable_parameters=elements,
        )  # fmt: skip
        return cls(
            name, (layer,), source, (layer,), batch, parameters=elements, trainable_parameters=elements,
            weight_bytes=weight_bytes,
        )  # fmt: skip

    def to_frame(self) -> pd.DataFrame:
        """Return one row per executed node (needs pandas)."""
        raise NotImplementedError
