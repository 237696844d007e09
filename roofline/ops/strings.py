"""Strings: no arithmetic is counted.

Spec: https://onnx.ai/onnx/operators/onnx__StringNormalizer.html and its siblings.
"""

from __future__ import annotations

from collections.abc import Sequence

from roofline.node import Node
from roofline.ops._attributes import malformed_error, required_integers, texts
from roofline.ops._datatypes import BOOL, FLOAT32, INT64, STRING
from roofline.ops._registry import Kind, TensorType, define
from roofline.ops._shapes import at_least, broadcast, first_shape, result_type, shape

NodeTypes = Sequence[TensorType | None]


def _concat_type(node: Node) -> NodeTypes:
    return ((broadcast(node, (shape(node, 0), shape(node, 1))), STRING),)


def _normalizer_type(node: Node) -> NodeTypes:
    """Return the operand's shape; how many words remain after stop words are removed is data."""
    data = at_least(node, 0, 1)
    if data is not None and texts(node, "stopwords"):
        data = (*data[:-1], None)
    return ((data, STRING),)


def _split_type(node: Node) -> NodeTypes:
    """Return one more dimension, whose size is data, and the number of parts of each string."""
    data = shape(node, 0)
    return ((None if data is None else (*data, None), STRING), (data, INT64))


def _ngram_type(node: Node) -> NodeTypes:
    """Return one count per n-gram of the vocabulary.

    Spec: https://onnx.ai/onnx/operators/onnx__TfIdfVectorizer.html
    """
    data = at_least(node, 0, 1)
    places = required_integers(node, "ngram_indexes")
    if not places:
        raise malformed_error(node, "attribute 'ngram_indexes' must not be empty")
    return ((None if data is None else (*data[:-1], max(places) + 1), FLOAT32),)


define("StringConcat", kind=Kind.MOVE, shape=_concat_type)
define("StringNormalizer", kind=Kind.MOVE, shape=_normalizer_type)
define("StringSplit", kind=Kind.MOVE, shape=_split_type)
define("RegexFullMatch", kind=Kind.MOVE, shape=result_type(first_shape, BOOL))
define("TfIdfVectorizer", kind=Kind.MOVE, shape=_ngram_type)
