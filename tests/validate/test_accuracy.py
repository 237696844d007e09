"""Accuracy of classifiers whose answers are known: what is counted, how data are prepared, what is refused."""

from __future__ import annotations

import csv
import io
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from roofline.errors import MeasurementError, OptionError, RooflineError, StoreError, TableError
from roofline.validate.accuracy.datasets import LabelledItems, Preparation, read_labelled
from roofline.validate.accuracy.evaluation import evaluate, wilson_interval, with_accuracy
from roofline.validate.records.record import Measurement, Reported, Status
from roofline.validate.records.request import RunRequest
from roofline.validate.records.store import Store

from ..cli_process import answered

Image = pytest.importorskip("PIL.Image")
pytest.importorskip("onnxruntime")


def classifier(
    path: Path, shape: list[int | str], nodes, weights=(), kind=TensorProto.FLOAT
) -> Path:
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], list(weights),
    )  # fmt: skip
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, ir_version=10, opset_imports=opset), path)
    return path


@pytest.fixture
def identity(tmp_path: Path) -> Path:
    """A classifier whose scores are its input."""
    return classifier(
        tmp_path / "identity.onnx", ["N", 8], [helper.make_node("Identity", ["x"], ["y"])]
    )


@pytest.fixture
def brightest(tmp_path: Path) -> Path:
    """A classifier of 4x6 colour images whose score of a class is the mean of its channel."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["m"]),
        helper.make_node("Flatten", ["m"], ["y"]),
    ]
    return classifier(tmp_path / "brightest.onnx", ["N", 3, 4, 6], nodes)


def scored(items: int, right: int, place: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Items whose class has the largest score; the others have ``place`` scores above it."""
    labels = np.arange(items) % 8
    scores = np.zeros((items, 8), np.float32)
    for row, label in enumerate(labels):
        order = [(label + shift) % 8 for shift in range(8)]
        order.insert(0 if row < right else place, order.pop(0))
        scores[row, order] = np.arange(8, 0, -1)
    return scores, labels


def save(path: Path, right: int, items: int = 100, place: int = 5) -> Path:
    scores, labels = scored(items, right, place)
    np.savez(path, x=scores, y=labels)
    return path


def images(folder: Path, names=("a-red", "b-green", "c-blue"), size=(6, 4), mode="RGB") -> Path:
    for channel, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for number in range(2):
            pixels = np.full((size[1], size[0], 3), 10, np.uint8)
            pixels[..., channel % 3] = 200 + number
            Image.fromarray(pixels).convert(mode).save(folder / name / f"{number}.png")
    return folder


class TestShares:
    @pytest.mark.parametrize("batch", [1, 7, 64, 1000])
    def test_the_share_of_right_answers(self, identity: Path, tmp_path: Path, batch: int) -> None:
        data = read_labelled(save(tmp_path / "data.npz", right=73))
        found = evaluate(identity, data, name="identity", batch=batch)
        assert (found.items, found.classes, found.top1, found.top5) == (100, 8, 0.73, 0.73)

    def test_top_five_counts_the_first_five(self, identity: Path, tmp_path: Path) -> None:
        # Four scores above the class's own leave it fifth.
        data = read_labelled(save(tmp_path / "data.npz", right=20, place=4))
        found = evaluate(identity, data, name="identity")
        assert (found.top1, found.top5) == (0.2, 1.0)

    def test_few_classes_have_no_top_five(self, brightest: Path, tmp_path: Path) -> None:
        found = evaluate(brightest, read_labelled(images(tmp_path / "d")), name="b")
        assert (found.top1, found.top5) == (1.0, None)

    @pytest.mark.parametrize("items", [12, 10, 3])
    def test_a_fixed_batch_is_filled_up_and_its_filling_is_not_counted(
        self, tmp_path: Path, items: int
    ) -> None:
        model = classifier(
            tmp_path / "f.onnx", [4, 8], [helper.make_node("Identity", ["x"], ["y"])]
        )
        found = evaluate(
            model,
            read_labelled(save(tmp_path / "d.npz", right=2, items=items)),
            name="f",
            batch=64,
        )
        assert (found.items, found.top1) == (items, 2 / items)

    @pytest.mark.parametrize(("share", "items"), [(0.0, 10), (0.5, 100), (0.97, 599), (1.0, 20)])
    def test_wilson_solves_its_own_equation(self, share: float, items: int) -> None:
        # The ends are where the deviation of the share is 1.96 standard errors *of the end itself*.
        z = 1.959963984540054
        for end in wilson_interval(share, items):
            assert (share - end) ** 2 == pytest.approx(z**2 * end * (1 - end) / items, abs=1e-12)
        low, high = wilson_interval(share, items)
        assert 0 <= low <= share <= high <= 1

    def test_a_tie_counts_as_right(self, identity: Path, tmp_path: Path) -> None:
        np.savez(tmp_path / "t.npz", x=np.zeros((4, 8), np.float32), y=np.arange(4))
        assert evaluate(identity, read_labelled(tmp_path / "t.npz"), name="t").top1 == 1


