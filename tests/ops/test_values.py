"""Values that decide shapes, some of whose entries are unknown."""

from __future__ import annotations

import numpy as np
import pytest

from roofline.errors import ModelError
from roofline.node import Tensor
from roofline.ops._values import MAX_VALUE_ELEMENTS, entries, known_value
from roofline.precision import DATATYPES


def ints(*entries: int | None) -> np.ndarray:
    """Return a shape-like value; an object array when an entry is unknown."""
    return np.array(entries, object if None in entries else np.int64)


@pytest.mark.parametrize(
    ("op_type", "operands", "attributes", "expected"),
    [
        ("Shape", [(2, None, 5)], {}, [2, None, 5]),
        ("Shape", [(2, None, 5)], {"start": -1}, [5]),
        ("Shape", [(2, None, 5)], {"start": 0, "end": -1}, [2, None]),
        ("Gather", [ints(2, None, 5), np.array(1)], {}, None),  # see below: a scalar unknown
        ("Gather", [ints(2, None, 5), ints(-1, 0)], {}, [5, 2]),
        ("Concat", [ints(1), ints(None), ints(7, 8)], {"axis": 0}, [1, None, 7, 8]),
        ("Concat", [ints(1), ((2,), "int64")], {"axis": 0}, [1, None, None]),
        ("Slice", [ints(1, None, 3, 4), ints(1), ints(2**62)], {}, [None, 3, 4]),
        ("Slice", [ints(1, 2, 3, 4), ints(-1), ints(-(2**62)), ints(0), ints(-2)], {}, [4, 2]),
        ("Mul", [ints(2, None), ints(3)], {}, [6, None]),
        ("Add", [ints(2, None), ints(None, None)], {}, [None, None]),
        ("Div", [ints(-7, 7, 6), ints(2)], {}, [-3, 3, 3]),  # towards zero, as in C
        ("Div", [ints(7), ints(0)], {}, None),
        ("Mod", [ints(-7, 7), ints(3, -3)], {}, [2, -2]),
        ("Mod", [ints(-7, 7), ints(3, -3)], {"fmod": 1}, [-1, 1]),
        ("ReduceSum", [np.array([[1, 2], [3, 4]]), ints(1)], {"keepdims": 0}, [3, 7]),
        ("Squeeze", [ints(None), ints(0)], {}, None),
        ("Unsqueeze", [ints(3, None), ints(0)], {}, [[3, None]]),
        ("Cast", [ints(3, None)], {"to": 7}, [3, None]),
        ("Cast", [np.array([2.9, -2.9], np.float32)], {"to": 7}, [2, -2]),
        ("Where", [np.array([True, False]), ints(1, None), ints(None, 9)], {}, [1, 9]),
        ("Where", [np.array([True, None], object), ints(1, 4), ints(3, 4)], {}, [1, 4]),
        ("Equal", [ints(-1, None), ints(-1)], {}, [True, None]),
        ("ReduceProd", [ints(2, 3, 4)], {"keepdims": 0}, 24),
        ("ReduceProd", [ints(2, None)], {"keepdims": 0}, None),
        ("Range", [np.array(3), np.array(-4), np.array(-2)], {}, [3, 1, -1, -3]),
        ("ConstantOfShape", [ints(2, 2)], {}, [[0, 0], [0, 0]]),
        ("Expand", [ints(None), ints(3)], {}, [None, None, None]),
        ("Tile", [ints(1, None), ints(2)], {}, [1, None, 1, None]),
        ("Transpose", [np.array([[1, None]], object)], {}, [[1], [None]]),
        ("ScatterND", [ints(1, None, 3), np.array([[0]]), ints(None)], {}, [None, None, 3]),
        ("ScatterElements", [ints(1, 2, 3), ints(2), ints(9)], {}, [1, 2, 9]),
        ("NonZero", [ints(0, 5, 6)], {}, [[1, 2]]),
        ("Compress", [ints(4, 5, 6), np.array([True, False, True])], {"axis": 0}, [4, 6]),
        ("Compress", [np.array([[1, 2], [3, 4]]), np.array([False, True])], {}, [2]),
        ("Compress", [ints(4, 5), np.array([True, None], object)], {"axis": 0}, None),
        ("Unique", [ints(5, 2, 5, 1)], {}, [1, 2, 5]),
        ("Unique", [ints(5, 2, 5, 1)], {"sorted": 0}, [5, 2, 1]),
        (
            "GatherElements",
            [np.array([[1, 2], [3, 4]]), np.array([[0, 0], [-1, 0]])],
            {"axis": 1},
            [[1, 1], [4, 3]],
        ),
        ("Clip", [ints(1, 5, None), np.array(2), np.array(4)], {}, [2, 4, None]),
        ("TopK", [ints(3, 9, 9, 1), ints(3)], {}, [9, 9, 3]),
        ("CumSum", [ints(1, 2, 3), np.array(0)], {"exclusive": 1, "reverse": 1}, [5, 3, 0]),
        ("OneHot", [ints(1, -1), np.array(3), ints(0, 7)], {}, [[0, 7, 0], [0, 0, 7]]),
        ("Pad", [ints(1, None), ints(1, 0)], {}, [0, 1, None]),
        ("Min", [ints(4, None), ints(2, 2), ints(3, 3)], {}, [2, None]),
    ],
)
def test_values(call, op_type, operands, attributes, expected):
    found = call(op_type, *operands, results=1, **attributes).values[0]
    if expected is None:
        assert found is None or (found == None).all()  # noqa: E711 - elementwise
    else:
        assert found is not None
        assert found.tolist() == expected


