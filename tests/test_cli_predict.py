"""``roofline predict`` and ``roofline plot`` as a user runs them."""

from __future__ import annotations

import csv
import io
import json

import pytest
from onnx import TensorProto, helper

from .cli_process import BOUND_ON_TX2, run_python
from .cli_process import answered as run

# Exact requirements of CNV (BNN-PYNQ's network at twice its width): convolutions and fully connected layers.
CNV_OPS = 0.469449728e9
CNV_50_OPS = 0.118922752e9
TX2_FP16 = 1.33e12  # OP/s, maxn
NAMES = (
    "network", "platform", "datatype", "batch", "pruning", "model", "throughput_fps", "latency_ms", "bound",
    "intensity", "utilization", "fits", "energy_mj", "fps_per_w", "interval_fps",
)  # fmt: skip


def predict(capsys, *arguments: str) -> list[dict]:
    model = () if "--model" in arguments else ("--model", "equation1")
    code, out, err = run(capsys, "predict", *arguments, *model, "--format", "json")
    assert (code, err) == (0, "")
    return json.loads(out)["predictions"]


def test_json_has_the_agreed_names_and_says_its_conventions(capsys):
    code, out, _ = run(
        capsys,
        "predict",
        "cnv",
        *BOUND_ON_TX2,
        "--format",
        "json",
    )
    document = json.loads(out)
    assert code == 0
    assert next(iter(document)) == "schema_version"
    assert "two operations" in document["conventions"]["operations"]
    assert "upper bound" in document["conventions"]["throughput"]
    (row,) = document["predictions"]
    assert tuple(row)[: len(NAMES)] == NAMES
    assert (row["network"], row["platform"], row["datatype"], row["batch"]) == (
        "cnv",
        "tx2:maxn",
        "fp16",
        1,
    )
    assert (row["pruning"], row["model"], row["bound"]) == ("dense", "equation1", "compute")
    assert row["throughput_fps"] == pytest.approx(TX2_FP16 / CNV_OPS)
    assert row["latency_ms"] == pytest.approx(1e3 * CNV_OPS / TX2_FP16)
    assert row["utilization"] == pytest.approx(1.0)
    assert row["ridge_point"] == pytest.approx(TX2_FP16 / 59.7e9)
    assert row["energy_mj"] == pytest.approx(1e3 * 15 * CNV_OPS / TX2_FP16)  # 15 W
    assert row["interval_fps"] is None
    assert row["fits"] is True


def test_every_combination_comes_in_a_fixed_order_and_a_missing_unit_is_left_out_and_said(capsys):
    asked = (
        "cnv",
        "mlp",
        "-p",
        "tx2:maxn",
        "-p",
        "h100-sxm",
        "-d",
        "fp16",
        "-d",
        "int8",
        "-b",
        "1",
        "-b",
        "64",
    )
    code, out, _ = run(capsys, "predict", *asked, "--format", "json")
    document = json.loads(out)
    assert code == 0
    assert [
        (row["network"], row["platform"], row["datatype"], row["batch"])
        for row in document["predictions"]
        if not row["skipped"] and row["model"] == "equation1"
    ] == [
        (network, platform, datatype, batch)
        for network in ("cnv", "mlp")
        for platform, datatypes in (("tx2:maxn", ["fp16"]), ("h100-sxm", ["fp16", "int8"]))
        for datatype in datatypes
        for batch in (1, 64)
    ]
    skipped = [row for row in document["predictions"] if row["skipped"]]
    assert [
        (row["network"], row["platform"], row["datatype"], row["batch"]) for row in skipped
    ] == [(network, "tx2:maxn", "int8", batch) for network in ("cnv", "mlp") for batch in (1, 64)]
    assert all(row["throughput_fps"] is None and "no int8" in row["skipped"] for row in skipped)
    assert (
        "left out: tx2:maxn has no int8 unit; it has fp32, fp16"
        in run(capsys, "predict", *asked)[1]
    )


@pytest.mark.parametrize(
    "asked",
    [
        ("-p", "tx2:maxn", "-d", "int8"),
        ("-p", "tx2:maxn", "-d", "fp16", "-d", "int8"),
        ("-p", "zcu102-dpu"),
    ],
)
def test_a_datatype_the_machine_lacks_is_an_error_that_names_those_it_has(asked, capsys):
    code, out, err = run(capsys, "predict", "cnv", *asked)
    assert (code, out) == (2, "")
    assert err.startswith("roofline: error: ")
    assert err.count("\n") == 1
    assert "it has" in err
    # The verb is named, for the same is said by verbs that have no such flag; and only where there is a wider unit.
    assert ("let predict --emulate run" in err) == ("tx2:maxn" in asked)


