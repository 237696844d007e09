"""Fits the laws of decoders that are shipped, from tables of public runs, and prints how far off they are left out.

    python benchmarks/fit_decoders.py llm_local.csv llm.csv

Runs that people report of further machines (`validate/evidence/reported_tokens.csv`) are added to those of one user;
those of several requests on machines that no servers' table is of (`reported_served.csv`) have a law of their own.
Tables: columns machine, host, model, weight_format, weight_gb, phase, tokens_per_s, bandwidth_gb_s, fp16_peak_op_s of
single-user runs; backend, model, system, precision, lengths, concurrency, tp_size, tpot_ms, ttft_ms of served ones.
"""

from __future__ import annotations

import sys
from pathlib import Path

import roofline
from roofline.markdown import markdown_table
from roofline.model.decoder_laws import NAME, FittedLaw, shipped_laws, to_document
from roofline.validate.evidence import served, single_user
from roofline.validate.evidence.decoder_fit import fit_laws
from roofline.validate.evidence.decoder_rows import Table, decoder_table, join_tables
from roofline.validate.evidence.decoder_score import predict_table, summary
from roofline.validate.evidence.forms import read_source


def main() -> None:
    """Write the file of laws into the package."""
    laws: dict[str, FittedLaw] = {}
    target = Path(roofline.__file__).parent / "model" / NAME
    for path in map(Path, [*sys.argv[1:], served.RUNS]):
        table = decoder_table(read_source(path))
        if not table.many:
            table = join_tables(table, decoder_table(read_source(single_user.RUNS)))
        laws |= fit_laws(table)
        # The law of several requests starts from that of served systems.
        target.write_text(to_document(dict(shipped_laws()) | laws), encoding="utf-8")
        shipped_laws.cache_clear()
        if not table.many or path == served.RUNS:
            print_left_out(table)
    for name, law in laws.items():
        print(f"{name}: {law.runs} runs of {len(law.known)}, widths {law.widths}")


def print_left_out(table: Table) -> None:
    """Print the scores of laws that were fitted without the machine of each run, by quantity and by class."""
    scores = summary(
        table, predict_table(table, leave="silicon"), model="expected", leave="silicon"
    )
    header = ("runs", "n", "machines", "over machines", "rows", "in 80 % interval", "high / low")
    parts = {**scores["by_quantity"], **scores.get("by_class", {})}
    print(
        markdown_table(
            header,
            (
                (
                    name, str(part["n"]), str(part["machines"]), f"{part['factor_machines']:.2f}",
                    f"{part['factor_rows']:.2f}", f"{part['coverage']:.0%}", f"{part['width']:.2f}",
                )
                for name, part in parts.items()
            ),
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()
