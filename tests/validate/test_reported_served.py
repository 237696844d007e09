"""Runs of several requests at a time that people report: each can be, and their law is the one that is shipped."""

from __future__ import annotations

import math
from dataclasses import asdict
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from roofline.decoder_classes import several_class
from roofline.decoding.phases import find_decoding
from roofline.decoding.request import Phase, Request
from roofline.errors import TableError
from roofline.model import Prediction
from roofline.model.decoder_laws import shipped_laws
from roofline.serving import serve
from roofline.spec import platform
from roofline.validate.evidence.decoder_fit import fit_laws, leave_machines_out
from roofline.validate.evidence.decoder_rows import decoder_table
from roofline.validate.evidence.decoder_score import predict_table, summary
from roofline.validate.evidence.forms import Form, read_source
from roofline.validate.evidence.served import (
    RUNS,
    decoder_of,
    log_times,
    phase_of,
    runs_of,
    serving_of,
)
from roofline.workloads import decoders

SOURCE = read_source(RUNS)
ROWS = SOURCE.table.rows
ROW = {
    "backend": "vllm", "system": "rtx-4090", "model": "Qwen/Qwen3-8B", "precision": "fp16", "input_tokens": "512",
    "output_tokens": "128", "concurrency": "8", "tp_size": "1",
}  # fmt: skip


@cache
def _answers(name: str, machine: str, datatype: str, phase: Phase) -> tuple[Prediction, ...]:
    decoder = find_decoding(name, decoders.get(name).build())
    assert decoder is not None
    rows = serve(
        decoder, Request(512, 128, phase), [platform(machine)],
        datatypes=[datatype], batches=(1, 2, 4, 8, 16), unheld=True,
    ).predictions  # fmt: skip
    return tuple(row for row in rows if row.model == "expected")


def test_rows_have_a_source_and_a_basis() -> None:
    assert SOURCE.form is Form.SERVED
    for row in ROWS:
        assert row["source"].startswith("https://"), row
        assert row["phase"] in {"decode", "both"}
        assert phase_of(row) == "several", row


def test_no_run_is_much_faster_than_its_bound() -> None:
    for row in ROWS:
        terms = serving_of(row)
        assert terms is not None
        seconds = math.exp(log_times([row], "several")[0])
        # Requests with one prompt choose the same experts, so that a mixture reads fewer than independent ones would.
        mixture = decoders.get(decoder_of(row["model"]) or "").sizes.experts > 0
        assert seconds > (0.5 if mixture else 0.95) * terms.step, row


def test_the_shipped_law_is_that_of_the_table() -> None:
    fitted, shipped = fit_laws(decoder_table(SOURCE))["several"], shipped_laws()["several"]
    assert asdict(fitted)["law"]["factors"] == pytest.approx(asdict(shipped)["law"]["factors"])
    assert fitted.widths == pytest.approx(shipped.widths)
    assert (fitted.known, fitted.runs, fitted.sha256) == (
        shipped.known,
        shipped.runs,
        shipped.sha256,
    )


def test_the_law_holds_on_machines_left_out() -> None:
    (entry,) = leave_machines_out(decoder_table(SOURCE))
    assert len(set(entry.rows.machines)) >= 19
    assert np.exp(np.median(np.abs(entry.off))) < 1.35
    assert abs(np.median(entry.off)) < 0.15


def test_the_score_of_the_table_has_its_classes() -> None:
    table = decoder_table(SOURCE)
    scores = summary(
        table, predict_table(table, leave="silicon"), model="expected", leave="silicon"
    )
    assert {"gpu_nvidia", "gpu_amd", "unified"} <= set(scores.get("by_class", {}))
    assert 0.7 < scores["by_quantity"]["several"].get("coverage", 0.0) < 0.95


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Qwen/Qwen3-8B-FP8", "qwen3_8b"), ("meta-llama/Meta-Llama-3.1-70B", "llama31_70b"),
        ("qwen3_30b_a3b", "qwen3_30b_a3b"),
        ("Qwen2.5-7B-Instruct", "qwen25_7b"), ("openai/gpt-oss-120b", "gpt_oss_120b"), ("DeepSeek-R1", None),
        ("MiniMaxAI/MiniMax-M2.5", None), ("Qwen/Qwen3.5-397B-A17B", "qwen35_397b_a17b"),
    ],
)  # fmt: skip
def test_names_of_tables_are_decoders(name: str, key: str | None) -> None:
    assert decoder_of(name) == key


