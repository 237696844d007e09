"""Writing networks whose activations are narrow too: QuantizeLinear and DequantizeLinear before every product.

The arithmetic of such a file is emulated: a runtime without units of that width computes in fp32 (or int8) between the
two, with exactly the values that the narrow datatype can hold.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from roofline.compress.call import layer_name
from roofline.compress.plain import unwrap_weights
from roofline.compress.sparsity import WEIGHT_OPERANDS
from roofline.compress.widening import widen
from roofline.compress.writers._registry import WriteOptions, writers
from roofline.compress.writers.int8 import calibration_inputs
from roofline.compress.writers.restoring import Narrow, store_narrow
from roofline.compress.writers.weight_only import OPSETS, at_opset, write_weight_only
from roofline.errors import CompressionError
from roofline.extras import optional_import
from roofline.graph.reading.graphs import copy_of, replace_calls
from roofline.surfaces import DATATYPE

if TYPE_CHECKING:
    import onnx

FP8_OPSET = 19
FP8_MOST = 448.0
"""The largest number of the format E4M3FN."""
DATA_OPERANDS: Mapping[str, tuple[int, ...]] = {
    "Conv": (0,), "ConvTranspose": (0,), "Gemm": (0, 1), "MatMul": (0, 1),
}  # fmt: skip
"""Operands of each operator that may be activations."""


@dataclass(frozen=True, slots=True)
class _Range:
    least: float
    most: float

    @property
    def largest(self) -> float:
        return max(abs(self.least), abs(self.most))

    def step(self, bits: int) -> tuple[bool, float]:
        """Return whether integers are to be unsigned, and the scale; zero is always exact."""
        unsigned = self.least >= 0
        top = 2**bits - 1 if unsigned else 2 ** (bits - 1) - 1
        return unsigned, self.largest / top or 1.0


def write_integers(
    model: onnx.ModelProto, options: WriteOptions, weight_bits: int, activation_bits: int
) -> onnx.ModelProto:
    """Return the network with integer weights, and integer activations where they enter a product.

    Activations take a scale per tensor from the largest magnitude seen in calibration; those that are never negative
    are unsigned. Biases and normalization stay fp32.

    Args:
        model: With floating-point weights; one in half precision is computed in fp32.
        options: Calibration inputs, ``block`` of the weights, layers that stay fp32.
        weight_bits: 8, 4 or 2.
        activation_bits: 8, 4 or 2.

    Raises:
        CompressionError: A layer's activations cannot be quantized, or the graph does not run.
        MissingPackageError: ONNX Runtime, which measures the ranges, is not installed.
    """
    from onnx import TensorProto

    kinds = {
        (8, False): TensorProto.INT8, (8, True): TensorProto.UINT8, (4, False): TensorProto.INT4,
        (4, True): TensorProto.UINT4, (2, False): TensorProto.INT2, (2, True): TensorProto.UINT2,
    }  # fmt: skip
    model = unwrap_weights(widen(model), options.wide)
    model = at_opset(model, max(OPSETS[weight_bits], OPSETS[activation_bits]))
    entries = _activations(model, options)
    ranges = _ranges(model, entries, options)
    written = write_weight_only(model, options, weight_bits)
    nodes: dict[str, list[onnx.NodeProto]] = {}
    for value, found in ranges.items():
        unsigned, scale = found.step(activation_bits)
        kind = kinds[activation_bits, unsigned]
        nodes[value] = _rounding_nodes(
            written, value, kind, scale, apart=2 in {weight_bits, activation_bits}
        )
    return _insert(written, entries, nodes)


def write_fp8(model: onnx.ModelProto, options: WriteOptions) -> onnx.ModelProto:
    """Return the network with weights, and activations where they enter a product, in fp8 (E4M3FN).

    Scales bring the largest magnitude of a tensor to the format's largest number. Biases and normalization stay fp32.

    Raises:
        CompressionError: A layer's activations cannot be quantized, or the graph does not run.
        MissingPackageError: ONNX Runtime, which measures the ranges, is not installed.
    """
    from onnx import TensorProto

    written = at_opset(unwrap_weights(widen(model), options.wide), FP8_OPSET)
    entries = _activations(written, options)
    ranges = _ranges(written, entries, options)
    store_narrow(written, options.wide, _narrow_to_fp8)
    nodes = {
        value: _rounding_nodes(
            written, value, TensorProto.FLOAT8E4M3FN, found.largest / FP8_MOST or 1, apart=True
        )
        for value, found in ranges.items()
    }
    return _insert(written, entries, nodes)


def _narrow_to_fp8(_: str, array: NDArray[Any]) -> Narrow:
    from onnx import TensorProto, helper

    scale = np.float32(np.abs(array).max(initial=0) / FP8_MOST or 1)
    kind = helper.tensor_dtype_to_np_dtype(TensorProto.FLOAT8E4M3FN)
    data = np.clip(array / scale, -FP8_MOST, FP8_MOST).astype(kind).tobytes()
    return Narrow(TensorProto.FLOAT8E4M3FN, "fp8", data, scale)


for _name, _bits in {
    "int4": (4, 4), "int2": (2, 2), "w4a8": (4, 8), "w2a8": (2, 8), "w4a4": (4, 4), "w2a4": (2, 4), "w2a2": (2, 2),
}.items():  # fmt: skip
    writers.add(_name, partial(write_integers, weight_bits=_bits[0], activation_bits=_bits[1]))
writers.add("fp8", write_fp8)


def _activations(model: onnx.ModelProto, options: WriteOptions) -> dict[tuple[int, int], str]:
    """Return the operands to quantize: by node and position, the value.

    Raises:
        CompressionError: A layer with weights takes activations in a way that is not known here.
    """
    constant = _constants(model)
    found: dict[tuple[int, int], str] = {}
    for index, node in enumerate(model.graph.node):
        if node.op_type not in WEIGHT_OPERANDS or layer_name(node) in options.wide:
            continue
        positions = DATA_OPERANDS.get(node.op_type)
        if positions is None:
            raise CompressionError(
                f"the activations of {node.op_type} {layer_name(node)} cannot be quantized in a file",
                repair=f"Keep it with {DATATYPE.at(f'{layer_name(node)}=fp32')}, or ask for weights alone, such as "
                f"{DATATYPE.at('w4a16')}",
            )
        for position in positions:
            if node.input[position] not in constant:
                found[index, position] = node.input[position]
    return found


def _constants(model: onnx.ModelProto) -> set[str]:
    """Return the names of all values that depend on no input of the graph."""
    found = {tensor.name for tensor in model.graph.initializer}
    for node in model.graph.node:
        subgraphs = any(a.HasField("g") or a.graphs for a in node.attribute)
        if not subgraphs and all(not name or name in found for name in node.input):
            found.update(node.output)
    return found


def _ranges(
    model: onnx.ModelProto, entries: Mapping[tuple[int, int], str], options: WriteOptions
) -> dict[str, _Range]:
    """Return the least and the greatest element of each value over the calibration inputs."""
    with optional_import("measuring ranges of activations"):
        ort: Any = importlib.import_module("onnxruntime")
    from onnx import helper

    values = list(dict.fromkeys(entries.values()))
    watched = copy_of(model)
    outputs = {output.name for output in watched.graph.output}
    inputs = {given.name for given in watched.graph.input}
    watched.graph.output.extend(
        helper.make_empty_tensor_value_info(name)
        for name in values
        if name not in outputs | inputs
    )
    settings: Any = ort.SessionOptions()
    settings.log_severity_level = 4
    found: dict[str, _Range] = {}
    try:
        session: Any = ort.InferenceSession(
            watched.SerializeToString(), settings, providers=["CPUExecutionProvider"]
        )
        for feed in calibration_inputs(model, options):
            asked = [name for name in values if name not in inputs]
            results = dict(zip(asked, session.run(asked, feed), strict=True)) if asked else {}
            for name in values:
                array: Any = results[name] if name in results else feed[name]
                before = found.get(name, _Range(0.0, 0.0))
                found[name] = _Range(
                    min(before.least, float(array.min(initial=0))),
                    max(before.most, float(array.max(initial=0))),
                )
    except CompressionError:
        raise
    except Exception as error:
        # The runtime raises classes of its own for graphs that it cannot run.
        raise CompressionError(
            f"ranges cannot be measured, for ONNX Runtime refuses this graph: {str(error).splitlines()[0]}"
        ) from error
    return found


def _rounding_nodes(
    model: onnx.ModelProto, value: str, kind: int, scale: float, *, apart: bool
) -> list[onnx.NodeProto]:
    """Return the nodes that round a value to a datatype, and store the numbers that they need.

    Args:
        model: Where the numbers are stored.
        value: What is rounded.
        kind: The datatype.
        scale: Its step.
        apart: Whether no DequantizeLinear may stand beside that of the weights: ONNX Runtime would fuse both to an
            integer product, which takes neither 2-bit integers nor fp8.
    """
    from onnx import TensorProto, helper, numpy_helper

    def constant(name: str, number: float) -> str:
        array = np.asarray(number, np.float32)
        model.graph.initializer.append(numpy_helper.from_array(array, f"{value}_{name}"))
        return f"{value}_{name}"

    def node(kind: str, inputs: list[str], name: str, **attributes: Any) -> onnx.NodeProto:
        made = f"{value}_{name}"
        return helper.make_node(kind, inputs, [made], f"{made}_node", **attributes)

    step, units, narrow = constant("step", scale), f"{value}_units", f"{value}_narrow"
    widen = [
        node("Cast", [narrow], "wide", to=TensorProto.FLOAT),
        node("Mul", [f"{value}_wide", step], "rounded"),
    ]
    if kind == TensorProto.FLOAT8E4M3FN:
        return [
            node("Div", [value, step], "units"),
            node("Cast", [units], "narrow", to=kind),
            *widen,
        ]
    zero = helper.make_tensor(f"{value}_zero", kind, [], [0])
    model.graph.initializer.append(zero)
    restore = widen if apart else [node("DequantizeLinear", [narrow, step, zero.name], "rounded")]
    if kind in {TensorProto.INT8, TensorProto.UINT8}:
        return [node("QuantizeLinear", [value, step, zero.name], "narrow"), *restore]
    # ONNX Runtime would move QuantizeLinear over poolings and reshapes, which take no type narrower than int8; behind
    # a division it stays.
    return [
        node("Div", [value, step], "units"),
        node("QuantizeLinear", [units, constant("one", 1), zero.name], "narrow"),
        *restore,
    ]


def _insert(
    model: onnx.ModelProto,
    entries: Mapping[tuple[int, int], str],
    nodes: Mapping[str, Sequence[onnx.NodeProto]],
) -> onnx.ModelProto:
    """Put the nodes that round a value before the first product that takes it, and let all products take the result.

    The products are found by their operators and operands, for writing the weights moved the nodes.
    """
    taken = {(value, position) for (_, position), value in entries.items()}
    names = {value: made[-1].output[0] for value, made in nodes.items()}
    placed: set[str] = set()
    order: list[onnx.NodeProto] = []
    for node in model.graph.node:
        for position in DATA_OPERANDS.get(node.op_type, ()):
            value = node.input[position]
            if (value, position) not in taken or value not in names:
                continue
            if value not in placed:
                order += nodes[value]
                placed.add(value)
            node.input[position] = names[value]
        order.append(node)
    replace_calls(model.graph, order)
    return model
