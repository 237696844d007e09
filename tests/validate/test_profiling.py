"""Microbenchmarks and the profile that is fitted to them, on a machine whose law is known."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import onnx
import pytest
from typer.testing import CliRunner

from roofline import load, platform, predict
from roofline.errors import MeasurementError, TableError
from roofline.model._prediction import Basis
from roofline.model.kinds import works
from roofline.model.machine_profile import Profile
from roofline.model.network_time import calibrated_time
from roofline.spec import from_mapping
from roofline.validate.calibration import fitting, microbenchmarks, probe_timing, utilisations
from roofline.validate.calibration.calibrate import Roofs, platform_document, platform_yaml
from roofline.validate.calibration.correcting import Run, correct_file, correction, read_runs
from roofline.validate.calibration.microbenchmarks import ProbeTimes, Times, measure_times
from roofline.validate.calibration.probes import Probe, probes, probes_of
from roofline.validate.calibration.profiling import TimedProfile
from roofline.validate.calibration.steadiness import Burst, Steadiness, summarize_bursts
from roofline.validate.measuring.process import Outcome
from roofline.validate.measuring.steps import Share
from roofline.validate.records.failure import Failure, FailureKind
from roofline.validate.records.record import Status
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
    of = {p.name: ProbeTimes(seconds(p, 1), seconds(p, 1 + p.copies), p.copies) for p in chosen()}
    return Times("onnxruntime", "1", 1, of)


@pytest.fixture
def profile(times, monkeypatch) -> Profile:
    monkeypatch.setattr(fitting, "probes_of", lambda _: chosen())
    return fitting.fit_profile(times, ROOFS, "A CPU")


@pytest.mark.parametrize(
    "name", ["matmul 1x256x256", "LSTM 128-128 x1 over 1", "conv 64-64 3x3 at 14"]
)
def test_no_two_weights_of_a_probe_are_the_same(name):
    probe = next(entry for entry in probes() if entry.name == name)
    stored = onnx.load_from_string(probe.build(1 + probe.copies)).graph.initializer
    large = [entry.raw_data for entry in stored if len(entry.raw_data) > 256]
    # A runtime that keeps equal weights once would read one copy's, out of the nearest cache.
    assert len(set(large)) == len(large) > probe.copies


def test_the_width_of_vectors_is_found_from_the_steps_of_times(profile):
    assert profile.lanes == LANES


def test_a_machine_without_steps_has_no_width(times, monkeypatch):
    smooth = {
        name: ProbeTimes(1e-4, 1e-4 + 4e-6 * int(name.split()[1]), timed.copies) if name.startswith("lanes") else timed
        for name, timed in times.of.items()
    }  # fmt: skip
    monkeypatch.setattr(fitting, "probes_of", lambda _: chosen())
    assert fitting.fit_profile(replace(times, of=smooth), ROOFS, "A CPU").lanes == 1


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
    lost = {**times.of, name: ProbeTimes(2e-4, 1e-4, 8, 1.0)}
    monkeypatch.setattr(fitting, "probes_of", lambda _: chosen())
    found = fitting.fit_profile(replace(times, of=lost), ROOFS, "A CPU").samples["conv.kxk.fp32"]
    assert all(
        0 < sample.utilisation < 10 and math.isfinite(sample.utilisation) for sample in found
    )
    assert not any(sample.at[:3] == (64, 64, 196) for sample in found)


def test_the_file_that_is_written_holds_the_profile(profile, times):
    failed = replace(times, failed={"GRU 64": "not implemented"}, drift=1.4)
    measured = TimedProfile(profile, failed)
    document = platform_document([ROOFS], "mine", [measured.entry], measured.remarks)
    (entry,) = from_mapping(document, "mine").profiles.values()
    assert entry.key == "onnxruntime/1/1/fp32"
    assert entry.lanes == LANES
    assert any("could not be run (GRU 64)" in note for note in document["notes"])
    assert any("The machine was slowed" in note for note in document["notes"])


@pytest.fixture
def few(monkeypatch, tmp_path) -> list[str]:
    """Leave three probes, and keep what they gave below a folder of the test."""
    wanted = ("smallest operator", probe_timing.REFERENCE, "Relu of 4096")
    left = tuple(probe for probe in probes() if probe.name in wanted)
    monkeypatch.setattr(microbenchmarks, "probes_of", lambda _: left)
    monkeypatch.setattr(microbenchmarks, "cache_folder", lambda: tmp_path)
    return [probe.name for probe in left]


def line(name: str, number: int, *bursts: tuple[float, float, float]) -> str:
    """Return a kept line of a probe: seconds of its two models and of the fixed work beside, which takes 20 µs."""
    taken = [[[one, many], [beside, beside]] for one, many, beside in bursts]
    return json.dumps({"name": name, "round": number, "usual": 2e-5, "bursts": taken}) + "\n"


STEADY = ((1e-5, 3e-5, 2e-5),) * 3


def test_a_calibration_goes_on_where_it_was_ended(few, monkeypatch):
    asked: list[tuple[str, ...]] = []

    def step(request, **_):
        asked.append(request.names)
        # The first process is ended after one probe; the reference's line is cut short.
        done = request.names[:1] if len(asked) == 1 else request.names
        with open(request.into, "a", encoding="utf-8") as file:  # noqa: PTH123
            for name in done:
                file.write(line(name, request.round, *STEADY))
            if len(asked) == 1:
                file.write('{"name": "", "rou\n')
        if len(asked) == 1:
            raise KeyboardInterrupt
        return Outcome(Status.OK, answer=Share(0.0))

    monkeypatch.setattr(microbenchmarks, "run_step", step)
    with pytest.raises(KeyboardInterrupt):
        measure_times("onnxruntime", 1)
    found = measure_times("onnxruntime", 1)
    assert asked[1] == tuple(few[1:])
    assert set(found.of) == set(few)


def test_probes_whose_bursts_disagree_are_timed_once_more_and_all_bursts_count(few, monkeypatch):
    asked: list[tuple[str, ...]] = []

    def step(request, **_):
        asked.append(request.names)
        apart = (1e-5, 3e-5, 2e-5), (1e-5, 5e-5, 2e-5), (1e-5, 9e-5, 2e-5)
        with open(request.into, "a", encoding="utf-8") as file:  # noqa: PTH123
            for name in request.names:
                first = request.round == 0 and name == few[0]
                file.write(line(name, request.round, *(apart if first else STEADY)))
        return Outcome(Status.OK, answer=Share(0.0))

    monkeypatch.setattr(microbenchmarks, "run_step", step)
    found = measure_times("onnxruntime", 1).of
    # The one that is unsure comes first, then all others: there is time.
    assert asked[0] == tuple(few)
    assert asked[1][0] == few[0]
    assert (len(asked), sorted(asked[1])) == (2, sorted(few))
    assert found[few[0]].many_s == pytest.approx(3e-5)


def test_a_minute_in_which_all_bursts_were_slow_does_not_count_beside_another(few, tmp_path):
    kept = tmp_path / "kept.jsonl"
    # In the first round the fixed work saw nothing, and its bursts agree.
    kept.write_text(
        line(few[0], 0, *((2e-5, 5e-5, 2e-5),) * 3) + line(few[0], 1, *((1e-5, 3e-5, 2e-5),) * 3)
    )
    found = microbenchmarks.Rounds("onnxruntime", 1, kept).collect(few)[0]
    assert found[few[0]].copy_s * found[few[0]].copies == pytest.approx(2e-5)


def test_no_more_is_timed_again_than_there_is_time_for_and_the_longest_first(
    few, tmp_path, monkeypatch
):
    kept = tmp_path / "kept.jsonl"
    length = {name: 3e-5 + 1e-6 * number for number, name in enumerate(few)}
    kept.write_text("".join(line(name, 0, *((1e-5, length[name], 2e-5),) * 3) for name in few))
    asked: list[str] = []
    rounds = microbenchmarks.Rounds("onnxruntime", 1, kept)
    monkeypatch.setattr(rounds, "run", lambda number, names, total: asked.extend(names))
    # Of 140 seconds 100 are gone: there is time for 40 of a hundred in each.
    rounds.repeat(few, 100.0)
    assert asked == list(reversed(few))[: int(0.4 * len(few))]


def test_what_was_taken_while_the_machine_was_slowed_does_not_count_beside_what_was_not():
    slow, fast = Burst((1.6e-5, 4.8e-5), (3.2e-5, 3.2e-5)), Burst((1e-5, 3e-5), (2e-5, 2e-5))
    found = summarize_bursts([slow] * 5 + [fast] * 3, 2e-5)
    assert found.seconds == pytest.approx((1e-5, 3e-5))
    assert (found.spread, found.agreed) == (0.0, True)


def test_a_probe_that_was_only_seen_slowed_is_unsure(few, tmp_path):
    kept = tmp_path / "kept.jsonl"
    slowed = ((1.6e-5, 4.8e-5, 3.2e-5),) * 3
    kept.write_text(line(few[0], 0, *slowed) + line(few[1], 0, *STEADY))
    rounds = microbenchmarks.Rounds("onnxruntime", 1, kept)
    found = rounds.collect(few)[0]
    assert 3.2e-5 / 1.6 < found[few[0]].copy_s * found[few[0]].copies < 3.2e-5
    assert found[few[0]].spread > microbenchmarks.STEADY > found[few[1]].spread
    assert rounds.doubtful(few) == [few[0]]


def test_a_difference_that_is_lost_comes_first_among_what_is_timed_again(few, tmp_path):
    kept = tmp_path / "kept.jsonl"
    apart = (1e-5, 3e-5, 2e-5), (1e-5, 5e-5, 2e-5), (1e-5, 9e-5, 2e-5)
    kept.write_text(line(few[0], 0, *apart) + line(few[1], 0, *((3e-5, 1e-5, 2e-5),) * 3))
    assert microbenchmarks.Rounds("onnxruntime", 1, kept).doubtful(few) == [few[1], few[0]]


class Core:
    """A core whose neighbour slows it for a while: a run takes 1 or 1.6 of its time, as a clock of its own tells."""

    def __init__(self) -> None:
        self.now, self.slowed_from, self.slowed_until = 0.0, 0.0, 0.0

    def run(self, seconds: float) -> None:
        slowed = self.slowed_from <= self.now < self.slowed_until
        self.now += seconds * (1.6 if slowed else 1.0)


@pytest.mark.parametrize(
    ("begins", "ends", "wanted"), [(0.0, 0.0, 1.0), (0.01, 0.1, 1.0), (0.0, 9.0, 1.6)]
)
def test_samples_between_two_fast_glances_are_those_that_count(begins, ends, wanted):
    core = Core()
    watch = Steadiness(lambda: core.run(20e-6), lambda: core.now, patience_s=0.05)
    core.now, core.slowed_from, core.slowed_until = 0.0, begins, ends
    (bursts,) = watch.bursts(
        [[lambda: core.run(1e-3), lambda: core.run(3e-3)]], 0.2, least_runs=5, longest_s=1.0
    )
    found = summarize_bursts(bursts, watch.usual_s)
    # What was only seen slowed is put back, and unsure.
    assert found.seconds == pytest.approx(
        (1e-3 * wanted, 3e-3 * wanted), rel=0.0 if wanted == 1.0 else 0.25
    )
    assert (found.spread > 0.1) == (wanted > 1.0)


def test_no_more_is_sampled_than_until_bursts_agree():
    core = Core()
    watch = Steadiness(lambda: core.run(20e-6), lambda: core.now, patience_s=0.05)
    # Each burst is a run in vain and one that counts.
    factors = iter([1.0, 1.0, 1.0, 1.1, 1.0, 1.0, 1.0, 1.01, 1.0, 1.0, *[9.0] * 99])
    (bursts,) = watch.bursts(
        [[lambda: core.run(3e-3 * next(factors))]], 1.0, least_runs=5, longest_s=9.0
    )
    # The second and third burst lie a tenth apart, the last three a hundredth.
    assert len(bursts) == 5
    assert summarize_bursts(bursts, watch.usual_s).agreed


def test_passes_over_several_works_lie_apart_in_time():
    core = Core()
    order: list[str] = []
    watch = Steadiness(lambda: core.run(20e-6), lambda: core.now, patience_s=0.05)

    def step(name: str) -> None:
        order.append(name)
        core.run(3e-3)

    found = watch.bursts(
        [[lambda: step("a")], [lambda: step("b")]], 1.0, least_runs=5, longest_s=9.0
    )
    assert "".join(order) == "aabb" * 3
    assert [len(bursts) for bursts in found] == [3, 3]


def test_what_was_usual_before_tells_that_a_machine_is_slowed_from_the_start():
    core = Core()
    core.slowed_until = 1e9
    watch = Steadiness(lambda: core.run(20e-6), lambda: core.now, patience_s=0.05, known_s=20e-6)
    assert watch.is_slowed(watch.reference_s())


def test_rates_that_must_not_rise_are_pooled_by_what_they_weigh():
    first, second, third = utilisations._fall([(3.0, 1.0), (1.0, 3.0), (2.0, 1.0)])
    assert (first, second, third) == pytest.approx((3.0, 1.25, 1.25))


def test_a_probe_that_ends_its_process_is_passed_over_and_named(few, monkeypatch):
    def step(request, **_):
        with open(request.into, "a", encoding="utf-8") as file:  # noqa: PTH123
            for name in request.names if request.together == 1 else ():
                if name == few[1]:
                    failure = Failure(FailureKind.CRASH, "crashed (SIGSEGV)")
                    return Outcome(Status.FAILED, failure)
                file.write(line(name, request.round, *STEADY))
                file.flush()
            if request.together > 1:
                return Outcome(Status.FAILED, Failure(FailureKind.CRASH, "crashed (SIGSEGV)"))
        return Outcome(Status.OK, answer=Share(0.0))

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


def runs(count: int = 12) -> list[Run]:
    """Return networks whose convolutions take 1.5 times what a profile says, and all else what it says."""
    found: list[Run] = []
    for number in range(count):
        parts = {"fixed": 1e-5, "conv": 1e-3 * (1 + number), "matmul": 1e-3 * (count - number)}
        measured = 1e-5 + 1.5 * parts["conv"] + parts["matmul"]
        found.append(Run(f"net{number}", f"family{number // 2}", measured, parts))
    return found


def test_factors_are_found_and_hold_on_families_that_were_left_out():
    found = correction(runs())
    assert found.factors["conv"] == pytest.approx(1.5, rel=0.05)
    assert found.factors["matmul"] == pytest.approx(1.0, rel=0.07)
    assert found.before > 0.15
    assert found.after < 0.02
    assert found.after <= found.left_out < 0.04
    assert found.families == 6


def test_one_network_moves_a_factor_less_than_many():
    assert 1.0 < correction(runs(3)[:1] * 3).factors["conv"] < 1.5


def table(folder, text: str):
    path = folder / "runs.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("network,fps\nmlp,1\n", "has no column latency_ms"),
        ("network,latency_ms\nmlp,1\nmlp,2\n", "is the same run as row 1"),
        ("network,latency_ms\nmlp,0\n", "Give a number above zero"),
        ("network,latency_ms\nmlp,1\n", "too few to correct by"),
    ],
)
def test_a_table_that_is_none_of_measured_networks_is_one_line(profile, tmp_path, text, told):
    with pytest.raises(TableError, match=told):
        read_runs(table(tmp_path, text), profile)


def test_a_correction_is_written_into_the_file_and_used(profile, times, tmp_path):
    path = tmp_path / "here.yaml"
    measured = TimedProfile(profile, times)
    path.write_text(platform_yaml([ROOFS], "here", [measured.entry]))
    names = ("mlp", "cnv", "resnet50")
    before = {name: calibrated_time(load(name), profile) for name in names}
    lines = [
        f"{name},{2e3 * found.seconds}" for name, found in before.items() if found is not None
    ]
    found = correct_file(path, table(tmp_path, "\n".join(["network,latency_ms", *lines])))
    assert found.before == pytest.approx(0.5, abs=0.01)
    assert found.after < found.before
    machine = platform(str(path))
    (entry,) = machine.profiles.values()
    assert entry.corrections["conv"] > 1.2
    after = predict(load("resnet50"), machine, model="calibrated").latency_s
    assert before["resnet50"] is not None
    assert after is not None
    assert after > 1.2 * before["resnet50"].seconds


def test_programs_are_compiled_before_any_is_timed_and_one_that_cannot_be_is_passed_over(few, monkeypatch):  # fmt: skip
    asked: list[tuple[str, tuple[str, ...]]] = []

    def step(request, **_):
        asked.append((request.title(), request.names))
        building = request.title() == "probeprograms"
        with open(request.into, "a", encoding="utf-8") as file:  # noqa: PTH123
            if not building:
                file.writelines(line(name, request.round, *STEADY) for name in request.names)
                return Outcome(Status.OK, answer=Share(0.0))
            # The process that compiles is ended at the last probe, whatever it is asked for.
            for name in request.names:
                if name != few[-1]:
                    done = {"name": name, "round": -1, "took": 1.0, "target": "llvm here"}
                    file.write(json.dumps(done) + "\n")
        return Outcome(Status.FAILED, Failure(FailureKind.ERROR, "it crashed"))

    monkeypatch.setattr(microbenchmarks, "run_step", step)
    found = measure_times("tvm", 1)
    kinds = [kind for kind, _ in asked]
    assert kinds == ["probeprograms", "microbenchmarks"]
    assert asked[1][1] == tuple(few[:-1])
    assert list(found.failed) == [few[-1]]
    assert "it crashed" in found.failed[few[-1]]
    assert found.target == "llvm here"
    # What was built is not built again.
    asked.clear()
    measure_times("tvm", 1)
    assert asked == []


def test_networks_and_probes_of_a_compiler_are_tuned_alike_and_its_profile_says_how():
    asked = probe_timing.run_request("net", "tvm", 1)
    assert asked.tuning == "tuned"
    assert asked.options == {"few_tiles": True}
    told = probe_timing.how_programs_are_made("tvm", 1)
    assert f"the best of {asked.trials} schedules" in told
    assert probe_timing.how_programs_are_made("onnxruntime", 1) == ""


def test_probes_of_a_compiler_build_and_no_two_have_a_name():
    own = probes_of("tvm")
    assert len({probe.name for probe in own}) == len(own) > 100
    others = [probe.name for probe in probes_of("onnxruntime")]
    assert others == [probe.name for probe in probes()]
    for probe in own:
        shorter, longer = (onnx.load_from_string(probe.build(count)).graph for count in (1, 2))
        assert len(longer.node) > len(shorter.node)
