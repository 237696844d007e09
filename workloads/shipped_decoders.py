"""The decoders that are shipped, from a table of their sizes.

Llama, Mistral and SmolLM2 (one architecture), Qwen2.5 (biases), Qwen3 (normalized queries and keys), Gemma (windows,
norms behind every part), Mixtral and gpt-oss (mixtures of experts; the latter with attention sinks and windows).
"""

from __future__ import annotations

from dataclasses import fields
from importlib.resources import files
from typing import Any

from roofline.reading import read_csv
from roofline.workloads.decoder import Decoder
from roofline.workloads.decoder_network import decoder

NAME = "decoders.csv"
"""A column for every size that is not its default in all of them; an empty cell is the default."""


def _sizes(row: dict[str, str]) -> Decoder:
    given = {entry.name: row.get(entry.name, "") for entry in fields(Decoder)}
    values: dict[str, Any] = {
        name: True if cell == "yes" else int(cell) for name, cell in given.items() if cell
    }
    return Decoder(**values)


for _row in read_csv(
    files("roofline.workloads").joinpath(NAME).read_text(encoding="utf-8"), NAME
).rows:
    decoder(
        _row["key"], _row["title"], _sizes(_row), source=_row["source"], notes=_row["notes"],
        stored=_row["stored"],
    )  # fmt: skip
