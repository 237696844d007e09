"""The digits experiment: networks against formulas, training, and the shipped results against their own inputs."""

from __future__ import annotations

import importlib.util
import json
import tomllib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from roofline.compress.request import kept_count
from roofline.compress.sparsity import count_zeros, multiplying_weights, zero_count
from roofline.compress.tensors import stored_tensors, to_array
from roofline.errors import MissingPackageError, NetworkError, OptionError
from roofline.spec import platform
from roofline.validate.accuracy.datasets import LabelledItems
from roofline.validate.accuracy.evaluation import evaluate, wilson_interval
from roofline.validate.studies.digits import experiment, networks, results
from roofline.validate.studies.digits.data import Split
from roofline.validate.studies.digits.experiment import Plan
from roofline.validate.studies.digits.variants import (
    CALIBRATION_IMAGES,
    VARIANTS,
    make,
    train_dense,
)

from ..cli_process import run_python

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs" / "digits.md"
KEYS = {variant.key: variant for variant in VARIANTS}


def mlp_layers(hidden: int) -> list[int]:
    """Weights of the MLP's layers; its MACs are the same, for each weight multiplies once."""
    return [64 * hidden, hidden * hidden, hidden * 10]


def cnn_layers(first: int, second: int, third: int, dense: int) -> tuple[list[int], list[int]]:
    """Weights of the CNN's layers, and their MACs: 64 positions before the pool, 16 after it."""
    weights = [first * 9, second * first * 9, third * second * 9, dense * third * 16, 10 * dense]
    return weights, [w * n for w, n in zip(weights, (64, 64, 16, 1, 1), strict=True)]


def layers(network: str, keep: float = 1.0) -> tuple[int, list[int], int]:
    """MACs, weights by layer, and all parameters of a network that keeps a share of its channels."""
    if network == "digits_mlp":
        hidden = kept_count(256, keep)
        weights = mlp_layers(hidden)
        return sum(weights), weights, sum(weights) + 2 * hidden + 10
    widths = [kept_count(width, keep) for width in (32, 64, 64, 64)]
    weights, macs = cnn_layers(*widths)
    return sum(macs), weights, sum(weights) + sum(widths) + 10


class TestNetworks:
    @pytest.mark.parametrize("network", networks.TITLES)
    def test_counts_by_formula(self, network: str) -> None:
        macs, _, parameters = layers(network)
        counted = networks.count(network)
        assert (counted.macs, counted.parameters, counted.weight_bytes) == (
            macs,
            parameters,
            4 * parameters,
        )

    @pytest.mark.parametrize("network", networks.TITLES)
    @pytest.mark.parametrize("keep", [0.5, 0.25, 0.125, 0.0625])
    def test_pruned_counts_by_formula(self, network: str, keep: float) -> None:
        macs, _, parameters = layers(network, keep)
        pruned = KEYS[f"channels_{keep:g}"].request.under(networks.count(network))
        assert (pruned.macs, pruned.parameters) == (macs, parameters)

    def test_an_unknown_network_is_refused(self) -> None:
        with pytest.raises(NetworkError, match="Did you mean 'digits_mlp'"):
            networks.build("digits_mpl")

    def test_variants_are_named_apart(self) -> None:
        assert len(KEYS) == len(VARIANTS)
        assert len({(variant.pruning, variant.datatype) for variant in VARIANTS}) == len(VARIANTS)


class TestData:
    def test_the_split_keeps_every_image_once_and_classes_even(self) -> None:
        datasets = pytest.importorskip("sklearn.datasets")
        from roofline.validate.studies.digits.data import load

        split = load()
        bunch = datasets.load_digits()
        both = np.concatenate([split.train_images, split.test_images]).reshape(-1, 64) * 16
        assert sorted(map(tuple, both)) == sorted(map(tuple, bunch.data))
        for digit in range(10):
            count = int((bunch.target == digit).sum())
            assert int((split.test_labels == digit).sum()) == round(count / 3)
        assert (load().test_images == split.test_images).all()
        assert not (load(seed=1).test_images == split.test_images).all()


