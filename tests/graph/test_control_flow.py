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
from roofline.graph.totals.liveness import activations
from roofline.graph.walking import loops

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


@pytest.mark.parametrize(("axis", "shape"), [(0, [5, 3, 8]), (1, [3, 5, 8]), (-2, [3, 5, 8])])
def test_scan_runs_once_for_each_step(axis: int, shape: list[int]) -> None:
    graph = scan(axis, shape)
    assert macs(graph) == 5 * 3 * 8 * 16
    assert graph.types["last"].shape == (3, 16)
    assert graph.outputs[0].shape == (3, 5, 16)


def test_bodies_in_bodies_multiply_their_trips() -> None:
    inner = helper.make_node(
        "Loop", ["m", "", "h"], ["next"], body=loop_body([call("MatMul", "k w", "kn")], "k", "kn")
    )
    graph = resolved(
        [call("Loop", "n _ x", "y", body=loop_body([inner], "h", "next"))], [info("x", [4, 8])], "y",
        [stored("n", 6), stored("m", 7), weight("w", 8, 8)],
    )  # fmt: skip
    assert macs(graph) == 6 * 7 * 4 * 8 * 8


def branch(name: str, *nodes: onnx.NodeProto) -> onnx.GraphProto:
    return helper.make_graph(list(nodes), name, [], [info(nodes[-1].output[0], None)])


def choice(**options) -> ResolvedGraph:
    then, other = (
        branch("then", call("MatMul", "x w", "a")),
        branch("else", call("Relu", "x", "b")),
    )
    return resolved(
        [call("If", "go", "y", then_branch=then, else_branch=other), call("Tanh", "y", "z")],
        [info("x", [4, 8]), info("go", [], BOOL)], "z", [weight("w", 8, 8)], **options,
    )  # fmt: skip


def test_the_branch_that_is_taken_gives_its_results_the_ifs_names() -> None:
    graph = choice(values={"go": True})
    assert [entry.node.op_type for entry in graph.nodes] == ["If", "MatMul", "Tanh"]
    assert graph.nodes[1].node.outputs[0].name == graph.nodes[2].node.operands[0].name == "y"
    assert [entry.node.op_type for entry in graph.idle] == ["Relu"]
    assert not graph.notes


def test_the_other_branch_and_the_larger_one() -> None:
    assert macs(choice(values={"go": False})) == 0
    undecided = choice()
    assert macs(undecided) == 4 * 8 * 8
    assert "larger branch" in undecided.notes[0]


def test_a_branch_that_cannot_run_is_not_taken_for_the_larger() -> None:
    impossible = branch("then", call("MatMul", "x x", "a"))
    nodes = [
        call(
            "If",
            "go",
            "y",
            then_branch=impossible,
            else_branch=branch("else", call("Relu", "x", "b")),
        )
    ]
    graph = resolved(nodes, [info("x", [4, 8]), info("go", [], BOOL)], "y")
    assert [entry.node.op_type for entry in graph.nodes] == ["If", "Relu"]


def test_functions_in_functions_with_attributes_handed_down() -> None:
    """mine.Outer(axis) calls mine.Inner(axis) twice; Inner flattens at its axis."""
    reference = onnx.AttributeProto(
        name="axis", ref_attr_name="axis", type=onnx.AttributeProto.INT
    )
    flatten = call("Flatten", "a", "b")
    flatten.attribute.append(reference)
    inner_call = [call("Inner", "a", "t", domain="mine"), call("Inner", "t", "b", domain="mine")]
    inner_call[0].attribute.append(reference)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("mine", 1)]
    inner = helper.make_function(
        "mine", "Inner", ["a"], ["b"], [flatten], opsets, attributes=["axis"]
    )
    outer = helper.make_function(
        "mine", "Outer", ["a"], ["b"], inner_call, opsets, attributes=["axis"]
    )
    nodes = [call("Outer", "x", "y", domain="mine", axis=2), call("Relu", "y", "z")]
    graph = resolved(nodes, [info("x", [2, 3, 4, 5])], "z", functions=[inner, outer])
    # First Inner flattens at 2, giving [6, 20]; the second has no axis, and Flatten's own default is 1.
    assert [entry.node.outputs[0].shape for entry in graph.nodes] == [(6, 20), (6, 20), (6, 20)]