class TestArrays:
    def test_labels_in_a_file_of_their_own(self, identity: Path, tmp_path: Path) -> None:
        scores, labels = scored(40, 30)
        np.save(tmp_path / "x.npy", scores)
        np.save(tmp_path / "y.npy", labels)
        (tmp_path / "y.txt").write_text("\n".join(map(str, labels)) + "\n")
        for name in ("y.npy", "y.txt"):
            data = read_labelled(tmp_path / "x.npy", labels=tmp_path / name)
            assert evaluate(identity, data, name="i").top1 == 0.75

    def test_layouts_are_turned_to_the_models(self, brightest: Path, tmp_path: Path) -> None:
        items = np.zeros((3, 4, 6, 3), np.float32)
        for label in range(3):
            items[label, ..., label] = 1
        np.savez(tmp_path / "last.npz", x=items, y=np.arange(3))
        assert (
            evaluate(brightest, read_labelled(tmp_path / "last.npz", layout="nhwc"), name="b").top1
            == 1
        )
        with pytest.raises(
            MeasurementError, match=r"an item of last\.npz is 4x6x3, and the model takes 3x4x6"
        ):
            evaluate(brightest, read_labelled(tmp_path / "last.npz"), name="b")
        last = classifier(
            tmp_path / "last.onnx", ["N", 4, 6, 3],
            [helper.make_node("ReduceMean", ["x"], ["y"], axes=[1, 2], keepdims=0)],
        )  # fmt: skip
        np.savez(tmp_path / "first.npz", x=np.moveaxis(items, 3, 1), y=np.arange(3))
        assert (
            evaluate(last, read_labelled(tmp_path / "first.npz", layout="nchw"), name="b").top1
            == 1
        )

    def test_normalization_is_by_channel(self, brightest: Path, tmp_path: Path) -> None:
        # Without it the last channel is brightest in every item; less these means the first is.
        items = np.broadcast_to(np.array([1, 2, 3], np.float32)[:, None, None], (5, 3, 4, 6))
        np.savez(tmp_path / "d.npz", x=items, y=np.zeros(5, int))
        assert evaluate(brightest, read_labelled(tmp_path / "d.npz"), name="b").top1 == 0
        for preparation in (Preparation(mean=(0, 2, 3)), Preparation(std=(0.1, 1, 1))):
            data = read_labelled(tmp_path / "d.npz", preparation=preparation)
            assert evaluate(brightest, data, name="b").top1 == 1

    @pytest.mark.parametrize(
        ("arrays", "message"),
        [
            ({"x": np.zeros((3, 8))}, "has the arrays x"),
            ({"x": np.zeros((3, 8)), "y": np.zeros(2, int)}, "3 items and 2 labels"),
            ({"x": np.zeros((3, 8)), "y": np.zeros(3)}, "one whole number for each item"),
            (
                {"x": np.zeros((3, 8)), "y": np.zeros((3, 8), int)},
                "one whole number for each item",
            ),
            ({"x": np.zeros((3, 8)), "y": np.array([0, -1, 2])}, "negative label"),
            ({"x": np.full((3, 8), np.nan), "y": np.zeros(3, int)}, "NaN or infinity"),
            ({"x": np.zeros((0, 8)), "y": np.zeros(0, int)}, "has no items"),
            ({"x": np.zeros(3), "y": np.zeros(3, int)}, "no axes of their own"),
            ({"x": np.array([["a"]]), "y": np.zeros(1, int)}, "not numbers"),
        ],
    )
    def test_bad_arrays_are_refused(
        self, tmp_path: Path, arrays: dict[str, np.ndarray], message: str
    ) -> None:
        np.savez(tmp_path / "bad.npz", **arrays)
        with pytest.raises(TableError, match=message):
            read_labelled(tmp_path / "bad.npz")

    def test_files_that_hold_none_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "text.npz").write_text("no")
        (tmp_path / "none.npz").write_bytes(b"")
        for name in ("absent.npz", "text.npz", "none.npz"):
            with pytest.raises(TableError, match=r"holds no arrays|does not exist"):
                read_labelled(tmp_path / name)
        np.save(tmp_path / "x.npy", np.zeros((2, 8)))
        with pytest.raises(TableError, match="items and no labels"):
            read_labelled(tmp_path / "x.npy")
        (tmp_path / "y.txt").write_text("one\ntwo\n")
        with pytest.raises(TableError, match=r"label 1 is .one., not a whole number"):
            read_labelled(tmp_path / "x.npy", labels=tmp_path / "y.txt")

    @pytest.mark.parametrize(
        ("layout", "hint"), [("nchv", "Did you mean 'nchw'"), ("zz", "Known: nchw, nhwc")]
    )
    def test_an_unknown_layout_is_refused(self, tmp_path: Path, layout: str, hint: str) -> None:
        with pytest.raises(OptionError, match=hint):
            read_labelled(save(tmp_path / "d.npz", 1), layout=layout)


