"""Make `docs/dlas.md`, its pictures and the shipped table of runs from the records of the campaign `dlas-tuned`.

DLAS's scorecard in `docs/reproduction.md` follows.

Run: python benchmarks/dlas_page.py STORE    (the store of `roofline campaign run dlas-tuned --store STORE`, of
                                              `dlas-imagenet` too)
Run: python benchmarks/dlas_page.py          (the page and its pictures again, from the shipped tables)

Any part of the campaign will do: what was not run stands there as planned. What `dlas_turns.py STORE` timed in turns is
in the page too.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from subprocess import PIPE

from roofline.child import start_python
from roofline.errors import OptionError
from roofline.validate.campaigns.grid import load
from roofline.validate.campaigns.runner import state
from roofline.validate.records.files import import_csv
from roofline.validate.records.record import Measurement
from roofline.validate.records.store import open_for_reading
from roofline.validate.studies.dlas.figures import draw_measured
from roofline.validate.studies.dlas.in_turns import shipped_sessions
from roofline.validate.studies.dlas.page import regenerate
from roofline.validate.studies.dlas.run_set import PageRuns, RunSet, runs_elsewhere
from roofline.validate.studies.dlas.runs import IMAGENET, SHIPPED, shipped_csv, shipped_runs
from roofline.validate.studies.dlas.verdict_tables import CAMPAIGN, IMAGENET_CAMPAIGN

ROOT = Path(__file__).parents[1]
CAMPAIGNS = ROOT / "validate" / "campaigns"
TABLES = {CAMPAIGN: CAMPAIGNS / SHIPPED, IMAGENET_CAMPAIGN: CAMPAIGNS / IMAGENET}
PAGE = ROOT / "docs" / "dlas.md"
IMAGES = ROOT / "docs" / "images"
SCORES = ROOT / "docs" / "reproduction.md"


def last_records(store: Path, campaign: str) -> tuple[Measurement, ...]:
    """Return a campaign's records, the last attempt of each run."""
    if not store.is_file():
        raise OptionError(f"{store} does not exist")
    with open_for_reading(store) as kept:
        found = state(load(campaign), kept)
        counts = ", ".join(f"{count} {name}" for name, count in found.counts().items() if count)
        sys.stdout.write(f"{store}: {campaign}: {counts}\n")
        return found.records_in_order()


def write(runs: Mapping[str, Sequence[Measurement]]) -> list[Path]:
    """Write the tables of the campaigns' runs, the pictures and the page."""
    kept: dict[str, RunSet] = {}
    for campaign, table in TABLES.items():
        table.write_text(shipped_csv(runs[campaign]), encoding="utf-8")
        # What the page says is computed from the tables as they are shipped.
        kept[campaign] = RunSet(import_csv(table.read_text(encoding="utf-8")))
    here = replace(kept[CAMPAIGN], sessions=shipped_sessions())
    shown = PageRuns(here, runs_elsewhere(), kept[IMAGENET_CAMPAIGN])
    pictures = draw_measured(here.alone, IMAGES)
    for left_over in set(IMAGES.glob("dlas_*.png")) - set(pictures):
        left_over.unlink()
    PAGE.write_text(regenerate(PAGE.read_text(encoding="utf-8"), shown), encoding="utf-8")
    SCORES.write_text(fill_scores(SCORES.read_text(encoding="utf-8")), encoding="utf-8")
    return [*TABLES.values(), *pictures, PAGE, SCORES]


def fill_scores(page: str) -> str:
    """Return the page of scorecards with what the command prints for the runs as they are shipped now."""
    command = "$ roofline reproduce dlas\n"
    before, rest = page.split(command, 1)
    after = rest.partition("```")[2]
    with start_python("-m", "roofline", "reproduce", "dlas", stdout=PIPE, text=True) as process:
        shown = process.communicate()[0]
    if process.returncode:
        raise SystemExit(process.returncode)
    card = shown.split("\n\n", 1)[0].rstrip("\n")
    return f"{before}{command}{card}\n```{after}"


def main() -> None:
    """Write everything and name what was written."""
    named = [Path(argument) for argument in sys.argv[1:]]
    runs = {
        campaign: last_records(named[0], campaign) if named else shipped_runs(table.name)
        for campaign, table in TABLES.items()
    }
    for path in write(runs):
        sys.stdout.write(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1e3:.0f} kB\n")


if __name__ == "__main__":
    main()
