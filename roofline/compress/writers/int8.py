"""Writing int8 networks with ONNX Runtime's quantizer: static (QDQ, calibrated) or dynamic."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from roofline.compress.calibration import batches
from roofline.compress.plain import unwrap_weights
from roofline.compress.shielding import shield
from roofline.compress.sparsity import RECURRENT, wide_weights
from roofline.compress.widening import widen
from roofline.compress.writers._registry import WriteOptions, writers
from roofline.compress.writers.weight_only import write_weight_only
from roofline.errors import CompressionError
from roofline.extras import optional_import
from roofline.graph.reading.graphs import copy_of, replace_calls
from roofline.graph.reading.reads import inner_reads, read_counts, rename_reads
from roofline.ops._datatypes import numpy_type
from roofline.precision import Bits, DatatypeKind
from roofline.temporary import temporary_folder

if TYPE_CHECKING:
    import onnx

_AS_THEY_ARE = frozenset({
    "Cast", "Constant", "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "MatMulInteger", "ConvInteger",
    "QLinearMatMul", "QLinearConv",
})  # fmt: skip
"""What becomes no int8 by itself, or is it already."""

CALIBRATION_ITEMS = 4
"""How many random inputs stand in where no calibration data are given."""


def write_int8(model: onnx.ModelProto, options: WriteOptions) -> onnx.ModelProto:
    """Return the network in int8: weights with a scale per tensor, biases in int32, activations quantized.

    Static quantization writes QuantizeLinear and DequantizeLinear around every operator (QDQ), with ranges measured
    on calibration inputs. The dynamic form writes DynamicQuantizeLinear, ConvInteger and MatMulInteger.

    Raises:
        CompressionError: The quantizer refuses the graph.
        MissingPackageError: ONNX Runtime is not installed.
    """
    with optional_import("writing int8 files"):
        from onnxruntime.quantization import (  # pyright: ignore
            CalibrationDataReader,
            QuantFormat,
            QuantType,
            quantize_dynamic,  # pyright: ignore[reportUnknownVariableType]
            quantize_static,  # pyright: ignore[reportUnknownVariableType]
        )
    import onnx

    model = _number_apart(shield(unwrap_weights(widen(model), options.wide)))

    class Reader(CalibrationDataReader):  # pyright: ignore
        def __init__(self) -> None:
            self._items = iter(calibration_inputs(model, options))

        def get_next(self) -> dict[str, NDArray[Any]] | None:  # type: ignore[override]
            return next(self._items, None)

    with temporary_folder() as folder, _silence():
        path = folder / "int8.onnx"
        try:
            if options.dynamic:
                quantize_dynamic(
                    copy_of(model),
                    path,
                    nodes_to_exclude=list(options.wide),
                    weight_type=QuantType.QInt8,
                )  # pyright: ignore
            else:
                quantize_static(  # pyright: ignore
                    copy_of(model), path, Reader(), QuantFormat.QDQ,
                    op_types_to_quantize=_quantized_operators(model),
                    nodes_to_exclude=[*options.wide, *_exact(model)],
                    activation_type=QuantType.QInt8, weight_type=QuantType.QInt8,
                )  # fmt: skip
        except CompressionError:
            raise
        except Exception as error:
            # The quantizer raises whatever its calibration run raises.
            raise CompressionError(
                f"ONNX Runtime's quantizer refuses this graph: {str(error).splitlines()[0]}"
            ) from error
        written = onnx.load(path)  # pyright: ignore[reportUnknownMemberType]
    return _rest(_share_weights(written), options)


writers.add("int8", write_int8)


def _share_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Let bodies read the weights that the quantizer narrowed outside of them, which it leaves them in full."""
    graph = model.graph
    narrowed = {
        node.input[0].removesuffix("_quantized"): node
        for node in graph.node
        if node.op_type == "DequantizeLinear"
    }
    stored = {tensor.name for tensor in graph.initializer}
    inner = {name for node in graph.node for name in inner_reads(node)}
    names = {name: narrowed[name].output[0] for name in inner & stored & narrowed.keys()}
    if not names:
        return model
    calls = [
        rename_reads(node, names) if next(inner_reads(node), None) else node for node in graph.node
    ]
    first = [narrowed[name] for name in names]
    order = [*first, *(call for call in calls if call not in first)]
    replace_calls(graph, order)
    left = read_counts(graph)
    for tensor in [t for t in graph.initializer if t.name in names and not left[t.name]]:
        graph.initializer.remove(tensor)
    return model


