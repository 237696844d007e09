"""What runs inherit of figures of their machine: the run itself, like networks, and how sure that is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import roofline as rl
from roofline.errors import TableError
from roofline.model._own_figures import COMMON, REPEATED, own_figures
from roofline.model._surface import SCALES
from roofline.model.equation1 import equation1
from roofline.model.expected import Estimate, estimate, estimates
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


def _said(rows: str, machine: str, folder: Path, **choices: object) -> Estimate:
    path = folder / "figures.csv"
    path.write_text(f"machine,network,datatype,batch,fps,mode,runtime\n{rows}\n")
    place = platform(machine)
    effect = read_effects(path, [place])[place.key]
    found = estimate(rl.load("resnet50"), place, datatype="fp16", effect=effect, **choices)
    assert found is not None
    return found


def test_figures_of_another_runtime_do_not_move_what_a_runtimes_own_say(tmp_path: Path) -> None:
    own = "l4,resnet50,fp16,8,5000,single,trt"
    alone = _said(own, "l4", tmp_path, batch=8, runtime="trt")
    both = _said(
        f"{own}\nl4,resnet50,fp16,8,900,single,ort\nl4,vgg16,fp16,8,90,single,ort", "l4", tmp_path, batch=8,
        runtime="trt",
    )  # fmt: skip
    assert both.fps == pytest.approx(alone.fps, rel=1e-9)
    other = _said(own, "l4", tmp_path, batch=8, runtime="ort")
    given = _said(
        f"{own}\nl4,resnet50,fp16,8,900,single,ort", "l4", tmp_path, batch=8, runtime="ort"
    )
    assert abs(np.log(given.fps / 900)) < abs(np.log(other.fps / 900))


def test_figures_of_one_run_behind_another_are_not_of_several_in_flight(tmp_path: Path) -> None:
    alone = _said("l4,resnet50,fp16,1,300,single,trt", "l4", tmp_path)
    assert not alone.in_flight
    assert alone.fps == pytest.approx(300, rel=0.25)
    assert alone.latency_s == pytest.approx(1 / alone.fps)
    several = _said("l4,resnet50,fp16,1,3000,throughput,trt", "l4", tmp_path)
    assert several.in_flight


@pytest.mark.parametrize("machine", ["mi300a", "rtx-4090", "h100-sxm"])
def test_a_machine_runs_by_default_what_its_figures_are_of(machine: str, tmp_path: Path) -> None:
    found = _said(f"{machine},resnet50,fp16,8,2000,single,pt-eager", machine, tmp_path, batch=8)
    assert found.runtime == "pt-eager"
    assert found.fps == pytest.approx(2000, rel=0.2)


@pytest.mark.parametrize(
    "row",
    ["l4,resnet50,fp16,1,40000,throughput,trt", "rtx-4090,vgg16,fp16,128,15000,batch,pt-compile"],
)
def test_a_figure_above_its_bound_is_refused(row: str, tmp_path: Path) -> None:
    path, machine = tmp_path / "figures.csv", platform(row.split(",", maxsplit=1)[0])
    path.write_text(f"machine,network,datatype,batch,fps,mode,runtime\n{row}\n")
    with pytest.raises(TableError, match=r"row 1: .* times the most that Equation 1 allows"):
        read_effects(path, [machine])


def test_a_figure_a_little_above_its_bound_is_named(tmp_path: Path) -> None:
    said: list[str] = []
    path, machine = tmp_path / "figures.csv", platform("rtx-4090")
    workload = rl.load("resnet50").under(precision="fp16")
    most = equation1(workload, machine, datatype="fp16", batch=64).throughput_fps
    assert most is not None
    path.write_text(
        f"machine,network,datatype,batch,fps\nrtx-4090,resnet50,fp16,64,{1.1 * most}\n"
    )
    read_effects(path, [machine], said.append)
    assert len(said) == 1
    assert "1.1 times the bound of rtx-4090" in said[0]
