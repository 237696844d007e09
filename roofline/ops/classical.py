"""Classical machine learning (ai.onnx.ml): linear models and support vectors in MACs, trees in comparisons.

Their coefficients are attributes. A tree is counted to its full depth for every row.

Spec: https://onnx.ai/onnx/operators/index.html#ai-onnx-ml
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from roofline.cost import Cost
from roofline.node import Array, Attributes, Node, Shape, Tensor
from roofline.ops._attributes import (
    integer,
    maybe_integers,
    maybe_numbers,
    operand,
    required_integers,
    texts,
)
from roofline.ops._counts import in_dims, per_output
from roofline.ops._datatypes import FLOAT32, INT64, STRING
from roofline.ops._moves import picked_moves
from roofline.ops._registry import CostFunction, Kind, TensorType, define
from roofline.ops._shapes import (
    Dim,
    dtype,
    first_shape,
    given_shape,
    product,
    result_type,
    same_type,
    shape,
    total,
)
from roofline.ops.activation import OPS_PER_ELEMENT
from roofline.precision import DataType

ML = "ai.onnx.ml"
NodeTypes = Sequence[TensorType | None]


def _rows(node: Node) -> Dim:
    data = shape(node, 0)
    return None if data is None else 1 if len(data) < 2 else data[0]


def _labels(node: Node) -> tuple[Dim, DataType]:
    """Return how many classes there are and the type of their labels."""
    for name in ("classlabels_strings",):
        found = texts(node, name)
        if found:
            return len(found), STRING
    for name in ("classlabels_ints", "classlabels_int64s"):
        numbers = maybe_integers(node, name)
        if numbers:
            return len(numbers), INT64
    return None, INT64


def _classified_type(node: Node) -> NodeTypes:
    """Return one label and one score per class for each row."""
    classes, kind = _labels(node)
    return (((_rows(node),), kind), ((_rows(node), classes), FLOAT32))


def _targets(node: Node) -> int:
    return (
        integer(node, "targets", 1)
        if node.op_type == "LinearRegressor"
        else integer(node, "n_targets", 1)
    )


def _regressed_type(node: Node) -> NodeTypes:
    kind = dtype(node, 0) if node.op_type == "TreeEnsemble" else FLOAT32
    return (((_rows(node), 1 if node.op_type == "SVMRegressor" else _targets(node)), kind),)


def _known_rows(node: Node) -> int:
    dims = in_dims(node, 0)
    return 1 if len(dims) < 2 else dims[0]


def _linear_cost(node: Node) -> Cost:
    """Count one MAC per coefficient, and one sum per intercept, for each row."""
    rows = _known_rows(node)
    return Cost(
        rows * len(maybe_numbers(node, "coefficients") or ()),
        rows * len(maybe_numbers(node, "intercepts") or ()),
    )


def _support_cost(node: Node) -> Cost:
    """Count one MAC per element of the support vectors and per coefficient, and two operations per kernel."""
    rows = _known_rows(node)
    vectors = len(maybe_numbers(node, "support_vectors") or ())
    coefficients = len(maybe_numbers(node, "coefficients") or ())
    return Cost(rows * (vectors + coefficients), 2 * rows * coefficients)


def _flatten(attributes: Attributes, name: str) -> list[Any]:
    """Return a list attribute, or the elements of a tensor one."""
    found = attributes.get(name)
    if isinstance(found, Tensor):
        found = found.value
    if isinstance(found, np.ndarray):
        return cast("Array", found).ravel().tolist()
    return list(cast("Sequence[Any]", found)) if isinstance(found, (tuple, list)) else []


def _depths(node: Node) -> int:
    """Return the sum of the trees' depths, in comparisons from root to the farthest leaf."""
    trees, nodes, yes, no = (
        required_integers(node, f"nodes_{name}")
        for name in ("treeids", "nodeids", "truenodeids", "falsenodeids")
    )
    leaf = [mode == "LEAF" for mode in texts(node, "nodes_modes")]
    children = {
        (tree, own): () if end else ((tree, a), (tree, b))
        for tree, own, a, b, end in zip(trees, nodes, yes, no, leaf, strict=False)
    }
    return _longest(children)


def _longest(children: Mapping[Any, tuple[Any, ...]]) -> int:
    """Return the sum over all roots of the longest way down; a malformed tree that bites its tail ends there."""
    inner = {child for below in children.values() for child in below}
    deepest = 0
    for root in children:
        if root in inner:
            continue
        level, seen, depth = {root}, {root}, 0
        while level:
            level = {child for parent in level for child in children.get(parent, ())} - seen
            seen |= level
            depth += bool(level)
        deepest += depth
    return deepest


