"""The law of layers beside the time law: its groups, its derivatives, its fit, and the table of networks by name."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import replace
from math import nan
from pathlib import Path

import numpy as np
import pytest

import roofline as rl
from roofline.errors import OptionError
from roofline.model._law_estimates import BESIDE, FEW_LAYERED
from roofline.model._layer_groups import (
    ARITHMETIC,
    KINDS,
    OTHER,
    WIDE,
    LayerCounts,
    LayerGroups,
    gather_alike,
    group_layers,
    groups_of,
    joined_groups,
    no_layers,
)
from roofline.model._layer_law import LAYER_PARTS, LayerLaw, time_of_layers
from roofline.model._network_layers import groups_of_workload, layer_counts
from roofline.model._run_facts import join_facts
from roofline.validate.evidence.fit import Fitting
from roofline.validate.evidence.laws_without import LawsWithout
from roofline.validate.evidence.leaving import leave_family
from roofline.validate.evidence.measures import summary
from roofline.validate.evidence.named_layers import layers_of, networks
from roofline.validate.evidence.priors import Options
from roofline.validate.evidence.published import read_published
from roofline.validate.evidence.score import refit, score

CONV = LayerCounts("conv", 1e9, 2e6, 1e6, 1e5, 128, 2)
NARROW = LayerCounts("conv1", 1e8, 4e6, 2e6, 1e4, 16, 1)
RELU = LayerCounts(OTHER, 0, 2e6, 1e6, 0, WIDE, 3)


def test_groups_are_relative_to_the_network() -> None:
    found = group_layers(gather_alike([CONV, NARROW, RELU]))
    assert found is not None
    of = {KINDS[int(row[0])]: row[1:] for row in found}
    written = 2e6 + 2e6
    assert of["conv"] == pytest.approx(
        [2e9 / 2.1e9, 4e6 / (2 * written), 2e5 / 2.1e5, np.log(1.0), 2]
    )
    assert of["conv1"] == pytest.approx(
        [1e8 / 2.1e9, 4e6 / (2 * written), 1e4 / 2.1e5, np.log(16 / 64), 1]
    )
    assert of[OTHER] == pytest.approx([0, 6e6 / (2 * written), 0, 0, 3])


def test_like_layers_are_one_group_with_their_sums() -> None:
    (both,) = gather_alike([CONV, CONV._replace(times=1, macs=0.9e9)])
    assert (both.times, both.macs, both.weights) == (3, 2e9 + 0.9e9, 3e5)
    assert group_layers(gather_alike([RELU])) is None


def test_groups_of_runs_are_taken_and_joined_by_run() -> None:
    first, second = group_layers(gather_alike([CONV, RELU])), group_layers(gather_alike([NARROW]))
    groups = groups_of([first, None, second])
    assert groups.known.tolist() == [True, False, True]
    again = groups.take(np.asarray([2, 0, 0, 1]))
    assert again.counts.tolist() == [1, 2, 2, 0]
    assert first is not None
    assert second is not None
    assert np.array_equal(again.values, np.concatenate([second, first, first]))
    whole = joined_groups([groups.take(np.asarray([0])), no_layers(1)])
    assert whole.counts.tolist() == [2, 0]


def some_runs() -> tuple[LayerGroups, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    networks = [[CONV, NARROW, RELU], [NARROW, RELU, CONV._replace(kind="depthwise", narrow=1)]]
    groups = groups_of([group_layers(gather_alike(each)) for each in networks])
    terms = tuple(np.asarray(pair) for pair in ((2e-3, 1e-4), (1e-4, 3e-4), (5e-4, 2e-3)))
    return groups, (terms[0], terms[1], terms[2])


def test_one_layer_takes_the_time_of_the_formula() -> None:
    groups = groups_of([group_layers(gather_alike([CONV._replace(times=1)]))])
    machine = np.log([[2.0, 3.0, 5.0, 1e-4]])
    parts = np.zeros((1, len(LAYER_PARTS)))
    parts[0, LAYER_PARTS.index("conv")] = np.log(1.5)
    terms = [np.asarray([x]) for x in (1e-3, 2e-4, 4e-4)]
    log_time, _, shares = time_of_layers(machine, parts, terms, groups)
    # One group writes all activations; it reads as many, so that it moves one per two of them twice.
    arithmetic, memory = 1e-3 * 2 * 1.5, 2e-4 * 3 + 4e-4 * 5 * 2e6 / (2 * 1e6)
    assert np.exp(log_time[0]) == pytest.approx((arithmetic**3 + memory**3) ** (1 / 3) + 2e-4)
    assert shares.sum() == pytest.approx(1)


def test_derivatives_are_those_of_small_steps() -> None:
    groups, terms = some_runs()
    rng = np.random.default_rng(0)
    machines = np.log([[2.0, 1.0, 1.5, 2e-4], [1.0, 2.0, 0.5, 1e-3]])
    parts = rng.normal(0, 0.3, (2, len(LAYER_PARTS)))
    log_time, derivatives, shares = time_of_layers(machines, parts, terms, groups)
    for place in range(len(LAYER_PARTS)):
        step = np.zeros_like(parts)
        step[:, place] = 1e-6
        moved = time_of_layers(machines, parts + step, terms, groups)[0]
        assert derivatives[:, place] == pytest.approx((moved - log_time) / 1e-6, abs=1e-5)
    for place in range(4):
        step = np.zeros_like(machines)
        step[:, place] = 1e-6
        moved = time_of_layers(machines + step, parts, terms, groups)[0]
        assert shares[:, place] == pytest.approx((moved - log_time) / 1e-6, abs=1e-5)


@pytest.mark.parametrize(
    ("shipped", "traced"),
    [("mobilenet_v2", "mobilenetv2_100"), ("efficientnet_b0", "efficientnet_b0"), ("densenet121", "densenet121")],
)  # fmt: skip
def test_a_graph_has_the_layers_that_torch_calls(shipped: str, traced: str) -> None:
    """The table is of what torch calls; the graph's layers are counted here."""
    calls: Counter[str] = Counter()
    macs: Counter[str] = Counter()
    for layer in layer_counts(rl.load(shipped)):
        calls[layer.kind] += int(layer.times)
        macs[layer.kind] += int(layer.macs * layer.times)
    found = networks()[traced].groups
    for place, kind in enumerate(KINDS):
        rows = found[found[:, 0] == place]
        near = 0.03 if kind == OTHER else 0.0
        assert calls[kind] == pytest.approx(rows[:, -1].sum(), rel=near, abs=0)
        assert macs[kind] / macs.total() == pytest.approx(rows[:, 1].sum(), abs=2e-3)


