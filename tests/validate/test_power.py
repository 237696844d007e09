"""Power between idle and full, what it makes of energy, and the law that is fitted to the papers' runs."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

import roofline as rl
from roofline.model._power import BUSY, BUSY_LEAST, BUSY_MOST, Draw, watts
from roofline.validate.evidence.power import (
    PowerRun,
    estimate,
    estimate_left_out,
    fit,
    read_runs,
    score,
)
from roofline.validate.studies.qutibench.rows import measured_rows


def made_up(machines: int, runs: int, noise: float = 0.0) -> list[PowerRun]:
    random = np.random.default_rng(1)
    found = []
    for m in range(machines):
        idle, slope = 5.0 + m, 0.8 + 0.1 * m
        for r in range(runs):
            share = (r + 1) / runs
            power = idle * (1.2 + slope * share) * np.exp(noise * random.normal())
            found.append(PowerRun(f"m{m}", f"n{r % 5}", f"v{r}", share, power, idle, 40.0))
    return found


def test_power_lies_between_idle_and_full() -> None:
    draw = Draw(tdp=20.0, idle=4.0, full=12.0)
    assert draw.at(0.0) == 8  # half-way, whatever runs
    assert draw.at(0.25) == 9  # 4 + (0.5 + 0.5 x 0.25) x (12 - 4)
    assert draw.at(1.5) == 12
    assert Draw(tdp=20.0, idle=4.0).at(0.25) == 20
    assert Draw().at(0.25) is None
    several = watts(
        np.asarray([0.5, 0.5]),
        np.asarray([20, 20]),
        np.asarray([4, np.nan]),
        np.asarray([12, np.nan]),
    )
    assert several.tolist() == [10, 20]


def test_what_is_not_known_of_power_widens_the_interval_of_frames_per_watt() -> None:
    # Power 9 of 8 … 11.7 or 6: the deviations of frames and of power add in squares of the logarithm.
    low, high = Draw(idle=4.0, full=12.0).rate_interval(0.25, (1.0, 1.0))
    most, least = 4 + (0.95 + 0.05 * 0.25) * 8, 4 + 0.25 * 8
    assert (low, high) == pytest.approx((9 / most, 9 / least))
    faster = Draw(idle=4.0, full=12.0).rate_interval(0.25, (1.0, 2.0))[1]
    assert np.log(faster) == pytest.approx(np.hypot(np.log(2 * 9 / 10), np.log(9 / least)))
    # A bound is one figure; the frames alone have an interval.
    assert Draw(tdp=20.0).rate_interval(0.25, (0.5, 2.0)) == pytest.approx([0.5, 2.0])
    assert Draw().rate_interval(0.25, (0.5, 2.0)) is None


def test_shares_of_measured_runs_are_what_the_law_says_of_power() -> None:
    """Half-way and the range of eight of ten, of the runs that ship; the portal's table has 930."""
    runs = [run for run in read_runs(measured_rows(), cache(rl.platform)) if run.utilization < 0.9]
    machines = sorted({run.platform for run in runs})
    shares = {
        name: [
            ((run.watts - run.idle) / (run.full - run.idle) - run.utilization)
            / (1 - run.utilization)
            for run in runs
            if run.platform == name
        ]
        for name in machines
    }
    assert len(machines) == 12
    assert np.median([np.median(found) for found in shares.values()]) == pytest.approx(
        BUSY, abs=0.1
    )
    above = np.mean([np.mean(np.asarray(found) > BUSY_MOST) for found in shares.values()])
    below = np.mean([np.mean(np.asarray(found) < BUSY_LEAST) for found in shares.values()])
    assert 0.05 < below < 0.2
    assert above < 0.3


def test_energy_follows_power() -> None:
    machine = rl.platform("rpi4")
    assert (machine.idle_power, machine.full_power) == (3, 6.3)
    found = rl.predict(rl.load("resnet50"), machine, datatype="fp32", model="expected")
    power = 3 + (0.5 + 0.5 * found.utilization) * 3.3
    assert found.fps_per_w == pytest.approx(found.throughput_fps / power)
    assert found.energy_j == pytest.approx(power / found.throughput_fps)
    low, high = found.record()["interval_fps_per_w"]
    assert low < found.fps_per_w < high
    bound = replace(found, draw=Draw(tdp=10.0))
    assert bound.fps_per_w == pytest.approx(found.throughput_fps / 10)
    ends = [end / 10 for end in found.interval_fps]
    assert bound.record()["interval_fps_per_w"] == pytest.approx(ends)


def test_the_fit_finds_the_law_it_was_made_by() -> None:
    runs = made_up(4, 40)
    law = fit(runs)
    assert [law.watts(run) for run in runs] == pytest.approx([run.watts for run in runs], rel=0.02)


def test_a_machine_with_one_run_is_near_all() -> None:
    runs = made_up(4, 40)
    alone = [replace(run, platform="new") for run in runs if run.platform == "m1"][:1]
    base, slope = fit(runs + alone).own["new"]
    assert (base, slope) == pytest.approx(fit(runs).common, abs=0.15)


def test_what_is_left_out_is_not_seen() -> None:
    runs = made_up(3, 20, noise=0.05)
    wild = [replace(run, watts=1e3) if run.variant == "v3" else run for run in runs]
    before = {
        run.platform: said
        for run, said in estimate_left_out(runs, "variant", estimate)
        if run.variant == "v3"
    }
    after = {
        run.platform: said
        for run, said in estimate_left_out(wild, "variant", estimate)
        if run.variant == "v3"
    }
    assert after == pytest.approx(before)
    assert score(estimate_left_out(runs, "variant", estimate))["mape"] < 0.08
