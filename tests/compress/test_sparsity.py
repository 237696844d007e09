"""Weight pruning: what is zeroed in a file, and what is counted about it."""

from __future__ import annotations

import itertools

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import roofline
from roofline.compress.formats import WeightShape, formats
from roofline.compress.sparse_workload import with_stored_zeros
from roofline.compress.sparsity import Sparsity, count_zeros, zero_weights
from roofline.errors import CompressionError
from roofline.workload import Workload
from roofline.workloads import build


@pytest.fixture(scope="module")
def mlp() -> onnx.ModelProto:
    return build("mlp_12_5", weights="random")


def arrays(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {t.name: numpy_helper.to_array(t) for t in model.graph.initializer if len(t.dims) == 2}


def test_the_smallest_weights_of_every_layer_become_zero(mlp: onnx.ModelProto) -> None:
    before, after = arrays(mlp), arrays(zero_weights(mlp, Sparsity(0.75)))
    for name, weights in before.items():
        removed = after[name] == 0
        assert removed.sum() == round(0.75 * weights.size)
        assert np.abs(weights[removed]).max() <= np.abs(weights[~removed]).min()
        np.testing.assert_array_equal(after[name][~removed], weights[~removed])


def test_two_of_every_four_neighbours_become_zero(mlp: onnx.ModelProto) -> None:
    for name, weights in arrays(zero_weights(mlp, Sparsity(0.5, pattern="2:4"))).items():
        if weights.shape[1] % 4 == 0:
            groups = weights.reshape(-1, 4)
            assert ((groups == 0).sum(axis=1) == 2).all(), name


def test_two_of_four_leaves_depths_that_are_no_fours_alone() -> None:
    model = build("cnv_25", weights="random")
    request = Sparsity(0.5, format="2:4", pattern="2:4")
    predicted = Workload.from_onnx(model).under(sparsity=request)
    file = zero_weights(model, request)
    assert (
        with_stored_zeros(Workload.from_onnx(file), file).effective_macs
        == predicted.effective_macs
    )
    first = next(layer for layer in predicted.layers if layer.cost.macs)
    # An image has three channels.
    assert first.effective_macs is None
    assert first.weight_format == "dense"


def test_effective_macs_of_a_file_are_those_predicted(mlp: onnx.ModelProto) -> None:
    request = Sparsity(0.9, layers={"fc1": 0.5, "fc4": 0.0})
    predicted = Workload.from_onnx(mlp).under(sparsity=request)
    file = zero_weights(mlp, request)
    assert (
        with_stored_zeros(Workload.from_onnx(file), file).effective_macs
        == predicted.effective_macs
    )
    widths = (784, 256, 256, 256, 10)
    kept = (0.5, 0.1, 0.1, 1.0)
    # Halves of a zero round up, so what stays rounds down; a linear layer multiplies once with each weight.
    expected = [
        a * b - int(a * b * (1 - k) + 0.5)
        for a, b, k in zip(widths, widths[1:], kept, strict=False)
    ]
    assert predicted.effective_macs == sum(expected)
    assert predicted.macs == sum(a * b for a, b in itertools.pairwise(widths))


def test_every_weight_of_a_convolution_counts_alike() -> None:
    dense = roofline.load("cnv_25")
    sparse = dense.under(sparsity=0.5)
    for before, after in zip(dense.layers, sparse.layers, strict=True):
        assert after.cost == before.cost
        if before.op_type == "Conv":
            assert after.effective_macs == before.cost.macs // 2


def test_a_sparse_format_changes_the_weight_bytes_by_its_arrays() -> None:
    dense = roofline.load("mlp_12_5")
    sparse = dense.under(sparsity=Sparsity(0.9, format="csr"))
    change = 0
    for layer in dense.layers:
        for tensor in layer.weights:
            if layer.cost.macs and len(tensor.shape or ()) == 2:
                shape = WeightShape.of(tensor.shape)
                nonzeros = shape.elements - int(shape.elements * 0.9 + 0.5)
                change += formats.get("csr").bytes(shape, nonzeros) - 4 * shape.elements
    assert sparse.weight_bytes == dense.weight_bytes + change
    assert dense.under(sparsity=0.9).weight_bytes == dense.weight_bytes
    assert sum(layer.weight_bytes for layer in sparse.fused_layers) == sum(
        layer.weight_bytes for layer in sparse.layers
    )


def product(kind: int, stored: dict[str, np.ndarray]) -> Workload:
    """Return rows times a stored matrix ``w``, plus ``b`` where there is one."""
    (rows, columns), biased = stored["w"].shape, "b" in stored
    graph = helper.make_graph(
        [helper.make_node("Gemm" if biased else "MatMul", ["x", *stored], ["y"])],
        "product",
        [helper.make_tensor_value_info("x", kind, [3, rows])],
        [helper.make_tensor_value_info("y", kind, [3, columns])],
        [numpy_helper.from_array(array, name) for name, array in stored.items()],
    )
    opsets = [helper.make_opsetid("", 17)]
    return Workload.from_onnx(helper.make_model(graph, opset_imports=opsets, ir_version=8))


def test_a_bias_is_stored_densely_beside_sparse_weights() -> None:
    stored = {"w": np.ones((20, 40), np.float32), "b": np.ones(40, np.float32)}
    sparse = product(TensorProto.FLOAT, stored).under(sparsity=Sparsity(0.75, format="csr"))
    # A quarter of the weights with 4 B for its column each, a pointer for each row and one more; 4 B for each bias.
    assert sparse.weight_bytes == 20 * 40 // 4 * (4 + 4) + (20 + 1) * 4 + 40 * 4


def test_sparse_weights_of_a_narrow_datatype_store_narrow_values() -> None:
    dense = roofline.load("mlp_12_5")
    both = dense.under(precision="int8", sparsity=Sparsity(0.9, format="bitmap"))
    reversed_order = dense.under(sparsity=Sparsity(0.9, format="bitmap")).under(precision="int8")
    assert (
        both.weight_bytes
        == reversed_order.weight_bytes
        < dense.under(precision="int8").weight_bytes
    )


def test_a_published_table_becomes_sparse_as_one_bag_of_weights() -> None:
    table = Workload.from_table("cnv", ops=2_000_000, weights=1000, source="a table")
    assert table.under(sparsity=0.95).effective_macs == 50_000


def test_zeros_are_counted_from_the_values(mlp: onnx.ModelProto) -> None:
    assert set(count_zeros(mlp)) == set(arrays(mlp))
    file = zero_weights(mlp, Sparsity(0.25))
    assert count_zeros(file) == {
        name: int((weights == 0).sum()) for name, weights in arrays(file).items()
    }
    assert count_zeros(build("mlp_12_5")) == {}


@pytest.mark.parametrize(
    ("request_of", "message"),
    [
        (lambda: Sparsity(1.0), r"sparsity is 1, outside \[0, 1\)"),
        (lambda: Sparsity(-0.1), "outside"),
        (lambda: Sparsity(90), "not a percentage"),
        (lambda: Sparsity(0.5, format="nope"), "unknown sparse format 'nope'"),
        (lambda: Sparsity(0.5, pattern="1:3"), "unknown pattern of zeros"),
        (lambda: Sparsity(0.5, format="2:4"), "holds zeros of the pattern 2:4"),
        (lambda: Sparsity(0.9, format="2:4", pattern="2:4"), "zeroes half the weights"),
        (
            lambda: roofline.load("mlp_12_5").under(sparsity=Sparsity(layers={"conv*": 0.5})),
            "matches no layer",
        ),
        (lambda: zero_weights(build("mlp_12_5"), Sparsity(0.5)), "not at hand"),
    ],
)
def test_bad_requests_are_refused(request_of, message: str) -> None:
    with pytest.raises(CompressionError, match=message):
        request_of()
