"""ONNX's own inference for one call, where the operator table has no shape function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from roofline.graph.reading.declared import dimensions
from roofline.node import Node, Shape
from roofline.ops._datatypes import from_code
from roofline.ops._registry import TensorType
from roofline.precision import DataType

if TYPE_CHECKING:
    from onnx import NodeProto, TypeProto

_CODES = range(1, 27)


def onnx_types(node: Node, proto: NodeProto) -> Sequence[TensorType | None]:
    """Return what onnx.shape_inference finds for one call; nothing when it finds nothing.

    Calls that hold graphs, and operands of unknown type, are left unknown.
    """
    from onnx import checker, defs, helper, shape_inference

    operands = [tensor for tensor in node.operands if tensor is not None]
    if any(tensor.dtype is None for tensor in operands):
        return ()
    version = node.version or defs.onnx_opset_version()
    try:
        schema = defs.get_schema(node.op_type, version, node.domain)
        types = {
            name: helper.make_tensor_type_proto(_code(tensor.dtype), tensor.shape)
            for name, tensor in zip(proto.input, node.operands, strict=False)
            if tensor is not None and tensor.dtype is not None
        }
        data = {
            name: helper.make_tensor(
                name, _code(tensor.dtype), tensor.value.shape, tensor.value.ravel()
            )
            for name, tensor in zip(proto.input, node.operands, strict=False)
            if tensor is not None
            and tensor.dtype is not None
            and tensor.value is not None
            and tensor.value.dtype.kind in "iufb"
        }
        found: dict[str, TypeProto] = shape_inference.infer_node_outputs(
            schema,
            proto,
            types,
            input_data=data,
            opset_imports=[helper.make_opsetid(node.domain, version)],
        )
    except (
        defs.SchemaError, shape_inference.InferenceError, checker.ValidationError, RuntimeError, ValueError, TypeError,
    ):  # fmt: skip
        return ()
    return tuple(_type(found[name]) if name in found else None for name in proto.output)


def _code(dtype: DataType | None) -> int:
    # An element type that ONNX has no number for is undefined to it.
    return next((code for code in _CODES if from_code(code) == dtype), 0)


def _type(found: TypeProto) -> TensorType | None:
    if found.WhichOneof("value") != "tensor_type":
        return None
    tensor = found.tensor_type
    shape: Shape | None = None
    if tensor.HasField("shape"):
        shape = tuple(size if isinstance(size, int) else None for size in dimensions(tensor.shape))
    return shape, from_code(tensor.elem_type)
