"""Calls whose operands are known, computed ahead by ONNX's reference implementation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray


def compute(
    nodes: Sequence[Any],
    operands: Mapping[str, NDArray[Any]],
    results: Sequence[str],
    opsets: Sequence[Any],
    stored: Sequence[Any] = (),
) -> dict[str, NDArray[Any]]:
    """Compute calls with ONNX's reference implementation.

    Args:
        nodes: The calls, in their order.
        operands: What they read, by name.
        results: Names of what is asked for; what no call makes is left out.
        opsets: Versions of the operators.
        stored: Tensors that they read too.

    Returns:
        The results by name; none where a call cannot be computed ahead.
    """
    from onnx import helper
    from onnx.reference import ReferenceEvaluator

    made = {name for node in nodes for name in node.output}
    names = [name for name in results if name in made]
    unknown = helper.make_tensor_type_proto(0, None)
    graph = helper.make_graph(
        list(nodes),
        "constant",
        [helper.make_value_info(name, unknown) for name in operands],
        [helper.make_value_info(name, unknown) for name in names],
        list(stored),
    )
    try:
        evaluator: Any = ReferenceEvaluator(helper.make_model(graph, opset_imports=list(opsets)))
        return dict(zip(names, evaluator.run(names, dict(operands)), strict=True))
    except Exception:  # what cannot be computed ahead is simply not constant
        return {}
