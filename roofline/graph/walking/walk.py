"""The walk over a graph: every executed call in order, operands typed, functions written out, bodies entered."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from roofline.errors import ModelError
from roofline.graph.reading.blocks import DOMAIN as BLOCKS
from roofline.graph.reading.declared import with_value
from roofline.graph.reading.expansion import MAX_CALLS, Key, key_of, plain_domain
from roofline.graph.reading.order import label, schedule
from roofline.graph.reading.reads import Reads, subgraphs
from roofline.graph.reading.tensors import finn_types, sparse_tensor, stored_tensor
from roofline.graph.walking.attribute_types import attribute_values, check_attributes
from roofline.graph.walking.infer import annotate, infer_types, type_filled
from roofline.graph.walking.limits import limit, own_blocks
from roofline.graph.walking.operator_sets import operator_sets
from roofline.graph.walking.rename import rename_results
from roofline.graph.walking.resolved import ResolvedNode
from roofline.graph.walking.scope import Environment, Frame
from roofline.graph.walking.sequences import SEQUENCE_OPERATORS, Sequences
from roofline.graph.walking.sizes import Sizes
from roofline.node import Limit, Node, Tensor
from roofline.number_format import plural
from roofline.ops import Kind, Operator, lookup
from roofline.ops.qonnx import DOMAINS as QUANTIZERS
from roofline.ops.qonnx import annotated_type, carry_types

if TYPE_CHECKING:
    from onnx import FunctionProto, GraphProto, NodeProto, ValueInfoProto

Runner = Callable[["Walker", "NodeProto", Environment, Frame], None]
"""Walks the bodies of one control-flow operator's call and binds its results."""


@dataclass(slots=True)
class Trace:
    """What a body's walk gave, kept apart from the walk around it."""

    nodes: list[ResolvedNode] = field(default_factory=list[ResolvedNode])
    notes: list[str] = field(default_factory=list[str])


