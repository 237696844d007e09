"""What a network requires: its layers, their costs, and the totals over them."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from operator import add
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from roofline.binding import UNBOUND, Binding
from roofline.conventions import Causal, Traffic, choice
from roofline.cost import Cost
from roofline.errors import CompressionError
from roofline.layer import MIXTURES, Layer, Use
from roofline.layer_table import Coverage, coverage_of, row_of
from roofline.node import Tensor
from roofline.number_format import plural
from roofline.precision import Bits, Precision
from roofline.registry import Registry
from roofline.tables import cells, frame

if TYPE_CHECKING:
    import onnx
    import pandas as pd


T = TypeVar("T")

Transformation = Callable[["Workload", Any], "Workload"]
"""Returns a workload changed as a request says."""

transformations: Registry[Transformation] = Registry(
    "transformation", "roofline.compress", "roofline.transformations", CompressionError
)
"""What `Workload.under` can do, by the name of its keyword."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The graph that counts come from, so that a changed graph can be counted the same way."""

    model: Any
    """The ONNX model, with or without its weights."""
    binding: Binding = UNBOUND
    """How its open dimensions and values were bound."""
    path: Path | None = None
    """The file that holds the weights; None for a model that was built in memory."""


# Without slots, so that sums over the layers, which every prediction asks for, are made once.
@dataclass(frozen=True)
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
    batch_assumed_for: tuple[str, ...] = ()
    """Inputs whose symbolic leading dimension was taken as 1, since no batch was given."""
    precision: Precision | None = None
    """The precision asked for; None is the graph's own datatypes."""
    origin: Origin | None = field(default=None, compare=False, repr=False)
    """The graph the counts come from; None for published tables."""
    untaken: tuple[Layer, ...] = field(default=(), compare=False, repr=False)
    """The calls of branches that are not taken: they do nothing, and their weights are stored all the same."""
    fusions: Mapping[str, int] = field(default_factory=dict[str, int], compare=False, repr=False)
    """How many groups each fusion pattern took part in, by name."""

    @cached_property
    def _found(self) -> dict[Hashable, Any]:
        return {}

    def once(self, key: Hashable, find: Callable[[], T]) -> T:
        """Return what this workload and a key decide alone; it never changes, so it is found once.

        Args:
            key: Names the question and all else that the answer depends on.
            find: Finds the answer.
        """
        if key not in self._found:
            self._found[key] = find()
        return self._found[key]

    @cached_property
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

    def __repr__(self) -> str:
        changed = "" if self.variant == "dense" else f", {self.variant}"
        return f"<Workload {self.name}{changed}: {plural(self.macs, 'MAC')}, batch {self.batch}>"

    @cached_property
    def unknown_layers(self) -> tuple[Layer, ...]:
        """The executed nodes of which a count could not be resolved; they count nothing."""
        return tuple(layer for layer in self.layers if layer.unknown)

    @property
    def fully_counted(self) -> bool:
        """Whether every executed node was counted; totals of arithmetic and traffic are lower bounds otherwise."""
        return not self.unknown_layers

    @property
    def coverage(self) -> Coverage:
        """What share of the network was counted."""
        return coverage_of(self.layers)

    def view(self, traffic: Traffic) -> tuple[Layer, ...]:
        """Return the layers that traffic is charged by: executed nodes, or fused ones where there are any."""
        return self.layers if traffic is Traffic.UNFUSED else self.fused_layers or self.layers

    def traffic_bytes(self, assumption: Traffic | str = Traffic.FUSED) -> int:
        """Return the bytes that cross the memory interface in one inference.

        Args:
            assumption: Which bytes are charged; under ``resident`` everything fits the inner memory.

        Raises:
            OptionError: The assumption's name is not known.
        """
        traffic = choice(Traffic, assumption, "traffic assumption")
        layers = self.view(traffic)
        weights = self.weight_read_bytes(layers) + sum(layer.cache_bytes for layer in layers)
        match traffic:
            case Traffic.WEIGHTS:
                return weights
            case Traffic.WEIGHTS_IO:
                return weights + self.io_bytes
            case Traffic.RESIDENT:
                return self.io_bytes
            case Traffic.FUSED | Traffic.UNFUSED:
                return weights + sum(layer.input_bytes + layer.output_bytes for layer in layers)

    @cached_property
    def at_most(self) -> bool:
        """Whether counts are upper limits in some layer: times from them are no bounds of what is needed."""
        return any(layer.at_most for layer in self.layers)

    @cached_property
    def is_routed(self) -> bool:
        """Whether weights are read by expectation (mixtures of experts): times from them are no strict bounds.

        One token reads as many experts as it chooses, whichever they are: that is no expectation.
        """
        return any(_tokens(layer) != 1 for layer in self.mixtures)

    @cached_property
    def mixtures(self) -> tuple[Layer, ...]:
        """Layers of experts, of which each token chooses some."""
        return tuple(layer for layer in self.layers if layer.op_type in MIXTURES)

    @property
    def cache_names(self) -> frozenset[str]:
        """Names of the values that are a key-value cache: handed in, grown in place and handed out."""
        return frozenset(
            access.tensor.name
            for layer in self.layers
            if layer.cache_bytes
            for access in layer.accesses
            if access.use in (Use.CACHE_READ, Use.CACHE_WRITE)
        )

    @cached_property
    def has_cache(self) -> bool:
        """Whether it is a step of a decoder, with a key-value cache."""
        return bool(self.cache_names)

    @property
    def io_bytes(self) -> int:
        """Bytes of the network's own inputs and outputs, a cache aside; unknown sizes count nothing."""
        cached = self.cache_names
        return sum(
            tensor.bytes or 0
            for tensor in (*self.inputs, *self.outputs)
            if tensor.name not in cached
        )

    def weight_read_bytes(self, layers: Sequence[Layer] | None = None) -> int:
        """Return the bytes of stored tensors that one inference reads, each once however many layers share it.

        Args:
            layers: The view that reads them; the executed nodes unless given.
        """
        found: dict[str, int] = {}
        rows: dict[str, int] = {}
        limit: dict[str, int] = {}
        bare = 0
        for layer in self.layers if layers is None else layers:
            if not layer.accesses:
                bare += layer.weight_bytes
            for access in layer.accesses:
                name = access.tensor.name
                if access.use is not Use.WEIGHT:
                    continue
                if access.rows:
                    rows[name] = rows.get(name, 0) + access.bytes
                    limit[name] = access.tensor.bytes or access.bytes
                else:
                    found[name] = max(found.get(name, 0), access.bytes)
        looked_up = sum(min(size, limit[name]) for name, size in rows.items() if name not in found)
        return (
            sum(found.values())
            + looked_up
            + (min(bare, self.weight_bytes) if self.weight_bytes else bare)
        )

    def intensity(self, assumption: Traffic | str = Traffic.FUSED) -> float:
        """Return operations per byte under a traffic assumption; infinite when nothing crosses the interface.

        Args:
            assumption: Which bytes are charged.

        Raises:
            OptionError: The assumption's name is not known.
        """
        moved = self.traffic_bytes(assumption)
        return self.ops / moved if moved else math.inf

    @classmethod
    def from_onnx(
        cls,
        model: str | Path | onnx.ModelProto,
        *,
        name: str | None = None,
        binding: Binding = UNBOUND,
        fused: bool = True,
    ) -> Workload:
        """Count what an ONNX model requires; the values of weights are never read.

        Args:
            model: A file, or a model in memory.
            name: What to call it; the file's name without its suffix unless given.
            binding: Sizes and values that the model leaves open, and what is counted of masked attention.
            fused: Whether layers are wanted as runtimes fuse them, too, which takes a third of the time; a model that
                sees a network as a whole needs none.

        Raises:
            DimensionError: A dimension has no size; the message names the input, the dimension and the flag.
            ModelError: The file is no well-formed ONNX model.
        """
        from roofline.graph.fusion import fuse, report
        from roofline.graph.totals.costs import call_cost, call_costs, unmask
        from roofline.graph.totals.count import count_notes, open_model
        from roofline.graph.totals.layers import call_layers, group_layers
        from roofline.graph.totals.liveness import activations
        from roofline.graph.walking.resolve import resolve
        from roofline.graph.walking.weights import reads_of, totals

        proto, own_name, source = open_model(model)
        graph = resolve(proto, name=name or own_name, binding=binding)
        executed, idle = reads_of(graph)
        exact = call_costs(graph)
        costs = unmask(exact) if binding.causal is Causal.FULL else exact
        groups = fuse(graph) if fused else ()
        layers = call_layers(graph, costs, executed)
        not_taken = replace(graph, nodes=graph.idle)
        stored, written = totals([*executed, *idle]), activations(graph)
        return cls(
            name=graph.name,
            layers=layers,
            untaken=call_layers(not_taken, [call_cost(call) for call in graph.idle], idle),
            source=source,
            fused_layers=group_layers(graph, groups, costs, executed),
            fusions=report(groups),
            batch=graph.batch,
            batch_assumed_for=graph.batch_assumed_for,
            inputs=graph.inputs,
            outputs=graph.outputs,
            parameters=stored.parameters,
            trainable_parameters=stored.trainable_parameters,
            weight_bytes=stored.bytes,
            activation_bytes=written.dynamic_bytes,
            peak_activation_bytes=written.peak_bytes,
            notes=count_notes(graph, exact, layers, binding.causal),
            origin=Origin(proto, binding, Path(model) if isinstance(model, (str, Path)) else None),
        )

    @classmethod
    def from_table(
        cls, name: str, *, ops: float, weights: float, bits: Bits = 8, source: str, batch: int = 1
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
        weight_bytes = int(-(-elements * bits // 8))
        layer = Layer(
            name, "Table", Cost(macs=macs * batch, other_ops=other * batch, weights=elements),
            weight_bytes=weight_bytes, parameters=elements, trainable_parameters=elements,
        )  # fmt: skip
        return cls(
            name, (layer,), source, (layer,), batch, parameters=elements, trainable_parameters=elements,
            weight_bytes=weight_bytes,
        )  # fmt: skip

    def to_frame(self) -> pd.DataFrame:
        """Return one row per executed node.

        Raises:
            MissingPackageError: pandas is not installed.
        """
        return frame({**cells(row_of(layer)), "at_most": layer.at_most} for layer in self.layers)


def _tokens(layer: Layer) -> int:
    """Return the tokens that a layer computes: all dimensions of its first input but the last."""
    shape = layer.inputs[0].shape if layer.inputs else None
    sizes = [] if shape is None else [size for size in shape[:-1] if size is not None]
    # A size that is not known counts as several tokens.
    return math.prod(sizes) if shape is not None and len(sizes) == len(shape) - 1 else 0