class TestFolders:
    def test_images_by_class(self, brightest: Path, tmp_path: Path) -> None:
        data = read_labelled(images(tmp_path / "d"))
        assert (len(data.items), data.classes, list(data.labels)) == (6, 3, [0, 0, 1, 1, 2, 2])
        assert data.items[:1][0, 0].tolist() == np.full((4, 6), np.float32(200 / 255)).tolist()
        assert evaluate(brightest, data, name="b", batch=4).top1 == 1

    def test_classes_in_an_order_of_their_own(self, brightest: Path, tmp_path: Path) -> None:
        folder = images(tmp_path / "d", names=("zebra", "ant", "mule"))
        assert evaluate(brightest, read_labelled(folder), name="b").top1 == 0
        (tmp_path / "classes.txt").write_text("zebra\nant\nmule\n")
        assert (
            evaluate(
                brightest, read_labelled(folder, labels=tmp_path / "classes.txt"), name="b"
            ).top1
            == 1
        )
        (tmp_path / "classes.txt").write_text("zebra\nant\n")
        with pytest.raises(TableError, match="does not name the subfolder 'mule'"):
            read_labelled(folder, labels=tmp_path / "classes.txt")

    def test_a_class_without_images_keeps_its_number(
        self, brightest: Path, tmp_path: Path
    ) -> None:
        folder = images(tmp_path / "d", names=("r", "g", "b"))
        for file in (folder / "g").iterdir():
            file.unlink()
        (tmp_path / "classes.txt").write_text("r\ng\nb\n")
        data = read_labelled(folder, labels=tmp_path / "classes.txt")
        assert evaluate(brightest, data, name="b").top1 == 1

    def test_images_are_resized(self, brightest: Path, tmp_path: Path) -> None:
        folder = images(tmp_path / "d", size=(13, 9))
        with pytest.raises(MeasurementError, match="is 3x9x13, and the model takes 3x4x6"):
            evaluate(brightest, read_labelled(folder), name="b")
        data = read_labelled(folder, preparation=Preparation(resize=(4, 6)))
        assert evaluate(brightest, data, name="b").top1 == 1

    def test_models_of_bytes_take_pixels_to_255(self, tmp_path: Path) -> None:
        nodes = [
            helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT),
            helper.make_node("GlobalAveragePool", ["f"], ["m"]),
            helper.make_node("Flatten", ["m"], ["y"]),
        ]
        model = classifier(tmp_path / "u.onnx", ["N", 3, 4, 6], nodes, kind=TensorProto.UINT8)
        folder = images(tmp_path / "d")
        with pytest.raises(MeasurementError, match="pixels=255"):
            evaluate(model, read_labelled(folder), name="u")
        assert (
            evaluate(
                model, read_labelled(folder, preparation=Preparation(pixels=255)), name="u"
            ).top1
            == 1
        )

    def test_grey_images_have_one_channel(self, tmp_path: Path) -> None:
        data = read_labelled(images(tmp_path / "d", mode="L"))
        assert data.items[:2].shape == (2, 1, 4, 6)

    def test_arrays_in_files(self, identity: Path, tmp_path: Path) -> None:
        for label in range(8):
            (tmp_path / "data" / f"class{label}").mkdir(parents=True)
            np.save(
                tmp_path / "data" / f"class{label}" / "a.npy", np.eye(8, dtype=np.float32)[label]
            )
        assert evaluate(identity, read_labelled(tmp_path / "data"), name="identity").top1 == 1

    def test_bad_folders_are_refused(self, brightest: Path, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        with pytest.raises(TableError, match="no subfolders"):
            read_labelled(tmp_path / "empty")
        folder = images(tmp_path / "d", names=("r", "g"))
        with pytest.raises(MeasurementError, match="has 2 classes, and b gives 3 scores"):
            evaluate(brightest, read_labelled(folder), name="b")
        (folder / "g" / "0.png").write_text("no image")
        with pytest.raises(TableError, match=r"0\.png is no image"):
            evaluate(brightest, read_labelled(folder), name="b")
        Image.new("RGB", (9, 9)).save(folder / "g" / "1.png")
        Image.new("RGB", (6, 4)).save(folder / "g" / "0.png")
        with pytest.raises(TableError, match="3x9x9, and others are 3x4x6"):
            evaluate(brightest, read_labelled(folder), name="b")


class TestModels:
    def test_scores_that_do_not_fit_are_refused(self, identity: Path, tmp_path: Path) -> None:
        np.savez(tmp_path / "d.npz", x=np.zeros((3, 8), np.float32), y=np.array([0, 1, 9]))
        with pytest.raises(MeasurementError, match="has the class 9, and identity gives 8 scores"):
            evaluate(identity, read_labelled(tmp_path / "d.npz"), name="identity")
        np.savez(tmp_path / "d.npz", x=np.zeros((3, 5), np.float32), y=np.array([0, 1, 2]))
        with pytest.raises(
            MeasurementError, match=r"an item of d\.npz is 5, and the model takes 8"
        ):
            evaluate(identity, read_labelled(tmp_path / "d.npz"), name="identity")

    def test_scores_that_are_nan_are_refused(self, tmp_path: Path) -> None:
        model = classifier(tmp_path / "m.onnx", ["N", 8], [helper.make_node("Log", ["x"], ["y"])])
        np.savez(tmp_path / "d.npz", x=np.full((3, 8), -1.0), y=np.zeros(3, int))
        with pytest.raises(MeasurementError, match="scores that are NaN"):
            evaluate(model, read_labelled(tmp_path / "d.npz"), name="m")

    def test_an_output_that_is_no_score_is_refused(self, tmp_path: Path) -> None:
        model = classifier(
            tmp_path / "m.onnx", ["N", 8], [helper.make_node("ReduceMean", ["x"], ["y"])]
        )
        with pytest.raises(MeasurementError, match="not scores of 64 items"):
            evaluate(model, read_labelled(save(tmp_path / "d.npz", 1)), name="m")

    def test_two_inputs_are_refused(self, tmp_path: Path) -> None:
        graph = helper.make_graph(
            [helper.make_node("Add", ["a", "b"], ["y"])], "g",
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 8]) for name in "ab"],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 8])],
        )  # fmt: skip
        made = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 17)])
        with pytest.raises(MeasurementError, match=r"m has 2 inputs \(a, b\)"):
            evaluate(
                made.SerializeToString(), read_labelled(save(tmp_path / "d.npz", 1)), name="m"
            )

    @pytest.mark.parametrize(
        ("preparation", "flag"),
        [(Preparation(mean=(1, 2)), "mean"), (Preparation(std=(1, 2)), "std")],
    )
    def test_normalization_needs_a_value_per_channel(
        self, brightest: Path, tmp_path: Path, preparation: Preparation, flag: str
    ) -> None:
        data = replace(read_labelled(images(tmp_path / "d")), preparation=preparation)
        with pytest.raises(OptionError, match=f"{flag} has 2 values, and the items 3 channels"):
            evaluate(brightest, data, name="b")


