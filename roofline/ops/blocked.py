"""Convolutions and pools on channels in blocks (NCHWc), as ONNX Runtime saves them at its highest level.

Shapes are those of the plain layout: blocks only change where elements lie. Channels that only fill up a block are left
out where the file tells which those are (`roofline.graph.reading.blocks`), and are an upper limit elsewhere.

Spec: https://github.com/microsoft/onnxruntime/blob/main/onnxruntime/core/graph/contrib_ops/nchwc_schema_defs.cc
"""

from __future__ import annotations

from collections.abc import Sequence

from roofline.node import Node
from roofline.ops._attributes import integer, malformed_error, maybe_integers
from roofline.ops._registry import Kind, TensorType, define
from roofline.ops._shapes import dtype, ranked_shape, scale

_DOMAIN = "com.microsoft.nchwc"


def _reorder_input_type(node: Node) -> Sequence[TensorType | None]:
    """Return the operand's shape with the channels behind the batch."""
    found = ranked_shape(node, 0, 4)
    if found is not None and integer(node, "channels_last", 0):
        found = (found[0], found[3], found[1], found[2])
    return ((found, dtype(node, 0)),)


def _reorder_output_type(node: Node) -> Sequence[TensorType | None]:
    """Return the operand's shape with as many channels as the attribute says: fill-ups are left out."""
    found = ranked_shape(node, 0, 4)
    channels = integer(node, "channels", 0)
    if channels < 1:
        raise malformed_error(node, f"attribute 'channels' must be positive, it is {channels}")
    if found is not None:
        batch, _, height, width = found
        last = integer(node, "channels_last", 0)
        found = (batch, height, width, channels) if last else (batch, channels, height, width)
    return ((found, dtype(node, 0)),)


def _upsample_type(node: Node) -> Sequence[TensorType | None]:
    """Return the operand's dimensions times the attribute's whole factors."""
    found = ranked_shape(node, 0, 4)
    scales = maybe_integers(node, "scales") or (1, 1, 1, 1)
    if len(scales) != 4 or min(scales) < 1:
        raise malformed_error(
            node, f"attribute 'scales' must hold 4 positive factors, it is {list(scales)}"
        )
    if found is not None:
        found = tuple(scale(size, by) for size, by in zip(found, scales, strict=True))
    return ((found, dtype(node, 0)),)


define("ReorderInput", kind=Kind.MOVE, domain=_DOMAIN, shape=_reorder_input_type)
define("ReorderOutput", kind=Kind.MOVE, domain=_DOMAIN, shape=_reorder_output_type)
define("Upsample", kind=Kind.MOVE, domain=_DOMAIN, shape=_upsample_type)
