"""The operators of decoders as torch functions: attention over a key-value cache, and RMS normalization."""

# torch is optional and its stubs are partial; everything in this module is a torch call.
# pyright: basic

from __future__ import annotations

import importlib
from typing import Any

from roofline.node import Attributes
from roofline.validate.measuring.backend import UnsupportedModelError
from roofline.validate.torch_runtime.table import number, operator

torch: Any = importlib.import_module("torch")
functional: Any = importlib.import_module("torch.nn.functional")
bias: Any = importlib.import_module("torch.nn.attention.bias")

_UNKNOWN = ("local_window_size", "softcap", "rotary_interleaved", "smooth_softmax")
"""Attributes of GroupQueryAttention that are taken only with their defaults."""


@operator("RMSNormalization")
def _rms_norm(attributes: Attributes, data: Any, scale: Any) -> Any:
    axis = attributes.get("axis", -1) % data.dim()
    return functional.rms_norm(data, data.shape[axis:], scale, attributes.get("epsilon", 1e-5))


@operator("com.microsoft.GroupQueryAttention")
def _group_query_attention(
    attributes: Attributes,
    query: Any,
    key: Any,
    value: Any,
    past_key: Any,
    past_value: Any,
    lengths: Any,  # noqa: ARG001
    total: Any,
    cosine: Any = None,
    sine: Any = None,
    *rest: Any,
) -> Any:
    """Attend from S new positions to all of them and those of the cache; every position is valid.

    Args:
        attributes: ``num_heads``, ``kv_num_heads``, ``scale``, ``do_rotary``.
        query: N x S x heads·D; keys and values N x S x heads of keys·D.
        key: The new keys.
        value: The new values.
        past_key: N x heads x P x D. Where P is the length of all positions it is a buffer that past and present
            share, into which the new ones are written; otherwise they are appended.
        past_value: The like.
        lengths: The last valid position of each sequence; taken to be the last of all.
        total: Positions in all.
        cosine: Positions x D/2, of the rotation.
        sine: The like.
        rest: Masks and sinks, which are refused.

    Returns:
        N x S x heads·D, and the keys and values of all positions.
        https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.GroupQueryAttention
    """
    heads, groups = attributes["num_heads"], attributes["kv_num_heads"]
    odd = [name for name in _UNKNOWN if attributes.get(name, 0) not in {0, -1}]
    if odd or key is None or past_key is None or any(entry is not None for entry in rest):
        raise UnsupportedModelError(
            f"torch: GroupQueryAttention with {', '.join(odd) or 'packed or masked operands'}"
        )
    positions = int(number(total))
    new = query.shape[1]
    query = _in_heads(query, heads)
    key, value = _in_heads(key, groups), _in_heads(value, groups)
    if attributes.get("do_rotary", 0):
        turn = slice(positions - new, positions)
        query = _rotate(query, cosine[turn], sine[turn])
        key = _rotate(key, cosine[turn], sine[turn])
    keys, values = (
        _append(past, fresh, positions) for past, fresh in ((past_key, key), (past_value, value))
    )
    return _attend(query, keys, values, attributes.get("scale") or None), keys, values


def _attend(query: Any, keys: Any, values: Any, scale: float | None) -> Any:
    """Return what the last positions see of all, N x S x heads·D, each of none behind its own."""
    batch, heads, new, size = query.shape
    groups, positions = keys.shape[1:3]
    if new == 1:
        # The queries that share a head of keys are rows of one product, so that it is read once.
        rows = query.reshape(batch, groups, heads // groups, size)
        result = functional.scaled_dot_product_attention(rows, keys, values, scale=scale)
        return result.reshape(batch, 1, heads * size)
    whole = new == positions
    result = functional.scaled_dot_product_attention(
        query,
        keys,
        values,
        attn_mask=None if whole else bias.causal_lower_right(new, positions),
        is_causal=whole,
        scale=scale,
        enable_gqa=heads != groups,
    )
    return result.transpose(1, 2).flatten(2)


def _in_heads(data: Any, heads: int) -> Any:
    """Return N x S x heads·D as N x heads x S x D."""
    return data.unflatten(2, (heads, -1)).transpose(1, 2)


def _rotate(data: Any, cosine: Any, sine: Any) -> Any:
    """Return heads turned by their positions: the two halves of a head are a pair of coordinates."""
    width = cosine.shape[-1]
    first, second, rest = data.split([width, width, data.shape[-1] - 2 * width], dim=-1)
    return torch.cat(
        [first * cosine - second * sine, second * cosine + first * sine, rest], dim=-1
    )


def _append(past: Any, new: Any, positions: int) -> Any:
    """Return the cache with new positions at its end."""
    if past.shape[2] != positions:
        return torch.cat([past, new], dim=2)
    past[:, :, positions - new.shape[2] :] = new
    return past