class TestCommand:
    """What can be refused is refused before anything is trained."""

    @pytest.mark.parametrize(
        ("module", "package", "extra"),
        [
            ("torch", "torch", "experiments"),
            ("sklearn", "scikit-learn", "experiments"),
            ("matplotlib", "matplotlib", "plot"),
            ("onnxruntime", "onnxruntime", "validate"),
            ("tvm", "apache-tvm", "validate"),
        ],
    )
    def test_a_missing_package_is_named_with_its_extra(
        self, module: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name: None if name == module else object()
        )
        with pytest.raises(MissingPackageError) as caught:
            experiment.check_packages(Plan())
        assert repr(package) in caught.value.message
        assert f"roofline[{extra}]" in str(caught.value)
        if module == "tvm":
            experiment.check_packages(Plan(trials=0))

    def test_what_decay_left_of_a_weight_is_written_as_zero(self) -> None:
        from roofline.validate.studies.digits.training import without_remnants

        # Subnormal, of products that are, and one that counts.
        weights = np.array([1e-40, -1e-38, 1e-25, -1e-19, 0.5], np.float32)
        assert without_remnants(weights).tolist() == [0, 0, 0, weights[3], 0.5]
        assert without_remnants(weights).dtype == np.float32

    def test_networks_of_another_training_are_not_mixed_in(self, tmp_path: Path) -> None:
        (tmp_path / "training.json").write_text(json.dumps({"epochs": 60}))
        none = np.zeros((0, 1, 8, 8), np.float32), np.zeros(0, np.int64)
        with pytest.raises(OptionError, match=r"trained for 60 epochs, not 3.*Use epochs=60"):
            experiment.make_all(Plan(epochs=3), Split(*none, *none), tmp_path, print)

    def test_an_error_is_one_line(self, tmp_path: Path) -> None:
        program = (
            "import sys; sys.modules['torch'] = None; sys.argv = ['digits', '-o', sys.argv[1]]; "
            "from roofline.validate.studies.digits.__main__ import main; main()"
        )
        folder = tmp_path / "out"
        done = run_python("-c", program, folder)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.count("\n") == 1
        assert "pip install 'roofline[experiments]'" in done.stderr
        assert not folder.exists()

    def test_help_names_every_option_and_what_to_install(self) -> None:
        done = run_python("-m", "roofline.validate.studies.digits", "--help", check=True)
        for word in ("--output", "--machine", "--epochs", "--trials", "--budget-s", "experiments"):
            assert word in done.stdout


@pytest.fixture(scope="module")
def split() -> Split:
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    from roofline.validate.studies.digits.data import load

    return load()


@pytest.fixture(scope="module")
def dense(split: Split):
    from roofline.validate.studies.digits.training import Schedule

    return train_dense("digits_mlp", split, Schedule(epochs=8))


@pytest.mark.torch
@pytest.mark.slow
class TestTraining:
    def accuracy(self, model, split) -> float:
        test = LabelledItems(split.test_images, split.test_labels, "test")
        return evaluate(model.SerializeToString(), test, name="digits").top1

    def short(self):
        from roofline.validate.studies.digits.training import Schedule

        return Schedule(epochs=4, rate=1e-3)

    def test_the_dense_network_learns(self, dense, split) -> None:
        assert self.accuracy(networks.build("digits_mlp", seed=0), split) < 0.3
        assert self.accuracy(dense, split) > 0.93

    def test_training_repeats(self, dense, split) -> None:
        from roofline.validate.studies.digits.training import Schedule

        again = train_dense("digits_mlp", split, Schedule(epochs=8))
        assert again.SerializeToString() == dense.SerializeToString()

    def test_half_the_channels(self, dense, split) -> None:
        model = make(KEYS["channels_0.5"], dense, split, self.short())
        _, weights, parameters = layers("digits_mlp", 0.5)
        sizes = [int(np.prod(tensor.dims)) for tensor in model.graph.initializer]
        assert (sum(sizes), [size for size in sizes if size > 256]) == (parameters, weights)
        assert self.accuracy(model, split) > 0.9

    def test_zeros_stay_zero_through_training(self, dense, split) -> None:
        model = make(KEYS["sparsity_0.9"], dense, split, self.short())
        _, weights, _ = layers("digits_mlp")
        assert sorted(count_zeros(model).values()) == sorted(
            zero_count(size, 0.9) for size in weights
        )
        changed = [
            (to_array(stored_tensors(model)[name]) != to_array(stored_tensors(dense)[name])).mean()
            for name in multiplying_weights(model)
        ]
        assert max(changed) > 0.9
        assert self.accuracy(model, split) > 0.85

    def test_int8_loses_little(self, dense, split) -> None:
        model = make(KEYS["int8"], dense, split)
        assert self.accuracy(model, split) == pytest.approx(self.accuracy(dense, split), abs=0.02)

    def test_ternary_weights_must_be_trained(self, dense, split) -> None:
        trained = make(KEYS["w2a32_trained"], dense, split, self.short())
        rounded = make(KEYS["w2a32"], dense, split)
        assert self.accuracy(trained, split) > 0.9
        assert self.accuracy(rounded, split) < 0.6
        for name in multiplying_weights(trained):
            assert set(np.unique(to_array(stored_tensors(trained)[name]).astype(int))) == {
                -1,
                0,
                1,
            }

    def test_what_is_written_is_what_was_trained(self, dense, split) -> None:
        """Two-bit weights and their scale are exactly the values that the last step of training used."""
        from roofline.validate.studies.digits.training import train

        model = make(KEYS["w2a32_trained"], dense, split, self.short())
        wide = train(dense, split.train_images, split.train_labels, self.short(), ternary=True)
        test = LabelledItems(split.test_images, split.test_labels, "test")
        assert (
            evaluate(model.SerializeToString(), test, name="a").top1
            == evaluate(wide.SerializeToString(), test, name="b").top1
        )

    def test_the_whole_experiment_goes_on_where_it_ended(self, split, tmp_path: Path) -> None:
        plan = Plan(
            ["digits_mlp"],
            [KEYS["dense"], KEYS["channels_0.5"]],
            epochs=2,
            trials=0,
            sampling_s=0.2,
        )
        here = platform(str(results.machine_file()))
        lines: list[str] = []
        made = experiment.make_all(plan, split, tmp_path / "models", lines.append)
        runs = experiment.measure_all(made, here, plan, tmp_path, lines.append)
        table = experiment.rows(made, runs, here, [platform("rpi4")])
        # Two variants, two batches; one program here, a prediction alone elsewhere.
        assert [(row["platform"], row["backend"]) for row in table] == [
            (here.key, "onnxruntime"), ("rpi4", None),
        ] * 4  # fmt: skip
        assert all(
            run.reported is not None and run.reported.accuracy == entry.accuracy.top1
            for entry, run in runs
        )
        again = experiment.make_all(plan, split, tmp_path / "models", lines.append)
        repeated = experiment.measure_all(again, here, plan, tmp_path, lines.append)
        assert [run for _, run in repeated] == [run for _, run in runs]
        files = results.figures(table, here.key, tmp_path)
        assert all((tmp_path / name).stat().st_size > 10_000 for name in files)


