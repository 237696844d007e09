"""An ONNX graph as a torch module: what is constant is computed once, the rest runs in order."""

# torch is optional and its stubs are partial; everything in this module is a torch call.
# pyright: basic

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roofline.node import Attributes
from roofline.validate.measuring.backend import UnsupportedModelError
from roofline.validate.torch_runtime import attention as _attention  # noqa: F401  # they fill the table
from roofline.validate.torch_runtime import layout as _torch_layout  # noqa: F401  # they fill the table
from roofline.validate.torch_runtime import ops as _torch_ops  # noqa: F401  # they fill the table
from roofline.validate.torch_runtime.table import OPERATORS, Tensors, from_array

torch: Any = importlib.import_module("torch")


@dataclass(frozen=True, slots=True)
class _Step:
    """One call with its operands: a name of a run-time value, or a constant."""

    op_type: str
    attributes: Attributes
    operands: tuple[tuple[str, Any], ...]
    """Pairs of a kind (``value``, ``weight``, ``constant``) and a name or the constant itself."""
    outputs: tuple[str, ...]


class GraphModule(torch.nn.Module):
    """Runs the steps of a graph; weights are buffers, so they move with ``to``."""

    def __init__(
        self,
        steps: Sequence[_Step],
        weights: Tensors,
        inputs: Sequence[str],
        outputs: Sequence[str],
    ) -> None:
        super().__init__()
        self.steps = tuple(steps)
        self.input_names, self.output_names = tuple(inputs), tuple(outputs)
        self._buffer_of = {name: f"weight_{i}" for i, name in enumerate(weights)}
        for name, value in weights.items():
            self.register_buffer(self._buffer_of[name], value)

    @property
    def buffer_names(self) -> dict[str, str]:
        """Where each stored tensor of the graph is held, by its name in the graph."""
        return dict(self._buffer_of)

    def forward(self, *inputs: Any) -> tuple[Any, ...]:
        """Return the graph's outputs, in its order."""
        held = dict(zip(self.input_names, inputs, strict=True))
        for step in self.steps:
            operands = [
                held[operand]
                if kind == "value"
                else getattr(self, self._buffer_of[operand])
                if kind == "weight"
                else operand
                for kind, operand in step.operands
            ]
            result = OPERATORS[step.op_type](step.attributes, *operands)
            results = result if isinstance(result, tuple) else (result,)
            held.update(
                (name, value) for name, value in zip(step.outputs, results, strict=False) if name
            )
        return tuple(
            held[name] if name in held else getattr(self, self._buffer_of[name])
            for name in self.output_names
        )


def build_module(path: Path) -> GraphModule:
    """Read an ONNX file with weights and fixed input shapes as a torch module.

    Raises:
        UnsupportedModelError: The graph holds an operator that is not in the table, or one with a body.
    """
    onnx: Any = importlib.import_module("onnx")
    return module_of(onnx.load(path), lambda entry: from_array(onnx.numpy_helper.to_array(entry)))


def module_of(graph: Any, stored: Callable[[Any], Any]) -> GraphModule:
    """Return a model with fixed input shapes as a torch module.

    Args:
        graph: An ``onnx.ModelProto``.
        stored: Returns an initializer as a tensor: what it holds, or what takes the place of weights that it lacks.

    Raises:
        UnsupportedModelError: The graph holds an operator that is not in the table, or one with a body.
    """
    onnx: Any = importlib.import_module("onnx")
    versions = {entry.domain: entry.version for entry in graph.opset_import}
    body = graph.graph
    unknown = sorted({_name(node) for node in body.node if not _is_known(node)})
    if unknown:
        raise UnsupportedModelError(f"torch: no function for {', '.join(unknown)}")
    constants = {entry.name: stored(entry) for entry in body.initializer}
    inputs = [entry.name for entry in body.input if entry.name not in constants]
    examples = {entry.name: _example(onnx, entry) for entry in body.input if entry.name in inputs}
    steps, weights = _fold(
        onnx, body, constants, examples, versions.get("", versions.get("ai.onnx", 0))
    )
    outputs = [entry.name for entry in body.output]
    weights |= {name: constants[name] for name in outputs if name in constants}
    return GraphModule(steps, weights, inputs, outputs)


