"""What the demo runs: every network on both backends, ResNet-50 only where the onnx package brings it."""

from __future__ import annotations

from pathlib import Path

import pytest

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
