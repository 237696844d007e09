"""The page of what was wrong: what it says is printed now is printed, and the tests it names are there."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import numpy as np
import onnx
import pytest

from roofline import platform

from .cli_process import answered

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "corrected-numbers.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and "| test |" not in line
]
COMMANDS = [
    (found[1], now)
    for what, _, now, _ in ROWS
    if (found := re.match(r"fps of `roofline ([^`]+)`", what))
]


@pytest.mark.parametrize(("command", "figure"), COMMANDS)
def test_a_command_prints_the_figure_of_the_page(
    command: str, figure: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = answered(capsys, *command.split(), "--format", "json")
    assert code == 0
    (prediction,) = json.loads(out)["predictions"]
    assert f"{prediction['throughput_fps']:,.4g}" == f"{float(figure.replace(',', '')):,.4g}"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:40])
def test_the_test_of_a_number_is_there(row: list[str]) -> None:
    path, _, name = row[3].strip("`").partition("::")
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    names = [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    assert name in names or (not name and any(each.startswith("test_") for each in names))


@pytest.mark.parametrize("stored", ["half", "cast"])
def test_a_network_in_half_precision_is_written_in_int8_and_loads(
    stored: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runtime = pytest.importorskip("onnxruntime")
    kind = {"half": onnx.TensorProto.FLOAT16, "cast": onnx.TensorProto.FLOAT}[stored]
    weight = np.random.default_rng(0).standard_normal((16, 8)).astype(np.float16)
    nodes = [
        onnx.helper.make_node("Cast", ["w"], ["wide"], to=kind),
        onnx.helper.make_node("MatMul", ["x", "wide"], ["y"]),
    ]
    graph = onnx.helper.make_graph(
        nodes, "g", [onnx.helper.make_tensor_value_info("x", kind, [2, 16])],
        [onnx.helper.make_tensor_value_info("y", kind, [2, 8])], [onnx.numpy_helper.from_array(weight, "w")],
    )  # fmt: skip
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9
    )
    onnx.save(model, tmp_path / "wide.onnx")
    asked = (
        "compress",
        str(tmp_path / "wide.onnx"),
        "-d",
        "int8",
        "-o",
        str(tmp_path / "int8.onnx"),
    )
    code, out, err = answered(capsys, *asked, "--format", "json")
    assert code == 0, err
    assert json.loads(out)["loads"]
    # Within the ranges of the random inputs that calibrated it: what lies outside is cut.
    x = np.random.default_rng(1).uniform(-1, 1, (2, 16))
    x = x.astype(onnx.helper.tensor_dtype_to_np_dtype(kind))
    wide, narrow = (
        runtime.InferenceSession(tmp_path / name, providers=["CPUExecutionProvider"]).run(
            None, {"x": x}
        )[0]
        for name in ("wide.onnx", "int8.onnx")
    )
    assert narrow.dtype == wide.dtype
    assert np.abs(wide.astype(np.float32) - narrow).max() < 0.05 * np.abs(wide).max()


def test_a_bound_that_charges_weights_on_the_chip_is_not_called_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = "an upper bound, not an estimate"
    asked = (
        "predict",
        "resnet50",
        "-p",
        "hailo-8",
        "-d",
        "int8",
        "--model",
        "equation1",
        "--explain",
    )
    for traffic, holds in ((), True), (("--traffic", "weights"), False):
        _, out, _ = answered(capsys, *asked, *traffic)
        assert (said in out) == holds
        _, out, _ = answered(capsys, *asked, *traffic, "--format", "json")
        assert (said in out) == holds
        assert ("no upper bound on hailo-8" in out) != holds


@pytest.mark.parametrize("limit", [("--max-watts", "15"), ("--max-price", "300")])
def test_advice_under_one_limit_that_a_file_does_not_state_is_unknown(
    limit: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    machine = platform("tpu-v5p")
    assert (machine.tdp, machine.price) == (None, None)
    asked = ("advise", "resnet50", "-p", "tpu-v5p", "-d", "int8", "--min-fps", "1")
    _, out, _ = answered(capsys, *asked, *limit, "--format", "json")
    (found,) = json.loads(out)["machines"]
    assert found["answer"] == "unknown"
    unknown = {"--max-watts": "power unknown", "--max-price": "price unknown"}[limit[0]]
    assert unknown in found["doubts"]


def test_numbers_are_compared() -> None:
    assert len(ROWS) >= 58
    assert all(len(row) == 4 for row in ROWS)
    assert len(COMMANDS) >= 3
