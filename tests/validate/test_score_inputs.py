"""What ``roofline score`` reads and by which models it judges: records, what validate wrote, files at hand."""

import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

import roofline as rl
from roofline.errors import OptionError, TableError
from roofline.validate.evidence.measures import summary
from roofline.validate.evidence.readers import read_evidence
from roofline.validate.evidence.score import score
from roofline.validate.records.files import export_json
from roofline.validate.records.record import Measurement, Status
from roofline.validate.records.request import RunRequest

from ..cli_process import answered

MACHINE = "i5-8500"


def run(network: str, seconds: float, machine: str = MACHINE) -> Measurement:
    job = RunRequest(network, "onnxruntime", batch=1, threads=1, datatype="fp32")
    return Measurement(job, Status.OK, None, samples_s=(seconds,) * 5, machine=machine)


@pytest.fixture
def records(tmp_path: Path) -> Path:
    path = tmp_path / "runs.json"
    path.write_text(export_json([run("resnet50", 0.04), run("mobilenet_v1", 0.01)]))
    return path


def test_layerwise_judges_records_by_their_graphs(records: Path) -> None:
    scored = score(read_evidence(records), model="layerwise")
    for name, said in zip(("resnet50", "mobilenet_v1"), scored.predicted, strict=True):
        one = rl.predict(rl.load(name), rl.platform(MACHINE), datatype="fp32", model="layerwise")
        assert said == pytest.approx(one.throughput_fps)
    found = summary(scored)["all"]
    assert found["n"] == 2
    assert "coverage" not in found  # a bound has no interval


def test_a_model_without_a_profile_says_what_it_needs(records: Path) -> None:
    with pytest.raises(OptionError, match="calibrated says nothing of these runs") as caught:
        score(read_evidence(records), model="calibrated")
    assert "roofline calibrate" in str(caught.value.repair)


@pytest.mark.parametrize("asked", [{"leave": "silicon"}, {"figures": 3}])
def test_what_is_not_fitted_leaves_nothing_out(records: Path, asked: dict) -> None:
    with pytest.raises(OptionError, match="layerwise is not fitted"):
        score(read_evidence(records), model="layerwise", **asked)


def test_what_validate_wrote_is_the_same_evidence(records: Path, tmp_path: Path) -> None:
    rows = [
        "network,platform,pruning,datatype,batch,threads,backend,model,predicted_fps,measured_fps,status",
        f"resnet50,{MACHINE},dense,fp32,1,1,onnxruntime,equation1,50,25,ok",
        f"resnet50,{MACHINE},dense,fp32,1,1,onnxruntime,layerwise,40,25,ok",
        f"mobilenet_v1,{MACHINE},dense,fp32,1,1,onnxruntime,equation1,200,100,ok",
        f"mobilenet_v1,{MACHINE},dense,fp32,1,1,tvm untuned,equation1,200,,failed",
    ]
    table = tmp_path / "compared.csv"
    table.write_text("\n".join(rows) + "\n")
    ours, theirs = read_evidence(table), read_evidence(records)
    assert ours.fps == pytest.approx(theirs.fps)
    for name, values in theirs.facts.numbers.items():
        assert ours.facts.numbers[name] == pytest.approx(values), name


def test_the_json_of_validate_is_read_with_its_columns_for_people(
    records: Path, tmp_path: Path
) -> None:
    runs = [run("resnet50", 0.04), run("mobilenet_v1", 0.01)]
    document = {
        "schema_version": 1,
        "comparisons": [],
        "measurements": [{**one.to_row(), **one.to_dict()} for one in runs],
    }
    path = tmp_path / "validated.json"
    path.write_text(json.dumps(document))
    assert read_evidence(path).fps == pytest.approx(read_evidence(records).fps)


def test_a_rate_that_is_none_is_named_with_its_row(tmp_path: Path) -> None:
    table = tmp_path / "compared.csv"
    table.write_text(
        "network,platform,datatype,batch,backend,measured_fps,status\n"
        f"resnet50,{MACHINE},fp32,1,onnxruntime,25 fps,ok\n"
    )
    with pytest.raises(TableError, match="row 1: measured_fps is '25 fps'"):
        read_evidence(table)


