"""The library as it is imported: what it offers, that it is light, and that results become tables and figures."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import roofline as rl

from .cli_process import run_python

PUBLIC = {"load", "platform", "predict", "sweep", "measure", "compare", "networks", "platforms"}
HEAVY = {"pandas", "matplotlib", "onnx", "torch", "tvm", "onnxruntime", "plotly", "numpy"}


def test_every_name_is_there_and_documented() -> None:
    assert set(rl.__all__) >= PUBLIC
    assert sorted(rl.__all__) == list(rl.__all__) == dir(rl)
    for name in rl.__all__:
        assert (getattr(rl, name).__doc__ or "").strip(), name
    with pytest.raises(AttributeError, match="nothing"):
        rl.nothing  # noqa: B018


def test_importing_is_light() -> None:
    code = "import sys, roofline; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = run_python("-c", code, check=True)
    assert not HEAVY & set(done.stdout.split())


def test_the_main_job_from_python() -> None:
    pytest.importorskip("onnxruntime")
    pd = pytest.importorskip("pandas")
    axes = pytest.importorskip("matplotlib.axes")
    machine = rl.platform("i7-3820")
    run = rl.measure("mlp", machine=machine, runs=5, threads=1)
    assert run.ok, run.reason
    prediction = rl.predict(rl.load("mlp"), machine, datatype="fp32")
    (pair,) = compared = rl.compare(prediction, run)
    assert pair.efficiency == run.throughput_fps / prediction.throughput_fps
    swept = rl.sweep([rl.load("mlp"), rl.load("cnv")], [machine])
    for result in (run, prediction, compared, rl.load("mlp"), swept):
        assert isinstance(result.to_frame(), pd.DataFrame)
    for drawing in (prediction, compared, swept):
        assert isinstance(drawing.plot(), axes.Axes)
    into = prediction.plot()
    assert swept.plot(into) is into


def test_the_page_about_python_is_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("onnxruntime", "pandas", "matplotlib"):
        pytest.importorskip(package)
    page = (Path(__file__).parents[1] / "docs/python.md").read_text()
    for name in re.findall(r"`rl\.(\w+)\(", page):
        assert name in rl.__all__
    for name in re.findall(
        r"\| `(Workload|Platform|Prediction|Sweep|Measurement|Comparisons)` \|", page
    ):
        assert name in rl.__all__
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    assert (tmp_path / "efficiency.png").stat().st_size


def test_what_there_is_can_be_listed_and_is_shown_short() -> None:
    assert {"mlp", "resnet50"} <= set(rl.networks())
    assert {"ncs", "tx2:maxn"} <= set(rl.platforms())
    work, machine = rl.load("mlp"), rl.platform("tx2:maxn")
    # Finding a machine loads the folder of that name, which must not take the function's place.
    assert {"ncs", "tx2:maxn"} <= set(rl.platforms())
    shown = [
        repr(entry)
        for entry in (work, machine, rl.predict(work, machine), rl.sweep([work], [machine]))
    ]
    assert shown[0] == "<Workload mlp: 10,014,720 MACs, batch 1>"
    assert all(text.startswith("<") and len(text) < 120 for text in shown)
    assert rl.__version__.count(".") >= 2
