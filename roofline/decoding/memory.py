"""What a decoder keeps in memory: its weights, and the cache of every request."""

from __future__ import annotations

from dataclasses import dataclass

from roofline.workload import Workload

_STATES = frozenset({"LinearAttention", "CausalConvWithState"})
"""Operators whose cache has one size, however long the context."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What a decoder keeps in memory, on all devices together, in bytes."""

    weights: int
    caches: tuple[tuple[float, int], ...]
    """Of the layers that keep as many positions: bytes of a position of one request in all of them, and how many are
    kept (0 without limit)."""

    states: float = 0.0
    """Bytes of one request that stay what they are, however many positions went through them."""

    @property
    def per_token(self) -> float:
        """Bytes of one position of one request."""
        return sum(each for each, _ in self.caches)

    def growing(self, length: int) -> float:
        """Return the bytes of a request's keys and values of so many positions; of windows the last ones alone."""
        return sum(each * (min(length, most) if most else length) for each, most in self.caches)

    def on_one(self, requests: int, length: int, devices: int, kv_heads: int | None) -> float:
        """Return the bytes on each of several devices; without heads of keys every device has its share."""
        shares = min(devices, kv_heads or devices)
        each = self.growing(length) / shares + self.states / devices
        return self.weights / devices + requests * each


def memory_of(step: Workload) -> Memory:
    """Return what a decoder keeps, from a step of one new position of each request."""
    written: dict[int, int] = {}
    states = 0
    for layer in step.layers:
        if layer.op_type in _STATES:
            states += layer.cache_written_bytes
        elif layer.cache_written_bytes:
            most = int(layer.attributes.get("local_window_size", 0) or 0)
            written[most] = written.get(most, 0) + layer.cache_written_bytes
    return Memory(
        step.weight_bytes,
        tuple((size / step.batch, most) for most, size in written.items()),
        states / step.batch,
    )
