"""Attributes of a wrong type, over every operator that onnx has a schema of: one clear line, and nothing is counted."""

from __future__ import annotations

from functools import cache

import onnx
import pytest
from onnx import TensorProto, defs, helper

from roofline import Workload
from roofline.errors import ModelError
from roofline.ops._registry import supported_operators

KINDS = onnx.AttributeProto
WRONG = {KINDS.STRING: 7, KINDS.FLOAT: "abc"}
"""What is given for an attribute of a type; a string for all others."""


@cache
def typed() -> dict[tuple[str, str], defs.OpSchema]:
    """Return the latest schema of each operator of the table that onnx knows."""
    found: dict[tuple[str, str], defs.OpSchema] = {}
    for row in supported_operators():
        try:
            found[row.op_type, row.domain] = defs.get_schema(row.op_type, row.domain)
        except defs.SchemaError:
            continue
    return found


def model_with(schema: defs.OpSchema, name: str, value: object) -> onnx.ModelProto:
    inputs = [f"x{place}" for place in range(max(schema.min_input, 1))]
    outputs = [f"y{place}" for place in range(max(schema.min_output, 1))]
    node = helper.make_node(
        schema.name, inputs, outputs, name="call", domain=schema.domain, **{name: value}
    )
    given = [helper.make_tensor_value_info(x, TensorProto.FLOAT, [1, 4, 4, 4]) for x in inputs]
    made = [helper.make_tensor_value_info(y, TensorProto.FLOAT, None) for y in outputs]
    opsets = [helper.make_opsetid("", 24)]
    if schema.domain:
        opsets.append(helper.make_opsetid(schema.domain, schema.since_version))
    return helper.make_model(helper.make_graph([node], "g", given, made), opset_imports=opsets)


@pytest.mark.parametrize("operator", typed(), ids="::".join)
def test_an_attribute_of_a_wrong_type_is_one_clear_line(operator: tuple[str, str]) -> None:
    schema = typed()[operator]
    for name, entry in schema.attributes.items():
        kind = entry.type.value
        value = WRONG.get(kind, "abc")
        with pytest.raises(ModelError) as caught:
            Workload.from_onnx(model_with(schema, name, value))
        said = str(caught.value)
        assert "\n" not in said
        # Control flow without its body says that first.
        assert name in said or "holds no graph" in said, said


def test_the_table_covers_most_operators() -> None:
    assert len(typed()) > 190
    assert sum(len(schema.attributes) for schema in typed().values()) > 400


def test_an_integer_stands_for_a_number() -> None:
    Workload.from_onnx(model_with(defs.get_schema("Elu"), "alpha", 1))


@pytest.mark.parametrize("version", [2**31, 2**62, -5])
def test_a_version_that_no_operator_set_can_have_is_no_fault(version: int) -> None:
    model = model_with(defs.get_schema("Elu"), "alpha", 1.0)
    model.opset_import[0].version = version
    Workload.from_onnx(model)
    model.graph.node[0].attribute[0].CopyFrom(helper.make_attribute("alpha", "abc"))
    with pytest.raises(ModelError, match="alpha"):
        Workload.from_onnx(model)