def test_a_constant_of_a_function_is_stored_once_however_often_it_is_called() -> None:
    body = [call("Constant", "", "w", value=weight("", 8, 8)), call("MatMul", "a w", "b")]
    function = helper.make_function(
        "mine", "Layer", ["a"], ["b"], body, [helper.make_opsetid("", 18)]
    )
    nodes = [call("Layer", "x", "h", domain="mine"), call("Layer", "h", "y", domain="mine")]
    graph = resolved(nodes, [info("x", [4, 8])], "y", functions=[function])
    constants = [
        entry.node.outputs[0].name for entry in graph.nodes if entry.node.op_type == "Constant"
    ]
    assert len(set(constants)) == 2
    assert len({graph.storage[name] for name in constants}) == 1


def test_sequences_hand_their_tensors_on() -> None:
    nodes = [
        call("SplitToSequence", "x sizes", "parts", axis=1), call("SequenceAt", "parts last", "part"),
        call("SequenceInsert", "parts part", "longer"), call("SequenceLength", "longer", "count"),
        call("ConcatFromSequence", "longer", "joined", axis=1), call("MatMul", "part w", "y"),
    ]  # fmt: skip
    graph = resolved(
        nodes,
        [info("x", [2, 9])],
        "y",
        [stored("sizes", [4, 5]), stored("last", -1), weight("w", 5, 3)],
    )
    assert graph.types["part"].shape == (2, 5)
    assert graph.types["count"].value == 3
    assert graph.types["joined"].shape == (2, 4 + 5 + 5)
    assert graph.outputs[0].shape == (2, 3)


def test_a_size_that_depends_on_data_is_unknown_from_there_on() -> None:
    nodes = [
        call("NonZero", "x", "places"),
        call("Cast", "places", "f", to=FLOAT),
        call("MatMul", "w f", "y"),
    ]
    graph = resolved(nodes, [info("x", [4, 8])], "y", [weight("w", 3, 2)])
    assert graph.outputs[0].shape == (3, None)
    assert [bool(cost.note) for cost in call_costs(graph)] == [True, True, True]


def test_an_unknown_operator_takes_the_shape_the_file_states() -> None:
    nodes = [call("Mystery", "x", "h", domain="mine"), call("MatMul", "h w", "y")]
    graph = helper.make_graph(
        nodes,
        "g",
        [info("x", ["N", 8])],
        [info("y", None)],
        [weight("w", 8, 3)],
        value_info=[info("h", ["N", 8])],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("mine", 1)]
    found = resolve(
        helper.make_model(graph, opset_imports=opsets), name="test", binding=Binding(5)
    )
    assert found.types["h"].shape == (5, 8)
    assert found.outputs[0].shape == (5, 3)


def test_a_branch_is_one_step_of_liveness() -> None:
    """At most x (128 B), y (128 B) and z (128 B) of the top level: the branch's own values are not in it."""
    inside = branch(
        "then",
        call("Concat", "x x", "big", axis=0),
        call("ReduceMax", "big", "a"),
        call("Add", "a x", "b"),
    )
    other = branch("else", call("Relu", "x", "c"))
    nodes = [call("If", "go", "y", then_branch=inside, else_branch=other), call("Add", "y x", "z")]
    graph = resolved(nodes, [info("x", [4, 8]), info("go", [], BOOL)], "z", values={"go": True})
    assert activations(graph).peak_bytes == 3 * 4 * 8 * 4


def test_a_place_that_nobody_knows_in_a_sequence_of_one_gives_that_one() -> None:
    nodes = [call("SequenceConstruct", "x", "s"), call("SequenceAt", "s i", "y")]
    graph = resolved(nodes, [info("x", [2, 3]), info("i", [], INT64)], "y")
    assert graph.outputs[0].shape == (2, 3)


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


@pytest.mark.parametrize(("trips", "rows"), [(5, 6), (6, None)])
def test_trips_are_walked_apart_as_far_as_their_calls_allow(
    monkeypatch: pytest.MonkeyPatch, trips: int, rows: int | None
) -> None:
    """Fifteen calls are five trips of three."""
    monkeypatch.setattr(loops, "_MAX_CALLS_APART", 15)
    graph = resolved(
        [call("Loop", "n _ x", "y rows", body=GROW)],
        [info("x", [1, 8])],
        "y",
        [stored("n", trips), weight("w", 8, 8)],
    )
    assert (graph.outputs[0].shape or (None,))[0] == rows
