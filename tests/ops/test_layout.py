"""Shapes of operators that move data, over the operator sets' forms."""

from __future__ import annotations

import numpy as np
import pytest

from roofline.errors import ModelError

from .test_values import ints


@pytest.mark.parametrize(
    ("op_type", "operands", "attributes", "expected"),
    [
        ("Transpose", [(2, 3, 4)], {}, (4, 3, 2)),
        ("Transpose", [(2, 3, 4)], {"perm": (1, 0, 2)}, (3, 2, 4)),
        ("Concat", [(2, 3), (2, 5)], {"axis": -1}, (2, 8)),
        ("Concat", [(2, 3), (None, None)], {"axis": 1}, (2, None)),
        ("Concat", [(2, 3), (2, 5)], {"version": 1}, (2, 8)),  # axis 1 without the attribute
        ("Squeeze", [(1, 3, 1)], {}, (3,)),
        ("Squeeze", [(1, 3, 1)], {"axes": (0,), "version": 11}, (3, 1)),
        ("Squeeze", [(1, 3, 1), ints(-1)], {}, (1, 3)),
        ("Squeeze", [(1, 3, 1), ((1,), "int64")], {}, (None, None)),
        ("Squeeze", [(1, None)], {}, None),  # the second dimension may be 1
        ("Unsqueeze", [(3, 4)], {"axes": (0, 3), "version": 11}, (1, 3, 4, 1)),
        ("Unsqueeze", [(3, 4), ints(-1, 0)], {}, (1, 3, 4, 1)),
        ("Flatten", [(2, 3, 4)], {"axis": 2}, (6, 4)),
        ("Flatten", [(2, 3, 4)], {"axis": 0}, (1, 24)),
        ("Flatten", [(None, 3, 4)], {}, (None, 12)),
        ("Slice", [(10, 20)], {"starts": (1,), "ends": (-1,), "axes": (1,), "version": 9}, (10, 18)),
        ("Slice", [(10, 20), ints(0, 0), ints(100, -100)], {}, (10, 0)),
        ("Slice", [(10,), ints(9), ints(-11), ints(0), ints(-3)], {}, (4,)),  # 9, 6, 3, 0
        ("Slice", [(10,), ints(-100), ints(100), ints(0), ints(4)], {}, (3,)),  # 0, 4, 8
        ("Slice", [(None, 7), ints(0), ints(2**63 - 1), ints(1), ints(2)], {}, (None, 4)),
        ("Slice", [(5, 7), ((1,), "int64"), ((1,), "int64"), ints(0)], {}, (None, 7)),
        ("Pad", [(2, 3)], {"paddings": (0, 1, 2, 3), "version": 1}, (4, 7)),
        ("Pad", [(2, 3)], {"pads": (0, 1, 2, -1), "version": 2}, (4, 3)),
        ("Pad", [(2, 3, 4), ints(1, 1), None, ints(-1)], {}, (2, 3, 6)),
        ("Tile", [(2, 3), ints(2, 1)], {}, (4, 3)),
        ("Tile", [(2, 3), ints(5), ints(1)], {"version": 1}, (2, 15)),
        ("Expand", [(3, 1), ints(2, 1, 6)], {}, (2, 3, 6)),
        ("Expand", [(3, 1), ints(None, 6)], {}, (3, 6)),
        ("DepthToSpace", [(1, 12, 5, 6)], {"blocksize": 2}, (1, 3, 10, 12)),
        ("SpaceToDepth", [(1, 3, 10, 12)], {"blocksize": 2}, (1, 12, 5, 6)),
        ("Gather", [(9, 4, 5), ((2, 3), "int64")], {"axis": 1}, (9, 2, 3, 5)),
        ("GatherND", [(2, 3, 4), ((2, 5, 1), "int64")], {"batch_dims": 1}, (2, 5, 4)),
        ("TopK", [(3, 9)], {"k": 2, "version": 1}, (3, 2)),
        ("TopK", [(3, 9), ((1,), "int64")], {"axis": 0}, (None, 9)),
        ("NonZero", [(3, 9)], {}, (2, None)),
        ("NonMaxSuppression", [(1, 9, 4), (1, 2, 9), ints(5)], {}, (None, 3)),
        ("Compress", [(3, 9), np.array([True, False, True])], {"axis": 0}, (2, 9)),
        ("Upsample", [(1, 2, 3, 4)], {"height_scale": 2.0, "width_scale": 3.0, "version": 1}, (1, 2, 6, 12)),
        ("Upsample", [(1, 2, 3, 4)], {"scales": (1.0, 1.0, 2.0, 2.0), "version": 7}, (1, 2, 6, 8)),
        ("Upsample", [(1, 2), np.array([1, 2.5], np.float32)], {"version": 9}, (1, 5)),
        ("Resize", [(1, 10), np.array([1, 0.7], np.float32)], {"version": 10}, (1, 7)),  # single precision
        ("Resize", [(1, 10), None, None, ints(1, 5)], {}, (1, 5)),
        (
            "Resize", [(1, 10), np.array([0, 0.25, 1, 0.75], np.float32), np.array([1, 2], np.float32)],
            {"coordinate_transformation_mode": "tf_crop_and_resize"}, (1, 10),
        ),  # half of it, twice as wide
        (
            "Resize", [(1, 10), np.array([0.25, 0.75], np.float32), np.array([2], np.float32)],
            {"coordinate_transformation_mode": "tf_crop_and_resize", "axes": (1,)}, (1, 10),
        ),
        ("Resize", [(1, 10, 20), None, np.array([], np.float32), ints(4, 40)], {"axes": (1, 2)}, (1, 4, 40)),
        (
            "Resize", [(1, 10, 20), None, None, ints(30, 30)],
            {"axes": (1, 2), "keep_aspect_ratio_policy": "not_larger"}, (1, 15, 30),
        ),
        (
            "Resize", [(1, 10, 20), None, None, ints(30, 30)],
            {"axes": (1, 2), "keep_aspect_ratio_policy": "not_smaller"}, (1, 30, 60),
        ),
        ("ReduceSum", [(2, 3, 4)], {"axes": (1,), "version": 11}, (2, 1, 4)),
        ("ReduceSum", [(2, 3, 4), ints(-1)], {"keepdims": 0}, (2, 3)),
        ("ReduceSum", [(2, 3, 4)], {"keepdims": 0}, ()),
        ("ReduceSum", [(2, 3, 4)], {"noop_with_empty_axes": 1}, (2, 3, 4)),
        ("ReduceSum", [(2, 3, 4), ((1,), "int64")], {"keepdims": 0}, (None, None)),
        ("STFT", [(2, 100, 1), np.array(8), None, np.array(16)], {}, (2, 11, 9, 2)),
        ("DFT", [(2, 100, 1)], {"axis": 1, "onesided": 1, "version": 17}, (2, 51, 2)),
    ],
)  # fmt: skip
def test_shapes(call, op_type, operands, attributes, expected):
    assert call(op_type, *operands, **attributes).shape == expected