ROWS = results.shipped_results()
HERE = platform(str(results.machine_file()))


class TestShippedResults:
    def test_every_variant_of_both_networks_is_there(self) -> None:
        wanted = {(network, variant.key) for network in networks.TITLES for variant in VARIANTS}
        for key in (HERE.key, *results.ELSEWHERE):
            assert {
                (row["network"], row["variant"]) for row in ROWS if row["platform"] == key
            } == wanted

    def test_predictions_are_equation_1(self) -> None:
        machines = {HERE.key: HERE} | {key: platform(key) for key in results.ELSEWHERE}
        for row in ROWS:
            machine = machines[row["platform"]]
            unit = row["datatype"] if row["datatype"] in {"fp32", "int8"} else "fp32"
            # Weights cross the memory once for a batch; a multiply-accumulate is two operations.
            compute = machine.peak(unit) / (2 * row["macs"])
            memory = machine.bandwidth * row["batch"] / row["weight_bytes"]
            assert row["predicted_fps"] == pytest.approx(min(compute, memory), rel=1e-9)
            assert row["bound"] == ("compute" if compute <= memory else "memory")

    def test_counts_are_those_of_the_formulas(self) -> None:
        for row in ROWS:
            variant = KEYS[row["variant"]]
            keep = variant.request.pruning.keep if variant.request.pruning else 1.0
            macs, _, parameters = layers(row["network"], keep)
            assert (row["macs"], row["parameters"]) == (macs, parameters)

    def test_promises_are_operations_times_width(self) -> None:
        for row in ROWS:
            variant = KEYS[row["variant"]]
            macs, _, _ = layers(row["network"])
            width = 32 / 8 if row["datatype"] == "int8" else 1
            expected = width * macs / row["effective_macs"]
            assert row["expected_speedup"] == pytest.approx(expected, rel=1e-9)
            if variant.request.sparsity is not None:
                share = 1 - row["effective_macs"] / macs
                assert share == pytest.approx(variant.request.sparsity.share, abs=0.005)

    def test_accuracies_have_their_interval_and_source(self) -> None:
        for row in ROWS:
            ends = [100 * end for end in wilson_interval(row["accuracy"] / 100, row["items"])]
            assert [row["accuracy_low"], row["accuracy_high"]] == pytest.approx(ends)
            assert row["accuracy_source"]
            right = row["accuracy"] / 100 * row["items"]
            assert right == pytest.approx(round(right), abs=1e-6)

    def test_measured_columns_agree_with_each_other(self) -> None:
        dense = {
            (row["network"], row["backend"], row["batch"]): row["measured_fps"]
            for row in ROWS
            if row["variant"] == "dense" and row["measured_fps"]
        }
        measured = [row for row in ROWS if row["measured_fps"]]
        assert len(measured) > 2 * len(networks.TITLES) * len(VARIANTS)
        for row in measured:
            assert row["measured_fps"] == pytest.approx(1e6 * row["batch"] / row["median_us"])
            # A run in another datatype than the prediction's says nothing about it.
            share = row["measured_fps"] / row["predicted_fps"]
            alike = row["executed"] == row["datatype"]
            assert row["efficiency"] == (pytest.approx(share) if alike else None)
            assert alike or row["backend"] != "onnxruntime"
            gained = row["measured_fps"] / dense[row["network"], row["backend"], row["batch"]]
            assert row["achieved_speedup"] == pytest.approx(gained)
            assert row["achieved_share"] == pytest.approx(gained / row["expected_speedup"])

    @pytest.mark.parametrize("batch", experiment.BATCHES)
    def test_fronts_hold_what_nothing_beats(self, batch: int) -> None:
        chart = results.pareto(ROWS, HERE.key, batch)
        for series in ("theoretical", "measured"):
            own = [entry for entry in chart.candidates if entry.series == series]
            unbeaten = {
                entry.label
                for entry in own
                if not any(
                    other.value >= entry.value
                    and other.accuracy >= entry.accuracy
                    and (other.value, other.accuracy) != (entry.value, entry.accuracy)
                    for other in own
                )
            }
            front = {entry.label for entry in chart.frontier(series)}
            assert front <= unbeaten
            assert {(e.value, e.accuracy) for e in own if e.label in unbeaten} == {
                (e.value, e.accuracy) for e in own if e.label in front
            }

    def test_untuned_programs_are_in_no_front(self) -> None:
        assert any(row["backend"] == results.UNTUNED for row in ROWS)
        for batch in experiment.BATCHES:
            assert all(
                row["backend"] != results.UNTUNED
                for row in results.select_fastest(ROWS, HERE.key, batch)
            )

    def test_unfinished_runs_say_why(self) -> None:
        for row in ROWS:
            if row["backend"] and not row["measured_fps"]:
                assert row["status"] != "ok"
                assert row["flags"]

    def test_the_data_are_packaged(self) -> None:
        patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"][
            "package-data"
        ]["roofline.validate"]
        packaged = {path for pattern in patterns for path in (ROOT / "validate").glob(pattern)}
        assert {
            ROOT / f"validate/studies/digits/{name}" for name in ("results.csv", "machine.yaml")
        } <= (packaged)


