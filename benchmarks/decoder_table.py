"""Tokens per second of Llama 3.1 8B's step on an H100 by the model, beside the closed form, as docs/tokens.md has them.

    python benchmarks/decoder_table.py [--write docs/tokens.md]

The closed form reads every weight but the table of embeddings once, and of each request the keys and values of the
context and of the new position; nothing of the program is in it. A batch that differs from it by more than 0.2 % is an
error.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import roofline
from roofline._load import decoder
from roofline.decoding.request import Phase, Request
from roofline.model._tokens import Tokens
from roofline.serving import serve

NETWORK, MACHINE, CONTEXT = "llama31_8b", "h100-sxm", 4096
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
BANDWIDTH = 3.35e12
"""B/s of the H100 SXM, by its data sheet."""
LAYERS, HIDDEN, HEADS, KV_HEADS, HEAD_SIZE, MLP, VOCABULARY = 32, 4096, 32, 8, 128, 14336, 128256
TOLERANCE = 2e-3
BEGIN, END = "<!-- decoder table -->", "<!-- end of the decoder table -->"


def closed_form(batch: int) -> float:
    """Return tokens per second of a step in fp16, from the sizes alone."""
    attention = HIDDEN * HEAD_SIZE * (2 * HEADS + 2 * KV_HEADS)
    layer = attention + 3 * HIDDEN * MLP + 2 * HIDDEN
    weights = 2 * (LAYERS * layer + HIDDEN + HIDDEN * VOCABULARY)
    position = 2 * LAYERS * 2 * KV_HEADS * HEAD_SIZE
    return batch * BANDWIDTH / (weights + batch * position * (CONTEXT + 1))


def predict_step(batch: int) -> tuple[Tokens, bool | None]:
    """Return what the program says of a step, and whether it fits."""
    found = decoder(NETWORK)
    if found is None:
        raise SystemExit(f"{NETWORK} is no decoder")
    (row,) = serve(
        found, Request(CONTEXT, 1, Phase.DECODE), [roofline.platform(MACHINE)], datatypes=["fp16"],
        batches=[batch], model="equation1", unheld=True,
    ).predictions  # fmt: skip
    if row.tokens is None:
        raise SystemExit(f"{NETWORK} has no tokens")
    return row.tokens, row.fits


def table() -> str:
    """Return the table as Markdown.

    Raises:
        SystemExit: A batch differs from the closed form.
    """
    lines = [
        "| batch | tokens/s at most | closed form | per user | fits in 80 GB |",
        "|---|---|---|---|---|",
    ]
    for batch in BATCHES:
        tokens, fits = predict_step(batch)
        rate, each, form = (
            tokens.tokens_per_s or 0.0,
            tokens.tokens_per_s_per_user or 0.0,
            closed_form(batch),
        )
        if abs(rate / form - 1) > TOLERANCE:
            raise SystemExit(f"batch {batch}: {rate:.1f} tokens/s, by the closed form {form:.1f}")
        held = "yes" if fits else f"no: {tokens.max_batch} requests do"
        lines.append(f"| {batch} | {rate:,.0f} | {form:,.0f} | {each:,.1f} | {held} |")
    return "\n".join(lines)


def main() -> None:
    """Print the table, or put it between its markers on a page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, metavar="PAGE")
    page: Path | None = parser.parse_args().write
    made = table()
    print(made)
    if page is not None:
        text = page.read_text()
        before, _, rest = text.partition(BEGIN)
        _, _, after = rest.partition(END)
        page.write_text(f"{before}{BEGIN}\n{made}\n{END}{after}")


if __name__ == "__main__":
    main()
