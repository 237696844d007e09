"""What compression says and keeps at the edges: of names, of labels, of what it leaves alone."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from roofline.binding import UNBOUND
from roofline.compress.channels import prune
from roofline.compress.compressing import Request
from roofline.compress.labels import LONGEST, Atoms
from roofline.compress.request import Pruning
from roofline.compress.sparsity import Sparsity
from roofline.compress.unweighted import compress_unweighted
from roofline.compress.widening import widen
from roofline.errors import CompressionError
from roofline.workload import Workload
from roofline.workloads import build

from .masking import dims_of, graph, weight


def _chain(layers: int) -> onnx.ModelProto:
    nodes = [
        helper.make_node(
            "MatMul", ["x" if i == 0 else f"h{i}", f"w{i}"], [f"h{i + 1}"], f"layer{i}"
        )
        for i in range(layers)
    ]
    nodes[-1].output[0] = "y"
    return graph(nodes, [weight(f"w{i}", 4, 4) for i in range(layers)], 1, 4)


@pytest.mark.parametrize(("layers", "end"), [(8, "layer7"), (9, "layer7, …")])
def test_eight_layers_are_named_where_a_pattern_matches_none(layers: int, end: str) -> None:
    with pytest.raises(CompressionError) as caught:
        prune(_chain(layers), Pruning(0.5, layers={"zzz*": 0.5}))
    assert str(caught.value.repair) == f"Layers: {', '.join(f'layer{i}' for i in range(7))}, {end}"


def test_labels_have_room_for_sixteen_of_the_longest_axes() -> None:
    """2**26 labels, of which the first stands for all that stays."""
    atoms = Atoms()
    for _ in range(15):
        assert len(atoms.fresh(LONGEST)) == 2**22
    assert len(atoms.fresh(2**22 - 1)) == 2**22 - 1
    assert atoms.size == 2**26
    with pytest.raises(CompressionError, match="more than 67,108,864 positions"):
        atoms.fresh(2)


def test_filters_of_a_computed_weight_are_ranked_by_what_is_stored() -> None:
    """The second and the fourth filter are the largest; they stay."""
    array = np.ones((4, 3, 1, 1), np.float32) * np.array([1, 8, 2, 4], np.float32).reshape(
        4, 1, 1, 1
    )
    nodes = [
        helper.make_node("Identity", ["stored"], ["w"]),
        helper.make_node("Conv", ["x", "w"], ["h"], "first"),
        helper.make_node("Conv", ["h", "v"], ["y"], "second"),
    ]
    model = graph(
        nodes, [numpy_helper.from_array(array, "stored"), weight("v", 2, 4, 1, 1)], 1, 3, 5, 5
    )
    done = prune(model, 0.5)
    assert [group.kept for group in done.plan.groups] == [(1, 3)]
    assert dims_of(done.model, "stored") == [2, 3, 1, 1]


def test_heads_of_a_bias_go_with_those_of_the_queries() -> None:
    """A bias of the scores is (batch, heads, queries, keys), and its second axis is one of heads."""
    heads, size = 4, 8
    nodes = [helper.make_node("MatMul", ["x", f"{name}_w"], [name], name) for name in "qkv"]
    nodes += [
        helper.make_node(
            "GroupQueryAttention", ["q", "k", "v", "", "", "last", "total", "", "", "", "bias"], ["o", "pk", "pv"],
            "heads", domain="com.microsoft", num_heads=heads, kv_num_heads=heads,
        ),
        helper.make_node("MatMul", ["o", "o_w"], ["y"], "o"),
    ]  # fmt: skip
    lengths = [
        numpy_helper.from_array(np.array([2], np.int32), "last"),
        numpy_helper.from_array(np.array([3], np.int32), "total"),
    ]
    stored = [weight(f"{name}_w", 10, heads * size) for name in "qkv"]
    stored += [*lengths, weight("bias", 1, heads, 3, 3), weight("o_w", heads * size, 5)]
    small = prune(graph(nodes, stored, 1, 3, 10), 0.5).model
    assert dims_of(small, "bias") == [1, heads // 2, 3, 3]


def test_seeds_of_stand_ins_are_those_that_generators_take() -> None:
    seeds: list[int] = []

    def fill(seed: int) -> onnx.ModelProto:
        seeds.append(seed)
        # NumPy's generators take no negative seed.
        assert np.random.default_rng(seed) is not None
        return build("mlp_12_5", weights="random", seed=seed)

    compress_unweighted(fill, Request(sparsity=Sparsity(0.5)), name="mlp", binding=UNBOUND)
    assert len(set(seeds)) == 2


def test_positions_that_are_looked_up_keep_their_width() -> None:
    """Six positions of eight bytes each are read whatever the datatype of the rows."""
    nodes = [
        helper.make_node("Gather", ["table", "at"], ["h"]),
        helper.make_node("MatMul", ["h", "w"], ["y"]),
    ]
    made = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("at", TensorProto.INT64, [6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [weight("table", 10, 16), weight("w", 16, 4)],
    )  # fmt: skip
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)])
    narrow = Workload.from_onnx(model).under(precision="int8")
    (at,) = narrow.layers[0].inputs
    assert (at.dtype and at.dtype.name, at.bytes) == ("int64", 6 * 8)


def test_a_network_without_halves_is_left_as_it_is() -> None:
    model = _chain(2)
    model.graph.node.append(helper.make_node("Cast", ["y"], ["z"], to=TensorProto.DOUBLE))
    assert widen(model) is model
