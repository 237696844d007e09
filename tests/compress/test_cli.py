"""The command line: what is written, what is shown, and one clear line for what cannot be done."""

from __future__ import annotations

import json
import math
import os
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest

from roofline.cli import main
from roofline.compress.calibration import batches, read_arrays
from roofline.errors import OptionError
from roofline.workload import Workload
from roofline.workloads import build


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    shown = capsys.readouterr()
    return int(ended.value.code or 0), shown.out, shown.err


def test_a_file_is_written_and_counts_as_predicted(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "half.onnx"
    code, out, _ = run(
        capsys, "compress", "mlp_12_5", "--keep-channels", 0.5, "-o", path, "--format", "json"
    )
    assert code == 0
    told = json.loads(out)
    assert told["agrees"] is True
    assert told["predicted"] == told["counted"]
    assert (
        told["counted"]["macs"]
        == Workload.from_onnx(path).macs
        == 784 * 128 + 128 * 128 * 2 + 128 * 10
    )
    assert told["fixed"] == [
        {"layer": "fc4", "channels": 10, "reason": "it is part of the network's output 'output'"}
    ]


def test_a_users_file_keeps_the_filters_of_largest_magnitude(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    source, path = tmp_path / "dense.onnx", tmp_path / "half.onnx"
    onnx.save(build("mlp_12_5", weights="random"), source)
    assert run(capsys, "compress", source, "--keep-channels", "fc1=0.5", "-o", path)[0] == 0
    weights = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(source).graph.initializer}
    kept = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}
    name = next(n for n, array in weights.items() if array.shape in {(784, 256), (256, 784)})
    axis = weights[name].shape.index(256)
    magnitude = np.abs(weights[name]).sum(1 - axis)
    largest = np.sort(np.argsort(-magnitude, kind="stable")[:128])
    np.testing.assert_array_equal(kept[name], weights[name].take(largest, axis))


