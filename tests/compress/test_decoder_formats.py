"""Formats of decoders' weights against the sizes of published files."""

from __future__ import annotations

from functools import cache

import pytest

import roofline
from roofline._load import decoder
from roofline.compress.decoder_parts import places_of
from roofline.decoding.phases import find_decoding
from roofline.decoding.request import Request
from roofline.layer import Use
from roofline.model import at_precision
from roofline.workload import Workload
from roofline.workloads import Decoder, DecoderNetwork

_70B = "bartowski/Meta-Llama-3.1-70B-Instruct-GGUF, table of files"
_8B = "bartowski/Meta-Llama-3.1-8B-Instruct-GGUF, table of files"
_1B = "bartowski/Llama-3.2-1B-Instruct-GGUF, table of files"
_SPARK = "llama.cpp, benches/dgx-spark.md, sizes of the files"
_CARD = "OpenAI, gpt-oss model card, 2025 (arXiv:2508.10925), Table 1: checkpoint size"
GIB = 2**30 / 1e9
# Gigabytes (1e9 bytes) of a whole file; it holds a tokenizer too, of 4 to 8 MB.
PUBLISHED = [
    ("llama31_70b", "q8_0", 74.98, _70B), ("llama31_70b", "q6_k", 57.89, _70B), ("llama31_70b", "q5_k_m", 49.95, _70B),
    ("llama31_70b", "q5_k_s", 48.66, _70B), ("llama31_70b", "q4_k_m", 42.52, _70B),
    ("llama31_70b", "q4_k_s", 40.35, _70B), ("llama31_70b", "q4_0", 40.12, _70B),
    ("llama31_70b", "q3_k_l", 37.14, _70B), ("llama31_70b", "q3_k_m", 34.27, _70B),
    ("llama31_70b", "q3_k_s", 30.91, _70B),
    ("llama31_8b", "q4_k_m", 4.92, _8B),
    ("llama32_1b", "q8_0", 1.32, _1B), ("llama32_1b", "q6_k", 1.02, _1B), ("llama32_1b", "q5_k_m", 0.91, _1B),
    ("llama32_1b", "q5_k_s", 0.89, _1B), ("llama32_1b", "q4_k_m", 0.81, _1B), ("llama32_1b", "q4_k_s", 0.78, _1B),
    ("llama32_3b", "q4_k_m", 2.02, "geerlingguy/ai-benchmarks, size of the file"),
    ("qwen3_32b", "q8_0", 34.82, "bartowski/Qwen_Qwen3-32B-GGUF, table of files"),
    ("gpt_oss_20b", "mxfp4", 12.8 * GIB, _CARD), ("gpt_oss_120b", "mxfp4", 60.8 * GIB, _CARD),
    ("gpt_oss_20b", "mxfp4_moe", 11.27 * GIB, _SPARK), ("gpt_oss_120b", "mxfp4_moe", 59.02 * GIB, _SPARK),
]  # fmt: skip


@cache
def step(key: str) -> Workload:
    found = decoder(key)
    assert found is not None
    return found.step(Request(context=4096), 1)


@pytest.mark.parametrize(("key", "datatype", "size", "source"), PUBLISHED)
def test_weights_take_what_the_published_file_does(
    key: str, datatype: str, size: float, source: str
) -> None:
    counted = at_precision(step(key), datatype)
    # Tables of angles are stored in the graph, and in no such file.
    angles = sum(
        2 * 131_072 * tensor.shape[1]
        for tensor in {t.name: t for layer in counted.layers for t in layer.weights}.values()
        if tensor.shape is not None and tensor.shape[0] == 131_072 and tensor.shape[1] is not None
    )
    # The tables state hundredths of a GB, tokenizer included.
    assert (counted.weight_bytes - angles) / 1e9 == pytest.approx(size, rel=0.006, abs=0.013), (
        source
    )


def test_a_cache_of_its_own_width_is_read_and_written_at_it() -> None:
    plain, narrow = (at_precision(step("llama31_8b"), name) for name in ("w4a16", "w4a16kv8"))
    read, narrow_read = (
        sum(layer.cache_read_bytes for layer in counted.layers) for counted in (plain, narrow)
    )
    assert read == 2 * 32 * 2 * 8 * 128 * 4096
    assert 2 * narrow_read == read
    assert (
        plain.traffic_bytes("weights") - narrow.traffic_bytes("weights")
        == read // 2 + 32 * 2 * 8 * 128
    )


def test_fp8_leaves_both_tables_of_the_vocabulary_at_16_bits() -> None:
    counted = at_precision(step("llama31_8b"), "fp8")
    stored = {
        access.tensor.name: access.tensor.dtype.bits
        for layer in counted.layers
        for access in layer.accesses
        if access.use is Use.WEIGHT and access.tensor.dtype is not None
    }
    assert stored["embedding.weight"] == 16
    (head,) = (bits for name, bits in stored.items() if name == "linear1.weight")
    assert head == 16
    assert stored["layer0/linear1.weight"] == 8
    blocks = 8_030_261_248 - 2 * 128_256 * 4096
    assert counted.weight_bytes == pytest.approx(blocks + 2 * 2 * 128_256 * 4096, rel=0.005)


def test_parts_are_told_apart_by_the_graph() -> None:
    sizes = Decoder(
        layers=2, hidden=64, heads=4, kv_heads=2, head_size=24, vocabulary=100, positions=512, experts=8, active=2,
        expert_mlp=48, tied=True, expert_bias=True, qk_norm=True, qkv_bias=True,
    )  # fmt: skip
    found = find_decoding("small", DecoderNetwork("small", "small", "a test, 2025", sizes).build())
    assert found is not None
    places = places_of(found.step(Request(context=40), 1))
    assert places["embedding.weight"].parts == ("embedding", "head")
    beside = ("weights", "beside_experts")
    assert places["layer1/linear1.weight"].parts == beside
    assert places["layer1/linear3.weight"].parts == (*beside, "value")
    assert places["layer1/linear4.weight"].parts == (*beside, "output")
    assert places["layer1/linear5.weight"].parts == ("router",)
    assert places["layer1/reshape5.out.gate_up.weight"].parts == ("weights", "experts")
    assert places["layer1/reshape5.out.down.weight"].parts == ("weights", "experts", "down")
    assert [
        places[f"layer{block}/linear{part}.weight"].block for block in (0, 1) for part in (1, 4)
    ] == [0, 0, 1, 1]


def test_a_network_without_a_cache_has_no_parts() -> None:
    import roofline

    assert places_of(roofline.load("mlp")) == {}


def test_a_format_of_decoders_says_what_it_is_taken_for_elsewhere() -> None:
    changed = roofline.load("mlp").under(precision="q4_k_m")
    assert any("every weight" in note and "4.9 bits" in note for note in changed.notes)
    assert not any(
        "format of decoders" in note
        for note in roofline.load("mlp").under(precision="w4a16").notes
    )


def test_llama_cpp_s_file_of_a_dense_decoder_has_no_experts_to_narrow() -> None:
    stored = {
        name: at_precision(roofline.load("llama32_1b"), name).weight_bytes
        for name in ("mxfp4_moe", "q8_0")
    }
    assert stored["mxfp4_moe"] == stored["q8_0"]