def test_a_picked_entry_may_be_unknown(call):
    assert call("Gather", ints(2, None, 5), np.array(2)).value == 5
    assert call("Gather", ints(2, None, 5), np.array(1)).value is None


def test_split_follows_each_part(call):
    split = call("Split", ints(1, 2, None, 4, 5), num_outputs=2, results=2, version=18)
    assert [part.tolist() for part in split.values] == [[1, 2, None], [4, 5]]


@pytest.mark.parametrize(
    ("data", "wanted", "expected"),
    [
        ((2, 3, 4), ints(0, -1), (2, 12)),
        ((None, 3, 4), ints(0, -1), (None, 12)),  # the copied dimension cancels
        ((None, 3, 4), ints(-1, 12), (None, 12)),
        ((2, 3, 4), ints(None, 4), (6, 4)),  # what is left, although it is not known to be -1
        ((2, 3, 4), ints(None, None), (None, None)),
        ((None, None), ints(0, 0, 1), (None, None, 1)),
        (None, ints(-1, 7), (None, 7)),
        ((2, 3, 4), ((3,), "int64"), (None, None, None)),
        ((0, 3), ints(0, -1), (0, 3)),
    ],
)
def test_reshape(call, data, wanted, expected):
    operand = Tensor("x", data, DATATYPES["fp32"])
    assert call("Reshape", operand, wanted).shape == expected


@pytest.mark.parametrize(
    "wanted", [ints(5, 5), ints(-1, 5), ints(-1, -1), ints(-2, 12), ints(0, 0, 0, 0)]
)
def test_a_reshape_that_cannot_be(call, wanted):
    with pytest.raises(ModelError, match="Reshape node 'n'"):
        _ = call("Reshape", (2, 3, 4), wanted).shape


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        (((3, 1), (4,)), (3, 4)),
        (((None,), (4,)), (4,)),  # only 1 or 4 fits beside 4
        (((None,), (1,)), (None,)),
        (((None, 3), (None, 1)), (None, 3)),
        (((), (2, 0)), (2, 0)),
        (((0,), (1,)), (0,)),
    ],
)
def test_broadcast(call, shapes, expected):
    assert call("Add", *shapes).shape == expected
    assert call("Add", *shapes[::-1]).shape == expected


def test_broadcast_of_old_operator_sets_keeps_the_first_shape(call):
    assert call("Add", (2, 3, 4, 5), (3, 4), broadcast=1, axis=1, version=6).shape == (2, 3, 4, 5)


def test_shapes_that_do_not_broadcast(call):
    with pytest.raises(ModelError, match=r"\[2, 3\] and \[4\] do not broadcast"):
        _ = call("Add", (2, 3), (4,)).shape


