from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from roofline.validate.calibration.calibrate import Roofs, platform_yaml
from roofline.validate.records.store import Store

from ..cli_process import run_roofline

pytest.importorskip("onnxruntime", reason="the runs are ONNX Runtime's")


@pytest.fixture
def roofline(tmp_path):
    """Run the command in a folder and cache of its own."""

    # The program's own folders lie elsewhere: one called roofline is none of its packages.
    homes = {name: str(tmp_path / "home") for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME")}

    def run(*arguments, code=0):
        done = run_roofline(
            *map(str, arguments), cwd=tmp_path, timeout=300, variables=homes,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        return done

    return run


def test_measure_keeps_the_record_and_prints_it(roofline, small_model, tmp_path):
    done = roofline(
        "measure", small_model, "--backend", "onnxruntime", "--runs", 5, "--format", "json"
    )
    document = json.loads(done.stdout)
    (entry,) = document["measurements"]
    assert entry["status"] == "ok"
    assert entry["measured_fps"] == pytest.approx(2 / (entry["median_ms"] / 1e3))
    with Store(tmp_path / "home" / "roofline" / "records.db") as store:
        assert [record.job.network for record in store.records()] == ["small"]


def test_a_name_that_is_not_utf8_loses_no_measurement(tmp_path, small_model):
    folder = os.fsencode(tmp_path)
    odd, store = folder + b"/small\xff.onnx", folder + b"/runs\xff.db"
    shutil.copy(small_model, odd)
    homes = {name: str(tmp_path / "home") for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME")}
    done = run_roofline(
        "validate", odd, "-p", "i7-3820", "--backend", "onnxruntime", "--runs", "5", "--store", store,
        "--format", "json", variables=homes, cwd=tmp_path, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["comparisons"]
    assert row["network"] == "small\\udcff"
    assert row["efficiency"] > 0
    with Store(Path(os.fsdecode(store))) as kept:
        assert [record.job.network for record in kept.records()] == ["small\\udcff"]


def test_what_cannot_be_compared_is_refused_before_the_run(roofline, small_model, tmp_path):
    done = roofline("validate", small_model, "-p", "ncs", "--backend", "onnxruntime", code=2)
    assert "the file of ncs does not say whether it has fp32 units" in done.stderr
    assert not (tmp_path / "home" / "roofline" / "records.db").exists()


def test_validate_divides_measured_by_predicted(roofline, small_model, tmp_path):
    # 10 GOP/s and 1 GB/s on one thread.
    roofs = Roofs(1, {"fp32": 10e9}, {"fp32": "tvm"}, 1e9, None)
    machine = tmp_path / "mine.yaml"
    machine.write_text(platform_yaml([roofs], "mine"))
    done = roofline(
        "validate", small_model, "-p", machine, "--backend", "onnxruntime", "--runs", 5,
        "--threads", 1, "--model", "equation1", "--model", "layerwise", "--format", "json",
    )  # fmt: skip
    assert "not this machine" not in done.stderr
    rows = json.loads(done.stdout)["comparisons"]
    assert [row["model"] for row in rows] == ["equation1", "layerwise"]
    for row in rows:
        assert row["efficiency"] == pytest.approx(row["measured_fps"] / row["predicted_fps"])
    # Weights of 8·16 + 16·4 elements in 4 bytes over 1 GB/s, for two items.
    assert rows[0]["predicted_fps"] == pytest.approx(2 / ((8 * 16 + 16 * 4) * 4 / 1e9))


def test_another_machine_is_told_in_the_first_line(roofline, small_model):
    done = roofline(
        "validate", small_model, "-p", "i7-3820", "--backend", "onnxruntime", "--runs", 2,
        "--format", "json",
    )  # fmt: skip
    first = done.stderr.splitlines()[0]
    assert first.startswith("warning: i7-3820 (")
    assert "is not this machine (" in first
    assert json.loads(done.stdout)["notes"][0] == first.removeprefix("warning: ")


def test_what_was_asked_and_what_ran_are_told_apart(roofline, small_model, tmp_path):
    machine = tmp_path / "mine.yaml"
    machine.write_text(
        platform_yaml(
            [Roofs(1, {"fp32": 10e9, "int8": 40e9}, {"fp32": "tvm", "int8": "tvm"}, 1e9, None)],
            "mine",
        )
    )
    arguments = ("-p", machine, "--backend", "onnxruntime", "--runs", 5, "--threads", 1)
    done = roofline("validate", small_model, "-d", "int4", *arguments, "--format", "json")
    (row,) = json.loads(done.stdout)["comparisons"]
    assert (row["asked_datatype"], row["datatype"]) == ("int4", "fp32")
    assert row["executed"].startswith("fp32")
    assert row["flag"] == "other datatype"
    # The bound of what ran: 4 bytes for each of 8·16 + 16·4 weights.
    assert row["predicted_fps"] == pytest.approx(2 / ((8 * 16 + 16 * 4) * 4 / 1e9))
    done = roofline("validate", small_model, "-d", "int8", *arguments, "--format", "json")
    (row,) = json.loads(done.stdout)["comparisons"]
    assert (row["asked_datatype"], row["datatype"]) == ("int8", "int8")
    assert row["executed"].startswith("int8, int32 sums")
    assert "other datatype" not in row["flags"]
    done = roofline("measure", small_model, "-d", "w4a16", "--backend", "onnxruntime", "--runs", 5)
    # Products of narrow weights stay in floating point, and ONNX Runtime widens fp16 for them.
    assert "w4a16 (ran in fp32)" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("measure", "nonet", "--backend", "onnxruntime"), "nonet"),
        (("measure", "mlp", "--backend", "tvmm"), "Did you mean 'tvm'"),
        (("measure", "mlp", "--backend", "tvm", "--tuning", "tunes"), "Did you mean 'tuned'"),
        (("measure", "mlp", "--backend", "onnxruntime", "--device", "cuda"), "Use --device cpu"),
        (("measure", "mlp", "--algorithm", "gem"), "Did you mean 'gemm'"),
        (("measure", "mlp", "--algorithm", "foo"), "Known: default, blocked, direct"),
        (("validate", "mlp", "--algorithm", "foo", "--backend", "tvm"), "Known: default, blocked"),
        (("validate", "mlp", "--algorithm", "gemm"), "onnxruntime has no choice of algorithms"),
        (
            ("measure", "mlp", "--tuning", "tuned", "--backend", "onnxruntime"),
            "--tuning tuned: onnxruntime has nothing to tune",
        ),
        (("validate", "mlp", "-p", "no-such-machine"), "no-such-machine"),
        (("calibrate", "--seconds", "1", "-o", "no/such/folder/x.yaml"), "no/such/folder"),
    ],
)
def test_bad_input_is_one_line_and_no_record(roofline, tmp_path, arguments, message):
    done = roofline(*arguments, code=2)
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not list(Path(tmp_path).rglob("*.db"))


@pytest.mark.parametrize(
    ("model", "hint"),
    [
        ("tine.onnx", "Did you mean 'tiny.onnx'?"),
        ("resnet50.onnx", "The shipped network is called 'resnet50', without a suffix"),
        ("resnet5", "Did you mean 'resnet50'?"),
    ],
)
def test_a_model_that_is_not_there_is_one_line_and_no_record(roofline, tmp_path, model, hint):
    (tmp_path / "tiny.onnx").touch()
    done = roofline("measure", model, "--backend", "onnxruntime", code=2)
    assert done.stderr.count("\n") == 1
    assert model in done.stderr
    assert done.stderr.rstrip().endswith(hint)
    with Store(tmp_path / "home" / "roofline" / "records.db") as store:
        assert not len(store)
