"""Sizes that a counter must work out: shape arithmetic, control flow, functions, dimensions left open."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from roofline.errors import DimensionError, ModelError

from .graphs import (
    FLOAT,
    INT64,
    Case,
    body,
    count,
    loop_body,
    model,
    node,
    value_info,
    values,
    weight,
)

F32 = 4
W64 = (64 * 64, 64 * 64 * F32)
BOOL = TensorProto.BOOL


def flatten_by_shape() -> onnx.ModelProto:
    """The exporters' idiom: Shape, Gather, Unsqueeze, Concat, Reshape with a -1."""
    return model(
        [
            node("Shape", "x", "s"), node("Gather", "s zero", "n", axis=0), node("Unsqueeze", "n axis", "nu"),
            node("Concat", "nu rest", "target", axis=0), node("Reshape", "x target", "h"),
            node("MatMul", "h w", "y"),
        ],
        {"x": ["N", 4, 4, 4]}, "y",
        [values("zero", 0), values("axis", [0]), values("rest", [-1]), weight("w", 64, 64)],
    )  # fmt: skip


def arithmetic() -> onnx.ModelProto:
    """Slice, Div, Mul, Cast, Range, Where, Expand and ConstantOfShape decide the operands of a product."""
    return model(
        [
            node("Shape", "x", "s"), node("Slice", "s one two", "last"), node("Cast", "last", "f", to=FLOAT),
            node("Div", "f two_f", "halved"), node("Floor", "halved", "floored"),
            node("Cast", "floored", "half", to=INT64), node("Mul", "half three", "many"),
            node("Squeeze", "many", "limit"), node("Range", "zero limit step", "r"), node("Shape", "r", "rs"),
            node("Equal", "rs rs", "same"), node("Where", "same rs one", "rows"),
            node("Concat", "rows sixty_four", "target", axis=0), node("ConstantOfShape", "target", "z"),
            node("Expand", "x target_x", "xe"), node("ReduceSum", "xe all", "sum", keepdims=1),
            node("Add", "z sum", "h"), node("MatMul", "h w", "y"),
        ],
        {"x": [1, 10]}, "y",
        [values("one", [1]), values("two", [2]), values("two_f", 2, np.float32), values("three", [3]),
         values("zero", 0), values("step", 1), values("sixty_four", [64]), values("target_x", [5, 10]),
         values("all", [0, 1]), weight("w", 64, 64)],
    )  # fmt: skip


def split_concat() -> onnx.ModelProto:
    return model(
        [
            node("Split", "x sizes", "a b", axis=1), node("Concat", "b a b", "c", axis=1),
            node("Reshape", "c back", "h"), node("MatMul", "h w", "y"),
        ],
        {"x": [2, 96]}, "y", [values("sizes", [64, 32]), values("back", [0, 2, -1]), weight("w", 64, 64)],
    )  # fmt: skip


def trips(number: str, *, keep: str = "go"):
    step = loop_body([node("MatMul", "h w", "h_next"), node("ReduceSum", "h_next axes", "row", keepdims=0)],
                     "h", "h_next", "row")  # fmt: skip
    return model(
        [node("Loop", f"{number} {keep} x", "last rows", body=step), node("MatMul", "rows v", "y")],
        {"x": [4, 64], "trips": (INT64, [])}, "y",
        [values("seven", 7), values("go", True, np.bool_), weight("w", 64, 64), weight("v", 64, 64),
         values("axes", [0])],
    )  # fmt: skip


def nested_loops() -> onnx.ModelProto:
    inner = loop_body([node("MatMul", "g w", "g_next")], "g", "g_next")
    outer = loop_body([node("Loop", "four go h", "h_next", body=inner)], "h", "h_next")
    return model(
        [node("Loop", "three yes x", "y", body=outer)], {"x": [2, 64]}, "y",
        [values("three", 3), values("four", 4), values("yes", True, np.bool_), weight("w", 64, 64)],
    )  # fmt: skip


