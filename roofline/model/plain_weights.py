"""Weights that a runtime cannot pack when it loads a network: those that a run may replace, and those it converts.

A stored value that is also an input of the graph is only what the input is by default. Half precision that several
layers read is converted once at each run by runtimes that compute in single precision; what one layer alone reads is
converted when the network is loaded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from roofline.layer import Layer
from roofline.model.work import Work
from roofline.node import Tensor
from roofline.workload import Workload

_DEFAULTS_FROM = 4
"""Version of the format from which a stored value that is an input is its default; before, all stored values were."""
_PRODUCTS = frozenset({"Conv"})
_HALF, _SINGLE = 16, 4
"""Bits of a value in half precision, and bytes of one in single precision."""
_FILTER_AXES = 3


@dataclass(frozen=True, slots=True)
class PlainWeights:
    """A network with the operands of convolutions that no runtime packs beforehand among those that a run computes."""

    workload: Workload
    converted: Mapping[str, tuple[Tensor, ...]]
    """By the layer that reads them first, weights in half precision that every run converts."""


def with_plain_weights(workload: Workload) -> PlainWeights:
    """Return a network with weights that cannot be packed as operands of their layers, as it is counted once."""
    return workload.once("plain weights", lambda: _find(workload))


def converting_work(tensor: Tensor) -> Work:
    """Return the work of converting a stored value from half to single precision."""
    elements = float(tensor.elements or 1)
    moved = round(elements * (_SINGLE + _HALF // 8))
    return Work("elementwise.Cast", (elements,), 0.0, "fp32", moved, 0)


def _find(workload: Workload) -> PlainWeights:
    defaults = _replaceable_names(workload)
    shared = _shared_halves(workload)
    if not defaults and not shared:
        return PlainWeights(workload, {})
    converted: dict[str, tuple[Tensor, ...]] = {}
    seen = set[str]()
    layers: list[Layer] = []
    for layer in workload.layers:
        plain = [
            tensor
            for tensor in layer.weights
            if layer.op_type in _PRODUCTS and tensor.name in (defaults | shared)
        ]
        new = tuple(tensor for tensor in plain if tensor.name in shared - seen)
        if new:
            converted[layer.name] = new
            seen |= {tensor.name for tensor in new}
        layers.append(_with_operands(layer, plain) if _has_filter(plain) else layer)
    return PlainWeights(replace(workload, layers=tuple(layers)), converted)


def _has_filter(tensors: list[Tensor]) -> bool:
    return any(len(tensor.shape or ()) >= _FILTER_AXES for tensor in tensors)


def _with_operands(layer: Layer, plain: list[Tensor]) -> Layer:
    """Return a layer whose weights of some names are operands, computed in single precision."""
    moved = sum((tensor.elements or 0) * _SINGLE for tensor in plain)
    names = {tensor.name for tensor in plain}
    return replace(
        layer,
        inputs=(*layer.inputs, *plain),
        weights=tuple(tensor for tensor in layer.weights if tensor.name not in names),
        weight_bytes=moved,
        datatype="fp32" if layer.datatype == "fp16" else layer.datatype,
    )


def _replaceable_names(workload: Workload) -> frozenset[str]:
    """Return the names of stored values that are inputs of the graph by default."""
    if workload.origin is None or workload.origin.model.ir_version < _DEFAULTS_FROM:
        return frozenset()
    graph = workload.origin.model.graph
    stored = {tensor.name for tensor in graph.initializer}
    return frozenset(entry.name for entry in graph.input if entry.name in stored)


def _shared_halves(workload: Workload) -> frozenset[str]:
    """Return the names of weights in half precision that several layers read."""
    readers = Counter(
        tensor.name
        for layer in workload.layers
        for tensor in layer.weights
        if layer.op_type in _PRODUCTS and tensor.dtype is not None and tensor.dtype.bits == _HALF
    )
    return frozenset(name for name, count in readers.items() if count > 1)
