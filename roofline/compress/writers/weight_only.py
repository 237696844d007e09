"""Writing weight-only quantization: integer weights behind DequantizeLinear, activations in floating point."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from roofline.compress.bodies import calls
from roofline.compress.writers._registry import WriteOptions, writers
from roofline.compress.writers.restoring import Narrow, store_narrow
from roofline.errors import CompressionError
from roofline.graph.reading.graphs import copy_of

if TYPE_CHECKING:
    import onnx

OPSETS = {8: 13, 4: 21, 2: 25}
"""The first operator set whose DequantizeLinear takes weights of a width."""
_BLOCKED_OPSET = 21


def write_weight_only(model: onnx.ModelProto, options: WriteOptions, bits: int) -> onnx.ModelProto:
    """Return the network with symmetric integer weights and a scale for each tensor, or for each block of it.

    Args:
        model: With floating-point weights.
        options: ``block`` weights along the second axis (a filter's depth) share a scale; matrices of Gemm and
            MatMul, which store the contracted axis first, are blocked along the first.
        bits: 8, 4 or 2.

    Raises:
        CompressionError: The graph cannot be brought to the operator set that the width needs.
    """
    from onnx import TensorProto

    kinds = {8: TensorProto.INT8, 4: TensorProto.INT4, 2: getattr(TensorProto, "INT2", 0)}
    written = at_opset(model, max(OPSETS[bits], _BLOCKED_OPSET if options.block else 0))

    def narrow(name: str, array: NDArray[Any]) -> Narrow:
        axis = _contracted_axis(written, name, array.ndim)
        values, scales = quantize_symmetrically(array, bits, axis, options.block)
        blocks = {"axis": axis, "block_size": options.block or 0} if scales.ndim else {}
        # ONNX Runtime 1.31 fuses 2-bit weights into MatMulNBits, whose result is wrong for widths that are no multiple
        # of 16; an activation of slope one between them changes nothing else.
        slope = 1.0 if bits == 2 else None
        return Narrow(kinds[bits], f"int{bits}", pack(values, bits), scales, blocks, slope)

    store_narrow(written, options.wide, narrow)
    return written


for _bits in OPSETS:
    for _wide in (16, 32):
        writers.add(f"w{_bits}a{_wide}", partial(write_weight_only, bits=_bits))


def quantize_symmetrically(
    array: NDArray[Any], bits: int, axis: int = 0, block: int | None = None
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return integers and scales with ``array`` nearly ``integers * scales``; zero stays zero.

    Args:
        array: Weights.
        bits: Width of the integers; their range is symmetric, so 2 bits are ternary.
        axis: The axis that blocks run along.
        block: Weights that share a scale; None is one scale for all. An axis shorter than it is one block.
    """
    top = 2 ** (bits - 1) - 1
    if block is None:
        scale = np.float32(np.abs(array).max(initial=0) / top or 1)
        return np.clip(np.rint(array / scale), -top, top).astype(np.int8), np.asarray(
            scale, np.float32
        )
    block = min(block, max(1, int(array.shape[axis])))
    starts: NDArray[np.intp] = np.arange(0, int(array.shape[axis]), block, dtype=np.intp)
    most = np.maximum.reduceat(np.abs(array), starts, axis=axis) / top
    scales = np.where(most == 0, 1, most).astype(np.float32)
    spread = np.repeat(scales, block, axis=axis).take(range(array.shape[axis]), axis=axis)
    return np.clip(np.rint(array / spread), -top, top).astype(np.int8), scales


def _contracted_axis(model: onnx.ModelProto, name: str, rank: int) -> int:
    for node in calls(model.graph):
        if name in node.input and node.op_type in {"Gemm", "MatMul"}:
            flipped = any(a.name == "transB" and a.i for a in node.attribute)
            return 1 if flipped else rank - 2
    return 1


def pack(values: NDArray[np.int8], bits: int) -> bytes:
    """Return integers packed from the low bits of each byte up, as ONNX stores them."""
    flat = values.reshape(-1)
    per = 8 // bits
    padded = np.zeros(-(-len(flat) // per) * per, np.uint8)
    padded[: len(flat)] = flat.view(np.uint8) & (2**bits - 1)
    packed = np.zeros(len(padded) // per, np.uint8)
    for place in range(per):
        packed |= padded[place::per] << (bits * place)
    return packed.tobytes()


def at_opset(model: onnx.ModelProto, version: int) -> onnx.ModelProto:
    """Return a copy of a model, converted to an operator set when its own is older.

    Raises:
        CompressionError: The converter refuses the graph.
    """
    from onnx import version_converter

    present = next((o.version for o in model.opset_import if o.domain in {"", "ai.onnx"}), 0)
    if present >= version:
        return copy_of(model)
    try:
        converted = version_converter.convert_version(model, version)
    except Exception as error:
        # The converter raises bare RuntimeErrors and its own ConvertError, which have no common base.
        reason = (
            str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        )
        raise CompressionError(
            f"these weights need operator set {version}, and the graph cannot be brought there from {present}: {reason}"
        ) from error
    converted.ir_version = max(converted.ir_version, 10)
    return converted
