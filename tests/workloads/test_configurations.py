"""Configurations of published decoders, by the keys of their files on huggingface.co, against their parameters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import roofline
from roofline.errors import NetworkError
from roofline.workloads.hugging_face import read_config

# Elements that huggingface.co shows of each checkpoint's safetensors.
PUBLISHED: dict[str, tuple[int, dict[str, Any]]] = {
    "Qwen2.5-0.5B": (
        494_032_768,
                {"model_type": "qwen2", "hidden_size": 896, "num_hidden_layers": 24, "num_attention_heads": 14,
            "num_key_value_heads": 2, "intermediate_size": 4864, "vocab_size": 151936, "max_position_embeddings":
            32768, "tie_word_embeddings": True, "sliding_window": 32768, "use_sliding_window": False,
            "max_window_layers": 24},
    ),
    "Qwen3-30B-A3B": (
        30_532_122_624,
                {"model_type": "qwen3_moe", "hidden_size": 2048, "num_hidden_layers": 48, "num_attention_heads": 32,
            "num_key_value_heads": 4, "head_dim": 128, "intermediate_size": 6144, "moe_intermediate_size": 768,
            "num_experts": 128, "num_experts_per_tok": 8, "vocab_size": 151936, "max_position_embeddings": 40960,
            "tie_word_embeddings": False, "decoder_sparse_step": 1, "mlp_only_layers": [], "norm_topk_prob": True},
    ),
    "Mistral-7B-v0.3": (
        7_248_023_552,
                {"model_type": "mistral", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
            "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 32768, "max_position_embeddings":
            32768, "sliding_window": None, "tie_word_embeddings": False},
    ),
    "Mixtral-8x7B": (
        46_702_792_704,
                {"model_type": "mixtral", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
            "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 32000, "max_position_embeddings":
            32768, "num_local_experts": 8, "num_experts_per_tok": 2, "sliding_window": None, "tie_word_embeddings":
            False},
    ),
    "Phi-3-mini-4k": (
        3_821_079_552,
                {"model_type": "phi3", "hidden_size": 3072, "num_hidden_layers": 32, "num_attention_heads": 32,
            "num_key_value_heads": 32, "intermediate_size": 8192, "vocab_size": 32064, "max_position_embeddings":
            4096, "original_max_position_embeddings": 4096, "sliding_window": 2047, "tie_word_embeddings": False},
    ),
    "gemma-2b": (
        2_506_172_416,
                {"model_type": "gemma", "hidden_size": 2048, "num_hidden_layers": 18, "num_attention_heads": 8,
            "num_key_value_heads": 1, "head_dim": 256, "intermediate_size": 16384, "vocab_size": 256000,
            "max_position_embeddings": 8192},
    ),
    "gemma-2-2b": (
        2_614_341_888,
                {"model_type": "gemma2", "hidden_size": 2304, "num_hidden_layers": 26, "num_attention_heads": 8,
            "num_key_value_heads": 4, "head_dim": 256, "intermediate_size": 9216, "vocab_size": 256000,
            "max_position_embeddings": 8192, "sliding_window": 4096, "attn_logit_softcapping": 50.0,
            "final_logit_softcapping": 30.0},
    ),
    "gemma-3-1b": (
        999_885_952,
                {"model_type": "gemma3_text", "hidden_size": 1152, "num_hidden_layers": 26, "num_attention_heads":
            4, "num_key_value_heads": 1, "head_dim": 256, "intermediate_size": 6912, "vocab_size": 262144,
            "max_position_embeddings": 32768, "sliding_window": 512, "sliding_window_pattern": 6},
    ),
    "OLMo-2-13B": (
        13_716_198_400,
                {"model_type": "olmo2", "hidden_size": 5120, "num_hidden_layers": 40, "num_attention_heads": 40,
            "num_key_value_heads": 40, "intermediate_size": 13824, "vocab_size": 100352, "max_position_embeddings":
            4096, "tie_word_embeddings": False},
    ),
    "SmolLM3-3B": (
        3_075_098_624,
                {"model_type": "smollm3", "hidden_size": 2048, "num_hidden_layers": 36, "num_attention_heads": 16,
            "num_key_value_heads": 4, "intermediate_size": 11008, "vocab_size": 128256, "max_position_embeddings":
            65536, "tie_word_embeddings": True, "use_sliding_window": False, "no_rope_layer_interval": 4},
    ),
    "TinyLlama-1.1B": (
        1_100_048_384,
                {"model_type": "llama", "hidden_size": 2048, "num_hidden_layers": 22, "num_attention_heads": 32,
            "num_key_value_heads": 4, "intermediate_size": 5632, "vocab_size": 32000, "max_position_embeddings":
            2048, "tie_word_embeddings": False},
    ),
}  # fmt: skip


def configured(folder: Path, name: str, **changes: Any) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps({**PUBLISHED[name][1], **changes}))
    return path


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_configuration_has_the_published_parameters(name: str, tmp_path: Path) -> None:
    assert read_config(configured(tmp_path, name)).sizes.parameters == PUBLISHED[name][0]


@pytest.mark.parametrize("name", ["gemma-2-2b", "gemma-3-1b", "OLMo-2-13B"])
def test_the_graph_of_a_family_has_them_and_counts_whole(name: str, tmp_path: Path) -> None:
    counted = roofline.load(configured(tmp_path, name))
    assert counted.parameters == PUBLISHED[name][0]
    assert not counted.unknown_layers


def test_the_family_may_be_in_capitals(tmp_path: Path) -> None:
    path = configured(tmp_path, "TinyLlama-1.1B", model_type="LLAMA")
    assert read_config(path).sizes.parameters == PUBLISHED["TinyLlama-1.1B"][0]


@pytest.mark.parametrize("family", ["deepseek_v3", "jamba", "gemma3", "qwen2_moe", "olmo"])
def test_other_families_are_refused_by_name_with_the_way_out(family: str, tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match=f"model_type '{family}'") as caught:
        roofline.load(configured(tmp_path, "TinyLlama-1.1B", model_type=family))
    assert "export the network to ONNX" in caught.value.repair


@pytest.mark.parametrize(
    ("sizes", "repair"),
    [
        ({"num_key_value_heads": 3}, "num_key_value_heads that divides num_attention_heads"),
        ({"num_hidden_layers": 10**6}, "Give fewer num_hidden_layers"),
    ],
)
def test_sizes_that_do_not_fit_are_mended_by_the_keys_of_the_file(
    sizes: dict[str, int], repair: str, tmp_path: Path
) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(PUBLISHED["Mistral-7B-v0.3"][1] | sizes))
    with pytest.raises(NetworkError, match=repair) as caught:
        read_config(path)
    assert str(path) in caught.value.message


def test_every_second_layer_of_gemma_2_sees_a_window(tmp_path: Path) -> None:
    sizes = read_config(configured(tmp_path, "gemma-2-2b")).sizes
    assert [sizes.is_windowed(layer) for layer in range(4)] == [True, False, True, False]
    assert (sizes.cap, sizes.final_cap, sizes.tied) == (50.0, 30.0, True)
