"""Decoders that are run: inputs bound by role, a cache that grows in place, both phases against the bound."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from roofline.decoding.request import Phase
from roofline.validate.measuring.decoder_model import Stage, in_format, shared_caches, stage_inputs
from roofline.workloads.decoder import Decoder
from roofline.workloads.decoder_network import DecoderNetwork

from ..cli_process import run_roofline

CONFIG = {
    "model_type": "llama", "num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4,
    "num_key_value_heads": 2, "intermediate_size": 128, "vocab_size": 256, "max_position_embeddings": 64,
    "tie_word_embeddings": True,
}  # fmt: skip
TINY = DecoderNetwork(
    "tiny", "tiny", "",
    Decoder(
        layers=2, hidden=64, heads=4, kv_heads=2, head_size=16, mlp=128, vocabulary=256, positions=64,
        tied=True,
    ),
)  # fmt: skip


def test_tokens_of_a_vocabulary_that_nothing_states_are_of_two_kinds() -> None:
    model = TINY.build()
    # Without a table that is looked up nothing says how many tokens there are.
    table = next(node for node in model.graph.node if node.op_type == "Gather")
    table.op_type, table.input[:] = "Cast", [table.input[1]]
    table.attribute.append(onnx.helper.make_attribute("to", onnx.TensorProto.FLOAT))
    _, arrays = stage_inputs(model, Stage(Phase.PREFILL, 20), 3, seed=0)
    assert set(arrays["input_ids"].ravel().tolist()) == {0, 1}


def test_a_step_has_a_full_cache_with_room_for_one_position() -> None:
    bound, arrays = stage_inputs(TINY.build(), Stage(Phase.DECODE, 20), 3, seed=0)
    assert bound.inputs["past_key_values.0.key"] == (3, 2, 21, 16)
    assert arrays["past_key_values.1.value"].shape == (3, 2, 21, 16)
    assert (arrays["attention_mask"] == np.ones((3, 21))).all()
    assert arrays["input_ids"].shape == (3, 1)
    assert 2 < arrays["input_ids"].max() < 256


def test_tokens_are_of_the_vocabulary() -> None:
    model = TINY.build()
    drawn = [stage_inputs(model, Stage(Phase.PREFILL, 60), 3, seed=seed)[1] for seed in range(20)]
    tokens = np.array([arrays["input_ids"] for arrays in drawn])
    # 3,600 draws of 256: each end is among them.
    assert (tokens.min(), tokens.max()) == (0, 255)


def test_a_prompt_has_all_its_positions_and_nothing_before_them() -> None:
    _, arrays = stage_inputs(TINY.build(), Stage(Phase.PREFILL, 20), 1, seed=0)
    assert arrays["input_ids"].shape == (1, 20)
    assert arrays["attention_mask"].shape == (1, 20)


def test_grown_caches_lie_where_the_past_ones_do() -> None:
    assert shared_caches(TINY.build()) == {
        f"present.{layer}.{part}": f"past_key_values.{layer}.{part}"
        for layer in range(2)
        for part in ("key", "value")
    }


@pytest.mark.parametrize("phase", ["prefill", "decode"])
@pytest.mark.parametrize("datatype", ["fp32", "w4a32"])
def test_both_phases_run_and_their_outputs_are_the_references(
    tmp_path: Path, phase: str, datatype: str
) -> None:
    pytest.importorskip("onnxruntime")
    from roofline.compress.quantization import parse_datatypes
    from roofline.validate.measuring.measure import measure
    from roofline.validate.records.request import Protocol, RunRequest

    model = tmp_path / "tiny.onnx"
    model.write_bytes(in_format(TINY, parse_datatypes([datatype])).SerializeToString())
    run = measure(
        RunRequest(
            str(model), "onnxruntime", phase=phase, context=20, batch=2, threads=1,
            protocol=Protocol(runs=3),
        ),
        folder=tmp_path / "cache",
    )  # fmt: skip
    assert run.ok, run.reason
    assert run.check.passed
    # The runtime has one operator for both, so that the file is never widened as a whole.
    narrow = "fp32, of narrow weights widened block by block within the product"
    assert run.executed.label == (narrow if datatype == "w4a32" else "fp32")
    assert run.throughput_fps is not None
    rate = run.throughput_fps * (20 if phase == "prefill" else 1)
    assert run.tokens_per_s == pytest.approx(rate)
    assert run.job.shown == f"tiny {phase} at 20"


def test_narrow_weights_keep_the_scores_matrix_and_a_scale_for_each_block() -> None:
    from onnx import TensorProto

    from roofline.compress.quantization import parse_datatypes

    model = in_format(TINY, parse_datatypes(["w4a32"]))
    kinds = [tensor.data_type for tensor in model.graph.initializer]
    # Of each of two layers queries, keys, values, output, gate, up and down.
    assert kinds.count(TensorProto.INT4) == 14


@pytest.mark.slow
def test_validate_shows_both_phases_beside_the_bound(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    config = tmp_path / "tiny" / "config.json"
    config.parent.mkdir()
    config.write_text(json.dumps(CONFIG))
    done = run_roofline(
        "validate", str(config), "-d", "fp32", "--context", "20", "-p", "xeon-8380", "--runs", "3",
        "--store", str(tmp_path / "store.db"), "--format", "json",
    )  # fmt: skip
    rows = json.loads(done.stdout)["comparisons"]
    assert [row["phase"] for row in rows] == ["prefill", "decode"]
    # Two layers: 2 x (64 x 64 x 2 + 2 x 64 x 32 + 3 x 64 x 128) products and the scores of one position.
    matrices = 2 * (2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 128)
    scores = 2 * 2 * 64 * (20 * 21 // 2)
    macs = 20 * matrices + scores + 64 * 256
    assert [(row["predicted_fps"], row["measured_fps"]) for row in rows] == [(None, None)] * 2
    prompts = rows[0]["predicted_tokens_per_s"] / 20
    assert rows[0]["performance_op_s"] == pytest.approx(prompts * 2 * macs, rel=1e-6)
    assert rows[0]["measured_tokens_per_s"] == pytest.approx(20e3 / rows[0]["median_ms"], rel=1e-6)
    assert rows[1]["measured_tokens_per_s"] == pytest.approx(1e3 / rows[1]["median_ms"], rel=1e-6)
    assert 0 < rows[1]["efficiency"] < 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["measure", "mlp", "--phase", "decode"], "mlp is not taken as one"),
        (["measure", "smollm2_135m", "--context", "9000"], "8,192 positions"),
        (["validate", "mlp", "smollm2_135m", "-p", "xeon-8380"], "Run them apart"),
    ],
)
def test_what_cannot_be_run_in_phases_is_refused(arguments: list[str], said: str) -> None:
    done = run_roofline(*arguments)
    assert done.returncode == 2
    assert said in done.stderr


@pytest.mark.parametrize("phase", [Phase.DECODE, Phase.PREFILL])
@pytest.mark.parametrize("window", [0, 8])
def test_attention_written_out_computes_the_same(phase: Phase, window: int) -> None:
    runtime = pytest.importorskip("onnxruntime")
    from dataclasses import replace

    from roofline.validate.measuring.runnable_model import _fix_inputs
    from roofline.validate.onnx_rewrite.expand import expand

    network = DecoderNetwork("tiny", "tiny", "", replace(TINY.sizes, window=window))
    model = network.build(weights="random", half=False)
    binding, arrays = stage_inputs(model, Stage(phase, 20), 2, seed=0)
    _fix_inputs(model, binding)

    def outputs(given: onnx.ModelProto) -> list[np.ndarray]:
        session = runtime.InferenceSession(
            given.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        taken = {entry.name: arrays[entry.name] for entry in session.get_inputs()}
        return session.run(None, taken)

    wanted = outputs(model)
    plain, notes = expand(model)
    assert "2 GroupQueryAttention" in notes[0]
    assert all(node.domain in {"", "ai.onnx"} for node in plain.graph.node)
    for found, right in zip(outputs(plain), wanted, strict=True):
        assert np.abs(found - right).max() < 1e-5
