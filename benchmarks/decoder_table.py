"""Tokens per second of decoders' steps on an H100 by the model, beside the closed form, as docs/tokens.md has them.

    python benchmarks/decoder_table.py [--write docs/tokens.md]

The closed form reads every weight but the table of embeddings once (of E experts, k of them chosen, E (1 - (1 - k/E)^B)
for B requests), and of each request the keys and values of the context and of the new position, or of the window;
nothing of the program is in it. A batch that differs from it by more than 0.2 % is an error.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import roofline
from roofline._load import decoder
from roofline.decoding.request import Phase, Request
from roofline.markdown import with_section
from roofline.model._tokens import Tokens
from roofline.serving import serve

MACHINE, CONTEXT = "h100-sxm", 4096
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
BANDWIDTH = 3.35e12
"""B/s of the H100 SXM, by its data sheet."""
TOLERANCE = 2e-3
BEGIN, END = "<!-- decoder table -->", "<!-- end of the decoder table -->"
BEGIN_ALL, END_ALL = "<!-- table of decoders -->", "<!-- end of the table of decoders -->"


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a decoder's makers state of it."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_size: int
    mlp: int
    """Of an expert, where there are experts."""
    vocabulary: int
    qk_norm: bool = False
    experts: int = 0
    chosen: int = 0
    biases: bool = False
    """Whether every product but the last has a bias, and every head a sink."""
    window: int = 0
    """Positions that every second layer sees; 0 is all."""


SIZES = {
    "llama32_1b": Sizes(16, 2048, 32, 8, 64, 8192, 128256),
    "llama32_3b": Sizes(28, 3072, 24, 8, 128, 8192, 128256),
    "llama31_8b": Sizes(32, 4096, 32, 8, 128, 14336, 128256),
    "llama31_70b": Sizes(80, 8192, 64, 8, 128, 28672, 128256),
    "qwen3_32b": Sizes(64, 5120, 64, 8, 128, 25600, 151936, qk_norm=True),
    "qwen3_235b_a22b": Sizes(94, 4096, 64, 4, 128, 1536, 151936, qk_norm=True, experts=128, chosen=8),
    "gpt_oss_20b": Sizes(24, 2880, 64, 8, 64, 2880, 201088, experts=32, chosen=4, biases=True, window=128),
    "gpt_oss_120b": Sizes(36, 2880, 64, 8, 64, 2880, 201088, experts=128, chosen=4, biases=True, window=128),
}  # fmt: skip


def closed_form(network: str, batch: int) -> float:
    """Return tokens per second of a step in fp16, from the sizes alone."""
    of = SIZES[network]
    queries, keys = of.heads * of.head_size, of.kv_heads * of.head_size
    attention = of.hidden * (2 * queries + 2 * keys) + 2 * of.head_size * of.qk_norm
    attention += (queries + 2 * keys + of.hidden + of.heads) * of.biases
    gated = 3 * of.hidden * of.mlp + (2 * of.mlp + of.hidden) * of.biases
    read = of.experts * (1 - (1 - of.chosen / of.experts) ** batch) if of.experts else 1.0
    router = of.experts * (of.hidden + of.biases)
    layer = attention + read * gated + router + 2 * of.hidden
    weights = 2 * (of.layers * layer + of.hidden + of.hidden * of.vocabulary)
    windowed = of.layers // 2 if of.window else 0
    seen = (of.layers - windowed) * (CONTEXT + 1) + windowed * (of.window + 1)
    return batch * BANDWIDTH / (weights + batch * seen * 2 * 2 * keys)


def predict_step(network: str, batch: int) -> tuple[Tokens, bool | None]:
    """Return what the program says of a step, and whether it fits."""
    found = decoder(network)
    if found is None:
        raise SystemExit(f"{network} is no decoder")
    (row,) = serve(
        found, Request(CONTEXT, 1, Phase.DECODE), [roofline.platform(MACHINE)], datatypes=["fp16"],
        batches=[batch], model="equation1", unheld=True,
    ).predictions  # fmt: skip
    if row.tokens is None:
        raise SystemExit(f"{network} has no tokens")
    return row.tokens, row.fits


def rows(network: str) -> Iterator[tuple[int, Tokens, float, bool | None]]:
    """Yield each batch, what the program says of it, the closed form, and whether it fits.

    Raises:
        SystemExit: A batch differs from the closed form.
    """
    for batch in BATCHES:
        tokens, fits = predict_step(network, batch)
        rate, form = tokens.tokens_per_s or 0.0, closed_form(network, batch)
        if abs(rate / form - 1) > TOLERANCE:
            raise SystemExit(
                f"{network}, batch {batch}: {rate:.1f} tokens/s, by the closed form {form:.1f}"
            )
        yield batch, tokens, form, fits


def table() -> str:
    """Return the table of one decoder as Markdown; the errors are those of `rows`."""
    lines = [
        "| batch | tokens/s at most | closed form | per user | fits in 80 GB |",
        "|---|---|---|---|---|",
    ]
    for batch, tokens, form, fits in rows("llama31_8b"):
        rate, each = tokens.tokens_per_s or 0.0, tokens.tokens_per_s_per_user or 0.0
        held = "yes" if fits else f"no: {tokens.max_batch} requests do"
        lines.append(f"| {batch} | {rate:,.0f} | {form:,.0f} | {each:,.1f} | {held} |")
    return "\n".join(lines)


def table_of_all() -> str:
    """Return the table of all decoders as Markdown; the errors are those of `rows`."""
    lines = [f"| | {' | '.join(map(str, BATCHES))} |", "|---" * (len(BATCHES) + 1) + "|"]
    for network in SIZES:
        cells = [
            f"{tokens.tokens_per_s or 0.0:,.0f}" + ("" if fits else "*")
            for _, tokens, _, fits in rows(network)
        ]
        lines.append(f"| `{network}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Print the tables, or put them between their markers on a page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, metavar="PAGE")
    page: Path | None = parser.parse_args().write
    for begin, made, end in ((BEGIN, table(), END), (BEGIN_ALL, table_of_all(), END_ALL)):
        print(made)
        if page is not None:
            text = with_section(page.read_text(encoding="utf-8"), f"{made}\n", begin, end)
            page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