def test_weights_that_no_writer_follows_give_no_gain(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    info = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 64]) for name in "xy"]
    stored = [
        numpy_helper.from_array(np.random.default_rng(0).standard_normal((64, width)).astype(np.float32), name)
        for name, width in (("left", 24), ("right", 40))
    ]  # fmt: skip
    nodes = [
        helper.make_node("Concat", ["left", "right"], ["w"], axis=1),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    graph = helper.make_graph(nodes, "joined", info[:1], info[1:], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    source = tmp_path / "joined.onnx"
    onnx.save(model, source)
    code, out, _ = run(capsys, "compress", source, "-d", "w4a16", "-o", tmp_path / "narrow.onnx")
    assert code == 0
    assert "made in a way that no writer follows" in out
    assert "keeps more than was asked" in out
    assert "x faster" not in out


def test_a_description_without_weights_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    source = tmp_path / "config.json"
    source.write_text("{}")
    code, _, err = run(capsys, "compress", source, "-d", "int8", "-o", tmp_path / "x.onnx")
    assert code == 2
    assert "holds no weights to take from" in err
    assert len(err.strip().splitlines()) == 1


def test_several_compressions_are_done_in_one_call(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "small.onnx"
    flags = ("--keep-channels", 0.5, "--sparsity", 0.9, "--sparse-format", "csr", "-d", "int8")
    code, out, _ = run(capsys, "compress", "mlp_12_5", *flags, "-o", path)
    assert code == 0
    assert "keep-channels=0.5 sparsity=0.9,csr int8" in out
    assert "an ONNX file stores zeros too" in out


def test_count_takes_the_same_flags(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("--keep-channels", 0.5, "--sparsity", 0.9, "-d", "int8")
    code, out, _ = run(capsys, "count", "mlp_12_5", *flags, "--format", "json")
    told = json.loads(out)
    assert code == 0
    assert (told["variant"], told["datatype"]) == ("keep-channels=0.5 sparsity=0.9", "int8")
    assert told["totals"]["effective_macs"] < 0.11 * told["totals"]["macs"]


def test_zeros_of_a_file_are_counted_when_asked(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "sparse.onnx"
    assert run(capsys, "compress", "mlp_12_5", "--sparsity", 0.75, "-o", path)[0] == 0
    dense, counted = (
        json.loads(run(capsys, "count", path, "-f", "json", *flags)[1])["totals"]
        for flags in ((), ("--zeros",))
    )
    assert dense["effective_macs"] == dense["macs"] == counted["macs"]
    assert counted["effective_macs"] == counted["macs"] // 4
    code, _, err = run(capsys, "count", "mlp_12_5", "--zeros")
    assert (code, err.count("\n")) == (2, 1)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--keep-channels", "50"], "not a percentage"),
        (["--keep-channels", "0"], "outside (0, 1]"),
        (["--keep-channels", "half"], "'half' is not a share"),
        (["--keep-channels", "nothing*=0.5"], "matches no layer"),
        (
            ["--keep-channels", "fc4=0.5"],
            "no channel of 'fc4' can be removed: it is part of the network's output",
        ),
        (["--keep-channels", "0.5", "--keep-channels", "0.6"], "twice"),
        (["--keep-channels", "0.5", "--criterion", "l3"], "unknown pruning criterion 'l3'"),
        (["--sparsity", "1"], "outside [0, 1)"),
        (["--sparsity", "0.5", "--sparse-format", "cs"], "Did you mean 'csr'"),
        (["-d", "int9"], "unknown datatype 'int9'"),
        (["-d", "binary"], "no tool here writes binary"),
        (["-d", "ternary", "--threshold", "5"], "--threshold is 5, outside [0, 1)"),
        (["-d", "int8", "--calibration", "absent.npz"], "absent.npz"),
        ([], "nothing to compress is asked"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, flags: list[str], message: str
) -> None:
    path = tmp_path / "out.onnx"
    code, out, err = run(capsys, "compress", "mlp_12_5", "-o", path, *flags)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, _, err = run(
        capsys, "compress", "mlp_12_5", "--keep-channels", 0.5, "-o", tmp_path / "no" / "x.onnx"
    )
    assert code == 2
    assert "cannot write" in err


def test_a_truncated_file_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    source = tmp_path / "cut.onnx"
    source.write_bytes(build("mlp_12_5", weights="random").SerializeToString()[:1000])
    code, _, err = run(
        capsys, "compress", source, "--keep-channels", 0.5, "-o", tmp_path / "x.onnx"
    )
    assert code == 2
    assert err.count("\n") == 1


def without_weights(folder: Path, *, beside: bool) -> Path:
    """Save a network whose weights are gone: in a file beside it, or not stored at all."""
    source = folder / "split.onnx"
    if not beside:
        onnx.save(build("mlp_12_5"), source)
        return source
    onnx.save(
        build("mlp_12_5", weights="random"), source, save_as_external_data=True, location="weights.bin",
        size_threshold=0,
    )  # fmt: skip
    (folder / "weights.bin").unlink()
    return source


@pytest.mark.parametrize("flags", [("--keep-channels", "0.5"), ("--sparsity", "0.5")])
def test_a_weight_that_names_a_file_and_holds_elements_too_is_the_files(
    flags: tuple[str, ...], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    source = without_weights(tmp_path, beside=True)
    model = onnx.load(source, load_external_data=False)
    for tensor in model.graph.initializer:
        tensor.raw_data = bytes(4 * math.prod(tensor.dims))
    source.write_bytes(model.SerializeToString())
    assert run(capsys, "count", source, *flags)[0] == 0
    assert run(capsys, "compress", source, *flags, "-o", tmp_path / "x.onnx")[0] == 0
    stored = onnx.load(tmp_path / "x.onnx", load_external_data=False).graph.initializer
    assert not any(tensor.raw_data for tensor in stored if len(tensor.dims) == 2)


@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.parametrize(
    "flags", [("-d", "int8"), ("--sparsity", "0.5"), ("-d", "fp16"), ("-d", "w4a16")]
)
def test_what_has_no_weights_is_written_without_them_checked_and_says_so(
    flags: tuple[str, ...], beside: bool, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime")
    source, path, full = (
        without_weights(tmp_path, beside=beside),
        tmp_path / "x.onnx",
        tmp_path / "full.onnx",
    )
    code, out, err = run(capsys, "compress", source, *flags, "-o", path, "--format", "json")
    assert code == 0
    assert "the weights of" in err
    assert "--random-weights" in err
    told = json.loads(out)
    assert told["absent_tensors"] >= 4
    assert "weights are absent, so it was loaded with zeros" in told["not_loaded_because"]
    stored = onnx.load(path, load_external_data=False).graph.initializer
    assert not any(tensor.raw_data for tensor in stored if len(tensor.dims) == 2)
    # It is the graph that the same network with weights becomes.
    assert run(capsys, "compress", "mlp_12_5", *flags, "-o", full)[0] == 0
    mine, its = Workload.from_onnx(path), Workload.from_onnx(full)
    assert (mine.macs, mine.parameters, mine.weight_bytes) == (
        its.macs,
        its.parameters,
        its.weight_bytes,
    )


@pytest.mark.parametrize("beside", [True, False])
def test_channels_are_pruned_without_weights_and_the_graph_is_loaded(
    beside: bool, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime")
    source, path = without_weights(tmp_path, beside=beside), tmp_path / "x.onnx"
    code, out, _ = run(capsys, "compress", source, "--keep-channels", 0.5, "-o", path)
    assert code == 0
    assert "weights are absent, so it was loaded with zeros in their place" in out
    assert Workload.from_onnx(path).macs == 784 * 128 + 128 * 128 * 2 + 128 * 10


@pytest.mark.parametrize("beside", [True, False])
def test_random_weights_stand_for_absent_ones_when_asked(
    beside: bool, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    runtime = pytest.importorskip("onnxruntime")
    source, path = without_weights(tmp_path, beside=beside), tmp_path / "x.onnx"
    asked = ("compress", source, "-d", "int8", "--random-weights", "-o", path, "--format", "json")
    code, out, err = run(capsys, *asked)
    assert code == 0
    told = json.loads(out)
    assert (told["loads"], told["random_weights"]) == (True, 16)
    assert "lacks 16 weights, which are random (seed 0)" in err
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"input": np.ones((1, 1, 28, 28), np.float32)})
    assert np.ptp(logits) > 0


@pytest.mark.parametrize("beside", [True, False])
def test_zeros_of_absent_weights_are_not_counted(
    beside: bool, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, _, err = run(capsys, "count", without_weights(tmp_path, beside=beside), "--zeros")
    assert code == 2
    assert "has not all of its weights" in err


def test_of_several_machines_one_without_the_datatype_says_so(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    asked = ("compress", "mlp_12_5", "-d", "int8", "-p", "ncs,h100-sxm", "-o", tmp_path / "x.onnx")
    code, out, _ = run(capsys, *asked, "--format", "json")
    assert code == 0
    ncs, h100 = json.loads(out)["speedups"]
    assert (ncs["platform"], ncs["predicted_speedup"]) == ("ncs", None)
    assert (
        ncs["skipped"]
        == "the file of ncs does not say whether it has fp32 units; it has fp16, int8"
    )
    assert h100["predicted_speedup"] > 1
    assert h100["skipped"] is None
    _, out, _ = run(capsys, *asked)
    assert "the file of ncs does not say whether it has fp32 units" in out
    assert "faster on h100-sxm" in out


def test_machines_of_which_none_has_the_datatype_are_refused_and_no_file_is_written(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "x.onnx"
    code, _, err = run(capsys, "compress", "mlp_12_5", "-d", "int8", "-p", "ncs", "-o", path)
    assert code == 2
    assert "the file of ncs does not say whether it has fp32 units" in err
    assert not path.exists()


def test_ternary_weights_show_how_many_are_zero(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    source, path = tmp_path / "dense.onnx", tmp_path / "ternary.onnx"
    whole = build("mlp_12_5", weights="random")
    onnx.save(whole, source)
    flags = ("compress", source, "-d", "ternary", "--threshold", 0.5, "-o", path)
    code, out, _ = run(capsys, *flags, "--format", "json")
    told = json.loads(out)
    assert (code, told["agrees"]) == (0, True)
    weights = [onnx.numpy_helper.to_array(t) for t in whole.graph.initializer if len(t.dims) == 2]
    zeros = sum(int((np.abs(w) <= 0.5 * np.abs(w).max()).sum()) for w in weights)
    elements = sum(w.size for w in weights)
    assert told["zero_share"] == zeros / elements
    # Every weight of a perceptron is used once.
    assert told["counted"]["effective_macs"] == elements - zeros
    assert told["counted"]["weight_bytes"] == told["predicted"]["weight_bytes"]
    assert f"{zeros / elements:.1%} of the file's weights are zero" in run(capsys, *flags)[1]


@pytest.mark.parametrize(
    "kind", ["pipe", "zeros", "folder", "text", "array", "cut", "bomb", "rank", "missing"]
)
def test_bad_calibration_data_are_one_line_at_once(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, written = tmp_path / "data.npz", tmp_path / "out.onnx"
    array = np.zeros((2, 784), np.float32)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "zeros":
        path = Path("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    elif kind == "text":
        path.write_text("no archive")
    elif kind == "array":
        with path.open("wb") as file:
            np.save(file, array)
    elif kind == "cut":
        np.savez(path, input=array)
        path.write_bytes(path.read_bytes()[:-30])
    elif kind == "bomb":
        monkeypatch.setattr("roofline.compress.calibration.MOST_BYTES", 1000)
        np.savez_compressed(path, input=array)
    elif kind == "rank":
        np.savez(path, input=np.float32(1))
    code, out, err = run(
        capsys, "compress", "mlp_12_5", "-d", "int8", "--calibration", path, "-o", written
    )
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert not written.exists()


def test_calibration_data_are_read_up_to_their_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "data.npz"
    image, size = np.arange(8, dtype=np.float32).reshape(4, 2), np.array(3)
    np.savez(path, image=image, size=size)
    found = read_arrays(path)
    assert {name: array.tolist() for name, array in found.items()} == {
        "image": image.tolist(),
        "size": 3,
    }
    # Four items of a batch of two are two batches; what has no axis is given whole with each.
    given = list(batches(found, {"image": (2, 2), "size": ()}))
    assert [batch["image"].tolist() for batch in given] == [image[:2].tolist(), image[2:].tolist()]
    assert [batch["size"].tolist() for batch in given] == [3, 3]
    with zipfile.ZipFile(path) as archive:
        held = sum(entry.file_size for entry in archive.infolist())
    monkeypatch.setattr("roofline.compress.calibration.MOST_BYTES", held)
    assert set(read_arrays(path)) == {"image", "size"}
    monkeypatch.setattr("roofline.compress.calibration.MOST_BYTES", held - 1)
    with pytest.raises(OptionError, match=f"unpacks to {held} bytes, more than {held - 1}"):
        read_arrays(path)


@pytest.mark.parametrize("block", ["9" * 400, "9" * 20, "0", "-1", "nan", "1.5"])
def test_a_block_is_a_whole_number_of_64_bits(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, block: str
) -> None:
    path = tmp_path / "out.onnx"
    code, out, err = run(
        capsys, "compress", "mlp_12_5", "-d", "w4a16", "--block", block, "-o", path
    )
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "--block" in err
    assert len(err) < 300
    assert not path.exists()


def test_a_block_longer_than_every_axis_is_one_block(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "out.onnx"
    assert run(
        capsys, "compress", "mlp_12_5", "-d", "w4a16", "--block", 2**62, "-o", path
    )[0] == 0  # fmt: skip
    assert (
        Workload.from_onnx(path).macs
        == Workload.from_onnx(build("mlp_12_5"), name="mlp_12_5").macs
    )


def test_what_is_no_archive_is_refused_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "samples.npz"
    path.write_bytes(b"no archive")
    # The words are those of Python's `zipfile`.
    with pytest.raises(OptionError, match="holds no arrays: File is not a zip file"):
        read_arrays(path)
