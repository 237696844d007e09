"""The Llama 3 decoders."""

from __future__ import annotations

from roofline.workloads.decoder import Decoder, decoder

_SOURCE = "Grattafiori et al., The Llama 3 Herd of Models, 2024 (arXiv:2407.21783), Table 3"
_CARD = "Meta, model card and config.json of Llama 3.2, 2024"

decoder(
    "llama31_8b",
    "Llama 3.1 8B",
    Decoder(
        layers=32, hidden=4096, heads=32, kv_heads=8, head_size=128, mlp=14336, vocabulary=128256,
        positions=131072,
    ),
    source=_SOURCE,
)  # fmt: skip
decoder(
    "llama31_70b",
    "Llama 3.1 70B",
    Decoder(
        layers=80, hidden=8192, heads=64, kv_heads=8, head_size=128, mlp=28672, vocabulary=128256,
        positions=131072,
    ),
    source=_SOURCE,
)  # fmt: skip
decoder(
    "llama32_1b",
    "Llama 3.2 1B",
    Decoder(
        layers=16, hidden=2048, heads=32, kv_heads=8, head_size=64, mlp=8192, vocabulary=128256,
        positions=131072, tied=True,
    ),
    source=_CARD,
)  # fmt: skip
decoder(
    "llama32_3b",
    "Llama 3.2 3B",
    Decoder(
        layers=28, hidden=3072, heads=24, kv_heads=8, head_size=128, mlp=8192, vocabulary=128256,
        positions=131072, tied=True,
    ),
    source=_CARD,
)  # fmt: skip