def test_files_at_hand_stand_for_what_is_not_shipped(tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    weight = helper.make_tensor("w", TensorProto.FLOAT, [8, 3, 3, 3], np.zeros(216, np.float32))
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"])], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 18, 18])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8, 16, 16])], [weight],
    )  # fmt: skip
    model = tmp_path / "mine.onnx"
    onnx.save(helper.make_model(graph), model)
    mine = replace(run("mine", 1e-3), machine="here")
    path = tmp_path / "mine.json"
    path.write_text(export_json([mine]))
    with pytest.raises(TableError, match="can be placed") as caught:
        read_evidence(path)
    assert "--network" in str(caught.value.repair)
    text = (files("roofline.platforms") / f"{MACHINE}.yaml").read_text()
    (tmp_path / "here.yaml").write_text(text.replace(f"key: {MACHINE}", "key: here", 1))
    found = read_evidence(path, machines=[rl.platform(tmp_path / "here.yaml")], networks=[model])
    assert found.facts.numbers["macs"] == pytest.approx(8 * 16 * 16 * 27)


def test_the_verb_writes_what_each_estimate_rests_on(
    records: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = tmp_path / "rows.csv"
    code, out, err = answered(
        capsys, "score", records, "--model", "layerwise", "--rows", rows, "--format", "json"
    )
    assert code == 0, err
    assert json.loads(out)["model"] == "layerwise"
    header, *lines = rows.read_text().splitlines()
    assert {"predicted_fps", "low_fps", "high_fps", "basis"} <= set(header.split(","))
    assert all("published" in line or "derived" in line or "estimated" in line for line in lines)


HEADER = (
    "machine,machine_class,peak_op_s,bandwidth_b_s,runtime,network,datatype,batch,fps,gmacs,params_m,"
    "activation_elements_m"
)
ROW = "m,cpu,1e12,5e10,openvino,resnet50,int8,1,50,4.1,25.6,11"


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([ROW, ROW.replace(",50,", ",60,")], "row 2 is the same run as row 1"),
        ([ROW.replace("1e12", "1.0")], "row 1: 50 fps of 4.1 GMAC are 4.1e.11 times what peak_op_s 1 allows"),
        ([ROW.replace(",4.1,", ",4100000000,")], "row 1: 50 fps of 4.1e.09 GMAC"),
        ([ROW.replace(",50,", ",50 fps,")], "row 1: fps is '50 fps'"),
    ],
)  # fmt: skip
def test_evidence_with_wrong_units_or_twice_is_named(
    rows: list[str], told: str, tmp_path: Path
) -> None:
    path = tmp_path / "evidence.csv"
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    with pytest.raises(TableError, match=told):
        read_evidence(path)


def test_the_same_run_at_another_batch_is_another_run(tmp_path: Path) -> None:
    path = tmp_path / "evidence.csv"
    path.write_text("\n".join([HEADER, ROW, ROW.replace(",1,50,", ",8,60,")]) + "\n")
    assert read_evidence(path).fps.tolist() == [50, 60]


RATES = (
    "platform,network,datatype,batch,throughput_fps,latency_ms,note",
    "GeForce RTX 4090,resnet50,fp16,8,9000,,a vendor's",
    "i5-8500,mobilenet_v1,fp32,,,12.5,mine",
)


@pytest.mark.parametrize("model", ["equation1", "expected"])
def test_a_table_of_rates_is_judged_by_what_predict_says(model: str, tmp_path: Path) -> None:
    path = tmp_path / "rates.csv"
    path.write_text("\n".join(RATES) + "\n")
    scored = score(read_evidence(path), model=model)
    assert scored.evidence.fps.tolist() == [9000, 80]
    cases = (("resnet50", "rtx-4090", "fp16", 8), ("mobilenet_v1", "i5-8500", "fp32", 1))
    for (network, machine, datatype, batch), fps in zip(cases, scored.predicted, strict=True):
        one = rl.predict(
            rl.load(network), rl.platform(machine), datatype=datatype, batch=batch, model=model
        )
        alone = one.throughput_fps if one.latency_s is None else batch / one.latency_s
        assert fps == pytest.approx(alone)
    assert [row["key"] for row in scored.evidence.rows] == ["rtx-4090", "i5-8500"]


def test_rates_without_a_mode_say_how_they_are_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head, rate = "machine,network,datatype,fps", "tx2:maxn,resnet50,fp16,90"
    path = tmp_path / "rates.csv"
    path.write_text(f"{head}\n{rate}\n")
    assert "mode: 1 run without a mode" in answered(capsys, "score", path)[1]
    path.write_text(f"{head},mode\n{rate},Throughput\n")
    code, out, _ = answered(capsys, "score", path)
    assert (code, "mode:" in out) == (0, False)
    one = rl.predict(
        rl.load("resnet50"), rl.platform("tx2:maxn"), datatype="fp16", model="expected"
    )
    assert score(read_evidence(path), model="expected").predicted == pytest.approx(
        one.throughput_fps
    )


