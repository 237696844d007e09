"""Pruned CNV and MLP against the published requirements, and against the formula of a chain of layers."""

from __future__ import annotations

from itertools import pairwise

import pytest

import roofline
from roofline.compress import Pruning
from roofline.errors import CompressionError
from roofline.workload import Workload

from ..collected import rows

# Layers of the two networks: filters of each convolution (3x3, valid, 32x32 input), widths of the linear layers.
CNV = ((128, 128, 256, 256, 512, 512), (1024, 1024, 10))
CNV_SIZES = (30, 28, 12, 10, 3, 1)
MLP_WIDTHS = (784, 2048, 2048, 2048, 10)


def multiplying_weights(workload: Workload) -> int:
    return sum(
        tensor.elements or 0
        for layer in workload.layers
        if layer.cost.macs
        for tensor in layer.weights
        if len(tensor.shape or ()) > 1
    )


def expected(network: str, share: float) -> tuple[int, int]:
    """MACs and weights, inner widths scaled and the ends kept."""
    if network == "MLP":
        widths = [784, *(int(width * share) for width in MLP_WIDTHS[1:-1]), 10]
        weights = sum(a * b for a, b in pairwise(widths))
        return weights, weights
    convs, linear = CNV
    depths = [3, *(int(filters * share) for filters in convs)]
    kernels = [9 * a * b for a, b in pairwise(depths)]
    widths = [depths[-1], *(int(width * share) for width in linear[:-1]), linear[-1]]
    products = [a * b for a, b in pairwise(widths)]
    macs = sum(size * size * kernel for size, kernel in zip(CNV_SIZES, kernels, strict=True))
    return macs + sum(products), sum(kernels) + sum(products)


@pytest.mark.parametrize("network", ["CNV", "MLP"])
@pytest.mark.parametrize("share", [1, 0.5, 0.25, 0.125])
def test_inner_channels_scale_exactly(network: str, share: float) -> None:
    pruned = roofline.load(network.lower()).under(pruning=share)
    assert (pruned.macs, multiplying_weights(pruned)) == expected(network, share)


@pytest.mark.parametrize("network", ["CNV", "MLP"])
@pytest.mark.parametrize("percent", ["100", "50", "25", "12.5"])
def test_counts_equal_the_published_table(network: str, percent: str) -> None:
    asked = (network, percent)
    row = next(r for r in rows("requirements") if (r["network"], r["keep_percent"]) == asked)
    pruned = roofline.load(network.lower()).under(pruning=float(percent) / 100)
    assert 2 * pruned.macs == round(float(row["gop"]) * 1e9)
    assert multiplying_weights(pruned) == round(float(row["weights_m"]) * 1e6)
    # Operations per byte of int8 weights, as published to two decimals.
    assert 2 * pruned.macs / multiplying_weights(pruned) == pytest.approx(
        float(row["intensity"]), abs=0.005
    )


def test_work_falls_with_the_square_of_the_share_and_intensity_hardly() -> None:
    dense = roofline.load("cnv")
    half = dense.under(pruning=0.5)
    assert 0.25 < half.macs / dense.macs < 0.26
    ratio = (half.macs / multiplying_weights(half)) / (dense.macs / multiplying_weights(dense))
    assert 1 < ratio < 1.02


def test_listed_filters_stay_and_no_others() -> None:
    mlp = roofline.load("mlp")
    first = next(layer.name for layer in mlp.layers if layer.cost.macs)
    pruned = mlp.under(pruning=Pruning(indices={first: (0, 5, 2047)}))
    widths = (MLP_WIDTHS[0], 3, *MLP_WIDTHS[2:])
    assert pruned.macs == sum(a * b for a, b in pairwise(widths))
    assert pruned.variant == f"keep-channels={first}=list"
    for outside in (-1, 2048):
        with pytest.raises(CompressionError, match=f"there is no filter {outside} to keep"):
            mlp.under(pruning=Pruning(indices={first: (0, outside)}))
