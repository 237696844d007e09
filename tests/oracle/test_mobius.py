"""Decoders that mobius exports, beside the shipped definitions of the same sizes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from roofline.decoding.phases import Decoding, find_decoding
from roofline.decoding.request import Request
from roofline.model import at_precision, predict
from roofline.spec import platform
from roofline.workloads import Decoder, DecoderNetwork

mobius: Any = pytest.importorskip("mobius", reason="mobius-onnx is not installed")

SIZES: dict[str, Any] = {
    "layers": 8, "hidden": 256, "heads": 8, "kv_heads": 2, "head_size": 64, "mlp": 768, "vocabulary": 4000,
    "positions": 2048,
}  # fmt: skip
FAMILIES: dict[str, dict[str, Any]] = {
    "CausalLMModel": {},
    "Qwen3CausalLMModel": {"qk_norm": True},
}


def exported(family: str, provider: str, folder: Path, *, tied: bool, **further: Any) -> Decoding:
    """Return mobius's graph of a decoder, its weights declared and nowhere stored."""
    ir = pytest.importorskip("onnx_ir")
    config = mobius.ArchitectureConfig(
        vocab_size=4000, hidden_size=256, intermediate_size=768, num_hidden_layers=8, num_attention_heads=8,
        num_key_value_heads=2, head_dim=64, hidden_act="silu", pad_token_id=0, tie_word_embeddings=tied,
        max_position_embeddings=2048, rope_type="default", rope_theta=1e4, dtype=ir.DataType.FLOAT16,
        attn_qk_norm=family == "Qwen3CausalLMModel", **further,
    )  # fmt: skip
    module = getattr(mobius.models, family)(config)
    model = mobius.build_from_module(module, config, execution_provider=provider)["model"]
    for value in model.graph.initializers.values():
        if value.const_value is None:
            size = 2 * math.prod(value.shape)
            value.const_value = ir.ExternalTensor(
                "none.bin",
                0,
                size,
                value.dtype,
                shape=value.shape,
                name=value.name,
                base_dir=folder,
            )
    found = find_decoding("exported", ir.serde.serialize_model(model))
    assert found is not None
    return found


@pytest.mark.slow
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "apart"])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("provider", ["default", "cuda"])  # ai.onnx Attention; GroupQueryAttention
def test_an_export_counts_as_the_definition_of_its_sizes(
    family: str, provider: str, *, tied: bool, tmp_path: Path
) -> None:
    sizes = Decoder(**SIZES, **FAMILIES[family], tied=tied)
    shipped = find_decoding("own", DecoderNetwork("own", "own", "a test, 2025", sizes).build())
    assert shipped is not None
    graph = exported(family, provider, tmp_path, tied=tied)
    assert (graph.roles.positions, graph.roles.hidden) == (2048, 256)
    ask = Request(context=700)
    ours, theirs = shipped.step(ask, 3), graph.step(ask, 3)
    assert not theirs.unknown_layers
    assert theirs.parameters == ours.parameters == sizes.parameters
    assert theirs.macs == ours.macs
    # Rows of the tables of angles are read once, or by each layer.
    rows = 2 * 3 * 32 * 2 * 8
    assert theirs.traffic_bytes("weights") == pytest.approx(
        ours.traffic_bytes("weights"), abs=rows
    )
    for datatype in ("q4_k_m", "fp8", "w4a16kv8"):
        mine, other = (at_precision(counted, datatype) for counted in (ours, theirs))
        assert other.weight_bytes == pytest.approx(mine.weight_bytes, rel=1e-3), datatype
        assert other.traffic_bytes("weights") == pytest.approx(
            mine.traffic_bytes("weights"), rel=1e-3
        ), datatype
    # mobius projects every position of the prompt to the vocabulary, the shipped graphs the last.
    every = (700 - 1) * 3 * 4000 * 256
    assert graph.prompt(ask, 3).macs == shipped.prompt(ask, 3).macs + every


@pytest.mark.slow
@pytest.mark.parametrize("family", ["MoECausalLMModel", "GPTOSSCausalLMModel"])
def test_experts_that_an_export_unrolls_are_no_bound(family: str, tmp_path: Path) -> None:
    further = {"num_local_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 128}
    graph = exported(family, "cuda", tmp_path, tied=False, **further)
    assert graph.experts is not None
    assert (graph.experts.count, graph.experts.chosen) == (8, 2)
    # Three products of eight experts in each of eight layers.
    assert len(graph.experts.products) == 3 * 8 * 8
    step = graph.step(Request(context=700), 3)
    assert step.at_most
    assert any("computes all 8 experts" in note for note in step.notes)
    row = predict(step, platform("h100-sxm"), datatype="fp16")
    assert not row.upper_bound
    assert exported("CausalLMModel", "cuda", tmp_path, tied=False).experts is None