def scan() -> onnx.ModelProto:
    step = body(
        [node("Add", "state slice", "sum"), node("Reshape", "sum row", "r"), node("MatMul", "r w", "m"),
         node("Reshape", "m flat", "next"), node("Identity", "next", "out")],
        [value_info("state", [64]), value_info("slice", [64])],
        [value_info("next", [64]), value_info("out", [64])],
    )  # fmt: skip
    return model(
        [node("Scan", "init x", "final outs", body=step, num_scan_inputs=1), node("MatMul", "outs w", "y")],
        {"x": [16, 64]}, "y final",
        [weight("w", 64, 64), values("row", [1, 64]), values("flat", [64]), weight("init", 64)],
    )  # fmt: skip


def nested_ifs(depth: int = 4) -> onnx.ModelProto:
    """Each level's condition is a constant; only the innermost then-branch multiplies by the small matrix."""

    def branch(level: int) -> onnx.GraphProto:
        if level == 0:
            return body(
                [node("MatMul", "x small", "y0")], [], [value_info("y0", None)], name="small"
            )
        big = body(
            [node("MatMul", "x big", f"b{level}")], [], [value_info(f"b{level}", None)], name="big"
        )
        call = node("If", "yes", f"y{level}", then_branch=branch(level - 1), else_branch=big)
        return body([call], [], [value_info(f"y{level}", None)], name=f"level{level}")

    graph = branch(depth)
    return model(
        list(graph.node), {"x": [2, 64]}, f"y{depth}",
        [values("yes", True, np.bool_), weight("small", 64, 3), weight("big", 64, 64)],
    )  # fmt: skip


def nested_functions() -> onnx.ModelProto:
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("local", 1)]
    gemm = node("Gemm", "x w", "y")
    reference = onnx.AttributeProto(
        name="transB", type=onnx.AttributeProto.INT, ref_attr_name="flip"
    )
    gemm.attribute.append(reference)
    inner = helper.make_function("local", "Inner", ["x", "w"], ["y"], [gemm], opsets, ["flip"])
    outer_call = node("Inner", "x w", "h", "local", flip=1)
    outer = helper.make_function(
        "local", "Outer", ["x", "w"], ["y"], [outer_call, node("Relu", "h", "y")], opsets
    )
    return model(
        [node("Outer", "x w", "a", "local"), node("Outer", "x w", "b", "local"), node("Add", "a b", "y")],
        {"x": [2, 64]}, "y", [weight("w", 10, 64)], functions=[inner, outer], domains={"local": 1},
    )  # fmt: skip


def open_dims(*dims: int | str | None) -> onnx.ModelProto:
    return model([node("Conv", "x w", "y")], {"x": list(dims)}, "y", [weight("w", 8, 3, 3, 3)])


def dropout() -> onnx.ModelProto:
    return model(
        [node("Dropout", "x", "h mask", ratio=0.5), node("MatMul", "h w", "y")], {"x": [2, 64]}, "y",
        [weight("w", 64, 64)], opset=9,
    )  # fmt: skip


CONV8 = (8 * 27, 8 * 27 * F32)
LOOPED = 2 * 64 * 64  # the two stored matrices of the loops with a result per trip

