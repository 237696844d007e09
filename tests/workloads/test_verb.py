"""The verb ``networks``."""

import csv
import json

import onnx
import pytest

from roofline.cli import main
from roofline.workloads import decoders, find_shipped, networks

from ..cli_process import roofline


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main(["networks", *arguments])
    return stop.value.code, capsys.readouterr()


def test_list_has_every_network(capsys):
    code, shown = run(capsys, "list")
    assert code == 0
    known = [*networks, *decoders]
    assert [line.split()[0] for line in shown.out.splitlines()[2 : 2 + len(known)]] == known


def test_list_as_csv_has_the_counts(capsys):
    _, shown = run(capsys, "list", "--format", "csv")
    rows = {row["network"]: row for row in csv.DictReader(shown.out.splitlines())}
    assert set(rows) == {*networks, *decoders}
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


def test_a_decoder_is_known_in_any_capitals_and_near_a_slip(capsys):
    assert run(capsys, "show", "SmolLM2_135M")[0] == 0
    assert find_shipped("SmolLM2_135M").key == "smollm2_135m"
    code, shown = run(capsys, "show", "lama31_8b")
    assert (code, "Did you mean 'llama31_8b'?" in shown.err) == (2, True)


def test_unknown_key_is_one_line(capsys):
    code, shown = run(capsys, "show", "resnet5O")
    assert code == 2
    assert "Did you mean 'resnet50'" in shown.err
    assert shown.err.count("\n") == 1


def test_check_tells_whole_networks_from_others(capsys, tmp_path):
    code, shown = run(capsys, "check", "mlp")
    assert code == 0
    assert shown.out == "mlp: OK, 11 nodes, 10,014,720 MACs, 10,039,296 parameters\n"
    inputs = [onnx.helper.make_tensor_value_info(name, 1, [2]) for name in "xy"]
    call = onnx.helper.make_node("Fly", ["x"], ["y"], domain="air")
    graph = onnx.helper.make_graph([call], "g", inputs[:1], inputs[1:])
    path = tmp_path / "odd.onnx"
    path.write_bytes(onnx.helper.make_model(graph).SerializeToString())
    code, shown = run(capsys, "check", str(path), str(tmp_path / "none.onnx"), "mlp")
    assert code == 2
    lines = shown.out.splitlines()
    assert lines[0] == f"{path}: 100.0% of its nodes are not counted: air::Fly"
    assert "there is no file" in lines[1]
    assert lines[2].startswith("mlp: OK")
    assert shown.err.startswith("roofline: error: not whole: ")
    assert shown.err.count("\n") == 1


def test_a_scaffold_defines_a_network_that_runs(capsys, tmp_path):
    path = tmp_path / "my_net.py"
    assert run(capsys, "new", "my_net", "-o", str(path))[0] == 0
    # In a process of its own: what a module registers stays registered.
    done = roofline("networks", "check", path)
    convolutions = 32 * 32 * 32 * 27 + 16 * 16 * 64 * 32 * 9 + 64 * 10
    assert done.code == 0, done.err
    assert f"my_net: OK, 10 nodes, {convolutions:,} MACs" in done.out
    assert run(capsys, "new", "my_net", "-o", str(path))[0] == 2
    assert run(capsys, "new", "My-Net")[0] == 2


@pytest.mark.parametrize("text", ["x = 1", "x = ", "raise SystemError('no')"])
def test_a_module_without_a_network_is_one_line(text, capsys, tmp_path):
    path = tmp_path / "bad.py"
    path.write_text(text)
    code, shown = run(capsys, "check", str(path))
    assert code == 2
    assert shown.err.count("\n") == 1
