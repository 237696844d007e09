"""Graphs that break a rule: one line that names the thing, the rule and, where there is one, the repair."""

from __future__ import annotations

import re

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from roofline.binding import Binding
from roofline.errors import DimensionError, ModelError
from roofline.graph import resolve
from roofline.graph.reading.tensors import MAX_ELEMENTS, check_size
from roofline.workload import Workload

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
MINE = helper.make_opsetid("mine", 1)
ONNX = helper.make_opsetid("", 17)


def info(name: str, shape, element: int = FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, element, shape)


def model(nodes, inputs, outputs, weights=(), functions=()) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "g", inputs, outputs, list(weights))
    return helper.make_model(graph, functions=list(functions), opset_imports=[ONNX, MINE])


def call(op: str, inputs: str, outputs: str, **attributes) -> onnx.NodeProto:
    return helper.make_node(op, inputs.split(), outputs.split(), **attributes)


X, Y = info("x", [1, 8]), info("y", None)


def refused(
    model: onnx.ModelProto, message: str, error: type[ModelError] = ModelError, **options
) -> None:
    with pytest.raises(error) as caught:
        resolve(model, name="test", binding=Binding(**options))
    assert re.search(message, caught.value.line())
    assert "\n" not in str(caught.value)


def test_cycle() -> None:
    nodes = [call("Relu", "b", "a", name="first"), call("Relu", "a", "b", name="second")]
    refused(model(nodes, [X], [info("b", None)]), "cycle.*first.*second|cycle.*second.*first")


def test_dangling_operand_with_a_suggestion() -> None:
    refused(
        model([call("Relu", "hidden_1", "y"), call("Relu", "x", "hidden_2")], [X], [Y]),
        "hidden_1.*hidden_2",
    )


def test_dangling_result() -> None:
    refused(model([call("Relu", "x", "z")], [X], [Y]), "'y'")


def test_value_defined_twice() -> None:
    refused(
        model([call("Relu", "x", "y"), call("Tanh", "x", "y")], [X], [Y]),
        "'y' is defined twice.*Relu.*Tanh",
    )


def test_input_declared_twice() -> None:
    refused(model([call("Relu", "x", "y")], [X, X], [Y]), "'x' is declared twice")


def test_result_with_an_inputs_name() -> None:
    refused(model([call("Relu", "x", "x")], [X], [info("x", None)]), "'x' is defined twice")


@pytest.mark.parametrize("value", ["ab", 1.5, [1.5], [[1]]], ids=repr)
def test_wrong_typed_attribute(value) -> None:
    if value == [[1]]:
        value = numpy_helper.from_array(np.ones(2, np.float32))
    nodes = [call("Conv", "x w", "y", kernel_shape=value)]
    refused(model(nodes, [info("x", [1, 3, 8, 8]), info("w", [4, 3, 3, 3])], [Y]), "kernel_shape")


@pytest.mark.parametrize("shape", [[2**62, 2**62], [2**40, 2**20], [2**63 - 1]], ids=repr)
def test_huge_declared_dimensions(shape) -> None:
    refused(model([call("Relu", "x", "y")], [info("x", shape)], [Y]), "'x' would have")
    weight = TensorProto(name="w", data_type=FLOAT, dims=shape)
    refused(model([call("Add", "x w", "y")], [X], [Y], [weight]), "'w' would have")


def test_a_huge_result_is_refused_before_anything_is_made() -> None:
    shape = numpy_helper.from_array(np.array([2**40, 2**20]), "shape")
    refused(model([call("ConstantOfShape", "shape", "y")], [X], [Y], [shape]), "'y' would have")


def test_negative_dimensions() -> None:
    refused(model([call("Relu", "x", "y")], [info("x", [1, -5])], [Y]), "negative")
    weight = TensorProto(name="w", data_type=FLOAT, dims=[-4])
    refused(model([call("Add", "x w", "y")], [X], [Y], [weight]), "'w' has a negative")


def test_unknown_element_type() -> None:
    broken = model([call("Relu", "x", "y")], [X], [Y])
    broken.graph.input[0].type.tensor_type.elem_type = 99
    refused(broken, "99")


