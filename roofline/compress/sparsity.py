"""Weight pruning: what is asked, and the zeros written into a model's weights."""

from __future__ import annotations

import math
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from roofline.compress.bodies import calls, distinct, nested_tensors
from roofline.compress.coupling._registry import layer_name
from roofline.compress.formats import formats
from roofline.compress.tensors import ABSENT, inline_functions, replace_data, to_array
from roofline.errors import CompressionError, did_you_mean
from roofline.graph.reading.graphs import copy_of

if TYPE_CHECKING:
    import onnx

PATTERNS = ("unstructured", "2:4")
"""Where zeros may lie: anywhere, or two in every four neighbours along the depth of a filter."""

WEIGHT_OPERANDS: Mapping[str, tuple[int, ...]] = MappingProxyType({
    "Conv": (1,), "ConvTranspose": (1,), "Gemm": (0, 1), "MatMul": (0, 1), "ConvInteger": (1,), "QLinearConv": (3,),
    "MatMulInteger": (1,), "QLinearMatMul": (3,), "DeformConv": (1,), "FusedConv": (1,), "FusedMatMul": (0, 1),
    "LSTM": (1, 2), "GRU": (1, 2), "RNN": (1, 2), "Einsum": (0, 1),
})  # fmt: skip
"""Operands of each operator that multiply: the weights that pruning may set to zero."""

RECURRENT = frozenset({"LSTM", "GRU", "RNN", "DynamicQuantizeLSTM"})
"""Recurrent layers, whose weights have three axes and whose biases have two."""


@dataclass(frozen=True, slots=True)
class Sparsity:
    """A weight pruning request.

    Example:
        >>> Sparsity(0.9, format="csr").label
        'sparsity=0.9,csr'
    """

    share: float | None = None
    """Share of every layer's weights that are set to zero."""
    layers: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """Shares by glob pattern on layer names; where several match, the last one counts."""
    format: str = "dense"
    """How the weights are stored; ``dense`` stores the zeros too."""
    pattern: str = "unstructured"

    def __post_init__(self) -> None:
        object.__setattr__(self, "format", formats.name_of(self.format))
        if self.pattern not in PATTERNS:
            raise CompressionError(
                f"unknown pattern of zeros {self.pattern!r}",
                repair=f"Known: {', '.join(PATTERNS)}",
            )
        for where, share in (("", self.share), *self.layers.items()):
            if share is not None and not 0 <= share < 1:
                raise CompressionError(
                    f"the sparsity{where and f' of {where!r}'} is {share:g}, outside [0, 1)",
                    repair="Give a share such as 0.9, not a percentage",
                )

        if "2:4" in {self.pattern, self.format}:
            if (self.pattern, self.format) not in {("2:4", "2:4"), ("2:4", "dense")}:
                raise CompressionError(
                    "the format 2:4 holds zeros of the pattern 2:4, and no other format does",
                    repair="Ask for the pattern 2:4 and the format 2:4 or dense",
                )
            if {share for share in (self.share, *self.layers.values()) if share} - {0.5}:
                raise CompressionError(
                    "the pattern 2:4 zeroes half the weights", repair="Give the sparsity 0.5"
                )

    @property
    def dense(self) -> bool:
        """Whether it zeroes nothing."""
        return not (self.share or self.layers)

    @property
    def label(self) -> str:
        """The request in one word, as on the command line; ``dense`` when it zeroes nothing."""
        if self.dense:
            return "dense"
        parts = [f"{self.share:g}"] if self.share else []
        parts += [f"{pattern}={share:g}" for pattern, share in self.layers.items()]
        if self.format != "dense" or self.pattern != "unstructured":
            parts.append(self.format if self.format != "dense" else self.pattern)
        return f"sparsity={','.join(parts)}"

    def of(self, layer: str) -> float:
        """Return the sparsity of a layer."""
        share = self.share or 0.0
        for pattern, own in self.layers.items():
            if layer == pattern or fnmatchcase(layer, pattern):
                share = own
        return share

    def fits(self, dims: Sequence[int | None]) -> bool:
        """Return whether a tensor's zeros can lie as asked: 2:4 needs a depth (the second axis) of whole fours."""
        return self.pattern != "2:4" or not (dims[1] or 1) % 4

    def check(self, layers: list[str]) -> None:
        """Refuse a pattern that matches none of some layers.

        Raises:
            CompressionError: The pattern matches nothing.
        """
        for pattern in self.layers:
            if not any(layer == pattern or fnmatchcase(layer, pattern) for layer in layers):
                hint = did_you_mean(pattern, layers) or f"Layers: {', '.join(layers[:8])}"
                raise CompressionError(
                    f"the pattern {pattern!r} matches no layer with weights", repair=hint
                )


