"""Broken calls: whatever is wrong with one becomes a ModelError, never a Python error."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from roofline.errors import ModelError
from roofline.node import Node, Tensor
from roofline.ops import lookup
from roofline.ops._datatypes import from_code, from_numpy

from .backend_cases import Case, attributes, cases, stored

WRONG_ATTRIBUTES: tuple[Any, ...] = (
    "wrong", b"wrong", 0, -1, 1, 7, 2**62, 1.5, float("nan"), (), (0,), (-1, -1), (1, 2, 3), (0, 0), ("a",), (1.5, 2.0),
    (2**62, 2**62), np.zeros((2, 2), np.float32), np.array([-5]), None,
)  # fmt: skip
WRONG_SHAPES: tuple[Any, ...] = (
    None, (), (0,), (1,), (3,), (None,), (2, 3), (0, 3), (None, None), (1, 2, 3), (2, 1, 5, 4), (None, 1, 0, 2),
    (1, 2, 3, 4, 5), (2**40, 2**40),
)  # fmt: skip
WRONG_VALUES: tuple[Any, ...] = (
    None, np.array(0), np.array(-1), np.array([0]), np.array([-1, -1]), np.array([2, 3, 4]), np.array(2.5, np.float32),
    np.array([np.nan, np.inf], np.float32), np.array([None, 2], object), np.array(["a", "b"], object),
    np.zeros((2, 2), np.int64), np.array([], np.int64), np.array([True, False]), np.array([2**62, 2**62]),
    np.array(2**62), np.array([None], object), np.array(b"text", object),
)  # fmt: skip


def node_of(case: Case) -> Node:
    """Return the first call of a test model, with the operands that the model has for it."""
    proto = case.model.graph.node[0]
    known = {tensor.name: stored(tensor) for tensor in case.model.graph.initializer}
    for info, array in zip(case.model.graph.input, case.inputs, strict=False):
        if isinstance(array, np.ndarray):
            value = array if array.dtype.kind in "iufb" else None
            known[info.name] = Tensor(info.name, array.shape, from_numpy(array), value=value)
    opsets = {entry.domain: entry.version for entry in case.model.opset_import}
    return Node(
        proto.op_type, "n",
        tuple(known.get(name, Tensor(name)) if name else None for name in proto.input),
        tuple(Tensor(name) if name else None for name in proto.output),
        attributes(proto), proto.domain, opsets.get(proto.domain, 0),
    )  # fmt: skip


def breakages(node: Node, chance: random.Random) -> list[Node]:
    """Return broken variants of a call: attributes, operands, shapes, values, versions."""
    found = [
        replace(node, operands=()),
        replace(node, operands=(None,) * len(node.operands)),
        replace(node, outputs=()),
    ]
    found += [replace(node, version=version) for version in (1, 6, 9, 11)]
    for name in [
        *node.attributes,
        "axis",
        "axes",
        "group",
        "kernel_shape",
        "strides",
        "num_heads",
        "to",
    ]:
        bad = chance.choice(WRONG_ATTRIBUTES)
        found.append(replace(node, attributes={**node.attributes, name: bad}))
        found.append(
            replace(node, attributes={k: v for k, v in node.attributes.items() if k != name})
        )
    for place, tensor in enumerate(node.operands):
        if tensor is None:
            continue
        shape, value = chance.choice(WRONG_SHAPES), chance.choice(WRONG_VALUES)
        kind = from_code(chance.randrange(1, 27))
        for broken in (
            None,
            replace(tensor, shape=shape, value=None),
            replace(tensor, shape=None if value is None else value.shape, value=value),
            replace(tensor, shape=shape, value=value),
            replace(tensor, dtype=kind),
        ):
            found.append(
                replace(
                    node, operands=(*node.operands[:place], broken, *node.operands[place + 1 :])
                )
            )
        found.append(replace(node, operands=node.operands[:place]))
    return found


def run(node: Node) -> None:
    """Call everything the table has for a node."""
    row = lookup(node)
    types: Any = row.shape(node) if row.shape else ()
    if row.value:
        row.value(node)
    outputs = tuple(
        None if out is None or kind is None else replace(out, shape=kind[0], dtype=kind[1])
        for out, kind in zip(node.outputs, [*types, *[None] * len(node.outputs)], strict=False)
    )
    if row.cost:
        row.cost(replace(node, outputs=outputs))


@pytest.mark.parametrize("seed", range(3))
def test_broken_calls_raise_model_errors_only(seed):
    chance = random.Random(seed)
    failures: list[str] = []
    for case in cases():
        node = node_of(case)
        if case.name.endswith("_expanded") or lookup(node).shape is None:
            continue
        for broken in breakages(node, chance):
            try:
                run(broken)
            except ModelError:
                continue
            except Exception as error:
                failures.append(f"{case.name}: {type(error).__name__} {error} {broken}"[:400])
    assert not failures, f"{len(failures)}\n" + "\n".join(failures[:30])
