"""Verdicts taken again: what the page says is what the shipped tables give, and a planned cell decides nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from roofline.validate.campaigns.grid import load
from roofline.validate.records.record import Status
from roofline.validate.studies.dlas.again import BEGIN, END, PLANNED, section
from roofline.validate.studies.dlas.in_turns import (
    Session,
    configurations_in_turns,
    median_interval,
    parse_sessions,
    sessions_csv,
    shipped_sessions,
)
from roofline.validate.studies.dlas.runs import AGAIN, shipped_runs

ROOT = Path(__file__).parents[2]
CAMPAIGN = load("dlas-tuned")


def test_the_section_is_made_from_the_shipped_tables():
    page = (ROOT / "docs" / "dlas.md").read_text(encoding="utf-8")
    text = page.partition(f"{BEGIN}\n")[2].partition(f"{END}\n")[0]
    made = section(shipped_runs(), shipped_runs(AGAIN), CAMPAIGN, shipped_sessions())
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


def test_the_interval_of_a_median_is_the_binomial_one():
    # Of 15 fair coins at most 3 show heads with 576/32768 = 1.8 %, at most 4 with 5.9 %: ranks 4 and 12.
    assert median_interval([float(value) for value in range(1, 16)]) == (4.0, 12.0)
    assert median_interval([2.0, 1.0, 3.0]) == (1.0, 3.0)


@pytest.mark.parametrize(("faster", "outcome"), [(True, "1 for"), (None, "1 undecided")])
def test_turns_decide_by_the_interval_of_their_median(faster: bool | None, outcome: str):
    runs = [
        run
        for run in shipped_runs(AGAIN)
        if run.job.network == "vgg16_cifar10" and run.job.compression.sparsity
    ]
    assert len(runs) == 2
    seconds = {"gemm": (1.0, 1.1) * 6, "direct": (1.2, 1.3) * 6 if faster else (1.1, 1.0) * 6}
    sessions = [
        Session(run.turn.point, "2026-11-30T09:00:00+00:00", seconds[run.job.algorithm], 0.02)
        for run in runs
        if run.turn is not None
    ]
    text = section(shipped_runs(), runs, CAMPAIGN, sessions)
    assert f"IX: 1 undecided; in turns {outcome}" in text
    assert "2 of these programs" in text
    found = {entry.algorithm: entry for entry in configurations_in_turns(runs, sessions)}
    assert (found["gemm"].low_s, found["gemm"].high_s, found["gemm"].seconds) == (1.0, 1.1, 1.05)


def test_sessions_at_other_hours_widen_the_interval_and_survive_the_table():
    run = next(run for run in shipped_runs(AGAIN) if run.turn is not None and run.ok)
    first = Session(run.turn.point, "2026-11-30T09:00:00+00:00", (1.0,) * 8, 0.02)
    second = replace(first, when="2026-11-30T10:00:00+00:00", seconds=(2.0,) * 8)
    kept = parse_sessions(sessions_csv([first, second], {}))
    assert kept == (first, second)
    (entry,) = configurations_in_turns([run], kept)
    assert (entry.low_s, entry.high_s, entry.rounds) == (1.0, 2.0, 2)


def test_shipped_turns_are_of_cells_that_ended_well():
    well = {run.turn.point for run in shipped_runs(AGAIN) if run.ok and run.turn is not None}
    assert {one.point for one in shipped_sessions()} <= well