@pytest.fixture(scope="module")
def writer() -> ModuleType:
    """The script that writes the page."""
    spec = importlib.util.spec_from_file_location(
        "digits_page", ROOT / "benchmarks/digits_page.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class TestPage:
    def test_every_number_is_that_of_the_results(self, writer: ModuleType) -> None:
        page = DOCS.read_text(encoding="utf-8")
        assert writer.fill_sections(page, writer.sections(ROWS, HERE)) == page

    def test_a_page_without_its_marks_is_refused(self, writer: ModuleType) -> None:
        with pytest.raises(OptionError, match="begin machine -->"):
            writer.fill_sections("# Digits", {"machine": "a machine"})

    def test_what_is_written_by_hand_is_so(self) -> None:
        page = DOCS.read_text(encoding="utf-8")
        assert f"compressed in {len(VARIANTS) - 1} ways" in page
        assert "MLP " + "-".join(map(str, (64, *networks.HIDDEN, networks.CLASSES))) in page
        assert f"({', '.join(map(str, networks.FILTERS))} channels" in page
        assert f"ranges of {CALIBRATION_IMAGES} training images" in page

    def test_accuracies_are_counts_of_right_answers(self, writer: ModuleType) -> None:
        """The statements against the accuracy column itself, not through the module's own tables."""
        text = writer.accuracies(ROWS)
        for network, name in (("digits_mlp", "MLP"), ("digits_cnn", "CNN")):
            line = next(line for line in text.splitlines() if line.startswith(f"- {name}:"))
            kept, lost = line.split("A loss:")
            for row in ROWS:
                if row["network"] != network or row["variant"] == "dense":
                    continue
                named = f" {row['variant']} ({row['accuracy']:.1f} %)"
                _, high = wilson_interval(row["accuracy"] / 100, row["items"])
                dense = next(
                    other["accuracy"] / 100
                    for other in ROWS
                    if (other["network"], other["variant"]) == (network, "dense")
                )
                assert (named in lost) == (high < dense)
                words = kept.split("could show:")[1].replace(",", " ").split()
                assert (row["variant"] in {word.rstrip(".") for word in words}) == (high >= dense)

    def test_figures_and_links_are_there(self) -> None:
        page = DOCS.read_text(encoding="utf-8")
        for name in ("speedup-batch-64", "pareto-batch-64", "pareto-batch-1"):
            file = f"images/digits_{name}.png"
            assert f"({file})" in page
            assert (DOCS.parent / file).read_bytes().startswith(b"\x89PNG")
        assert (DOCS.parent / "../validate/studies/digits/results.csv").is_file()
