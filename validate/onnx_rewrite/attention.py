"""Attention over a key-value cache in plain operators: the cache and the new positions joined, two products, a softmax.

As it is measured: every position is valid, so that lengths come from shapes alone.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from roofline.node import Array
from roofline.validate.measuring.backend import UnsupportedModelError
from roofline.validate.onnx_rewrite.scope import Scope, attributes_of, operand

_HIDDEN = -1e30
"""Added to scores that a position does not see."""


def group_query(scope: Scope, node: Any) -> bool:
    """Write GroupQueryAttention out; a buffer that past and present share is read up to the new positions.

    Raises:
        UnsupportedModelError: It has packed operands, sinks, a softcap, or lengths that are not known before the run.
    """
    known = attributes_of(node)
    total = scope.find_value(operand(node, 6)) if operand(node, 6) else None
    odd = [name for name in ("softcap", "smooth_softmax", "rotary_interleaved") if known.get(name)]
    if odd or total is None or not operand(node, 1) or any(node.input[9:]):
        raise UnsupportedModelError(
            f"GroupQueryAttention with {', '.join(odd) or 'packed or masked operands, or open lengths'}"
        )
    heads, groups = known["num_heads"], known["kv_num_heads"]
    whole = int(total.reshape(-1)[0])
    batch, new, width = scope.shape(node.input[0])
    size = width // heads
    query, key, value = (
        _in_heads(scope, node.input[place], (batch, new, count, size))
        for place, count in ((0, heads), (1, groups), (2, groups))
    )
    if known.get("do_rotary"):
        angles = [scope.value(node.input[place]) for place in (7, 8)]
        fresh = slice(whole - new, whole)
        query, key = (_turn(scope, entry, angles, fresh, size) for entry in (query, key))
    keys, values = (
        _join(scope, node.input[place], added, whole - new)
        for place, added in ((3, key), (4, value))
    )
    # Queries that share a head of keys are rows of one product, so that it is read once.
    share = heads // groups
    rows = scope.call("Reshape", query, scope.integers(batch, groups, share * new, size))
    scores = scope.call("MatMul", rows, scope.call("Transpose", keys, perm=[0, 1, 3, 2]))
    factor = known.get("scale") or 1 / math.sqrt(size)
    scores = scope.call("Mul", scores, scope.constant(np.array(factor, np.float32), "scale"))
    hidden = _mask(new, whole, int(known.get("local_window_size", -1)))
    if hidden is not None:
        mask = scope.constant(np.tile(hidden, (share, 1)), "mask")
        scores = scope.call("Add", scores, mask)
    mixed = scope.call("MatMul", scope.call("Softmax", scores, axis=-1), values)
    apart = scope.call("Reshape", mixed, scope.integers(batch, heads, new, size))
    turned = scope.call("Transpose", apart, perm=[0, 2, 1, 3])
    scope.emit("Reshape", [turned, scope.integers(batch, new, width)], [node.output[0]])
    for name, result in zip(node.output[1:3], (keys, values), strict=False):
        scope.bind(name, result)
    return True


def _in_heads(scope: Scope, name: str, dims: tuple[int, int, int, int]) -> str:
    return scope.call(
        "Transpose", scope.call("Reshape", name, scope.integers(*dims)), perm=[0, 2, 1, 3]
    )


def _turn(scope: Scope, name: str, angles: list[Array | None], positions: slice, size: int) -> str:
    """Turn heads by their positions: the two halves of a head are a pair of coordinates."""
    cosine, sine = angles
    if cosine is None or sine is None or 2 * cosine.shape[1] != size:
        raise UnsupportedModelError(
            "GroupQueryAttention whose angles are not stored, or of a part of a head"
        )
    tables = [
        scope.constant(np.asarray(table[positions], np.float32)[None, None], hint)
        for table, hint in ((cosine, "cosine"), (sine, "sine"))
    ]
    first, second = (
        scope.call("Slice", name, scope.integers(a), scope.integers(b), scope.integers(3))
        for a, b in ((0, size // 2), (size // 2, size))
    )

    def product(left: str, right: str) -> str:
        return scope.call("Mul", left, right)

    return scope.call(
        "Concat",
        scope.call("Sub", product(first, tables[0]), product(second, tables[1])),
        scope.call("Add", product(second, tables[0]), product(first, tables[1])),
        axis=-1,
    )


def _join(scope: Scope, past: str, fresh: str, held: int) -> str:
    """Return the positions that a cache holds, and the new ones behind them."""
    if not held:
        return fresh
    if scope.shape(past)[2] != held:
        past = scope.call(
            "Slice", past, scope.integers(0), scope.integers(held), scope.integers(2)
        )
    return scope.call("Concat", past, fresh, axis=2)


def _mask(new: int, whole: int, window: int) -> Array | None:
    """Return what is added to the scores of each new position; None where it sees all."""
    place = np.arange(whole - new, whole)[:, None]
    other = np.arange(whole)
    seen = other <= place
    if window > 0:
        seen &= other > place - window
    return None if seen.all() else np.where(seen, 0.0, _HIDDEN).astype(np.float32)