@dataclass(slots=True)
class Walker:
    """State of one walk. The result is what it gathered; it is used once."""

    runners: Mapping[str, Runner]
    """What walks each operator that holds graphs, by operator type."""
    functions: Mapping[Key, FunctionProto]
    values: Mapping[str, Any]
    """Values the caller gives, by name; a loop's name gives its trip count."""
    annotations: Mapping[str, ValueInfoProto]
    """Types the file states for values of its top-level graph."""
    symbols: Mapping[str, int]
    own_channels: Mapping[str, int] = field(default_factory=dict[str, int])
    """The network's own channels of results of convolutions over blocks."""
    nodes: list[ResolvedNode] = field(default_factory=list[ResolvedNode])
    idle: list[ResolvedNode] = field(default_factory=list[ResolvedNode])
    notes: list[str] = field(default_factory=list[str])
    stored: dict[str, str] = field(default_factory=dict[str, str])
    """Flat name of a stored tensor to the name it is stored under, where they differ."""
    sizes: Sizes = field(default_factory=Sizes)
    sequences: Sequences = field(default_factory=Sequences)
    reads: Reads = field(default_factory=dict[int, "tuple[GraphProto, list[str]]"])
    undecided: int = 0
    """How many times a branch was chosen without knowing its condition."""
    apart: int = 0
    """Calls walked so far in loops that are followed trip by trip."""
    used_values: set[str] = field(default_factory=set[str])
    _rows: dict[tuple[str, str], Operator] = field(default_factory=dict[tuple[str, str], Operator])
    _names: dict[str, int] = field(default_factory=dict[str, int])
    _count: int = 0

    def graph(
        self,
        graph: GraphProto,
        given: Mapping[str, Tensor],
        outer: Environment | None,
        frame: Frame,
    ) -> Environment:
        """Walk a graph whose inputs have these values, and return the values of its names."""
        environment = Environment(outer)
        names = environment.names
        where = f"the graph {graph.name!r}" if graph.name else "the graph"
        widths = finn_types(graph)
        for proto in graph.initializer:
            if proto.name in names:
                raise ModelError(f"the tensor {proto.name!r} is stored twice in {where}")
            tensor = stored_tensor(proto, frame.prefix + proto.name)
            if widths:
                tensor = annotated_type(tensor, widths.get(proto.name))
            names[proto.name] = self._keep(tensor, proto.name, frame)
        for sparse in graph.sparse_initializer:
            name = sparse.values.name
            names[name] = self._keep(sparse_tensor(sparse, frame.prefix + name), name, frame)
        if not frame.depth:
            self._override(names)
        names.update(given)
        around = outer if outer is not None else ()
        ordered, moved = schedule(graph.node, names, around, where, self.reads)
        if moved:
            self.notes.append(f"{where} lists its nodes out of order; they were sorted")
        self.calls(ordered, environment, frame)
        for entry in graph.output:
            if entry.name not in environment:
                raise ModelError(f"{where} gives {entry.name!r}, which nothing in it produces")
        return environment

    def calls(self, nodes: Sequence[NodeProto], environment: Environment, frame: Frame) -> None:
        """Walk calls that are already in order."""
        for proto in nodes:
            self._count += 1
            if self._count > MAX_CALLS:
                raise ModelError(
                    f"one inference runs more than {MAX_CALLS} nodes, loops written out"
                )
            if self.functions and (function := self.functions.get(key_of(proto))) is not None:
                self._function(proto, function, environment, frame)
            elif proto.op_type in self.runners and not plain_domain(proto.domain):
                self._control(proto, environment, frame)
            else:
                self._plain(proto, environment, frame)

    def call_name(self, proto: NodeProto, frame: Frame) -> str:
        """Return a name for a call that no other call has."""
        name = (
            f"{frame.prefix}{proto.name}"
            if proto.name
            else f"{frame.prefix}{proto.op_type}_{self._count - 1}"
        )
        times = self._names.get(name, 0)
        self._names[name] = times + 1
        if not times:
            return name
        return self.call_name_again(name, times)

    def call_name_again(self, name: str, times: int) -> str:
        """Return a name with a number that is still free."""
        while (candidate := f"{name}#{times + 1}") in self._names:
            times += 1
        self._names[candidate] = 1
        return candidate

    def operands(self, proto: NodeProto, environment: Environment) -> tuple[Tensor | None, ...]:
        """Return a call's operands by position."""
        names = environment.names
        found: list[Tensor | None] = []
        for name in proto.input:
            if not name:
                found.append(None)
            elif name in names:
                found.append(names[name])
            else:
                found.append(environment.find(name))
        return tuple(found)

    @contextmanager
    def collect(self) -> Generator[Trace, None, None]:
        """Gather the calls and notes of the walk inside apart from those around it."""
        around, found = Trace(self.nodes, self.notes), Trace()
        self.nodes, self.notes = found.nodes, found.notes
        try:
            yield found
        finally:
            self.nodes, self.notes = around.nodes, around.notes

    def emit(self, node: Node, frame: Frame, *, dynamic: bool, note: str = "") -> None:
        """Record an executed call."""
        self.nodes.append(
            ResolvedNode(node, frame.repeats, dynamic, frame.container, note or frame.note)
        )

    def bind(
        self,
        proto: NodeProto,
        outputs: Sequence[Tensor | None],
        environment: Environment,
        frame: Frame,
    ) -> None:
        """Give a call's results the names the file has for them."""
        for name, tensor in zip(proto.output, outputs, strict=False):
            if name:
                # A loop's own name gives its trips, also where its first result has the same name.
                trips = proto.op_type == "Loop" and name == proto.name
                if not frame.depth and tensor is not None and name in self.values and not trips:
                    self.used_values.add(name)
                    tensor = with_value(tensor, self.values[name])  # noqa: PLW2901
                environment.names[name] = tensor

    def _override(self, names: dict[str, Tensor | None]) -> None:
        """Replace stored defaults by the values that the caller gives."""
        for name in self.values:
            tensor = names.get(name)
            if tensor is not None:
                self.used_values.add(name)
                fed = replace(tensor, value=None, constant=False, stored=False)
                names[name] = with_value(fed, self.values[name])

    def _keep(self, tensor: Tensor, name: str, frame: Frame) -> Tensor:
        if frame.depth:
            self.stored[tensor.name] = frame.storage + name
        return tensor

    def _plain(self, proto: NodeProto, environment: Environment, frame: Frame) -> None:
        if not proto.op_type:
            raise ModelError(f"{label(proto)} names no operator")
        domain = plain_domain(proto.domain)
        operands = self.operands(proto, environment)
        constant, exact, narrowed = True, True, domain in QUANTIZERS
        for operand in operands:
            if operand is not None:
                if not operand.constant:
                    constant = False
                if operand.limit is not Limit.EXACT:
                    exact = False
                if operand.carrier is not None:
                    narrowed = True
        prefix, given = frame.prefix, frame.attributes_of(proto) if len(proto.attribute) else {}
        node = Node(
            proto.op_type,
            self.call_name(proto, frame),
            operands,
            tuple(
                [
                    Tensor(prefix + name, constant=constant) if name else None
                    for name in proto.output
                ]
            ),
            attribute_values(given),
            domain,
            frame.opsets.get(domain, 0),
        )
        row = self._row(node)
        if given and row.kind is not Kind.UNSUPPORTED:
            check_attributes(node, given)
        node = self._type_node(node, row, proto, frame)
        if narrowed:
            copies = row.kind in (Kind.MOVE, Kind.VIEW) or proto.op_type in (
                "MaxPool",
                "MaxPoolNHWC",
            )
            node = carry_types(node, copies=copies)
        if not exact:
            node = limit(node)
        for output in node.outputs:
            if output is not None and output.shape is not None and None in output.shape:
                node = self.sizes.give_sizes(node, row)
                break
        if domain == BLOCKS and proto.op_type == "Conv":
            node = own_blocks(node, self.own_channels)
        self.emit(node, frame, dynamic=not constant)
        self._bind_outputs(proto, node, environment, frame)

    def _row(self, node: Node) -> Operator:
        """Return the operator's row of the table, looked up once."""
        operator = (node.domain, node.op_type)
        row = self._rows.get(operator)
        if row is None:
            row = self._rows[operator] = lookup(node)
        return row

    def _type_node(self, node: Node, row: Operator, proto: NodeProto, frame: Frame) -> Node:
        """Return a node with the shapes, datatypes and values of its results."""
        if not node.domain:
            if proto.op_type == "Constant":
                return replace(node, outputs=(self._constant(proto, node, frame),))
            if proto.op_type in SEQUENCE_OPERATORS:
                return self.sequences.type_results(node)
        node = infer_types(node, row, proto)
        if proto.op_type == "ConstantOfShape":
            node = type_filled(node, frame.attribute(proto, "value"))
        if row.shape is None and not frame.depth:
            node = annotate(node, self.annotations, self.symbols)
        return node

    def _bind_outputs(
        self, proto: NodeProto, node: Node, environment: Environment, frame: Frame
    ) -> None:
        if not frame.depth and self.values:
            self.bind(proto, node.outputs, environment, frame)
            return
        names = environment.names
        for name, output in zip(proto.output, node.outputs, strict=False):
            if name:
                names[name] = output

    def _constant(self, proto: NodeProto, node: Node, frame: Frame) -> Tensor:
        """Return the result of a Constant, which is stored in the file as an initializer is."""
        if not node.outputs or node.outputs[0] is None:
            raise ModelError(f"{label(proto)} gives no value")
        name = node.outputs[0].name
        for key, build in (("value", stored_tensor), ("sparse_value", sparse_tensor)):
            source = frame.attribute(proto, key)
            if source is not None:
                proto_value: Any = source.t if key == "value" else source.sparse_tensor
                return self._keep(build(proto_value, name), proto.output[0], frame)
        done = infer_types(node, self._rows["", "Constant"], proto).outputs[0]
        if done is None or done.shape is None:
            raise ModelError(f"{label(proto)} has no value attribute")
        return self._keep(replace(done, constant=True, stored=True), proto.output[0], frame)

    def _function(
        self, proto: NodeProto, function: FunctionProto, environment: Environment, frame: Frame
    ) -> None:
        """Write a call of a model's own function out."""
        attributes = {attribute.name: attribute for attribute in function.attribute_proto}
        for attribute in proto.attribute:
            source = (
                frame.attributes.get(attribute.ref_attr_name)
                if attribute.ref_attr_name
                else attribute
            )
            if source is not None:
                attributes[attribute.name] = source
        operands = self.operands(proto, environment)
        if len(operands) > len(function.input):
            raise ModelError(
                f"{label(proto)} has {plural(len(operands), 'operand')}; its function takes {len(function.input)}"
            )
        name = self.call_name(proto, frame)[len(frame.prefix) :]
        opsets = {
            **frame.opsets,
            **operator_sets(function.opset_import, f"the function {function.name!r}"),
        }
        inner = frame.inside(
            name,
            storage=f"{function.domain}::{function.name}",
            opsets=opsets,
            attributes=attributes,
        )
        local = Environment()
        for place, formal in enumerate(function.input):
            local.names[formal] = operands[place] if place < len(operands) else None
        where = f"the function {function.name!r}"
        ordered, _ = schedule(function.node, local.names, (), where, self.reads)
        with self.collect() as found:
            self.calls(ordered, local, inner)
        self.notes.extend(found.notes)
        for formal in function.output:
            if formal not in local:
                raise ModelError(
                    f"the function {function.name!r} gives {formal!r}, which nothing in it produces"
                )
        results = [local.find(formal) for formal in function.output]
        self.adopt(proto, found.nodes, results, environment, frame)

    def adopt(
        self,
        proto: NodeProto,
        nodes: Sequence[ResolvedNode],
        results: Sequence[Tensor | None],
        environment: Environment,
        frame: Frame,
    ) -> None:
        """Take what a branch or function ran into the list, its results under the call's names."""
        names = [frame.prefix + name if name else "" for name in proto.output]
        found, outputs = rename_results(nodes, results, names)
        for before, after in zip(results, outputs, strict=True):
            if before is not None and after is not None and before.name != after.name:
                self.sequences.alias(before, after.name)
        self.nodes.extend(found)
        self.bind(proto, outputs, environment, frame)

    def _control(self, proto: NodeProto, environment: Environment, frame: Frame) -> None:
        if not any(True for _ in subgraphs(proto)):
            raise ModelError(f"{label(proto)} holds no graph")
        self.runners[proto.op_type](self, proto, environment, frame)
