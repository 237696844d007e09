"""Channel labels: which positions of which tensor axes must stay or go together."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from roofline.errors import CompressionError

Labels = NDArray[np.int64]
"""The labels of one axis, one per position; positions whose labels are tied go together."""

Axes = tuple[Labels, ...]
"""The labels of a tensor, one array per axis."""

FIXED = 0
"""The label of a position that always stays (batch, space, interface)."""
LONGEST = 1 << 22
"""Positions up to which an axis is labelled; a longer one stays whole, as one of unknown size does."""
MOST = 1 << 26
"""Labels that one network may need: those of its stored tensors' axes, all together."""


def fixed_labels(size: int | None) -> Labels:
    """Return the labels of an axis that stays; none where its size is unknown or too long to label.

    They take no memory, and are not to be written to.

    Example:
        >>> fixed_labels(3).tolist(), len(fixed_labels(None)), len(fixed_labels(1 << 40))
        ([0, 0, 0], 0, 0)
    """
    return np.broadcast_to(_STAYS, size if size is not None and 0 <= size <= LONGEST else 0)


_STAYS = np.int64(FIXED)


class Atoms:
    """A union-find over labels, with the reason why a set of them must stay."""

    def __init__(self) -> None:
        self._parent: Labels = np.zeros(1, np.int64)
        self._fixed: NDArray[np.bool_] = np.ones(1, np.bool_)
        self._size = 1
        self._reasons: dict[int, str] = {}

    @property
    def size(self) -> int:
        """How many labels there are, the fixed one included."""
        return self._size

    def fresh(self, count: int) -> Labels:
        """Return labels that nothing is tied to; an axis of one position is fixed, for it cannot shrink.

        Raises:
            CompressionError: The network has more channels than can be labelled.
        """
        if count <= 1 or count > LONGEST:
            return fixed_labels(count)
        if self._size + count > MOST:
            raise CompressionError(
                f"the network's stored tensors have more than {MOST:,} positions on all their axes, too many to prune"
            )
        start, self._size = self._size, self._size + count
        if self._size > len(self._parent):
            room = max(self._size, 2 * len(self._parent))
            self._parent = _grow(self._parent, np.arange(room, dtype=np.int64))
            self._fixed = _grow(self._fixed, np.zeros(room, np.bool_))
        return np.arange(start, start + count, dtype=np.int64)

    def roots(self, labels: Labels) -> Labels:
        """Return the representative of each label; of one that stays, the fixed label."""
        roots = self._heads(labels)
        return np.where(self._fixed[roots], FIXED, roots)

    def tie(self, first: Labels, second: Labels, reason: str) -> None:
        """Make positions go together; one that is tied to a fixed position becomes fixed for the reason.

        Axes of unlike length (one is broadcast, or unknown) have nothing to share: both become fixed.
        """
        if not (first.any() or second.any()):
            return
        if len(first) != len(second):
            self.fix(first, reason)
            self.fix(second, reason)
            return
        left, right = self._heads(first), self._heads(second)
        unlike = left != right
        if not unlike.any():
            return
        pairs = np.unique(np.stack([left[unlike], right[unlike]]), axis=1)
        if len(np.unique(pairs)) == pairs.size and not self._fixed[pairs].any():
            # No label is in two pairs, so the unions do not depend on each other.
            self._parent[pairs.max(axis=0)] = pairs.min(axis=0)
            return
        for left, right in pairs.T.tolist():
            self._union(left, right, reason)

    def fix(self, labels: Labels, reason: str) -> None:
        """Make positions stay, for a reason."""
        heads = np.unique(self._heads(labels))
        for head in heads[~self._fixed[heads]].tolist():
            self._reasons[head] = reason
        self._fixed[heads] = True

    def reason(self, labels: Labels) -> str:
        """Return why the first position of an axis that stays does so; empty when no rule fixed it."""
        heads = self._heads(labels)
        found = (self._reasons.get(head, "") for head in heads[self._fixed[heads]].tolist())
        return next((reason for reason in found if reason), "")

    def free(self, labels: Labels) -> bool:
        """Return whether any position of the axis can go."""
        return bool(labels.any()) and bool(self.roots(labels).any())

    def _heads(self, labels: Labels) -> Labels:
        heads = self._parent[labels]
        while not np.array_equal(above := self._parent[heads], heads):
            heads = above
        self._parent[labels] = heads
        return heads

    def _union(self, left: int, right: int, reason: str) -> None:
        left, right = self._head(left), self._head(right)
        if left == right:
            return
        low, high = min(left, right), max(left, right)
        if low == FIXED:
            # Nothing is merged with the fixed label itself, so that each set keeps its own reason.
            if not self._fixed[high]:
                self._reasons[high] = reason
                self._fixed[high] = True
            return
        self._parent[high] = low
        if self._fixed[low] or self._fixed[high]:
            why = self._reasons.get(low) or self._reasons.get(high) or reason
            self._reasons[low] = why
            self._fixed[low] = True

    def _head(self, label: int) -> int:
        while self._parent[label] != label:
            label = int(self._parent[label])
        return label


def _grow(old: NDArray[Any], room: NDArray[Any]) -> NDArray[Any]:
    room[: len(old)] = old
    return room