@pytest.mark.parametrize(
    "location", ["../w.bin", "a/../../w.bin", "/etc/passwd", "C:\\w.bin", "..\\w.bin", ""]
)
def test_external_data_outside_the_folder(location: str) -> None:
    weight = TensorProto(name="w", data_type=FLOAT, dims=[8], data_location=TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value=location)
    refused(model([call("Add", "x w", "y")], [X], [Y], [weight]), "'w' lies in")


def test_function_that_calls_itself() -> None:
    again = helper.make_function(
        "mine", "F", ["a"], ["b"], [call("F", "a", "b", domain="mine")], [ONNX, MINE]
    )
    refused(
        model([call("F", "x", "y", domain="mine")], [X], [Y], functions=[again]), "calls itself"
    )


def doubling(levels: int) -> list[onnx.FunctionProto]:
    functions = []
    for level in range(levels):
        op, domain = ("Relu", "") if level == levels - 1 else (f"F{level + 1}", "mine")
        body = [call(op, "a", "t", domain=domain), call(op, "t", "b", domain=domain)]
        functions.append(
            helper.make_function("mine", f"F{level}", ["a"], ["b"], body, [ONNX, MINE])
        )
    return functions


def test_functions_that_double_thirty_times() -> None:
    refused(
        model([call("F0", "x", "y", domain="mine")], [X], [Y], functions=doubling(30)),
        "written out",
    )


def test_functions_nested_too_deep() -> None:
    functions = [
        helper.make_function(
            "mine", f"F{i}", ["a"], ["b"], [call(f"F{i + 1}", "a", "b", domain="mine")], [MINE]
        )
        for i in range(500)
    ]
    refused(model([call("F0", "x", "y", domain="mine")], [X], [Y], functions=functions), "deep")


def test_function_defined_twice() -> None:
    function = helper.make_function("mine", "F", ["a"], ["b"], [call("Relu", "a", "b")], [ONNX])
    refused(
        model([call("F", "x", "y", domain="mine")], [X], [Y], functions=[function] * 2),
        "defined twice",
    )


def test_loops_in_loops_in_loops() -> None:
    def body(inner: list[onnx.NodeProto], level: int) -> onnx.GraphProto:
        inputs = [
            info(f"i{level}", [], INT64),
            info(f"c{level}", [], TensorProto.BOOL),
            info(f"h{level}", [1, 8]),
        ]
        nodes = [*inner, call("Identity", f"c{level}", f"go{level}")]
        return helper.make_graph(
            nodes, "b", inputs, [info(f"go{level}", [], 9), info(f"o{level}", None)]
        )

    nodes = [call("Relu", "h0", "o0")]
    for level in range(12):
        nodes = [
            helper.make_node(
                "Loop", ["n", "", f"h{level + 1}"], [f"o{level + 1}"], body=body(nodes, level)
            )
        ]
    nodes[0].input[2], nodes[0].output[0] = "x", "y"
    trips = numpy_helper.from_array(np.array(2), "n")
    refused(model(nodes, [X], [Y], [trips]), "loops")


def test_no_operator_set() -> None:
    broken = model([call("Relu", "x", "y")], [X], [Y])
    broken.ClearField("opset_import")
    refused(broken, "operator set")


def test_missing_graph_of_an_if() -> None:
    broken = model([call("If", "go", "y")], [info("go", [], TensorProto.BOOL)], [Y])
    refused(broken, "no graph")


def test_nodes_out_of_order_are_sorted_and_noted() -> None:
    nodes = [call("Relu", "a", "y", name="last"), call("Tanh", "x", "a", name="first")]
    graph = resolve(model(nodes, [X], [Y]), name="test")
    assert [entry.node.name for entry in graph.nodes] == ["first", "last"]
    assert "order" in graph.notes[0]


def test_node_names_that_are_used_twice_are_told_apart() -> None:
    nodes = [
        call("Relu", "x", "a", name="same"),
        call("Relu", "a", "b", name="same"),
        call("Relu", "b", "y"),
    ]
    names = [entry.node.name for entry in resolve(model(nodes, [X], [Y]), name="test").nodes]
    assert len(set(names)) == 3
    assert names[0] == "same"


