"""Tokens per second, first tokens and fit of decoders, against closed forms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import roofline
from roofline._load import decoder
from roofline.decoding.phases import Decoding
from roofline.decoding.request import Phase, Request, Spread
from roofline.errors import NoBasisError, OptionError
from roofline.model import Prediction
from roofline.serving import serve
from roofline.workloads import Decoder, DecoderNetwork

from .cli_process import roofline as run

H100 = roofline.platform("h100-sxm")
LLAMA = decoder("llama31_8b")
WEIGHTS = 2 * (8_030_261_248 - 128_256 * 4096)
POSITION = 2 * 32 * 2 * 8 * 128


def served(
    request: Request, batch: int = 1, found: Decoding | None = LLAMA, **choices: Any
) -> Prediction:
    assert found is not None
    (row,) = serve(
        found,
        request,
        [H100],
        batches=[batch],
        **{"model": "equation1", "datatypes": ["fp16"], **choices},
    ).predictions
    return row


@pytest.mark.parametrize("batch", [1, 32])
def test_decode_is_the_closed_form(batch: int) -> None:
    row = served(Request(4096, 1, Phase.DECODE), batch)
    assert row.tokens is not None
    moved = WEIGHTS + batch * POSITION * 4097
    assert row.tokens.tokens_per_s == pytest.approx(batch * 3.35e12 / moved, rel=1e-3)
    assert row.tokens.tpot_s == pytest.approx(moved / 3.35e12, rel=1e-3)
    assert row.tokens.kv_bytes_per_token == POSITION
    record = row.record()
    assert record["throughput_fps"] is None
    assert record["bound"] == "memory"
    assert (record["fits"], record["devices"], record["least_devices"]) == (True, 1, 1)


def test_the_mean_place_of_the_new_tokens_is_charged() -> None:
    row = served(Request(4096, 513, Phase.DECODE))
    assert row.tokens is not None
    assert row.tokens.tpot_s == pytest.approx(
        (WEIGHTS + POSITION * (4096 + 257)) / 3.35e12, rel=1e-3
    )


def test_prefill_is_compute_bound_and_both_adds_the_others_prompts() -> None:
    row = served(Request(4096, 128, Phase.BOTH), 8)
    step = served(Request(4096, 128, Phase.DECODE), 8)
    assert row.tokens is not None
    assert step.tokens is not None
    head, table = 128_256 * 4096, 128_256 * 4096
    norms = 65 * 4096
    macs = 4096 * (8_030_261_248 - head - table - norms) + head
    macs += 32 * 32 * 2 * 128 * 4096 * 4097 // 2
    first = 2 * macs / H100.peak("fp16")
    assert row.tokens.ttft_s == pytest.approx(first, rel=1e-3)
    assert row.tokens.prefill_bound == "compute"
    assert step.tokens.tpot_s is not None
    assert row.tokens.tpot_s == pytest.approx(step.tokens.tpot_s + 7 / 128 * first, rel=1e-3)
    # In all, 8 prompts are answered, which gives 8 tokens, and 8 times 127 are written behind them.
    whole = 8 * first + 127 * step.tokens.tpot_s
    assert row.tokens.tokens_per_s == pytest.approx(8 * 128 / whole, rel=1e-3)
    # A server that mixes prompts into steps reads weights and caches once for both.
    assert step.upper_bound
    assert not row.upper_bound
    arithmetic = step.ops / step.peak + 7 / 128 * first
    mixed = 1e3 * max(step.tokens.tpot_s, arithmetic)
    assert any(f"down to {mixed:.4g} ms per token" in note for note in row.notes)


def test_a_public_run_that_beats_prompts_between_steps_is_above_the_step_that_mixes_them() -> None:
    """Qwen3 32B in fp8 with vLLM on an H100, 24 requests of 4,000 and 1,000 tokens (NVIDIA's aiconfigurator)."""
    request = Request(4000, 1000, Phase.BOTH)
    prepared = served(request, 24, decoder("qwen3_32b"), datatypes=["fp8"])
    assert prepared.tokens is not None
    assert prepared.tokens.tpot_s > 16.855e-3
    (note,) = [text for text in prepared.notes if "chunked prefill" in text]
    assert float(note.split("down to ")[1].split()[0]) < 16.855
    assert not prepared.upper_bound


def test_the_largest_that_fits_fits_and_one_more_does_not() -> None:
    row = served(Request(4096, 128, Phase.DECODE), 4)
    assert row.tokens is not None
    most, longest = row.tokens.max_batch, row.tokens.max_context
    assert most is not None
    assert longest is not None
    assert served(Request(4096, 128, Phase.DECODE), most).fits
    with pytest.raises(OptionError, match=f"batch {most} at this context"):
        served(Request(4096, 128, Phase.DECODE), most + 1)
    assert H100.capacity is not None
    room = H100.capacity - row.required_bytes + 4 * POSITION * 4224
    assert longest == min(int(room // (4 * POSITION)) - 128, 131_072 + 1 - 128)


def test_what_fits_nowhere_says_by_how_much_and_on_how_many_devices_it_does() -> None:
    found = decoder("llama31_70b")
    with pytest.raises(OptionError, match=r"by 62\.\d+ GB.*fits on 2 devices"):
        served(Request(4096, 1, Phase.DECODE), found=found)


def small(**sizes: Any) -> Decoding:
    from roofline.decoding.phases import find_decoding

    every: dict[str, Any] = {
        "layers": 2, "hidden": 512, "heads": 8, "kv_heads": 2, "head_size": 64, "vocabulary": 1000, "positions": 4096,
        "mlp": 1024, **sizes,
    }  # fmt: skip
    found = find_decoding(
        "small", DecoderNetwork("small", "small", "a test, 2025", Decoder(**every)).build()
    )
    assert found is not None
    return found


def test_devices_share_weights_and_heads_of_keys() -> None:
    found = small()
    one, two, eight = (
        served(Request(2048, 1, Phase.DECODE, devices), 4, found) for devices in (1, 2, 8)
    )
    assert one.latency_s is not None
    assert two.latency_s is not None
    assert eight.latency_s is not None
    link = H100.specification.device_link or H100.specification.host_link
    assert link is not None
    wait = 0.0 if link.latency is None else link.latency.base

    def sums(devices: int) -> float:
        each = 2 * (devices - 1) / devices * 4 * 512 * 2 / link.bandwidth.base + wait
        return 2 * 2 * each

    assert two.latency_s == pytest.approx(one.latency_s / 2 + sums(2))
    # Eight devices, two heads of keys: each holds a head, so the cache is there four times.
    cache = 4 * 2 * 2 * 2 * 2 * 64 * 2048
    again = cache * (1 / 2 - 1 / 8) / H100.bandwidth
    assert eight.latency_s == pytest.approx(one.latency_s / 8 + again + sums(8), rel=1e-6)
    # A window is a step that a device by itself predicts exactly so.
    assert one.latency_s == served(Request(2048, 1, Phase.DECODE), 4, found).latency_s


def test_heads_that_do_not_spread_name_the_counts_that_do() -> None:
    with pytest.raises(OptionError, match="1, 2, 4, 8"):
        served(Request(64, 1, Phase.DECODE, 3), 1, small())


def test_a_context_beyond_the_positions_is_refused() -> None:
    with pytest.raises(OptionError, match="4,096 positions"):
        served(Request(5000, 1, Phase.DECODE), 1, small())


@pytest.mark.parametrize(
    ("phase", "new", "most"),
    [(Phase.PREFILL, 512, 4096), (Phase.DECODE, 1, 4095), (Phase.DECODE, 512, 3584), (Phase.BOTH, 512, 3585)],
)  # fmt: skip
def test_a_request_may_fill_the_positions_and_no_more(phase: Phase, new: int, most: int) -> None:
    small().check(Request(most, new, phase))
    with pytest.raises(OptionError, match="4,096 positions") as caught:
        small().check(Request(most + 1, new, phase))
    assert f"at most {most:,}" in caught.value.repair


def test_the_law_of_frames_says_nothing_of_a_step() -> None:
    step = small().step(Request(64, 1, Phase.DECODE), 1)
    machine = roofline.platform("xeon-8270")
    with pytest.raises(NoBasisError):
        roofline.predict(step, machine, datatype="fp32", model="expected")
    found = roofline.sweep([step], [machine], datatypes=["fp32"])
    assert [entry.model for entry in found.predictions] == ["equation1"]


def test_expected_experts_give_no_upper_bound() -> None:
    mixture = small(mlp=0, experts=8, active=2, expert_mlp=64)
    row = served(Request(64, 1, Phase.DECODE), 2, mixture)
    assert not row.upper_bound
    assert any("uniform routing" in note for note in row.notes)
    # One token reads the two experts it chooses, whichever they are.
    alone = served(Request(64, 1, Phase.DECODE), 1, mixture)
    assert alone.upper_bound
    assert not any("uniform routing" in note for note in alone.notes)
    assert not served(Request(64, 1, Phase.PREFILL), 1, mixture).upper_bound


def test_an_estimate_without_runs_of_decoders_is_refused() -> None:
    with pytest.raises(OptionError, match="no runs of decoders"):
        served(Request(64, 1, Phase.DECODE), 1, small(), model="calibrated")


@pytest.mark.parametrize("new_tokens", [1, 64])
def test_an_estimate_of_one_request_waits_for_no_prompt_of_others(new_tokens: int) -> None:
    both, step = (
        served(Request(32768, new_tokens, phase), model="expected").tokens
        for phase in (Phase.BOTH, Phase.DECODE)
    )
    assert both is not None
    assert step is not None
    assert both.tpot_s == step.tpot_s


def test_the_command_line_has_the_names() -> None:
    done = run(
        "predict", "llama32_1b", "-p", "h100-sxm", "-d", "fp16", "--context", 1024, "--new-tokens", 16,
        "--format", "json",
    )  # fmt: skip
    assert done.code == 0, done.err
    row, expected = json.loads(done.out)["predictions"]
    assert (row["model"], expected["model"]) == ("equation1", "expected")
    assert expected["tokens_per_s"] < row["tokens_per_s"]
    low, high = expected["interval_tpot_ms"]
    assert row["tpot_ms"] <= low <= expected["tpot_ms"] <= high
    assert row["phase"] == "both"
    for name in (
        "ttft_ms",
        "tpot_ms",
        "tokens_per_s",
        "tokens_per_s_per_user",
        "kv_bytes_per_token",
    ):
        assert row[name] > 0
    assert row["kv_bytes_per_token"] == 2 * 16 * 2 * 8 * 64
    assert row["max_batch"] > 1
    assert row["max_context"] > 1024


def test_flags_of_decoders_are_refused_for_other_networks() -> None:
    done = run("predict", "mlp", "-p", "h100-sxm", "--context", 64)
    assert done.code == 2
    assert "no key-value cache" in done.err
    assert done.err.count("\n") == 1


def test_one_user_of_a_graphics_card_is_estimated_below_its_bound() -> None:
    assert LLAMA is not None
    card = roofline.platform("rtx-4090")
    bound, found = serve(
        LLAMA, Request(1024, 128, Phase.DECODE), [card], datatypes=["q4_k_m"]
    ).predictions
    assert bound.tokens is not None
    assert found.tokens is not None
    assert bound.tokens.tokens_per_s is not None
    assert found.tokens.tokens_per_s is not None
    low, high = found.intervals["tokens_per_s"]
    assert (
        0.4 * bound.tokens.tokens_per_s
        < low
        < found.tokens.tokens_per_s
        < high
        <= bound.tokens.tokens_per_s
    )


@pytest.mark.parametrize(
    ("machine", "models"),
    [("rtx-4090", ["equation1", "expected"]), ("i9-14900k", ["equation1"])],
)
def test_many_users_of_a_processor_have_the_bound_alone(machine: str, models: list[str]) -> None:
    assert LLAMA is not None
    rows = serve(
        LLAMA,
        Request(256, 16, Phase.DECODE),
        [roofline.platform(machine)],
        datatypes=["q4_k_m"],
        batches=[2],
    ).predictions
    assert [row.model for row in rows] == models


def test_the_fewest_devices_that_reach_a_limit_are_taken() -> None:
    one = served(Request(4096, 64, Phase.DECODE))
    assert one.tokens is not None
    assert one.tokens.tpot_s is not None
    limit = 0.8 * one.tokens.tpot_s
    row = served(Request(4096, 64, Phase.DECODE, max_tpot_s=limit))
    assert row.tokens is not None
    assert row.tokens.tpot_s is not None
    assert row.tokens.tpot_s <= limit
    assert row.tokens.devices == 2
    assert row.tokens.tpot_s == served(Request(4096, 64, Phase.DECODE, 2)).latency_s
    with pytest.raises(OptionError, match="no number of devices"):
        served(Request(4096, 64, Phase.DECODE, max_tpot_s=1e-6))


@pytest.mark.parametrize(
    ("phase", "limits", "said"),
    [
        (Phase.PREFILL, {"max_tpot_s": 1.0}, "limits decode"),
        (Phase.DECODE, {"max_ttft_s": 1.0}, "limits prefill"),
    ],
)
def test_a_limit_of_a_phase_that_is_left_out_is_refused(
    phase: Phase, limits: dict[str, float], said: str
) -> None:
    with pytest.raises(OptionError, match=said):
        Request(4096, 64, phase, **limits)
    Request(4096, 64, **limits)


def test_a_flag_of_decoders_is_named_where_a_network_is_none() -> None:
    done = run("predict", "mlp", "-p", "h100-sxm", "--spread", "tensor")
    assert done.code == 2
    assert "--spread" in done.err


def test_layers_in_series_add_no_bandwidth_and_hold_a_share_of_the_memory() -> None:
    found = small()
    one = served(Request(2048, 1, Phase.DECODE), 4, found)
    again = served(Request(2048, 1, Phase.DECODE, spread=Spread.SERIES), 4, found)
    two = served(Request(2048, 1, Phase.DECODE, 2, spread=Spread.SERIES), 4, found)
    assert again.latency_s == one.latency_s
    link = H100.specification.device_link or H100.specification.host_link
    assert link is not None
    assert one.latency_s is not None
    wait = 0.0 if link.latency is None else link.latency.base
    handed = 4 * 512 * 2 / link.bandwidth.base + wait
    assert two.latency_s == pytest.approx(one.latency_s + handed, rel=1e-9)
    assert two.required_bytes == pytest.approx(one.required_bytes / 2)
    assert two.tokens is not None
    assert two.tokens.spread == "series"
    with pytest.raises(OptionError, match="small has 2 layers, fewer than 3 devices"):
        served(Request(64, 1, Phase.DECODE, 3, spread=Spread.SERIES), 1, found)


def test_count_takes_a_context_and_a_phase() -> None:
    macs: dict[str, int] = {}
    for phase in ("prefill", "decode"):
        done = run("count", "llama32_1b", "--context", 256, "--phase", phase, "--format", "json")
        assert done.code == 0, done.err
        macs[phase] = json.loads(done.out)["totals"]["macs"]
    queries, hidden, layers, head = 32 * 64, 2048, 16, 128_256 * 2048
    blocks = 1_235_814_400 - head - hidden * (2 * layers + 1)
    assert macs["decode"] == blocks + head + layers * 2 * queries * 257
    assert macs["prefill"] == 256 * blocks + head + layers * 2 * queries * 256 * 257 // 2
    refused = run("count", "mlp", "--context", 5)
    assert refused.code == 2
    assert "no key-value cache" in refused.err


@pytest.mark.parametrize(("context", "new"), [(8192, 4), (32768, 1), (512, 512)])
def test_no_estimate_of_a_whole_answer_exceeds_the_bound(context: int, new: int) -> None:
    assert LLAMA is not None
    machine = roofline.platform("rtx-4090")
    bound, estimate = serve(
        LLAMA, Request(context, new), [machine], datatypes=["q4_k_m"]
    ).predictions
    assert bound.tokens is not None
    assert estimate.tokens is not None
    assert estimate.intervals["tokens_per_s"][1] <= (bound.tokens.tokens_per_s or 0) * (1 + 1e-12)
    written = estimate.tokens
    assert written.tpot_s is not None
    assert written.ttft_s is not None
    # The prompt gives the first of the tokens: one new token takes the prompt alone, at the bound too.
    for tokens in (bound.tokens, written):
        assert tokens.tpot_s is not None
        assert tokens.ttft_s is not None
        whole = tokens.ttft_s + (new - 1) * tokens.tpot_s
        assert tokens.tokens_per_s == pytest.approx(new / whole, rel=1e-12)


SHORT = DecoderNetwork(
    "short", "short", "",
    Decoder(
        layers=2, hidden=64, heads=4, kv_heads=2, head_size=16, mlp=128, vocabulary=256, positions=2048,
        tied=True,
    ),
)  # fmt: skip


def test_lengths_that_nobody_asked_for_fit_the_positions_of_the_model() -> None:
    from roofline.cli._decoding import UNASKED
    from roofline.decoding.phases import find_decoding

    short = find_decoding("short", SHORT.build())
    assert short is not None
    tokens = served(UNASKED, found=short).tokens
    assert tokens is not None
    assert (tokens.context, tokens.new_tokens) == (1536, 512)
    assert "asked for 1,536 of context" in " ".join(served(UNASKED, found=short).notes)
    with pytest.raises(OptionError, match="4,096 of context and 512 new tokens need 4,607"):
        served(Request(4096, 512), found=short)
    assert served(UNASKED).tokens.context == 4096


def test_a_mask_that_is_declared_as_long_as_the_new_tokens_is_as_long_as_the_context() -> None:
    from roofline.decoding.phases import find_decoding

    model = SHORT.build()
    named = {entry.name: entry.type.tensor_type.shape.dim for entry in model.graph.input}
    right = find_decoding("short", model)
    assert right is not None
    step = right.step(Request(100, 1, Phase.DECODE), 1)
    # As optimum declares the inputs of a merged export.
    named["attention_mask"][1].dim_param = named["input_ids"][1].dim_param
    merged = find_decoding("short", model)
    assert merged is not None
    found = merged.step(Request(100, 1, Phase.DECODE), 1)
    assert (found.macs, found.traffic_bytes()) == (step.macs, step.traffic_bytes())
    assert named["attention_mask"][1].dim_param


def test_a_cache_that_no_layer_adds_to_limits_no_context(tmp_path: Path) -> None:
    path = tmp_path / "still.onnx"
    helper, kind = onnx.helper, onnx.TensorProto
    onnx.save(
        helper.make_model(
            helper.make_graph(
                [
                    helper.make_node("Gather", ["table", "input_ids"], ["rows"], name="embed"),
                    helper.make_node("MatMul", ["rows", "weight"], ["logits"], name="head"),
                    helper.make_node("ReduceSum", ["past_key_values.0.key"], ["sum"], name="sum"),
                ],
                "still",
                [
                    helper.make_tensor_value_info("input_ids", kind.INT64, ["batch", "sequence"]),
                    helper.make_tensor_value_info(
                        "past_key_values.0.key", kind.FLOAT, ["batch", 2, "past", 4]
                    ),
                ],
                [
                    helper.make_tensor_value_info("logits", kind.FLOAT, None),
                    helper.make_tensor_value_info("sum", kind.FLOAT, None),
                ],
                [
                    onnx.numpy_helper.from_array(np.ones((16, 8), np.float32), "table"),
                    onnx.numpy_helper.from_array(np.ones((8, 16), np.float32), "weight"),
                ],
            ),
            opset_imports=[helper.make_opsetid("", 17)],
        ),
        path,
    )
    done = run(
        "predict", path, "-p", "rtx-4090", "--context", "64", "-f", "json", "--model", "equation1",
    )  # fmt: skip
    assert done.code == 0, done.err
    (row,) = json.loads(done.out)["predictions"]
    assert (row["kv_bytes_per_token"], row["max_batch"], row["max_context"]) == (0, None, None)
    assert any("nothing limits the context of still" in note for note in row["notes"])


def test_the_bound_and_the_estimate_of_a_decoder_have_one_shape() -> None:
    done = run(
        "predict", "llama32_1b", "-p", "rtx-4090", "-d", "fp16", "--context", "64", "-f", "json",
    )  # fmt: skip
    bound, expected = json.loads(done.out)["predictions"]
    assert list(bound) == list(expected)
    intervals = {name for name in bound if name.startswith("interval_")}
    assert intervals >= {
        "interval_ttft_ms", "interval_tpot_ms", "interval_tokens_per_s", "interval_tokens_per_s_per_user",
    }  # fmt: skip
    assert all(bound[name] is None for name in intervals)
    assert expected["interval_tokens_per_s"][0] < expected["tokens_per_s"]


def test_the_rate_of_answers_has_no_step_where_first_tokens_are_estimated_no_longer() -> None:
    request = Request(8192, 512, Phase.BOTH)
    rates: list[float] = []
    for batch in (15, 16, 17, 18):
        row = served(request, batch, model="expected", datatypes=["fp8"])
        assert row.tokens is not None
        assert (row.tokens.ttft_s is None) == (batch > 16)
        rates.append((row.tokens.tokens_per_s or 0) / batch)
    assert rates == sorted(rates, reverse=True)


def test_a_link_of_unknown_latency_is_no_faster_than_one_that_states_it() -> None:
    request = Request(1024, 64, Phase.DECODE, 2)
    found = decoder("llama31_70b")
    assert found is not None
    machines = [roofline.platform(f"a100-{kind}-40gb") for kind in ("pcie", "sxm")]
    pcie, nvlink = serve(
        found, request, machines, model="equation1", datatypes=["q4_k_m"], batches=[1]
    ).predictions
    assert pcie.latency_s is not None
    assert nvlink.latency_s is not None
    assert nvlink.latency_s < pcie.latency_s


def test_weights_far_beyond_a_guessed_memory_cross_the_link() -> None:
    # 20 MB are a guess of the file: of gigabytes all but ten times as many cross 3.94 GB/s.
    (row,) = serve(
        LLAMA, Request(512, 16, Phase.DECODE), [roofline.platform("hailo-8")], datatypes=["int8"], model="equation1",
        unheld=True,
    ).predictions  # fmt: skip
    assert row.tokens is not None
    assert row.tokens.tokens_per_s is not None
    # Of the table of embeddings one row is read: 128,256 x 4,096 x 2 bytes.
    table = 128_256 * 4096 * 2
    read = row.tokens.weight_bytes - table - 10 * 20e6
    assert row.tokens.tokens_per_s == pytest.approx(3.94e9 / read, rel=0.01)
    assert any("do not fit in SRAM of hailo-8" in note for note in row.notes)


@pytest.mark.parametrize(
    ("batch", "devices", "laws"), [(1, 1, "one user"), (2, 1, "several"), (1, 2, "several")]
)
def test_files_of_llama_cpp_are_estimated_for_one_user_and_for_several(
    batch: int, devices: int, laws: str
) -> None:
    assert LLAMA is not None
    rows = serve(
        LLAMA,
        Request(512, 16, Phase.DECODE, devices),
        [H100],
        datatypes=["q4_k_m"],
        batches=[batch],
    ).predictions
    assert len(rows) == 2
    assert laws in rows[1].estimate_of
