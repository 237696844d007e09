"""Compressing a graph whose weights are absent: what is written has their places, and nothing in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from roofline.binding import Binding
from roofline.compress.compressing import CompressedModel, Request, compress
from roofline.compress.tensors import drop_data, every_tensor

if TYPE_CHECKING:
    import onnx


def compress_unweighted(
    fill: Callable[[int], onnx.ModelProto], request: Request, *, name: str, binding: Binding
) -> tuple[CompressedModel, int]:
    """Return a graph compressed without its weights, and how many of its tensors have no elements.

    Two random sets of weights stand in; what comes out different of the two depends on weights (they themselves, their
    scales, ranges of activations) and is left out. Channels are not ranked: the first ones stay.

    Args:
        fill: Returns the network with the random weights of a seed.
        request: What to do.
        name: For messages and in the counts.
        binding: Sizes and values that the model leaves open.

    Raises:
        CompressionError: A part of the request cannot be met.
    """
    if request.pruning is not None:
        request = replace(request, pruning=replace(request.pruning, criterion="first"))
    done, other = (compress(fill(seed), request, name=name, binding=binding) for seed in (0, 1))
    dropped = 0
    for mine, theirs in zip(every_tensor(done.model), every_tensor(other.model), strict=True):
        if mine.SerializeToString() != theirs.SerializeToString():
            drop_data(mine)
            dropped += 1
    return done, dropped
