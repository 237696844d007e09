"""Loops, scans, branches, functions and sequences: trips, shapes and names, each by a hand-written answer."""

from __future__ import annotations

import math

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from roofline.binding import Binding
from roofline.errors import DimensionError
from roofline.graph import ResolvedGraph, resolve
from roofline.graph.totals.costs import call_costs

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def info(name: str, shape, element: int = FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, element, shape)


def call(op: str, inputs: str, outputs: str, **attributes) -> onnx.NodeProto:
    read = ["" if name == "_" else name for name in inputs.split()]
    return helper.make_node(
        op, read, outputs.split(), name=outputs.split(maxsplit=1)[0], **attributes
    )


def stored(name: str, values, dtype=np.int64) -> TensorProto:
    return numpy_helper.from_array(np.array(values, dtype), name)


def weight(name: str, *shape: int) -> TensorProto:
    return numpy_helper.from_array(np.zeros(shape, np.float32), name)


def resolved(nodes, inputs, output: str, weights=(), functions=(), **options) -> ResolvedGraph:
    graph = helper.make_graph(nodes, "g", inputs, [info(output, None)], list(weights))
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("mine", 1)]
    return resolve(
        helper.make_model(graph, opset_imports=opsets, functions=list(functions)),
        name="test",
        binding=Binding(**options),
    )


def macs(graph: ResolvedGraph) -> int:
    return sum(call.cost.macs for call in call_costs(graph))


def loop_body(
    nodes, carried: str, gives: str, *rows: str, condition: str = "go_in"
) -> onnx.GraphProto:
    if condition == "go_in":
        nodes, condition = [*nodes, call("Identity", "go_in", "go_out")], "go_out"
    inputs = [info("trip", [], INT64), info("go_in", [], BOOL), info(carried, None)]
    outputs = [info(condition, [], BOOL), info(gives, None), *(info(row, None) for row in rows)]
    return helper.make_graph(nodes, "body", inputs, outputs)


GROW = loop_body(
    [call("Concat", "h x", "more", axis=0), call("MatMul", "more w", "row")], "h", "more", "row"
)


def test_a_shape_that_grows_each_trip_is_followed() -> None:
    """Trip t multiplies (1 + t) rows by an 8x8 matrix."""
    graph = resolved(
        [call("Loop", "n _ x", "y rows", body=GROW)],
        [info("x", [1, 8])],
        "y",
        [stored("n", 5), weight("w", 8, 8)],
    )
    assert graph.outputs[0].shape == (6, 8)
    assert macs(graph) == sum(1 + trip for trip in range(1, 6)) * 8 * 8
    # The rows of the trips have no common shape, so they stack to nothing that has one.
    assert graph.types["rows"].shape is None


def test_a_loop_that_its_condition_ends() -> None:
    """Doubling from 1 while less than 100: 7 trips, the last of which finds 128."""
    body = loop_body(
        [call("Mul", "h two", "twice"), call("Less", "twice limit", "less"), call("MatMul", "x w", "p")],
        "h", "twice", "p", condition="less",
    )  # fmt: skip
    graph = resolved(
        [call("Loop", "_ _ one", "y rows", body=body)], [info("x", [1, 8])], "rows",
        [stored("one", 1), stored("two", 2), stored("limit", 100), weight("w", 8, 8)],
    )  # fmt: skip
    assert graph.outputs[0].shape == (math.ceil(math.log2(100)), 1, 8)
    assert graph.types["y"].value == 128
    assert macs(graph) == 7 * 8 * 8


STEADY = loop_body([call("MatMul", "h w", "next")], "h", "next")


def looped(**options) -> ResolvedGraph:
    return resolved(
        [call("Loop", "n _ x", "y", body=STEADY)], [info("x", [4, 8]), info("n", [], INT64)], "y", [weight("w", 8, 8)],
        **options,
    )  # fmt: skip


@pytest.mark.parametrize("trips", [0, 1, 1000])
def test_trips_from_the_value_of_an_input(trips: int) -> None:
    graph = looped(values={"n": trips})
    assert macs(graph) == trips * 4 * 8 * 8
    # A steady body is in the list once, however often it runs.
    assert sum(entry.node.op_type == "MatMul" for entry in graph.nodes) == min(trips, 1)
    assert graph.outputs[0].shape == (4, 8)


def test_trips_given_for_the_loop_itself() -> None:
    assert macs(looped(values={"y": 3})) == 3 * 4 * 8 * 8


def test_unknown_trips_are_reported_not_guessed() -> None:
    graph = looped()
    assert macs(graph) == 0
    assert any("--value" in note for note in graph.notes)
    product = next(entry for entry in graph.nodes if entry.node.op_type == "MatMul")
    assert "trip" in product.note
    assert graph.outputs[0].shape == (4, 8)


def scan(axis: int, shape: list[int]) -> ResolvedGraph:
    body = helper.make_graph(
        [call("MatMul", "step w", "p"), call("Add", "s p", "next")], "b", [info("s", None), info("step", None)],
        [info("next", None), info("p", None)],
    )  # fmt: skip
    nodes = [
        call(
            "Scan",
            "start x",
            "last rows",
            body=body,
            num_scan_inputs=1,
            scan_input_axes=[axis],
            scan_output_axes=[1],
        )
    ]
    return resolved(
        nodes, [info("x", shape)], "rows", [weight("w", 8, 16), weight("start", 3, 16)]
    )


def test_what_an_empty_sequence_is_joined_to_is_of_unknown_shape() -> None:
    empty = helper.make_node("SequenceEmpty", [], ["s"])
    graph = resolved([empty, call("ConcatFromSequence", "s", "y", axis=0)], [], "y")
    assert graph.outputs[0].shape is None


def test_calls_of_one_name_are_told_apart_by_the_next_number_that_is_free() -> None:
    nodes = [
        helper.make_node("Relu", [source], [gives], name=name)
        for source, gives, name in (("x", "a", "r"), ("a", "b", "r#2"), ("b", "y", "r"))
    ]
    graph = resolved(nodes, [info("x", [2])], "y")
    assert [one.node.name for one in graph.nodes] == ["r", "r#2", "r#3"]


def test_a_value_of_another_size_than_its_dimension_has_is_refused() -> None:
    nodes = [call("Reshape", "x v", "y")]
    inputs = [info("x", ["N", 2]), info("v", ["N"], INT64)]
    with pytest.raises(DimensionError, match="Give it one size"):
        resolved(nodes, inputs, "y", dims={"N": 3}, values={"v": np.array([6, 1])})
