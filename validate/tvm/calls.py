"""Calls of operators in a Relax module: what their operands are bound to, and what is put in their place."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from roofline.node import Array

Bound = Callable[[Any], Any]
"""Gives the expression that a variable is bound to, and any other expression as it is."""

Replace = Callable[[Any, Bound, Any], Any]
"""Gives what takes the place of a call, or None, from a block builder, its `Bound` and the call."""


def replace_calls(module: Any, replace: Replace) -> Any:
    """Return a module with other expressions in the place of calls.

    Args:
        module: A Relax module.
        replace: Asked for each call, after those in its operands.
    """
    relax: Any = importlib.import_module("tvm.relax")

    @relax.expr_functor.mutator
    class Rewriter(relax.PyExprMutator):  # pyright: ignore[reportUntypedBaseClass]
        """Replaces calls."""

        def visit_call_(self, call: Any) -> Any:
            call = self.visit_expr_post_order(call)
            made = replace(self.builder_, self._bound, call)
            return call if made is None else made

        def _bound(self, expression: Any) -> Any:
            value = self.lookup_binding(expression) if isinstance(expression, relax.Var) else None
            return expression if value is None else value

    rewriter = Rewriter(module)
    for variable, function in module.functions_items():
        if isinstance(function, relax.Function):
            rewriter.builder_.update_func(variable, rewriter.visit_expr(function))
    return rewriter.builder_.get()


def replace_counted(
    module: Any, asked: Callable[[Any], bool], make: Replace, names: tuple[str, str]
) -> tuple[Any, dict[str, int]]:
    """Return a module with other expressions in the place of some of its layers, and how many were replaced.

    Args:
        module: A Relax module.
        asked: Whether a call is one of the layers.
        make: Returns the expression for such a call, None where it stays.
        names: What layers that are replaced, and those that stay, are counted under.
    """
    made, left = names
    used = {made: 0, left: 0}

    def replace(builder: Any, bound: Bound, call: Any) -> Any:
        if not asked(call):
            return None
        found = make(builder, bound, call)
        used[left if found is None else made] += 1
        return found

    return replace_calls(module, replace), used


def kernel_functions(module: Any) -> list[tuple[Any, Any]]:
    """Return the variable and the function of each kernel of a module."""
    tirx: Any = importlib.import_module("tvm.tirx")
    return [entry for entry in module.functions_items() if isinstance(entry[1], tirx.PrimFunc)]


def is_scheduled(kernel: Any) -> bool:
    """Return whether a kernel has its schedule."""
    return kernel.attrs is not None and "tirx.is_scheduled" in kernel.attrs


def operator_name(expression: Any) -> str:
    """Return the operator that an expression calls; empty where it calls none."""
    return getattr(getattr(expression, "op", None), "name", "")


def constant(expression: Any) -> Array | None:
    """Return the value of a constant, or None for any other expression."""
    value = getattr(expression, "value", None)
    return None if value is None or not hasattr(value, "numpy") else value.numpy()


def permutation(call: Any) -> list[int] | None:
    """Return the axes of a call of ``permute_dims`` as NumPy takes them; None reverses all."""
    axes = call.attrs.axes
    return None if axes is None else [int(axis) for axis in axes]
