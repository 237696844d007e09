"""Writing half-precision networks: fp16 throughout, bf16 weights."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, cast

import numpy as np

from roofline.compress.bodies import calls, nested_tensors, storing_graphs
from roofline.compress.call import layer_name
from roofline.compress.tensors import to_array
from roofline.compress.writers._registry import WriteOptions, writers
from roofline.compress.writers.restoring import restore
from roofline.errors import CompressionError
from roofline.extras import optional_import
from roofline.graph.reading.graphs import copy_of

if TYPE_CHECKING:
    import onnx


def write_fp16(model: onnx.ModelProto, options: WriteOptions) -> onnx.ModelProto:
    """Return the network in fp16, its inputs and outputs too, by ONNX Runtime's converter.

    Raises:
        CompressionError: Layers are to stay fp32, or the converter refuses the graph.
        MissingPackageError: ONNX Runtime is not installed.
    """
    with optional_import("writing fp16 files"):
        from onnxruntime.transformers.float16 import convert_float_to_float16  # pyright: ignore
    with warnings.catch_warnings():
        # It reports weights below fp16's smallest number, which it rounds, one warning each.
        warnings.simplefilter("ignore")
        try:
            written = convert_float_to_float16(copy_of(model), node_block_list=list(options.wide))  # pyright: ignore
        except (ValueError, RuntimeError, TypeError, AssertionError) as error:
            why = str(error) or "a rule of the converter does not hold"
            raise CompressionError(f"fp16 cannot be written: {why}") from error
    return cast("onnx.ModelProto", written)


def write_bf16(model: onnx.ModelProto, options: WriteOptions) -> onnx.ModelProto:
    """Return the network with its weights, biases and statistics stored in bf16, each behind a Cast.

    Few runtimes have bf16 kernels for every operator; a cast weight runs in all of them. Activations stay fp32.
    """
    from onnx import TensorProto, helper

    written = copy_of(model)
    stored, homes = nested_tensors(written), storing_graphs(written)
    casts: dict[str, list[onnx.NodeProto]] = {}
    for name in _float_parameters(model, options.wide):
        tensor = stored[name]
        array = to_array(tensor)
        if array is None:
            continue
        bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
        # Round to nearest, ties to even, on the upper half of the float's bits.
        rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
        half = helper.make_tensor(
            f"{name}_bf16", TensorProto.BFLOAT16, list(array.shape), rounded.tobytes(), raw=True
        )
        homes[name].initializer.append(half)
        casts[name] = [
            helper.make_node("Cast", [half.name], [name], f"{name}_cast", to=TensorProto.FLOAT)
        ]
    restore(written, casts)
    return written


writers.add("fp16", write_fp16)
writers.add("bf16", write_bf16)


def _float_parameters(model: onnx.ModelProto, wide: tuple[str, ...]) -> list[str]:
    """Return the stored fp32 tensors that are weights, biases or statistics, and no operator's settings."""
    from onnx import TensorProto

    stored = nested_tensors(model)
    found: dict[str, None] = {}
    for node in calls(model.graph):
        if node.op_type in _SETTINGS or layer_name(node) in wide:
            continue
        for name in node.input:
            tensor = stored.get(name)
            if tensor is not None and tensor.data_type == TensorProto.FLOAT and len(tensor.dims):
                found[name] = None
    return list(found)


_SETTINGS = frozenset({"Resize", "Upsample", "QuantizeLinear", "DequantizeLinear", "Clip", "Pad"})
"""Operators whose stored floats steer: factors, scales, bounds."""
