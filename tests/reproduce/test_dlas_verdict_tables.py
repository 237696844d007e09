"""Verdicts beside those of another machine and in turns: a planned cell decides nothing, a failed one is counted."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from roofline.validate.campaigns.grid import load
from roofline.validate.records.record import Measurement, Status
from roofline.validate.studies.dlas.in_turns import (
    PAIRS_SINCE,
    TURNS,
    TURNS_ELSEWHERE,
    Session,
    configurations_in_turns,
    parse_sessions,
    sessions_csv,
    shipped_sessions,
)
from roofline.validate.studies.dlas.run_set import PageRuns, RunSet, shipped_page_runs
from roofline.validate.studies.dlas.runs import ELSEWHERE, SHIPPED, shipped_runs
from roofline.validate.studies.dlas.times import APART_S, MARGIN, TurnTimes, median_interval
from roofline.validate.studies.dlas.verdict_tables import (
    CAMPAIGN,
    IMAGENET_CAMPAIGN,
    PLANNED,
    comparison,
    imagenet,
    observations,
    times,
)

POINTS = load(CAMPAIGN).points
DENSE_VGG = [
    run
    for run in shipped_runs(ELSEWHERE)
    if run.job.compression.nothing and run.job.network == "vgg16_cifar10"
]


def row(text: str, observation: str) -> str:
    (line,) = (line for line in text.splitlines() if line.startswith(f"| {observation} |"))
    return line


def page(runs: list[Measurement], *sessions: Session) -> PageRuns:
    return PageRuns(RunSet(runs, sessions))


@pytest.mark.parametrize("table", [SHIPPED, ELSEWHERE])
def test_the_shipped_runs_are_cells_of_the_campaign(table: str):
    known = {point.key for point in POINTS}
    taken = [run.turn.point for run in shipped_runs(table) if run.turn is not None]
    assert set(taken) <= known
    assert len(set(taken)) == len(taken) > 0


@pytest.mark.parametrize(("table", "turns"), [(SHIPPED, TURNS), (ELSEWHERE, TURNS_ELSEWHERE)])
def test_shipped_turns_are_of_cells_that_ended_well(table: str, turns: str):
    well = {run.turn.point for run in shipped_runs(table) if run.ok and run.turn is not None}
    assert {one.point for one in shipped_sessions(turns)} <= well


def test_the_machines_differ_and_each_column_rests_on_its_own_runs():
    shown = shipped_page_runs()
    targets = [
        {re.sub(r" -num-cores=\d+", "", run.compiled_for) for run in one.runs if run.job.backend == "tvm"}
        for one in (shown.here, shown.elsewhere)
    ]  # fmt: skip
    assert targets[1] == {"llvm -mcpu=icelake-server"}
    assert not targets[0] & targets[1]
    whole = comparison(shown)
    alone = comparison(PageRuns(shown.elsewhere))
    assert row(whole, "II").endswith(row(alone, "II").split("|", 3)[3])


def test_a_cell_that_was_not_run_is_planned_and_makes_no_case():
    whole = page(DENSE_VGG)
    assert "vgg16_cifar10 8 of 25" in comparison(whole)
    assert "(1 for)" in row(comparison(whole), "VII")
    cells = sum(
        len(line.split("|")) - 2 for line in times(whole).splitlines() if "_cifar10" in line
    )
    assert 0 < times(whole).count(PLANNED) == len(POINTS) - len(DENSE_VGG) < cells
    left = [run for run in DENSE_VGG if run.job.algorithm != "spatial_pack"]
    assert "no case" in row(comparison(page(left)), "VII")
    assert "### VII: not testable here" in observations(page(left))


def test_a_failed_cell_is_shown_as_none_and_makes_no_case():
    failed = [
        replace(run, status=Status.FAILED, samples_s=())
        if run.job.algorithm == "spatial_pack"
        else run
        for run in DENSE_VGG
    ]
    assert "no case" in row(comparison(page(failed)), "VII")
    assert times(page(failed)).count("failed") == 2


def test_the_interval_of_a_median_is_the_binomial_one():
    # Of 15 fair coins at most 3 show heads with 576/32768 = 1.8 %, at most 4 with 5.9 %: ranks 4 and 12.
    assert median_interval([float(value) for value in range(1, 16)]) == (4.0, 12.0)
    assert median_interval([2.0, 1.0, 3.0]) == (1.0, 3.0)


@pytest.mark.parametrize(("faster", "outcome"), [(True, "(1 for)"), (None, "(1 undecided)")])
def test_turns_decide_by_the_interval_of_their_median(faster: bool | None, outcome: str):
    runs = [
        run
        for run in shipped_runs(ELSEWHERE)
        if run.job.network == "vgg16_cifar10" and run.job.compression.sparsity
    ]
    assert len(runs) == 2
    seconds = {"gemm": (1.0, 1.1) * 6, "direct": (1.2, 1.3) * 6 if faster else (1.1, 1.0) * 6}
    sessions = [
        Session(run.turn.point, "2026-11-30T09:00:00+00:00", seconds[run.job.algorithm], 0.02)
        for run in runs
        if run.turn is not None
    ]
    text = comparison(page(runs, *sessions))
    alone, turns = row(text, "IX").strip("| ").split(" | ")[2:]
    assert "(1 undecided)" in alone
    assert outcome in turns
    assert "2 of these programs" in text
    found = {entry.algorithm: entry for entry in configurations_in_turns(runs, sessions)}
    assert (found["gemm"].low_s, found["gemm"].high_s, found["gemm"].seconds) == (1.0, 1.1, 1.05)


def test_sessions_at_other_hours_widen_the_interval_and_survive_the_table():
    run = next(run for run in shipped_runs(ELSEWHERE) if run.turn is not None and run.ok)
    assert run.turn is not None
    first = Session(run.turn.point, "2026-11-30T09:00:00+00:00", (1.0,) * 8, 0.02)
    second = replace(first, when="2026-11-30T10:00:00+00:00", seconds=(2.0,) * 8)
    kept = parse_sessions(sessions_csv([first, second], {}))
    assert kept == (first, second)
    (entry,) = configurations_in_turns([run], kept)
    assert (entry.low_s, entry.high_s, entry.rounds) == (1.0, 2.0, 2)


def later(seconds: float) -> str:
    """When a session began that the rule for pairs judges."""
    return (datetime.fromisoformat(PAIRS_SINCE) + timedelta(seconds=seconds)).isoformat()


def paired(*ratios: tuple[float, ...], apart_s: float = APART_S) -> bool | None:
    """Judge a time over another one that doubles from turn to turn, so that no interval of it decides anything."""
    hours = [2.0**turn for turn in range(12)]
    sessions = {later(apart_s * place): taken for place, taken in enumerate(ratios)}
    left = TurnTimes({when: tuple(hour * ratio for hour, ratio in zip(hours, taken * 12, strict=False))
                      for when, taken in sessions.items()})  # fmt: skip
    right = TurnTimes(dict.fromkeys(sessions, tuple(hours)))
    return left.over(right).is_below(1.0)


@pytest.mark.parametrize(
    ("ratios", "apart_s", "below"),
    [
        ([(0.9,), (0.95,)], APART_S, True),
        ([(1.1,), (1.05,)], APART_S, False),
        ([(0.9,), (1.05,)], APART_S, None),  # another sign in another session
        ([(0.9,), (0.9,)], APART_S - 1, None),  # not an hour apart
        ([(0.9,)], APART_S, None),  # one session
        ([(0.9,), (1 / (1 + MARGIN) + 1e-6,)], APART_S, None),  # within the margin
        ([(0.9,), (1 / (1 + MARGIN) - 1e-6,)], APART_S, True),
        (
            [(0.9,), (0.5, 1.0)],
            APART_S,
            None,
        ),  # half of the turns of a session without a difference
    ],
)
def test_pairs_decide_where_every_session_is_beyond_the_margin(ratios, apart_s, below):
    assert paired(*ratios, apart_s=apart_s) is below


def test_pairs_take_the_least_within_each_turn_and_only_sessions_of_both():
    one, other = TurnTimes({"a": (1.0, 5.0), "b": (1.0, 1.0)}), TurnTimes({"a": (4.0, 2.0)})
    assert one.least(other).sessions == {"a": (1.0, 2.0)}
    assert one.over(other).scale(2.0).sessions == {"a": (0.5, 5.0)}
    assert "ratio 1.38 (0.25–2.5)" in one.over(other).words


def test_sessions_since_the_rule_are_judged_in_pairs_and_those_before_by_intervals():
    runs = [
        run
        for run in shipped_runs(ELSEWHERE)
        if run.job.network == "vgg16_cifar10" and run.job.compression.sparsity
    ]
    drift = [1.0 + turn / 10 for turn in range(12)]
    seconds = {"gemm": tuple(drift), "direct": tuple(1.1 * value for value in drift)}
    sessions = [
        Session(run.turn.point, when, seconds[run.job.algorithm], 0.02)
        for run in runs
        if run.turn is not None
        for when in ("2026-11-30T09:00:00+00:00", later(0), later(APART_S))
    ]
    shown = page(runs, *sessions)
    outcomes = row(comparison(shown), "IX").strip("| ").split(" | ")[2:]
    assert [re.findall(r"\d \w+", outcome) for outcome in outcomes] == [
        ["1 undecided"], ["1 undecided"], ["1 for"]
    ]  # fmt: skip
    assert "ratio 0.909 (0.909–0.909), 0.909 (0.909–0.909)" in observations(shown)
    early = comparison(page(runs, *(one for one in sessions if one.when < PAIRS_SINCE)))
    assert len(row(early, "IX").strip("| ").split(" | ")) == 4


def test_networks_of_imagenets_size_have_a_section_and_decide_nothing_elsewhere():
    points = load(IMAGENET_CAMPAIGN).points
    large = [
        replace(run, job=replace(run.job, network="resnet18"), turn=replace(run.turn, point=point.key))
        for run, point in zip(
            DENSE_VGG, (point for point in points if point.network == "resnet18"), strict=False
        )
        if run.turn is not None
    ]  # fmt: skip
    with_large = PageRuns(RunSet(DENSE_VGG), imagenet=RunSet(large))
    assert comparison(with_large) == comparison(page(DENSE_VGG))
    text = imagenet(with_large)
    assert f"resnet18 {len(large)} of 18" in text
    assert "VII, spatial pack is the best dense algorithm" in text
    assert imagenet(page(DENSE_VGG)).count(PLANNED) > len(points)
