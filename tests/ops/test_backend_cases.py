"""The table against the node tests that ship with ONNX: real operands, real results."""

from __future__ import annotations

from collections import Counter

import onnx
import pytest

from roofline.node import Node
from roofline.ops import Kind, lookup, supported_operators

from .backend_cases import MODES, cases, check

DATA_DEPENDENT = {
    "Compress", "ImageDecoder", "NonMaxSuppression", "NonZero", "StringNormalizer", "StringSplit", "Unique",
}  # fmt: skip
"""Operators whose results have sizes that no shape tells."""

TYPED_BY_THE_GRAPH = {
    "If", "Loop", "Scan", "SequenceMap", "ConcatFromSequence", "Optional", "OptionalGetElement", "SequenceAt",
    "SequenceConstruct", "SequenceEmpty", "SequenceErase", "SequenceInsert", "SplitToSequence",
}  # fmt: skip
"""Containers and sequences: what they hold is known to the graph alone."""

SCHEMAS = sorted({(s.domain, s.name) for s in onnx.defs.get_all_schemas_with_history()})


@pytest.mark.parametrize("mode", MODES)
def test_every_inferred_type_and_value_is_the_real_one(mode):
    wrong: list[str] = []
    for case in cases():
        try:
            check(case, mode)
        except Exception as error:
            wrong.append(f"{case.name}: {type(error).__name__} {error}")
    assert not wrong, f"{len(wrong)} of {len(cases())}\n" + "\n".join(wrong[:30])


def test_every_result_is_resolved_when_its_operands_are_known():
    unresolved: Counter[str] = Counter()
    for case in cases():
        nodes = case.model.graph.node
        operators = {node.op_type for node in nodes}
        # Sequences, strings and types that numpy lacks reach the table without a value; bodies belong to the graph.
        if operators & (DATA_DEPENDENT | TYPED_BY_THE_GRAPH) or "bfloat16" in case.name:
            continue
        if nodes[0].domain == "ai.onnx.preview.training":
            continue
        unresolved.update(check(case, "values")["unknown"])
    assert not unresolved


def test_most_small_results_have_a_value():
    # Values decide shapes: more than half of the results of tests with known operands are computed, all of them right.
    found = [check(case, "values") for case in cases()]
    assert sum(result["values"] for result in found) > 0.45 * sum(
        result["results"] for result in found
    )


@pytest.mark.parametrize(("domain", "name"), SCHEMAS)
def test_every_operator_of_onnx_is_in_the_table(domain, name):
    row = lookup(Node(name, "n", (), domain=domain))
    if domain == "ai.onnx.preview.training":
        assert row.kind is Kind.UNSUPPORTED, "gradients and optimizers are reported by name"
        return
    assert row.kind is not Kind.UNSUPPORTED
    if domain == "":
        assert row.shape is not None or name in TYPED_BY_THE_GRAPH


@pytest.mark.parametrize(
    "row", tuple(supported_operators()), ids=lambda row: f"{row.domain}::{row.op_type}"
)
def test_rows_are_consistent(row):
    assert (row.cost is not None) == (row.kind is Kind.COMPUTE) or row.kind in (
        Kind.MOVE,
        Kind.VIEW,
    )
    assert row.kind is not Kind.UNSUPPORTED
    assert not set(row.weights) & set(row.quantizers)
    assert not set(row.weights) & set(row.settings)
    assert not set(row.quantizers) & set(row.settings)


def test_the_domain_ai_onnx_is_the_empty_one():
    assert lookup(Node("Conv", "n", (), domain="ai.onnx")) is lookup(Node("Conv", "n", ()))
