"""Which shipped machine a driver, an operating system or another collection means by a name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from roofline.spec.aliases import find_alias
from roofline.spec.finding import platform, platform_keys
from roofline.spec.names import without_mode

_NOISE = re.compile(
    r"nvidia|geforce|tesla|quadro|intel|amd|radeon|instinct|google|apple|processor|graphics|generation|gen|"
    r"accelerator|of|its|one|socket|with|and|the|cores?|developer|kit|edition|gpus?|chip|gb|memory|both|dies|model|b"
)
"""Words that names of one machine have or lack."""
_SOFT = re.compile(r"sxm\d?|pcie|pci|oam|cpu|hbm\d?e?|nvl|\d+gb")
"""Words that tell variants of one machine apart, where two fit."""


def find_match(name: str, capacity: float | None = None) -> str | None:
    """Return the key of the shipped machine that is called so, without a mode; None if none or several are.

    Args:
        name: As a driver, an operating system or another collection spells it: ``NVIDIA A100-SXM4-80GB``.
        capacity: Bytes of its memory, to tell variants apart.
    """
    alias = find_alias(name)
    if alias is not None:
        return without_mode(alias.platform)
    hard, soft = _words(name)
    ranked = sorted(
        (
            (_likeness(soft, ours_soft) + _nearness(capacity, ours), key)
            for key, ours_hard, ours_soft, ours in _shipped_names()
            if hard and ours_hard == hard
        ),
        reverse=True,
    )
    if not ranked or (len(ranked) > 1 and ranked[0][0] == ranked[1][0]):
        return None
    return ranked[0][1]


def _likeness(soft: frozenset[str], ours: frozenset[str]) -> float:
    """Return how well the words go together that tell variants apart; a board is not its processor alone."""
    return len(soft & ours) - len(soft ^ ours) / 10 - ("cpu" in ours - soft)


def _nearness(capacity: float | None, ours: float | None) -> float:
    """Return how well two capacities go together: GB and GiB of one number are one size."""
    if capacity is None or ours is None:
        return 0
    return 2 if abs(capacity / ours - 1) < 0.1 else -2


@cache
def _shipped_names() -> tuple[tuple[str, frozenset[str], frozenset[str], float | None], ...]:
    return tuple(_entries())


def _entries() -> Iterator[tuple[str, frozenset[str], frozenset[str], float | None]]:
    seen: set[str] = set()
    for name in platform_keys():
        key = without_mode(name)
        if key not in seen:
            seen.add(key)
            machine = platform(name)
            # What follows a comma or a bracket describes the machine and is no part of its name.
            called = re.split(r"[,(]", machine.specification.name)[0]
            yield key, *_words(called), machine.capacity


def _words(name: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the words that must agree, and those that tell variants apart."""
    text = re.sub(
        r"\((?:r|tm|c)\)|@.*|\brev\b.*|\b\d+-core\b|\b\d+(?:st|nd|rd|th)\b", " ", name.lower()
    )
    text = re.sub(r"(\d+)\s*gi?b\b", r" \1gb ", text)
    words = [word for word in re.findall(r"[a-z0-9+]+", text) if not _NOISE.fullmatch(word)]
    soft = frozenset(
        re.sub(r"^(sxm|hbm).*", r"\1", word) for word in words if _SOFT.fullmatch(word)
    )
    # An SXM module is told by its stacked memory in drivers' names.
    if "hbm" in soft:
        soft = (soft - {"hbm"}) | {"sxm"}
    return frozenset(word for word in words if not _SOFT.fullmatch(word)), soft