def zero_count(elements: int, share: float) -> int:
    """Return how many of some weights become zero: the share of them, halves rounded up.

    Example:
        >>> zero_count(9, 0.5), zero_count(100, 0.95)
        (5, 95)
    """
    return int(Fraction(repr(float(share))) * elements + Fraction(1, 2))


def zero_weights(model: onnx.ModelProto, sparsity: Sparsity) -> onnx.ModelProto:
    """Return a new model whose smallest weights are zero, layer by layer; the given model is unchanged.

    Args:
        model: With its weights.
        sparsity: The request. A weight that several layers share follows the first.

    Raises:
        CompressionError: The weights are not at hand, or a pattern matches nothing.
    """
    sparse = copy_of(distinct(inline_functions(model)))
    weights = multiplying_weights(sparse)
    sparsity.check(list(dict.fromkeys(weights.values())))
    stored = nested_tensors(sparse)
    for name, layer in weights.items():
        share = sparsity.of(layer)
        if not share or not sparsity.fits(stored[name].dims):
            continue
        array = to_array(stored[name])
        if array is None:
            raise CompressionError(
                f"the weights of {layer} are not at hand, so the smallest cannot be found",
                repair=ABSENT,
            )
        replace_data(stored[name], _zero_smallest(array, share, sparsity.pattern))
    return sparse


def count_zeros(model: onnx.ModelProto) -> dict[str, int]:
    """Return how many weights of each multiplying tensor are zero, by name; those without data are left out."""
    stored = nested_tensors(model)
    found: dict[str, int] = {}
    for name in multiplying_weights(model):
        array = to_array(stored[name])
        if array is not None:
            found[name] = int(array.size - np.count_nonzero(array))
    return found


def zero_share(model: onnx.ModelProto) -> float:
    """Return the share of the weights that multiply which are zero; tensors without data count as free of zeros."""
    stored = nested_tensors(model)
    whole = sum(math.prod(stored[name].dims) for name in multiplying_weights(model))
    return sum(count_zeros(model).values()) / whole if whole else 0.0


def multiplying_weights(model: onnx.ModelProto) -> dict[str, str]:
    """Return the stored tensors that multiply, with the layer each belongs to first; those of bodies too.

    Names of all graphs are to be distinct.

    A weight behind a constant Transpose, Reshape, Cast or DequantizeLinear is the stored tensor itself, and so is one
    behind the LeakyRelu that gives the negative weights of a ternary layer their own scale.
    """
    stored, every = nested_tensors(model), list(calls(model.graph))
    makers = {output: node for node in every for output in node.output}
    found: dict[str, str] = {}
    for node in every:
        for position in WEIGHT_OPERANDS.get(node.op_type, ()):
            name = node.input[position] if position < len(node.input) else ""
            while (
                name not in stored
                and (maker := makers.get(name)) is not None
                and maker.op_type in _VIEWS
            ):
                name = maker.input[0]
            if name in stored and len(stored[name].dims) > 1:
                found.setdefault(name, layer_name(node))
    return found


def wide_weights(
    model: onnx.ModelProto, kept: Container[str]
) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the floating-point weights that multiply and whose layers are not kept as they are, as fp32.

    The model may be changed between.

    Args:
        model: With its weights' data.
        kept: Names of the layers that keep their weights.
    """
    stored = nested_tensors(model)
    for name, layer in multiplying_weights(model).items():
        array = to_array(stored[name])
        if layer not in kept and array is not None and array.dtype.kind == "f":
            yield name, array.astype(np.float32, copy=False)


_VIEWS = frozenset({
    "Transpose", "Reshape", "Cast", "DequantizeLinear", "LeakyRelu", "Identity", "Unsqueeze", "Squeeze",
})  # fmt: skip


def _zero_smallest(array: NDArray[Any], share: float, pattern: str) -> NDArray[Any]:
    magnitude = np.abs(array.astype(np.float64))
    if pattern == "2:4":
        return _two_of_four(array, magnitude)
    flat = array.reshape(-1).copy()
    smallest = np.argsort(magnitude.reshape(-1), kind="stable")[: zero_count(flat.size, share)]
    flat[smallest] = 0
    return flat.reshape(array.shape)


def _two_of_four(array: NDArray[Any], magnitude: NDArray[np.float64]) -> NDArray[Any]:
    # The depth is the second axis of a convolution's filters, and of the rows of a matrix.
    moved = np.moveaxis(array, 1, -1).copy()
    groups = moved.reshape(-1, 4)
    order = np.argsort(np.moveaxis(magnitude, 1, -1).reshape(-1, 4), axis=1, kind="stable")
    np.put_along_axis(groups, order[:, :2], 0, axis=1)
    return np.moveaxis(groups.reshape(moved.shape), -1, 1)
