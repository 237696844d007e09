"""Attention and recurrence: closed forms at the real lengths, cache included."""

from __future__ import annotations

import numpy as np
import pytest

from roofline.errors import DimensionError, ModelError


def test_both_products_are_macs(call):
    attention = call("Attention", *[(1, 8, 128, 64)] * 3, version=23, results=4)
    assert [kind[0] for kind in attention.types] == [(1, 8, 128, 64)] * 3 + [(1, 8, 128, 128)]
    assert attention.cost.macs == 2 * 8 * 128 * 128 * 64
    assert attention.cost.other_ops == 8 * 128 * 128 * 6  # scale, softmax


def test_heads_side_by_side_and_a_cache(call):
    query, key, value = (2, 5, 8 * 16), (2, 5, 4 * 16), (2, 5, 4 * 24)
    attention = call(
        "Attention", query, key, value, None, (2, 4, 11, 16), (2, 4, 11, 24), q_num_heads=8, kv_num_heads=4,
        softcap=2.0, version=24, results=3,
    )  # fmt: skip
    assert [kind[0] for kind in attention.types[:3]] == [
        (2, 5, 8 * 24),
        (2, 4, 16, 16),
        (2, 4, 16, 24),
    ]
    assert attention.cost.macs == 2 * 8 * 5 * (5 + 11) * (16 + 24)
    assert attention.cost.other_ops == 2 * 8 * 5 * 16 * (6 + 3)


def test_projections_are_counted_where_the_operator_has_them(call):
    attention = call(
        "Attention",
        (2, 128, 768),
        (768, 3 * 768),
        (3 * 768,),
        domain="com.microsoft",
        num_heads=12,
    )
    assert attention.shape == (2, 128, 768)
    projection = 2 * 128 * 768 * 3 * 768
    assert attention.cost.macs == projection + 2 * (2 * 12 * 128 * 128 * 64)
    quantized = call(
        "QAttention", ((2, 128, 768), "uint8"), ((768, 3 * 768), "int8"), (3 * 768,), (), (), domain="com.microsoft",
        num_heads=12,
    )  # fmt: skip
    assert quantized.cost.macs == attention.cost.macs
    assert quantized.dtype == "fp32"


def test_multi_head_attention_over_a_cache(call):
    past = (1, 12, 100, 64)
    attention = call(
        "MultiHeadAttention", *[(1, 1, 768)] * 3, None, None, None, past, past, domain="com.microsoft", num_heads=12,
        results=3,
    )  # fmt: skip
    assert attention.types[1][0] == (1, 12, 101, 64)
    assert attention.cost.macs == 2 * 12 * 1 * 101 * 64


def test_grouped_heads_over_a_cache(call):
    past = (1, 8, 100, 128)
    attention = call(
        "GroupQueryAttention", (1, 1, 32 * 128), (1, 1, 8 * 128), (1, 1, 8 * 128), past, past, ((1,), "int32"),
        ((), "int32"), domain="com.microsoft", num_heads=32, kv_num_heads=8, results=3,
    )  # fmt: skip
    assert attention.shape == (1, 1, 32 * 128)
    assert attention.types[1][0] == (1, 8, 101, 128)
    assert attention.cost.macs == 2 * 32 * 1 * 101 * 128  # every query head, whatever it shares


def test_a_shared_buffer_is_read_as_far_as_it_is_used(call):
    past, used = (1, 8, 2048, 128), np.array(101, np.int32)
    attention = call(
        "GroupQueryAttention", (1, 1, 32 * 128), (1, 1, 8 * 128), (1, 1, 8 * 128), past, past, ((1,), "int32"), used,
        domain="com.microsoft", num_heads=32, kv_num_heads=8, results=3,
    )  # fmt: skip
    assert attention.types[1][0] == (1, 8, 2048, 128)
    assert attention.cost.macs == 2 * 32 * 1 * 101 * 128


def test_linear_attention_reads_and_writes_its_state(call):
    operands = (1, 7, 4 * 8), (1, 7, 2 * 8), (1, 7, 2 * 6)
    options = {"q_num_heads": 4, "kv_num_heads": 2, "results": 2}
    linear = call("LinearAttention", *operands, update_rule="linear", **options)
    assert [kind[0] for kind in linear.types] == [(1, 7, 4 * 6), (1, 2, 8, 6)]
    assert linear.cost.macs == 7 * (2 * 8 * 6 + 4 * 8 * 6)
    delta = call("LinearAttention", *operands, update_rule="delta", **options)
    assert delta.cost.macs == 7 * (2 * 2 * 8 * 6 + 4 * 8 * 6)