def test_emulation_runs_on_the_wider_unit_with_the_bytes_of_the_narrow_one(capsys):
    (row,) = predict(capsys, "mlp", "-p", "tx2:maxn", "-d", "int8", "--emulate")
    assert (row["datatype"], row["unit"]) == ("int8", "fp16")
    # Memory-bound: one byte a weight, biases and scales aside.
    assert row["throughput_fps"] == pytest.approx(59.7e9 / 10_014_720, rel=0.01)
    assert "emulated" in row["notes"][0]
    assert (
        "int8 on fp16"
        in run(capsys, "predict", "mlp", "-p", "tx2:maxn", "-d", "int8", "--emulate")[1]
    )


def test_the_default_datatype_is_the_networks_own(capsys):
    (row,) = predict(capsys, "cnv", "-p", "tx2:maxn")
    assert row["datatype"] == "fp32"


def test_weights_are_read_once_per_batch_or_once_per_item(capsys):
    (one,) = predict(capsys, "mlp", "-p", "tx2:maxn", "-d", "fp16")
    (batch,) = predict(capsys, "mlp", "-p", "tx2:maxn", "-d", "fp16", "-b", "8")
    (paper,) = predict(
        capsys, "mlp", "-p", "tx2:maxn", "-d", "fp16", "-b", "8", "--weights-read", "per-item"
    )
    assert batch["throughput_fps"] == pytest.approx(8 * one["throughput_fps"])
    assert paper["throughput_fps"] == pytest.approx(one["throughput_fps"])


def test_pruned_channels_predict_what_the_smaller_network_does(capsys):
    (pruned,) = predict(capsys, "cnv", "-p", "tx2:maxn", "-d", "fp16", "--keep-channels", "0.5")
    (smaller,) = predict(capsys, "cnv_50", "-p", "tx2:maxn", "-d", "fp16")
    assert pruned["pruning"] == "keep-channels=0.5"
    assert smaller["throughput_fps"] == pytest.approx(TX2_FP16 / CNV_50_OPS)
    assert pruned["throughput_fps"] == pytest.approx(smaller["throughput_fps"])


def test_layerwise_layers_sum_to_the_network_and_are_never_faster_than_equation_1(capsys):
    (row,) = predict(
        capsys, "cnv", "-p", "tx2:maxn", "-d", "fp16", "--model", "layerwise", "--layers"
    )
    (whole,) = predict(
        capsys, "cnv", "-p", "tx2:maxn", "-d", "fp16", "--traffic", "fused", "--operations", "all"
    )
    assert sum(layer["time_ms"] for layer in row["layers"]) == pytest.approx(row["latency_ms"])
    assert row["throughput_fps"] <= whole["throughput_fps"]
    assert row["traffic"] == "fused"


def test_layers_as_a_table_and_as_csv(capsys):
    asked = ("predict", "cnv", "-p", "tx2:maxn", "-d", "fp16", "--model", "layerwise", "--layers")
    code, out, _ = run(capsys, *asked)
    assert code == 0
    assert "cnv on tx2:maxn, fp16, batch 1" in out
    # Shares are of all layers, whatever is shown of them.
    (whole,) = (line for line in out.splitlines() if line.startswith("total"))
    cut = run(capsys, *asked, "--top", "1", "--sort", "time_ms")[1].splitlines()
    shown, total = (line for line in cut if line.startswith(("conv", "total")))
    assert shown.split() in [line.split() for line in out.splitlines()]
    assert total.split() == whole.split()
    assert total.split()[-1] == "100%"
    rows = list(csv.DictReader(io.StringIO(run(capsys, *asked, "--format", "csv")[1])))
    assert {row["network"] for row in rows} == {"cnv"}
    assert sum(float(row["ops"]) for row in rows) >= CNV_OPS