CASES = (
    Case("flatten", flatten_by_shape, 64 * 64, *W64),
    Case("flatten_batch", flatten_by_shape, 5 * 64 * 64, *W64, {"batch": 5}),
    # 10 is halved and tripled: 15 rows.
    Case("arithmetic", arithmetic, 15 * 64 * 64, *W64),
    # 32 + 64 + 32 columns are two rows of 64 for each of two items.
    Case("split_concat", split_concat, 2 * 2 * 64 * 64, *W64),
    # Seven trips of 4 rows, then the seven collected rows once.
    Case("loop_scan_outputs", lambda: trips("seven"), (7 * 4 + 7) * 64 * 64, LOOPED, LOOPED * F32),
    Case("loop_trips_by_value", lambda: trips("trips"), (5 * 4 + 5) * 64 * 64, LOOPED, LOOPED * F32,
         {"values": {"trips": 5}}),
    Case("loop_nested", nested_loops, 3 * 4 * 2 * 64 * 64, *W64),
    Case("scan", scan, (16 + 16) * 64 * 64, 64 * 64 + 64, (64 * 64 + 64) * F32),
    Case("if_nested", nested_ifs, 2 * 64 * 3, 64 * 3 + 64 * 64, (64 * 3 + 64 * 64) * F32),
    Case("functions_nested", nested_functions, 2 * 2 * 64 * 10, 640, 640 * F32),
    Case("dropout_unused_mask", dropout, 2 * 64 * 64, *W64),
    Case("question_marks", lambda: open_dims("?", 3, "?", "?"), 30 * 46 * 8 * 27, *CONV8,
         {"inputs": {"x": (1, 3, 32, 48)}}),
    Case("zero_and_minus_one", lambda: open_dims(0, 3, -1, -1), 30 * 46 * 8 * 27, *CONV8,
         {"inputs": {"x": (1, 3, 32, 48)}}),
    Case("symbols", lambda: open_dims("N", 3, "H", "W"), 2 * 30 * 46 * 8 * 27, *CONV8,
         {"dims": {"N": 2, "H": 32, "W": 48}}),
    Case("unnamed_batch", lambda: open_dims(None, 3, 8, 8), 4 * 6 * 6 * 8 * 27, *CONV8, {"batch": 4}),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_shapes(case: Case, tmp_path: Path) -> None:
    case.check(tmp_path)


def test_an_open_dimension_is_asked_for_by_input_name_and_flag(tmp_path: Path) -> None:
    with pytest.raises(DimensionError, match=r"'x'.*H.*(dims|inputs)="):
        count(open_dims("N", 3, "H", "W"), tmp_path)


@pytest.mark.parametrize("dims", [("?", 3, "?", "?"), (1, 3, -1, 8), (1, 3, None, 8)])
def test_nameless_dimensions_are_asked_for_by_input(
    dims: tuple[int | str | None, ...], tmp_path: Path
) -> None:
    with pytest.raises(DimensionError, match=r"'x'.*inputs"):
        count(open_dims(*dims), tmp_path)


def test_options_that_fit_nothing_are_refused(tmp_path: Path) -> None:
    graph = open_dims("N", 3, 8, 8)
    with pytest.raises(ModelError, match="M"):
        count(graph, tmp_path, dims={"M": 2})
    with pytest.raises(ModelError, match="image"):
        count(graph, tmp_path, inputs={"image": (1, 3, 8, 8)})
    with pytest.raises(ModelError, match=r"rank|dimensions"):
        count(graph, tmp_path, inputs={"x": (1, 3, 8)})


def test_an_unknown_trip_count_is_never_guessed_in_silence(tmp_path: Path) -> None:
    try:
        workload = count(trips("trips"), tmp_path)
    except DimensionError as error:
        assert "trips" in str(error)  # noqa: PT017
    else:
        assert any("trip" in note.lower() for note in workload.notes)


def test_activations_by_hand(tmp_path: Path) -> None:
    """x → Relu a → Relu b → Add(a, b) y: every value is 1024 bytes."""
    graph = model(
        [node("Relu", "x", "a"), node("Relu", "a", "b"), node("Add", "a b", "y")],
        {"x": [1, 256]},
        "y",
    )
    workload = count(graph, tmp_path)
    assert workload.activation_bytes == 3 * 1024
    # While Add runs a, b and y live; the input went after the first Relu.
    assert workload.peak_activation_bytes == 3 * 1024


def test_constant_work_is_counted_but_is_no_activation(tmp_path: Path) -> None:
    graph = model(
        [node("MatMul", "w v", "c"), node("MatMul", "x c", "y")], {"x": [2, 64]}, "y",
        [weight("w", 64, 32), weight("v", 32, 16)],
    )  # fmt: skip
    workload = count(graph, tmp_path)
    assert workload.macs == 64 * 32 * 16 + 2 * 64 * 16
    assert workload.activation_bytes == 2 * 16 * F32
    assert workload.peak_activation_bytes == (2 * 64 + 2 * 16) * F32


def test_loop_results_count_once_per_trip(tmp_path: Path) -> None:
    step = loop_body([node("Relu", "h", "h_next")], "h", "h_next")
    graph = model(
        [node("Loop", "trips go x", "y", body=step)], {"x": [1, 256]}, "y",
        [values("trips", 3), values("go", True, np.bool_)],
    )  # fmt: skip
    assert count(graph, tmp_path).activation_bytes == 3 * 1024