def _rest(model: onnx.ModelProto, options: WriteOptions) -> onnx.ModelProto:
    """Narrow the weights that ONNX Runtime's quantizer leaves: of recurrent layers, of bodies, and those read twice.

    Their arithmetic stays fp32. A graph that cannot be brought to the operator set this needs keeps them.
    """
    if next(wide_weights(model, options.wide), None) is None:
        return model
    try:
        return write_weight_only(model, replace(options, block=None), 8)
    except CompressionError:
        return model


def _quantized_operators(model: onnx.ModelProto) -> list[str]:
    """Return the operators that become int8: all the quantizer knows but five kinds.

    The scales of normalization stay exact, and so does what is only cast. A constant is made int8 by the layer that
    multiplies with it; another operator may read it as scales, limits or a shape. Of recurrent layers the weights alone
    are narrowed (their biases and the state they feed back stay fp32), which the quantizer cannot do. What another
    quantizer made integer is left so.
    """
    present = {node.op_type for node in model.graph.node} - RECURRENT - _AS_THEY_ARE
    return sorted(kind for kind in present if not kind.endswith("Normalization"))


def _exact(model: onnx.ModelProto) -> list[str]:
    """Return the names of the calls that compute with shapes alone, or with scales of products that are integer.

    Rounding a shape to 255 steps makes it another; a scale that an earlier quantizer left is no activation.
    """
    sized: set[str] = set()
    scales: set[str] = set()
    fixed = {tensor.name for tensor in model.graph.initializer} | {""}
    found: list[str] = []
    for node in model.graph.node:
        read = set(node.input)
        if node.op_type == "Constant":
            fixed.update(node.output)
        elif node.op_type == "DynamicQuantizeLinear":
            scales.update(node.output[1:2])
        elif node.op_type in {"Shape", "Size"} or (read & sized and read <= sized | fixed):
            sized.update(node.output)
            found.append(node.name)
        elif read & scales:
            found.append(node.name)
            if read <= scales | fixed:
                scales.update(node.output)
    return found


def _number_apart(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model in which no value is called as a stored tensor with a number behind it.

    The quantizer copies a bias that several layers share under such names, and does not look whether they are free.
    """
    graph = model.graph
    interface = {entry.name for entry in (*graph.input, *graph.output)}
    values = interface | {name for node in graph.node for name in node.output}
    values |= {tensor.name for tensor in graph.initializer}
    numbered = {
        name[:end] for name in values for end in range(len(name.rstrip("0123456789")), len(name))
    }
    names: dict[str, str] = {}
    for tensor in graph.initializer:
        if tensor.name in numbered and tensor.name not in interface:
            new = f"{tensor.name}_stored"
            while new in values or new in numbered:
                new += "_"
            names[tensor.name] = tensor.name = new
    if names:
        replace_calls(graph, [rename_reads(node, names) for node in graph.node])
    return model


def calibration_inputs(
    model: onnx.ModelProto, options: WriteOptions
) -> Iterator[dict[str, NDArray[Any]]]:
    """Yield the inputs that activation ranges are measured on: those given, batch by batch, or seeded random ones.

    An input whose value decides shapes or branches has the value that was asked for.

    Raises:
        CompressionError: An input has no array, one of another rank, or too few items.
    """
    from roofline.graph import resolve

    inputs = resolve(model, name="model", binding=options.binding).inputs
    if options.calibration is not None:
        yield from batches(
            options.calibration, {tensor.name: tensor.shape or () for tensor in inputs}
        )
        return
    chance = np.random.default_rng(options.seed)
    for _ in range(CALIBRATION_ITEMS):
        feed: dict[str, NDArray[Any]] = {}
        for tensor in inputs:
            shape = tuple(size or 1 for size in tensor.shape or ())
            if tensor.name in options.binding.values and tensor.value is not None:
                kind = numpy_type(tensor.dtype)
                feed[tensor.name] = tensor.value if kind is None else tensor.value.astype(kind)
            elif tensor.dtype is not None and tensor.dtype.kind is DatatypeKind.FLOAT:
                widths: dict[Bits, Any] = {16: np.float16, 64: np.float64}
                width = widths.get(tensor.dtype.bits, np.float32)
                feed[tensor.name] = chance.standard_normal(shape).astype(width)
            else:
                bits = tensor.dtype.bits if tensor.dtype else 64
                kind = (
                    "bool"
                    if tensor.dtype and tensor.dtype.kind is DatatypeKind.BOOL
                    else f"{tensor.dtype.kind if tensor.dtype else 'int'}{bits}"
                )
                feed[tensor.name] = chance.integers(0, 2, shape).astype(kind)
        yield feed


@contextmanager
def _silence() -> Generator[None]:
    """Silence the quantizer's advice, which it logs to the root logger at every call."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            root.setLevel(level)
