"""The verb ``networks``."""

import csv
import json

import onnx
import pytest

from roofline.cli import main
from roofline.workloads import networks


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main(["networks", *arguments])
    return stop.value.code, capsys.readouterr()


def test_list_has_every_network(capsys):
    code, shown = run(capsys, "list")
    assert code == 0
    assert [line.split()[0] for line in shown.out.splitlines()[2 : 2 + len(networks)]] == list(
        networks
    )


def test_list_as_csv_has_the_counts(capsys):
    _, shown = run(capsys, "list", "--format", "csv")
    rows = {row["network"]: row for row in csv.DictReader(shown.out.splitlines())}
    assert set(rows) == set(networks)
    assert (
        int(rows["resnet50_v15"]["macs"]) == 4_089_184_256
    )  # onnx-tool and onnxsim agree on this graph
    assert int(rows["resnet50_v15"]["parameters"]) == 25_610_152


def test_show_as_json(capsys):
    _, shown = run(capsys, "show", "mlp", "--format", "json")
    row = json.loads(shown.out)["network"]
    hidden = 2048
    weights = 784 * hidden + 2 * hidden**2 + hidden * 10
    assert row["macs"] == weights
    assert row["parameters"] == weights + 3 * 4 * hidden  # four vectors of each normalization
    assert row["weight_bytes"] == 4 * row["parameters"]
    assert row["inputs"] == {"input": [1, 1, 28, 28]}


def test_show_names_the_source(capsys):
    _, shown = run(capsys, "show", "googlenet_v1")
    assert "arXiv:1409.4842" in shown.out
    assert "112-56-28-14-7" in shown.out


def test_export_writes_a_file_that_counts_the_same(tmp_path, capsys):
    import roofline

    declared, filled = tmp_path / "declared.onnx", tmp_path / "filled.onnx"
    assert run(capsys, "export", "cnv_12_5", "-o", str(declared))[0] == 0
    assert (
        run(capsys, "export", "cnv_12_5", "-o", str(filled), "--weights", "random", "-b", "2")[0]
        == 0
    )
    onnx.checker.check_model(str(filled), full_check=True)
    assert declared.stat().st_size < filled.stat().st_size / 10
    light, heavy = roofline.load(declared, batch=2), roofline.load(filled)
    assert (light.macs, light.parameters) == (heavy.macs, heavy.parameters)


def test_unknown_key_is_one_line(capsys):
    code, shown = run(capsys, "show", "resnet5O")
    assert code == 2
    assert "Did you mean 'resnet50'" in shown.err
    assert shown.err.count("\n") == 1