def _is_known(node: Any) -> bool:
    if any(entry.HasField("g") for entry in node.attribute):
        return False
    return _name(node) in OPERATORS or _name(node) in {"Constant", "Shape", "ConstantOfShape"}


def _name(node: Any) -> str:
    """Return the name of an operator's function: with its domain, if it is not ONNX's own."""
    own = node.domain in {"", "ai.onnx"}
    return node.op_type if own else f"{node.domain}.{node.op_type}"


def _example(onnx: Any, entry: Any) -> Any:
    tensor = entry.type.tensor_type
    shape = [dimension.dim_value for dimension in tensor.shape.dim]
    kind = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    return torch.zeros(shape, dtype=getattr(torch, str(kind)))


def _fold(
    onnx: Any, body: Any, constants: Tensors, examples: Tensors, version: int
) -> tuple[list[_Step], Tensors]:
    """Run the graph once on zeros: shapes become constants, and what depends on the input becomes a step."""
    steps: list[_Step] = []
    weights: Tensors = {}
    live = dict(examples)
    with torch.no_grad():
        for node in body.node:
            attributes = {entry.name: _attribute(onnx, entry) for entry in node.attribute}
            attributes |= {
                "op_type": node.op_type,
                "version": version,
                "results": len(node.output),
            }
            if node.op_type == "Constant":
                constants[node.output[0]] = _constant(attributes)
                continue
            if node.op_type == "Shape":
                operand = (
                    live[node.input[0]] if node.input[0] in live else constants[node.input[0]]
                )
                shape = list(operand.shape)[attributes.get("start", 0) : attributes.get("end")]
                constants[node.output[0]] = torch.tensor(shape, dtype=torch.int64)
                continue
            if node.op_type == "ConstantOfShape":
                value = attributes.get("value", torch.zeros(1))
                constants[node.output[0]] = value.expand(
                    constants[node.input[0]].tolist()
                ).contiguous()
                continue
            operands = [_operand(name, live, constants) for name in node.input]
            values = [
                live[name] if kind == "value" else constants[name] if kind == "weight" else name
                for kind, name in operands
            ]
            result = OPERATORS[_name(node)](attributes, *values)
            results = result if isinstance(result, tuple) else (result,)
            if any(kind == "value" for kind, _ in operands):
                weights |= {name: constants[name] for kind, name in operands if kind == "weight"}
                steps.append(_Step(_name(node), attributes, tuple(operands), tuple(node.output)))
                live |= {
                    name: value for name, value in zip(node.output, results, strict=False) if name
                }
            else:
                constants |= {
                    name: value for name, value in zip(node.output, results, strict=False) if name
                }
    return steps, weights


def _operand(name: str, live: Tensors, constants: Tensors) -> tuple[str, Any]:
    if not name:
        return "constant", None
    if name in live:
        return "value", name
    value = constants[name]
    if value.dtype == torch.int64 or (value.dtype == torch.int32 and value.numel() == 1):
        return "constant", value.tolist()
    return "weight", name


def _attribute(onnx: Any, entry: Any) -> Any:
    value = onnx.helper.get_attribute_value(entry)
    if isinstance(value, bytes):
        return value.decode()
    if hasattr(value, "dims"):
        return from_array(onnx.numpy_helper.to_array(value))
    return list(value) if hasattr(value, "__len__") and not isinstance(value, str) else value


def _constant(attributes: Attributes) -> Any:
    for name, value in attributes.items():
        if name.startswith("value"):
            if name in {"value_int", "value_ints"}:
                return torch.tensor(value, dtype=torch.int64)
            return value if name == "value" else torch.tensor(value, dtype=torch.float32)
    raise UnsupportedModelError("torch: a Constant node without a value")
