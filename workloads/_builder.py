"""A small layer over onnx.helper in which a network's definition reads like the paper's table.

Names and shapes are automatic. Beside its shape a value carries its power, the mean square its elements would have
with random weights; a layer's random weights are drawn for that power, so that its results have about unit variance
at any depth and behind any activation (the idea of He et al. 2015, https://arxiv.org/abs/1502.01852, kept up to date
through gates, sums and pools).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from onnx import TensorProto, helper

from roofline.workloads._graph_builder import GraphBuilder
from roofline.workloads._value import Padding, Pair, Value, window
from roofline.workloads._weights import Draw


class Builder(GraphBuilder):
    """Adds the layers that networks are defined by."""

    # Layers with weights.

    def conv(
        self, x: Value, channels: int, kernel: Pair, *, stride: int = 1, pad: Padding = "half", groups: int = 1,
        bias: bool = False,
    ) -> Value:  # fmt: skip
        """Add a convolution over (channels, height, width)."""
        size = (kernel, kernel) if isinstance(kernel, int) else kernel
        pads, out = window(x.shape[1:], size, stride, pad)
        dims = (channels, x.shape[0] // groups, *size)
        name = self._fresh("conv")
        operands = [x.name, self._weight(f"{name}.weight", dims, x.power, math.prod(dims[1:]))]
        if bias:
            operands.append(self.store(f"{name}.bias", (channels,), Draw.OFFSET))
        slides: dict[str, Any] = {"kernel_shape": size, "strides": (stride, stride), "pads": pads}
        shape = (channels, *out)
        return self.node("Conv", operands, shape, 1.0, name=name, group=groups, **slides)

    def gemm(self, x: Value, features: int, *, bias: bool = True) -> Value:
        """Add a fully connected layer over a flat value; the weights are stored output first, as ONNX's transB."""
        (width,) = x.shape
        name = self._fresh("fc")
        operands = [x.name, self._weight(f"{name}.weight", (features, width), x.power, width)]
        if bias:
            operands.append(self.store(f"{name}.bias", (features,), Draw.OFFSET))
        return self.node("Gemm", operands, (features,), 1.0, name=name, transB=1)

    def linear(self, x: Value, features: int, *, bias: bool = True) -> Value:
        """Add a matrix product over the last dimension of a value of any rank, and a bias."""
        width = x.shape[-1]
        name = self._fresh("linear")
        operands = [x.name, self._weight(f"{name}.weight", (width, features), x.power, width)]
        y = self.node("MatMul", operands, (*x.shape[:-1], features), 1.0, name=name)
        if not bias:
            return y
        offset = self.store(f"{name}.bias", (features,), Draw.OFFSET)
        return self.node("Add", [y.name, offset], y.shape, 1.0)

    def batchnorm(self, x: Value, epsilon: float = 1e-5) -> Value:
        """Add a batch normalization in inference form, not folded into the layer before it."""
        name = self._fresh("bn")
        channels = (x.shape[0],)
        kinds = {
            "scale": Draw.SCALE,
            "bias": Draw.OFFSET,
            "mean": Draw.OFFSET,
            "var": Draw.VARIANCE,
        }
        stored = [self.store(f"{name}.{part}", channels, kind) for part, kind in kinds.items()]
        return self.node(
            "BatchNormalization", [x.name, *stored], x.shape, x.power, name=name, epsilon=epsilon
        )

    def layernorm(self, x: Value, epsilon: float = 1e-5) -> Value:
        """Add a layer normalization over the last dimension."""
        name = self._fresh("ln")
        width = (x.shape[-1],)
        stored = [
            self.store(f"{name}.scale", width, Draw.SCALE),
            self.store(f"{name}.bias", width, Draw.OFFSET),
        ]
        return self.node(
            "LayerNormalization",
            [x.name, *stored],
            x.shape,
            1.0,
            name=name,
            axis=-1,
            epsilon=epsilon,
        )

    # Activations and arithmetic.

    def relu(self, x: Value) -> Value:
        """Add max(x, 0)."""
        y = self.node("Relu", [x.name], x.shape, x.power if x.positive else x.power / 2)
        return replace(y, positive=True)

    def relu6(self, x: Value) -> Value:
        """Add min(max(x, 0), 6)."""
        bounds = [self.constant("zero", 0.0), self.constant("six", 6.0)]
        return self.node("Clip", [x.name, *bounds], x.shape, x.power / 2)

    def sigmoid(self, x: Value) -> Value:
        """Add 1 / (1 + exp(-x)); a gate with mean square near a quarter."""
        return self.node("Sigmoid", [x.name], x.shape, 0.25 + 0.04 * min(x.power, 4.0))

    def swish(self, x: Value) -> Value:
        """Add x times its sigmoid (SiLU), as the two operators exporters write."""
        gate = self.sigmoid(x)
        return self.node("Mul", [x.name, gate.name], x.shape, 0.36 * x.power)

    def hardswish(self, x: Value) -> Value:
        """Add x min(max(x + 3, 0), 6) / 6."""
        return self.node("HardSwish", [x.name], x.shape, 0.36 * x.power)

    def hardsigmoid(self, x: Value) -> Value:
        """Add min(max(x + 3, 0), 6) / 6."""
        return self.node("HardSigmoid", [x.name], x.shape, 0.28, alpha=1 / 6, beta=0.5)

    def gelu(self, x: Value) -> Value:
        """Add x (1 + erf(x / √2)) / 2, spelled out as exporters below operator set 20 write it."""
        scaled = self.node("Div", [x.name, self.constant("sqrt2", math.sqrt(2))], x.shape)
        grown = self.node(
            "Add",
            [self.node("Erf", [scaled.name], x.shape).name, self.constant("one", 1.0)],
            x.shape,
        )
        product = self.node("Mul", [x.name, grown.name], x.shape)
        return self.node(
            "Mul", [product.name, self.constant("half", 0.5)], x.shape, 0.43 * x.power
        )

    def softmax(self, x: Value) -> Value:
        """Add a softmax over the last dimension."""
        return self.node("Softmax", [x.name], x.shape, 1 / x.shape[-1] ** 2, axis=-1)

    def add(self, x: Value, y: Value) -> Value:
        """Add an elementwise sum of two values of one shape."""
        total = self.node("Add", [x.name, y.name], x.shape, x.power + y.power)
        return replace(total, positive=x.positive or y.positive)

    def mul(self, x: Value, y: Value) -> Value:
        """Add an elementwise product; the second may have size 1 where the first is larger (a gate)."""
        return self.node("Mul", [x.name, y.name], x.shape, x.power * y.power)

    def matmul(self, x: Value, y: Value, *, power: float = 1.0) -> Value:
        """Add a product of two input-dependent values over their last two dimensions."""
        return self.node("MatMul", [x.name, y.name], (*x.shape[:-1], y.shape[-1]), power)

    # Pools and rearrangements.

    def maxpool(
        self, x: Value, kernel: int, stride: int, *, pad: Padding = 0, ceil: bool = False
    ) -> Value:
        """Add a max pool; with ``ceil`` the last window may start inside and end outside (Caffe's rounding)."""
        pads, out = window(x.shape[1:], (kernel, kernel), stride, pad, ceil=ceil)
        attributes: dict[str, Any] = {
            "kernel_shape": (kernel, kernel),
            "strides": (stride, stride),
            "pads": pads,
            "ceil_mode": int(ceil),
        }
        y = self.node("MaxPool", [x.name], (x.shape[0], *out), 2 * x.power, **attributes)
        return replace(y, positive=x.positive)

    def avgpool(self, x: Value, kernel: int, stride: int) -> Value:
        """Add an average pool without padding."""
        pads, out = window(x.shape[1:], (kernel, kernel), stride, 0)
        attributes: dict[str, Any] = {
            "kernel_shape": (kernel, kernel),
            "strides": (stride, stride),
            "pads": pads,
        }
        return self.node("AveragePool", [x.name], (x.shape[0], *out), x.power / 2, **attributes)

    def global_avgpool(self, x: Value) -> Value:
        """Add the mean over height and width, which stay as size 1."""
        return self.node("GlobalAveragePool", [x.name], (x.shape[0], 1, 1), x.power / 2)

    def lrn(self, x: Value, size: int, *, alpha: float, beta: float) -> Value:
        """Add a local response normalization across channels."""
        return self.node(
            "LRN", [x.name], x.shape, x.power, size=size, alpha=alpha, beta=beta, bias=1.0
        )

    def concat(self, parts: Sequence[Value], axis: int = 0) -> Value:
        """Join values along a dimension, counted without the batch."""
        first = parts[0].shape
        size = sum(part.shape[axis] for part in parts)
        power = sum(part.power * part.shape[axis] for part in parts) / size
        shape = (*first[:axis], size, *first[axis + 1 :])
        return self.node("Concat", [part.name for part in parts], shape, power, axis=axis + 1)

    def flatten(self, x: Value) -> Value:
        """Join all dimensions but the batch."""
        return self.node("Flatten", [x.name], (math.prod(x.shape),), x.power, axis=1)

    def reshape(self, x: Value, *shape: int) -> Value:
        """Give a value another shape, the batch untouched."""
        name = self._fresh("reshape")
        target = self.vector(f"{name}.shape", (0, *shape))
        return self.node("Reshape", [x.name, target], shape, x.power, name=name)

    def transpose(self, x: Value, *order: int) -> Value:
        """Reorder dimensions, counted without the batch, which stays first."""
        permutation = (0, *(axis + 1 for axis in order))
        return self.node(
            "Transpose",
            [x.name],
            tuple(x.shape[axis] for axis in order),
            x.power,
            perm=permutation,
        )

    # Tables of a transformer.

    def embedding(self, ids: Value, count: int, width: int) -> Value:
        """Look whole numbers below ``count`` up in a table of vectors."""
        name = self._fresh("embedding")
        table = self.store(f"{name}.weight", (count, width), Draw.NORMAL)
        return self.node("Gather", [table, ids.name], (*ids.shape, width), 1.0, name=name, axis=0)

    def learned_table(self, count: int, width: int, *, rows: int | None = None) -> Value:
        """Store a table of vectors that is the same for every item, and take its first rows."""
        name = self._fresh("learned")
        table = self.store(f"{name}.weight", (count, width), Draw.NORMAL)
        if rows is None or rows == count:
            return Value(table, (count, width))
        bounds = [
            self.vector(f"{name}.{part}", [value]) for part, value in (("start", 0), ("end", rows))
        ]
        return self.node("Slice", [table, *bounds], (rows, width), 1.0, name=name)

    def token(self, x: Value) -> Value:
        """Store one vector of the last dimension's size, and repeat it for every item of the batch of ``x``."""
        width = x.shape[-1]
        name = self._fresh("token")
        vector = self.store(f"{name}.weight", (1, 1, width), Draw.NORMAL)
        items = self.node("Shape", [x.name], (), name=f"{name}.batch", start=0, end=1)
        tail = self.vector(f"{name}.tail", [1, width])
        shape = self.node("Concat", [items.name, tail], (), name=f"{name}.shape", axis=0)
        return self.node("Expand", [vector, shape.name], (1, width), 1.0, name=name)

    def row(self, x: Value, index: int) -> Value:
        """Take one row of a value of rows."""
        name = self._fresh("row")
        self._stored.append(helper.make_tensor(f"{name}.index", TensorProto.INT64, [], [index]))
        return self.node(
            "Gather", [x.name, f"{name}.index"], x.shape[1:], x.power, name=name, axis=1
        )
