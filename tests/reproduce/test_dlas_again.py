"""Verdicts taken again: what the page says is what the shipped tables give, and a planned cell decides nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from roofline.validate.campaigns.grid import load
from roofline.validate.records.record import Status
from roofline.validate.studies.dlas.again import BEGIN, END, PLANNED, section
from roofline.validate.studies.dlas.runs import AGAIN, shipped_runs

ROOT = Path(__file__).parents[2]
CAMPAIGN = load("dlas-tuned")


def test_the_section_is_made_from_the_shipped_tables():
    page = (ROOT / "docs" / "dlas.md").read_text(encoding="utf-8")
    text = page.partition(f"{BEGIN}\n")[2].partition(f"{END}\n")[0]
    made = section(shipped_runs(), shipped_runs(AGAIN), CAMPAIGN)
    assert text == f"{made}\n", "make it again: python benchmarks/dlas_again.py"


def test_the_shipped_runs_are_cells_of_the_campaign():
    known = {point.key for point in CAMPAIGN.points}
    taken = [run.turn.point for run in shipped_runs(AGAIN)]
    assert set(taken) <= known
    assert len(set(taken)) == len(taken) > 0


def test_a_cell_that_was_not_run_is_planned_and_makes_no_case():
    runs = [
        run
        for run in shipped_runs(AGAIN)
        if run.job.compression.nothing and run.job.network == "vgg16_cifar10"
    ]
    whole = section(shipped_runs(), runs, CAMPAIGN)
    assert "VII: 1 for" in whole or "VII: 1 against" in whole or "VII: 1 undecided" in whole
    assert whole.count(PLANNED) > 40
    left = [run for run in runs if run.job.algorithm != "spatial_pack"]
    assert "| VII |" not in section(shipped_runs(), left, CAMPAIGN)


def test_a_failed_cell_is_counted_and_makes_no_case():
    runs = [run for run in shipped_runs(AGAIN) if run.ok]
    failed = replace(runs[0], status=Status.FAILED, samples_s=())
    text = section(shipped_runs(), [failed, *runs[1:]], CAMPAIGN)
    assert "1 of them failed" in text
