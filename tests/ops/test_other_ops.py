"""Arithmetic outside the MACs: the documented number of operations, as formulas."""

from __future__ import annotations

from math import log2

import pytest

from .test_values import ints


@pytest.mark.parametrize(
    ("op_type", "operands", "attributes", "operations"),
    [
        ("Add", [(8, 1), (4,)], {}, 8 * 4),
        ("Sum", [(8,), (8,), (8,)], {}, 2 * 8),
        ("Mean", [(8,), (8,), (8,)], {}, 3 * 8),  # two sums, a division
        ("Sqrt", [(8,)], {}, 8),
        ("Clip", [(8,), (), ()], {}, 2 * 8),
        ("Clip", [(8,), None, ()], {}, 8),
        ("Clip", [(8,)], {"min": 0.0, "max": 6.0, "version": 6}, 2 * 8),
        ("Relu", [(8,)], {}, 8),
        ("Sigmoid", [(8,)], {}, 4 * 8),  # negate, exp, add, divide
        ("HardSwish", [(8,)], {}, 5 * 8),  # multiply, add, max, min, multiply
        ("PRelu", [(8,), (1,)], {}, 2 * 8),
        ("Softmax", [(4, 10)], {"axis": -1}, 5 * 40),  # max, subtract, exp, sum, divide
        ("LogSoftmax", [(4, 10)], {"axis": -1, "version": 13}, 5 * 40 + 4),  # and one logarithm per row
        ("LogSoftmax", [(2, 2, 10)], {"axis": 1, "version": 11}, 5 * 40 + 2),  # rows of all axes from 1 on
        ("BatchNormalization", [(2, 3, 4, 4), *[(3,)] * 4], {}, 2 * 2 * 3 * 16),
        ("LayerNormalization", [(2, 64), (64,), (64,)], {}, 8 * 2 * 64),
        ("RMSNormalization", [(2, 64), (64,)], {}, 4 * 2 * 64),  # square, sum, scale, weight
        ("LRN", [(1, 8, 4, 4)], {"size": 5}, (2 * 5 + 4) * 8 * 16),
        ("ReduceSum", [(3, 5), ints(1)], {}, 3 * (5 - 1)),
        ("ReduceMean", [(3, 5)], {"axes": (1,), "version": 11}, 3 * 5),
        ("ReduceMax", [(3, 5)], {"axes": (1,), "version": 11}, 3 * (5 - 1)),
        ("ArgMax", [(3, 5)], {"axis": 1}, 3 * (5 - 1)),
        ("CumSum", [(3, 5), ((), "int64")], {}, 15),
        ("Where", [((4,), "bool"), (4,), (4,)], {}, 4),
        ("QuantizeLinear", [(8,), (), ((), "uint8")], {}, 4 * 8),  # divide, round, add, saturate
        ("DequantizeLinear", [((8,), "int8"), ()], {}, 8),
        ("DequantizeLinear", [((8,), "int8"), (), ((), "int8")], {}, 2 * 8),
        ("DynamicQuantizeLinear", [(8,)], {}, 6 * 8),
        ("TopK", [(3, 100), ints(7)], {}, 300 * 3),  # ceil(log2(7 + 1)) comparisons each
        # One comparison a score; each candidate that is kept overlaps each box, in 12 operations.
        ("NonMaxSuppression", [(1, 9, 4), (1, 2, 9), ints(5)], {}, 2 * 9 * (1 + 12 * 5)),
        ("NonMaxSuppression", [(1, 9, 4), (1, 2, 9), ints(100)], {}, 2 * 9 * (1 + 12 * 9)),
        ("NonMaxSuppression", [(1, 9, 4), (1, 2, 9)], {}, 2 * 9),  # none is kept where no number is given
        ("NonMaxSuppression", [(1, 9, 4), (1, 2, 9), ((1,), "int64")], {}, 2 * 9 * (1 + 12 * 9)),
        ("DFT", [(2, 64, 1)], {"axis": 1, "version": 17}, 2 * 5 * 64 * int(log2(64))),
        ("Multinomial", [(2, 10)], {"sample_size": 7}, 2 * 7),  # a draw each
        # From version 20 on the axis is an operand, and the last but one without it.
        ("DFT", [(2, 3, 64, 1)], {"version": 19}, 2 * 64 * round(5 * 3 * log2(3))),
        ("DFT", [(2, 3, 64, 1)], {"version": 20}, 2 * 3 * 5 * 64 * 6),
        ("DFT", [(2, 3, 64, 1)], {"version": 22}, 2 * 3 * 5 * 64 * 6),
        ("Resize", [(1, 1, 4, 4), None, None, ints(1, 1, 8, 8)], {"mode": "linear"}, 64 * (2 * 4 - 1)),
        ("Resize", [(1, 1, 4, 4), None, None, ints(1, 1, 8, 4)], {"mode": "cubic"}, 32 * (2 * 4 - 1)),
        ("Resize", [(1, 1, 4, 4), None, None, ints(1, 1, 8, 8)], {"mode": "nearest"}, 0),
        ("ScatterND", [(9,), ((2, 1), "int64"), (2,)], {}, 0),
        ("ScatterND", [(9,), ((2, 1), "int64"), (2,)], {"reduction": "add"}, 2),
        ("NegativeLogLikelihoodLoss", [(4, 10), ((4,), "int64")], {"reduction": "none"}, 4),
        ("SoftmaxCrossEntropyLoss", [(4, 10), ((4,), "int64")], {}, 5 * 40 + 2 * 4),
        ("Col2Im", [(1, 12, 9), ints(4, 4), ints(2, 2)], {}, 12 * 9),
    ],
)  # fmt: skip
def test_operations(call, op_type, operands, attributes, operations):
    cost = call(op_type, *operands, **attributes).cost
    assert cost.other_ops == operations
    assert cost.macs == 0


