"""How a window slides over spatial axes: convolution and pooling share it.

Spec: https://onnx.ai/onnx/operators/onnx__Conv.html,
https://onnx.ai/onnx/operators/onnx__MaxPool.html
"""

from __future__ import annotations

from dataclasses import dataclass

from roofline.node import Node
from roofline.number_format import plural
from roofline.ops._attributes import choice, integers, malformed_error
from roofline.ops._shapes import Dim

AUTO_PADS = ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID", "")


@dataclass(frozen=True)
class Window:
    """The sliding attributes of a node, one entry per spatial axis."""

    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[int, ...]
    """Begins, then ends."""
    auto_pad: str


def window(node: Node, axes: int) -> Window:
    """Read strides, dilations, pads and auto_pad for so many spatial axes.

    Raises:
        ModelError: A list has the wrong length, or a stride or dilation is not positive.
    """
    ones = (1,) * axes
    found = Window(
        strides=_positive(node, "strides", integers(node, "strides", ones), axes),
        dilations=_positive(node, "dilations", integers(node, "dilations", ones), axes),
        pads=integers(node, "pads", (0,) * (2 * axes)),
        auto_pad=choice(node, "auto_pad", "NOTSET", AUTO_PADS) or "NOTSET",
    )
    if len(found.pads) != 2 * axes:
        raise malformed_error(
            node, f"attribute 'pads' must hold {2 * axes} integers, it holds {len(found.pads)}"
        )
    return found


def _positive(node: Node, name: str, values: tuple[int, ...], axes: int) -> tuple[int, ...]:
    if len(values) != axes or any(value < 1 for value in values):
        raise malformed_error(
            node,
            f"attribute {name!r} must hold {plural(axes, 'positive integer')}, one per spatial axis, "
            f"it is {list(values)}",
        )
    return values


def kernel(node: Node, axes: int, sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Check a kernel's sizes: one positive integer per spatial axis."""
    return _positive(node, "kernel_shape", sizes, axes)


def slide(
    node: Node,
    spatial: tuple[Dim, ...],
    sizes: tuple[Dim, ...],
    found: Window,
    *,
    ceil: bool = False,
) -> tuple[Dim, ...]:
    """Return the output's spatial dimensions.

    With ``ceil`` the last window may hang over the end, but must start inside the operand or its begin pad.

    Raises:
        ModelError: The kernel is larger than the padded operand.
    """
    results: list[Dim] = []
    for axis, (size, extent) in enumerate(zip(spatial, sizes, strict=True)):
        stride = found.strides[axis]
        if size is not None and found.auto_pad in ("SAME_UPPER", "SAME_LOWER"):
            results.append(-(-size // stride))
            continue
        if size is None or extent is None:
            results.append(None)
            continue
        begin, end = (
            (0, 0)
            if found.auto_pad == "VALID"
            else (found.pads[axis], found.pads[len(spatial) + axis])
        )
        room = size + begin + end - found.dilations[axis] * (extent - 1) - 1
        if room < 0:
            raise malformed_error(
                node,
                f"the kernel ({extent}, dilation {found.dilations[axis]}) is larger than the padded operand"
                f" ({size} + {begin} + {end}) on spatial axis {axis}",
            )
        steps = -(-room // stride) + 1 if ceil else room // stride + 1
        if ceil and (steps - 1) * stride >= size + begin:
            steps -= 1
        results.append(steps)
    return tuple(results)