def test_a_bias_an_exported_activation_and_a_view_are_no_calls() -> None:
    kinds = Counter(layer.kind for layer in layer_counts(rl.load("vit_b16")))
    gelus, norms, softmaxes, residuals = 12, 25, 12, 24
    moved = 12 * 4 + 5  # transposes around attention; tokens, positions and the first token
    assert kinds[OTHER] == pytest.approx(gelus + norms + softmaxes + residuals + moved, abs=14)
    groups = groups_of_workload(rl.load("vit_b16"))
    assert groups is not None
    assert groups[:, 1].sum() == pytest.approx(1)


def test_a_name_alone_gives_no_layers() -> None:
    known = networks()["resnet50"]
    at = (224 / known.input_size) ** 2
    found = layers_of("resnet50", 4.09e9, 25.6e6, 224.0**2)
    assert found is not None
    assert found[1] == pytest.approx(known.activations * at)
    assert layers_of("resnet50", 4.09e9, 25.6e6, nan) is not None
    assert layers_of("resnet50", 4.09e9, 12e6, 224.0**2) is None
    assert layers_of("resnet50", 1e9, 25.6e6, 224.0**2) is None
    assert layers_of("a network of mine", 4.09e9, 25.6e6, nan) is None
    assert layers_of("ResNet-50-TF-224x224", 4.09e9, 25.6e6, nan) is not None


EVERY = 40
"""Of the table's networks every so many is one of the runs."""

WORTH = {"product": 4.0, "conv1": 0.5}
"""How much longer than others layers of a kind take on the made-up machines."""


MACHINES = (("one", 1e13, "fp16", EVERY), ("two", 3e13, "fp16", EVERY))


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs on two machines whose products are slow, of networks of the table."""
    return runs_of(tmp_path_factory.mktemp("layers") / "runs.csv", MACHINES)


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, and runs at another datatype, which the first machine has few of and is slow at, unlike the other."""
    return runs_of(
        tmp_path_factory.mktemp("ways") / "runs.csv",
        (*MACHINES, ("one", SLOWER, "int8", FEW_OF), ("two", 3e13, "int8", EVERY)),
    )


SLOWER, FEW_OF = 0.5e13, 160
"""What the first machine makes of its 1e13 OP/s at int8, and of which every so many networks that is known."""


def runs_of(path: Path, machines: tuple[tuple[str, float, str, int], ...]) -> Path:
    """Write runs of machines, each at what it makes of its peak in OP/s, of every so many networks of the table."""
    factors = np.asarray([WORTH.get(kind, 1.0) for kind in KINDS])
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["machine", "machine_class", "peak_op_s", "bandwidth_b_s", "runtime", "network", "family", "datatype",
             "batch", "fps", "gmacs", "params_m", "activation_elements_m", "input_size"]
        )  # fmt: skip
        for machine, peak, datatype, every in machines:
            for name in sorted(networks())[::every]:
                known = networks()[name]
                share = known.groups[:, 1] * factors[known.groups[:, 0].astype(int)]
                seconds = (
                    2 * known.macs / peak / 0.5 * share.sum() + 1e-5 * known.groups[:, -1].sum()
                )
                writer.writerow(
                    [machine, "gpu_consumer", max(peak, 1e13), 1e12, "trt", name, name[:6], datatype, 1, 1 / seconds,
                     known.macs / 1e9, known.parameters / 1e6, known.activations / 1e6, known.input_size]
                )  # fmt: skip
    return path


