"""Sizes that depend on values: given by name, or taken at the bound of their operator where that is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from roofline.errors import DimensionError, UnplacedError, did_you_mean
from roofline.graph.reading.tensors import check_size
from roofline.node import Limit, Node, Shape, Tensor
from roofline.ops import Operator
from roofline.ops._attributes import translate_errors
from roofline.surfaces import dim_at

_LISTED = 3


@dataclass(slots=True)
class Sizes:
    """What is known of sizes that no shape function can tell."""

    given: dict[str, int] = field(default_factory=dict[str, int])
    """By the name of the result, or ``name[axis]``."""
    bounded: bool = False
    """Whether the operator's bound stands for a size that is not given."""
    _used: set[str] = field(default_factory=set[str])
    _open: dict[str, int | None] = field(default_factory=dict[str, "int | None"])
    """Names that would give a size, and the most it can be."""

    def give_sizes(self, node: Node, row: Operator) -> Node:
        """Return a typed call with the sizes of its results that are given, or bounded where that is asked for.

        Raises:
            DimensionError: A given size is more than the operator can give.
        """
        outputs = [output and self._fill_sizes(output) for output in node.outputs]
        most = None
        if row.bound is not None:
            with translate_errors(node):
                most = row.bound(node)
            outputs = self._share_size(node, outputs, most)
        if any(_open_axes(output) for output in outputs):
            self._remember(node, outputs, most)
        return replace(node, outputs=tuple(outputs))

    def check(self, symbols: Iterable[str]) -> None:
        """Refuse a given size that nothing has.

        Raises:
            UnplacedError: A name is neither an input's dimension nor a result whose size depends on values.
        """
        for name in self.given:
            if name not in self._used:
                known = sorted({*symbols, *self._open} - set(self.given))
                listed = f"It has: {', '.join(known[:10])}" if known else "It has none"
                raise UnplacedError(
                    f"no input has a symbolic dimension {name!r}, and no result a size of that name",
                    "dims", name, repair=did_you_mean(name, known) or listed,
                )  # fmt: skip

    def notes(self) -> list[str]:
        """Return which sizes are open, and how they are given."""
        if not self._open:
            return []
        found = [
            repr(name) if most is None else f"{name!r} (at most {most})"
            for name, most in list(self._open.items())[:_LISTED]
        ]
        more = len(self._open) - len(found)
        listed = ", ".join(found) + (f" and {more} more" if more else "")
        first = next(iter(self._open))
        bound = (
            "; --bound-sizes takes the most that its operator can give"
            if any(most is not None for most in self._open.values())
            else ""
        )
        return [f"sizes that depend on values: {listed}; --dim '{first}=N' gives one{bound}"]

    def _fill_sizes(self, output: Tensor) -> Tensor:
        axes = _open_axes(output)
        if not axes or output.shape is None or not self.given:
            return output
        sizes = list(output.shape)
        for axis in axes:
            for name in (f"{output.name}[{axis}]", output.name if len(axes) == 1 else ""):
                if name in self.given:
                    self._used.add(name)
                    sizes[axis] = self.given[name]
        check_size(tuple(sizes), f"the value {output.name!r}")
        return replace(output, shape=tuple(sizes))

    def _share_size(
        self, node: Node, outputs: list[Tensor | None], most: int | None
    ) -> list[Tensor | None]:
        """Return results whose one open size is that which a given one has, or the bound."""
        size, limit = None, Limit.EXACT
        for before, after in zip(node.outputs, outputs, strict=True):
            for axis in _open_axes(before):
                found = after.shape[axis] if after is not None and after.shape else None
                size = size if found is None else found
        if size is not None and most is not None and size > most:
            name = next((output.name for output in outputs if output is not None), node.name)
            raise DimensionError(
                f"{node.op_type} node {node.name!r} gives at most {most}, not {size}",
                repair=f"Give {dim_at(name)} with N from 0 to {most}",
            )
        if size is None and self.bounded:
            size, limit = most, Limit.SIZES
        if size is None:
            return outputs
        return [
            replace(output, shape=_fill(output.shape, size), limit=output.limit | limit)
            if output is not None and len(_open_axes(output)) == 1
            else output
            for output in outputs
        ]

    def _remember(self, node: Node, outputs: list[Tensor | None], most: int | None) -> None:
        """Note names that would give a size, where it is open for no operand's sake."""
        if any(
            tensor is not None and (tensor.shape is None or None in tensor.shape)
            for tensor in node.operands
        ):
            return
        for output in outputs:
            axes = _open_axes(output)
            if output is not None and len(axes) == 1:
                self._open.setdefault(output.name, most)
                return
            if output is not None and axes:
                self._open.update({f"{output.name}[{axis}]": most for axis in axes})
                return


def _open_axes(tensor: Tensor | None) -> list[int]:
    if tensor is None or tensor.shape is None:
        return []
    return [axis for axis, size in enumerate(tensor.shape) if size is None]


def _fill(shape: Shape | None, size: int) -> Shape:
    return tuple(size if entry is None else entry for entry in shape or ())
