"""Decoders that onnxruntime-genai's builder writes of a small Llama, beside closed forms of its sizes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
import pytest

from roofline.decoding.phases import Decoding, find_decoding
from roofline.decoding.request import Request

from ..cli_process import run_python

pytest.importorskip("onnxruntime_genai", reason="onnxruntime-genai is not installed")
transformers: Any = pytest.importorskip("transformers")
tokenizers: Any = pytest.importorskip("tokenizers")

LAYERS, HIDDEN, HEADS, KV_HEADS, SIZE, MLP, WORDS, MOST = 2, 256, 8, 2, 64, 768, 512, 2048
CONTEXT, REQUESTS = 700, 3
PRODUCTS = LAYERS * (HIDDEN * SIZE * (2 * HEADS + 2 * KV_HEADS) + 3 * HIDDEN * MLP)
PARAMETERS = 2 * HIDDEN * WORDS + PRODUCTS + (2 * LAYERS + 1) * HIDDEN


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a Llama as Hugging Face's files have it, with a vocabulary of numbered words."""
    folder = tmp_path_factory.mktemp("llama")
    config = transformers.LlamaConfig(
        vocab_size=WORDS, hidden_size=HIDDEN, intermediate_size=MLP, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, num_key_value_heads=KV_HEADS, head_dim=SIZE, max_position_embeddings=MOST,
        tie_word_embeddings=False,
    )  # fmt: skip
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    words = {f"w{number}": number for number in range(WORDS)}
    plain = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="w0"))
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=plain, bos_token="w1", eos_token="w2", pad_token="w2"
    ).save_pretrained(folder)
    return folder


def built(llama: Path, folder: Path, precision: str, provider: str) -> Decoding:
    """Return what the builder writes of a network."""
    run_python(
        "-m", "onnxruntime_genai.models.builder", "-i", llama, "-o", folder, "-p", precision, "-e", provider,
        "-c", folder / "cache", check=True, variables={"HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert (
        json.loads((folder / "genai_config.json").read_text())["model"]["context_length"] == MOST
    )
    found = find_decoding("built", onnx.load(folder / "model.onnx", load_external_data=False))
    assert found is not None
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("precision", "provider", "width"),
    [("fp16", "cuda", 2), ("int4", "cpu", None)],
)
def test_a_built_decoder_is_counted_as_its_sizes_say(
    precision: str, provider: str, width: int | None, llama: Path, tmp_path: Path
) -> None:
    graph = built(llama, tmp_path, precision, provider)
    roles = graph.roles
    assert (roles.layers, roles.heads, roles.kv_heads, roles.hidden) == (
        LAYERS,
        HEADS,
        KV_HEADS,
        HIDDEN,
    )
    assert (roles.head_size, roles.positions) == (SIZE, MOST)
    ask = Request(context=CONTEXT, new_tokens=1)
    step, prompt = graph.step(ask, REQUESTS), graph.prompt(ask, 1)
    assert not step.unknown_layers
    assert not prompt.unknown_layers
    assert step.parameters == PARAMETERS
    scores = LAYERS * 2 * HEADS * SIZE
    assert step.macs == REQUESTS * (PRODUCTS + HIDDEN * WORDS + scores * (CONTEXT + 1))
    # The graph projects every position of the prompt to the vocabulary.
    seen = CONTEXT * (CONTEXT + 1) // 2
    assert prompt.macs == CONTEXT * (PRODUCTS + HIDDEN * WORDS) + scores * seen
    if width is not None:
        rows = PARAMETERS - HIDDEN * WORDS + REQUESTS * HIDDEN
        cache = REQUESTS * LAYERS * 2 * KV_HEADS * SIZE * (CONTEXT + 1)
        # Each layer reads the cosines and sines of every request's place.
        angles = LAYERS * REQUESTS * SIZE
        assert step.traffic_bytes("weights") == width * (rows + cache + angles)
