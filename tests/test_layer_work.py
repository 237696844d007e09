"""The work of single layers: its kind, where it lies along the axes of the kind, and how it grows with the batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from roofline import Workload
from roofline.model.kinds import works
from roofline.model.work import Work

Shape = tuple[int, ...]


def work_of(
    op_type: str,
    given: Sequence[Shape],
    stored: Sequence[Shape | np.ndarray] = (),
    *,
    domain: str = "",
    **attributes: object,
) -> Work:
    """Return the work of one operator whose first operands are computed and whose others are stored."""
    operands = [f"x{place}" for place in range(len(given))]
    arrays = [one if isinstance(one, np.ndarray) else np.zeros(one, np.float32) for one in stored]
    weights = [numpy_helper.from_array(array, f"w{place}") for place, array in enumerate(arrays)]
    names = [*operands, *(weight.name for weight in weights)]
    outputs = [f"y{place}" for place in range(2 if op_type == "Split" else 1)]
    node = helper.make_node(op_type, names, outputs, name="one", domain=domain, **attributes)
    graph = helper.make_graph(
        [node],
        "net",
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in zip(operands, given, strict=True)
        ],
        [helper.make_empty_tensor_value_info(output) for output in outputs],
        weights,
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    (layer,) = Workload.from_onnx(model, name="net").layers
    found = works(layer)
    assert found is not None
    return found


CASES: Mapping[str, tuple[tuple[object, ...], Mapping[str, object], str, tuple[float, ...]]] = {
    # in_channels of one group, out_channels of one group, positions of the result, taps of a filter, items
    "kernel": (("Conv", [(2, 32, 9, 8)], [(64, 32, 3, 3)]), {}, "conv.kxk.fp32", (32, 64, 7 * 6, 9, 2)),
    "pointwise": (("Conv", [(2, 32, 5, 4)], [(64, 32, 1, 1)]), {}, "conv.1x1.fp32", (32, 64, 5 * 4, 1, 2)),
    "strided": (
        ("Conv", [(1, 32, 8, 6)], [(64, 32, 1, 1)]), {"strides": [2, 2]},
        "conv.1x1_strided.fp32", (32, 64, 4 * 3, 1, 1),
    ),
    "image": (("Conv", [(1, 3, 9, 9)], [(64, 3, 3, 3)]), {}, "conv.first.fp32", (3, 64, 49, 9, 1)),
    "few": (("Conv", [(1, 12, 9, 9)], [(64, 12, 3, 3)]), {}, "conv.few.fp32", (12, 64, 49, 9, 1)),
    "sixteen": (("Conv", [(1, 16, 9, 9)], [(64, 16, 3, 3)]), {}, "conv.kxk.fp32", (16, 64, 49, 9, 1)),
    "odd": (("Conv", [(1, 30, 9, 9)], [(64, 30, 3, 3)]), {}, "conv.unrolled.fp32", (30, 64, 49, 9, 1)),
    "groups": (
        ("Conv", [(1, 64, 9, 9)], [(64, 16, 3, 3)]), {"group": 4}, "conv.grouped.fp32", (16, 64 / 4, 49, 9, 1),
    ),
    # Groups of eight results fill no vector, however many operands they read.
    "groups of few results": (
        ("Conv", [(1, 64, 9, 9)], [(32, 16, 3, 3)]), {"group": 4},
        "conv.grouped_unaligned.fp32", (16, 32 / 4, 49, 9, 1),
    ),
    # Filters that a run is given, of which nothing is packed before it.
    "by an operand": (("Conv", [(1, 64, 9, 9), (32, 64, 3, 3)]), {}, "conv.unpacked.fp32", (64, 32, 49, 9, 1)),
    "groups of odd": (
        ("Conv", [(1, 24, 9, 9)], [(32, 6, 3, 3)]), {"group": 4}, "conv.grouped_unaligned.fp32", (6, 32 / 4, 49, 9, 1),
    ),
    "depthwise": (
        ("Conv", [(2, 64, 9, 9)], [(64, 1, 3, 3)]), {"group": 64}, "conv.depthwise.fp32", (1, 64, 49, 9, 2),
    ),
    "depthwise of odd": (
        ("Conv", [(2, 30, 9, 9)], [(30, 1, 3, 3)]), {"group": 30}, "conv.depthwise_unaligned.fp32", (1, 30, 49, 9, 2),
    ),
    "signal": (("Conv", [(1, 64, 20)], [(32, 64, 5)]), {}, "conv.one_dimensional.fp32", (64, 32, 16, 5, 1)),
    "one position": (
        ("Conv", [(1, 64, 5)], [(32, 64, 5)]), {}, "conv.one_dimensional_vector.fp32", (64, 32, 1, 5, 1),
    ),
    "two positions": (("Conv", [(1, 64, 6)], [(32, 64, 5)]), {}, "conv.one_dimensional.fp32", (64, 32, 2, 5, 1)),
    "groups of signals": (
        ("Conv", [(1, 64, 20)], [(32, 16, 5)]), {"group": 4}, "conv.one_dimensional_grouped.fp32", (16, 8, 16, 5, 1),
    ),
    # Each position of the operand is multiplied by the whole filter.
    "transposed": (
        ("ConvTranspose", [(2, 8, 5, 6)], [(8, 4, 3, 3)]), {"group": 2}, "conv_transpose.fp32", (4, 4, 30, 9, 2),
    ),
    # rows, inner, columns, copies: a stored matrix is one product whatever stands before it.
    "stored": (("MatMul", [(4, 5, 7)], [(7, 11)]), {}, "matmul.wide.fp32", (4 * 5, 7, 11, 1)),
    "narrow": (("MatMul", [(3, 5, 7)], [(7, 11)]), {}, "matmul.narrow.fp32", (3 * 5, 7, 11, 1)),
    "batched": (("MatMul", [(2, 3, 5, 7), (2, 3, 7, 11)]), {}, "matmul.batched.fp32", (5, 7, 11, 2 * 3)),
    "vector": (("MatMul", [(7,), (7, 11)]), {}, "matmul.batched.fp32", (1, 7, 11, 1)),
    "computed": (("Gemm", [(5, 7), (7, 11)]), {}, "matmul.batched.fp32", (5, 7, 11, 1)),
    # A matrix for each group, one for each item and head, and one for all: rows, inner, columns, copies
    "group by group": (
        ("Einsum", [(4, 3, 5)], [(3, 5, 7)]), {"equation": "tgi,gih->tgh"}, "einsum.fp32", (4, 5, 7, 3),
    ),
    "head by head": (
        ("Einsum", [(2, 3, 5, 7), (2, 3, 6, 7)]), {"equation": "bhqd,bhkd->bhqk"}, "einsum.fp32", (5, 7, 6, 2 * 3),
    ),
    "moved groups": (
        ("Einsum", [(2, 4, 3, 5)], [(3, 5, 7)]), {"equation": "btgi,gih->btgh"}, "einsum.moved.fp32", (2 * 4, 5, 7, 3),
    ),
    "all rows": (("Einsum", [(2, 4, 5)], [(5, 7)]), {"equation": "bij, jk -> bik"}, "einsum.fp32", (2 * 4, 5, 7, 1)),
    # transforms, and of how many points each
    "lines of a power of two": (("DFT", [(6, 8, 1)]), {"axis": 1, "onesided": 1}, "spectral.halving", (6, 8)),
    "lines of any length": (("DFT", [(6, 10, 1)]), {"axis": 1}, "spectral.any_length", (6, 10)),
    "frames": (
        ("STFT", [(2, 32)], [np.asarray(4, np.int64), (16,)]), {}, "spectral.halving", (2 * 5, 16),
    ),
    # values that are scattered, and to how many places each
    "scattered among many": (
        ("ScatterND", [(6, 4), (1, 1), (1, 4)], []), {}, "scattering.ScatterND", (4, 6),
    ),
    "scattered among few": (
        ("ScatterND", [(6, 4), (12, 1), (12, 4)], []), {}, "scattering.ScatterND", (48, 1),
    ),
    "scattered": (
        ("ScatterND", [(6, 4)], [np.asarray([[0], [2]], np.int64), (2, 4)]), {}, "other.ScatterND", (24,),
    ),
    # input, hidden, steps, batch
    "recurrent": (
        ("LSTM", [(5, 2, 4)], [(1, 32, 4), (1, 32, 8)]), {"hidden_size": 8}, "rnn.lstm.fp32", (4, 8, 5, 2),
    ),
    "relu": (("Relu", [(2, 3, 4)]), {}, "elementwise.Relu", (24,)),
    "sum": (("Add", [(2, 3, 4), (2, 3, 4)]), {}, "elementwise.Add.same", (24,)),
    "scalar": (("Mul", [(2, 3, 4)], [(1,)]), {}, "elementwise.Mul.scalar", (24,)),
    # Of a row its length, of channels over how many elements each is repeated.
    "row": (("Add", [(2, 3, 4)], [(4,)]), {}, "elementwise.Add.row", (24, 4)),
    "channel": (("Mul", [(2, 3, 4, 5)], [(3, 1, 1)]), {}, "elementwise.Mul.channel", (120, 20)),
    "column": (("Mul", [(2, 3, 4), (2, 3, 1)]), {}, "elementwise.Mul.channel", (24, 4)),
    # elements, and over how many of them one mean is taken
    "layer": (("LayerNormalization", [(2, 5, 16)], [(16,)]), {}, "normalization.LayerNormalization", (160, 16)),
    "batch": (
        ("BatchNormalization", [(2, 4, 5, 7)], [(4,)] * 4), {}, "normalization.BatchNormalization", (280, 35),
    ),
    "flat": (("BatchNormalization", [(2, 4)], [(4,)] * 4), {}, "normalization.BatchNormalization", (8, 4)),
    "softmax": (("Softmax", [(2, 3, 8)]), {"axis": -1}, "softmax.last", (48, 8)),
    "softmax by place": (("Softmax", [(2, 3, 8)]), {"axis": 2}, "softmax.last", (48, 8)),
    "softmax of channels": (("Softmax", [(2, 3, 8)]), {"axis": 1}, "softmax.inner", (48, 3)),
    "mean": (("ReduceMean", [(2, 3, 8)]), {"axes": [2]}, "reduction.Reduce.inner", (48, 8)),
    "mean of channels": (("ReduceMean", [(2, 3, 8)]), {"axes": [1]}, "reduction.Reduce.outer", (48, 3)),
    "mean that keeps no axis": (
        ("ReduceMean", [(2, 3, 8)]), {"axes": [-1], "keepdims": 0}, "reduction.Reduce.inner", (48, 8),
    ),
    "mean of planes": (
        ("ReduceMean", [(2, 3, 4, 4)]), {"axes": [2, 3], "keepdims": 0}, "reduction.Reduce.inner", (96, 16),
    ),
    "squares": (("ReduceSumSquare", [(2, 3, 8)]), {"axes": [1]}, "reduction.Gathered.outer", (48, 3)),
    "comparison": (("LessOrEqual", [(2, 3, 4), (2, 3, 4)]), {}, "elementwise.Greater.same", (24,)),
    "mean of all": (("ReduceMean", [(2, 3, 8)]), {"keepdims": 0}, "reduction.Reduce.inner", (48, 48)),
    "greatest": (("ArgMax", [(2, 3, 8)]), {"axis": 2}, "reduction.ArgMax.inner", (48, 8)),
    # channels, positions of all items, taps
    "pool": (("MaxPool", [(2, 16, 6, 4)]), {"kernel_shape": [2, 2], "strides": [2, 2]}, "pool.max", (16, 2 * 3 * 2, 4)),
    "pool of channels that fill no vector": (
        ("MaxPool", [(2, 24, 6, 4)]), {"kernel_shape": [2, 2]}, "pool.max_unaligned", (24, 2 * 5 * 3, 4),
    ),
    "pool along a line": (("MaxPool", [(2, 16, 6)]), {"kernel_shape": [2]}, "pool.max_unaligned", (16, 2 * 5, 2)),
    "average": (("AveragePool", [(2, 8, 6, 6)]), {"kernel_shape": [3, 3]}, "pool.average_unaligned", (8, 2 * 4 * 4, 9)),
    "global": (("GlobalAveragePool", [(2, 8, 5, 7)]), {}, "pool.global", (8, 2 * 35, 1)),
    # elements, and how many of them lie together
    "rows": (("Transpose", [(2, 3, 4, 5)]), {"perm": [0, 2, 1, 3]}, "move.Transpose.rows", (120, 5)),
    "axis": (("Transpose", [(2, 3, 4)]), {"perm": [0, 2, 1]}, "move.Transpose.axis", (24, 1)),
    "joined": (("Concat", [(2, 3, 4), (2, 5, 4)]), {"axis": 1}, "move.Concat", (64, 32)),
    "parted": (("Split", [(2, 6, 4)]), {"axis": 1}, "move.Split", (48, 24)),
    "resized": (
        ("Resize", [(1, 2, 3, 4)], [(0,), np.asarray([1, 1, 2, 2], np.float32)]), {"mode": "nearest"},
        "move.Resize.nearest", (2 * 6 * 8, 8),
    ),
    "drawn": (
        ("Resize", [(1, 2, 3, 4)], [(0,), np.asarray([1, 1, 2, 2], np.float32)]), {"mode": "linear"},
        "move.Resize.linear", (2 * 6 * 8, 8),
    ),
    "drawn smoothly": (
        ("Resize", [(1, 2, 3, 4)], [(0,), np.asarray([1, 1, 2, 2], np.float32)]), {"mode": "cubic"},
        "move.Resize.cubic", (2 * 6 * 8, 8),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_layer_lies_where_its_shape_says(name):
    operator, attributes, kind, at = CASES[name]
    found = work_of(*operator, **attributes)  # type: ignore[arg-type]
    assert (found.kind, found.at) == (kind, tuple(map(float, at)))


WITHOUT_ITEMS = (
    "all rows",
    "by an operand",
    "computed",
    "head by head",
    "mean of all",
    "scattered",
    "vector",
)
"""Cases whose operands have no axis of items, or which reduce it."""


@pytest.mark.parametrize("name", [name for name in CASES if name not in WITHOUT_ITEMS])
def test_so_many_times_the_batch_is_the_layer_of_that_batch(name):
    operator, attributes, _, _ = CASES[name]
    op_type, given, *stored = operator
    items = 1 if op_type == "LSTM" else 0
    larger = [
        tuple(size * 3 if axis == items else size for axis, size in enumerate(shape))
        for shape in given  # type: ignore[union-attr]
    ]
    one = work_of(*operator, **attributes)  # type: ignore[arg-type]
    assert one.times(3) == work_of(op_type, larger, *stored, **attributes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "elements"),
    [
        # Each position holds a patch of all taps of the channels that a group reads.
        ("odd", 30 * 9 * 49),
        ("groups of odd", 6 * 9 * 49),
        ("depthwise of odd", 1 * 9 * 49 * 2),
        ("signal", 64 * 5 * 16),
        ("kernel", 0),
        ("pointwise", 0),
    ],
)
def test_unrolled_patches_are_written_and_read_once(name, elements):
    operator, attributes, _, _ = CASES[name]
    # fp32: four bytes to write and four to read.
    assert work_of(*operator, **attributes).patch_bytes == elements * 8  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "channels"),
    [("kernel", (32, 64)), ("image", (64,)), ("few", (64,)), ("odd", ()), ("groups", ()), ("signal", ())],
)  # fmt: skip
def test_packed_kernels_fill_up_the_channels_they_pack(name, channels):
    operator, attributes, _, _ = CASES[name]
    found = work_of(*operator, **attributes)  # type: ignore[arg-type]
    assert found.channels == channels


@pytest.mark.parametrize(
    ("height", "kernel", "attributes", "inside"),
    [
        # Of five rows two lie on an image of two, wherever the filter stands; of three on one row one does.
        (2, 5, {"pads": [2, 2, 2, 2]}, 2 / 5),
        (1, 3, {"pads": [1, 1, 1, 1]}, 1 / 3),
        # The first and the last of eight rows miss one of three each.
        (8, 3, {"pads": [1, 1, 1, 1]}, (8 * 3 - 2) / (8 * 3)),
        (8, 3, {"auto_pad": "SAME_UPPER"}, (8 * 3 - 2) / (8 * 3)),
        # At every other row only the first misses one; two rows apart the first two and the last two do.
        (8, 3, {"pads": [1, 1, 0, 0], "strides": [2, 2]}, (4 * 3 - 1) / (4 * 3)),
        (8, 3, {"pads": [2, 2, 2, 2], "dilations": [2, 2]}, (8 * 3 - 4) / (8 * 3)),
        (8, 3, {}, 1.0),
    ],
)  # fmt: skip
def test_kernels_on_packed_channels_skip_rows_that_lie_off_the_image(
    height, kernel, attributes, inside
):
    given = ("Conv", [(1, 32, height, 9)], [(32, 1, kernel, kernel)])
    found = work_of(*given, group=32, kernel_shape=[kernel] * 2, **attributes)
    assert found.inside == pytest.approx(inside)
    assert found.padded_ops(1) == pytest.approx(found.ops * inside)


def test_unrolled_patches_hold_rows_that_lie_off_the_image_too():
    assert work_of("Conv", [(1, 30, 2, 9)], [(32, 30, 5, 5)], pads=[2] * 4).inside == 1.0


def test_attention_is_of_the_heads_and_their_size():
    found = work_of("MultiHeadAttention", [(1, 6, 32)] * 3, domain="com.microsoft", num_heads=4)
    assert (found.kind, found.at) == ("attention.fp32", (6, 6, 4, 8))


def test_sides_of_nothing_count_as_one() -> None:
    """Shapes are compared by their logarithms, which zero has none of."""
    bound = numpy_helper.from_array(np.array([0], np.int64), "end")
    nodes = [
        helper.make_node("Slice", ["x", "end", "end"], ["none"]),
        helper.make_node("Relu", ["none"], ["y"]),
    ]
    made = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [3, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], [bound],
    )  # fmt: skip
    opset = [helper.make_opsetid("", 17)]
    workload = Workload.from_onnx(helper.make_model(made, opset_imports=opset))
    assert workload.outputs[0].shape == (0, 4)
    work = works(workload.layers[-1])
    assert work is not None
    assert work.at == (1.0,)
