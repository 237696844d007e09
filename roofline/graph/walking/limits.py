"""Sizes that are upper limits: where they come from, and which results take them over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from roofline.graph.reading.blocks import DOMAIN
from roofline.node import Limit, Node, Tensor

_RISING = frozenset({
    "Shape", "Size", "Identity", "Cast", "Squeeze", "Unsqueeze", "Reshape", "Flatten", "Gather", "Slice", "Concat",
    "Add", "Mul", "Max", "Min", "ReduceMax", "ReduceMin", "ReduceSum", "ReduceProd", "Range", "Expand",
    "ConstantOfShape", "Split",
})  # fmt: skip
"""Operators whose results' values never fall as sizes rise (sizes are not negative)."""

NOTES: Mapping[Limit, str] = {
    Limit.CHANNELS: "channels that may only fill up a block are counted (a file saved from a model with inferred "
    "shapes tells which those are)",
    Limit.SIZES: "a size that depends on values is taken at its operator's bound",
}


def limit_note(limit: Limit) -> str:
    """Return why counts are upper limits, as a sentence's end; nothing for exact ones."""
    why = [text for kind, text in NOTES.items() if kind in limit]
    return f"at most: {'; '.join(why)}" if why else ""


def limit_of(node: Node) -> Limit:
    """Return the limits of all that a call reads and gives."""
    found = Limit.EXACT
    for tensor in (*node.operands, *node.outputs):
        if tensor is not None:
            found |= tensor.limit
    return found


def limit(node: Node) -> Node:
    """Return a typed call whose results are upper limits as its operands are.

    A value that may fall as sizes rise is not known then, nor is a size that does.
    """
    found = Limit.EXACT
    for tensor in node.operands:
        if tensor is not None:
            found |= tensor.limit
    if node.domain == DOMAIN and node.op_type in ("Conv", "ReorderOutput"):
        # Convolutions state their own channels, and what leaves the blocks has the network's.
        found &= ~Limit.CHANNELS
    if not found:
        return node
    return replace(
        node,
        outputs=tuple(
            None if output is None else replace(_safe_output(node, output, found), limit=found)
            for output in node.outputs
        ),
    )


def _safe_output(node: Node, output: Tensor, limit: Limit) -> Tensor:
    if Limit.SIZES not in limit:
        return output
    if output.value is not None and (node.domain or node.op_type not in _RISING):
        output = replace(output, value=None)
    starts = node.operand(1) if node.op_type == "Slice" else None
    data = node.operand(0)
    if starts is not None and starts.limit and output.shape is not None:
        before = (data.shape if data is not None else None) or ()
        kept = tuple(
            size if size == old else None for size, old in zip(output.shape, before, strict=False)
        )
        return replace(output, shape=kept, value=None)
    return output


def own_blocks(node: Node, own: Mapping[str, int]) -> Node:
    """Return a convolution over blocks with the network's own channels; an upper limit where they are not known."""
    out = node.outputs[0] if node.outputs else None
    if out is None or out.shape is None or len(out.shape) != 4:
        return node
    channels, limit = own.get(out.name), Limit.EXACT
    if channels is None:
        channels, limit = _follow(node, out)
    shape = (out.shape[0], channels, *out.shape[2:])
    return replace(node, outputs=(replace(out, shape=shape, limit=out.limit | limit),))


def _follow(node: Node, out: Tensor) -> tuple[int | None, Limit]:
    """Return the channels of the operand that has as many, or those of the weight as a limit."""
    data, weight, added = node.operand(0), node.operand(1), node.operand(3)
    filled = None if out.shape is None else out.shape[1]
    by_channel = weight is not None and weight.shape is not None and weight.shape[1] == 1
    for tensor in (added, data if by_channel and node.attributes.get("group", 1) != 1 else None):
        if tensor is not None and tensor.shape is not None and Limit.CHANNELS not in tensor.limit:
            return tensor.shape[1], Limit.EXACT
    return filled, Limit.CHANNELS
