"""Decoders from their sizes: parameters as published, counts in closed form, configurations on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import roofline
from roofline._load import decoder
from roofline.decoding.memory import memory_of
from roofline.decoding.phases import find_decoding
from roofline.decoding.request import Request
from roofline.errors import DimensionError, NetworkError, OptionError
from roofline.serving import serve
from roofline.workloads import Decoder, DecoderNetwork, build, decoders

from ..cli_process import roofline as run

# Elements of the published checkpoints (the "total parameters" that huggingface.co shows of their safetensors);
# gpt-oss as its model card, Table 1: 116.83 and 20.91 billion.
PUBLISHED = {
    "llama31_8b": 8_030_261_248,
    "llama31_70b": 70_553_706_496,
    "llama32_1b": 1_235_814_400,
    "llama32_3b": 3_212_749_824,
    "qwen3_32b": 32_762_123_264,
    "qwen3_235b_a22b": 235_093_634_560,
    "gpt_oss_20b": 20_914_757_184,
    "gpt_oss_120b": 116_829_156_672,
    "smollm2_135m": 134_515_008,
    "smollm2_360m": 361_821_120,
    "qwen3_0_6b": 596_049_920,
    # The same totals, as code and file headers (GGUF) in public repositories quote them. Of Gemma 3 from
    # 4B on they are of the decoder of its text.
    "llama2_7b": 6_738_415_616,
    "llama2_13b": 13_015_864_320,
    "llama2_70b": 68_976_648_192,
    "mistral_7b": 7_248_023_552,
    "mistral_small_24b": 23_572_403_200,
    "mixtral_8x7b": 46_702_792_704,
    "qwen25_0_5b": 494_032_768,
    "qwen25_1_5b": 1_543_714_304,
    "qwen25_3b": 3_085_938_688,
    "qwen25_7b": 7_615_616_512,
    "qwen25_14b": 14_770_033_664,
    "qwen25_32b": 32_763_876_352,
    "qwen25_72b": 72_706_203_648,
    "qwen3_1_7b": 1_720_574_976,
    "qwen3_4b": 4_022_468_096,
    "qwen3_8b": 8_190_735_360,
    "qwen3_14b": 14_768_307_200,
    "qwen3_30b_a3b": 30_532_122_624,
    "gemma2_9b": 9_241_705_984,
    "gemma2_27b": 27_227_128_320,
    "gemma3_1b": 999_885_952,
    "gemma3_4b": 3_880_263_168,
    "gemma3_12b": 11_766_034_176,
    "gemma3_27b": 27_009_346_304,
    "smollm2_1_7b": 1_711_376_384,
    "tinyllama_1_1b": 1_100_048_384,
    "qwen35_0_8b": 752_393_024,
    "qwen35_2b": 1_881_825_088,
    "qwen35_4b": 4_205_751_296,
    "qwen35_9b": 8_953_803_264,
    "qwen35_27b": 26_895_998_464,
    "qwen35_35b_a3b": 34_660_610_688,
    "qwen35_122b_a10b": 122_111_526_912,
    "qwen35_397b_a17b": 396_346_350_336,
    "qwen3_next_80b_a3b": 79_674_391_296,
}
SMALL: dict[str, Any] = {
    "layers": 2, "hidden": 64, "heads": 4, "kv_heads": 2, "head_size": 24, "vocabulary": 100, "positions": 512,
}  # fmt: skip
FAMILIES: dict[str, dict[str, Any]] = {
    "dense": {"mlp": 160},
    "tied": {"mlp": 160, "tied": True},
    "normed": {"mlp": 160, "qk_norm": True, "qkv_bias": True, "output_bias": True},
    "mixture": {"experts": 8, "active": 2, "expert_mlp": 48},
    "hybrid": {
        "mlp": 160, "linear_heads": 4, "linear_key_heads": 2, "linear_size": 16, "kernel": 4, "full_every": 2,
        "gated": True, "rotary": 16, "head_size": 32,
    },
    "hybrid mixture": {
        "experts": 8, "active": 2, "expert_mlp": 48, "shared_mlp": 32, "linear_heads": 2, "linear_key_heads": 2,
        "linear_size": 16, "kernel": 3, "full_every": 2, "gated": True,
    },
    "windowed": {
        "experts": 8, "active": 2, "expert_mlp": 48, "expert_bias": True, "sinks": True, "window": 16, "full_every": 2,
    },
}  # fmt: skip
CONFIG: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
    "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 128256, "max_position_embeddings": 131072,
    "tie_word_embeddings": False, "rope_theta": 500000.0, "torch_dtype": "bfloat16", "rms_norm_eps": 1e-5,
}  # fmt: skip


def made(**sizes: Any) -> DecoderNetwork:
    return DecoderNetwork("small", "small", "a test, 2025", Decoder(**{**SMALL, **sizes}))


@pytest.mark.parametrize("key", decoders)
def test_parameters_are_the_published_ones(key: str) -> None:
    assert decoders.get(key).sizes.parameters == PUBLISHED[key]


@pytest.mark.parametrize("key", ["llama31_8b", "llama32_1b", "gpt_oss_20b"])
def test_the_graph_has_the_published_parameters_and_counts_whole(key: str) -> None:
    counted = roofline.load(key)
    assert counted.parameters == PUBLISHED[key]
    assert not counted.unknown_layers


@pytest.mark.parametrize("name", FAMILIES)
def test_the_graph_is_valid_and_has_the_closed_form_of_parameters(name: str) -> None:
    network = made(**FAMILIES[name])
    model = network.build()
    assert all(not tensor.raw_data for tensor in model.graph.initializer if tensor.data_type == 10)
    bound = find_decoding("small", model)
    assert bound is not None
    counted = bound.step(Request(context=40), 1)
    assert counted.parameters == network.sizes.parameters
    assert not counted.unknown_layers
    onnx.checker.check_model(network.build(weights="random"))


@pytest.mark.parametrize(("requests", "context"), [(1, 40), (3, 40), (2, 7)])
def test_a_step_and_a_prompt_in_closed_form(requests: int, context: int) -> None:
    sizes = made(**FAMILIES["dense"]).sizes
    bound = find_decoding("small", made(**FAMILIES["dense"]).build())
    assert bound is not None
    queries, keys = 4 * 24, 2 * 24
    layer = 64 * (2 * queries + 2 * keys) + 3 * 64 * 160
    head = 64 * 100
    step = bound.step(Request(context=context), requests)
    attention = 2 * queries * (context + 1)
    assert step.macs == requests * (2 * (layer + attention) + head)
    weights = sizes.parameters - 100 * 64 + requests * 64
    angles = 2 * requests * 12  # one row of cosines and one of sines, which every layer shares
    cache = requests * 2 * 2 * keys * (context + 1)
    assert step.traffic_bytes("weights") == pytest.approx(
        2 * (weights + angles + cache), abs=2 * 2 * 24 * requests
    )
    prompt = bound.prompt(Request(context=context), requests)
    seen = context * (context + 1) // 2
    assert prompt.macs == requests * (2 * (context * layer + 2 * queries * seen) + head)


def test_experts_are_read_by_expectation_and_multiplied_by_choice() -> None:
    bound = find_decoding("small", made(**FAMILIES["mixture"]).build())
    assert bound is not None
    one, many = (bound.step(Request(context=40), requests) for requests in (1, 5))
    expert = 3 * 64 * 48
    grown = many.weight_read_bytes() - one.weight_read_bytes()
    distinct = 8 * (1 - (1 - 2 / 8) ** 5) - 2
    assert grown == pytest.approx(2 * 2 * expert * distinct, rel=0.02)
    assert many.macs == 5 * one.macs


def test_a_window_bounds_the_cache_of_every_second_layer() -> None:
    plain = {**FAMILIES["windowed"], "window": 0, "full_every": 0}
    shorter, whole = (
        find_decoding("small", made(**sizes).build()) for sizes in (FAMILIES["windowed"], plain)
    )
    assert shorter is not None
    assert whole is not None
    ask = Request(context=40)
    saved = whole.step(ask, 1).traffic_bytes("weights") - shorter.step(ask, 1).traffic_bytes(
        "weights"
    )
    assert saved == 2 * 2 * 2 * 24 * (40 - 15)


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({"mlp": 8, "kv_heads": 3}, "4 heads cannot share 3"),
        ({}, "mlp or experts"),
        ({"experts": 4, "active": 5, "expert_mlp": 8}, "5 of 4 experts"),
        ({"mlp": 8, "layers": 0}, "layers is 0"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(sizes: dict[str, Any], said: str) -> None:
    with pytest.raises(NetworkError, match=said):
        Decoder(**{**SMALL, **sizes})


def test_random_weights_that_no_file_holds_are_refused() -> None:
    with pytest.raises(OptionError, match="2 GB"):
        build("llama31_8b", weights="random")


def configured(folder: Path, **changes: Any) -> Path:
    path = folder / "config.json"
    kept = {key: value for key, value in {**CONFIG, **changes}.items() if value is not ...}
    path.write_text(json.dumps(kept))
    return path


def test_a_configuration_counts_as_the_shipped_decoder(tmp_path: Path) -> None:
    counted, shipped = roofline.load(configured(tmp_path)), roofline.load("llama31_8b")
    assert (counted.parameters, counted.macs) == (shipped.parameters, shipped.macs)


def test_a_mixture_with_windows_by_its_configuration(tmp_path: Path) -> None:
    kinds = ["sliding_attention", "full_attention"] * 12
    path = configured(
        tmp_path, model_type="gpt_oss", hidden_size=2880, num_hidden_layers=24, num_attention_heads=64, head_dim=64,
        intermediate_size=2880, vocab_size=201088, num_local_experts=32, num_experts_per_tok=4, sliding_window=128,
        layer_types=kinds, attention_bias=True,
    )  # fmt: skip
    from roofline.workloads.hugging_face import read_config

    assert read_config(path).sizes == decoders.get("gpt_oss_20b").sizes


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hidden_size": ...}, "'hidden_size' is missing"),
        ({"kv_lora_rank": 512}, "'kv_lora_rank'"),
        ({"model_type": "deepseek_v3"}, "model_type 'deepseek_v3'"),
        ({"num_hidden_layers": "many"}, "num_hidden_layers is 'many'"),
        ({"mlp_bias": True}, "mlp_bias"),
    ],
)
def test_a_configuration_that_is_not_understood_is_one_line(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(NetworkError, match=said):
        roofline.load(configured(tmp_path, **changes))


def test_a_scaffold_of_a_decoder_counts_whole(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    assert run("networks", "new", "mine", "--decoder", "-o", path).code == 0
    done = run("networks", "check", path)
    assert done.code == 0, done.err
    assert "mine: OK" in done.out


def test_a_cache_whose_tokens_cannot_be_told_is_refused_with_candidates() -> None:
    model = made(**FAMILIES["dense"]).build()
    model.graph.input[0].name = "words"
    with pytest.raises(DimensionError, match="'words'"):
        find_decoding("small", model)


def test_a_cache_whose_head_size_is_left_open_takes_that_of_the_projection() -> None:
    """onnxruntime-genai 0.18 names the last dimension of its caches instead of stating it."""
    model = made(**FAMILIES["dense"]).build()
    for entry in model.graph.input:
        if entry.name.startswith("past_key_values"):
            entry.type.tensor_type.shape.dim[3].dim_param = "kv_cache_dim"
    bound, plain = (
        find_decoding("open", model),
        find_decoding("plain", made(**FAMILIES["dense"]).build()),
    )
    assert bound is not None
    assert plain is not None
    assert bound.roles.head_size == 24
    ask = Request(context=40)
    assert bound.step(ask, 2).macs == plain.step(ask, 2).macs


@pytest.mark.parametrize(
    ("quantization", "stored"),
    [
        ({"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True}, "w4a16"),
        ({"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": False}, "w4a16"),
        ({"quant_method": "gptq", "bits": 3, "group_size": 128}, "w3a16"),
        ({"quant_method": "gptq", "bits": 4, "group_size": 32}, "fp16"),
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, "fp8"),
        ({"quant_method": "mxfp4"}, "mxfp4"),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, "nvfp4"),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4", "kv_cache_quant_algo": None}, "nvfp4"),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4", "kv_cache_quant_algo": "FP8"}, "nvfp4kv8"),
        ({"quant_method": "modelopt", "quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}, "fp8"),
        ({"quant_method": "modelopt", "quant_algo": "FP8", "kv_cache_quant_algo": "NVFP4"}, "fp8kv4"),
        ({"quant_method": "modelopt", "quant_algo": "FP8", "kv_cache_quant_algo": "other"}, "fp16"),
        ({"quant_method": "modelopt", "quant_algo": "FP8", "kv_cache_quant_algo": ["FP8"]}, "fp16"),
        ({}, "fp16"),
        ({"quant_method": "awq", "bits": 4, "group_size": 128, "kv_cache_scheme": {"num_bits": 8}}, "w4a16kv8"),
        ({"quant_method": "awq", "bits": 4, "group_size": 128, "kv_cache_scheme": {"num_bits": 5}}, "fp16"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "fp16"),
        (
            {"quant_method": "compressed-tensors", "config_groups": {"group_0": {
                "weights": {"type": "int", "num_bits": 8, "group_size": None},
                "input_activations": {"type": "int", "num_bits": 8},
            }}},
            "int8",
        ),
        (
            {"quant_method": "compressed-tensors", "config_groups": {"group_0": {
                "weights": {"type": "int", "num_bits": 4, "group_size": 128}, "input_activations": None,
            }}},
            "w4a16",
        ),
        (
            {"quant_method": "compressed-tensors", "config_groups": {"group_0": {
                "weights": {"type": "int", "num_bits": 8}, "input_activations": None,
            }}},
            "w8a16",
        ),
        ({"quant_method": "awq", "w_bit": 4, "q_group_size": 128}, "w4a16"),
        ({"quant_method": "compressed-tensors", "config_groups": {"a": {}, "b": {}}}, "fp16"),
        ("nonsense", "fp16"),
        (None, "fp16"),
    ],
)  # fmt: skip
def test_a_checkpoint_is_predicted_in_the_format_that_it_is_stored_in(
    tmp_path: Path, quantization: object, stored: str
) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**CONFIG, "quantization_config": quantization}))
    found = decoder(path)
    assert found is not None
    request, machines = Request(context=64, new_tokens=8), [roofline.platform("b200-sxm")]
    rows = serve(found, request, machines).predictions
    assert {row.datatype for row in rows} == {stored}
    # What is not understood is said, where a user might take the rows for those of the file.
    unread = stored == "fp16" and quantization is not None
    assert any("format that is not known" in note for note in rows[0].notes) is unread
    asked = serve(found, request, machines, datatypes=["fp8"])
    assert {row.datatype for row in asked.predictions} == {"fp8"}


def test_the_format_may_stand_in_a_file_beside_the_configuration(tmp_path: Path) -> None:
    """ModelOpt 0.17 writes hf_quant_config.json, as in nvidia/Llama-3.1-405B-Instruct-FP8."""
    path, beside = tmp_path / "config.json", tmp_path / "hf_quant_config.json"
    path.write_text(json.dumps(CONFIG))
    beside.write_text(
        json.dumps({"quantization": {"quant_algo": "NVFP4", "kv_cache_quant_algo": "FP8"}})
    )
    found = decoder(path)
    assert found is not None
    assert found.stored == "nvfp4kv8"
    beside.write_text("[]")
    with pytest.raises(NetworkError, match=r"hf_quant_config.json has no object 'quantization'"):
        decoder(path)


@pytest.mark.parametrize("key", ["gpt_oss_20b", "gpt_oss_120b"])
def test_a_shipped_decoder_is_predicted_in_the_format_that_it_is_published_in(key: str) -> None:
    """The model card of gpt-oss (arXiv:2508.10925) has its experts in MXFP4."""
    found = decoder(key)
    assert found is not None
    request, machines = Request(context=64, new_tokens=8), [roofline.platform("h100-sxm")]
    rows = serve(found, request, machines).predictions
    assert {row.datatype for row in rows} == {"mxfp4"}
    assert any("published in mxfp4" in note for note in roofline.load(key).notes)


def test_a_count_of_a_decoder_in_the_graphs_own_format_says_nothing_of_another() -> None:
    assert not any("published in" in note for note in roofline.load("llama31_8b").notes)


def answers(session: Any, ids: Any, past: dict[str, Any], seen: int) -> dict[str, Any]:
    feeds = {"input_ids": ids, "attention_mask": np.ones((1, seen + ids.shape[1]), np.int64)}
    for entry in session.get_inputs():
        if entry.name not in feeds:
            empty = [1, *(0 if isinstance(size, str) else size for size in entry.shape[1:])]
            feeds[entry.name] = past.get(entry.name, np.zeros(empty, np.float32))
    names = [entry.name for entry in session.get_outputs()]
    return dict(zip(names, session.run(None, feeds), strict=True))


def test_states_carry_what_linear_attention_has_seen() -> None:
    runtime = pytest.importorskip("onnxruntime")
    model = made(**FAMILIES["hybrid"]).build(weights="random", half=False)
    session = runtime.InferenceSession(model.SerializeToString())
    ids = np.array([[1, 2, 3, 4, 5, 6, 7]], np.int64)
    whole = answers(session, ids, {}, 0)
    first = answers(session, ids[:, :6], {}, 0)
    past = {
        name.replace("present", "past_key_values"): value
        for name, value in first.items()
        if name != "logits"
    }
    then = answers(session, ids[:, 6:], past, 6)
    assert np.isfinite(whole["logits"]).all()
    np.testing.assert_allclose(then["logits"], whole["logits"], atol=1e-5)


def test_linear_attention_keeps_a_state_and_no_positions() -> None:
    sizes = made(**FAMILIES["hybrid"]).sizes
    bound = find_decoding("small", made(**FAMILIES["hybrid"]).build())
    assert bound is not None
    short, long = (bound.step(Request(context=length, new_tokens=1), 1) for length in (40, 400))
    memory = memory_of(short)
    # One layer of each kind: 4 heads of 16 by 16, three positions of 2 x 32 + 64 channels; keys and values of 2 x 32.
    assert memory.states == 2 * (4 * 16 * 16 + 3 * 128)
    assert memory.per_token == 2 * 2 * 2 * 32
    assert memory.on_one(3, 100, 1, 2) == memory.weights + 3 * (
        memory.states + 100 * memory.per_token
    )
    assert (
        memory.on_one(3, 100, 2, 2)
        == memory.weights / 2 + 3 * (memory.states + 100 * memory.per_token) / 2
    )
    # Behind more positions the full layer alone has more to do: products with keys and with values.
    assert long.macs - short.macs == 360 * 2 * sizes.heads * sizes.head_size
    # A step reads and updates each entry of the states: once for the correction, once for the new one, once to read.
    linear = next(layer for layer in short.layers if layer.op_type == "LinearAttention")
    assert linear.cost.macs == 3 * 4 * 16 * 16
    assert linear.cache_read_bytes == linear.cache_written_bytes == 2 * 4 * 16 * 16


HYBRID: dict[str, Any] = {
    "attn_output_gate": True, "full_attention_interval": 4, "head_dim": 256, "linear_conv_kernel_dim": 4,
    "linear_key_head_dim": 128, "linear_num_key_heads": 16, "linear_value_head_dim": 128, "rms_norm_eps": 1e-6,
    "max_position_embeddings": 262144, "mamba_ssm_dtype": "float32", "mtp_num_hidden_layers": 1,
}  # fmt: skip


@pytest.mark.parametrize(
    ("key", "config"),
    [
        (
            "qwen35_27b",
            {"model_type": "qwen3_5", "tie_word_embeddings": False, "vision_config": {"depth": 27}, "text_config": {
                **HYBRID, "model_type": "qwen3_5_text", "hidden_size": 5120, "intermediate_size": 17408,
                "layer_types": 16 * [*3 * ["linear_attention"], "full_attention"], "linear_num_value_heads": 48,
                "num_attention_heads": 24, "num_hidden_layers": 64, "num_key_value_heads": 4, "vocab_size": 248320,
                "rope_parameters": {"partial_rotary_factor": 0.25, "rope_type": "default"},
            }},
        ),
        (
            "gemma3_12b",
            {"model_type": "gemma3", "vision_config": {}, "text_config": {
                "model_type": "gemma3_text", "hidden_size": 3840, "intermediate_size": 15360, "num_hidden_layers": 48,
                "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 256, "sliding_window": 1024,
                "sliding_window_pattern": 6, "vocab_size": 262208, "max_position_embeddings": 131072,
            }},
        ),
        (
            "qwen3_next_80b_a3b",
            {
                **HYBRID, "model_type": "qwen3_next", "hidden_size": 2048, "intermediate_size": 5120,
                "linear_num_value_heads": 32, "num_attention_heads": 16, "num_hidden_layers": 48,
                "num_key_value_heads": 2, "vocab_size": 151936, "num_experts": 512, "num_experts_per_tok": 10,
                "moe_intermediate_size": 512, "shared_expert_intermediate_size": 512, "partial_rotary_factor": 0.25,
                "decoder_sparse_step": 1, "mlp_only_layers": [], "norm_topk_prob": True,
            },
        ),
    ],
)  # fmt: skip
def test_configurations_of_later_families_are_the_shipped_sizes(
    tmp_path: Path, key: str, config: dict[str, Any]
) -> None:
    from roofline.workloads.hugging_face import read_config

    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    assert read_config(path).sizes == decoders.get(key).sizes


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"linear_value_head_dim": 64}, "different sizes"),
        ({"attn_output_gate": False}, "attn_output_gate"),
        ({"linear_num_key_heads": 7}, "linear_num_key_heads"),
        ({"linear_conv_kernel_dim": ...}, "'linear_conv_kernel_dim' is missing"),
    ],
)
def test_hybrids_that_are_not_known_are_refused(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    from roofline.workloads.hugging_face import read_config

    config = {
        **CONFIG,
        **HYBRID,
        "model_type": "qwen3_5_text",
        "linear_num_value_heads": 32,
        **changes,
    }
    path = tmp_path / "config.json"
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not ...}))
    with pytest.raises(NetworkError, match=said):
        read_config(path)
