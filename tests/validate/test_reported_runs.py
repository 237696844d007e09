"""Runs that people and vendors report: what the shipped table holds, and what a fit makes of such runs."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest

from roofline import load
from roofline.errors import OptionError, TableError
from roofline.model import predict
from roofline.model._network_facts import facts_of, held_bytes
from roofline.model._quantiles import EIGHT_OF_TEN
from roofline.model.deployment import deployment
from roofline.reading import read_csv
from roofline.spec import platform
from roofline.validate.evidence.evidence import Evidence, combine, names, unite_silicon
from roofline.validate.evidence.fit import Fitting
from roofline.validate.evidence.leaving import near_and_far
from roofline.validate.evidence.measures import summary
from roofline.validate.evidence.named_layers import counts_of_named, networks
from roofline.validate.evidence.published import read_published
from roofline.validate.evidence.rates import read_rates
from roofline.validate.evidence.reported import (
    FIRST_YEAR,
    NAMED_RUNS,
    REPORTED,
    RUNS,
    read_reported,
)
from roofline.validate.evidence.score import score
from roofline.validate.evidence.shipping import usage

from .test_evidence import made_up

SLOWER = 3.0
"""How much slower the reported runtime of these tests is."""


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_reported_run_says_where_it_was_read_and_one_figure() -> None:
    rows = [*rows_of(RUNS), *rows_of(NAMED_RUNS)]
    assert len(rows) > 1700
    for row in rows:
        assert row["source"].startswith("http")
        assert row["title"]
        assert bool(row["fps"]) != bool(row["latency_ms"])
        assert row["mode"] in {"single", "batch", "multi"}
        assert platform(row["machine"])
    # Boards and cards of one chip are left out together.
    chips = {row["machine"].split(":")[0]: row["silicon"] for row in rows}
    for row in rows:
        assert chips[row["machine"].split(":")[0]] == row["silicon"]
    # Names of one chip, or of one design in several sizes: by their makers' pages.
    for same in ONE_SILICON:
        assert len({chips[name] for name in same}) == 1


ONE_SILICON = (
    {"ax650n-npu", "ax650n-npu-core", "ax8850-npu"}, {"bm1688", "cv186x"}, {"rzv2m-npu", "rzv2ma-npu"},
    {"rzv2h-npu", "rzv2n-npu"}, {"rdk-s100-bpu", "rdk-s100p-bpu"}, {"arc-a380", "arc-a770", "flex-170"},
    {"i9-13900k", "i9-14900k"}, {"rpi-zero2w", "rpi3bplus"}, {"zcu102-dpu-pg338", "zcu104-dpu-pg338", "kv260-dpu"},
    {"agx-orin", "orin-nano", "orin-nx"}, {"mali-g76-kirin-980", "mali-g76-kirin-990"},
)  # fmt: skip


def test_a_machine_that_tables_call_differently_is_of_one_silicon(tmp_path: Path) -> None:
    first = read_published(made_up(tmp_path / "runs.csv"))
    own = first.silicon
    other = names([f"other {name}" if name != own[0] else name for name in own])
    both = combine(first, replace(first, silicon=other))
    assert len(set(both.silicon)) == len(set(own))
    assert list(both.silicon) == [*own, *own]
    # Two chips that one machine was said to be are one, with all that either was called.
    chain = names(["a", "b", "c", "b", "d"])
    united = unite_silicon(names(["x", "y", "z", "x:fast", "z"]), chain)
    assert list(united) == ["a", "a", "c", "a", "c"]
    # What stands behind a colon is a mode only where it can be one.
    apart = names(["table:Chip A", "table:Chip B"])
    assert list(unite_silicon(apart, names(["a", "b"]))) == ["a", "b"]


def test_reported_runs_are_counted_by_graph_and_early_software_is_left_out() -> None:
    late, whole = read_reported(), read_reported(first_year=0)
    assert len(late) < len(whole)
    assert all(
        not row["date"][:4].isdigit() or int(row["date"][:4]) >= FIRST_YEAR for row in late.rows
    )
    place = next(i for i, row in enumerate(late.rows) if row["network"] == "resnet50_v15")
    # torchvision's ResNet-50: 4.09 GMAC by its own documentation.
    assert late.facts.numbers["macs"][place] == pytest.approx(4.09e9, rel=0.005)
    assert set(late.source) == {REPORTED}


@pytest.mark.parametrize(
    ("network", "size", "parameters", "gmacs"),
    [
        # By the tables of ultralytics: millions of parameters, and half of the "FLOPs" in billions.
        ("yolov8l", 640, 43.7, 165.2 / 2),
        ("yolov8x", 640, 68.2, 257.8 / 2),
        ("yolov10m", 640, 15.4, 59.1 / 2),
        ("yolo11x", 640, 56.9, 194.9 / 2),
        ("yolo26n", 640, 2.4, 5.4 / 2),
        ("yolo26x", 640, 55.7, 193.9 / 2),
        # By YOLOv9's and YOLOX's own tables, and YOLOv7's paper.
        ("yolov9c", 640, 25.3, 102.1 / 2),
        ("yolox_s", 640, 9.0, 26.8 / 2),
        ("yolov7", 640, 36.9, 104.7 / 2),
        ("yolov7_tiny", 640, 6.2, 13.8 / 2),
    ],
)
def test_traced_networks_have_their_published_counts(
    network: str, size: int, parameters: float, gmacs: float
) -> None:
    found = counts_of_named(networks()[network], float(size * size))
    assert found.macs / 1e9 == pytest.approx(gmacs, rel=0.03)
    assert found.parameters / 1e6 == pytest.approx(parameters, rel=0.03)


def test_a_reported_run_of_a_network_without_layers_is_refused(tmp_path: Path) -> None:
    (row,) = rows_of(NAMED_RUNS)[:1]
    for changed, message in (
        ({"network": "none"}, "the layers of network 'none' are not known"),
        ({"input_size": "large"}, "input_size is 'large'"),
    ):
        path = tmp_path / "runs.csv"
        values = (row | {"date": "", **changed}).values()
        path.write_text(",".join(row) + "\n" + ",".join(f'"{value}"' for value in values))
        with pytest.raises(TableError, match=message):
            read_reported([path])


def test_early_runs_are_scored_by_themselves() -> None:
    found = summary(score(read_reported(first_year=0)))
    early = sum(row["date"][:4].isdigit() and row["date"] < "2020" for row in rows_of(RUNS))
    early += sum(row["date"][:4].isdigit() and row["date"] < "2020" for row in rows_of(NAMED_RUNS))
    late = len(read_reported())
    assert 0 < found["early"]["n"] <= early
    assert found["in_sample"]["n"] == late


def test_runtimes_of_other_names_are_read_as_their_own() -> None:
    text = "machine,network,datatype,runtime,fps\nt4,resnet50,fp16,TensorRT,1000\n"
    (rate,) = read_rates(read_csv(text, "rates"), "rates")
    assert rate.runtime == "trt"


def test_sums_are_of_the_width_that_a_runtime_keeps_them_in() -> None:
    card, network = platform("rtx-4090"), load("resnet50").under(precision="fp16")

    def peak(runtime: str) -> float:
        found = facts_of(
            network, card, machine_class="gpu_consumer", runtime=runtime, datatype="fp16", unit="fp16", batch=1,
            cores=1.0, in_flight=False,
        )  # fmt: skip
        return float(found.numbers["peak"][0])

    # Nvidia's Ada whitepaper: 330.3 TFLOP/s with sums in fp16, 165.2 in fp32.
    assert peak("trt") == pytest.approx(330.3e12, rel=0.01)
    assert peak("pt-eager") == pytest.approx(165.2e12, rel=0.01)


def test_networks_with_attention_do_not_stay_on_a_chip() -> None:
    chip = platform("hailo-8")
    assert held_bytes(chip) > 0
    assert held_bytes(chip, attention=1.0) == 0


def test_a_table_without_a_late_run_is_refused(tmp_path: Path) -> None:
    (row,) = rows_of(RUNS)[:1]
    path = tmp_path / "old.csv"
    path.write_text(
        ",".join(row) + "\n" + ",".join('"' + v + '"' for v in (row | {"date": "2012"}).values())
    )
    with pytest.raises(TableError, match="no run that says something"):
        read_reported([path])


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    return read_published(made_up(tmp_path_factory.mktemp("published") / "runs.csv"))


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """Return like runs of other machines by a runtime that takes three times as long, in all parts."""
    own = read_published(made_up(tmp_path_factory.mktemp("reported") / "runs.csv", deviation=0.1))
    called = names([f"other {name}" for name in own.facts.machine])
    facts = replace(
        own.facts, machine=called, runtime=names(["slow"] * len(own)),
    )  # fmt: skip
    return replace(
        own, facts=facts, silicon=called, source=names([REPORTED] * len(own)), fps=own.fps / SLOWER
    )


def test_reported_runs_tell_of_their_runtime_and_move_hardly_what_tables_say(
    published: Evidence, reported: Evidence
) -> None:
    alone = Fitting(published).fit(layers=False)
    law = Fitting(combine(published, reported)).fit(layers=False)
    new = names(["unseen"] * len(published))
    asked = replace(published.facts, machine=new)
    moved = law.estimate(asked).log_time - alone.estimate(asked).log_time
    assert np.median(np.abs(moved)) < 0.1
    slow = replace(asked, runtime=names(["slow"] * len(published)))
    ratio = law.estimate(slow).log_time - law.estimate(asked).log_time
    # Shrunken towards what is common to all runtimes: more than half of the way, and not beyond.
    assert 0.5 * np.log(SLOWER) < np.median(ratio) < 1.1 * np.log(SLOWER)
    # A law that was told nothing of the runtime cannot know.
    unknown = alone.estimate(slow).log_time - alone.estimate(asked).log_time
    assert abs(np.median(unknown)) < 0.3 * np.log(SLOWER)


def test_no_machine_is_taken_to_run_what_only_reports_are_of(
    published: Evidence, reported: Evidence
) -> None:
    both = combine(published, reported)
    law = Fitting(both).fit(layers=False)
    found = usage(both, law)
    for runtimes in found.values():
        assert runtimes["trt"].runs == 120
        assert runtimes["slow"].runs == 0
        assert runtimes["slow"].machines == 5
    # Where a class has nothing else, they count.
    assert usage(reported, law)["npu"]["slow"].runs == 120


@pytest.mark.parametrize("runtime", ["tensorflow", "pt-eager", "ort"])
def test_estimates_can_be_asked_of_reported_runtimes(runtime: str) -> None:
    import roofline as rl

    found = predict(
        rl.load("resnet50"), rl.platform("v100-sxm2-16gb"), datatype="fp32", batch=16, model="expected",
        runtime=runtime,
    )  # fmt: skip
    assert runtime in " ".join(found.notes)


@pytest.mark.parametrize(
    ("machine", "runtime"),
    [
        ("t4", "trt"),  # tables have it, reports have others
        ("edgetpu:fast", "edgetpu"),  # its maker's, of which reports alone are
        ("rpi5", "ncnn"),  # reports have others, which are of no maker: the class' usual one
        ("v100-sxm2-16gb", "trt"),  # its maker's, of which tables have other machines
        ("rtx-2080ti", "trt"),  # its tables are of frameworks, and NVIDIA has a faster runtime
    ],
)
def test_the_runtime_that_a_machine_is_taken_to_run(machine: str, runtime: str) -> None:
    found = deployment(platform(machine))
    assert found is not None
    assert found.runtime == runtime


def test_runs_far_from_all_others_do_not_widen_what_is_near(published: Evidence) -> None:
    far = np.isin(published.facts.machine.astype(str), sorted(set(published.facts.machine))[:5])
    # Each machine has the same runs: the middles of 24 equal parts of a normal distribution.
    each = [NormalDist().inv_cdf((place + 0.5) / 24) for place in range(24)]
    residuals = np.tile(each, len(published) // 24) * np.where(far, 3.0, 1.0)
    found = near_and_far(published, residuals, np.ones(len(published), bool), far)
    # Eight of ten of a normal distribution lie within 1.28 deviations.
    near = found.tables["new"][""][0.8]
    assert near == pytest.approx((-EIGHT_OF_TEN, EIGHT_OF_TEN), rel=0.1)
    beyond = found.tables["far"][""][0.8]
    assert beyond == pytest.approx((-3 * EIGHT_OF_TEN, 3 * EIGHT_OF_TEN), rel=0.1)


@pytest.mark.parametrize(
    ("machine", "runtime"), [("rtx-4090", "rknn"), ("edgetpu", "trt"), ("apple-m3", "hailo")]
)
def test_another_makers_runtime_is_refused(machine: str, runtime: str) -> None:
    with pytest.raises(OptionError, match=f"{runtime} is of .* machines, and {machine}"):
        deployment(platform(machine), runtime)


@pytest.mark.parametrize(
    ("called", "runtime"), [("TensorRT", "trt"), ("onnxruntime", "ort"), ("pytorch", "pt-eager")]
)
def test_runtimes_are_known_by_their_other_names(called: str, runtime: str) -> None:
    found = deployment(platform("t4"), called)
    assert found is not None
    assert found.runtime == runtime
