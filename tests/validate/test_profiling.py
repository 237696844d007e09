"""Microbenchmarks and the profile that is fitted to them, on a machine whose law is known."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import onnx
import pytest
from typer.testing import CliRunner

from roofline.errors import MeasurementError
from roofline.model._prediction import Basis
from roofline.model.kinds import works
from roofline.model.machine_profile import Profile
from roofline.model.network_time import calibrated_time
from roofline.spec import from_mapping
from roofline.validate.calibration import fitting, microbenchmarks
from roofline.validate.calibration.calibrate import Roofs, platform_document
from roofline.validate.calibration.microbenchmarks import Timed, Times, measure_times
from roofline.validate.calibration.probe_models import Probe, probes
from roofline.validate.calibration.profiling import Measured
from roofline.workload import Workload

PEAK, BANDWIDTH, RUN_S, LAYER_S, LANES = 100e9, 10e9, 4e-6, 0.5e-6, 8
ROOFS = Roofs(1, {"fp32": PEAK}, {"fp32": "library"}, BANDWIDTH, None)


def chosen() -> tuple[Probe, ...]:
    """Return some of the probes: those that the tests look at, which are counted in a moment."""
    some = (
        "lanes",
        "conv 64-64 3x3 at 14",
        "conv 32-128",
        "Relu of",
        "Tanh of",
        "smallest",
        "between",
        "alone",
    )
    names = [probe for probe in probes() if probe.name.startswith(some)]
    return tuple(
        probe for probe in names if "large" not in probe.name and "4194304" not in probe.name
    )


def seconds(probe: Probe, copies: int) -> float:
    """Return the time of a probe on a machine that absorbs Relu and reaches half of every roof, 8 channels at once."""
    counted = Workload.from_onnx(onnx.load_from_string(probe.build(copies)), name=probe.name)
    law = Profile("x", "1", 1, {"fp32": PEAK}, BANDWIDTH, RUN_S, LAYER_S, LANES, {})
    total, after_convolution = RUN_S, False
    for layer in counted.layers:
        work = works(layer)
        if work is None:
            continue
        if layer.op_type == "Relu" and after_convolution:
            continue
        after_convolution = layer.op_type == "Conv"
        total += LAYER_S + 2 * law.bound_s(work)[0]
    return total


@pytest.fixture(scope="module")
def times() -> Times:
    of = {p.name: Timed(seconds(p, 1), seconds(p, 1 + p.copies), p.copies) for p in chosen()}
    return Times("onnxruntime", "1", 1, of)


@pytest.fixture
def profile(times, monkeypatch) -> Profile:
    monkeypatch.setattr(fitting, "probes", chosen)
    return fitting.fitted(times, ROOFS, "A CPU")


def test_the_width_of_vectors_is_found_from_the_steps_of_times(profile):
    assert profile.lanes == LANES


def test_a_machine_without_steps_has_no_width(times, monkeypatch):
    smooth = {
        name: Timed(1e-4, 1e-4 + 4e-6 * int(name.split()[1]), timed.copies) if name.startswith("lanes") else timed
        for name, timed in times.of.items()
    }  # fmt: skip
    monkeypatch.setattr(fitting, "probes", chosen)
    assert fitting.fitted(replace(times, of=smooth), ROOFS, "A CPU").lanes == 1


def test_utilisations_and_overheads_are_those_of_the_machine(profile):
    assert profile.layer_s == pytest.approx(LAYER_S, rel=0.05)
    assert profile.run_s == pytest.approx(RUN_S, rel=0.2)
    for kind in ("conv.kxk.fp32", "elementwise.Tanh"):
        assert all(
            sample.utilisation == pytest.approx(0.5, rel=0.1) for sample in profile.samples[kind]
        )


def test_what_is_absorbed_is_read_off_the_times(profile):
    assert "Relu" in profile.absorbed
    assert "Tanh" not in profile.absorbed


def test_a_profile_predicts_the_machine_it_was_measured_on(profile):
    probe = next(entry for entry in chosen() if entry.name.startswith("conv 32-128"))
    work = Workload.from_onnx(onnx.load_from_string(probe.build(7)), name="net")
    found = calibrated_time(work, profile)
    assert found is not None
    assert found.seconds == pytest.approx(seconds(probe, 7), rel=0.15)
    assert found.shares()[Basis.INTERPOLATED] > 0.8


def test_a_negative_difference_is_no_sample(times, monkeypatch):
    name = "conv 64-64 3x3 at 14"
    lost = {**times.of, name: Timed(2e-4, 1e-4, 8, 1.0)}
    monkeypatch.setattr(fitting, "probes", chosen)
    found = fitting.fitted(replace(times, of=lost), ROOFS, "A CPU").samples["conv.kxk.fp32"]
    assert all(
        0 < sample.utilisation < 10 and math.isfinite(sample.utilisation) for sample in found
    )
    assert not any(sample.at[:3] == (64, 64, 196) for sample in found)


def test_the_file_that_is_written_holds_the_profile(profile, times):
    failed = replace(times, failed={"GRU 64": "not implemented"}, drift=1.4)
    measured = Measured(profile, failed)
    document = platform_document([ROOFS], "mine", [measured.entry], measured.remarks)
    (entry,) = from_mapping(document, "mine").profiles.values()
    assert entry.key == "onnxruntime/1/1/fp32"
    assert entry.lanes == LANES
    assert any("could not be run (GRU 64)" in note for note in document["notes"])
    assert any("The clock did not hold" in note for note in document["notes"])


@pytest.fixture
def few(monkeypatch, tmp_path) -> list[str]:
    """Leave three probes, and keep what they gave below a folder of the test."""
    wanted = ("smallest operator", microbenchmarks.REFERENCE, "Relu of 4096")
    left = tuple(probe for probe in probes() if probe.name in wanted)
    monkeypatch.setattr(microbenchmarks, "probes", lambda: left)
    monkeypatch.setattr(microbenchmarks, "cache_folder", lambda: tmp_path)
    return [probe.name for probe in left]


def test_a_calibration_goes_on_where_it_was_ended(few, monkeypatch):
    asked: list[list[str]] = []

    def step(request, **_):
        asked.append(request["names"])
        # The first process is ended after one probe; the reference's line is cut short.
        done = request["names"][:1] if len(asked) == 1 else request["names"]
        with open(request["into"], "a", encoding="utf-8") as file:  # noqa: PTH123
            for name in done:
                line = {"name": name, "round": request["round"], "one": 1e-5, "many": 3e-5}
                file.write(json.dumps(line) + "\n")
            if len(asked) == 1:
                file.write('{"name": "", "rou\n')
        if len(asked) == 1:
            raise KeyboardInterrupt
        return type("Ended", (), {"result": {"taken": 0.0}, "reason": ""})()

    monkeypatch.setattr(microbenchmarks, "run_step", step)
    with pytest.raises(KeyboardInterrupt):
        measure_times("onnxruntime", 1)
    found = measure_times("onnxruntime", 1)
    assert asked[1] == few[1:]
    assert set(found.of) == set(few)


def test_a_probe_that_ends_its_process_is_passed_over_and_named(few, monkeypatch):
    def step(request, **_):
        with open(request["into"], "a", encoding="utf-8") as file:  # noqa: PTH123
            for name in request["names"]:
                if name == few[1]:
                    return type("Ended", (), {"result": None, "reason": "crashed (SIGSEGV)"})()
                line = {"name": name, "round": request["round"], "one": 1e-5, "many": 3e-5}
                file.write(json.dumps(line) + "\n")
                file.flush()
        return type("Ended", (), {"result": {"taken": 0.0}, "reason": ""})()

    monkeypatch.setattr(microbenchmarks, "run_step", step)
    found = measure_times("onnxruntime", 1)
    assert found.failed == {few[1]: "crashed (SIGSEGV)"}
    assert few[1] not in found.of


def test_a_backend_that_is_not_installed_is_one_line(monkeypatch):
    from roofline.validate.measuring.backend import backends

    monkeypatch.setattr(type(backends.get("torch")), "missing", lambda _: "torch")
    with pytest.raises(MeasurementError, match="needs torch, which is not installed"):
        measure_times("torch", 1)


def test_calibrate_refuses_an_unknown_backend_before_it_measures(tmp_path):
    from roofline.cli._app import app

    result = CliRunner().invoke(
        app, ["calibrate", "--backend", "onnxruntim", "-o", str(tmp_path / "x.yaml")]
    )
    assert result.exit_code != 0
    assert "onnxruntime" in str(result.exception) or "onnxruntime" in result.output


@pytest.mark.slow
def test_probes_are_timed_on_onnx_runtime(few):
    pytest.importorskip("onnxruntime")
    found = measure_times("onnxruntime", 1)
    assert not found.failed
    assert all(0 < timed.one_s < 1 for timed in found.of.values())
    assert found.of["smallest operator"].many_s > found.of["smallest operator"].one_s