def test_layers_tell_what_counts_cannot(table: Path) -> None:
    evidence = read_published(table)
    assert evidence.facts.layered.all()
    off = {
        name: np.abs(
            leave_family(LawsWithout(evidence, options)).estimates.log_time - evidence.log_time
        )
        for name, options in (("counts", Options(layers=None)), ("layers", Options()))
    }
    assert np.median(off["layers"]) < 0.6 * np.median(off["counts"])
    law = Fitting(evidence).fit()
    (parts,) = law.layers.of(evidence.facts.take(np.asarray([0])))
    found = dict(zip(LAYER_PARTS, parts, strict=True))
    assert found["product"] > max(found[kind] for kind in ARITHMETIC if kind != "product")


def test_layers_say_nothing_of_a_machine_without_runs(table: Path) -> None:
    evidence = read_published(table)
    law = Fitting(evidence).fit(np.asarray(["two"], object), evidence.facts.machine)
    assert set(law.layers.parameters) == {"", "gpu_consumer/trt", "one/trt"}
    runs = evidence.facts.take(evidence.facts.machine == "two")
    told = law.estimate(runs)
    assert told.log_time == pytest.approx(replace(law, layers=LayerLaw()).estimate(runs).log_time)


def test_many_batches_at_once_are_what_each_is_alone(table: Path) -> None:
    evidence = read_published(table)
    law = Fitting(evidence).fit()
    one, two = evidence.facts.take(np.asarray([1])), evidence.facts.take(np.asarray([40]))
    runs = join_facts([one, two, replace(one, layers=None)])
    batches = np.asarray([1.0, 7.0, 64.0])
    at_once = law.at_batches(runs, np.tile(batches, (3, 1)))
    each = [law.estimate(runs.at(np.full(3, batch))) for batch in batches]
    for name in ("log_time", "deviation", "known"):
        alone = np.stack([getattr(found, name) for found in each], 1)
        assert getattr(at_once, name).reshape(3, 3) == pytest.approx(alone)
    assert at_once.log_time[0] != pytest.approx(at_once.log_time[6])


def test_few_runs_at_a_datatype_do_not_drown_in_many_at_another(ways: Path) -> None:
    evidence = read_published(ways)
    few = np.flatnonzero((evidence.facts.datatype == "int8") & (evidence.facts.machine == "one"))
    assert len(few) < 0.3 * (evidence.facts.machine == "one").sum()
    law = Fitting(evidence).fit()
    told = law.estimate(evidence.facts.take(few))
    assert set(told.known) == {FEW_LAYERED}
    assert abs(np.median(told.log_time - evidence.log_time[few])) < 0.1
    runs, by_counts = evidence.facts.take(few), replace(law, layers=LayerLaw())
    off, without = (
        abs(np.median(each.estimate(runs).log_time - evidence.log_time[few]))
        for each in (by_counts, replace(by_counts, ways={}))
    )
    assert off < 0.7 * without
    assert law.ways["one/trt/int8"] > 0 > law.ways["two/trt/int8"]


def test_a_datatype_that_a_machine_was_not_run_at_is_told_apart(ways: Path) -> None:
    evidence = read_published(ways)
    facts = evidence.facts
    few = facts.take((facts.datatype == "int8") & (facts.machine == "one"))
    law = Fitting(evidence).fit(np.asarray(["one/trt/int8"], object), evidence.silicon_settings)
    assert set(law.estimate(few).known) == {BESIDE}
    assert set(law.at_batches(few, np.ones((len(few), 2))).known) == {BESIDE}
    figure = few.take(np.asarray([0]))
    effects = {"one": law.correct(figure, np.zeros(1), law.effects["one"])}
    assert BESIDE not in law.estimate(few, effects).known


def test_leaving_a_setting_out_judges_machines_that_were_run_in_several_ways(ways: Path) -> None:
    evidence = read_published(ways)
    left = refit(evidence, "setting")
    judged = np.isfinite(left.estimates.log_time)
    assert judged.all()
    scored = summary(score(evidence, leave="setting", holdout=left))
    assert scored["all"]["n"] == judged.sum()


def test_a_figure_at_one_datatype_says_nothing_of_another_that_was_run(ways: Path) -> None:
    evidence = read_published(ways)
    facts = evidence.facts
    law = Fitting(evidence).fit()
    many = facts.take((facts.datatype == "fp16") & (facts.machine == "one"))
    few = facts.take((facts.datatype == "int8") & (facts.machine == "one"))
    slow = law.estimate(few).log_time[:1] + 1
    effects = {"one": law.correct(few.take(np.asarray([0])), slow, law.effects["one"])}
    assert law.estimate(many, effects).log_time == pytest.approx(law.estimate(many).log_time)
    moved = law.estimate(few, effects).log_time - law.estimate(few).log_time
    assert moved[0] == pytest.approx(1, abs=0.2)


def test_runs_that_no_other_machine_judges_are_refused(table: Path) -> None:
    evidence = read_published(table)
    alone = evidence.take(evidence.facts.machine == "one")
    for runs, leave in ((evidence, "setting"), (alone, "family")):
        with pytest.raises(OptionError, match="two kinds of silicon"):
            refit(runs, leave)
