"""``roofline count`` as a program: its three formats, its options, and what it refuses."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from .cli_process import roofline
from .conformance.graphs import INT64, body, model, node, value_info, values, weight

F32 = 4
CONV = 2 * 30 * 46 * 8 * 27  # two images of 32x48 through eight 3x3 kernels


@pytest.fixture
def small(tmp_path: Path) -> Path:
    calls = [node("Conv", "x w", "c"), node("Relu", "c", "y")]
    return saved(
        model(calls, {"x": ["N", 3, "H", "W"]}, "y", [weight("w", 8, 3, 3, 3)]),
        tmp_path / "small.onnx",
    )


@pytest.fixture
def branching(tmp_path: Path) -> Path:
    def branch(name: str, width: int) -> onnx.GraphProto:
        return body(
            [node("MatMul", f"x w_{name}", name)],
            [],
            [value_info(name, None)],
            [weight(f"w_{name}", 64, width)],
            name,
        )

    calls = [
        node("Equal", "rate fast", "wide"),
        node("If", "wide", "y", then_branch=branch("then", 32), else_branch=branch("else", 16)),
    ]
    graph = model(calls, {"x": [2, 64], "rate": (INT64, [])}, "y", [values("fast", 16000)])
    return saved(graph, tmp_path / "branching.onnx")


def saved(graph: onnx.ModelProto, path: Path) -> Path:
    path.write_bytes(graph.SerializeToString())
    return path


SIZES = ("--dim", "N=2", "--dim", "H=32", "--dim", "W=48")


def test_json_has_exact_numbers_under_stable_names(small: Path) -> None:
    found = json.loads(roofline("count", small, *SIZES, "--format", "json").out)
    assert found["schema_version"] == 1
    assert found["model"] == "small"
    assert "two operations" in found["conventions"]["operations"]
    assert found["notes"] == []
    outputs = 2 * 30 * 46 * 8
    weights, reads = 8 * 27 * F32, 2 * 3 * 32 * 48 * F32
    expected = {
        "macs": CONV,
        "ops": 2 * CONV + outputs,
        "other_ops": outputs,
        "parameters": 8 * 27,
        "trainable_parameters": 8 * 27,
        "weight_bytes": weights,
        "activation_bytes": 2 * outputs * F32,
        # While Relu runs, what it reads and what it writes are alive.
        "peak_activation_bytes": 2 * outputs * F32,
    }
    totals = found["totals"]
    assert {name: totals[name] for name in expected} == expected
    assert totals["intensity"] == pytest.approx({
        "weights": expected["ops"] / weights,
        "weights_io": expected["ops"] / (weights + reads + outputs * F32),
        "fused": expected["ops"] / (weights + reads + outputs * F32),
        "unfused": expected["ops"] / (weights + reads + 3 * outputs * F32),
        "resident": expected["ops"] / (reads + outputs * F32),
    })  # fmt: skip
    assert found["coverage"]["nodes"] == 1
    assert found["unsupported"] == []
    assert [layer["op_type"] for layer in found["layers"]] == ["Conv", "Relu"]
    assert found["layers"][0]["macs"] == CONV
    assert found["layers"][0]["output_shapes"] == [[2, 8, 30, 46]]


def test_the_fused_view_reports_what_was_fused(small: Path) -> None:
    found = json.loads(roofline("count", small, *SIZES, "--fused", "--format", "json").out)
    assert found["fusion"] == {"activation": 1}
    (layer,) = found["layers"]
    assert layer["members"] == ["c", "y"]
    assert layer["macs"] == CONV


def test_csv_of_totals_and_of_layers(small: Path) -> None:
    (totals,) = csv.DictReader(
        io.StringIO(roofline("count", small, *SIZES, "--format", "csv").out)
    )
    assert int(totals["macs"]) == CONV
    layers = list(
        csv.DictReader(
            io.StringIO(roofline("count", small, *SIZES, "--layers", "--format", "csv").out)
        )
    )
    assert [row["op_type"] for row in layers] == ["Conv", "Relu"]


def test_the_table_has_units_and_conventions(small: Path) -> None:
    shown = roofline("count", small, *SIZES, "--layers", "--explain").out
    assert f"{CONV:,}" in shown
    assert "two operations" not in roofline("count", small, *SIZES, "--layers").out
    assert "MMAC" in shown or "kMAC" in shown
    assert "two operations" in shown
    assert "Conv" in shown


def test_two_runs_are_the_same_to_the_byte(small: Path) -> None:
    arguments = ("count", small, *SIZES, "--fused", "--format", "json")
    assert roofline(*arguments).out == roofline(*arguments).out


def test_output_goes_whole_into_a_file(small: Path, tmp_path: Path) -> None:
    target = tmp_path / "counts.json"
    run = roofline("count", small, *SIZES, "--format", "json", "-o", target)
    assert run.out == ""
    assert json.loads(target.read_text())["totals"]["macs"] == CONV


def test_a_symbolic_batch_is_one_and_the_output_says_so(tmp_path: Path) -> None:
    graph = model([node("Relu", "x", "y")], {"x": ["N", 4]}, "y")
    assert "batch 1" in roofline("count", saved(graph, tmp_path / "m.onnx")).out


def test_batch_and_whole_shapes(small: Path) -> None:
    found = json.loads(roofline("count", small, "--input", "x=2x3x32x48", "--format", "json").out)
    assert found["totals"]["macs"] == CONV
    assert found["batch"] == 2
    both = json.loads(
        roofline(
            "count", small, "-b", "2", "--dim", "H=32", "--dim", "W=48", "--format", "json"
        ).out
    )
    assert both["totals"]["macs"] == CONV


def test_a_value_takes_the_branch(branching: Path) -> None:
    for rate, width in ((16000, 32), (8000, 16)):
        found = json.loads(
            roofline("count", branching, "--value", f"rate={rate}", "--format", "json").out
        )
        assert found["totals"]["macs"] == 2 * 64 * width
        assert found["totals"]["parameters"] == 64 * 32 + 64 * 16
    scalar = roofline("count", branching, "--input", "rate=", "--value", "rate=8000")
    assert scalar.code == 0


def test_two_models_side_by_side(small: Path, tmp_path: Path) -> None:
    calls = [node("Conv", "x w", "c"), node("Sigmoid", "c", "z")]
    other = saved(
        model(calls, {"x": ["N", 3, "H", "W"]}, "z", [weight("w", 16, 3, 3, 3)]),
        tmp_path / "other.onnx",
    )
    found = json.loads(roofline("count", small, *SIZES, "--diff", other, "--format", "json").out)[
        "diff"
    ]
    assert found["totals"]["macs"] == {"this": CONV, "other": 2 * CONV, "difference": CONV}
    changes = {change["name"]: change["change"] for change in found["layers"]}
    assert changes == {"c": "changed", "y": "removed", "z": "added"}
    shown = roofline("count", small, *SIZES, "--diff", other).out
    assert "+100.00%" in shown


def test_unknown_operators_are_named_and_strict_refuses_them(tmp_path: Path) -> None:
    calls = [node("Relu", "x", "h"), node("Mystery", "h", "y", "my.domain")]
    path = saved(model(calls, {"x": [1, 8]}, "y", domains={"my.domain": 1}), tmp_path / "m.onnx")
    found = json.loads(roofline("count", path, "--format", "json").out)
    assert found["unsupported"] == ["my.domain::Mystery"]
    assert found["coverage"]["nodes"] == 0.5
    assert "my.domain::Mystery" in roofline("count", path).out
    strict = roofline("count", path, "--strict")
    assert strict.code == 2
    assert "my.domain::Mystery" in strict.err
    assert strict.err.count("\n") == 1


def test_an_open_dimension_names_input_dimension_and_flag(small: Path) -> None:
    run = roofline("count", small)
    assert run.code == 2
    assert run.err.count("\n") == 1
    assert all(word in run.err for word in ("'x'", "H", "--dim"))


@pytest.mark.parametrize(
    "arguments",
    [
        ("--dim", "N"), ("--dim", "=3"), ("--dim", "N=many"), ("--dim", "N=-1"), ("--dim", "N=1", "--dim", "N=2"),
        ("--dim", "M=3"), ("--input", "x=1x3xHx4"), ("--input", "x=1x3"), ("--input", "z=1"), ("--value", "x=red"),
        ("--batch", "0"), ("--format", "yaml"), ("--nonsense",), ("--dim", "N=99999999999999999999"),
        ("-o", "/nonexistent/folder/file", *SIZES), ("--diff", "nothing.onnx", *SIZES),
    ],
)  # fmt: skip
def test_a_wrong_option_is_one_line(small: Path, arguments: tuple[str, ...]) -> None:
    run = roofline("count", small, *arguments)
    assert run.code == 2
    assert run.out == ""
    assert run.err.startswith("roofline: error: ")
    assert run.err.count("\n") == 1


def test_a_name_that_is_nothing_suggests_one(tmp_path: Path) -> None:
    run = roofline("count", "resnet5", cwd=tmp_path)
    assert run.code == 2
    assert "Did you mean" in run.err


def test_shipped_networks_count_by_name() -> None:
    found = json.loads(roofline("count", "resnet50", "--format", "json").out)
    assert found["model"] == "resnet50"
    assert found["totals"]["macs"] > 3e9


def test_values_are_never_read(tmp_path: Path) -> None:
    """A hundred megabytes of weights cost no memory."""
    side = 5000
    stored = onnx.numpy_helper.from_array(np.zeros((side, side), np.float32), "w")
    path = saved(
        model([node("MatMul", "x w", "y")], {"x": [1, side]}, "y", [stored]), tmp_path / "big.onnx"
    )
    del stored
    run = roofline("count", path, "--format", "json")
    assert json.loads(run.out)["totals"]["parameters"] == side * side
    assert run.rss_bytes < 100e6
