"""Experts of which a graph computes all, though each token is sent to few, are told from what every token needs."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from roofline.decoding.unrolled_experts import unrolled_experts

WIDTH, EXPERTS = 4, 3


def mixture(chosen: int, *, gated: bool = True) -> onnx.ModelProto:
    """Return a router and its experts, each one product; without gates they are added up as they are."""
    stored = [numpy_helper.from_array(np.array([chosen], np.int64), "k")]
    nodes = [
        helper.make_node("MatMul", ["x", "router"], ["scores"], "router"),
        helper.make_node("TopK", ["scores", "k"], ["share", "numbers"]),
    ]
    stored.append(numpy_helper.from_array(np.ones((WIDTH, EXPERTS), np.float32), "router"))
    results: list[str] = []
    for number in range(EXPERTS):
        stored += [
            numpy_helper.from_array(np.ones((WIDTH, WIDTH), np.float32), f"w{number}"),
            numpy_helper.from_array(np.array(number, np.int64), f"n{number}"),
        ]
        nodes += [
            helper.make_node("MatMul", ["x", f"w{number}"], [f"y{number}"], f"expert{number}"),
            helper.make_node("Equal", ["numbers", f"n{number}"], [f"is{number}"]),
            helper.make_node("Cast", [f"is{number}"], [f"c{number}"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["share", f"c{number}"], [f"m{number}"]),
            helper.make_node("ReduceSum", [f"m{number}"], [f"g{number}"]),
            helper.make_node("Mul", [f"y{number}", f"g{number}"], [f"z{number}"]),
        ]
        results.append(f"z{number}" if gated else f"y{number}")
    nodes.append(helper.make_node("Sum", results, ["out"]))
    floats = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, WIDTH]) for name in ("x", "out")
    ]
    return helper.make_model(helper.make_graph(nodes, "g", floats[:1], floats[1:], stored))


def test_the_products_of_experts_are_named_and_the_router_is_not() -> None:
    found = unrolled_experts(mixture(1))
    assert found is not None
    assert (found.count, found.chosen) == (EXPERTS, 1)
    assert found.products == {"expert0", "expert1", "expert2"}
    assert "all 3 experts" in found.note


@pytest.mark.parametrize(
    "model", [mixture(EXPERTS), mixture(1, gated=False)], ids=["all", "ungated"]
)
def test_what_every_token_needs_is_no_expert(model: onnx.ModelProto) -> None:
    assert unrolled_experts(model) is None
