"""Channel coupling of elementwise operators: what is added or multiplied goes together."""

from __future__ import annotations

from collections.abc import Sequence

from roofline.compress.coupling._registry import Axes, Call, Labels, Results, couples
from roofline.compress.labels import fixed_labels


@couples("QLinearSigmoid", "QLinearLeakyRelu", domain="com.microsoft")
@couples("Bernoulli", "Cast", "Identity")
def unary(call: Call) -> Results:
    """Pass the labels of the first operand on."""
    return [call.axes(0)]


@couples("Dropout")
def dropout(call: Call) -> Results:
    """Pass the labels on; the mask has them too."""
    return [call.axes(0), call.axes(0)]


@couples("Add")
def nary(call: Call) -> Results:
    """Tie the operands' axes as they broadcast: the rule of all that the operator table calls elementwise."""
    axis = call.attribute("axis")
    if axis is not None and call.opset < 7:
        return call.block("broadcasts in the form that version 7 of the operator set replaced")
    return [broadcast(call, [call.axes(i) for i in range(len(call.node.input))])]


@couples("QLinearAdd", "QLinearMul", domain="com.microsoft")
def qlinear_binary(call: Call) -> Results:
    """Tie A at 0 and B at 3; scales and zero points are scalars."""
    return [broadcast(call, [call.axes(0), call.axes(3)])]


@couples("Expand")
def expand(call: Call) -> Results:
    """Broadcast to a shape; an axis that it repeats is free until something else fixes it.

    Spec: https://onnx.ai/onnx/operators/onnx__Expand.html
    """
    x, shape, target = call.axes(0), call.output_shape(), call.integers(1)
    if shape is None:
        call.fix_all(x, "expands to a shape that is not known")
        return [None]
    padded = (*(fixed_labels(1) for _ in range(len(shape) - len(x))), *x)
    result = tuple(
        labels if len(labels) == size else call.fresh(size)
        for labels, size in zip(padded, shape, strict=True)
    )
    if target is not None:
        offset = len(shape) - len(target)
        call.count_entries(
            1, target, {i: (result[i + offset],) for i, size in enumerate(target) if size > 1}
        )
    return [result]


def broadcast(call: Call, operands: Sequence[Axes]) -> Axes:
    """Tie axes as numpy broadcasts them, and return the labels of the result."""
    rank = max(len(axes) for axes in operands)
    result: list[Labels] = []
    for back in range(rank, 0, -1):
        aligned = [axes[-back] for axes in operands if len(axes) >= back]
        widest = max(aligned, key=len)
        full = [labels for labels in aligned if len(labels) == len(widest)]
        for labels in full[1:]:
            call.tie(full[0], labels)
        result.append(full[0])
    return tuple(result)
