"""The best algorithm for each convolution is the fastest of those timed; a mix computes what ONNX Runtime does."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from roofline.validate.measuring.backend import backends
from roofline.validate.measuring.measure import measure
from roofline.validate.records.flag import FlagKind
from roofline.validate.records.record import Status
from roofline.validate.records.request import Protocol, RunRequest
from roofline.validate.tvm.convolution import Convolution
from roofline.validate.tvm.tuning.algorithm_choice import Choices, candidates, one_convolution

PLAIN = Convolution(1, 16, 8, 8, 32, (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 1, "float32", "float32")
POINTWISE = Convolution(1, 16, 8, 8, 32, (1, 1), (1, 1), (0,) * 4, (1, 1), 1, "float32", "float32")
DEPTHWISE = Convolution(
    1, 32, 8, 8, 32, (3, 3), (1, 1), (1,) * 4, (1, 1), 32, "float32", "float32"
)
INTEGERS = Convolution(1, 16, 8, 8, 32, (3, 3), (1, 1), (1,) * 4, (1, 1), 1, "int8", "int32")
needs_tvm = pytest.mark.skipif(bool(backends.get("tvm").missing()), reason="TVM is missing")


def test_only_what_applies_is_tried() -> None:
    everything = ("blocked", "direct", "gemm", "spatial_pack", "winograd")
    assert candidates(PLAIN) == everything
    # Winograd's transform is for windows of 3x3 (Lavin and Gray 2016); groups have no one matrix product.
    assert candidates(POINTWISE) == everything[:-1]
    assert candidates(DEPTHWISE) == ("blocked", "direct")
    assert candidates(INTEGERS) == ("blocked",)


def test_the_fastest_is_kept_and_others_stay_in_blocks(tmp_path) -> None:
    path = tmp_path / "kept.json"
    assert Choices(path).add(PLAIN, {"blocked": 2e-3, "gemm": 1e-3, "winograd": 3e-3}) == "gemm"
    again = Choices(path)
    assert again(PLAIN) == "gemm"
    assert again(POINTWISE) == "blocked"
    assert (again.knows(PLAIN), again.knows(POINTWISE)) == (True, False)
    again.forget([PLAIN])
    assert not again.knows(PLAIN)


def test_a_convolution_alone_has_the_networks_numbers() -> None:
    model = onnx.load_from_string(one_convolution(DEPTHWISE))
    (shape,) = (entry.dims for entry in model.graph.initializer if entry.name == "w")
    assert list(shape) == [32, 1, 3, 3]
    onnx.checker.check_model(model, full_check=True)


LAYERS = ("one", "two", "three", "four", "five")
MIX = {  # output channels and window of each layer, and what it is given
    "one": (16, 3, "blocked"), "two": (32, 3, "winograd"), "three": (32, 1, "gemm"), "four": (16, 3, "spatial_pack"),
    "five": (24, 5, "direct"),
}  # fmt: skip


@pytest.fixture
def mixed(tmp_path):
    """Five convolutions, each of numbers of its own, one after the other."""
    random = np.random.default_rng(0)
    nodes, stored, channels, value = [], [], 3, "x"
    for name, (filters, window, _) in MIX.items():
        weights = random.standard_normal((filters, channels, window, window)) / window
        bias = random.standard_normal(filters)
        stored += [
            numpy_helper.from_array(weights.astype(np.float32), f"{name}.w"),
            numpy_helper.from_array(bias.astype(np.float32), f"{name}.b"),
        ]
        nodes += [
            helper.make_node(
                "Conv", [value, f"{name}.w", f"{name}.b"], [f"{name}.c"], name=name,
                pads=[window // 2] * 4,
            ),
            helper.make_node("Relu", [f"{name}.c"], [name if name != "five" else "y"]),
        ]  # fmt: skip
        channels, value = filters, name
    made = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "mixed", [made("x", 1, [1, 3, 10, 10])], [made("y", 1, [1, 24, 10, 10])], stored
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path = tmp_path / "mixed.onnx"
    onnx.save(model, path)
    return path


def decide(folder, tuning: str) -> None:
    """Write down an algorithm for each layer, as choosing would have."""
    import tvm

    from roofline.validate.tvm.setup import lanes, local_target

    target = local_target(tvm, 1)
    place = folder / "tvm" / f"algorithms-{target.attrs['mcpu']}-{lanes(target)}-{tuning}.json"
    choices, channels = Choices(place), 3
    for filters, window, name in MIX.values():
        pads = (window // 2,) * 4
        conv = Convolution(
            1, channels, 10, 10, filters, (window,) * 2, (1, 1), pads, (1, 1), 1, "float32",
            "float32",
        )  # fmt: skip
        choices.add(conv, {name: 1.0})
        channels = filters


def run(path, folder, tuning: str):
    options = RunRequest(
        "",
        tuning=tuning, trials=2, threads=1, algorithm="best",
        protocol=Protocol(runs=5, sampling_s=2.0, time_limit_s=300.0),
    )  # fmt: skip
    record = measure(replace(options, network=str(path), backend="tvm"), folder=folder)
    assert record.status is Status.OK, record.reason
    assert record.check.max_rel_error < 1e-5
    return record


@pytest.mark.tvm
@needs_tvm
def test_a_mix_computes_the_network_and_says_which_layer_got_what(mixed, tmp_path) -> None:
    decide(tmp_path / "cache", "untuned")
    record = run(mixed, tmp_path / "cache", "untuned")
    (said,) = (note for note in record.notes if note.startswith("algorithm of each"))
    parts = dict(part.split(": ") for part in said.split(": ", 1)[1].split("; "))
    assert parts == {name: layer for layer, (_, _, name) in MIX.items()}


@pytest.mark.tvm
@pytest.mark.slow
@needs_tvm
def test_a_tuned_mix_leaves_no_kernel_untuned(mixed, tmp_path) -> None:
    decide(tmp_path / "cache", "tuned-2")
    assert run(mixed, tmp_path / "cache", "tuned").untuned_kernels == ()


@pytest.mark.tvm
@needs_tvm
def test_choosing_times_every_algorithm_and_takes_the_fastest(tmp_path) -> None:
    import tvm

    from roofline.validate.tvm.blocked import tile_search as tiling
    from roofline.validate.tvm.setup import local_target
    from roofline.validate.tvm.tuning.algorithm_choice import choose

    path = tmp_path / "choices.json"
    chosen = choose(
        [PLAIN, DEPTHWISE], Choices(path), local_target(tvm, 1), tiling.Findings(tmp_path / "tiles.json"),
        tmp_path / "schedules", trials=0, budget_s=0.0, threads=1, report=lambda *_: None,
    )  # fmt: skip
    assert chosen.finished
    for entry, conv in zip(json.loads(path.read_text()).values(), (PLAIN, DEPTHWISE), strict=True):
        assert set(entry["ms"]) == set(candidates(conv))
        assert all(took > 0 for took in entry["ms"].values())
        assert entry["ms"][entry["algorithm"]] == min(entry["ms"].values())


@pytest.mark.tvm
@needs_tvm
def test_a_budget_too_small_for_all_choices_is_stated(mixed, tmp_path) -> None:
    options = RunRequest(
        "",
        tuning="tuned", trials=1, threads=1, algorithm="best", tuning_budget_s=1e-3,
        protocol=Protocol(runs=3, sampling_s=1.0, time_limit_s=300.0),
    )  # fmt: skip
    record = measure(
        replace(options, network=str(mixed), backend="tvm"), folder=tmp_path / "cache"
    )
    assert record.status is Status.OK, record.reason
    assert any("choices of algorithms" in note for note in record.notes)
    # What no tile was sought for runs on a guess, and is named.
    assert record.untuned_kernels
    assert any(flag.kind is FlagKind.KERNELS_UNTUNED for flag in record.flags)
