"""Losses: a softmax of five operations per score, and per target the negation, the weight's product and the reduction.

Spec: https://onnx.ai/onnx/operators/onnx__NegativeLogLikelihoodLoss.html,
https://onnx.ai/onnx/operators/onnx__SoftmaxCrossEntropyLoss.html
"""

from __future__ import annotations

from collections.abc import Sequence

from roofline.cost import Cost
from roofline.node import Node, Shape
from roofline.ops._attributes import choice, malformed_error
from roofline.ops._counts import has, input_elements
from roofline.ops._registry import TensorType, define
from roofline.ops._shapes import at_least, dtype, shape, show

_SOFTMAX = 5


def _loss_type(node: Node) -> Sequence[TensorType | None]:
    """Return one loss per target, or a scalar when they are reduced; and the scores' logarithms."""
    scores, target = at_least(node, 0, 2), shape(node, 1)
    if scores is not None and target is not None and len(target) != len(scores) - 1:
        raise malformed_error(
            node, f"scores {show(scores)} need targets of one rank less, not {show(target)}"
        )
    reduced = choice(node, "reduction", "mean", ("none", "sum", "mean")) != "none"
    found: Shape | None = () if reduced else target
    return ((found, dtype(node, 0)), (scores, dtype(node, 0)))


def _loss_cost(node: Node) -> Cost:
    """Count per target a negation, a product with its weight, and a sum when the losses are reduced."""
    softmax = (
        _SOFTMAX * input_elements(node, 0) if node.op_type == "SoftmaxCrossEntropyLoss" else 0
    )
    reduced = choice(node, "reduction", "mean", ("none", "sum", "mean")) != "none"
    return Cost(other_ops=softmax + (1 + has(node, 2) + reduced) * input_elements(node, 1))


define("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss", cost=_loss_cost, shape=_loss_type)
