"""What runs inherit of figures of their machine: the run itself, like networks, and how sure that is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import roofline as rl
from roofline.model._own_figures import COMMON, REPEATED, own_figures
from roofline.model._surface import SCALES
from roofline.model.expected import estimate, estimates
from roofline.spec import platform
from roofline.validate.evidence.figures import read_effects

PLACES = np.zeros((4, len(SCALES)))
PLACES[1:3, 0] = 0.3, 9.0
PLACES[3, list(SCALES).index("attention")] = SCALES["attention"]
SHARES = np.tile([0.6, 0.1, 0.1, 0.2], (4, 1))
BEFORE = np.diag([0.09, 0.09, 0.09, 0.09])
MACHINE = float(SHARES[0] @ BEFORE @ SHARES[0])
KIND = (1 - COMMON) * MACHINE


def test_a_run_inherits_its_own_figure_and_like_runs_a_part_of_it() -> None:
    left = np.asarray([0.5])
    found = own_figures(PLACES[:1], SHARES[:1], BEFORE, 0.04, left)
    inherited, known = found.at(PLACES, SHARES)
    assert inherited[0] == pytest.approx((1 - REPEATED * 0.04 / (0.04 + KIND)) * 0.5)
    assert 0.2 < inherited[1] < inherited[0]
    # A network unlike it but of its kind has the part of the kind, and one with attention less.
    assert inherited[2] == pytest.approx(KIND / (0.04 + KIND) * 0.5)
    assert 0 < inherited[3] < 0.5 * inherited[2]
    assert known[0] > known[1] > known[2] > known[3] > 0


def test_a_repetition_is_all_that_is_unsure_of_a_run_that_was_measured() -> None:
    """The closed form of one figure: prior variance v and noise n leave v - (v - n)^2 / v for the same run."""
    whole = MACHINE + 0.04
    found = own_figures(PLACES[:1], SHARES[:1], BEFORE, 0.04, np.asarray([0.0]))
    noise = REPEATED * 0.04
    _, known = found.at(PLACES[:1], SHARES[:1])
    assert whole - known[0] == pytest.approx(whole - (whole - noise) ** 2 / whole)


@pytest.mark.parametrize("rate", [60.0, 500.0])
def test_the_run_that_was_measured_is_estimated_near_its_figure(
    rate: float, tmp_path: Path
) -> None:
    path = tmp_path / "runs.csv"
    path.write_text(f"machine,network,datatype,batch,fps\nhailo-8l,resnet50,int8,1,{rate}\n")
    machine = platform("hailo-8l")
    effect = read_effects(path, [machine])["hailo-8l"]
    graph = rl.load("resnet50")
    before = estimate(graph, machine, datatype="int8")
    after = estimate(graph, machine, datatype="int8", effect=effect)
    assert before is not None
    assert after is not None
    assert after.fps == pytest.approx(rate, rel=0.15)
    assert after.interval_fps[0] < rate < after.interval_fps[1]
    low, high = before.interval_fps
    assert after.interval_fps[1] / after.interval_fps[0] < 0.5 * high / low


@pytest.mark.parametrize("key", ["hailo-8", "rtx-3090"])
def test_several_in_flight_say_the_rate_where_no_published_run_has_several(
    key: str, tmp_path: Path
) -> None:
    path, machine, said = tmp_path / "runs.csv", platform(key), []
    for mode in ("throughput", ""):
        path.write_text(
            f"machine,network,datatype,batch,fps,mode\n{key},resnet50,int8,8,2000,{mode}\n"
        )
        effect = read_effects(path, [machine])[key]
        found = estimate(rl.load("resnet50"), machine, datatype="int8", batch=8, effect=effect)
        assert found is not None
        said.append(found.fps)
    assert said[0] == said[1] == pytest.approx(2000, rel=0.15)


@pytest.mark.parametrize(("rate", "batch"), [(12000, 64), (2000, 64), (3000, 1)])
def test_rates_do_not_fall_with_the_batch_around_a_figure(
    tmp_path: Path, rate: float, batch: int
) -> None:
    table = tmp_path / "rate.csv"
    table.write_text(
        f"machine,network,datatype,batch,fps\nrtx-4090,resnet50,fp16,{batch},{rate}\n"
    )
    machine = platform("rtx-4090")
    effect = read_effects(table, [machine])[machine.key]
    found = estimates(
        rl.load("resnet50"), machine, datatype="fp16", batches=(1, 4, 16, 64, 256), effect=effect
    )
    rates = [each.fps for each in found]
    assert rates == sorted(rates)
