"""What a workload asks of a machine under a traffic assumption: operations and bytes per item, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from roofline.conventions import Operations, Traffic, choice
from roofline.model._core import Floats
from roofline.ops import Kind
from roofline.surfaces import OPERATIONS, TRAFFIC
from roofline.workload import Layer, Workload

if TYPE_CHECKING:
    from roofline.spec import Platform


@dataclass(frozen=True, slots=True)
class Requirement:
    """Operations and bytes of each layer; weights once, the rest per item. Arrays have one entry per layer."""

    layers: tuple[Layer, ...]
    ops: Floats
    """Operations per item."""
    weights: Floats
    """Bytes of weights."""
    activations: Floats
    """Bytes of inputs, outputs and intermediate results per item."""


def effective_ops(layer: Layer, platform: Platform | None = None) -> int:
    """Return the operations a machine executes for a layer.

    A machine whose units do not skip zeros executes every operation, also those on weights that are zero. One that
    skips any zero executes those with another weight; one that skips two of every four does so only on weights stored
    in that pattern.
    """
    macs, skips = layer.cost.macs, "none" if platform is None else platform.skips_zeros
    if layer.effective_macs is not None and skips in {"unstructured", layer.weight_format}:
        macs = max(layer.effective_macs, macs // 2) if skips == "2:4" else layer.effective_macs
    return 2 * macs + layer.cost.other_ops


def requirement(
    workload: Workload,
    platform: Platform | None = None,
    *,
    traffic: Traffic | str = Traffic.FUSED,
    operations: Operations | str = Operations.ALL,
) -> Requirement:
    """Return what each layer of a workload requires under a traffic assumption.

    Args:
        workload: The network, at the precision it is to run at.
        platform: The machine, for what its units skip; None for a machine that skips nothing.
        traffic: Which bytes are charged; ``resident`` starts from ``fused``.
        operations: Which arithmetic is.

    Raises:
        OptionError: A name is not known.
    """
    traffic = choice(Traffic, traffic, "traffic assumption", TRAFFIC)
    operations = choice(Operations, operations, "choice of operations", OPERATIONS)
    layers = workload.view(traffic)
    if operations is Operations.MACS and not any(layer.cost.macs for layer in layers):
        # A network without multiply-accumulates would be free; its other arithmetic is what it asks for.
        operations = Operations.ALL
    ops = [
        effective_ops(layer, platform)
        - (layer.cost.other_ops if operations is Operations.MACS else 0)
        for layer in layers
    ]
    match traffic:
        case Traffic.WEIGHTS:
            activations = [layer.cache_bytes for layer in layers]
        case Traffic.WEIGHTS_IO:
            activations = _network_io(workload, layers)
        case Traffic.FUSED | Traffic.UNFUSED | Traffic.RESIDENT:
            activations = [_moved_bytes(layer) for layer in layers]
    return Requirement(
        tuple(layers),
        np.asarray(ops, np.float64) / workload.batch,
        np.asarray([layer.weight_bytes for layer in layers], np.float64),
        np.asarray(activations, np.float64) / workload.batch,
    )


def total(workload: Workload, platform: Platform, *, traffic: str, operations: str) -> Requirement:
    """Return the requirement of the whole network as that of one layer; shared weights are read once.

    It is the same on all machines that skip the same zeros.
    """

    def find() -> Requirement:
        required = requirement(workload, platform, traffic=traffic, operations=operations)
        return Requirement(
            (),
            required.ops.sum(keepdims=True),
            np.asarray([workload.weight_read_bytes(required.layers)], np.float64),
            required.activations.sum(keepdims=True),
        )

    return workload.once(("required in total", platform.skips_zeros, traffic, operations), find)


def io_bytes(workload: Workload) -> int:
    """Return the bytes of the network's own inputs and outputs, for its batch; unknown sizes count nothing."""
    return workload.io_bytes


def _moved_bytes(layer: Layer) -> int:
    moved = layer.input_bytes + layer.output_bytes + layer.cache_bytes
    return 0 if layer.kind is Kind.VIEW else moved


def _network_io(workload: Workload, layers: Sequence[Layer]) -> list[int]:
    """Charge each network input to its first reader and each network output to its producer; a cache to its layer."""
    charged = [layer.cache_bytes for layer in layers]
    if not layers:
        return charged
    cached = workload.cache_names
    for tensors, side, order in (
        (workload.inputs, "inputs", range(len(layers))),
        (workload.outputs, "outputs", range(len(layers) - 1, -1, -1)),
    ):
        places: dict[str, int] = {}
        for index in order:
            for tensor in getattr(layers[index], side):
                places.setdefault(tensor.name, index)
        edge = 0 if side == "inputs" else len(layers) - 1
        for tensor in tensors:
            if tensor.name not in cached:
                charged[places.get(tensor.name, edge)] += tensor.bytes or 0
    return charged
