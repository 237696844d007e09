"""The small steps of a measurement, each by itself: what is kept, filled in, sampled and said."""

from __future__ import annotations

import math
import statistics
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from roofline.binding import Binding
from roofline.errors import ModelError
from roofline.validate.measuring import environment, steps, worker
from roofline.validate.measuring.backend import Capabilities, Samples
from roofline.validate.measuring.compressed_model import write
from roofline.validate.measuring.measure import (
    _fill_in,  # pyright: ignore[reportPrivateUsage]
)
from roofline.validate.measuring.process import (
    _last_line,  # pyright: ignore[reportPrivateUsage]
)
from roofline.validate.measuring.random_weights import fill
from roofline.validate.measuring.runnable_model import load_arrays, make_runnable, save_arrays
from roofline.validate.records.compression import Compression
from roofline.validate.records.request import SPREAD_S, Protocol, RunRequest, Tuning


def test_arrays_of_text_are_kept(tmp_path: Path) -> None:
    save_arrays(tmp_path / "in.npz", {"words": np.array(["a", "bc"]), "x": np.ones(3, np.float32)})
    arrays = load_arrays(tmp_path / "in.npz")
    assert arrays["words"].tolist() == ["a", "bc"]
    assert arrays["x"].tolist() == [1, 1, 1]


