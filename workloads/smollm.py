"""The SmolLM2 decoders: the architecture of Llama in sizes that any machine runs."""

from __future__ import annotations

from roofline.workloads.decoder import Decoder, decoder

_SOURCE = "Allal et al., SmolLM2, 2025 (arXiv:2502.02737); widths from config.json"

decoder(
    "smollm2_135m",
    "SmolLM2 135M",
    Decoder(
        layers=30, hidden=576, heads=9, kv_heads=3, head_size=64, mlp=1536, vocabulary=49152,
        positions=8192, tied=True,
    ),
    source=_SOURCE,
)  # fmt: skip
decoder(
    "smollm2_360m",
    "SmolLM2 360M",
    Decoder(
        layers=32, hidden=960, heads=15, kv_heads=5, head_size=64, mlp=2560, vocabulary=49152,
        positions=8192, tied=True,
    ),
    source=_SOURCE,
)  # fmt: skip
