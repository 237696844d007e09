"""Fits the laws of decoders that are shipped, from tables of public runs.

    python benchmarks/fit_decoders.py llm_local.csv llm.csv

Tables: columns machine, host, model, weight_format, weight_gb, phase, tokens_per_s, bandwidth_gb_s, fp16_peak_op_s of
single-user runs; backend, model, system, precision, lengths, concurrency, tp_size, tpot_ms, ttft_ms of served ones.
"""

from __future__ import annotations

import sys
from pathlib import Path

import roofline
from roofline.model.decoder_laws import NAME, FittedLaw, to_document
from roofline.validate.evidence.decoder_fit import fit_laws
from roofline.validate.evidence.decoder_rows import decoder_table
from roofline.validate.evidence.forms import read_source


def main() -> None:
    """Write the file of laws into the package."""
    laws: dict[str, FittedLaw] = {}
    for path in map(Path, sys.argv[1:]):
        laws |= fit_laws(decoder_table(read_source(path)))
    target = Path(roofline.__file__).parent / "model" / NAME
    target.write_text(to_document(laws), encoding="utf-8")
    for name, law in laws.items():
        print(f"{name}: {law.runs} runs of {len(law.known)}, widths {law.widths}")


if __name__ == "__main__":
    main()
