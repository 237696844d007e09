"""Mixtures of experts of ONNX Runtime's com.microsoft domain: the experts that tokens are routed to.

Spec:
https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.MoE
and its quantized sibling.
"""

from __future__ import annotations

from math import prod

from roofline.cost import Cost
from roofline.node import Node
from roofline.ops._attributes import integer, malformed_error
from roofline.ops._counts import has, in_dims, input_elements
from roofline.ops._registry import MICROSOFT, Moves, TensorType, define
from roofline.ops._shapes import at_least, dtype


def _expert_width(node: Node, position: int, bits: int) -> int:
    """Return how many weights one expert has at a position; bytes may hold several."""
    if not has(node, position):
        return 0
    _, *sizes = in_dims(node, position, 3)
    return prod(sizes) * 8 // bits


def _experts_type(node: Node) -> tuple[TensorType | None, ...]:
    at_least(node, 1, 1)
    return ((at_least(node, 0, 1), dtype(node, 0)),)


def _experts_cost(node: Node) -> Cost:
    """Count the weights of ``k`` experts per token as MACs; the router's product is an operator of its own."""
    *lead, _ = in_dims(node, 0)
    quantized = node.op_type == "QMoE"
    places = (2, 5, 8) if quantized else (2, 4, 6)
    bits = integer(node, "expert_weight_bits", 4) if quantized else 8
    if bits not in (2, 4, 8):
        raise malformed_error(
            node, f"attribute 'expert_weight_bits' must be 2, 4 or 8, it is {bits}"
        )
    picked = integer(node, "k", 1)
    weights = sum(_expert_width(node, place, bits) for place in places)
    return Cost(prod(lead) * picked * weights, prod(lead) * in_dims(node, 1)[-1] * 5)


def _experts_moves(node: Node) -> Moves:
    """Return the weights of the experts that tokens are expected to reach, each choosing ``k`` uniformly.

    Of E experts T tokens reach ``E (1 - (1 - k/E)^T)``: k of them for one token, all for many.
    """
    *lead, _ = in_dims(node, 0)
    tokens, experts = prod(lead), in_dims(node, 2)[0]
    if not experts:
        return Moves()
    share = 1 - (1 - min(integer(node, "k", 1), experts) / experts) ** tokens
    # The router's scores are an operand of their own; everything behind them is one block per expert.
    return Moves({
        place: min(round(input_elements(node, place) * share), input_elements(node, place))
        for place in range(2, len(node.operands))
        if has(node, place) and in_dims(node, place)[:1] == (experts,)
    })  # fmt: skip


define(
    "MoE", domain=MICROSOFT, cost=_experts_cost, shape=_experts_type, weights=(2, 3, 4, 5, 6, 7), moves=_experts_moves,
)  # fmt: skip
define(
    "QMoE", domain=MICROSOFT, cost=_experts_cost, shape=_experts_type, weights=(2, 4, 5, 7, 8, 10),
    quantizers=(3, 6, 9, 11, 12, 13), moves=_experts_moves,
)  # fmt: skip
