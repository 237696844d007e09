"""What the shipped graphs require, counted by the papers' convention."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from roofline.precision import Bits


@dataclass(frozen=True, slots=True)
class Requirements:
    """Requirements of one inference at batch 1."""

    ops: int
    """Two for each multiply-accumulate of convolutions and dense layers; nothing else."""
    weights: int
    """Stored elements of the kernels and matrices these read; no bias, no normalization."""

    def intensity(self, bits: Bits) -> float:
        """Return operations per byte of weights, weights read once for an inference."""
        return self.ops / float(self.weights * bits / 8)


@cache
def requirements(key: str, keep_channels: float | None = None) -> Requirements:
    """Count a shipped network.

    Args:
        key: Its name.
        keep_channels: Share of the inner channels that stay; None counts the network as it is.

    Raises:
        NetworkError: No network has that key.
        CompressionError: The share leaves a layer with a broken number of channels.
    """
    import roofline

    workload = roofline.load(key).under(pruning=keep_channels)
    layers = [layer for layer in workload.layers if layer.cost.macs]
    matrices = {
        tensor.name: tensor.elements or 0
        for layer in layers
        for tensor in layer.weights
        if tensor.shape is not None and len(tensor.shape) >= 2
    }
    return Requirements(2 * workload.macs, sum(matrices.values()))