def test_csv_goes_whole_into_a_file(capsys, tmp_path):
    path = tmp_path / "p.csv"
    code, out, _ = run(
        capsys, "predict", "cnv", "-p", "tx2:maxn", "--format", "csv", "-o", str(path)
    )
    assert (code, out) == (0, "")
    bound, estimate = csv.DictReader(path.read_text().splitlines())
    assert tuple(bound)[: len(NAMES)] == NAMES
    assert (bound["model"], estimate["model"]) == ("equation1", "expected")
    low, high = json.loads(estimate["interval_fps"])
    assert low < float(estimate["throughput_fps"]) < high


@pytest.mark.parametrize(
    ("condition", "code"),
    [
        ("fps<30", 0), ("fps < 1e9", 1), ("latency_ms>=0.001", 1), ("bound==compute", 1), ("bound==memory", 0),
        ("fits==no", 0), ("fits == yes", 1), ("interval_fps>3", 1),
        ("FPS<1e9", 1), ("Latency_ms<0", 0), ("Bound==compute", 1),
    ],
)  # fmt: skip
def test_fail_if_decides_the_exit_code(condition, code, capsys):
    asked = (
        "predict",
        "cnv",
        *BOUND_ON_TX2,
        "--fail-if",
        condition,
    )
    got, out, err = run(capsys, *asked)
    assert got == code
    assert out  # the result is shown all the same
    assert ("check failed" in err) == bool(code)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("cnv", "-p", "tx2:maxn", "--fail-if", "fsp<3"), "Did you mean 'fps'"),
        (("cnv", "-p", "tx2:maxn", "--fail-if", "fps"), "not a condition"),
        (("cnv", "-p", "tx2:maxn", "--fail-if", "bound<3"), "only with == and !="),
        (("cnv", "-p", "tx2:maxn", "--fail-if", "bound<memory"), "only with == and !="),
        (("cnv", "-p", "tx2:maxn", "--fail-if", "fits<yes"), "only with == and !="),
        (("cnv", "-p", "tx2:maxn", "--fail-if", "fps<nan"), "what is no number"),
        (("cnv", "-p", "tx2:maxn", "--layers"), "--model layerwise"),
        (("cnv", "-p", "tx2:maxn", "--model", "layrwise"), "Did you mean 'layerwise'"),
        (("cnv", "-p", "tx2:maxn", "--traffic", "wights"), "Did you mean 'weights'"),
        (("cnv", "-p", "tx2:maxn", "-d", "int88"), "Did you mean 'int8'"),
        (("cnv", "-p", "tx2:max"), "Did you mean 'max"),
        (("cvn", "-p", "tx2:maxn"), "Did you mean 'cnv'"),
        (("cnv", "-p", "tx2:maxn", "-b", "0"), "1"),
        (("cnv",), "platform"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, words, capsys):
    code, _, err = run(capsys, "predict", *arguments)
    assert code == 2
    assert err.startswith("roofline: error: ")
    assert err.count("\n") == 1
    assert words in err


def test_predicting_loads_no_heavy_package():
    heavy = "{'torch', 'matplotlib', 'pandas', 'tvm', 'onnxruntime', 'plotly'}"
    script = (
        "import sys\nfrom roofline.cli import main\n"
        "try: main(['predict', 'mlp', '-p', 'tx2:maxn'])\nexcept SystemExit: pass\n"
        f"sys.stderr.write(' '.join({heavy} & set(sys.modules)))"
    )
    done = run_python("-c", script, check=True)
    assert done.stderr == ""


# --- plot ---------------------------------------------------------------------------------------


def test_a_prediction_can_be_plotted(capsys, tmp_path):
    pytest.importorskip("matplotlib")
    data, figure = tmp_path / "p.json", tmp_path / "p.svg"
    run(
        capsys,
        "predict",
        "cnv",
        "mlp",
        "-p",
        "tx2:maxn",
        "-d",
        "fp16",
        "--format",
        "json",
        "-o",
        str(data),
    )
    assert run(capsys, "plot", "roofline", str(data), "-o", str(figure)) == (
        0,
        "",
        f"wrote {figure}\n",
    )
    assert figure.read_bytes().startswith(b"<?xml")