class TestDimensions:
    """Every open size is asked for by the flag that gives it."""

    def graph(self, *shapes) -> onnx.ModelProto:
        inputs = [info(f"x{place}", shape) for place, shape in enumerate(shapes)]
        nodes = [call("Relu", f"x{place}", f"y{place}") for place in range(len(shapes))]
        return model(nodes, inputs, [info(f"y{place}", None) for place in range(len(shapes))])

    def shapes(self, graph: onnx.ModelProto, **options) -> list[tuple[int | None, ...] | None]:
        return [
            tensor.shape
            for tensor in resolve(graph, name="test", binding=Binding(**options)).outputs
        ]

    def test_named(self) -> None:
        refused(
            self.graph(["N", "T"]), r"'T' of input 'x0'.*--dim 'T=N'.*--input x0=", DimensionError
        )

    @pytest.mark.parametrize("size", [None, "?", "", 0, -1], ids=repr)
    def test_nameless(self, size) -> None:
        refused(self.graph(["N", size]), "dimension 1 of input 'x0'.*--input x0=", DimensionError)

    def test_no_shape(self) -> None:
        refused(self.graph(None), "'x0' declares no shape.*--input", DimensionError)

    def test_batch_is_one_and_said_to_be(self) -> None:
        graph = resolve(self.graph(["N", 4]), name="test")
        assert graph.outputs[0].shape == (1, 4)
        assert "batch 1" in graph.notes[0]
        assert graph.batch == 1

    def test_one_symbol_is_one_size(self) -> None:
        assert self.shapes(self.graph(["N", "T"], [3, "T"]), inputs={"x0": (2, 7)}) == [
            (2, 7),
            (3, 7),
        ]

    def test_the_question_mark_twice_is_two_sizes(self) -> None:
        graph = self.graph(["?", "?"])
        assert self.shapes(graph, inputs={"x0": (2, 7)}) == [(2, 7)]

    def test_a_symbol_of_two_sizes(self) -> None:
        refused(
            self.graph(["N", "T"], ["N", "T"]),
            "'T'",
            DimensionError,
            inputs={"x0": (1, 7), "x1": (1, 8)},
        )

    def test_another_rank(self) -> None:
        refused(self.graph([1, 4]), "2 dimensions", DimensionError, inputs={"x0": (1, 4, 4)})

    def test_a_fixed_batch_can_be_raised(self) -> None:
        graph = resolve(self.graph([1, 4]), name="test", binding=Binding(8))
        assert graph.outputs[0].shape == (8, 4)
        assert graph.batch == 8
        assert "batch 8" in graph.notes[0]

    @pytest.mark.parametrize(
        "options", [{"dims": {"M": 1}}, {"inputs": {"z": (1,)}}, {"values": {"z": 1}}]
    )
    def test_names_that_are_nowhere(self, options) -> None:
        refused(self.graph([1, 4]), "'M'|'z'", **options)

    def test_value_of_the_wrong_length(self) -> None:
        refused(self.graph([4]), "3 elements", DimensionError, values={"x0": [1, 2, 3]})


def test_tensor_stored_twice() -> None:
    stored = [numpy_helper.from_array(np.ones(8, np.float32), "w") for _ in range(2)]
    refused(model([call("Add", "x w", "y")], [X], [Y], stored), "'w' is stored twice")


def test_stored_bytes_that_are_not_the_elements() -> None:
    shape = helper.make_tensor("s", INT64, [2], bytes(16), raw=True)
    shape.raw_data = b"odd"
    refused(model([call("Reshape", "x s", "y")], [X], [Y], [shape]), "3 bytes.*take 16")


def test_node_without_an_operator() -> None:
    refused(model([call("", "x", "y")], [X], [Y]), "gives 'y' names no operator")


def test_many_nested_branches_are_looked_into_once_each() -> None:
    """Twelve levels of If, both branches at each: 8191 graphs, whose names are asked for at every level."""
    from roofline.graph.reading import order

    inner = helper.make_graph([call("Relu", "x", "y")], "leaf", [], [Y])
    for _ in range(12):
        choice = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
        inner = helper.make_graph([choice], "level", [], [Y])
    known: order.Reads = {}
    whole = model(list(inner.node), [X, info("c", [], TensorProto.BOOL)], [Y])
    order.schedule(whole.graph.node, ["x", "c"], (), "g", known)
    assert len(known) == 2**13 - 2
    before = len(known)
    order.schedule(whole.graph.node[0].attribute[0].g.node, [], ["x", "c"], "g", known)
    assert len(known) == before


