"""Ship the runs of the campaign `dlas-tuned`, and write the verdicts before and after them into `docs/dlas.md`.

Run: python benchmarks/dlas_again.py STORE   (the store of `roofline campaign run dlas-tuned --store STORE`)
Run: python benchmarks/dlas_again.py         (the section again, from the shipped tables)

Any part of the campaign will do: what was not run stands there as planned. `dlas_turns.py STORE` times its programs in
turns; the section has what they say too.
"""

from __future__ import annotations

import sys
from pathlib import Path

from roofline.markdown import with_section
from roofline.validate.campaigns.grid import load
from roofline.validate.campaigns.runner import state
from roofline.validate.records.store import reading
from roofline.validate.studies.dlas.again import BEGIN, END, section
from roofline.validate.studies.dlas.in_turns import shipped_sessions
from roofline.validate.studies.dlas.runs import AGAIN, shipped_csv, shipped_runs
from roofline.writing import write_whole

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "validate" / "campaigns" / AGAIN
PAGE = ROOT / "docs" / "dlas.md"


def main() -> None:
    """Write the table when a store is given, and the section."""
    campaign = load("dlas-tuned")
    for store in map(Path, sys.argv[1:2]):
        with reading(store) as kept:
            write_whole(TABLE, shipped_csv(state(campaign, kept).recorded()).encode())
    text = section(shipped_runs(), shipped_runs(AGAIN), campaign, shipped_sessions())
    page = with_section(PAGE.read_text(encoding="utf-8"), f"{text}\n", BEGIN, END)
    write_whole(PAGE, page.encode())
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main()
