"""ReverseSequence written as a Gather: TVM has no operator of its own for it."""

from __future__ import annotations

from typing import Any

import numpy as np

from roofline.validate.measuring.backend import UnsupportedModelError
from roofline.validate.onnx_rewrite.scope import Scope, attributes_of


def reverse(scope: Scope, node: Any) -> bool:
    """Replace a ReverseSequence whose lengths are known and the same for the whole batch.

    Raises:
        UnsupportedModelError: They are not.
    """
    attributes = attributes_of(node)
    time = int(attributes.get("time_axis", 0))
    lengths = scope.find_value(node.input[1])
    if lengths is None:
        lengths = scope.value(node.input[1])
    if lengths is None or len(set(lengths.ravel().tolist())) != 1:
        raise UnsupportedModelError(
            f"the lengths of ReverseSequence {node.output[0]!r} differ, or are not known before the run"
        )
    order = np.arange(scope.shape(node.input[0])[time])
    length = int(lengths.ravel()[0])
    order[:length] = order[:length][::-1]
    turned = scope.call("Gather", node.input[0], scope.integers(*order.tolist()), axis=time)
    scope.bind(node.output[0], turned)
    return True
