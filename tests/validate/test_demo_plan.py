"""What the demo runs: every network on both backends, ResNet-50 only where the onnx package brings it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from roofline.progress import tell_nobody
from roofline.validate.calibration.calibrate import Roofs
from roofline.validate.demo import run as demo
from roofline.validate.measuring.backend import backends
from roofline.validate.records.request import RunRequest

missing = [name for name in ("tvm", "onnxruntime") if backends.get(name).missing()]
pytestmark = pytest.mark.skipif(bool(missing), reason=f"not installed: {missing}")


def runs(minutes: float, models) -> dict[tuple[str, str, str], RunRequest]:
    plan, notes = demo._plan(models, minutes)
    assert notes == []
    return {
        (Path(request.network).stem, request.backend, request.tuning): request for request in plan
    }


def test_every_network_is_tuned_and_has_its_ceiling() -> None:
    models = demo.models_here()
    names = {Path(model).stem for model in models}
    made = runs(3.5, models)
    assert {name for name, backend, _ in made if backend == "onnxruntime"} == names
    assert {name for name, _, tuning in made if tuning == "tuned"} == names
    assert demo.RESNET in names
    # Files are measured by their path, not by their name.
    assert all(Path(model).is_file() for model in models if Path(model).suffix == ".onnx")


def test_without_resnet_the_rest_runs() -> None:
    made = runs(3.5, list(demo.NETWORKS))
    assert {name for name, _, _ in made} == set(demo.NETWORKS)


@pytest.mark.parametrize("minutes", [3.0, 5.0, 10.0])
def test_tuning_stays_within_the_time_that_is_left(minutes: float) -> None:
    budgets = [options.tuning_budget_s for options in runs(minutes, demo.models_here()).values()]
    assert sum(budgets) == pytest.approx(minutes * 60 - demo._FIXED_S)


def low_and_true(fp32: float, memory: float) -> tuple[Roofs, ...]:
    return (Roofs(2, {"fp32": fp32, "int8": 4e11}, {"fp32": "tvm", "int8": "tvm"}, memory, None),)


@pytest.mark.parametrize(
    ("rates", "peak", "calibrations"),
    [([2.3e11], 2.3e11, 1), ([1.2e11, 2.3e11], 2.3e11, 2), ([1.2e11, 1e11, 1.1e11, 2.3e11], 1.2e11, 3)],
    ids=["true at once", "held back once", "held back for long"],
)  # fmt: skip
def test_a_peak_that_runs_exceed_is_measured_again(
    rates: list[float], peak: float, calibrations: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = iter(rates)
    monkeypatch.setattr(demo, "calibrate", lambda **_: low_and_true(next(left), 3e10))
    monkeypatch.setattr(demo, "models_here", lambda: ["mlp_12_5"])
    monkeypatch.setattr(demo, "_plan", lambda *_: ([], []))
    monkeypatch.setattr(demo, "_predict_other_machines", lambda _: ([], []))
    monkeypatch.setattr(
        demo,
        "_compare_runs",
        lambda _, machine, runs: ([], (SimpleNamespace(doubtful=machine.peak("fp32") < 2e11),)),
    )
    told: list[str] = []
    found = demo.run_demo(minutes=1, report=tell_nobody, remark=told.append)
    assert found.machine.peak("fp32") == found.roofs[0].peaks["fp32"] == peak
    assert sum("calibrated" in line for line in told) == calibrations
