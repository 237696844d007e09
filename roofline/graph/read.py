"""Reading an ONNX file without its weights."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from roofline.errors import ModelError
from roofline.graph.wire import skim

if TYPE_CHECKING:
    import onnx


def read(path: str | Path) -> onnx.ModelProto:
    """Return the model in a file; weights above a kilobyte keep their dimensions and type, not their data.

    External data is never opened, so the file that holds it may be absent.

    Args:
        path: An ONNX file of any size.

    Raises:
        ModelError: The file is absent, or is not a well-formed ONNX model.
    """
    from google.protobuf.message import DecodeError
    from onnx import ModelProto

    path = Path(path)
    if path.is_dir():
        raise ModelError(f"{path} is a folder, not an ONNX file")
    if not path.is_file():
        raise ModelError(f"there is no file {str(path)!r}", repair="Check the path")
    skimmed = skim(path)
    model = ModelProto()
    try:
        model.ParseFromString(skimmed)
    except (DecodeError, ValueError):
        raise ModelError(
            f"{path} is not an ONNX model: its fields do not hold what ONNX defines (or nest too deep)",
            repair="Give a file that an ONNX exporter wrote",
        ) from None
    if not model.HasField("graph"):
        raise ModelError(
            f"{path} holds no graph", repair="Give a file that an ONNX exporter wrote"
        )
    if not _all_text(model):
        raise ModelError(
            f"{path} is not an ONNX model: a name in it is not UTF-8 text",
            repair="Fetch or export the file again",
        )
    return model


def _all_text(model: onnx.ModelProto) -> bool:
    """Return whether every name is text; protobuf hands names that are not out as bytes."""
    try:
        for opset in model.opset_import:
            "".join((opset.domain,))
        for function in model.functions:
            "".join(
                (
                    function.name,
                    function.domain,
                    *function.input,
                    *function.output,
                    *function.attribute,
                )
            )
            _join_nodes(function.node)
        _join_graph(model.graph)
    except TypeError:
        return False
    return True


def _join_graph(graph: onnx.GraphProto) -> None:
    "".join(
        (graph.name, *(entry.name for entry in (*graph.input, *graph.output, *graph.value_info)))
    )
    for entry in graph.input:
        "".join(dim.dim_param for dim in entry.type.tensor_type.shape.dim)
    for stored in graph.initializer:
        _join_tensor(stored)
    for sparse in graph.sparse_initializer:
        _join_tensor(sparse.values)
    _join_nodes(graph.node)


def _join_nodes(nodes: Iterable[onnx.NodeProto]) -> None:
    for node in nodes:
        "".join((node.op_type, node.domain, node.name, *node.input, *node.output))
        for attribute in node.attribute:
            "".join((attribute.name, attribute.ref_attr_name))
            if attribute.HasField("t"):
                _join_tensor(attribute.t)
            if attribute.HasField("g"):
                _join_graph(attribute.g)


def _join_tensor(tensor: onnx.TensorProto) -> None:
    "".join(
        (
            tensor.name,
            *(text for entry in tensor.external_data for text in (entry.key, entry.value)),
        )
    )
