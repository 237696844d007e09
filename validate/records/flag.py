"""What makes a run suspicious: a kind that programs decide by, and its size."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class FlagKind(StrEnum):
    """What is odd about a run that ended; the value is its name in a word or two."""

    DISTURBED = "disturbed"
    """Others took the CPU; the share is that of the machine's CPU time."""
    WAITED = "waited"
    """A single thread did not have its core; the share is CPU time over elapsed time."""
    DRIFT = "drift"
    """The second half of the samples differs from the first by the share."""
    UNEVEN = "uneven"
    """The median of the samples is above the fastest of them by the share: for half the time or more something was in
    the way that neither the machine's CPU time nor a drift shows, such as another thread of the same physical core."""
    ROUND_DRIFT = "round drift"
    """A round of a campaign differs from the median of all its rounds by the share."""
    UNTUNED = "untuned"
    """Code by a compiler's default lowering: it says nothing about the machine."""
    KERNELS_UNTUNED = "kernels untuned"
    """The share of the kernels that ran without a tuned schedule."""
    OTHER_DATATYPE = "other datatype"
    """What ran is not the datatype that was asked for: it says nothing about that one."""
    UNCHECKED = "outputs not checked"
    WEAK_CHECK = "weak check"
    """The reference output is constant, saturated or no larger than rounding: a wrong program could give it too."""


@dataclass(frozen=True, slots=True)
class Flag:
    """One thing that makes a run suspicious."""

    kind: FlagKind
    share: float | None = None
    """How large it is, where its kind has a size."""

    @property
    def label(self) -> str:
        """The flag in a few words."""
        share = self.share or 0.0
        match self.kind:
            case FlagKind.DISTURBED:
                return f"disturbed: others took {share:.0%} of the CPU time"
            case FlagKind.WAITED:
                return f"waited: {share:.2f} CPU seconds per second"
            case FlagKind.DRIFT:
                return f"drift: second half {share:+.0%}"
            case FlagKind.UNEVEN:
                return f"uneven: median {share:+.0%} over the fastest twentieth"
            case FlagKind.ROUND_DRIFT:
                return f"drift: this round {share:+.0%}"
            case FlagKind.UNTUNED:
                return "untuned: says nothing about the machine"
            case FlagKind.KERNELS_UNTUNED:
                return f"{share:.0%} of the kernels untuned" if self.share else "kernels untuned"
            case FlagKind.OTHER_DATATYPE:
                return "other datatype: what ran is not what was asked for"
            case FlagKind.UNCHECKED:
                return "outputs not checked"
            case FlagKind.WEAK_CHECK:
                return "weak check: reference output is constant, saturated or no larger than rounding"


def join_flags(flags: Iterable[Flag]) -> str:
    """Return flags in one line; empty when there are none."""
    return "; ".join(dict.fromkeys(flag.label for flag in flags))