def _forest_depths(node: Node) -> int:
    """Return the same for TreeEnsemble of version 5, whose leaves are a list of their own."""
    yes, no, yes_leaf, no_leaf = (
        required_integers(node, f"nodes_{name}")
        for name in ("truenodeids", "falsenodeids", "trueleafs", "falseleafs")
    )
    children: dict[Any, tuple[Any, ...]] = {}
    for place, (a, b, a_leaf, b_leaf) in enumerate(zip(yes, no, yes_leaf, no_leaf, strict=False)):
        children[place] = ((("leaf", a) if a_leaf else a), (("leaf", b) if b_leaf else b))
    return _longest(children)


def _tree_cost(node: Node) -> Cost:
    """Count one comparison per level of each tree, and one sum per tree, for each row."""
    version5 = node.op_type == "TreeEnsemble"
    depths = _forest_depths(node) if version5 else _depths(node)
    trees = (
        len(required_integers(node, "tree_roots"))
        if version5
        else len(set(_flatten(node.attributes, "nodes_treeids")))
    )
    return Cost(other_ops=_known_rows(node) * (depths + trees))


def _encoded_type(node: Node) -> NodeTypes:
    """Return the operand's shape with the type of the values that labels are mapped to."""
    attributes = node.attributes
    kind: DataType | None = None
    for name, found in (
        ("values_int64s", INT64),
        ("values_floats", FLOAT32),
        ("values_strings", STRING),
    ):
        if attributes.get(name) is not None:
            kind = found
    held = attributes.get("values_tensor")
    if isinstance(held, Tensor):
        kind = held.dtype
    if node.op_type == "CategoryMapper":
        kind = INT64 if dtype(node, 0) == STRING else STRING
    return ((shape(node, 0), kind),)


def _categories_type(node: Node) -> NodeTypes:
    """Return one more dimension: one entry per category."""
    data = shape(node, 0)
    count = len(maybe_integers(node, "cats_int64s") or texts(node, "cats_strings"))
    return ((None if data is None else (*data, count), FLOAT32),)


@given_shape(1)
def _extracted_type(node: Node, data: Shape) -> Shape:
    """Return the picked columns."""
    picked = operand(node, 1).shape
    lead: Shape = data[:-1] or (1,)
    return (*lead, None if picked is None else product(picked))


def _features_type(node: Node) -> NodeTypes:
    """Return the operands' columns side by side."""
    widths: list[Dim] = []
    for tensor in node.operands:
        found = None if tensor is None else tensor.shape
        widths.append(None if found is None else found[-1] if found else 1)
    return (((_rows(node), total(*widths)), FLOAT32),)


def _svm(name: str, cost: CostFunction) -> None:
    define(f"{name}Classifier", domain=ML, cost=cost, shape=_classified_type)
    define(f"{name}Regressor", domain=ML, cost=cost, shape=_regressed_type)


_svm("Linear", _linear_cost)
_svm("SVM", _support_cost)
_svm("TreeEnsemble", _tree_cost)
define("TreeEnsemble", domain=ML, cost=_tree_cost, shape=_regressed_type)
_FLOATS = result_type(first_shape, FLOAT32)
define("Scaler", domain=ML, cost=per_output(2), shape=_FLOATS)  # subtract, multiply
# A square or absolute value, a sum and a division per element.
define("Normalizer", domain=ML, cost=per_output(0, inputs=3), shape=_FLOATS)
define("Binarizer", domain=ML, cost=per_output(OPS_PER_ELEMENT["Relu"]), shape=same_type)
define("Imputer", domain=ML, cost=per_output(1), shape=same_type)
define("LabelEncoder", "CategoryMapper", kind=Kind.MOVE, domain=ML, shape=_encoded_type)
define("OneHotEncoder", kind=Kind.MOVE, domain=ML, shape=_categories_type)
define(
    "ArrayFeatureExtractor", kind=Kind.MOVE, domain=ML, shape=_extracted_type, moves=picked_moves(0),
)  # fmt: skip
define("FeatureVectorizer", kind=Kind.MOVE, domain=ML, shape=_features_type)
define("CastMap", "DictVectorizer", "ZipMap", kind=Kind.MOVE, domain=ML)
