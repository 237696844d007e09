"""Channel coupling of operators that rearrange a tensor: Reshape and its kin, Transpose, depth and space."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from roofline.compress.coupling._registry import Axes, Call, Labels, Results, couples, product
from roofline.compress.labels import LONGEST, fixed_labels

Segment = tuple[tuple[int, ...], tuple[int, ...]]
"""Axes of the operand and of the result that hold the same elements."""


@couples("Reshape")
def reshape(call: Call) -> Results:
    """Follow channels through a reshape; sizes in the target shape shrink with them.

    Spec: https://onnx.ai/onnx/operators/onnx__Reshape.html
    """
    result = regroup(call)
    target = call.integers(1) if call.has(1) else tuple(call.attribute("shape", ()))
    if target and result is not None and len(target) == len(result):
        counted = {i: (result[i],) for i, size in enumerate(target) if size > 1}
        if call.has(1):
            call.count_entries(1, target, counted)
        else:
            call.list_attribute(
                "shape", [result[i] if i in counted else n for i, n in enumerate(target)]
            )
    return [result]


@couples("Flatten", "Squeeze", "Unsqueeze")
def flatten(call: Call) -> Results:
    """Follow channels into merged axes: each channel becomes a block of positions.

    Spec: https://onnx.ai/onnx/operators/onnx__Flatten.html
    """
    return [regroup(call)]


@couples("Transpose")
def transpose(call: Call) -> Results:
    """Permute the axes.

    Spec: https://onnx.ai/onnx/operators/onnx__Transpose.html
    """
    x = call.axes(0)
    order: tuple[int, ...] = call.attribute("perm", tuple(reversed(range(len(x)))))
    return [tuple(x[axis] for axis in order)]


@couples("DepthToSpace")
def depth_to_space(call: Call) -> Results:
    """Tie the channels that become the positions of one block.

    Spec: https://onnx.ai/onnx/operators/onnx__DepthToSpace.html
    """
    area = call.integer("blocksize", 1) ** 2
    channels = call.axes(0)[1]
    columns_first = call.attribute("mode", b"DCR") == b"CRD"
    rows = channels.reshape(-1, area).T if columns_first else channels.reshape(area, -1)
    return [_move_channels(call, call.tie_rows(rows))]


@couples("SpaceToDepth")
def space_to_depth(call: Call) -> Results:
    """Repeat the channels once for each position of a block.

    Spec: https://onnx.ai/onnx/operators/onnx__SpaceToDepth.html
    """
    channels, area = call.axes(0)[1], call.integer("blocksize", 1) ** 2
    if len(channels) * area > LONGEST:
        call.fix(channels, "it makes an axis too long to follow")
        return [_move_channels(call, fixed_labels(None))]
    return [_move_channels(call, np.tile(channels, area))]


def _move_channels(call: Call, channels: Labels) -> Axes:
    x = call.axes(0)
    for labels in x[2:]:
        call.fix(labels, "positions in space are not channels")
    shape = call.output_axes()
    return (x[0], channels, *(shape[2:] if shape is not None else (x[2], x[3])))


def regroup(call: Call) -> Axes | None:
    """Return the labels of a result that holds the operand's elements in the same order under another shape."""
    x, shape = call.axes(0), call.output_shape()
    if shape is None or product([len(labels) for labels in x]) != product(shape):
        # Axes too long to label count as unknown.
        call.fix_all(x, "its shape is not known")
        return call.output_axes()
    result: list[Labels] = [fixed_labels(size) for size in shape]
    for source, target in _segments([len(labels) for labels in x], shape):
        flat = _merge(call, [x[axis] for axis in source])
        sizes = [shape[axis] for axis in target]
        for axis, labels in zip(target, _split(call, flat, sizes), strict=True):
            result[axis] = labels
    return tuple(result)


def _segments(source: Sequence[int], target: Sequence[int]) -> Iterator[Segment]:
    """Pair up the shortest runs of axes with equal products; axes of one position belong to none."""
    left = [axis for axis, size in enumerate(source) if size != 1]
    right = [axis for axis, size in enumerate(target) if size != 1]
    while left and right:
        taken, given = [left.pop(0)], [right.pop(0)]
        held, wanted = source[taken[0]], target[given[0]]
        while held != wanted:
            if held < wanted:
                taken.append(left.pop(0))
                held *= source[taken[-1]]
            else:
                given.append(right.pop(0))
                wanted *= target[given[-1]]
        yield tuple(taken), tuple(given)


def _merge(call: Call, axes: Sequence[Labels]) -> Labels:
    """Return the labels of axes merged into one: of two that could shrink, the one with more labels does."""
    free = [i for i, labels in enumerate(axes) if call.atoms.free(labels)]
    best = max(free, key=lambda i: len(np.unique(call.atoms.roots(axes[i]))), default=None)
    for i in free:
        if i != best:
            call.fix(axes[i], "it is merged with an axis whose channels can go")
    total = product([len(labels) for labels in axes])
    if best is not None and total > LONGEST:
        call.fix(axes[best], "it is merged into an axis too long to follow")
    if best is None or total > LONGEST:
        return fixed_labels(total)
    before = product([len(labels) for labels in axes[:best]])
    after = product([len(labels) for labels in axes[best + 1 :]])
    return np.tile(np.repeat(axes[best], after), before)


def _split(call: Call, flat: Labels, sizes: Sequence[int]) -> list[Labels]:
    """Return the labels of an axis split into several, of which one can shrink."""
    result: list[Labels] = [fixed_labels(size) for size in sizes]
    if len(sizes) == 1:
        return [flat]
    if not call.atoms.free(flat):
        return result
    roots = call.atoms.roots(flat).reshape(sizes)
    lines = {
        axis: np.moveaxis(roots, axis, 0).reshape(size, -1) for axis, size in enumerate(sizes)
    }
    whole = [axis for axis, rows in lines.items() if (rows == rows[:, :1]).all()]
    axis = (
        max(whole, key=lambda a: len(np.unique(lines[a][:, 0]))) if whole else _choose(call, lines)
    )
    rows = np.moveaxis(flat.reshape(sizes), axis, 0).reshape(sizes[axis], -1)
    result[axis] = call.tie_rows(rows.T)
    return result


def _choose(call: Call, lines: dict[int, Labels]) -> int:
    """Choose which factor of a split axis shrinks.

    The one that leaves more channels to choose from, unless the split makes attention heads: they go whole.
    A split that is only transposed and merged again shuffles channels; the positions in the groups go.
    """
    last = max(lines)
    choices = {axis: _distinct(rows) for axis, rows in lines.items()}
    if call.shuffles() or choices[min(lines)] <= 1:
        return last if choices[last] > 1 else max(choices, key=lambda axis: choices[axis])
    return min(lines)


def _distinct(rows: Labels) -> int:
    """Return how many sets of rows remain when all labels in a row are tied."""
    parent: dict[int, int] = {}

    def root(label: int) -> int:
        while parent.setdefault(label, label) != label:
            label = parent[label]
        return label

    for row in rows:
        labels = np.unique(row).tolist()
        first = root(labels[0])
        for label in labels[1:]:
            other = root(label)
            low, high = min(first, other), max(first, other)
            parent[high], first = low, low
    return len({root(label) for label in parent} - {0})
