"""Images and regions of them.

Spec: https://onnx.ai/onnx/operators/onnx__RoiAlign.html,
https://onnx.ai/onnx/operators/onnx__Col2Im.html,
https://onnx.ai/onnx/operators/onnx__ImageDecoder.html
"""

from __future__ import annotations

from collections.abc import Sequence

from roofline.cost import Cost
from roofline.node import Node
from roofline.number_format import plural
from roofline.ops._attributes import choice, integer, malformed_error
from roofline.ops._counts import out_count, per_output
from roofline.ops._datatypes import UINT8
from roofline.ops._registry import Kind, TensorType, define
from roofline.ops._shapes import dtype, product, rank_held, ranked_shape
from roofline.ops._values import entries

NodeTypes = Sequence[TensorType | None]

_BILINEAR = 7
_ADAPTIVE = 2


def _align_type(node: Node) -> NodeTypes:
    """Return one map of fixed size per region."""
    data, regions, batches = (
        ranked_shape(node, 0, 4),
        ranked_shape(node, 1, 2),
        ranked_shape(node, 2, 1),
    )
    sizes = integer(node, "output_height", 1), integer(node, "output_width", 1)
    if min(sizes) < 1:
        raise malformed_error(node, f"its output size must be positive, it is {list(sizes)}")
    count = regions[0] if regions is not None else None if batches is None else batches[0]
    return (((count, None if data is None else data[1], *sizes), dtype(node, 0)),)


def _align_cost(node: Node) -> Cost:
    """Count seven operations per bilinear sample (four products, three sums) and one to combine it.

    An adaptive number of samples depends on the regions: two by two per bin are counted.
    """
    ratio = integer(node, "sampling_ratio", 0) or _ADAPTIVE
    return Cost(other_ops=(_BILINEAR + 1) * ratio * ratio * out_count(node))


def _columns_type(node: Node) -> NodeTypes:
    """Return the image that blocks are summed into."""
    data = ranked_shape(node, 0, 3)
    sizes, blocks = entries(node, 1), entries(node, 2)
    if sizes is None:
        count = rank_held(node, 1)
        if count is None:
            return ((None, dtype(node, 0)),)
        sizes = (None,) * count
    elements = None if blocks is None else product(blocks)
    channels = None
    if data is not None and data[1] is not None and elements is not None:
        if elements < 1 or data[1] % elements:
            raise malformed_error(
                node,
                f"{plural(data[1], 'row does', 'rows do')} not fall into blocks of {plural(elements, 'element')}",
            )
        channels = data[1] // elements
    return (((None if data is None else data[0], channels, *sizes), dtype(node, 0)),)


def _decoder_type(node: Node) -> NodeTypes:
    """Return an image whose height and width are data."""
    form = choice(node, "pixel_format", "RGB", ("RGB", "BGR", "Grayscale"))
    return (((None, None, 1 if form == "Grayscale" else 3), UINT8),)


define("RoiAlign", cost=_align_cost, shape=_align_type)
define("Col2Im", cost=per_output(0, inputs=1), shape=_columns_type, settings=(1, 2))
define("ImageDecoder", kind=Kind.MOVE, shape=_decoder_type)  # decoding is no tensor arithmetic
