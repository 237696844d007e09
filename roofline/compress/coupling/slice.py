"""Channel coupling of operators that cut, join and repeat axes: Concat, Split, Slice, Gather, Pad, Tile, Resize."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from roofline.compress.coupling._registry import Axes, Call, Labels, Results, couples
from roofline.compress.labels import LONGEST, fixed_labels


@couples("Concat")
def concat(call: Call) -> Results:
    """Join labels along one axis and tie the others.

    Spec: https://onnx.ai/onnx/operators/onnx__Concat.html
    """
    return [_join(call, list(range(len(call.node.input))), call.integer("axis", 1))]


@couples("QLinearConcat", domain="com.microsoft")
def qlinear_concat(call: Call) -> Results:
    """Join labels: scale and zero point of the result, then tensor, scale and zero point of each part."""
    return [_join(call, list(range(2, len(call.node.input), 3)), call.integer("axis", 1))]


def _join(call: Call, positions: Sequence[int], axis: int) -> Axes:
    parts = [call.axes(position) for position in positions]
    axis %= max(len(parts[0]), 1)
    for part in parts[1:]:
        for i, labels in enumerate(part):
            if i != axis:
                call.tie(parts[0][i], labels)
    return tuple(
        np.concatenate([part[axis] for part in parts]) if i == axis else labels
        for i, labels in enumerate(parts[0])
    )


@couples("Split")
def split(call: Call) -> Results:
    """Cut labels along one axis; the sizes of the parts shrink with their channels.

    Spec: https://onnx.ai/onnx/operators/onnx__Split.html
    """
    x = call.axes(0)
    axis = call.integer("axis", 0) % len(x)
    count = len(call.node.output)
    shapes = [call.output_shape(i) for i in range(count)]
    sizes = [shape[axis] for shape in shapes if shape is not None]
    if len(sizes) != count:
        call.fix_all(x, "its parts have unknown sizes")
        return [call.output_axes(i) for i in range(count)]
    parts = np.split(x[axis], np.cumsum(sizes)[:-1])
    if call.opset >= 13:
        call.count_entries(1, sizes, {i: (part,) for i, part in enumerate(parts)})
    else:
        call.list_attribute("split", parts)
    return [(*x[:axis], part, *x[axis + 1 :]) for part in parts]


@couples("Slice")
def slice_(call: Call) -> Results:
    """Cut labels; bounds move with the channels before and within the cut.

    Spec: https://onnx.ai/onnx/operators/onnx__Slice.html
    """
    x = call.axes(0)
    if call.opset < 10:
        starts, ends = call.attribute("starts", ()), call.attribute("ends", ())
        axes, steps = call.attribute("axes"), None
    else:
        starts, ends, axes, steps = (call.integers(i) for i in range(1, 5))
    if (
        starts is None
        or ends is None
        or (call.has(3) and axes is None)
        or (call.has(4) and steps is None)
    ):
        return _cut_labels(call, x)
    axes = tuple(range(len(starts))) if axes is None else axes
    steps = (1,) * len(starts) if steps is None else steps
    result, from_, to = list(x), dict[int, tuple[Labels, ...]](), dict[int, tuple[Labels, ...]]()
    low, high = list(starts), list(ends)
    for i, (axis, start, end, step) in enumerate(zip(axes, starts, ends, steps, strict=True)):
        labels = x[axis % len(x)]
        result[axis % len(x)] = labels[slice(*_bounds(start, end, step, len(labels)))]
        if step != 1:
            call.fix(labels, "it skips positions")
        elif labels.any():
            begin, stop, _ = slice(start, end).indices(len(labels))
            low[i], high[i] = begin, max(begin, stop)
            from_[i], to[i] = (labels[:begin],), (labels[: max(begin, stop)],)
    if call.opset < 10:
        call.list_attribute(
            "starts", [from_[i][0] if i in from_ else n for i, n in enumerate(low)]
        )
        call.list_attribute("ends", [to[i][0] if i in to else n for i, n in enumerate(high)])
    else:
        call.count_entries(1, low, from_)
        call.count_entries(2, high, to)
    return [tuple(result)]


def _bounds(start: int, end: int, step: int, size: int) -> tuple[int | None, int | None, int]:
    # ONNX says "to the beginning" with a very small end, where Python wants None.
    return (start, None if step < 0 and end < -size else end, step)


def _cut_labels(call: Call, x: Axes) -> Results:
    shape = call.output_axes()
    axes = call.integers(3) if call.has(3) else None
    touched = range(len(x)) if axes is None else [axis % len(x) for axis in axes]
    result = list(x)
    for axis in touched:
        if shape is None or len(shape[axis]) != len(x[axis]):
            call.fix(x[axis], "its bounds are not known")
            result[axis] = shape[axis] if shape is not None else fixed_labels(None)
    return [tuple(result)]


@couples("Gather")
def gather(call: Call) -> Results:
    """Pick labels by known positions, which are renumbered; rows picked by data stay (an embedding's entries).

    Spec: https://onnx.ai/onnx/operators/onnx__Gather.html
    """
    x, positions = call.axes(0), call.axes(1)
    axis = call.integer("axis", 0) % max(len(x), 1)
    if call.is_stored(0):
        for other in range(len(x)):
            if other != axis:
                call.produce(0, other)
    known = call.integers(1)
    size = len(x[axis])
    outside = known is not None and any(not -size <= position < size for position in known)
    if known is None or outside or len(positions) != 1 or not call.is_stored(1):
        call.fix(x[axis], "its entries are picked by data")
        return [(*x[:axis], *(fixed_labels(len(p)) for p in positions), *x[axis + 1 :])]
    picked = x[axis][np.array(known, np.int64)]
    call.renumber(1, known, x[axis])
    return [(*x[:axis], picked, *x[axis + 1 :])]


@couples("Pad")
def pad(call: Call) -> Results:
    """Add positions; channels that a pad adds are free until something fixes them.

    Spec: https://onnx.ai/onnx/operators/onnx__Pad.html
    """
    x = call.axes(0)
    pads = call.integers(1) if call.opset >= 11 else tuple(call.attribute("pads", ()))
    axes = call.integers(3) if call.has(3) else tuple(range(len(x)))
    if pads is None or axes is None:
        call.fix_all(x, "its widths are not known")
        return [call.output_axes()]
    result, entries = list(x), dict[int, tuple[Labels, ...]]()
    for i, axis in enumerate(axes):
        before, after = pads[i], pads[i + len(axes)]
        if before == after == 0:
            continue
        at = axis % len(x)
        if call.attribute("mode", b"constant") != b"constant" or before < 0 or after < 0:
            call.fix(x[at], "it pads with or removes entries of the axis")
        front, back = (
            call.fresh(n) if n > 1 else fixed_labels(max(n, 0)) for n in (before, after)
        )
        result[at] = np.concatenate([front, x[at], back])
        entries |= {i: (front,), i + len(axes): (back,)}
    if call.opset >= 11:
        call.count_entries(1, pads, entries)
    elif any(labels.any() for (labels,) in entries.values()):
        call.list_attribute(
            "pads", [entries[i][0] if i in entries else n for i, n in enumerate(pads)]
        )
    shape = call.output_axes()
    return [tuple(
        labels if shape is None or len(labels) == len(shape[i]) else shape[i] for i, labels in enumerate(result)
    )]  # fmt: skip


@couples("Tile")
def tile(call: Call) -> Results:
    """Repeat labels.

    Spec: https://onnx.ai/onnx/operators/onnx__Tile.html
    """
    x, repeats = call.axes(0), call.integers(1)
    if repeats is None:
        call.fix_all(x, "its repeats are not known")
        return [call.output_axes()]
    shape = call.output_axes()
    return [tuple(
        np.tile(labels, times) if len(labels) * times <= LONGEST else size
        for labels, times, size in zip(x, repeats, shape or x, strict=True)
    )]  # fmt: skip


@couples("Resize", "Upsample")
def resize(call: Call) -> Results:
    """Pass axes that keep their size on; those that are resampled stay.

    Spec: https://onnx.ai/onnx/operators/onnx__Resize.html
    """
    x, shape = call.axes(0), call.output_axes()
    if shape is None:
        call.fix_all(x, "its result has an unknown rank")
        return [None]
    result: list[Labels] = []
    for labels, size in zip(x, shape, strict=True):
        kept = len(labels) == len(size)
        if not kept:
            call.fix(labels, "it resamples the axis")
        result.append(labels if kept else size)
    sizes = call.integers(3) if call.has(3) and call.op_type == "Resize" else None
    if sizes is not None:
        axes: tuple[int, ...] = call.attribute("axes", tuple(range(len(sizes))))
        call.count_entries(3, sizes, {i: (result[axis],) for i, axis in enumerate(axes)})
    return [tuple(result)]


@couples("ConstantOfShape")
def constant_of_shape(call: Call) -> Results:
    """Label a tensor that is stored as its shape and one value, as a weight is.

    Spec: https://onnx.ai/onnx/operators/onnx__ConstantOfShape.html
    """
    shape, sizes = call.output_shape(), call.integers(0)
    if shape is None or sizes is None or not call.weight_like():
        return [call.output_axes()]
    result = tuple(call.fresh(size) for size in shape)
    call.count_entries(0, sizes, {i: (labels,) for i, labels in enumerate(result)})
    return [result]


@couples("Shape", "Size", "Range", "EyeLike")
def leave_sizes(call: Call) -> Results:
    """Return sizes, which follow the pruned tensor by themselves."""
    return [call.output_axes()]
