"""How much each filter of a layer weighs, for the magnitude criteria."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from roofline.compress.bodies import calls, nested_tensors
from roofline.compress.tensors import to_array

if TYPE_CHECKING:
    import onnx

    from roofline.compress.coupling._registry import Producer


Scorer = Callable[["Producer"], "NDArray[np.float64] | None"]
"""Returns the magnitude of each filter of a layer, or None when its weights are not stored with data."""


def scorer(model: onnx.ModelProto, criterion: str) -> Scorer:
    """Return what ranks the filters of a model's layers.

    Args:
        model: The network. A layer's weights are a stored tensor, or computed from one with like axes.
        criterion: ``l1`` (sum of magnitudes) or ``l2`` (root of the sum of squares).
    """
    stored = nested_tensors(model)
    makers = {output: node for node in calls(model.graph) for output in node.output}

    def origin(name: str) -> str:
        # The first stored tensor behind a computed one, following first operands.
        while name not in stored and (node := makers.get(name)) is not None and node.input:
            name = node.input[0]
        return name

    def scores(producer: Producer) -> NDArray[np.float64] | None:
        tensor = stored.get(origin(producer.tensor))
        array = None if tensor is None else to_array(tensor)
        if array is None:
            return None
        axis = producer.axis
        if axis >= array.ndim or array.shape[axis] != len(producer.labels):
            # Behind a Transpose or Reshape the filters lie along another axis of the stored tensor.
            sizes = enumerate(array.shape)
            axis = next((i for i, size in sizes if size == len(producer.labels)), -1)
            if axis < 0:
                return None
        rest = tuple(i for i in range(array.ndim) if i != axis)
        magnitude = np.abs(array.astype(np.float64))
        return (
            magnitude.sum(rest) if criterion == "l1" else np.sqrt(np.square(magnitude).sum(rest))
        )

    return scores
