"""How exporters name the inputs of decoders: onnxruntime-genai, optimum, mobius, and those that wrote their own."""

from __future__ import annotations

import re

CACHES = re.compile(
    r"""
    (^|[._/])(past|cache|kv)[._/]?          # past_key_values.0.key, past.0.key, past_key_self_0, cache_k_0, kv_cache.0
    | past_?(key|value|kv)                  # model.past_key_0, pastKey0
    | (key|value|\bk|\bv|_k|_v)_?cache      # key_cache.0, layers.0.k_cache, keyCache0
    | cached?_?(key|value)                  # layers.0.cached_key
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""Past keys and values; inputs of three dimensions and more, so that cache_position is none."""
STATES = re.compile(r"(conv|recurrent|ssm|linear)_?state", re.IGNORECASE)
"""States of fixed size, among past keys and values: past_key_values.0.conv_state, past_key_values.0.recurrent_state."""
TOKENS = frozenset({
    "input_ids", "inputs_embeds", "input_embeds", "decoder_input_ids", "decoder_inputs_embeds", "tokens", "token_ids",
    "input_tokens",
})  # fmt: skip
"""Token numbers, or the vectors that stand for them."""
MASKS = frozenset({"attention_mask", "decoder_attention_mask", "attn_mask", "causal_mask"})
PLACES = frozenset({
    "position_ids", "decoder_position_ids", "cache_position", "positions", "pos_ids", "input_pos",
})  # fmt: skip
"""Positions of the new tokens."""
WHOLE = frozenset({"total_sequence_length", "total_seq_len", "total_seq_length"})
"""Past and new positions together."""
PAST = frozenset({"past_sequence_length", "past_seq_len", "past_seq_length"})
VALID = frozenset({"seqlens_k", "seqlens", "sequence_lengths"})
"""Valid positions less one, as GroupQueryAttention has them."""
BRANCH = frozenset({"use_cache_branch"})
"""Whether the graph takes the branch behind a cache."""
EXAMPLES = "past_key_values.0.key and past_key_values.0.value"