def test_plot_lists_its_kinds_and_their_columns(capsys):
    code, out, _ = run(capsys, "plot")
    assert code == 0
    assert "efficiency" in out
    code, out, _ = run(capsys, "plot", "efficiency")
    assert code == 0
    assert "measured_fps" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("rofline", "{csv}", "-o", "{out}.png"), "Did you mean 'roofline'"),
        (("roofline", "{csv}"), "-o roofline.png"),
        (("heatmap", "{csv}", "-o", "{out}.gif"), ".png, .svg, .pdf"),
        (("roofline", "{csv}", "-o", "{out}.png"), "no column"),
        (("heatmap", "{out}.csv", "-o", "{out}.png"), "does not exist"),
    ],
)
def test_bad_plots_are_one_line_and_exit_code_2(arguments, words, capsys, tmp_path):
    pytest.importorskip("matplotlib")
    (tmp_path / "rows.csv").write_text("network,platform,predicted_fps\na,b,3\n")
    filled = [text.format(csv=tmp_path / "rows.csv", out=tmp_path / "x") for text in arguments]
    code, _, err = run(capsys, "plot", *filled)
    assert code == 2
    assert err.count("\n") == 1
    assert words in err
    assert not (tmp_path / "x.png").exists()


def test_a_table_without_rows_gives_a_figure_that_says_so(capsys, tmp_path):
    pytest.importorskip("matplotlib")
    (tmp_path / "rows.csv").write_text("network,platform,predicted_fps\n")
    code, _, err = run(
        capsys, "plot", "heatmap", str(tmp_path / "rows.csv"), "-o", str(tmp_path / "h.png")
    )
    assert code == 0
    assert "no rows" in err
    assert (tmp_path / "h.png").exists()


def test_a_condition_on_what_is_not_known_fails(capsys):
    asked = ("cnv", "-p", "tpu-v5e", "-d", "int8", "--fail-if", "fps_per_w<1000")
    code, _, err = run(capsys, "predict", *asked, "--model", "equation1")
    assert code == 1
    assert err == (
        "roofline: check failed: cnv tpu-v5e int8 1 equation1: fps_per_w is unknown (fps_per_w<1000)\n"
    )


def test_what_is_named_twice_is_predicted_once(capsys):
    asked = ("cnv", "cnv", "-p", "tx2:maxn", "-p", "tx2:maxn")
    _, out, _ = run(capsys, "predict", *asked, "--format", "csv")
    assert len(out.splitlines()) == 3  # the header, the bound and the estimate


def test_decoders_and_other_networks_are_predicted_together(capsys):
    asked = (
        "predict",
        "mlp",
        "llama32_1b",
        "-p",
        "ncs,tx2:maxn",
        "-d",
        "int8",
        "--model",
        "equation1",
    )
    code, out, _ = run(capsys, *asked)
    assert code == 0
    assert [line.split()[:2] for line in out.splitlines() if "  left out  " in line] == [
        ["mlp", "tx2:maxn"], ["llama32_1b", "tx2:maxn"],
    ]  # fmt: skip
    assert "fps and tokens/s are upper bounds, not estimates" in out
    _, out, _ = run(capsys, *asked, "--format", "json")
    rows = json.loads(out)["predictions"]
    assert [(row["network"], row["platform"], bool(row["skipped"])) for row in rows] == [
        ("mlp", "ncs", False), ("llama32_1b", "ncs", False), ("mlp", "tx2:maxn", True),
        ("llama32_1b", "tx2:maxn", True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("condition", "code", "said"),
    [
        ("tokens_per_s<1", 0, ""),
        ("tokens_per_s<1e9", 1, "llama32_1b h100-sxm fp16 1 equation1: tokens_per_s ="),
        ("latency_ms>1e-9", 1, "mlp h100-sxm"),
        ("tokens_per<1", 2, "Did you mean 'tokens_per_s'"),
    ],
)
def test_a_condition_on_tokens_is_one_on_decoders(capsys, condition, code, said):
    found, _, err = run(
        capsys, "predict", "mlp", "llama32_1b", "-p", "h100-sxm", "-d", "fp16", "--model", "equation1",
        "--fail-if", condition, "--sort", "tokens_per_s",
    )  # fmt: skip
    assert found == code
    assert said in err


def test_an_estimate_without_a_basis_on_any_machine_is_refused(capsys):
    code, out, err = run(
        capsys, "predict", "mlp", "-p", "ncs,h100-sxm", "-d", "fp16", "--model", "calibrated"
    )
    assert (code, out) == (2, "")
    assert err.startswith("roofline: error: calibrated has no basis for mlp on ncs")
    assert err.count("\n") == 1


def test_lists_are_given_one_by_one_or_joined_by_commas(capsys):
    rows = predict(
        capsys, "mlp,cnv", "-p", "tx2:maxn,h100-sxm", "-d", "fp16,fp32", "-b", "1,32", "-b", "8"
    )
    cases = [
        tuple(row[name] for name in ("network", "platform", "datatype", "batch")) for row in rows
    ]
    assert len(cases) == len(set(cases)) == 2 * 2 * 2 * 3
    assert {case[3] for case in cases} == {1, 8, 32}


@pytest.mark.parametrize(
    ("batch", "said"),
    [
        ("1,024", "'1,024' is a list of numbers, one of which begins with 0"),
        ("1,x", "'x' is not"),
        ("2,0", "0 is not"),
    ],
)
def test_a_list_of_numbers_that_is_none_is_refused(capsys, batch, said):
    code, _, err = run(capsys, "predict", "mlp", "-p", "tx2:maxn", "-b", batch)
    assert code == 2
    assert said in err


def relu(path, symbol: str) -> str:
    shape = ["N", 3, symbol]
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in "xy"]
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])], "g", tensors[:1], tensors[1:]
    )
    path.write_bytes(helper.make_model(graph).SerializeToString())
    return str(path)


