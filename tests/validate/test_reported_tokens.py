"""Runs of decoders that people and vendors report: each row can be, and the law holds on machines left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from roofline.decoder_classes import alone_class, class_of, unpacking_peak
from roofline.errors import TableError
from roofline.expected_tokens import PIECE
from roofline.model.decoder_laws import LawRun, shipped_laws
from roofline.spec import platform
from roofline.validate.evidence.decoder_fit import leave_machines_out
from roofline.validate.evidence.decoder_rows import decoder_table
from roofline.validate.evidence.decoder_score import predict_table
from roofline.validate.evidence.forms import Form, read_source
from roofline.validate.evidence.single_user import RUNS, runs_of

SOURCE = read_source(RUNS)
ROWS = SOURCE.table.rows


def test_the_table_is_one_of_single_users() -> None:
    assert SOURCE.form is Form.SINGLE_USER
    assert len({(row["machine"]) for row in ROWS}) > 45


@pytest.mark.parametrize("machine", sorted({row["machine"] for row in ROWS}))
def test_rows_name_a_source_and_a_rate_that_can_be(machine: str) -> None:
    found = platform(machine)
    fastest = max(found.peak(name) for name in found.datatypes if name not in {"int2", "binary"})
    for row in (row for row in ROWS if row["machine"] == machine):
        whole, active = float(row["parameters_b"]), float(row["active_b"] or row["parameters_b"])
        assert row["source"].startswith(("https://", "http://"))
        assert row["date"][:4] >= "2023"
        assert 0 < active <= whole
        assert 2 < 8 * float(row["weight_gb"]) / whole < 17
        rate = float(row["tokens_per_s"])
        if row["phase"] == "decode":
            # Each token reads the weights it multiplies; files also hold tables that a token does not read.
            read = float(row["weight_gb"]) * 1e9 * active / whole
            assert rate < 1.25 * found.bandwidth / read
        else:
            assert rate < fastest / (2e9 * active)


def test_terms_are_the_closed_forms_of_the_data_sheet() -> None:
    row = {
        "machine": "rtx-4090", "model": "some", "parameters_b": "8", "active_b": "2", "layers": "64",
        "weight_format": "q4_k_m", "weight_gb": "5", "context_tokens": "128",
    }  # fmt: skip
    card = platform("rtx-4090")
    step = runs_of([{**row, "phase": "decode"}], "decode").terms
    assert step["work"][0] == pytest.approx(5e9 / 4 / card.bandwidth)
    assert step["unpacking"][0] == pytest.approx(2 * 2e9 / card.peak("fp32"))
    assert step["floor"][0] == 2
    prompt = runs_of([{**row, "phase": "prefill"}], "prefill").terms
    assert prompt["work"][0] == pytest.approx(2 * 2e9 / card.peak("fp16"))
    assert prompt["weights"][0] == pytest.approx(5e9 / card.bandwidth / 128)
    long = runs_of([{**row, "phase": "prefill", "context_tokens": "4096"}], "prefill").terms
    assert long["weights"][0] == pytest.approx(5e9 / card.bandwidth / PIECE)


@pytest.mark.parametrize(
    ("machine", "alone", "vectors"),
    [
        ("rtx-4090", "gpu_nvidia", True), ("h100-sxm", "gpu_dc", True), ("dgx-spark", "unified", True),
        ("radeon-8060s", "unified", True), ("agx-orin", "gpu_board", True), ("apple-m4", "apple", True),
        ("apple-a18-pro-npu", "npu", False), ("rpi5", "cpu_arm", False), ("i9-14900k", "cpu", False),
        ("rk3588-npu", "npu", False),
    ],
)  # fmt: skip
def test_classes_of_one_user_follow_from_the_platform_file(
    machine: str, alone: str, vectors: bool
) -> None:
    assert alone_class(platform(machine)) == alone
    assert (unpacking_peak(platform(machine)) is not None) is vectors


def test_a_machine_s_own_runs_move_its_estimates_and_narrow_them() -> None:
    law = shipped_laws()["decode"]
    runs = runs_of([{**ROWS[0], "machine": "p100-pcie-16gb", "phase": "decode"}], "decode")
    known, alike = (
        LawRun("decode", "gpu_nvidia", ("some", "q4_k_m"), runs, machine)
        for machine in ("p100-pcie-16gb", "not-among-them")
    )
    assert known.expected - alike.expected == pytest.approx(law.own["p100-pcie-16gb"])
    assert known.expected > alike.expected  # It lacks dot products of four.
    assert law.correct(known, [])[1] == pytest.approx(law.narrower * law.correct(alike, [])[1])
    assert 0.5 < law.narrower < 1


def test_neural_processors_of_data_centres_and_other_stacked_memory_have_no_runs() -> None:
    assert class_of(platform("gaudi3")) is None
    assert alone_class(platform("mi300x")) is None


def test_machines_of_the_table_alone_are_predicted_when_left_out() -> None:
    tokens, prompts = leave_machines_out(decoder_table(SOURCE))
    off = tokens.off[np.isfinite(tokens.off)]
    assert np.exp(np.median(np.abs(off))) < 1.25
    # A law without the machine is neither slower nor faster than what was run.
    assert abs(np.median(off)) < 0.15
    # Prompts are of few machines there, and of mixtures, whose experts see few positions each.
    assert np.exp(np.median(np.abs(prompts.off[np.isfinite(prompts.off)]))) < 1.7


def test_rates_that_no_machine_has_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_text(
        "machine,model,weight_gb,phase,tokens_per_s\nrpi5,x,4.9,decode,2\nrpi5,x,4.9,decode,2000\n"
    )
    with pytest.raises(TableError, match=r"row 2: 2000 tokens/s of x are 574 times"):
        predict_table(decoder_table(read_source(path)))
