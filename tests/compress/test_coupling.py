"""Every kind of coupling on a small graph: what stays is as the rule says, and the network computes the same."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from roofline.compress.channels import prune
from roofline.errors import CompressionError, RooflineError

from .masking import assert_prunes, dims_of, graph, integers, weight

N = helper.make_node


def conv(name: str, x: str, y: str, **attributes: object) -> onnx.NodeProto:
    return N("Conv", [x, f"{name}_w"], [y], name, **attributes)


def groups(model: onnx.ModelProto, keep: float) -> dict[tuple[str, ...], tuple[int, int]]:
    plan = assert_prunes(model, keep)
    return {group.layers: (len(group.kept), group.channels) for group in plan.groups}


def test_a_chain_loses_filters_and_the_depth_of_the_next_layer() -> None:
    model = graph(
        [conv("a", "x", "h"), conv("b", "h", "y")],
        [weight("a_w", 8, 3, 3, 3), weight("b_w", 5, 8, 1, 1)],
        1,
        3,
        8,
        8,
    )
    assert groups(model, 0.5) == {("a",): (4, 8)}
    small = prune(model, 0.5).model
    assert dims_of(small, "a_w") == [4, 3, 3, 3]
    assert dims_of(small, "b_w") == [5, 4, 1, 1]


def test_added_layers_go_together() -> None:
    nodes = [
        conv("a", "x", "h"),
        conv("b", "h", "i"),
        conv("c", "i", "j"),
        N("Add", ["h", "j"], ["s"]),
        N("Relu", ["s"], ["r"]),
        conv("d", "r", "y"),
    ]
    stored = [
        weight("a_w", 8, 3, 1, 1),
        weight("b_w", 6, 8, 1, 1),
        weight("c_w", 8, 6, 1, 1),
        weight("d_w", 2, 8, 1, 1),
    ]
    assert groups(graph(nodes, stored, 1, 3, 4, 4), 0.5) == {("a", "c"): (4, 8), ("b",): (3, 6)}


@pytest.mark.parametrize("keepdims", [0, 1])
def test_a_mean_over_positions_passes_channels_on(keepdims: int) -> None:
    last = conv("b", "m", "y") if keepdims else N("Gemm", ["m", "b_w"], ["y"], "b")
    nodes = [
        conv("a", "x", "h"),
        N("ReduceMean", ["h", "places"], ["m"], keepdims=keepdims),
        last,
    ]
    weights = weight("b_w", 5, 8, 1, 1) if keepdims else weight("b_w", 8, 5)
    stored = [weight("a_w", 8, 3, 1, 1), integers("places", 2, 3), weights]
    assert groups(graph(nodes, stored, 1, 3, 4, 4), 0.5) == {("a",): (4, 8)}


def test_concatenated_layers_keep_their_own_shares_and_shift_each_other() -> None:
    nodes = [
        conv("a", "x", "h"),
        conv("b", "x", "i"),
        N("Concat", ["h", "i"], ["c"], axis=1),
        conv("d", "c", "y"),
    ]
    stored = [weight("a_w", 4, 3, 1, 1), weight("b_w", 10, 3, 1, 1), weight("d_w", 2, 14, 1, 1)]
    model = graph(nodes, stored, 1, 3, 4, 4)
    assert groups(model, 0.5) == {("a",): (2, 4), ("b",): (5, 10)}
    assert dims_of(prune(model, 0.5).model, "d_w") == [2, 7, 1, 1]


def test_a_depthwise_convolution_loses_whole_groups() -> None:
    nodes = [conv("a", "x", "h"), conv("b", "h", "i", group=8), conv("c", "i", "y")]
    stored = [weight("a_w", 8, 3, 1, 1), weight("b_w", 16, 1, 3, 3), weight("c_w", 2, 16, 1, 1)]
    model = graph(nodes, stored, 1, 3, 6, 6)
    assert groups(model, 0.5) == {("a", "b"): (4, 8)}
    small = prune(model, 0.5).model
    assert helper.get_node_attr_value(small.graph.node[1], "group") == 4
    assert dims_of(small, "b_w") == [8, 1, 3, 3]


def test_a_grouped_convolution_keeps_equal_groups() -> None:
    nodes = [conv("a", "x", "h"), conv("b", "h", "i", group=3), conv("c", "i", "y")]
    stored = [weight("a_w", 12, 3, 1, 1), weight("b_w", 6, 4, 3, 3), weight("c_w", 2, 6, 1, 1)]
    model = graph(nodes, stored, 1, 3, 6, 6)
    # Positions of a group are counted: 4 and 2 of them.
    assert groups(model, 0.5) == {("a",): (2, 4), ("b",): (1, 2)}
    small = prune(model, 0.5).model
    assert helper.get_node_attr_value(small.graph.node[1], "group") == 3
    assert [dims_of(small, name) for name in ("a_w", "b_w", "c_w")] == [
        [6, 3, 1, 1],
        [3, 2, 3, 3],
        [2, 3, 1, 1],
    ]


@pytest.mark.parametrize("group", [1, 2, 4])
def test_a_transposed_convolution_makes_channels_along_its_second_axis(group: int) -> None:
    nodes = [
        conv("a", "x", "h"),
        N("ConvTranspose", ["h", "t_w", "t_b"], ["i"], "t", group=group, strides=[2, 2]),
        conv("c", "i", "y"),
    ]
    stored = [
        weight("a_w", 4, 3, 1, 1),
        weight("t_w", 4, 4 // group, 2, 2),
        weight("t_b", 4),
        weight("c_w", 2, 4, 1, 1),
    ]
    model = graph(nodes, stored, 1, 3, 4, 4)
    assert_prunes(model, 0.5)
    assert dims_of(prune(model, 0.5).model, "t_b") == [2]


@pytest.mark.parametrize("shape", ["Flatten", "Reshape", "Reshape0"])
def test_each_channel_becomes_a_block_of_columns(shape: str) -> None:
    kinds = {
        "Flatten": N("Flatten", ["h"], ["f"]),
        "Reshape": N("Reshape", ["h", "to"], ["f"]),
        "Reshape0": N("Reshape", ["h", "to0"], ["f"]),
    }
    nodes = [
        conv("a", "x", "h"),
        kinds[shape],
        N("Gemm", ["f", "g_w", "g_b"], ["i"], "g", transB=1),
        N("MatMul", ["i", "m_w"], ["y"], "m"),
    ]
    stored = [
        weight("a_w", 8, 3, 1, 1),
        weight("g_w", 6, 8 * 9),
        weight("g_b", 6),
        weight("m_w", 6, 2),
        integers("to", 1, 72),
        integers("to0", 0, -1),
    ]
    model = graph(nodes, stored, 1, 3, 3, 3)
    assert groups(model, 0.5) == {("a",): (4, 8), ("g",): (3, 6)}
    small = prune(model, 0.5).model
    assert dims_of(small, "g_w") == [3, 4 * 9]
    assert dims_of(small, "m_w") == [3, 2]


def test_squeeze_and_excitation_gates_go_with_their_channels() -> None:
    nodes = [
        conv("a", "x", "h"),
        N("GlobalAveragePool", ["h"], ["p"]),
        conv("r", "p", "q"),
        N("Relu", ["q"], ["q1"]),
        conv("e", "q1", "g"),
        N("Sigmoid", ["g"], ["g1"]),
        N("Mul", ["h", "g1"], ["m"]),
        conv("b", "m", "y"),
    ]
    stored = [
        weight("a_w", 8, 3, 1, 1),
        weight("r_w", 4, 8, 1, 1),
        weight("e_w", 8, 4, 1, 1),
        weight("b_w", 2, 8, 1, 1),
    ]
    assert groups(graph(nodes, stored, 1, 3, 4, 4), 0.5) == {("a", "e"): (4, 8), ("r",): (2, 4)}


def test_layers_that_share_weights_lose_the_same_filters() -> None:
    nodes = [
        conv("a", "x", "h"),
        N("Conv", ["h", "s_w"], ["i"], "s1"),
        N("Conv", ["i", "s_w"], ["j"], "s2"),
        conv("b", "j", "y"),
    ]
    stored = [weight("a_w", 8, 3, 1, 1), weight("s_w", 8, 8, 1, 1), weight("b_w", 2, 8, 1, 1)]
    model = graph(nodes, stored, 1, 3, 4, 4)
    assert groups(model, 0.5) == {("a", "s1", "s2"): (4, 8)}
    assert dims_of(prune(model, 0.5).model, "s_w") == [4, 4, 1, 1]


@pytest.mark.parametrize("kind", ["BatchNormalization", "InstanceNormalization", "PRelu", "Mul"])
def test_parameters_per_channel_go_with_the_channels(kind: str) -> None:
    shape = (8, 1, 1) if kind in {"PRelu", "Mul"} else (8,)
    names = {"BatchNormalization": 4, "InstanceNormalization": 2}.get(kind, 1)
    stored = [weight("a_w", 8, 3, 1, 1), weight("b_w", 2, 8, 1, 1)]
    stored += [
        numpy_helper.from_array(
            np.random.default_rng(i).uniform(0.5, 1.5, shape).astype(np.float32), f"p{i}"
        )
        for i in range(names)
    ]
    nodes = [
        conv("a", "x", "h"),
        N(kind, ["h", *(f"p{i}" for i in range(names))], ["n"]),
        conv("b", "n", "y"),
    ]
    model = graph(nodes, stored, 1, 3, 4, 4)
    assert groups(model, 0.5) == {("a",): (4, 8)}
    assert dims_of(prune(model, 0.5).model, "p0") == [4, *shape[1:]]


def test_a_group_normalization_loses_whole_groups() -> None:
    nodes = [
        conv("a", "x", "h"),
        N("GroupNormalization", ["h", "s", "b"], ["n"], num_groups=4),
        conv("c", "n", "y"),
    ]
    stored = [
        weight("a_w", 12, 3, 1, 1),
        weight("s", 12),
        weight("b", 12),
        weight("c_w", 2, 12, 1, 1),
    ]
    model = graph(nodes, stored, 1, 3, 4, 4)
    assert groups(model, 0.5) == {("a",): (2, 4)}
    small = prune(model, 0.5).model
    assert helper.get_node_attr_value(small.graph.node[1], "num_groups") == 2
    assert dims_of(small, "s") == [6]


@pytest.mark.parametrize(
    ("kind", "extra", "attributes"),
    [
        ("LayerNormalization", ["s"], {"axis": -1}),
        ("Softmax", [], {"axis": -1}),
        ("ReduceMean", ["last"], {}),
        ("LpNormalization", [], {}),
    ],
)
def test_what_mixes_channels_keeps_them_and_says_why(
    kind: str, extra: list[str], attributes: dict[str, int]
) -> None:
    nodes = [
        N("MatMul", ["x", "a_w"], ["h"], "a"),
        N(kind, ["h", *extra], ["n"], "mix", **attributes),
        N("MatMul", ["h", "b_w"], ["i"], "b"),
        N("MatMul", ["i", "c_w"], ["j"], "c"),
        N("ReduceSum", ["n"], ["k"]),
        N("Add", ["j", "k"], ["y"]),
    ]
    stored = [
        weight("a_w", 6, 8),
        weight("b_w", 8, 4),
        weight("c_w", 4, 2),
        weight("s", 8),
        integers("last", -1),
    ]
    model = graph(nodes, stored, 2, 6)
    plan = assert_prunes(model, 0.5)
    assert {group.layers for group in plan.groups} == {("b",)}
    fixed = {entry.layer: entry.reason for entry in plan.fixed}
    assert fixed["a"].startswith(f"{kind} mix")


def test_a_channel_shuffle_keeps_equal_groups() -> None:
    nodes = [
        conv("a", "x", "h"),
        N("Reshape", ["h", "split"], ["r"]),
        N("Transpose", ["r"], ["t"], perm=[0, 2, 1, 3, 4]),
        N("Reshape", ["t", "join"], ["s"]),
        conv("b", "s", "y", group=2),
    ]
    stored = [
        weight("a_w", 16, 3, 1, 1),
        weight("b_w", 4, 8, 1, 1),
        integers("split", 1, 2, 8, 4, 4),
        integers("join", 1, 16, 4, 4),
    ]
    model = graph(nodes, stored, 1, 3, 4, 4)
    plan = assert_prunes(model, 0.5)
    assert plan.removed == sum(group.channels - len(group.kept) for group in plan.groups) > 0
    small = prune(model, 0.5).model
    assert dims_of(small, "b_w")[1] == 4
    # Half of the eight positions go, and both groups stay.
    (split,) = (t for t in small.graph.initializer if t.name.startswith("split"))
    assert numpy_helper.to_array(split).tolist() == [1, 2, 4, 4, 4]


def test_attention_heads_go_whole() -> None:
    nodes = []
    for name in "qkv":
        nodes += [
            N("MatMul", ["x", f"{name}_w"], [f"{name}1"], name),
            N("Reshape", [f"{name}1", "split"], [f"{name}2"]),
            N(
                "Transpose",
                [f"{name}2"],
                [f"{name}3"],
                perm=[0, 2, 3, 1] if name == "k" else [0, 2, 1, 3],
            ),
        ]
    nodes += [
        N("MatMul", ["q3", "k3"], ["s"]),
        N("Softmax", ["s"], ["p"]),
        N("MatMul", ["p", "v3"], ["o"]),
        N("Transpose", ["o"], ["o1"], perm=[0, 2, 1, 3]),
        N("Reshape", ["o1", "join"], ["o2"]),
        N("MatMul", ["o2", "o_w"], ["y"], "o"),
    ]
    stored = [
        *(weight(f"{name}_w", 10, 24) for name in "qkv"),
        weight("o_w", 24, 5),
        integers("split", 1, 3, 4, 6),
        integers("join", 1, 3, 24),
    ]
    model = graph(nodes, stored, 1, 3, 10)
    assert groups(model, 0.5) == {("q", "k", "v"): (2, 4)}
    assert dims_of(prune(model, 0.5).model, "q_w") == [10, 12]


@pytest.mark.parametrize(("heads", "shared"), [(4, 4), (4, 2)])
def test_the_attention_operator_loses_whole_heads(heads: int, shared: int) -> None:
    size = 6
    nodes = [
        N("MatMul", ["x", "q_w"], ["q"], "q"),
        N("MatMul", ["x", "k_w"], ["k"], "k"),
        N("MatMul", ["x", "v_w"], ["v"], "v"),
        N("Attention", ["q", "k", "v"], ["o"], q_num_heads=heads, kv_num_heads=shared),
        N("MatMul", ["o", "o_w"], ["y"], "o"),
    ]
    stored = [
        weight("q_w", 10, heads * size),
        weight("k_w", 10, shared * size),
        weight("v_w", 10, shared * size),
        weight("o_w", heads * size, 5),
    ]
    model = graph(nodes, stored, 1, 3, 10, opset=23)
    plan = assert_prunes(model, 0.5)
    assert [(group.channels, len(group.kept)) for group in plan.groups] == [(shared, shared // 2)]
    small = prune(model, 0.5).model
    assert dims_of(small, "q_w") == [10, heads * size // 2]
    assert helper.get_node_attr_value(small.graph.node[3], "kv_num_heads") == shared // 2


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("heads", "shared"), [(4, 4), (8, 2), (4, 2)])
def test_grouped_queries_lose_whole_groups_of_heads(
    heads: int, shared: int, *, packed: bool
) -> None:
    size = 8
    lengths = [
        numpy_helper.from_array(np.array([2], np.int32), "last"),
        numpy_helper.from_array(np.array([3], np.int32), "total"),
    ]
    counts = {"num_heads": heads, "kv_num_heads": shared}
    if packed:
        nodes = [N("MatMul", ["x", "all_w"], ["all"], "all")]
        operands, stored = ["all", "", ""], [weight("all_w", 10, (heads + 2 * shared) * size)]
    else:
        nodes = [N("MatMul", ["x", f"{name}_w"], [name], name) for name in "qkv"]
        operands = ["q", "k", "v"]
        stored = [
            weight(f"{name}_w", 10, (heads if name == "q" else shared) * size) for name in "qkv"
        ]
    nodes += [
        N(
            "GroupQueryAttention", [*operands, "", "", "last", "total"], ["o", "pk", "pv"], "heads",
            domain="com.microsoft", **counts,
        ),
        N("MatMul", ["o", "o_w"], ["y"], "o"),
    ]  # fmt: skip
    model = graph(nodes, [*stored, *lengths, weight("o_w", heads * size, 5)], 1, 3, 10)
    plan = assert_prunes(model, 0.5)
    assert [(group.channels, len(group.kept)) for group in plan.groups] == [(shared, shared // 2)]
    small = prune(model, 0.5).model
    call = next(node for node in small.graph.node if node.op_type == "GroupQueryAttention")
    assert helper.get_node_attr_value(call, "kv_num_heads") == shared // 2
    assert helper.get_node_attr_value(call, "num_heads") == heads // 2
    assert dims_of(small, "o_w") == [heads * size // 2, 5]


@pytest.mark.parametrize(("groups_", "offset_groups"), [(1, 1), (1, 2), (2, 1), (8, 1)])
def test_a_deformable_convolution_loses_filters_and_depth(
    groups_: int, offset_groups: int
) -> None:
    nodes = [
        conv("a", "x", "h"),
        N("Conv", ["x", "p_w"], ["offsets"], "p", pads=[1] * 4),
        N(
            "DeformConv", ["h", "d_w", "offsets", "d_b"], ["m"], "d", group=groups_,
            offset_group=offset_groups, pads=[1] * 4,
        ),
        conv("b", "m", "y"),
    ]  # fmt: skip
    stored = [
        weight("a_w", 8, 3, 1, 1), weight("p_w", 18 * offset_groups, 3, 3, 3), weight("d_w", 8, 8 // groups_, 3, 3),
        weight("d_b", 8), weight("b_w", 4, 8, 1, 1),
    ]  # fmt: skip
    model = graph(nodes, stored, 1, 3, 6, 6, opset=19)
    assert_prunes(model, 0.5)
    small = prune(model, 0.5).model
    assert dims_of(small, "a_w")[0] == 4
    assert dims_of(small, "p_w")[0] == 18 * offset_groups
    assert dims_of(small, "d_w") == [4, 4 // groups_ or 1, 3, 3]


def test_a_convolution_over_channels_is_told_apart_from_space() -> None:
    """ECA: channels lie where positions in space do, and each is mixed with its neighbours."""
    nodes = [
        conv("a", "x", "h"),
        N("GlobalAveragePool", ["h"], ["p"]),
        N("Reshape", ["p", "row"], ["r"]),
        N("Conv", ["r", "e_w"], ["e"], "eca", pads=[1, 1]),
        N("Sigmoid", ["e"], ["s"]),
        N("Reshape", ["s", "column"], ["g"]),
        N("Mul", ["h", "g"], ["m"]),
        conv("b", "m", "n"),
        conv("c", "n", "y"),
    ]
    stored = [
        weight("a_w", 8, 3, 1, 1), weight("e_w", 1, 1, 3), weight("b_w", 6, 8, 1, 1), weight("c_w", 2, 6, 1, 1),
        integers("row", 1, 1, 8), integers("column", 1, 8, 1, 1),
    ]  # fmt: skip
    plan = assert_prunes(graph(nodes, stored, 1, 3, 4, 4), 0.5)
    assert [(group.layers, len(group.kept)) for group in plan.groups] == [(("b",), 3)]
    reasons = {entry.layer: entry.reason for entry in plan.fixed}
    assert (
        "Conv eca: it runs along these channels and mixes each with its neighbours" in reasons["a"]
    )
    with pytest.raises(CompressionError, match="mixes each with its neighbours"):
        prune(graph(nodes, stored, 1, 3, 4, 4), {"a": 0.5})


def test_parts_of_a_split_keep_their_shares_and_sizes() -> None:
    nodes = [
        conv("a", "x", "h"),
        N("Split", ["h", "sizes"], ["s", "t"], axis=1),
        N("Relu", ["s"], ["s1"]),
        N("Sigmoid", ["t"], ["t1"]),
        conv("b", "s1", "i"),
        conv("c", "t1", "j"),
        N("Add", ["i", "j"], ["y"]),
    ]
    stored = [
        weight("a_w", 12, 3, 1, 1),
        integers("sizes", 4, 8),
        weight("b_w", 2, 4, 1, 1),
        weight("c_w", 2, 8, 1, 1),
    ]
    model = graph(nodes, stored, 1, 3, 4, 4)
    plan = assert_prunes(model, 0.5)
    assert sorted((group.channels, len(group.kept)) for group in plan.groups) == [(4, 2), (8, 4)]


def test_an_equal_split_gets_sizes_when_they_differ() -> None:
    nodes = [
        conv("a", "x", "h"),
        N("Split", ["h"], ["s", "t"], axis=1, num_outputs=2),
        conv("b", "s", "i"),
        conv("c", "t", "j"),
        N("Add", ["i", "j"], ["y"]),
    ]
    stored = [weight("a_w", 10, 3, 1, 1), weight("b_w", 2, 5, 1, 1), weight("c_w", 2, 5, 1, 1)]
    plan = assert_prunes(graph(nodes, stored, 1, 3, 4, 4), 0.3)
    # Five channels each: 0.3 x 5 = 1.5, a half rounds up.
    assert [len(group.kept) for group in plan.groups] == [2, 2]


def test_kernel_positions_stay_where_another_layer_takes_them_for_filters() -> None:
    nodes = [
        N("Transpose", ["w"], ["v"], perm=[2, 0, 1, 3]),
        N("ConvTranspose", ["x", "w"], ["p"], "a"),
        N("Conv", ["x", "v"], ["h"], "b"),
        conv("c", "h", "i"),
        conv("d", "i", "j"),
        N("ReduceSum", ["p"], ["k"]),
        N("ReduceSum", ["j"], ["l"]),
        N("Add", ["k", "l"], ["y"]),
    ]
    stored = [weight("w", 4, 2, 4, 1), weight("c_w", 6, 4, 1, 1), weight("d_w", 2, 6, 1, 1)]
    plan = assert_prunes(graph(nodes, stored, 1, 4, 5, 5), 0.5)
    assert [group.layers for group in plan.groups] == [("c",)]
    reasons = {entry.layer: entry.reason for entry in plan.fixed}
    assert reasons["a"] == "Conv b: kernel positions are not channels"
    assert reasons["b"] == "ConvTranspose a: kernel positions are not channels"


@pytest.mark.parametrize("opset", [9, 21])
def test_a_slice_moves_its_bounds(opset: int) -> None:
    bounds = {"starts": [-8], "ends": [9], "axes": [1]}
    cut = (
        N("Slice", ["h", "from", "to", "axis"], ["s"])
        if opset >= 10
        else N("Slice", ["h"], ["s"], **bounds)
    )
    nodes = [
        conv("a", "x", "h"),
        cut,
        conv("b", "s", "i"),
        conv("c", "h", "j"),
        N("Add", ["i", "j"], ["y"]),
    ]
    stored = [
        weight("a_w", 12, 3, 1, 1),
        integers("from", -8),
        integers("to", 9),
        integers("axis", 1),
        weight("b_w", 2, 5, 1, 1),
        weight("c_w", 2, 12, 1, 1),
    ]
    plan = assert_prunes(graph(nodes, stored, 1, 3, 4, 4, opset=opset), 0.5)
    # Channels 4..8 are in the slice: 5 of them, 7 outside.
    assert sorted((group.channels, len(group.kept)) for group in plan.groups) == [(5, 3), (7, 4)]


def test_picked_channels_are_renumbered() -> None:
    nodes = [conv("a", "x", "h"), N("Gather", ["h", "order"], ["s"], axis=1), conv("b", "s", "y")]
    stored = [
        weight("a_w", 6, 3, 1, 1),
        integers("order", 5, 3, 1, 0, 2, 4),
        weight("b_w", 2, 6, 1, 1),
    ]
    model = graph(nodes, stored, 1, 3, 4, 4)
    assert groups(model, 0.5) == {("a",): (3, 6)}
    assert sorted(
        numpy_helper.to_array(
            next(t for t in prune(model, 0.5).model.graph.initializer if t.name == "order")
        )
    ) == [0, 1, 2]


def test_padded_channels_follow_what_they_are_added_to() -> None:
    nodes = [
        conv("a", "x", "h"),
        N("Pad", ["h", "pads"], ["p"]),
        conv("b", "h", "i"),
        N("Add", ["p", "i"], ["s"]),
        conv("c", "s", "y"),
    ]
    stored = [
        weight("a_w", 4, 3, 1, 1),
        integers("pads", 0, 0, 0, 0, 0, 4, 0, 0),
        weight("b_w", 8, 4, 1, 1),
        weight("c_w", 2, 8, 1, 1),
    ]
    plan = assert_prunes(graph(nodes, stored, 1, 3, 4, 4), 0.5)
    assert sum(len(group.kept) for group in plan.groups) == 2 + 2


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_channels_that_become_space_go_together(mode: str) -> None:
    nodes = [
        conv("a", "x", "h"),
        N("DepthToSpace", ["h"], ["d"], blocksize=2, mode=mode),
        conv("b", "d", "e"),
        N("SpaceToDepth", ["e"], ["f"], blocksize=2),
        conv("c", "f", "y"),
    ]
    stored = [weight("a_w", 16, 3, 1, 1), weight("b_w", 6, 4, 1, 1), weight("c_w", 2, 24, 1, 1)]
    assert groups(graph(nodes, stored, 1, 3, 4, 4), 0.5) == {("a",): (2, 4), ("b",): (3, 6)}


@pytest.mark.parametrize(("kind", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
@pytest.mark.parametrize("directions", [1, 2])
def test_a_hidden_unit_goes_from_every_gate(kind: str, gates: int, directions: int) -> None:
    hidden = 6
    nodes = [
        N(
            kind,
            ["x", "w", "r", "b"],
            ["h"],
            "rnn",
            hidden_size=hidden,
            direction="bidirectional" if directions == 2 else "forward",
        ),
        N("Transpose", ["h"], ["t"], perm=[0, 2, 1, 3]),
        N("Reshape", ["t", "join"], ["f"]),
        N("MatMul", ["f", "o"], ["y"], "out"),
    ]
    stored = [
        weight("w", directions, gates * hidden, 5),
        weight("r", directions, gates * hidden, hidden),
        weight("b", directions, 2 * gates * hidden),
        weight("o", directions * hidden, 3),
        integers("join", 4, 2, directions * hidden),
    ]
    model = graph(nodes, stored, 4, 2, 5)
    assert groups(model, 0.5) == {("rnn",): (3, 6)}
    assert dims_of(prune(model, 0.5).model, "r") == [directions, gates * 3, 3]


def test_scales_per_channel_go_with_their_filters() -> None:
    chance = np.random.default_rng(0)
    stored = [
        numpy_helper.from_array(chance.integers(-127, 127, (8, 3, 1, 1)).astype(np.int8), "a_q"),
        numpy_helper.from_array(chance.uniform(0.001, 0.01, 8).astype(np.float32), "a_s"),
        numpy_helper.from_array(np.zeros(8, np.int8), "a_z"),
        weight("b_w", 2, 8, 1, 1),
    ]
    nodes = [
        N("DequantizeLinear", ["a_q", "a_s", "a_z"], ["a_w"], axis=0),
        conv("a", "x", "h"),
        conv("b", "h", "y"),
    ]
    model = graph(nodes, stored, 1, 3, 4, 4)
    assert groups(model, 0.5) == {("a",): (4, 8)}
    assert dims_of(prune(model, 0.5).model, "a_s") == [4]


def test_an_embedding_keeps_its_entries_and_loses_its_width() -> None:
    nodes = [
        N("Cast", ["x"], ["ids"], to=TensorProto.INT64),
        N("Gather", ["table", "ids"], ["e"], "embed"),
        N("MatMul", ["e", "w"], ["y"], "out"),
    ]
    model = graph(nodes, [weight("table", 20, 8), weight("w", 8, 3)], 1, 4)
    assert prune(model, 0.5).plan.groups[0].layers == ("embed",)
    assert dims_of(prune(model, 0.5).model, "table") == [20, 4]


def test_einsum_ties_the_axes_of_a_letter() -> None:
    nodes = [
        N("Einsum", ["x", "a"], ["h"], "a", equation="bi,io->bo"),
        N("Einsum", ["h", "b"], ["y"], "b", equation="bo,oc->bc"),
    ]
    assert groups(graph(nodes, [weight("a", 6, 8), weight("b", 8, 3)], 2, 6), 0.5) == {
        ("a",): (4, 8)
    }


def test_a_shape_written_at_run_time_keeps_its_literal_numbers_right() -> None:
    nodes = [
        N("MatMul", ["x", "a_w"], ["h"], "a"),
        N("Shape", ["x"], ["sh"]),
        N("Gather", ["sh", "zero"], ["n"]),
        N("Concat", ["n", "rest"], ["to"], axis=0),
        N("Reshape", ["h", "to"], ["r"]),
        N("Transpose", ["r"], ["t"], perm=[0, 2, 1]),
        N("MatMul", ["t", "b_w"], ["y"], "b"),
    ]
    stored = [
        weight("a_w", 6, 12),
        integers("zero", 0),
        integers("rest", 3, 4),
        weight("b_w", 3, 2),
    ]
    model = graph(nodes, stored, 2, 6)
    plan = assert_prunes(model, 0.5)
    assert plan.removed > 0


def test_a_group_of_one_channel_leaves_the_graph_as_it_is() -> None:
    nodes = [conv("a", "x", "h"), conv("b", "h", "i"), conv("c", "i", "y")]
    stored = [weight("a_w", 1, 3, 1, 1), weight("b_w", 4, 1, 1, 1), weight("c_w", 2, 4, 1, 1)]
    model = graph(nodes, stored, 1, 3, 4, 4)
    assert groups(model, 0.01) == {("b",): (1, 4)}


def test_an_operator_without_a_rule_is_refused_by_name() -> None:
    nodes = [
        conv("a", "x", "h"),
        N("Mystery", ["h"], ["i"], "strange", domain="my.domain"),
        conv("b", "i", "y"),
    ]
    model = graph(nodes, [weight("a_w", 8, 3, 1, 1), weight("b_w", 2, 8, 1, 1)], 1, 3, 4, 4)
    model.opset_import.append(helper.make_opsetid("my.domain", 1))
    model.graph.value_info.append(
        helper.make_tensor_value_info("i", TensorProto.FLOAT, [1, 8, 4, 4])
    )
    with pytest.raises(CompressionError, match=r"channels of a reach Mystery strange"):
        prune(model, 0.5)


def test_an_operator_without_a_rule_is_no_obstacle_where_no_channel_goes() -> None:
    nodes = [
        N("Mystery", ["x"], ["m"], "strange", domain="my.domain"),
        conv("a", "m", "h"),
        conv("b", "h", "y"),
    ]
    model = graph(nodes, [weight("a_w", 8, 3, 1, 1), weight("b_w", 2, 8, 1, 1)], 1, 3, 4, 4)
    model.opset_import.append(helper.make_opsetid("my.domain", 1))
    model.graph.value_info.append(
        helper.make_tensor_value_info("m", TensorProto.FLOAT, [1, 3, 4, 4])
    )
    assert prune(model, 0.5).plan.removed == 4


def test_layers_inside_both_branches_are_pruned() -> None:
    branches = [
        helper.make_graph(
            [conv(f"{side}1", "x", f"{side}h"), conv(f"{side}2", f"{side}h", f"{side}y")],
            side,
            [],
            [helper.make_tensor_value_info(f"{side}y", TensorProto.FLOAT, [1, 2, 4, 4])],
            [weight(f"{side}1_w", 8, 3, 1, 1), weight(f"{side}2_w", 2, 8, 1, 1)],
        )
        for side in ("then", "else")
    ]
    choice = numpy_helper.from_array(np.array(True), "choice")
    node = N("If", ["choice"], ["y"], "gate", then_branch=branches[0], else_branch=branches[1])
    model = graph([node], [choice], 1, 3, 4, 4)
    assert {group.layers for group in prune(model, 0.5).plan.groups} == {("then1",), ("else1",)}


def test_a_network_without_weights_has_nothing_to_prune() -> None:
    with pytest.raises(CompressionError, match="it has no layer that makes channels"):
        prune(graph([N("Relu", ["x"], ["y"], "r")], [], 1, 3, 4, 4), 0.5)


def damaged(operator: str, inputs: list[str], **attributes: object) -> onnx.ModelProto:
    """A convolution whose channels reach a call, and a layer behind it."""
    nodes = [
        conv("a", "x", "h"),
        N(operator, ["h", *inputs], ["m"], "broken", **attributes),
        conv("b", "m", "y"),
    ]
    stored = [
        weight("a_w", 8, 3, 1, 1), weight("b_w", 4, 8, 1, 1), weight("s", 8), weight("o", 8),
        numpy_helper.from_array(np.float32(0.1), "scale"), integers("axes", 9),
    ]  # fmt: skip
    return graph(nodes, stored, 1, 3, 4, 4)


@pytest.mark.parametrize(
    "call",
    [
        lambda: damaged("GroupNormalization", ["s", "o"], num_groups="two"),
        lambda: damaged("GroupNormalization", ["s", "o"], num_groups=[2]),
        lambda: damaged("GroupNormalization", ["s", "o"], num_groups=0),
        lambda: damaged("LayerNormalization", ["s"], axis=7),
        lambda: damaged("QuantizeLinear", ["scale"], axis=[1]),
        lambda: damaged("LRN", [], size="three"),
        lambda: damaged("Softmax", [], axis=[1]),
        lambda: damaged("MeanVarianceNormalization", [], axes=[9]),
        lambda: damaged("MeanVarianceNormalization", [], axes=1),
        lambda: damaged("DepthToSpace", [], blocksize=[2]),
        lambda: damaged("SpaceToDepth", [], blocksize=2**40),
        lambda: damaged("Transpose", [], perm=[0, 1]),
        lambda: damaged("Transpose", [], perm=3),
        lambda: damaged("ReduceMean", ["axes"]),
        lambda: damaged("Concat", ["s"], axis=1),
        lambda: damaged("Einsum", [], equation="abcdef->a"),
        lambda: damaged("LSTM", [], hidden_size=4),
        lambda: damaged("BatchNormalization", []),
    ],
)  # fmt: skip
def test_a_damaged_call_is_refused_in_one_line(call: Callable[[], onnx.ModelProto]) -> None:
    with pytest.raises(RooflineError) as refused:
        prune(call(), 0.5)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("size", [2**31, 2**40])
def test_axes_take_no_memory_by_their_length(size: int) -> None:
    """Labels of an axis of 2^31 positions would take 16 GB; such an axis stays whole, others lose channels."""
    nodes = [conv("a", "x", "h"), conv("b", "h", "y"), N("MatMul", ["x", "wide"], ["z"], "w")]
    wide = onnx.TensorProto(name="wide", data_type=TensorProto.FLOAT, dims=[4, size])
    stored = [weight("a_w", 8, 3, 1, 1), weight("b_w", 4, 8, 1, 1), wide]
    model = graph(nodes, stored, 1, 3, 4, 4)
    tracemalloc.start()
    try:
        pruned = prune(model, 0.5).model
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert dims_of(pruned, "a_w") == [4, 3, 1, 1]
    assert dims_of(pruned, "wide") == [4, size]
    assert peak < 1 << 26


def test_more_channels_than_can_be_labelled_are_refused() -> None:
    stored = [
        onnx.TensorProto(name=f"w{i}", data_type=TensorProto.FLOAT, dims=[1 << 22, 1]) for i in range(20)
    ]  # fmt: skip
    with pytest.raises(CompressionError, match="too many to prune"):
        prune(graph([N("Relu", ["x"], ["y"])], stored, 1, 3), 0.5)


def test_a_scan_whose_axes_are_fewer_than_its_rows_is_not_followed() -> None:
    value = helper.make_tensor_value_info
    names = [("s", "s2"), ("r", "q"), ("r", "p")]
    body = helper.make_graph(
        [N("Identity", ["s"], ["s2"]), N("Relu", ["r"], ["q"]), N("Abs", ["r"], ["p"])], "body",
        [value(name, 1, None) for name in ("s", "r")], [value(name, 1, None) for _, name in names],
    )  # fmt: skip
    scan = N(
        "Scan", ["h", "i"], ["f", "z", "t"], "scan", body=body, num_scan_inputs=1, scan_output_axes=[0]
    )  # fmt: skip
    stored = [weight("a_w", 8, 3, 1, 1), weight("b_w", 6, 3, 1, 1), weight("c_w", 4, 8, 1, 1)]
    built = graph(
        [conv("a", "x", "h"), conv("b", "x", "i"), scan, conv("c", "f", "y")], stored, 1, 3, 4, 4
    )
    with pytest.raises(CompressionError, match="scan, which has bodies that do not fit it"):
        prune(built, 0.5)