def test_a_size_is_for_the_networks_that_have_its_name(capsys, tmp_path):
    models = [relu(tmp_path / "a.onnx", "width"), relu(tmp_path / "b.onnx", "length"), "mlp"]
    sizes = ["--dim", "width=5", "--dim", "length=7"]
    rows = predict(capsys, *models, "-p", "tx2:maxn", "-d", "fp16", "--operations", "all", *sizes)
    assert [row["ops"] for row in rows[:2]] == [15, 21]
    code, _, err = run(capsys, "compare", *models[:2], *sizes)
    assert (code, err) == (0, "")
    code, _, err = run(capsys, "compare", *models[:2], *sizes, "--dim", "hight=1")
    assert code == 2
    assert "no input has a symbolic dimension 'hight'" in err
    code, _, err = run(capsys, "count", models[0], *sizes)
    assert code == 2
    assert "no input has a symbolic dimension 'length'" in err


def test_rows_that_are_bounds_are_named_as_the_table_names_them(capsys):
    _, out, _ = run(capsys, "predict", "resnet50", "-p", "h100-sxm", "-d", "int8")
    assert "fps of equation1 rows is an upper bound" in out


def test_a_folder_that_is_named_by_a_dot_is_one(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = run(capsys, "count", ".")
    said = "roofline: error: . is a folder, not an ONNX file. Give "
    assert (code, err) == (2, f"{said}the path of a file\n")
    for name in ("model.onnx", "config.json"):
        (tmp_path / name).touch()
        assert run(capsys, "count", ".")[2] == f"{said}a file in it: {name}\n"


def test_two_kinds_of_rates_are_bounds_and_not_estimates(capsys):
    models = ("mlp", "smollm2_135m")
    _, out, _ = run(capsys, "predict", *models, "-p", "tx2:maxn", "-d", "fp16")
    assert "fps and tokens/s of equation1 rows are upper bounds, not estimates" in out


@pytest.mark.parametrize("layout", ["predict", "sweep"])
def test_which_runtime_an_estimate_is_of_stands_below_every_table(capsys, tmp_path, layout):
    """Hailo-8 has no fp32 unit, so remarks stand first; of each maker's machines the runtime is another."""
    machines = ["t4", "a100-sxm-80gb", "hailo-8", "i9-13900k"]
    if layout == "predict":
        asked = ["-p", ",".join(machines), "-d", "int8,fp32", "--model", "expected"]
        code, out, _ = run(capsys, "predict", "resnet50", *asked)
    else:
        file = tmp_path / "asked.yaml"
        file.write_text(
            f"schema_version: 1\nnetworks: [resnet50]\nplatforms: [{', '.join(machines)}]\n"
            "datatypes: [int8, fp32]\nmodel: expected\n"
        )
        code, out, _ = run(capsys, "sweep", str(file), "--format", "table")
    assert code == 0
    stated = [line for line in out.splitlines() if line.startswith("  expected on ")]
    for machine, runtime in (("t4", "trt"), ("a100-sxm-80gb", "trt"), ("hailo-8", "hailo")):
        about = [line for line in stated if machine in line.split(": ")[0]]
        assert about, machine
        assert all(line.split(": ")[1].startswith(f"{runtime}, ") for line in about)
