"""What could not be counted is null in JSON and unknown in tables, never a smaller number that looks exact."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import TensorProto, helper

from roofline.cli._counting import document, summary
from roofline.workload import Workload


def test_totals_that_an_uncounted_node_belongs_to_are_null(tmp_path: Path) -> None:
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
    onnx.save(helper.make_model(graph, opset_imports=domains), tmp_path / "part.onnx")
    counted = Workload.from_onnx(tmp_path / "part.onnx")
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