class TestRecords:
    def test_a_record_carries_an_accuracy_with_its_source(
        self, identity: Path, tmp_path: Path
    ) -> None:
        found = evaluate(identity, read_labelled(save(tmp_path / "d.npz", 40)), name="identity")
        run = Measurement(RunRequest("identity", "onnxruntime"), Status.OK, samples_s=(0.5, 0.5))
        row = with_accuracy(run, found).to_row()
        assert (row["accuracy"], row["accuracy_source"]) == (40.0, "accuracy on d.npz, 100 items")
        assert (row["measured_fps"], row["flags"]) == (2.0, "outputs not checked")
        assert (run.to_row()["accuracy"], run.to_row()["accuracy_source"]) == (None, "")

    def test_the_source_of_reported_figures_stays(self, identity: Path, tmp_path: Path) -> None:
        found = evaluate(identity, read_labelled(save(tmp_path / "d.npz", 40)), name="identity")
        run = Measurement(
            RunRequest("identity", "x"), Status.OK, reported=Reported("a table", throughput_fps=7)
        )
        twice = with_accuracy(with_accuracy(run, found), found)
        assert twice.reported == Reported(
            "a table",
            throughput_fps=7,
            accuracy=0.4,
            accuracy_source="accuracy on d.npz, 100 items",
        )

    def test_a_store_notes_it_for_the_same_model_alone(
        self, identity: Path, tmp_path: Path
    ) -> None:
        found = evaluate(identity, read_labelled(save(tmp_path / "d.npz", 40)), name="identity")
        with Store(tmp_path / "s.db") as store:
            same = RunRequest("identity", "tvm", model_sha256=found.model_sha256)
            store.add(Measurement(same, Status.OK, samples_s=(0.25,)))
            store.add(
                Measurement(replace(same, backend="onnxruntime"), Status.OK, samples_s=(0.5,))
            )
            store.add(
                Measurement(
                    RunRequest("other", "tvm", model_sha256="0"), Status.OK, samples_s=(1.0,)
                )
            )
            assert store.note_accuracy(found) == 2
            assert store.note_accuracy(found) == 2
            rows = [record.to_row() for record in store.records()]
        assert [row["accuracy"] for row in rows] == [40, 40, None]
        assert [row["median_ms"] for row in rows] == [250, 500, 1000]