def test_rotation(call):
    assert (
        call("RotaryEmbedding", (1, 8, 5, 64), (50, 32), (50, 32)).cost.other_ops == 3 * 8 * 5 * 64
    )
    part = call(
        "RotaryEmbedding", (1, 5, 8 * 64), (50, 16), (50, 16), num_heads=8, rotary_embedding_dim=32
    )
    assert part.cost.other_ops == 3 * 8 * 5 * 32


def test_experts(call):
    moe = call("MoE", (6, 8), (6, 4), (4, 16, 8), (4, 16), (4, 8, 16), domain="com.microsoft", k=2)
    assert moe.cost.macs == 6 * 2 * (16 * 8 + 8 * 16)
    packed = call(
        "QMoE", (6, 8), (6, 4), ((4, 16, 4), "uint8"), (4, 16), None, ((4, 8, 8), "uint8"), (4, 8),
        domain="com.microsoft", k=2, expert_weight_bits=4,
    )  # fmt: skip
    assert packed.cost.macs == moe.cost.macs


@pytest.mark.parametrize(
    ("op_type", "gates", "per_unit"),
    [
        # sums and biases of the gates, activations, and the state's update
        ("RNN", 1, 2 + 1),
        ("GRU", 3, 3 * 2 + (2 * 4 + 1) + 5),
        ("LSTM", 4, 4 * 2 + (3 * 4 + 1 + 1) + 4),
    ],
)
@pytest.mark.parametrize(("direction", "count"), [("forward", 1), ("bidirectional", 2)])
def test_recurrence_over_all_steps_and_directions(
    call, op_type, gates, per_unit, direction, count
):
    steps, batch, features, hidden = 100, 2, 48, 64
    cell = call(
        op_type, (steps, batch, features), (count, gates * hidden, features), (count, gates * hidden, hidden),
        (count, 2 * gates * hidden), hidden_size=hidden, direction=direction, results=2,
    )  # fmt: skip
    assert [kind[0] for kind in cell.types[:2]] == [
        (steps, count, batch, hidden),
        (count, batch, hidden),
    ]
    assert cell.cost.macs == steps * batch * count * gates * hidden * (features + hidden)
    assert cell.cost.other_ops == steps * batch * count * hidden * per_unit


def test_batch_first_layout(call):
    cell = call(
        "LSTM", (2, 100, 48), (1, 256, 48), (1, 256, 64), hidden_size=64, layout=1, results=3
    )
    assert [kind[0] for kind in cell.types] == [(2, 100, 1, 64), (2, 1, 64), (2, 1, 64)]


def test_broken_heads(call):
    with pytest.raises(ModelError, match="multiple of"):
        _ = call("Attention", (1, 6, 4, 8), (1, 4, 4, 8), (1, 4, 4, 8)).shape
    with pytest.raises(ModelError, match="'q_num_heads' is missing"):
        _ = call("Attention", (1, 4, 8), (1, 4, 8), (1, 4, 8)).shape
    with pytest.raises(ModelError, match="hidden_size"):
        _ = call("LSTM", (5, 1, 4), (1, 12, 4), (1, 12, 3), hidden_size=4).shape
    with pytest.raises(DimensionError, match="cache"):
        _ = call("Attention", *[(1, 8, None, 64)] * 3).cost


def test_a_shared_buffer_of_projected_attention_is_read_as_far_as_it_is_used(call):
    """Of a buffer of 2,048 positions the stated past is attended to, and the new ones."""
    attention = call(
        "Attention", (1, 3, 768), (768, 3 * 768), (3 * 768,), None, (2, 1, 12, 2048, 64), None,
        np.array(101, np.int32), domain="com.microsoft", num_heads=12, past_present_share_buffer=1, results=2,
    )  # fmt: skip
    assert attention.cost.macs == 3 * 768 * 3 * 768 + 2 * 12 * 3 * (3 + 101) * 64