def test_a_stated_rate_is_the_time_in_which_each_request_has_a_token() -> None:
    both, steps = ({**ROW, "tokens_per_s": "160", "phase": phase} for phase in ("both", "decode"))
    for row in (both, steps):
        assert math.exp(log_times([row], "several")[0]) == pytest.approx(8 / 160)
    stated = {**ROW, "tpot_ms": "50", "tokens_per_s": "120"}
    assert math.exp(log_times([stated], "several")[0]) == pytest.approx(0.05)
    # A rate of all requests has each one's own prompt in it, a time per token those of the others.
    terms = [serving_of(row) for row in (both, steps, stated)]
    assert [
        round(entry.prompts / entry.prompt * 128, 6) for entry in terms if entry is not None
    ] == [8, 0, 7]


@pytest.mark.parametrize("machine", ["rtx-4090", "mi300x"])
def test_rates_are_those_that_the_law_has_of_all_requests(machine: str) -> None:
    law = shipped_laws()["several"]
    for answer in _answers("llama31_8b", machine, "fp16", Phase.BOTH)[3:]:
        row = {
            **ROW,
            "system": machine,
            "model": "llama31_8b",
            "concurrency": str(answer.batch),
            "tokens_per_s": "1",
        }
        (seconds,) = np.exp(law.law.log_times(runs_of([row], "several")))
        # The closed forms of tables leave out norms and the like, which the graph has.
        assert answer.tokens is not None
        assert answer.tokens.tokens_per_s == pytest.approx(answer.batch / seconds, rel=0.03)


@pytest.mark.parametrize(
    ("machine", "kind"),
    [
        ("rtx-4090", "gpu_nvidia"), ("l40s", "gpu_nvidia"), ("jetson-thor", "unified"), ("dgx-spark", "unified"),
        ("mi300x", "gpu_amd"), ("rx-7900xtx", "gpu_amd"), ("gaudi3", "accelerator"), ("apple-m4-max", "apple"),
        ("h100-sxm", None), ("rpi5", None), ("hailo-10h", None), ("arc-b580", None),
    ],
)  # fmt: skip
def test_classes_of_several_requests(machine: str, kind: str | None) -> None:
    assert several_class(platform(machine)) == kind


@pytest.mark.parametrize("phase", [Phase.BOTH, Phase.DECODE])
@pytest.mark.parametrize("datatype", ["fp16", "q4_k_m"])
@pytest.mark.parametrize(
    "machine", ["rtx-4090", "rx-7900xtx", "apple-m4-max", "jetson-thor", "rtx-3050", "mi50"]
)
def test_more_requests_give_no_fewer_tokens(machine: str, datatype: str, phase: Phase) -> None:
    answers = _answers("llama31_8b", machine, datatype, phase)
    assert [answer.batch for answer in answers] == [1, 2, 4, 8, 16]
    rates = [answer.tokens.tokens_per_s or 0.0 for answer in answers if answer.tokens is not None]
    for fewer, more in pairwise(rates):
        assert fewer <= more <= 2.001 * fewer
    for answer in answers:
        low, high = answer.intervals["tokens_per_s"]
        tokens = answer.tokens
        assert tokens is not None
        assert low <= (tokens.tokens_per_s or 0.0) <= high
        low, high = answer.intervals["tpot_ms"]
        assert low <= 1e3 * (tokens.tpot_s or 0.0) <= high


def test_other_makers_accelerators_have_estimates_of_one_request_too() -> None:
    answers = _answers("llama31_8b", "mi300x", "fp16", Phase.BOTH)
    assert [answer.batch for answer in answers] == [1, 2, 4, 8, 16]
    assert "several requests" in answers[0].estimate_of


def test_rows_that_are_not_scored_are_said(tmp_path: Path) -> None:
    path = tmp_path / "served.csv"
    good = "vllm,llama31_8b,NVIDIA GeForce RTX 4090,fp16,512,128,8,1,both,300"
    bad = [
        good.replace("RTX 4090", "RTX 9999"), good.replace("llama31_8b", "some"), good.replace(",8,1,", ",0,1,"),
        good.replace("both", "prefill"), good.replace("fp16", "odd"),
    ]  # fmt: skip
    head = "backend,model,system,precision,input_tokens,output_tokens,concurrency,tp_size,phase,tokens_per_s"
    path.write_text("\n".join([head, good, *bad]) + "\n")
    table = decoder_table(read_source(path))
    scores = summary(table, predict_table(table), model="expected", leave="none")
    assert scores["by_quantity"]["several"]["n"] == 1
    assert sum(scores["evidence"].get("without_basis", {}).values()) == 5
    path.write_text("\n".join([head, *bad]) + "\n")
    with pytest.raises(TableError, match="no row has a basis"):
        predict_table(decoder_table(read_source(path)))
    path.write_text("\n".join([head, good.replace(",300", ",30000")]) + "\n")
    with pytest.raises(TableError, match=r"row 1: 30000 tokens/s of llama31_8b are \d+ times"):
        predict_table(decoder_table(read_source(path)))