class TestVerb:
    def run(self, capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
        return answered(capsys, "accuracy", *arguments)

    def test_one_row_per_model(self, identity: Path, tmp_path: Path, capsys) -> None:
        data = save(tmp_path / "data.npz", right=50)
        other = shutil.copy(identity, tmp_path / "other.onnx")
        # A model that is named twice is one.
        code, out, _ = self.run(capsys, identity, other, identity, "--data", data, "-f", "json")
        rows = json.loads(out)["accuracies"]
        assert code == 0
        assert len(rows) == 2
        z2 = 1.959963984540054**2 / 100
        half = 100 * math.sqrt(z2 * 0.25 + z2**2 / 4) / (1 + z2)  # Wilson's interval at one half
        expected = {
            "network": "identity", "data": "data.npz", "items": 100, "classes": 8, "accuracy": 50.0, "top5": 50.0,
            "accuracy_low": pytest.approx(50 - half), "accuracy_high": pytest.approx(50 + half),
        }  # fmt: skip
        assert {name: rows[0][name] for name in expected} == expected

    def test_tables(self, identity: Path, tmp_path: Path, capsys) -> None:
        data = save(tmp_path / "data.npz", right=50)
        _, out, _ = self.run(capsys, identity, "--data", data)
        assert "50.00" in out
        assert "40.38 to 59.62" in out
        _, out, _ = self.run(capsys, identity, "--data", data, "-f", "csv")
        (row,) = csv.DictReader(io.StringIO(out))
        assert float(row["accuracy"]) == 50

    def test_it_notes_in_a_store(self, identity: Path, tmp_path: Path, capsys) -> None:
        data = save(tmp_path / "data.npz", right=50)
        found = evaluate(identity, read_labelled(data), name="identity")
        with Store(tmp_path / "s.db") as store:
            store.add(
                Measurement(
                    RunRequest("identity", "tvm", model_sha256=found.model_sha256), Status.OK
                )
            )
        _, out, _ = self.run(capsys, identity, "--data", data, "--store", tmp_path / "s.db")
        assert "noted in 1 record" in out
        with Store(tmp_path / "s.db") as store:
            assert [record.accuracy_percent for record in store.records()] == [50]

    @pytest.mark.parametrize(
        ("flags", "message"),
        [
            (["--resize", "big"], "--resize is 'big', not a whole number"),
            (["--resize", "8x8"], "arrays, which are not resized"),
            (["--mean", "a,b"], "--mean is 'a', not a number"),
            (["--std", "0"], "standard deviation of 0"),
            (["--layout", "chw"], "unknown layout 'chw'"),
            (["--labels", "absent.txt"], "absent.txt does not exist"),
            (["--store", "absent.db"], "there is no record store"),
        ],
    )
    def test_bad_options_are_one_line(
        self, identity: Path, tmp_path: Path, capsys, flags, message
    ) -> None:
        code, out, err = self.run(
            capsys, identity, "--data", save(tmp_path / "data.npz", 1), *flags
        )
        assert (code, out) == (2, "")
        assert message in err
        assert err.count("\n") == 1
        assert not Path("absent.db").exists()

    def test_a_file_that_is_no_model_is_one_line(self, tmp_path: Path, capsys) -> None:
        (tmp_path / "no.onnx").write_text("no")
        code, _, err = self.run(
            capsys, tmp_path / "no.onnx", "--data", save(tmp_path / "data.npz", 1)
        )
        assert code == 2
        assert err.count("\n") == 1


def test_a_weight_of_the_wrong_shape_is_one_line(tmp_path: Path) -> None:
    weight = numpy_helper.from_array(np.zeros((5, 3), np.float32), "w")
    model = classifier(
        tmp_path / "m.onnx", ["N", 8], [helper.make_node("MatMul", ["x", "w"], ["y"])], [weight]
    )
    with pytest.raises(RooflineError) as found:
        evaluate(model, read_labelled(save(tmp_path / "d.npz", 1)), name="m")
    assert "\n" not in str(found.value)


def test_labelled_data_check_themselves() -> None:
    with pytest.raises(TableError, match="no items"):
        LabelledItems(np.zeros((0, 2)), np.zeros(0, np.int64), "empty")


def test_a_store_that_is_absent_is_not_made(tmp_path: Path) -> None:
    from roofline.cli.verb_accuracy import _note

    with pytest.raises(StoreError):
        _note([], tmp_path / "absent.db")
    assert not (tmp_path / "absent.db").exists()
