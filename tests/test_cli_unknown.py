"""What could not be counted is null in JSON and unknown in tables, never a smaller number that looks exact."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from roofline.cli._counting import document, summary
from roofline.workload import Workload

from .cli_process import BOUND_ON_TX2, answered


def partly_counted(folder: Path) -> Path:
    """Write a network with a node of an unknown domain."""
    nodes = [
        helper.make_node("MatMul", ["x", "x"], ["square"]),
        helper.make_node("Own", ["square"], ["y"], domain="mine"),
    ]
    graph = helper.make_graph(
        nodes,
        "part",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    domains = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]
    onnx.save(helper.make_model(graph, opset_imports=domains), folder / "part.onnx")
    return folder / "part.onnx"


@pytest.mark.parametrize("condition", ["fps<30", "fps>30"])
def test_a_rate_that_is_not_known_fails_every_condition(
    condition: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = (
        "predict",
        partly_counted(tmp_path),
        *BOUND_ON_TX2,
    )
    code, out, err = answered(capsys, *asked, "--format", "json", "--fail-if", condition)
    assert code == 1
    assert json.loads(out)["predictions"][0]["throughput_fps"] is None
    assert f"fps is unknown ({condition})" in err


def test_no_bound_is_spoken_of_where_no_rate_is_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = ("-p", "edgetpu", "-d", "int8", "--model", "equation1")
    _, alone, _ = answered(capsys, "predict", partly_counted(tmp_path), *machine)
    _, beside, _ = answered(capsys, "predict", partly_counted(tmp_path), "mlp_25", *machine)
    assert "unknown" in alone
    assert "upper bound" not in alone
    assert "unknown" in beside
    assert "fps is an upper bound" in beside


def test_many_sizes_that_are_not_known_are_one_short_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 64])
    places = [helper.make_tensor_value_info(f"p{i}", TensorProto.INT64, None) for i in range(60)]
    nodes = [helper.make_node("NonZero", ["x"], [f"p{i}"]) for i in range(60)]
    graph = helper.make_graph(nodes, "sparse", [x], places)
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "s.onnx"
    )
    _, out, _ = answered(capsys, "count", tmp_path / "s.onnx")
    (line,) = [line for line in out.splitlines() if "not resolved" in line]
    assert "and 58 more nodes" in line
    assert len(line) < 300
    _, rows, _ = answered(capsys, "count", tmp_path / "s.onnx", "--layers", "-f", "csv")
    assert all(f"the size of 'p{i}' is not known" in rows for i in range(60))


def test_totals_that_an_uncounted_node_belongs_to_are_null(tmp_path: Path) -> None:
    counted = Workload.from_onnx(partly_counted(tmp_path))
    assert not counted.fully_counted
    found = document(counted, fused=False)
    totals = found["totals"]
    assert (totals.macs, totals.ops, totals.activation_bytes) == (None, None, None)
    assert set(totals.intensity.values()) == {None}
    assert found["at_least"]["macs"] == 4 * 4 * 4
    assert [row.macs for row in found["layers"]] == [4 * 4 * 4, None]
    lines = {row["quantity"]: (row["value"], row["exactly"]) for row in summary(counted)}
    assert lines["multiply-accumulates"] == ("unknown", "at least 64 MAC")
    assert lines["parameters"][0] == "0"
