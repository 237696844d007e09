"""Einsum by contraction: the product of the sizes of all labels, in MACs.

Each operand beyond the second takes one more product per point. With one operand nothing is
multiplied: it counts one operation per summed element.

Spec: https://onnx.ai/onnx/operators/onnx__Einsum.html
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from roofline.cost import Cost
from roofline.node import Node
from roofline.ops._attributes import malformed_error, operand, present, text
from roofline.ops._counts import in_dims, out_count
from roofline.ops._registry import TensorType, define
from roofline.ops._shapes import Dim

_ELLIPSIS = "."


def _terms(node: Node) -> tuple[list[str], str]:
    """Return the labels of each operand and of the result, an ellipsis as one dot."""
    equation = "".join(text(node, "equation", "").split()).replace("...", _ELLIPSIS)
    left, arrow, right = equation.partition("->")
    terms = left.split(",")
    if not equation or len(terms) != len(node.operands):
        raise malformed_error(
            node, f"attribute 'equation' {equation!r} must have one term per operand"
        )
    if not all(term.count(_ELLIPSIS) < 2 for term in [*terms, right]) or not all(
        label.isalpha() or label == _ELLIPSIS for term in [*terms, right] for label in term
    ):
        raise malformed_error(
            node, f"attribute 'equation' {equation!r} has a label that is not a letter"
        )
    if not arrow:
        once = sorted(label for label in set(left) if left.count(label) == 1 and label.isalpha())
        right = (_ELLIPSIS if _ELLIPSIS in left else "") + "".join(once)
    strange = set(right) - set(left)
    if strange:
        raise malformed_error(
            node, f"attribute 'equation' {equation!r} has labels in its result that no operand has"
        )
    return terms, right


def _expand(
    node: Node, terms: Sequence[str], ranks: Sequence[int | None]
) -> tuple[list[list[str]], list[str]]:
    """Return each term as a list of labels, with the ellipsis as numbered labels; and those, widest first."""
    wide = 0
    for term, rank in zip(terms, ranks, strict=True):
        named = len(term.replace(_ELLIPSIS, ""))
        if rank is None:
            continue
        if (rank < named) if _ELLIPSIS in term else (rank != named):
            raise malformed_error(
                node,
                f"term {term.replace('.', '...')!r} of attribute 'equation' does not fit rank {rank}",
            )
        if _ELLIPSIS in term:
            wide = max(wide, rank - named)
    hidden = [f".{place}" for place in range(wide, 0, -1)]
    result: list[list[str]] = []
    for term, rank in zip(terms, ranks, strict=True):
        own = len(hidden) if rank is None else rank - len(term.replace(_ELLIPSIS, ""))
        labels: list[str] = []
        for label in term:
            labels.extend(hidden[len(hidden) - own :] if label == _ELLIPSIS else [label])
        result.append(labels)
    return result, hidden


def _sizes(node: Node) -> tuple[dict[str, Dim], list[str]]:
    """Return the size of every label, and the labels of the result."""
    terms, right = _terms(node)
    shapes = [operand(node, position).shape for position in range(len(terms))]
    expanded, hidden = _expand(
        node, terms, [None if shape is None else len(shape) for shape in shapes]
    )
    sizes: dict[str, Dim] = {}
    for labels, shape in zip(expanded, shapes, strict=True):
        for label, size in zip(labels, shape or (None,) * len(labels), strict=True):
            before = sizes.get(label, 1)
            if before in (None, 1):
                sizes[label] = size if before == 1 or size not in (None, 1) else None
            elif size not in (None, 1, before):
                raise malformed_error(
                    node, f"label {label!r} of attribute 'equation' has sizes {before} and {size}"
                )
    result: list[str] = []
    for label in right:
        result.extend(hidden if label == _ELLIPSIS else [label])
    return sizes, result


def _einsum_type(node: Node) -> Sequence[TensorType | None]:
    terms, right = _terms(node)
    kinds = [tensor.dtype for tensor in present(node) if tensor.dtype is not None]
    kind = kinds[0] if kinds else None
    unranked = any(
        operand(node, place).shape is None and _ELLIPSIS in term
        for place, term in enumerate(terms)
    )
    if unranked and _ELLIPSIS in right:
        return ((None, kind),)
    sizes, labels = _sizes(node)
    return ((tuple(sizes[label] for label in labels), kind),)


def _einsum_cost(node: Node) -> Cost:
    """Count the product of all label sizes in MACs, and one operation each for every operand beyond the second."""
    sizes, _ = _sizes(node)
    for position in range(len(node.operands)):
        in_dims(node, position)
    whole = prod(size or 0 for size in sizes.values())
    operands = len(node.operands)
    if operands == 1:
        return Cost(other_ops=max(0, whole - out_count(node)))
    return Cost(whole, (operands - 2) * whole)


define("Einsum", cost=_einsum_cost, shape=_einsum_type)
