"""Inputs of decoders are bound by role under every spelling that exporters use, so that no sizes are asked for."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from roofline._load import decoder
from roofline.decoding.request import Request
from roofline.errors import DimensionError

F = TensorProto.FLOAT
HEADS, SIZE, VOCABULARY = 2, 4, 16


def graph(keys: str, values: str, tokens: str, mask: str, places: str) -> onnx.ModelProto:
    """Return one layer that looks tokens up, grows a cache by Concat and multiplies with it."""
    width = HEADS * SIZE
    cache = ["batch", HEADS, "past", SIZE]
    inputs = [
        helper.make_tensor_value_info(tokens, TensorProto.INT64, ["batch", "new"]),
        helper.make_tensor_value_info(mask, TensorProto.INT64, ["batch", "whole"]),
        helper.make_tensor_value_info(places, TensorProto.INT64, ["batch", "new"]),
        helper.make_tensor_value_info(keys, F, cache),
        helper.make_tensor_value_info(values, F, cache),
    ]
    nodes = [
        helper.make_node("Gather", ["table", tokens], ["x"]),
        helper.make_node("Gather", ["angles", places], ["angle"]),
        helper.make_node("Add", ["x", "angle"], ["y"]),
        helper.make_node("Reshape", ["y", "split"], ["z"]),
        helper.make_node("Transpose", ["z"], ["q"], perm=[0, 2, 1, 3]),
        helper.make_node("Concat", [keys, "q"], ["k"], axis=2),
        helper.make_node("Concat", [values, "q"], ["v"], axis=2),
        helper.make_node("Transpose", ["k"], ["kt"], perm=[0, 1, 3, 2]),
        helper.make_node("MatMul", ["q", "kt"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["weights"]),
        helper.make_node("MatMul", ["weights", "v"], ["o"]),
    ]
    outputs = [helper.make_tensor_value_info(name, F, None) for name in ("o", "k", "v")]
    stored = [
        helper.make_tensor("table", F, [VOCABULARY, width], [0.0] * VOCABULARY * width),
        helper.make_tensor("angles", F, [64, width], [0.0] * 64 * width),
        helper.make_tensor("split", TensorProto.INT64, [4], [0, 0, HEADS, SIZE]),
    ]
    made = helper.make_graph(nodes, "decoder", inputs, outputs, stored)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)])


SPELLINGS = [
    ("past_key_values.0.key", "past_key_values.0.value", "input_ids", "attention_mask", "position_ids"),
    ("past.0.key", "past.0.value", "input_ids", "attention_mask", "position_ids"),
    ("past_key_0", "past_value_0", "input_ids", "attention_mask", "position_ids"),
    ("past_key_self_0", "past_value_self_0", "decoder_input_ids", "decoder_attention_mask", "positions"),
    ("key_cache.0", "value_cache.0", "input_ids", "attn_mask", "cache_position"),
    ("cache_k_0", "cache_v_0", "tokens", "attention_mask", "input_pos"),
    ("layers.0.k_cache", "layers.0.v_cache", "input_tokens", "causal_mask", "pos_ids"),
    ("keyCache0", "valueCache0", "token_ids", "attention_mask", "position_ids"),
    ("model.layers.0.cached_key", "model.layers.0.cached_value", "input_ids", "attention_mask", "position_ids"),
]  # fmt: skip


@pytest.mark.parametrize("names", SPELLINGS, ids=lambda names: names[0])
def test_phases_bind_under_every_spelling_and_count_the_same(
    names: tuple[str, str, str, str, str], tmp_path: Path
) -> None:
    path = tmp_path / "decoder.onnx"
    onnx.save(graph(*names), path)
    found = decoder(path)
    assert found is not None
    assert [entry.name for entry in found.roles.caches] == [*names[:2]]
    assert [entry.name for entry in found.roles.masks] == [names[3]]
    assert [entry.name for entry in found.roles.places] == [names[4]]
    step = found.step(Request(40, 1), 3)
    # Scores and their products with values, of three requests with one new position behind 40.
    assert step.macs == 3 * HEADS * 2 * SIZE * 41
    assert sum(layer.cost.cache_read for layer in step.layers) == 3 * HEADS * SIZE * 41 * 2
    prompt = found.prompt(Request(40, 1), 1)
    assert prompt.macs > 0


def test_a_cache_of_no_known_name_is_named_as_a_candidate(tmp_path: Path) -> None:
    path = tmp_path / "decoder.onnx"
    onnx.save(graph("ring_a", "ring_b", "input_ids", "attention_mask", "position_ids"), path)
    with pytest.raises(DimensionError, match="'ring_a', 'ring_b' of 'decoder'") as caught:
        decoder(path)
    assert "past_key_values.0.key" in str(caught.value.repair)
