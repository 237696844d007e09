"""The gpt-oss decoders: mixtures of experts, biases, attention sinks, every second layer with a window."""

from __future__ import annotations

from roofline.workloads.decoder import Decoder, decoder

_SOURCE = "OpenAI, gpt-oss-120b & gpt-oss-20b Model Card, 2025 (arXiv:2508.10925), Table 1"
_NOTES = "published with experts in mxfp4; window of 128 positions in every second layer"


def _sizes(layers: int, experts: int) -> Decoder:
    return Decoder(
        layers=layers, hidden=2880, heads=64, kv_heads=8, head_size=64, vocabulary=201088,
        positions=131072, experts=experts, active=4, expert_mlp=2880, window=128, full_every=2,
        qkv_bias=True, output_bias=True, sinks=True, expert_bias=True,
    )  # fmt: skip


decoder(
    "gpt_oss_20b",
    "gpt-oss 20B, 4 of 32 experts",
    _sizes(24, 32),
    source=_SOURCE,
    notes=_NOTES,
)
decoder(
    "gpt_oss_120b",
    "gpt-oss 120B, 4 of 128 experts",
    _sizes(36, 128),
    source=_SOURCE,
    notes=_NOTES,
)
