"""How far algorithms that need fewer multiplications than a convolution's definition can carry a run past its bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roofline.precision import DATATYPES, DatatypeKind

if TYPE_CHECKING:
    from roofline.layer import Layer
    from roofline.workload import Workload

FEWER = 2.25
"""Times fewer multiplications of Winograd's algorithm F(2x2, 3x3): 36 for 16 (A. Lavin and S. Gray, Fast Algorithms for
Convolutional Neural Networks, CVPR 2016, https://arxiv.org/abs/1509.09308); F(4x4, 3x3) needs 4 times fewer."""
NOTED = 0.5
"""Share of the multiply-accumulates from which the possibility is told: below it a run hardly gains."""


def winograd_share(workload: Workload) -> float:
    """Return the share of a network's multiply-accumulates that are of 3x3 convolutions of stride 1 without groups."""
    return workload.once(
        "winograd share",
        lambda: (
            sum(layer.cost.macs for layer in workload.layers if _is_fast(layer))
            / max(workload.macs, 1)
        ),
    )


def _is_fast(layer: Layer) -> bool:
    # What an attribute does not state is one; a kernel's size is that of the weight.
    attributes = layer.attributes
    weight = layer.weights[0].shape if layer.weights else None
    ones = all(
        step == 1
        for name in ("strides", "dilations")
        for step in attributes.get(name) or ()
        if step
    )
    return (
        layer.op_type == "Conv"
        and weight is not None
        and tuple(weight[2:]) == (3, 3)
        and int(attributes.get("group", 1) or 1) == 1
        and ones
    )


def room(workload: Workload, datatype: str) -> float:
    """Return how many times a run may exceed a bound by such algorithms; 1 where few layers have one.

    Runtimes use them in floating point: integers would need wider ones.

    Args:
        workload: The network.
        datatype: What it computes in.
    """
    share = winograd_share(workload)
    if share < NOTED or DATATYPES[datatype].kind is not DatatypeKind.FLOAT:
        return 1.0
    # Time left of the bound's when the share is done in so much less.
    return 1 / (1 - share * (1 - 1 / FEWER))


def note_of(workload: Workload, datatype: str) -> tuple[str, ...]:
    """Return what to say of a bound that a faster algorithm may exceed; nothing where few layers have one.

    Args:
        workload: The network.
        datatype: What it computes in.
    """
    most = room(workload, datatype)
    if most == 1:
        return ()
    return (
        f"a run by Winograd's algorithm ({100 * winograd_share(workload):.0f} % of MACs are 3x3, stride 1) may exceed "
        f"the bound, up to {most:.2g} times",
    )
