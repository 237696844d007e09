"""Accuracy of classifiers whose answers are known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from roofline.cli import main
from roofline.errors import MeasurementError, TableError
from roofline.validate.accuracy import evaluate, read_labelled


@pytest.fixture
def identity(tmp_path: Path) -> Path:
    """A classifier whose scores are its input."""
    made = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 8])],
    )  # fmt: skip
    path = tmp_path / "identity.onnx"
    onnx.save(
        helper.make_model(made, ir_version=10, opset_imports=[helper.make_opsetid("", 17)]), path
    )
    return path


def save(path: Path, right: int, items: int = 100) -> Path:
    """Items with the class as the largest score; the others have it sixth, outside the best five."""
    labels = np.arange(items) % 8
    scores = np.zeros((items, 8), np.float32)
    for row, label in enumerate(labels):
        order = [(label + shift) % 8 for shift in range(8)]
        place = 0 if row < right else 5
        order.insert(place, order.pop(0))
        scores[row, order] = np.arange(8, 0, -1)
    np.savez(path, x=scores, y=labels)
    return path


@pytest.mark.parametrize("batch", [1, 7, 64, 1000])
def test_the_share_of_right_answers(identity: Path, tmp_path: Path, batch: int) -> None:
    data = read_labelled(save(tmp_path / "data.npz", right=73))
    found = evaluate(identity, data, name="identity", batch=batch)
    assert (found.items, found.top1, found.top5) == (100, 0.73, 0.73)


def test_a_folder_of_classes(identity: Path, tmp_path: Path) -> None:
    for label in range(8):
        (tmp_path / "data" / f"class{label}").mkdir(parents=True)
        np.save(tmp_path / "data" / f"class{label}" / "a.npy", np.eye(8, dtype=np.float32)[label])
    assert evaluate(identity, read_labelled(tmp_path / "data"), name="identity").top1 == 1


def test_the_verb_gives_one_row_per_model(
    identity: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = save(tmp_path / "data.npz", right=50)
    with pytest.raises(SystemExit) as ended:
        main(["accuracy", str(identity), "--data", str(data), "--format", "json"])
    assert not ended.value.code
    (row,) = json.loads(capsys.readouterr().out)["accuracies"]
    assert row == {
        "network": "identity",
        "data": "data.npz",
        "items": 100,
        "top1": 0.5,
        "top5": 0.5,
    }


def test_bad_data_are_refused(identity: Path, tmp_path: Path) -> None:
    path = tmp_path / "bad.npz"
    np.savez(path, x=np.zeros((3, 8)))
    with pytest.raises(TableError, match="has the arrays x"):
        read_labelled(path)
    np.savez(path, x=np.zeros((3, 8)), y=np.zeros(2, int))
    with pytest.raises(TableError, match="one whole number for each item"):
        read_labelled(path)
    np.savez(path, x=np.zeros((3, 8), np.float32), y=np.array([0, 1, 9]))
    with pytest.raises(MeasurementError, match="has the class 9, and identity gives 8 scores"):
        evaluate(identity, read_labelled(path), name="identity")
    np.savez(path, x=np.zeros((3, 5), np.float32), y=np.array([0, 1, 2]))
    with pytest.raises(MeasurementError, match=r"identity does not run on bad\.npz"):
        evaluate(identity, read_labelled(path), name="identity")
    with pytest.raises(TableError, match="holds no arrays"):
        read_labelled(tmp_path / "absent.npz")
    (tmp_path / "empty").mkdir()
    with pytest.raises(TableError, match="no subfolders"):
        read_labelled(tmp_path / "empty")
