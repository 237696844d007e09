"""``roofline compare``: two networks or two machines on one page."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

import roofline as rl

from .cli_process import answered as run
from .conformance.graphs import model, node, weight


def totals(text: str) -> dict[str, dict[str, Any]]:
    return {line["quantity"]: line for line in json.loads(text)["totals"]}


def saved(folder: Path, outputs: int) -> str:
    """Save a convolution of a 32x48 image through 3x3 kernels, and an activation behind it."""
    folder.mkdir()
    activation = "Relu" if outputs == 8 else "Sigmoid"
    calls = [node("Conv", "x w", "c"), node(activation, "c", f"y{outputs}")]
    content = model(
        calls, {"x": [2, 3, 32, 48]}, f"y{outputs}", [weight("w", outputs, 3, 3, 3)]
    ).SerializeToString()
    (folder / "model.onnx").write_bytes(content)
    return str(folder / "model.onnx")


def test_two_versions_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sides = saved(tmp_path / "old", 8), saved(tmp_path / "new", 16)
    code, out, _ = run(capsys, "compare", *sides, "--format", "json")
    assert code == 0
    found = json.loads(out)
    assert (found["first"]["name"], found["second"]["name"]) == ("old/model", "new/model")
    macs = 2 * 30 * 46 * 8 * 27
    line = totals(out)["macs"]
    assert (line["first"], line["second"], line["difference"]) == (macs, 2 * macs, macs)
    assert line["ratio"] == 2
    changes = {change["name"]: change["change"] for change in found["layers"]}
    assert changes == {"c": "changed", "y8": "removed", "y16": "added"}
    shown = run(capsys, "compare", *sides)[1]
    assert "+100.00%" in shown
    assert "old/model" in shown
    assert "3 layers differ" in shown
    rows = list(
        csv.DictReader(io.StringIO(run(capsys, "compare", *sides, "--layers", "-f", "csv")[1]))
    )
    by_name = {row["name"]: row for row in rows}
    assert by_name["c"]["second_macs"] == str(2 * macs)
    assert by_name["y8"]["second_op_type"] == ""


def test_a_file_with_itself_differs_in_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = saved(tmp_path / "old", 8)
    _, out, _ = run(capsys, "compare", path, path)
    assert "no layer differs" in out
    assert "%" not in out


def test_two_machines(capsys: pytest.CaptureFixture[str]) -> None:
    sides = "tx2:maxn", "orin-nano:15w"
    code, out, _ = run(capsys, "compare", *sides, "--format", "json")
    assert code == 0
    found = totals(out)
    first, second = (rl.platform(side) for side in sides)
    assert found["peak_fp16"]["first"] == first.peak("fp16") / 1e12
    ridge = found["ridge_fp16"]
    assert ridge["second"] == pytest.approx(second.peak("fp16") / second.bandwidth)
    assert found["tdp"]["second"] == 15
    # What the machine has no arithmetic for is told from what its file does not say.
    assert found["peak_int8"]["first"] == "no such unit"
    assert found["peak_int8"]["ratio"] is None
    assert found["price"]["first_kind"] == first.specification.price.kind
    guessed = next(
        key
        for key in rl.platforms()
        if (price := rl.platform(key).specification.price) and price.kind == "estimated"
    )
    assert "(estimated)" in run(capsys, "compare", "tx2:maxn", guessed)[1]
    assert run(capsys, "compare", *sides, "-f", "csv")[1].startswith("quantity,unit,first,second")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("mlp", "tx2:maxn"), "'tx2:maxn' is a machine and 'mlp' is none"),
        (("mlp", "resnt50"), "Did you mean 'resnet50'?"),
        (("ncs", "tx2:maxm"), "tx2"),
        (("ncs", "tx2:maxn", "--layers"), "--layers is about networks"),
        (("mlp", "nothing.onnx"), "nothing.onnx"),
    ],
)
def test_what_cannot_be_compared_is_one_line(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, error = run(capsys, "compare", *arguments)
    assert (code, out) == (2, "")
    assert said in error
    assert error.count("\n") == 1


def test_both_networks_on_machines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sides = saved(tmp_path / "old", 8), saved(tmp_path / "new", 16)
    asked = ("-p", "tx2:maxn", "-p", "h100-sxm", "-d", "fp16", "--model", "equation1")
    code, out, _ = run(capsys, "compare", *sides, *asked, "-f", "json")
    assert code == 0
    machine = rl.platform("tx2:maxn")
    rows = json.loads(out)["predictions"]
    assert [row["platform"] for row in rows] == ["tx2:maxn", "h100-sxm"]
    for side, prefix in zip(sides, ("first_", ""), strict=True):
        alone = rl.predict(rl.load(side), machine, datatype="fp16")
        assert rows[0][f"{prefix}throughput_fps"] == pytest.approx(alone.throughput_fps)
    assert rows[0]["throughput_fps_ratio"] == pytest.approx(0.5)
    shown = run(capsys, "compare", *sides, *asked)[1]
    assert "-50.00%" in shown
    table = list(
        csv.DictReader(io.StringIO(run(capsys, "compare", *sides, *asked, "-f", "csv")[1]))
    )
    assert [float(row["throughput_fps_ratio"]) for row in table] == pytest.approx(
        [row["throughput_fps_ratio"] for row in rows]
    )


@pytest.mark.parametrize(
    ("condition", "failed"),
    [
        ("macs_ratio>1.02", "macs_ratio = 2.0"),
        ("fps_ratio<0.95", "tx2:maxn fp16 2 equation1: throughput_fps_ratio = 0.5"),
        ("macs>1e5", "macs = "),
        ("parameters_difference>0", "parameters_difference = 216"),
        ("macs_ratio>2", ""),
        ("fps_ratio<0.4", ""),
    ],
)
def test_a_change_beyond_a_limit_is_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], condition: str, failed: str
) -> None:
    sides = saved(tmp_path / "old", 8), saved(tmp_path / "new", 16)
    code, _, err = run(
        capsys, "compare", *sides, "-p", "tx2:maxn", "-d", "fp16", "--model", "equation1",
        "--fail-if", condition,
    )  # fmt: skip
    assert code == (1 if failed else 0)
    assert failed in err
    assert err.count("\n") == bool(failed)


def test_machines_are_checked_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "compare", "tx2:maxn", "h100-sxm", "--fail-if", "bandwidth_ratio<1")[0] == 0
    code, _, err = run(capsys, "compare", "tx2:maxn", "h100-sxm", "--fail-if", "bandwidth_ratio>1")
    assert code == 1
    assert "tx2:maxn and h100-sxm: bandwidth_ratio" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("mlp", "cnv", "-d", "fp16"), "-d is about predictions"),
        (("mlp", "cnv", "--fail-if", "fps_ratio<1"), "names no column"),
        (("tx2:maxn", "h100-sxm", "-p", "ncs"), "-p is about networks"),
        (
            ("mlp", "cnv", "-p", "ncs", "-d", "int8", "-d", "fp16", "--fail-if", "fps_ratio?1"),
            "not a condition",
        ),
    ],
)
def test_flags_that_do_not_fit_are_one_line(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    code, _, err = run(capsys, "compare", *arguments)
    assert code == 2
    assert words in err
    assert err.count("\n") == 1


def test_two_decoders_are_compared_by_what_predict_says_of_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = ("-p", "h100-sxm,rtx-4090", "-d", "fp16", "--format", "json")
    code, out, err = run(capsys, "compare", "smollm2_135m", "smollm2_360m", *asked)
    assert code == 0, err
    pairs = json.loads(out)["predictions"]
    _, out, _ = run(capsys, "predict", "smollm2_135m,smollm2_360m", *asked)
    said = {
        (row["network"], row["platform"], row["model"]): row
        for row in json.loads(out)["predictions"]
    }
    assert [pair["model"] for pair in pairs] == ["equation1", "expected"] * 2
    for pair in pairs:
        for prefix, network in (("first_", "smollm2_135m"), ("", "smollm2_360m")):
            row = said[network, pair["platform"], pair["model"]]
            for name in ("tokens_per_s", "tpot_ms", "ttft_ms", "context", "fits"):
                assert pair[f"{prefix}{name}"] == row[name]
            assert pair[f"{prefix}interval_tokens_per_s"] == row.get("interval_tokens_per_s")
        assert pair["tokens_per_s_ratio"] == pair["tokens_per_s"] / pair["first_tokens_per_s"]
        assert pair["throughput_fps"] is None
    _, out, _ = run(capsys, "compare", "smollm2_135m", "smollm2_360m", *asked[:-2])
    assert "smollm2_360m, tokens/s" in out
    assert "fps" not in out
    assert "smollm2_135m: counts are of one token behind 4,096 positions" in out


def test_a_decoder_is_not_predicted_beside_another_network(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, _, err = run(capsys, "compare", "resnet50", "smollm2_135m", "-p", "h100-sxm")
    assert code == 2
    assert "smollm2_135m is a decoder" in err
