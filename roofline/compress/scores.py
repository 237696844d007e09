"""How much each filter of a layer weighs, for the magnitude criteria."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from roofline.compress.tensors import stored_tensors, to_array

if TYPE_CHECKING:
    import onnx

    from roofline.compress.coupling import Producer


def filter_scores(
    model: onnx.ModelProto, producer: Producer, criterion: str
) -> NDArray[np.float64] | None:
    """Return the magnitude of each filter, or None when the weights are not stored with data.

    Args:
        model: The network.
        producer: The layer's weights: a stored tensor, or one computed from a stored tensor of like axes.
        criterion: ``l1`` (sum of magnitudes) or ``l2`` (root of the sum of squares).
    """
    tensor = stored_tensors(model).get(_origin(model, producer.tensor))
    array = None if tensor is None else to_array(tensor)
    if array is None:
        return None
    axis = producer.axis
    if axis >= array.ndim or array.shape[axis] != len(producer.labels):
        # Behind a Transpose or Reshape the filters lie along another axis of the stored tensor.
        axis = next((i for i, size in enumerate(array.shape) if size == len(producer.labels)), -1)
        if axis < 0:
            return None
    rest = tuple(i for i in range(array.ndim) if i != axis)
    magnitude = np.abs(array.astype(np.float64))
    return magnitude.sum(rest) if criterion == "l1" else np.sqrt(np.square(magnitude).sum(rest))


def _origin(model: onnx.ModelProto, name: str) -> str:
    """Return the first stored tensor behind a computed one, following first operands."""
    makers = {output: node for node in model.graph.node for output in node.output}
    while (node := makers.get(name)) is not None and node.op_type != "Constant" and node.input:
        name = node.input[0]
    return name
