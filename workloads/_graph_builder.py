"""What a network's definition adds its operators to: names, scopes, stored tensors and the finished model."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

import onnx
from onnx import TensorProto, helper

from roofline.workloads._value import Value
from roofline.workloads._weights import Draw, tensor

OPSET = 17
"""The operator set of every shipped network: the first with LayerNormalization, and one that every runtime reads."""

IR_VERSION = 8

DECODER_OPSET, DECODER_IR_VERSION = 23, 11
"""Those of decoders, which need RMSNormalization."""


class GraphBuilder:
    """Collects the operators of one network.

    Args:
        name: The graph's name.
        batch: Items per inference; None for the symbolic dimension ``N``.
        seed: Of the random weights; None leaves weights declared without payload.
        half: Whether tensors are fp16; fp32 otherwise.
        decoder: Whether the operator set is that of decoders.
    """

    INT64 = TensorProto.INT64
    """The datatype of token numbers."""

    def __init__(
        self,
        name: str,
        *,
        batch: int | None = None,
        seed: int | None = None,
        half: bool = False,
        decoder: bool = False,
    ) -> None:
        self._name = name
        self._half = half
        self._decoder = decoder
        self._batch = batch
        self._seed = seed
        self._nodes: list[onnx.NodeProto] = []
        self._stored: list[TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._scope: tuple[str, ...] = ()
        self._used: dict[str, int] = {}
        self._renamed: dict[str, str] = {}

    # The frame: inputs, outputs, scopes, the finished model.

    def input(self, *shape: int, name: str = "input", dtype: int | None = None) -> Value:
        """Declare a graph input; the batch dimension comes first and is not given."""
        return self.sequence(shape, name=name, dtype=dtype)

    def sequence(
        self, shape: Sequence[int | str], *, name: str, dtype: int | None = None
    ) -> Value:
        """Declare a graph input whose named dimensions stay open; the value's own shape is the known ones."""
        self._inputs.append(self._info(name, dtype or self._float, shape))
        return Value(name, tuple(size for size in shape if isinstance(size, int)))

    def output(
        self, x: Value, name: str = "output", *, shape: Sequence[int | str] | None = None
    ) -> None:
        """Make a value a graph output; its shape without the batch may name dimensions."""
        self._renamed[x.name] = name
        self._outputs.append(self._info(name, self._float, x.shape if shape is None else shape))

    def further_output(self, name: str, shape: Sequence[int | str]) -> None:
        """Make a further result of an operator, by its name, a graph output."""
        self._outputs.append(self._info(name, self._float, shape))

    @contextmanager
    def scope(self, name: str) -> Generator[None]:
        """Prefix the names of what is added inside: ``stage2/block1/conv1``."""
        outer = self._scope
        self._scope = (*outer, name)
        try:
            yield
        finally:
            self._scope = outer

    def model(self, description: str) -> onnx.ModelProto:
        """Return everything added so far as a model."""
        for node in self._nodes:
            node.input[:] = [self._renamed.get(operand, operand) for operand in node.input]
            node.output[:] = [self._renamed.get(result, result) for result in node.output]
        domains = sorted({node.domain for node in self._nodes})
        graph = helper.make_graph(
            self._nodes,
            self._name,
            self._inputs,
            self._outputs,
            self._stored,
            doc_string=description,
        )
        return helper.make_model(
            graph,
            producer_name="roofline",
            ir_version=DECODER_IR_VERSION if self._decoder else IR_VERSION,
            opset_imports=[
                helper.make_opsetid("", DECODER_OPSET if self._decoder else OPSET),
                *(helper.make_opsetid(domain, 1) for domain in domains if domain),
            ],
        )

    # What layers are made of.

    def node(
        self, op_type: str, operands: Sequence[str], shape: tuple[int, ...], power: float = 1.0, *, name: str = "",
        more: Sequence[str] = (), **attributes: Any,
    ) -> Value:  # fmt: skip
        """Add one operator and return its first result; ``more`` names further ones."""
        name = name or self._fresh(op_type.lower())
        result = f"{name}.out"
        self._nodes.append(
            helper.make_node(op_type, list(operands), [result, *more], name=name, **attributes)
        )
        return Value(result, shape, power)

    def store(self, name: str, dims: tuple[int, ...], draw: Draw, spread: float = 1.0) -> str:
        """Declare a stored float tensor and return its name."""
        self._stored.append(tensor(name, dims, draw, spread, self._seed, half=self._half))
        return name

    def vector(self, name: str, values: Sequence[int]) -> str:
        """Store whole numbers that steer an operator (a shape), and return their name."""
        self._stored.append(
            helper.make_tensor(name, TensorProto.INT64, [len(values)], list(values))
        )
        return name

    def constant(self, name: str, value: float) -> str:
        """Store one float that a formula needs, once per network, and return its name."""
        if name not in self._used:
            self._used[name] = 1
            self._stored.append(helper.make_tensor(name, TensorProto.FLOAT, [], [value]))
        return name

    def _weight(self, name: str, dims: tuple[int, ...], power: float, fan_in: int) -> str:
        return self.store(name, dims, Draw.NORMAL, 1 / math.sqrt(fan_in * power))

    def _fresh(self, kind: str) -> str:
        stem = "/".join((*self._scope, kind))
        count = self._used.get(stem, 0) + 1
        self._used[stem] = count
        return f"{stem}{count}"

    @property
    def _float(self) -> int:
        return TensorProto.FLOAT16 if self._half else TensorProto.FLOAT

    def _info(self, name: str, dtype: int, shape: Sequence[int | str]) -> onnx.ValueInfoProto:
        dims: list[int | str] = ["N" if self._batch is None else self._batch, *shape]
        return helper.make_tensor_value_info(name, dtype, dims)
