"""Sizes that depend on values: given ones against what ONNX Runtime gives, and the operators' own bounds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import roofline as rl
from roofline.binding import Binding
from roofline.errors import DimensionError
from roofline.graph.walking.limits import own_blocks
from roofline.node import Limit, Node, Tensor
from roofline.workload import Workload

F32, I64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
ROWS, WIDTH = 12, 8


def followed(
    choosing: Sequence[onnx.NodeProto], rows: str, stored: dict[str, np.ndarray] | None = None
) -> onnx.ModelProto:
    """Rows of ``x`` that operators choose (indices in ``rows``), multiplied by a matrix afterwards."""
    nodes = [
        *choosing,
        helper.make_node("Gather", ["x", rows], ["chosen"]),
        helper.make_node("MatMul", ["chosen", "w"], ["y"]),
    ]
    arrays = {"w": np.ones((WIDTH, 4), np.float32), **(stored or {})}
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info("x", F32, [ROWS, WIDTH]), helper.make_tensor_value_info("v", F32, [ROWS])],
        [helper.make_tensor_value_info("y", F32, None)],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


ONE = np.array([0], np.int64)
SHAPED = {"flat": np.array([-1], np.int64)}
CASES: dict[str, tuple[list[onnx.NodeProto], dict[str, np.ndarray], str]] = {
    "NonZero": (
        [
            helper.make_node("NonZero", ["v"], ["n"]),
            helper.make_node("Reshape", ["n", "flat"], ["rows"]),
        ],
        SHAPED,
        "n",
    ),
    "Unique": (
        [helper.make_node("Unique", ["v"], ["u", "rows"])],
        {},
        "u",
    ),
    "Compress": (
        [
            helper.make_node("Cast", ["v"], ["c"], to=BOOL),
            helper.make_node("Compress", ["all", "c"], ["rows"]),
        ],
        {"all": np.arange(ROWS)},
        "rows",
    ),
    "TopK": (
        [
            helper.make_node("ReduceSum", ["v"], ["sum"]),
            helper.make_node("Reshape", ["sum", "flat"], ["s"]),
            helper.make_node("Cast", ["s"], ["k"], to=I64),
            helper.make_node("TopK", ["v", "k"], ["top", "rows"]),
        ],
        SHAPED,
        "top",
    ),
    "NonMaxSuppression": (
        [
            helper.make_node("Unsqueeze", ["v", "front"], ["scores"]),
            helper.make_node("NonMaxSuppression", ["boxes", "scores", "most", "", "least"], ["n"]),
            helper.make_node("Gather", ["n", "last"], ["rows"], axis=1),
        ],
        {
            "front": np.array([0, 1], np.int64), "most": np.array([100], np.int64), "last": np.array(2, np.int64),
            "least": np.array([0.5], np.float32),
            "boxes": np.array([[[i, i, i + 0.5, i + 0.5] for i in range(ROWS)]], np.float32),
        },
        "n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_given_sizes_are_those_of_a_run(case: str) -> None:
    runtime = pytest.importorskip("onnxruntime")
    choosing, stored, name = CASES[case]
    model = followed(choosing, "rows", stored)
    v = np.array([1, 0, 1, 1, 0, 0, 1, 0, 1, 0, 0, 0], np.float32)
    session = runtime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (y,) = session.run(None, {"x": np.ones((ROWS, WIDTH), np.float32), "v": v})
    rows = y.shape[0]
    assert 0 < rows < ROWS
    counted = Workload.from_onnx(model, binding=Binding(dims={name: rows}))
    assert counted.fully_counted
    assert not counted.at_most
    assert counted.outputs[0].shape == y.shape
    assert counted.macs == rows * WIDTH * 4


@pytest.mark.parametrize("case", CASES)
def test_bounds_are_asked_for_and_said(case: str) -> None:
    choosing, stored, name = CASES[case]
    model = followed(choosing, "rows", stored)
    open_ = Workload.from_onnx(model)
    assert not open_.fully_counted
    assert any(f"--dim '{name}=N'" in note and f"at most {ROWS}" in note for note in open_.notes)
    bounded = Workload.from_onnx(model, binding=Binding(bound_sizes=True))
    assert bounded.fully_counted
    assert bounded.macs == ROWS * WIDTH * 4
    assert bounded.at_most
    assert [layer.at_most for layer in bounded.layers if layer.op_type == "MatMul"] == [True]
    assert any(note.startswith("at most: ") for note in bounded.notes)
    predicted = rl.predict(bounded, rl.platform("rpi5"), datatype="fp32")
    assert not predicted.upper_bound
    with pytest.raises(DimensionError, match=f"at most {ROWS}, not 13"):
        Workload.from_onnx(model, binding=Binding(dims={name: ROWS + 1}))


def test_a_name_that_nothing_has_is_refused() -> None:
    choosing, stored, _ = CASES["NonZero"]
    with pytest.raises(DimensionError, match="no result a size of that name"):
        Workload.from_onnx(followed(choosing, "rows", stored), binding=Binding(dims={"m": 3}))


def test_a_range_from_data_has_no_bound() -> None:
    nodes = [
        helper.make_node("ReduceSum", ["v"], ["sum"], keepdims=0),
        helper.make_node("Cast", ["sum"], ["end"], to=I64),
        helper.make_node("Range", ["none", "end", "step"], ["rows"]),
    ]
    model = followed(nodes, "rows", {"none": np.array(0, np.int64), "step": np.array(1, np.int64)})
    assert not Workload.from_onnx(model, binding=Binding(bound_sizes=True)).fully_counted
    assert Workload.from_onnx(model, binding=Binding(dims={"rows": 5})).macs == 5 * WIDTH * 4


def test_a_size_that_falls_as_the_bound_rises_is_unknown() -> None:
    """What is left of the rows is no upper limit where the chosen ones are."""
    nodes = [
        helper.make_node("NonZero", ["v"], ["n"]),
        helper.make_node("Shape", ["n"], ["s"]),
        helper.make_node("Gather", ["s", "one"], ["count"]),
        helper.make_node("Sub", ["all", "count"], ["rest"]),
        helper.make_node("Range", ["none", "rest", "step"], ["rows"]),
    ]
    stored = {
        "one": np.array(1, np.int64), "all": np.array(ROWS, np.int64), "none": np.array(0, np.int64),
        "step": np.array(1, np.int64),
    }  # fmt: skip
    model = followed(nodes, "rows", stored)
    assert not Workload.from_onnx(model, binding=Binding(bound_sizes=True)).fully_counted
    assert Workload.from_onnx(model, binding=Binding(dims={"n": 5})).macs == (ROWS - 5) * WIDTH * 4


def optional(given: bool | None) -> onnx.ModelProto:
    """A branch of 4 products for a row where an optional input is there, else of none."""
    inner = helper.make_tensor_type_proto(F32, [2, WIDTH])
    info = helper.make_value_info("o", helper.make_optional_type_proto(inner))
    out = [helper.make_tensor_value_info("z", F32, None)]
    some = helper.make_graph(
        [helper.make_node("OptionalGetElement", ["o"], ["e"]), helper.make_node("MatMul", ["e", "w"], ["z"])],
        "some", [], out,
    )  # fmt: skip
    none = helper.make_graph([helper.make_node("Identity", ["w"], ["z"])], "none", [], out)
    asked = "o"
    nodes = []
    if given is False:
        asked = "empty"
        nodes.append(helper.make_node("Optional", [], [asked], type=inner))
    nodes += [
        helper.make_node("OptionalHasElement", [asked], ["has"]),
        helper.make_node("If", ["has"], ["y"], then_branch=some, else_branch=none),
    ]
    graph = helper.make_graph(
        nodes, "o", [info], [helper.make_tensor_value_info("y", F32, None)],
        [numpy_helper.from_array(np.ones((WIDTH, 4), np.float32), "w")],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


def test_optionals_decide_branches() -> None:
    there = Workload.from_onnx(optional(None), binding=Binding(inputs={"o": (2, WIDTH)}))
    assert there.macs == 2 * WIDTH * 4
    assert not any("condition" in note for note in there.notes)
    gone = Workload.from_onnx(optional(False))
    assert gone.macs == 0
    assert not any("condition" in note for note in gone.notes)


@pytest.mark.parametrize(("leading", "told"), [("N", "of x (N) ("), (None, "of x (")])
def test_the_open_dimension_that_is_taken_as_one_is_named(leading: str | None, told: str) -> None:
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", F32, [leading, 4])],
        [helper.make_empty_tensor_value_info("y")],
    )
    (note,) = Workload.from_onnx(helper.make_model(graph)).notes
    assert told in note


@pytest.mark.parametrize("count", [1, 10, 11])
def test_a_size_of_no_name_is_refused_with_ten_names_at_most(count: int) -> None:
    names = [f"size_{place:02}" for place in range(count)]
    graph = helper.make_graph(
        [helper.make_node("Sum", [f"x{name}" for name in names], ["y"])],
        "g",
        [helper.make_tensor_value_info(f"x{name}", F32, [name, 4]) for name in names],
        [helper.make_empty_tensor_value_info("y")],
    )
    with pytest.raises(DimensionError) as told:
        Workload.from_onnx(helper.make_model(graph), binding=Binding(dims={"9": 4}))
    assert [name for name in names if name in str(told.value)] == names[:10]


@pytest.mark.parametrize(
    ("position", "left"), [(None, (1, 2)), (0, (3, 4)), (1, (1, 2)), (-2, (3, 4))]
)
def test_a_sequence_loses_its_last_tensor_or_the_one_that_is_named(
    position: int | None, left: tuple[int, ...]
) -> None:
    places = {"zero": 0} if position is None else {"zero": 0, "position": position}
    graph = helper.make_graph(
        [
            helper.make_node("SequenceConstruct", ["a", "b"], ["both"]),
            helper.make_node("SequenceErase", ["both", *list(places)[1:]], ["one"]),
            helper.make_node("SequenceAt", ["one", "zero"], ["y"]),
        ],
        "g",
        [
            helper.make_tensor_value_info("a", F32, [1, 2]),
            helper.make_tensor_value_info("b", F32, [3, 4]),
        ],
        [helper.make_empty_tensor_value_info("y")],
        [
            numpy_helper.from_array(np.array(place, np.int64), name)
            for name, place in places.items()
        ],
    )
    (made,) = Workload.from_onnx(helper.make_model(graph)).outputs
    assert made.shape == left


def test_a_convolution_over_blocks_has_the_channels_that_are_its_own() -> None:
    """A runtime's layout fills channels up to 16: three are the network's, of which there are no limits to say."""
    blocks = Node(
        "Conv",
        "n",
        (Tensor("x", (1, 16, 8, 8)), Tensor("w", (16, 16, 1, 1))),
        (Tensor("y", (1, 16, 8, 8)),),
    )
    (own,) = own_blocks(blocks, {"y": 3}).outputs
    assert own is not None
    assert (own.shape, own.limit) == ((1, 3, 8, 8), Limit.EXACT)


def test_the_first_three_sizes_that_are_open_are_named() -> None:
    nodes = [
        helper.make_node("NonZero", [source], [name])
        for source, name in (("v", "a"), ("x", "b"), ("w", "c"), ("u", "d"), ("t", "e"))
    ]
    inputs = [
        helper.make_tensor_value_info(name, F32, [2, 3]) for name in ("v", "x", "w", "u", "t")
    ]
    outputs = [helper.make_tensor_value_info(name, I64, None) for name in "abcde"]
    graph = helper.make_graph(nodes, "g", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (note,) = [note for note in Workload.from_onnx(model).notes if "depend on values" in note]
    assert "'a' (at most 6), 'b' (at most 6), 'c' (at most 6) and 2 more" in note
