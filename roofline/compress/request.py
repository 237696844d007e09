"""What a user asks of channel pruning, checked once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType

from roofline.errors import CompressionError, check_known
from roofline.reading import quote, real_number
from roofline.surfaces import Argument

_BY_LAYER = "'PATTERN=0.5'"

CRITERIA = ("l1", "l2", "random", "first")
"""How the channels that stay are chosen: largest filter magnitude (sum, or root of squares), seeded chance, order."""


@dataclass(frozen=True, slots=True)
class Pruning:
    """A channel pruning request.

    Example:
        >>> Pruning(0.5).label
        'keep-channels=0.5'
        >>> Pruning(layers={"conv*": 0.25}).label
        'keep-channels=conv*=0.25'
    """

    keep: float | None = None
    """Share of every free group of channels that stays; None leaves layers that no pattern names whole."""
    layers: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """Shares by glob pattern on layer names; where several match, the last one counts."""
    criterion: str = "l1"
    seed: int = 0
    """For the criterion ``random``."""
    indices: Mapping[str, tuple[int, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """Filters that stay, by layer name; these layers follow no share and no criterion."""

    def __post_init__(self) -> None:
        unknown = f"unknown pruning criterion {self.criterion!r}"
        criterion = check_known(self.criterion, CRITERIA, unknown, error=CompressionError)
        object.__setattr__(self, "criterion", criterion)
        for where, share in (("", self.keep), *self.layers.items()):
            if share is not None and not 0 < share <= 1:
                raise CompressionError(
                    f"the share of channels to keep{where and f' in {where!r}'} is {share:g}, outside (0, 1]",
                    repair="Give a share such as 0.5, not a percentage",
                )

    @property
    def dense(self) -> bool:
        """Whether it removes nothing."""
        return not ((self.keep is not None and self.keep != 1) or self.layers or self.indices)

    @property
    def label(self) -> str:
        """The request in one word, as on the command line; ``dense`` when it removes nothing."""
        if self.dense:
            return "dense"
        parts = [] if self.keep is None or self.keep == 1 else [f"{self.keep:g}"]
        parts += [f"{pattern}={share:g}" for pattern, share in self.layers.items()]
        parts += [f"{layer}=list" for layer in self.indices]
        return f"keep-channels={','.join(parts)}"


def as_pruning(request: Pruning | float | Mapping[str, float]) -> Pruning:
    """Return a request from its short forms: a share, or shares by pattern."""
    if isinstance(request, Pruning):
        return request
    if isinstance(request, Mapping):
        return Pruning(layers=dict(request))
    return Pruning(real_number(request, "pruning", error=CompressionError))


def parse_shares(
    argument: Argument, texts: Sequence[str] | None
) -> tuple[float | None, dict[str, float]]:
    """Parse ``0.5`` and ``PATTERN=0.5`` texts of an argument.

    Returns:
        The share without a pattern, or None, and the shares by pattern in the order given.

    Raises:
        CompressionError: A share is not a number, or is given twice.

    Example:
        >>> parse_shares(Argument("--keep-channels", "keep_channels"), ["0.5", "layer1*=0.8"])
        (0.5, {'layer1*': 0.8})
    """
    whole: float | None = None
    layers: dict[str, float] = {}
    for text in texts or ():
        pattern, equals, written = text.rpartition("=")
        try:
            share = real_number(written, "share", error=ValueError)
        except ValueError:
            raise CompressionError(
                f"{argument.at(quote(text))}: {quote(written)} is not a share",
                repair=f"Write {argument.at(0.5)} or {argument.at(_BY_LAYER)}",
            ) from None
        if (equals and pattern in layers) or (not equals and whole is not None):
            raise CompressionError(
                f"{argument} gives a share for {pattern or 'the network'} twice"
            )
        if equals:
            layers[pattern] = share
        else:
            whole = share
    return whole, layers


def kept_count(channels: int, share: float) -> int:
    """Return how many of some channels stay: the share of them, halves rounded up, and at least one.

    The share is taken as it is written in decimals, so 0.35 of 10 is 4 and no binary rounding decides.

    Example:
        >>> [kept_count(n, 0.5) for n in (64, 3, 1)], kept_count(10, 0.35)
        ([32, 2, 1], 4)
    """
    exact = Fraction(repr(share)) * channels
    return max(1, int(exact + Fraction(1, 2)))
