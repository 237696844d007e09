"""Helpers of the operator tests: building calls, and taking them from ONNX's own test models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from roofline.cost import Cost
from roofline.node import Array, Node, Shape, Tensor
from roofline.ops import lookup
from roofline.precision import DATATYPES

Spec = Shape | tuple[Shape, str] | Array | Tensor | None


def tensor(spec: Spec, name: str = "x") -> Tensor | None:
    """Return an operand: from a shape (fp32), a shape and a datatype, or a value (an object array holds int64)."""
    if spec is None or isinstance(spec, Tensor):
        return spec
    if isinstance(spec, np.ndarray):
        kinds = {
            "int64": "int64",
            "int32": "int32",
            "float32": "fp32",
            "bool": "bool",
            "object": "int64",
        }
        return Tensor(
            name, spec.shape, DATATYPES[kinds[spec.dtype.name]], constant=True, value=spec
        )
    if len(spec) == 2 and isinstance(spec[0], tuple):
        return Tensor(name, spec[0], DATATYPES[spec[1]])
    return Tensor(name, spec, DATATYPES["fp32"])


class Call:
    """One operator call whose results are typed by the table itself."""

    def __init__(
        self,
        op_type: str,
        *operands: Spec,
        domain: str = "",
        version: int = 0,
        results: int = 1,
        **attributes: Any,
    ) -> None:
        inputs = tuple(tensor(spec, f"x{index}") for index, spec in enumerate(operands))
        outputs = tuple(Tensor(f"y{index}") for index in range(results))
        self.node = Node(op_type, "n", inputs, outputs, attributes, domain, version)
        self.row = lookup(self.node)

    @property
    def types(self) -> Sequence[Any]:
        assert self.row.shape is not None
        return self.row.shape(self.node)

    @property
    def shape(self) -> Shape | None:
        return self.types[0][0]

    @property
    def dtype(self) -> str:
        return self.types[0][1].name

    @property
    def values(self) -> Sequence[Array | None]:
        assert self.row.value is not None
        return self.row.value(self.node)

    @property
    def value(self) -> Any:
        found = self.values[0]
        return None if found is None else found.tolist()

    @property
    def cost(self) -> Cost:
        assert self.row.cost is not None
        outputs = tuple(
            None if kind is None or out is None else replace(out, shape=kind[0], dtype=kind[1])
            for out, kind in zip(self.node.outputs, self.types, strict=False)
        )
        return self.row.cost(replace(self.node, outputs=outputs))


@pytest.fixture
def call() -> Callable[..., Call]:
    """Return the builder of operator calls."""
    return Call