def test_a_file_that_is_no_model_is_called_so(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(b"\xff" * 64)
    with pytest.raises(ModelError, match=r"net\.onnx is not an ONNX model"):
        make_runnable(str(path), seed=0, folder=tmp_path)


def test_of_a_traceback_the_last_frame_is_named() -> None:
    log = (
        "Traceback (most recent call last):\n"
        '  File "/usr/lib/first.py", line 3, in start\n    run()\n'
        '  File "/usr/lib/last.py", line 71, in run\n    raise ValueError\n'
        "ValueError: no such kernel\n"
    )
    assert _last_line(log) == ": ValueError: no such kernel (last.py:71)"
    assert _last_line("killed\n") == ": killed"


class _Tunable:
    capabilities = Capabilities(tunings=(Tuning.UNTUNED, Tuning.TUNED))


def test_a_tuned_run_keeps_its_budget_and_an_untuned_one_has_none() -> None:
    asked = RunRequest(
        "nets/mine.onnx", "tvm", tuning=Tuning.TUNED, trials=8, tuning_budget_s=60.0
    )
    tuned = _fill_in(asked, _Tunable(), None)  # pyright: ignore[reportArgumentType]
    assert (tuned.tuning_budget_s, tuned.trials, tuned.network) == (60.0, 8, "mine")
    plain = RunRequest("nets/mine.onnx", "tvm", trials=8, tuning_budget_s=60.0)
    untuned = _fill_in(plain, _Tunable(), None)  # pyright: ignore[reportArgumentType]
    assert (untuned.tuning_budget_s, untuned.trials) == (0.0, 0)


class _CountedSession:
    steps = 0

    def step(self) -> None:
        self.steps += 1


def test_without_time_to_sample_the_fewest_runs_are_taken() -> None:
    """Three runs at least, whatever the time: see `Protocol.runs`."""
    session = _CountedSession()
    protocol = Protocol(runs=50, warmup=1, sampling_s=0.0)
    samples = worker.sample(session, protocol, 1.0, lambda *_: None)  # pyright: ignore[reportArgumentType]
    assert len(samples.samples_s) == session.steps == 3


class _Core:
    """A core, and a program of 1 ms on it that takes 1.5 ms in the core's first 0.4 s: someone else's episode."""

    def __init__(self) -> None:
        self.now = 0.0

    def step(self) -> None:
        self.now += 1.5e-3 if self.now < 0.4 else 1e-3

    def sample(self, monkeypatch: pytest.MonkeyPatch, protocol: Protocol) -> Samples:
        """Time the program by a protocol on the core's own clock."""
        monkeypatch.setattr(worker.time, "perf_counter", lambda: self.now)
        return worker.sample(self, protocol, 1e-3, lambda *_: None)  # pyright: ignore[reportArgumentType]


def test_short_runs_are_spread_beyond_an_episode_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    samples = _Core().sample(monkeypatch, Protocol(runs=60, sampling_s=60.0))
    assert len(samples.samples_s) == 60
    assert samples.wall_s == pytest.approx(SPREAD_S, abs=2e-3)
    assert statistics.median(samples.samples_s) == pytest.approx(1e-3)
    slow = sum(taken > 1.2e-3 for taken in samples.samples_s)
    assert slow == pytest.approx(60 * 0.4 / SPREAD_S, abs=1)


@pytest.mark.parametrize(
    ("protocol", "runs", "wall_s"),
    [
        (Protocol(runs=60, sampling_s=0.3), 60, 0.3),  # no longer than the sampling time
        (Protocol(runs=4000, sampling_s=60.0), 4000, 4.13),  # one after the other: they take longer anyway
        (Protocol(runs=10**6, sampling_s=1.0), None, 1.0),  # as many as fit
    ],
)  # fmt: skip
def test_runs_are_spread_no_further_than_needed(
    monkeypatch: pytest.MonkeyPatch, protocol: Protocol, runs: int | None, wall_s: float
) -> None:
    samples = _Core().sample(monkeypatch, protocol)
    assert samples.wall_s == pytest.approx(wall_s, abs=6e-3)
    assert len(samples.samples_s) == (runs or pytest.approx(267 + 600, abs=2))


def test_a_compressed_network_is_kept_under_what_it_is_made_of(tmp_path: Path) -> None:
    path = write("mlp", Compression(sparsity=0.5), tmp_path)
    assert path.parent.parent == tmp_path / "variants"
    assert (path.name, len(path.parent.name)) == ("mlp.onnx", 24)
    assert write("mlp", Compression(sparsity=0.5), tmp_path) == path
    assert write("mlp", Compression(sparsity=0.9), tmp_path) != path


@pytest.mark.parametrize("transposed", [0, 1])
def test_random_weights_of_a_product_are_scaled_by_what_it_sums(transposed: int) -> None:
    """He's initialization: a standard deviation of sqrt(2 / inputs), https://arxiv.org/abs/1502.01852."""
    inputs, outputs = 16, 1024
    dims = [outputs, inputs] if transposed else [inputs, outputs]
    weight = TensorProto(name="w", dims=dims, data_type=TensorProto.FLOAT)
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "w"], ["y"], transB=transposed)], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, inputs])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, outputs])], [weight],
    )  # fmt: skip
    model = helper.make_model(graph)
    assert fill(model, seed=0, light=False) == 1
    array = onnx.numpy_helper.to_array(model.graph.initializer[0])
    # The deviation of 16,384 draws is within three of its own, 1 / sqrt(2 n).
    assert array.std() == pytest.approx(math.sqrt(2 / inputs), rel=3 / math.sqrt(2 * array.size))


@pytest.mark.parametrize(
    ("name", "maker"), [("GenuineIntel", "Intel"), ("HygonGenuine", "HygonGenuine")]
)
def test_the_maker_of_a_processor(monkeypatch: pytest.MonkeyPatch, name: str, maker: str) -> None:
    text = f"processor\t: 0\nvendor_id\t: {name}\ncpu family\t: 6\n"
    monkeypatch.setattr(environment, "read_text", lambda _: text)
    assert environment.vendor() == maker


def test_a_model_is_made_in_one_step(tmp_path: Path) -> None:
    reports: list[tuple[str, int, int]] = []
    asked = steps.Make("mlp_12_5", Binding(), 0, tmp_path)
    runnable = worker._make(asked, lambda what, done, of: reports.append((what, done, of)))  # pyright: ignore[reportPrivateUsage]
    assert runnable.model.is_file()
    assert [(done, of) for _, done, of in reports] == [(0, 1)]