@pytest.mark.parametrize(
    ("heading", "row", "told", "repair"),
    [
        ("machine,network,datatype,fps", "rtx-4091,resnet50,fp16,9", "row 1: machine 'rtx-4091'", "rtx-4090"),
        ("machine,network,datatype,fps", "rtx-4090,resnet51,fp16,9", "row 1: network: 'resnet51'", "resnet50"),
        ("machine,network,datatype,fps", "rtx-4090,resnet50,fp61,9", "row 1: .*'fp61'", "fp64"),
        ("machine,network,datatype,fps", "hailo-8,resnet50,fp16,9", "row 1: datatype: .* it has int8", "ran in"),
        ("machine,network,datatype,fps", "rtx-4090,resnet50,fp16,nine", "row 1: fps is 'nine'", "number"),
        ("machine,network,datatype,fps", "rtx-4090,resnet50,fp16,9e9", "row 1: 9e.09 fps is", "frames"),
        ("machine,network,datatype,fps", "rtx-4090,,fp16,9", "row 1: network is empty", "network"),
        ("machine,network,datatype,fps,mode", "rtx-4090,resnet50,fp16,9,foo", "row 1: unknown mode 'foo'", "offline"),
        ("machine,network,datatype,fps,latency_ms", "rtx-4090,resnet50,fp16,9,9000", "fps is 9, .* 0.1111", "both"),
        ("machine,network,datatype,fps,latency_ms", "rtx-4090,resnet50,fp16,9,1", "row 1: fps is 9, .* 1000", "both"),
        ("machine,network,datatype,fps,runtime", "rtx-4090,resnet50,fp16,9,rknn", "runtime rknn is of Rockchip", "ran"),
        ("machine,network,datatype,fps", "rtx-4090,llama32_1b,fp16,9", "is a decoder", "tokens_per_s"),
        ("machine,network,datatype,fps,batch", "rtx-4090,resnet50,fp16,9,1.5", "batch is '1.5'", "whole"),
        ("machine,network,datatype,fps,bach", "rtx-4090,resnet50,fp16,9,1", "'bach' is no column", "batch"),
        ("machine,network,fps", "rtx-4090,resnet50,9", "no column datatype", "platform"),
        ("machine,network,datatype,fps,upper_bound", "rtx-4090,resnet50,fp16,9,True", "predictions", "measured"),
    ],
)  # fmt: skip
def test_what_a_table_of_rates_names_wrongly_is_told_with_its_row(
    heading: str, row: str, told: str, repair: str, tmp_path: Path
) -> None:
    path = tmp_path / "rates.csv"
    path.write_text(f"{heading}\n{row}\n")
    with pytest.raises(TableError, match=told) as caught:
        read_evidence(path)
    assert repair in str(caught.value.repair)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("tx9,resnet50,fp16,20,,", "row 2: machine 'tx9' has no platform file"),
        ("tx2:maxn,resnet18,fp16,20,foo,", "row 2: unknown mode 'foo'"),
        ("tx2:maxn,resnet18,fp16,20,,abacus", "row 2: runtime: no published run has the runtime 'abacus'"),
        ("tx2:maxn,resnet18,fp16,20,,edgetpu", "row 2: runtime: edgetpu is of Google's machines"),
        ("tx2:maxn,resnet18,fp17,20,,", "row 2: unknown datatype 'fp17'"),
    ],
)  # fmt: skip
def test_a_figure_that_nobody_can_place_is_told_by_its_row(
    row: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "figures.csv"
    path.write_text(
        f"machine,network,datatype,fps,mode,runtime\ntx2:maxn,resnet50,fp16,20,single,\n{row}\n"
    )
    code, _, said = answered(
        capsys, "predict", "resnet50", "-p", "tx2:maxn", "-d", "fp16", "--evidence", path
    )
    assert (code, said.count("\n")) == (2, 1)
    assert told in said


def test_figures_without_a_mode_say_how_they_are_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "figures.csv"
    path.write_text("machine,network,datatype,fps\ntx2:maxn,resnet50,fp16,20\n")
    words = ("predict", "resnet50", "-p", "tx2:maxn", "-d", "fp16", "--evidence", path)
    assert "1 rate of" in answered(capsys, *words)[2]
    path.write_text("machine,network,datatype,fps,mode\ntx2:maxn,resnet50,fp16,20,single\n")
    assert answered(capsys, *words)[2] == ""
