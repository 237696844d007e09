"""Keeps a compiled network's weights in a file beside its code, so that a run holds each of them once.

TVM writes constants into the program's library. Loading it then holds them four times: the library's pages, its text
taken out of them, that text again, and the tensors.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from roofline.errors import MeasurementError
from roofline.node import Array

_LEAST = 1 << 10
"""Bytes from which a constant is a weight; smaller ones stay in the code."""


@dataclass(frozen=True, slots=True)
class DetachedModule:
    """A module whose main function takes its weights after its inputs."""

    module: Any
    weights: tuple[Array, ...]


def detach(module: Any) -> DetachedModule:
    """Make parameters of the large constants of a module's main function.

    Args:
        module: A Relax module ready to be compiled.
    """
    relax: Any = importlib.import_module("tvm.relax")
    taken: dict[int, Any] = {}
    weights: list[Array] = []

    @relax.expr_functor.mutator
    class Taker(relax.PyExprMutator):  # pyright: ignore[reportUntypedBaseClass]
        """Puts a variable in the place of every large constant."""

        def visit_generic_const_(self, constant: Any) -> Any:
            value: Any = getattr(constant, "value", None)
            array = value.numpy() if hasattr(value, "numpy") else None
            # numpy does not take datatypes that are not its own, such as bf16, from a tensor.
            if array is None or array.nbytes < _LEAST or not array.dtype.isbuiltin:
                return constant
            place = value.data_ptr()
            if place not in taken:
                name = f"weights_{len(weights)}"
                form = relax.TensorType(array.shape, str(value.dtype))
                taken[place] = relax.Var(name, form)
                weights.append(array)
            return taken[place]

    taker = Taker(module)
    main = module["main"]
    body = taker.visit_expr(main.body)
    if not weights:
        return DetachedModule(module, ())
    function = relax.Function(
        [*main.params, *taken.values()], body, main.ret_ty, bool(main.is_pure), main.attrs
    )
    taker.builder_.update_func(module.get_global_var("main"), function)
    return DetachedModule(taker.builder_.get(), tuple(weights))


def write(weights: Sequence[Array], path: Path) -> list[list[Any]]:
    """Write weights one after the other; return the datatype and the shape of each, as JSON values."""
    with path.open("wb") as file:
        for array in weights:
            file.write(np.ascontiguousarray(array).view(np.uint8).data)
    return [[str(array.dtype), list(array.shape)] for array in weights]


def read(path: Path, forms: Sequence[Sequence[Any]]) -> list[Any]:
    """Return weights of `write` as TVM's tensors, read straight into them.

    Args:
        path: Their file.
        forms: What `write` returned.

    Raises:
        MeasurementError: The file is shorter than they are.
    """
    tvm: Any = importlib.import_module("tvm")
    found: list[Any] = []
    with path.open("rb") as file:
        for dtype, shape in forms:
            tensor = tvm.runtime.empty(tuple(shape), dtype, tvm.cpu())
            room = np.from_dlpack(tensor).reshape(-1).view(np.uint8)
            if file.readinto(room.data) != room.nbytes:
                raise MeasurementError(f"{path} is cut off", repair="Compile again with --fresh")
            found.append(tensor)
    return found
