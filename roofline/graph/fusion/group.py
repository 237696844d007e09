"""What fusing gives: groups of executed calls that a runtime runs as one kernel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from roofline.node import Tensor


@dataclass(frozen=True, slots=True)
class Group:
    """Executed calls that run as one; every call of a graph is in exactly one group.

    Only what enters and leaves a group crosses the memory interface. The values between its members do not.
    """

    members: tuple[int, ...]
    """Positions in the resolved graph's nodes, in execution order."""
    anchor: int
    """Position of the member that does the main work and names the group."""
    patterns: tuple[str, ...] = ()
    """What was fused, in order of application; empty for a call on its own."""
    inputs: tuple[Tensor, ...] = ()
    """Input-dependent values read from outside, as they are stored: a view stands for what it shows, and a
    dequantized value for the quantized one."""
    readers: Mapping[str, tuple[tuple[int, int], ...]] = field(
        default_factory=dict[str, "tuple[tuple[int, int], ...]"], compare=False
    )
    """The members that work on each of those, by its name: their positions, and at which operand they read it."""
    outputs: tuple[Tensor, ...] = ()
    """Values that leave, as they are stored."""
    datatype: str | None = None
    """The peak on which its arithmetic runs, or None where it does none."""
    repeats: int = 1
    folded: bool = False
    """Whether it is worked out before inference: constant, or a shape that is known; it is no layer then."""


def report(groups: Iterable[Group]) -> Mapping[str, int]:
    """Return how many groups each pattern took part in, by name.

    Example:
        >>> report([Group((0, 1), 0, ("bias", "activation")), Group((2, 3), 2, ("activation",))])
        {'activation': 2, 'bias': 1}
    """
    counts = Counter(name for group in groups for name in dict.fromkeys(group.patterns))
    return dict(sorted(counts.items()))
