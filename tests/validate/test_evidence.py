"""Evidence: reading it, fitting the time law to it, leaving some of it out, and scoring."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest

import roofline as rl
from roofline.errors import OptionError, TableError
from roofline.model import predict
from roofline.model._expected_data import from_document, shipped_parameters, to_document
from roofline.model._forward import forward
from roofline.model._law_estimates import FAR, NEW, Effect, deviation_among
from roofline.model._network_facts import activation_elements, class_of, marks_of
from roofline.model._quantiles import quantiles, weighted_quantile
from roofline.spec import platform
from roofline.validate.evidence.evidence import combine, names
from roofline.validate.evidence.fit import Fitting
from roofline.validate.evidence.laws_without import LawsWithout
from roofline.validate.evidence.leaving import leave_silicon
from roofline.validate.evidence.measures import order, spearman, summary
from roofline.validate.evidence.page import page
from roofline.validate.evidence.published import pixels_of, read_published
from roofline.validate.evidence.readers import read_evidence
from roofline.validate.evidence.reported import read_reported
from roofline.validate.evidence.score import score
from roofline.validate.records.files import export_csv, export_json
from roofline.validate.records.record import Measurement, Status
from roofline.validate.records.request import RunRequest
from roofline.validate.records.store import Store

ROOT = Path(__file__).parents[2]
FACTS = Path(os.environ.get("ROOFLINE_FACTS", ROOT / "../shared/facts"))
PUBLISHED = FACTS / "public_fps" / "evidence.csv"
SUMMARY = ROOT / "validate" / "evidence" / "summary.json"

MACHINES, NETWORKS = 10, 24
EFFICIENCY, FLOOR = 0.4, 2e-3


def made_up(path: Path, *, noise: float = 0.05, deviation: float = 0.2) -> Path:
    """Write runs that obey the law with p = 1.5: two classes, a floor, one constant deviation per machine."""
    rng = np.random.default_rng(3)
    rows = []
    for m in range(MACHINES):
        peak, bandwidth = 10 ** rng.uniform(12, 13), 10 ** rng.uniform(10.5, 11)
        own = rng.normal(0, deviation)
        for n in range(NETWORKS):
            gmacs, params, acts = 10 ** rng.uniform(-0.5, 1.5), 10 ** rng.uniform(0.5, 2), 10.0
            compute = 2e9 * gmacs / peak / EFFICIENCY * np.exp(own)
            memory = (1e6 * params + 2e6 * acts) / bandwidth
            seconds = FLOOR + (compute**1.5 + memory**1.5) ** (2 / 3)
            rows.append(
                {
                    "machine": f"machine {m}", "silicon": f"chip {m}", "key": f"m{m}",
                    "machine_class": "npu" if m % 2 else "gpu_embedded", "cores": 1, "peak_op_s": peak,
                    "bandwidth_b_s": bandwidth, "runtime": "trt", "mode": "single", "network": f"net {n}",
                    "family": f"family {n % 6}", "datatype": "int8", "batch": 1,
                    "fps": np.exp(rng.normal(0, noise)) / seconds, "gmacs": gmacs, "params_m": params,
                    "activation_elements_m": acts,
                }
            )  # fmt: skip
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_up(tmp_path_factory.mktemp("evidence") / "runs.csv")


def edited(table: Path, tmp_path: Path, change: dict[str, str]) -> Path:
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    rows[4] |= change
    path = tmp_path / "edited.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[4]))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("fps", "0"),
        ("fps", "-3"),
        ("fps", "fast"),
        ("peak_op_s", "nan"),
        ("batch", ""),
        ("batch", "2.5"),
        ("gmacs", "inf"),
    ],
)
def test_a_number_that_is_none_is_named_with_its_row(
    table: Path, tmp_path: Path, column: str, value: str
) -> None:
    with pytest.raises(TableError, match=f"row 5: {column} is"):
        read_published(edited(table, tmp_path, {column: value}))


def test_a_class_that_is_not_known_is_named_with_its_row(table: Path, tmp_path: Path) -> None:
    with pytest.raises(
        TableError, match=r"row 5: unknown machine_class 'gpu-dc'\. Did you mean 'gpu_dc'"
    ):
        read_published(edited(table, tmp_path, {"machine_class": "gpu-dc"}))


def test_a_table_without_a_column_says_which(tmp_path: Path) -> None:
    path = tmp_path / "short.csv"
    path.write_text("machine,fps\na,1\n")
    with pytest.raises(TableError, match="no column network, datatype"):
        read_evidence(path)


def test_time_by_hand() -> None:
    # One run: C = 3 ms, W = 1 ms, A = 3 ms; compute twice as slow, a floor of 1 ms, p = 1: 1 + 6 + 4 ms.
    found, shares = forward(
        np.log([[2.0, 1.0, 1.0, 1e-3]]),
        (np.array([3e-3]), np.array([1e-3]), np.array([3e-3])),
        1.0,
    )
    assert np.exp(found[0]) == pytest.approx(11e-3)
    assert shares[0] == pytest.approx(np.array([6, 1, 3, 1]) / 11)


def test_shares_are_the_derivatives() -> None:
    rng = np.random.default_rng(0)
    logs, terms = rng.normal(0, 1, (5, 4)), tuple(np.exp(rng.normal(0, 1, (3, 5))))
    at, shares = forward(logs, terms, 1.5)  # type: ignore[arg-type]
    for part in range(4):
        moved = logs + 1e-6 * np.eye(4)[part]
        assert (forward(moved, terms, 1.5)[0] - at) / 1e-6 == pytest.approx(  # type: ignore[arg-type]
            shares[:, part], abs=1e-5
        )
    assert shares.sum(1) == pytest.approx(1)


def test_the_fit_finds_the_law_it_was_made_by(table: Path) -> None:
    evidence = read_published(table)
    law = Fitting(evidence).fit()
    off = np.abs(law.estimate(evidence.facts).log_time - evidence.log_time)
    assert np.median(off) < 0.06  # noise of 5 %
    assert law.row_deviation < 0.1


def test_figures_of_a_machine_move_its_compute_and_not_its_memory(table: Path) -> None:
    evidence = read_published(table)
    law = Fitting(evidence).fit()
    facts = evidence.facts.take(np.flatnonzero(evidence.facts.machine == "m1"))
    plain = law.estimate(facts, {})
    heavy = np.argsort(-plain.shares[:, 0])[:3]
    # Runs held back by compute turn out twice as slow.
    effect = law.correct(facts.take(heavy), plain.log_time[heavy] + np.log(2))
    assert effect.mean[0] > 0.3
    assert effect.mean[0] > 3 * abs(effect.mean[1])
    after = law.estimate(facts, {"m1": effect})
    # What is known of a machine is one for all its runs: the surest of those that gave no figure may lose by it.
    assert np.all(after.deviation[heavy] < plain.deviation[heavy])
    assert np.median(after.deviation) < 0.5 * np.median(plain.deviation)
    assert np.all(after.known == plain.known)


def test_leaving_silicon_out_is_worse_than_what_is_known_and_its_intervals_hold(
    tmp_path: Path,
) -> None:
    evidence = read_published(made_up(tmp_path / "wide.csv", deviation=0.4))
    left = summary(score(evidence, leave="silicon"))["all"]
    family = summary(score(evidence, leave="family"))["all"]
    assert left["factor_machines"] > family["factor_machines"]
    assert left["n"] == MACHINES * NETWORKS
    assert left["coverage_machines"] == pytest.approx(0.8, abs=0.25)
    assert left["width"] > family["width"]
    three = summary(score(evidence, leave="silicon", figures=3))["all"]
    assert three["n"] == MACHINES * (NETWORKS - 3)
    assert three["factor_machines"] < left["factor_machines"]


def test_one_silicon_cannot_be_left_out(table: Path, tmp_path: Path) -> None:
    evidence = read_published(table)
    one = evidence.take(np.flatnonzero(evidence.silicon == "chip 1"))
    with pytest.raises(OptionError, match="nothing is left"):
        score(one, leave="silicon")


def test_the_bound_is_scored_by_its_closed_form(table: Path) -> None:
    evidence = read_published(table)
    scored = score(evidence, model="equation1")
    with table.open(newline="") as file:
        first = next(csv.DictReader(file))
    compute = 2e9 * float(first["gmacs"]) / float(first["peak_op_s"])
    weights = 1e6 * float(first["params_m"]) / float(first["bandwidth_b_s"])
    assert scored.predicted[0] == pytest.approx(1 / max(compute, weights))
    whole = summary(scored)["all"]
    errors = np.abs(scored.predicted - evidence.fps) / evidence.fps
    assert whole["mape"] == pytest.approx(errors.mean())
    assert whole["within_2x"] == pytest.approx(
        np.mean(np.abs(np.log(scored.predicted / evidence.fps)) <= np.log(2))
    )


def test_order_counts_pairs_of_machines_on_one_network(table: Path) -> None:
    evidence = read_published(table)
    share, pairs = order(evidence, evidence.fps)
    assert share == 1
    assert pairs > 0
    assert order(evidence, 1 / evidence.fps)[0] == 0
    assert spearman(evidence, evidence.fps) == pytest.approx(1)


def test_weighted_quantile() -> None:
    values = np.arange(10.0)
    assert weighted_quantile(values, np.ones(10), 0.5) == 4
    assert weighted_quantile(values, np.array([0] * 9 + [1.0]), 0.1) == 9


def test_the_quantiles_of_a_class_with_few_machines_are_near_those_of_all() -> None:
    # Nine processors whose residuals are even over -1 to 1, and one accelerator's over 9 to 11; all nine count as six.
    even = np.linspace(-1, 1, 400)
    z = np.concatenate([*[even] * 9, even + 10])
    machine = np.repeat([f"m{place}" for place in range(10)], 400).astype(object)
    name = np.repeat(["cpu"] * 9 + ["npu"], 400).astype(object)
    found = quantiles(z, machine, name)
    assert found["npu"][0.5] == pytest.approx(
        (-1 + 2 * 0.25 * 7 / 6, -1 + 2 * 0.75 * 7 / 6), abs=0.02
    )
    assert found["npu"][0.95][1] == pytest.approx(9 + 2 * (0.975 * 7 - 6), abs=0.02)
    # Of ten machines nine are processors: one in ten is the accelerator.
    assert found["cpu"][0.5] == found[""][0.5]
    assert found["cpu"][0.5][1] == pytest.approx(-1 + 2 * 0.75 * 10 / 9, abs=0.02)


def test_shipped_parameters_survive_being_written() -> None:
    again = from_document(json.loads(json.dumps(to_document(shipped_parameters()))))
    assert again.version == shipped_parameters().version
    assert np.array_equal(again.law.coefficients, shipped_parameters().law.coefficients)
    assert np.array_equal(again.law.uncertainty, shipped_parameters().law.uncertainty)
    assert again.quantiles == shipped_parameters().quantiles


def test_a_machine_of_the_fit_is_known_better_than_another() -> None:
    law = shipped_parameters().law
    assert len(law.effects) == shipped_parameters().provenance["machines"]
    unknown = Effect(np.zeros(4), np.diag(law.machine_deviation**2))
    known = [float(np.trace(effect.covariance)) for effect in law.effects.values()]
    assert max(known) < float(np.trace(unknown.covariance))


def test_the_page_is_made_from_the_summary() -> None:
    document = json.loads(SUMMARY.read_text())
    assert (ROOT / "docs" / "expected.md").read_text() == page(document)
    assert document["provenance"]["sha256"] == shipped_parameters().provenance["sha256"]
    assert document["version"] == shipped_parameters().version


@pytest.mark.slow
@pytest.mark.skipif(not PUBLISHED.is_file(), reason="the published evidence is not here")
def test_the_summary_is_the_score() -> None:
    from roofline.validate.evidence.score import refit

    document = json.loads(SUMMARY.read_text())
    evidence = combine(read_published(PUBLISHED), read_reported())
    for name in ("silicon", "family"):
        found = summary(score(evidence, leave=name, holdout=refit(evidence, name)))["all"]
        for figure in ("factor_rows", "factor_machines", "coverage_machines", "width"):
            assert found[figure] == pytest.approx(document[name]["all"][figure], rel=0.02)


@pytest.mark.skipif(not PUBLISHED.is_file(), reason="the published evidence is not here")
def test_the_shipped_parameters_score_the_evidence_in_seconds() -> None:
    scored = score(read_published(PUBLISHED))
    assert scored.in_sample.all()
    assert summary(scored)["in_sample"]["factor_rows"] < 1.3


def test_records_are_the_same_evidence_in_every_form(tmp_path: Path) -> None:
    runs = [
        Measurement(
            RunRequest(network, "onnxruntime", batch=1, threads=1, datatype="fp32"), Status.OK, None,
            samples_s=(seconds,) * 5, machine="i5-8500",
        )
        for network, seconds in (("resnet50", 0.04), ("mobilenet_v1", 0.01))
    ]  # fmt: skip
    lost = Measurement(
        RunRequest("resnet50", "onnxruntime"),
        Status.OK,
        None,
        samples_s=(1.0,),
        machine="no such machine",
    )
    forms = {"a.json": export_json([*runs, lost]), "a.csv": export_csv([*runs, lost])}
    for name, text in forms.items():
        (tmp_path / name).write_text(text)
    with Store(tmp_path / "a.db") as store:
        for run in (*runs, lost):
            store.add(run)
    for name in (*forms, "a.db"):
        found = read_evidence(tmp_path / name)
        assert found.fps == pytest.approx([25, 100])
        assert list(found.facts.machine) == ["i5-8500"] * 2
        assert list(found.facts.machine_class) == ["cpu"] * 2
        resnet = rl.load("resnet50")
        assert found.facts.numbers["macs"][0] == resnet.macs
        assert found.facts.numbers["parameters"][0] == resnet.parameters
        bound = score(found, model="equation1").predicted
        assert np.all(bound > found.fps)


def test_another_name_of_a_machine_is_the_machine(table: Path, tmp_path: Path) -> None:
    change = {"key": "rpi4b", "machine": "rpi4b"}
    assert read_published(edited(table, tmp_path, change)).facts.machine[4] == "rpi4"


def test_a_chip_that_holds_the_weights_has_items_under_way_at_any_batch(
    table: Path, tmp_path: Path
) -> None:
    change = {"key": "hailo-8", "machine": "hailo-8", "params_m": "10", "batch": "1"}
    found = read_published(edited(table, tmp_path, change))
    _, weights, activations = found.facts.terms
    assert weights[4] == activations[4] == 0
    assert found.facts.numbers["batch"][4] > 1
    assert np.exp(found.log_time[4]) == pytest.approx(
        found.facts.numbers["batch"][4] / found.fps[4]
    )
    own = read_published(edited(table, tmp_path, change | {"params_m": "100"}))
    assert own.facts.terms[1][4] > 0
    assert own.facts.numbers["batch"][4] == 1


@pytest.mark.parametrize(
    ("size", "pixels"),
    [("224", 224**2), ("224x112", 224 * 112), ("640*480*3", 640 * 480), ("3x32x64", 32 * 64)],
)
def test_pixels_of_an_input(size: str, pixels: int) -> None:
    assert pixels_of(size) == pixels


@pytest.mark.parametrize("size", ["", "1x3x224x224", "0x4", "text"])
def test_pixels_of_no_picture_are_not_known(size: str) -> None:
    assert np.isnan(pixels_of(size))


def test_guessed_activations_are_near_those_that_are_counted(table: Path, tmp_path: Path) -> None:
    # The table's own guess is far off; the graph's count is the oracle.
    for name, size in (("resnet50", "224x224x3"), ("mobilenet_v2", "224"), ("vgg16", "224x224")):
        graph = rl.load(name)
        found = read_published(
            edited(
                table, tmp_path,
                {"gmacs": str(graph.macs / 1e9), "params_m": str(graph.parameters / 1e6), "input_size": size,
                 "activation_elements_m": "1000", "activations_imputed": "True",
                 "depthwise_mac_share": str(marks_of(graph)["depthwise"])},
            )
        )  # fmt: skip
        ratio = found.facts.numbers["activations"][4] / activation_elements(graph)
        assert 1 / 1.96 < ratio < 1.96, name


def test_a_run_alone_has_one_of_the_machines_npus(table: Path, tmp_path: Path) -> None:
    change = {"key": "iq-9075", "machine": "iq-9075", "peak_op_s": "1e14"}
    whole = rl.platform("iq-9075").peak("int8")
    single = read_published(edited(table, tmp_path, change | {"mode": "single"}))
    several = read_published(edited(table, tmp_path, change | {"mode": "throughput"}))
    assert several.facts.numbers["peak"][4] == whole == 1e14
    assert single.facts.numbers["peak"][4] == whole / 2
    other = read_published(edited(table, tmp_path, change | {"peak_op_s": "3e13"}))
    assert other.facts.numbers["peak"][4] == 3e13


@pytest.mark.parametrize(
    ("machine", "half"),
    [
        ("ncnn:Some Board (Cortex-A76 2.4GHz x 4)", 1),
        ("ncnn:Another (Cortex-A53 1.2GHz x 4)", 0),
        ("rk3568-cpu", 1),
        ("rpi4", 0),
    ],
)
def test_which_processors_compute_in_half_precision(
    table: Path, tmp_path: Path, machine: str, half: int
) -> None:
    change = {"key": machine, "machine": machine, "machine_class": "cpu_mobile"}
    assert read_published(edited(table, tmp_path, change)).facts.numbers["half"][4] == half


def test_each_silicon_is_judged_by_a_law_of_its_own(table: Path) -> None:
    evidence = read_published(table)
    left = leave_silicon(LawsWithout(evidence))
    assert set(left.laws) == set(evidence.silicon)
    assert len({id(law) for law in left.laws.values()}) == MACHINES
    for name, law in left.laws.items():
        out = set(evidence.facts.machine[evidence.silicon == name])
        assert set(law.effects) == set(evidence.facts.machine) - out


def test_records_are_scored_by_what_predict_says_of_them(tmp_path: Path) -> None:
    run = Measurement(
        RunRequest("resnet50", "onnxruntime", batch=2, threads=1, datatype="fp32"), Status.OK, None,
        samples_s=(0.04,) * 5, machine="rpi5",
    )  # fmt: skip
    (tmp_path / "a.json").write_text(export_json([run]))
    scored = score(read_evidence(tmp_path / "a.json"))
    said = predict(
        rl.load("resnet50"), platform("rpi5"), datatype="fp32", batch=2, model="expected"
    )
    assert said.latency_s is not None
    assert scored.predicted == pytest.approx([2 / said.latency_s])
    low, high = said.intervals["latency_ms"]
    assert (scored.low[0], scored.high[0]) == pytest.approx((2e3 / high, 2e3 / low))
    assert scored.basis[0].endswith("by its graph")
    assert (
        score(dataclasses.replace(read_evidence(tmp_path / "a.json"), placed=()))
        .basis[0]
        .endswith("by its counts")
    )


def test_what_nobody_ran_is_less_sure_than_what_was_run(table: Path) -> None:
    evidence = read_published(table)
    law = Fitting(evidence).fit(np.asarray(["npu"], object), evidence.facts.machine_class)
    near = evidence.facts.take(evidence.facts.machine_class == "gpu_embedded")
    far = evidence.facts.take(evidence.facts.machine_class == "npu")
    other = dataclasses.replace(near, runtime=names(["another"] * len(near)))
    known = {
        name: law.estimate(facts, {})
        for name, facts in (("near", near), ("far", far), ("other", other))
    }
    assert set(known["near"].known) == {NEW}
    assert set(known["far"].known) == set(known["other"].known) == {FAR}
    # Of five machines of the class, each a kind of silicon, whatever the coefficients say.
    assert known["near"].deviation == pytest.approx(deviation_among(np.full(len(near), 5.0)))
    alone = dataclasses.replace(law, peers=dict.fromkeys(law.peers, 1)).estimate(near, {})
    assert np.all(alone.deviation > known["near"].deviation)
    # What nobody ran is as unsure as the coefficients that it lacks.
    assert np.all(known["other"].deviation > law.row_deviation)
    # By the shipped law its intervals are the wider ones, over classes: the runs of one may all be unlike each other.
    shown = shipped_parameters()
    every: list[list[float]] = []
    for name in ("gpu_dc", "npu", "cpu"):
        asked = dataclasses.replace(near, machine_class=names([name] * len(near)))
        usual = max(shown.usage[name], key=lambda runtime: shown.usage[name][runtime].machines)
        widths: list[float] = []
        for runtime in (usual, "nothing"):
            facts = dataclasses.replace(
                asked, runtime=names([runtime] * len(near)), datatype=names(["int8"] * len(near))
            )
            low, high = shown.quantiles.interval(
                shown.law.estimate(facts, {}), facts.machine_class
            )
            widths.append(float(np.median(high - low)))
        every.append(widths)
    usual_width, far_width = np.mean(every, axis=0)
    assert usual_width < far_width


def test_a_class_that_left_has_no_part_in_what_is_said_of_it(table: Path) -> None:
    evidence = read_published(table)
    scored = score(evidence, leave="class")
    assert set(summary(scored)["by_class"]) == {"gpu_embedded", "npu"}
    moved = evidence.fps * np.where(evidence.facts.machine_class == "npu", 9.0, 1.0)
    again = score(dataclasses.replace(evidence, fps=moved), leave="class")
    own = evidence.facts.machine_class == "npu"
    assert again.predicted[own] == pytest.approx(scored.predicted[own], rel=0.1)
    assert not np.allclose(again.predicted[~own], scored.predicted[~own], rtol=0.5)


def test_what_all_runs_have_in_common_cannot_be_left_out(table: Path) -> None:
    with pytest.raises(OptionError, match="all runs of the evidence are of one runtime"):
        score(read_published(table), leave="runtime")


def test_a_class_of_a_known_family_is_borrowed_and_another_has_no_basis(
    table: Path, tmp_path: Path
) -> None:
    accelerator = score(
        read_published(edited(table, tmp_path, {"machine_class": "dla", "key": "a dla"}))
    )
    assert accelerator.basis[4] == "borrowed: other classes of family accelerator; by its counts"
    other = score(
        read_published(edited(table, tmp_path, {"machine_class": "abacus", "key": "an abacus"}))
    )
    assert other.basis[4] == "no basis"
    assert not other.asked[4]


def test_many_batches_at_once_are_what_each_is_alone(table: Path) -> None:
    evidence = read_published(table)
    law = Fitting(evidence).fit(np.asarray(["npu"], object), evidence.facts.machine_class)
    runs, batches = evidence.facts.take(np.asarray([3, 30, 60])), np.asarray([1.0, 7.0, 64.0])
    at_once = law.at_batches(runs, np.tile(batches, (3, 1)), {})
    each = [law.estimate(runs.at(np.full(3, batch)), {}) for batch in batches]
    for name in ("log_time", "deviation", "known"):
        alone = np.stack([getattr(found, name) for found in each], 1)
        assert getattr(at_once, name).reshape(3, 3) == pytest.approx(alone)


@pytest.mark.parametrize("runtime", ["slow", "pt-eager"])
def test_a_runtime_on_cards_says_nothing_of_it_on_processors(table: Path, runtime: str) -> None:
    own = read_published(table)
    slow = names([runtime if i % 2 else "trt" for i in range(len(own))])
    cards = dataclasses.replace(
        own,
        facts=dataclasses.replace(
            own.facts, runtime=slow, machine_class=names(["gpu_dc"] * len(own))
        ),
        fps=np.where(slow == runtime, own.fps / 3, own.fps),
    )
    law = Fitting(cards).fit(layers=False)

    def seconds(machine_class: str, runtime: str) -> np.ndarray:
        asked = {
            "machine": names(["new"] * 5),
            "runtime": names([runtime] * 5),
            "machine_class": names([machine_class] * 5),
        }
        runs = dataclasses.replace(own.facts.take(np.arange(5)), **asked)
        return np.exp(law.estimate(runs).log_time)

    assert (seconds("gpu_consumer", runtime) > 1.3 * seconds("gpu_consumer", "trt")).all()
    if runtime == "slow":
        # What is common to runtimes that run operator by operator holds of all machines.
        assert seconds("cpu", runtime) == pytest.approx(seconds("cpu", "trt"))
    else:
        assert (seconds("cpu", runtime) > seconds("cpu", "trt")).all()
        assert (seconds("cpu", "torchscript") > seconds("cpu", "ort")).all()


@pytest.mark.parametrize("key", ["n100", "atom-x5-e3940", "celeron-6305e"])
def test_a_small_x86_processor_is_of_the_class_that_published_runs_of_it_are_of(key: str) -> None:
    assert class_of(platform(key)) == "cpu"
    assert class_of(platform("rpi5")) == "cpu_mobile"
