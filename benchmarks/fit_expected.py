"""Fit the model `expected` to evidence.

    python benchmarks/fit_expected.py --evidence evidence.csv --version 1 [--jobs 3]

Runs that people and vendors report (`validate/evidence/reported_runs.csv`) are added to it. Writes the shipped
parameters, the summary of the scores, and the page on validation that shows it. The published evidence itself is not
shipped; its digest is.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from roofline.model._expected_data import to_document
from roofline.validate.evidence.evidence import combine
from roofline.validate.evidence.laws_without import LawsWithout
from roofline.validate.evidence.published import read_published
from roofline.validate.evidence.reported import read_reported
from roofline.validate.evidence.score import refit
from roofline.validate.evidence.shipping import parameters
from roofline.validate.evidence.summaries import (
    OF_VERSION,
    PAGE,
    SUMMARY,
    UNLIKE,
    read_summary,
    version_scores,
    write_summary,
)

ROOT = Path(__file__).parents[1]
PARAMETERS = ROOT / "roofline" / "model" / "expected.json"


def tick() -> None:
    """Say that a fit is done."""
    print(".", end="", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evidence", type=Path, required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--jobs", type=int, default=1)
    arguments = parser.parse_args()
    evidence = combine(read_published(arguments.evidence), read_reported())
    without = LawsWithout(evidence, progress=tick, jobs=arguments.jobs)
    left = {
        name: refit(evidence, name, without=without)
        for name in ("silicon", "family", "setting", *UNLIKE)
    }
    fitted = parameters(evidence, arguments.version, left)
    text = json.dumps(to_document(fitted), separators=(",", ":")).replace('["', '\n["')
    PARAMETERS.write_text(text + "\n", encoding="utf-8")
    print(f"\nwrote {PARAMETERS}")
    document = version_scores(evidence, fitted, left)
    others = {name: part for name, part in read_summary(ROOT).items() if name not in OF_VERSION}
    write_summary(ROOT, document | others)
    print(f"\nwrote {SUMMARY} and {PAGE}")


if __name__ == "__main__":
    main()