def test_gelu_variants(call):
    assert call("Gelu", (8,)).cost.other_ops == 5 * 8
    assert call("FastGelu", (8,), (8,), domain="com.microsoft").cost.other_ops == (8 + 1) * 8
    assert call("BiasGelu", (8,), (8,), domain="com.microsoft").cost.other_ops == (5 + 1) * 8


def test_skip_normalizations(call):
    skip = call(
        "SkipLayerNormalization",
        *[(2, 64)] * 2,
        (64,),
        (64,),
        (64,),
        domain="com.microsoft",
        results=4,
    )
    assert skip.cost.other_ops == 2 * 64 * (1 + 7 + 2)  # the sum, the normalization, both biases
    simplified = call(
        "SkipSimplifiedLayerNormalization",
        *[(2, 64)] * 2,
        (64,),
        domain="com.microsoft",
        results=4,
    )
    assert simplified.cost.other_ops == 2 * 64 * (1 + 4)


def test_linear_models_and_trees(call):
    linear = call(
        "LinearRegressor", (5, 4), domain="ai.onnx.ml", coefficients=(1.0,) * 12, intercepts=(0.0,) * 3, targets=3,
    )  # fmt: skip
    assert linear.shape == (5, 3)
    assert (linear.cost.macs, linear.cost.other_ops) == (5 * 12, 5 * 3)
    tree = call(
        "TreeEnsembleRegressor", (5, 4), domain="ai.onnx.ml", n_targets=1, nodes_treeids=(0,) * 5,
        nodes_nodeids=(0, 1, 2, 3, 4), nodes_truenodeids=(1, 3, 0, 0, 0), nodes_falsenodeids=(2, 4, 0, 0, 0),
        nodes_modes=("BRANCH_LEQ", "BRANCH_LEQ", "LEAF", "LEAF", "LEAF"),
    )  # fmt: skip
    assert tree.cost.other_ops == 5 * (2 + 1)  # two comparisons down to the farthest leaf, one sum


def test_support_vectors_and_preparation_of_features(call):
    # 3 support vectors of 4 features, one coefficient each: every row is multiplied with all of them.
    machine = call(
        "SVMRegressor", (5, 4), domain="ai.onnx.ml", support_vectors=(1.0,) * 12, coefficients=(1.0,) * 3, n_supports=3,
    )  # fmt: skip
    assert (machine.cost.macs, machine.cost.other_ops) == (5 * (12 + 3), 5 * 2 * 3)
    for name, each in (("Scaler", 2), ("Normalizer", 3), ("Imputer", 1), ("Binarizer", 1)):
        prepared = call(name, (5, 4), domain="ai.onnx.ml")
        assert (prepared.cost.macs, prepared.cost.other_ops) == (0, each * 20)
        assert prepared.shape == (5, 4)
    assert call("OneHotEncoder", (5,), domain="ai.onnx.ml", cats_int64s=(3, 4, 5)).shape == (5, 3)
    assert call("FeatureVectorizer", (5, 4), (5, 2), (5, 1), domain="ai.onnx.ml").shape == (5, 7)


def test_trees_whose_leaves_are_a_list_of_their_own(call):
    # Two trees: one of two levels, and one whose root has leaves alone.
    forest = call(
        "TreeEnsemble", (5, 4), domain="ai.onnx.ml", n_targets=1, tree_roots=(0, 2),
        nodes_truenodeids=(1, 0, 3), nodes_falsenodeids=(2, 1, 4), nodes_trueleafs=(0, 1, 1),
        nodes_falseleafs=(1, 1, 1),
    )  # fmt: skip
    assert forest.cost.other_ops == 5 * ((2 + 1) + 2)


@pytest.mark.parametrize(
    ("equation", "operands", "terms"),
    [
        ("ij,jk->ik", [(2, 3), (3, 4)], 2 * 3 * 4),
        ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 5)], 2 * 3 * 4 * 5),
        ("i,i,i,i->i", [(2,)] * 4, 2),
    ],
)
def test_a_term_of_several_operands_is_a_mac_and_a_product_for_each_beyond_two(
    call, equation: str, operands, terms: int
) -> None:
    cost = call("Einsum", *operands, equation=equation).cost
    assert (cost.macs, cost.other_ops) == (terms, (len(operands) - 2) * terms)
