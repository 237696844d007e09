"""Writing ternary weights: for each layer -wn, 0 and +wp, two bits a weight; activations stay fp32."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from roofline.compress.writers._registry import WriteOptions, writers
from roofline.compress.writers.restoring import Narrow, store_narrow
from roofline.compress.writers.weight_only import OPSETS, at_opset, pack

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, slots=True)
class Ternary:
    """A tensor's weights as signs and two magnitudes.

    Example:
        >>> found = ternary(np.array([-1.0, -0.01, 0.5, 0.7]), 0.05)
        >>> found.signs.tolist(), found.negative, round(found.positive, 3)
        ([-1, 0, 1, 1], 1.0, 0.6)
    """

    signs: NDArray[np.int8]
    positive: float
    """wp: what a weight of sign +1 becomes."""
    negative: float
    """wn: minus what a weight of sign -1 becomes."""

    @property
    def values(self) -> NDArray[np.float32]:
        """The weights that the signs and magnitudes stand for."""
        spread = np.where(self.signs > 0, self.positive, self.negative)
        return (self.signs * spread).astype(np.float32)


def ternary(array: NDArray[Any], threshold: float) -> Ternary:
    """Return weights of three values: those above a share of the largest magnitude keep their sign, others are zero.

    The rule is that of trained ternary quantization (Zhu et al. 2017, section 3.1, threshold t = 0.05 of the largest
    magnitude). It trains the two magnitudes; without training they are the means of the weights that they stand for.

    Args:
        array: Weights of one layer.
        threshold: Share of the largest magnitude up to which a weight becomes zero.
    """
    limit = threshold * np.abs(array).max(initial=0)
    above, below = array > limit, array < -limit
    positive, negative = (
        float(np.abs(array[side], dtype=np.float64).mean()) if side.any() else 0.0
        for side in (above, below)
    )
    return Ternary(above.astype(np.int8) - below.astype(np.int8), positive, negative)


def write_ternary(model: onnx.ModelProto, options: WriteOptions) -> onnx.ModelProto:
    """Return the network with ternary weights behind DequantizeLinear (times wp) and LeakyRelu (wn / wp below zero).

    Any runtime that knows 2-bit integers folds both into three-valued floats when it loads the file.

    Args:
        model: With floating-point weights.
        options: ``threshold``, and the layers that stay as they are.

    Raises:
        CompressionError: The graph cannot be brought to the operator set that 2-bit integers need.
    """
    from onnx import TensorProto

    def narrow(_: str, array: NDArray[Any]) -> Narrow:
        found = ternary(array, options.threshold)
        # A layer without positive weights has its scale from the negative ones, and one of zeros any scale.
        scale = np.float32(found.positive or found.negative or 1)
        slope = found.negative / float(scale) if found.positive else 1.0
        return Narrow(TensorProto.INT2, "ternary", pack(found.signs, 2), scale, slope=slope)

    written = at_opset(model, OPSETS[2])
    store_narrow(written, options.wide, narrow)
    return written


writers.add("ternary", write_ternary)