def test_unequal_parts(call):
    split = call("Split", (10,), num_outputs=4, results=4, version=18)
    assert [kind[0] for kind in split.types] == [(3,), (3,), (3,), (1,)]
    stated = call("Split", (10,), split=(7, 3), results=2, version=2)
    assert [kind[0] for kind in stated.types] == [(7,), (3,)]


def test_casts_name_their_type_by_number_or_by_word(call):
    assert call("Cast", (2,), to=10).dtype == "fp16"
    assert call("Cast", (2,), to="FLOAT16", version=1).dtype == "fp16"
    with pytest.raises(ModelError, match="element type"):
        _ = call("Cast", (2,), to=999).dtype


@pytest.mark.parametrize(
    ("op_type", "operands", "attributes", "rule"),
    [
        ("Transpose", [(2, 3)], {"perm": (0, 0)}, "'perm' must order 2 axes"),
        ("Concat", [(2, 3), (3, 5)], {"axis": 1}, "must be equal"),
        ("Concat", [(2, 3)], {}, "'axis' is missing"),
        ("Slice", [(9,), ints(0), ints(9), ints(0), ints(0)], {}, "steps must not be zero"),
        ("Slice", [(9,), ints(0), ints(9), ints(4)], {}, "axes must lie in"),
        ("Squeeze", [(2, 3), ints(0)], {}, "has not size 1"),
        ("Split", [(10,)], {"split": (7, 4), "version": 2, "results": 2}, "must sum to"),
        ("Pad", [(2,), ints(-3, 0)], {}, "negative size"),
        ("Expand", [(3,), ints(4)], {}, "do not broadcast"),
        ("Gather", [(3,), ((1,), "int64")], {"axis": 1}, "axis must lie in"),
        ("ConstantOfShape", [ints(-1)], {}, "negative dimension"),
        ("Range", [np.array(0), np.array(1), np.array(0)], {}, "step must not be zero"),
        ("TopK", [(3,), ints(4)], {}, "k must lie in"),
        ("DepthToSpace", [(1, 10, 2, 2)], {"blocksize": 2}, "multiple of 4"),
        ("Resize", [(4,), None, np.array([0.0], np.float32)], {}, "scales must be positive"),
        ("Reshape", [(4,), np.array([2.0, 2.0], np.float32)], {}, "must hold integers"),
    ],
)
def test_broken_calls_name_the_rule(call, op_type, operands, attributes, rule):
    with pytest.raises(ModelError, match=rule):
        _ = call(op_type, *operands, **attributes).types


def test_a_sequence_is_reversed_only_where_there_is_a_batch(call) -> None:
    """https://onnx.ai/onnx/operators/onnx__ReverseSequence.html: "Tensor of rank r >= 2"."""
    assert call("ReverseSequence", (4, 3), ((3,), "int64")).shape == (4, 3)
    with pytest.raises(ModelError):
        _ = call("ReverseSequence", (4,), ((4,), "int64")).shape
