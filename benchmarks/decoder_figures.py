"""How much one measured run of an installation improves what is expected of decoders on it.

    python benchmarks/decoder_figures.py llm_local.csv llm.csv

Takes the tables that `fit_decoders.py` takes; machines are left out of the laws that judge them.
"""

from __future__ import annotations

import sys
from pathlib import Path

from roofline.validate.evidence.decoder_rows import decoder_table
from roofline.validate.evidence.forms import read_source
from roofline.validate.evidence.one_figure import with_one_figure


def main() -> None:
    """Print a Markdown table."""
    print("| quantity | runs | figures | median factor | 80 % interval holds | high / low |")
    print("|---|---|---|---|---|---|")
    for path in map(Path, sys.argv[1:]):
        for quantity, scores in with_one_figure(decoder_table(read_source(path))).items():
            for figures, score in scores.items():
                print(
                    f"| {quantity} | {score['runs']} | {figures} | {score['factor']:.3f} | {score['coverage']:.0%} | "
                    f"{score['width']:.2f} |"
                )


if __name__ == "__main__":
    main()
