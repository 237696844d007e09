"""The Qwen3 decoders: a normalization of each head's queries and keys, no biases."""

from __future__ import annotations

from roofline.workloads.decoder import Decoder, decoder

_SOURCE = "Yang et al., Qwen3 Technical Report, 2025 (arXiv:2505.09388), Tables 1 and 2; widths from config.json"

decoder(
    "qwen3_32b",
    "Qwen3 32B",
    Decoder(
        layers=64, hidden=5120, heads=64, kv_heads=8, head_size=128, mlp=25600, vocabulary=151936,
        positions=40960, qk_norm=True,
    ),
    source=_SOURCE,
)  # fmt: skip
decoder(
    "qwen3_235b_a22b",
    "Qwen3 235B-A22B, 8 of 128 experts",
    Decoder(
        layers=94, hidden=4096, heads=64, kv_heads=4, head_size=128, vocabulary=151936,
        positions=40960, experts=128, active=8, expert_mlp=1536, qk_norm=True,
    ),
    source=_SOURCE,
)  # fmt: skip
decoder(
    "qwen3_0_6b",
    "Qwen3 0.6B",
    Decoder(
        layers=28, hidden=1024, heads=16, kv_heads=8, head_size=128, mlp=3072, vocabulary=151936,
        positions=40960, tied=True, qk_norm=True,
    ),
    source=_SOURCE,
)  # fmt: skip