def split(
    axis: object, length: int, *following: onnx.NodeProto, **more: object
) -> onnx.ModelProto:
    nodes = [call("SplitToSequence", "x", "s", axis=axis, **more), *following]
    return model(nodes, [info("x", [1, length])], [info("y", None)])


@pytest.mark.parametrize("length", [1 << 40, 10**7])
def test_a_sequence_beyond_counting_has_an_unknown_length(length: int) -> None:
    found = resolve(split(1, length, call("SequenceLength", "s", "y")), name="test")
    assert found.types["y"].value is None


def test_the_length_of_a_sequence_is_followed() -> None:
    found = resolve(split(1, 5000, call("SequenceLength", "s", "y")), name="test")
    assert found.types["y"].value == 5000


@pytest.mark.parametrize("axis", ["one", 1.5, [1]])
def test_an_axis_of_the_wrong_type_is_named(axis: object) -> None:
    refused(split(axis, 8, call("SequenceLength", "s", "y")), "'axis' must be an integer")


def test_what_is_joined_has_one_rank() -> None:
    nodes = [call("SequenceConstruct", "x z", "s"), call("ConcatFromSequence", "s", "y", axis=1)]
    refused(model(nodes, [X, info("z", [8])], [Y]), "one rank")


def test_a_negative_result_of_an_unknown_operator_is_refused() -> None:
    nodes = [call("Own", "x", "h", domain="mine"), call("Relu", "h", "y")]
    built = model(nodes, [X], [Y])
    built.graph.value_info.append(info("h", [4, -7]))
    refused(built, "'h' has a negative dimension")


@pytest.mark.parametrize("axes", ["first", [1.5], 3])
def test_the_axes_of_a_scan_are_integers(axes: object) -> None:
    body = helper.make_graph(
        [call("Identity", "in", "out")], "body", [info("in", [8])], [info("out", [8])]
    )
    scan = call("Scan", "x", "y", body=body, num_scan_inputs=1, scan_input_axes=axes)
    refused(model([scan], [X], [Y]), "must be a list of integers")


@pytest.mark.parametrize("value", ["word", ["word"], [1], [1.5], 3], ids=repr)
@pytest.mark.parametrize(
    ("op", "inputs", "attribute"),
    [
        ("Adagrad", "rate step x g h", "norm_coefficient"),
        ("Adam", "rate step x g v h", "alpha"),
        ("Momentum", "rate step x g v", "mode"),
        ("Gradient", "x g", "xs"),
    ],
)
def test_a_training_operator_is_unknown_whatever_its_attributes(
    op: str, inputs: str, attribute: str, value: object
) -> None:
    step = call(op, inputs, "a b", domain="ai.onnx.preview.training", **{attribute: value})
    declared = [info(name, [8]) for name in ("x", "g", "v", "h")]
    declared += [info("rate", []), info("step", [], INT64)]
    built = model([step, call("Relu", "a", "y")], declared, [Y])
    built.opset_import.append(helper.make_opsetid("ai.onnx.preview.training", 1))
    found = Workload.from_onnx(built)
    assert not found.fully_counted
    assert [layer.op_type for layer in found.unknown_layers][:1] == [op]


def test_operator_sets_that_contradict_each_other() -> None:
    graph = helper.make_graph([call("Relu", "x", "y")], "g", [X], [Y])
    other = helper.make_opsetid("ai.onnx", 11)
    refused(
        helper.make_model(graph, opset_imports=[ONNX, other]),
        "test imports the operator set ai.onnx as versions 17 and 11",
    )
    # The same version under both spellings is one import.
    same = helper.make_model(graph, opset_imports=[ONNX, helper.make_opsetid("ai.onnx", 17)])
    assert len(resolve(same, name="test", binding=Binding()).nodes) == 1
    body = helper.make_function(
        "mine", "Twice", ["a"], ["b"], [call("Relu", "a", "b")], [ONNX, other]
    )
    nodes = [call("Twice", "x", "y", domain="mine")]
    refused(model(nodes, [X], [Y], functions=[body]), "function 'Twice' imports the operator set")


def test_the_largest_tensor_is_one() -> None:
    check_size((MAX_ELEMENTS,), "a tensor")
    with pytest.raises(ModelError, match="would have"):
        check_size((MAX_ELEMENTS + 1,), "a tensor")
