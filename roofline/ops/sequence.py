"""Sequences and optionals: nothing is computed; joining and splitting copy.

What a sequence holds is followed by the graph, which knows it; a tensor's type cannot say it.

Spec: https://onnx.ai/onnx/operators/onnx__SequenceConstruct.html and its siblings.
"""

from __future__ import annotations

from collections.abc import Sequence

from roofline.node import Node
from roofline.ops._datatypes import BOOL, INT64
from roofline.ops._registry import Kind, TensorType, define


def _length_type(_: Node) -> Sequence[TensorType | None]:
    return (((), INT64),)


def _has_type(_: Node) -> Sequence[TensorType | None]:
    return (((), BOOL),)


define(
    "SequenceConstruct", "SequenceEmpty", "SequenceInsert", "SequenceErase", "SequenceAt", "Optional",
    "OptionalGetElement", kind=Kind.VIEW,
)  # fmt: skip
define("SplitToSequence", kind=Kind.MOVE, settings=(1,))
define("ConcatFromSequence", kind=Kind.MOVE)
define("SequenceLength", kind=Kind.VIEW, shape=_length_type)
define("OptionalHasElement", kind=Kind.VIEW, shape=_has_type)