@pytest.mark.parametrize(
    ("op_type", "operands"),
    [
        ("ConstantOfShape", [ints(10**6, 10**6)]),
        ("Range", [np.array(0), np.array(10**12), np.array(1)]),
        ("Expand", [ints(1), ints(10**12)]),
        ("Tile", [ints(1), ints(10**12)]),
        ("Pad", [ints(1), ints(0, 10**12)]),
        ("OneHot", [ints(1), np.array(10**12), ints(0, 1)]),
    ],
)
def test_huge_values_are_not_computed_but_their_shapes_are(call, op_type, operands):
    made = call(op_type, *operands)
    assert made.values[0] is None
    assert made.shape is not None
    assert max(made.shape) > MAX_VALUE_ELEMENTS


@pytest.mark.parametrize("read", [entries, known_value])
@pytest.mark.parametrize(("beyond", "known"), [(0, True), (1, False)])
def test_as_many_entries_are_read_as_are_computed(call, read, beyond, known):
    operand = np.zeros(MAX_VALUE_ELEMENTS + beyond, np.int64)
    assert (read(call("Reshape", (2,), operand).node, 1) is not None) == known


@pytest.mark.parametrize(
    ("attributes", "dtype", "expected"),
    [
        ({"value": np.array([1.5], np.float32)}, "fp32", [1.5]),
        ({"value_int": 3}, "int64", 3),
        ({"value_ints": (3, 4)}, "int64", [3, 4]),
        ({"value_float": 0.5}, "fp32", 0.5),
        ({"value_floats": (0.5, 1.0)}, "fp32", [0.5, 1.0]),
        ({"value_string": "a"}, "string", "a"),
        ({"value": Tensor("w", (64, 64), DATATYPES["int4"])}, "int4", None),
    ],
)
def test_constants(call, attributes, dtype, expected):
    constant = call("Constant", **attributes)
    assert constant.dtype == dtype
    assert constant.value == expected


def test_a_constant_without_a_value(call):
    with pytest.raises(ModelError, match="must have one of the attributes"):
        _ = call("Constant").types
    with pytest.raises(ModelError, match="wrong type"):
        _ = call("Constant", value_ints=3).types


def test_a_window_that_ends_nobody_knows_where_is_of_no_known_size(call) -> None:
    assert call("Slice", (8,), ints(1), ints(None), ints(0)).shape == (None,)
    assert call("Slice", (8,), ints(None), ints(3), ints(0)).shape == (None,)
    assert call("Slice", (8,), ints(1), ints(3), ints(0)).shape == (2,)


def test_one_hot_of_any_rank_has_the_type_of_its_two_values(call) -> None:
    indices = Tensor("x0", None, DATATYPES["int64"])
    unranked = call("OneHot", indices, ints(3), ((2,), "fp16"))
    assert (unranked.shape, unranked.dtype) == (None, "fp16")


def test_softmax_of_version_13_is_over_the_last_axis(call) -> None:
    """https://onnx.ai/onnx/operators/onnx__Softmax.html: the default axis is -1, and was 1 before."""
    assert call("Softmax", (8,), version=13).shape == (8,)


def test_rows_are_gathered_along_the_first_axis_where_none_is_named(call) -> None:
    rows = call(
        "GatherBlockQuantized", ((10, 32), "int4"), ((3,), "int64"), (10, 1), domain="com.microsoft"
    )  # fmt: skip
    assert rows.shape == (3, 32)


def test_operands_of_other_ranks_are_both_named(call) -> None:
    with pytest.raises(
        ModelError, match=r"\(2, 3\).* and .*\(4,\)|\[2, 3\].* and .*\[4\]|2x3 and 4 "
    ):
        _ = call("Concat", (2, 3), (4,), (5, 3), axis=0).shape


@pytest.mark.parametrize(("entries_", "axis"), [((1, 2), 0), ((1, 2, 3), 1), ((5, 6, 7, 8), -1)])
def test_values_of_old_operator_sets_are_aligned_at_an_axis(call, entries_, axis) -> None:
    """https://github.com/onnx/onnx/blob/main/docs/Changelog.md#Add-6: B's axes start at that of A which is named."""
    left, right = np.arange(24).reshape(2, 3, 4), np.array(entries_)
    shape = [1, 1, 1]
    shape[axis] = len(right)
    added = call("Add", left, right, broadcast=1, axis=axis, version=6)
    assert np.array_equal(added.value, left + right.reshape(shape))
