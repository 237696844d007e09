"""Laws of decoders: what they were fitted to, how well they do on machines that were left out, and what is written."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roofline.model.decoder_laws import shipped_laws
from roofline.model.sum_law import Prior, Runs, SumLaw, fit, half_width, leave_out
from roofline.validate.evidence.decoder_fit import class_width, nested_class_widths
from roofline.validate.evidence.decoder_rows import QuantityRows, Table, decoder_table
from roofline.validate.evidence.decoder_score import predict_table, rows_with, summary
from roofline.validate.evidence.forms import Form, read_source
from roofline.validate.evidence.one_figure import with_one_figure
from roofline.validate.evidence.served import ABOVE_BOUND, FEW_WRITE

FACTS = (
    Path(os.environ.get("ROOFLINE_FACTS", Path(__file__).parents[2] / "../shared/facts"))
    / "public_fps"
)
LOCAL: dict[str, Any] = {
    "machine": "card", "machine_class": "gpu_nvidia", "devices": 1, "host": "", "model": "Llama-3-8B",
    "parameters_b": 8.03, "weight_format": "Q4_K_M", "weight_gb": 4.92, "phase": "decode", "tokens_per_s": "",
    "bandwidth_gb_s": 1008, "fp16_peak_op_s": "",
}  # fmt: skip
SERVED: dict[str, Any] = {
    "backend": "vllm", "model": "meta-llama/Llama-3.1-8B-Instruct", "system": "h100_sxm", "precision": "bf16",
    "input_tokens": 1024, "output_tokens": 1024, "concurrency": 8, "tp_size": 1, "parallelism": "tensor",
    "tpot_ms": "", "ttft_ms": "",
}  # fmt: skip


def table(folder: Path, rows: list[dict[str, Any]]) -> Path:
    path = folder / "runs.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def read_rows(path: Path) -> Table:
    return decoder_table(read_source(path))


def known(count: int, factors: dict[str, float]) -> tuple[Runs, Any]:
    random = np.random.default_rng(0)
    runs = Runs(
        {"work": random.uniform(1e-3, 0.1, count), "floor": np.ones(count)},
        {"class": np.array(["a", "b"])[random.integers(0, 2, count)]},
    )
    return runs, SumLaw(factors).log_times(runs)


def test_a_law_that_made_the_times_is_found_again() -> None:
    factors = {
        "work": 0.3,
        "floor": float(np.log(2e-3)),
        "work/class/a": 0.4,
        "work/class/b": -0.4,
    }
    runs, times = known(200, factors)
    priors = {"work": Prior(0.0, 1.0, 1.0), "floor": Prior(float(np.log(1e-3)), 2.0, 0.3)}
    law = fit(runs, times, priors, np.ones(200))
    assert np.abs(law.log_times(runs) - times).max() < 0.02


def test_what_is_left_out_has_no_part_in_its_own_prediction() -> None:
    runs, times = known(60, {"work": 0.3, "floor": -6.0})
    labels = ["one", "two", "three"] * 20
    priors = {"work": Prior(0.0), "floor": Prior(-6.0)}
    first = leave_out(runs, times, priors, labels)
    moved = np.where(np.array(labels) == "one", times + 3, times)
    second = leave_out(runs, moved, priors, labels)
    ones = np.array(labels) == "one"
    assert np.allclose(first[ones], second[ones])
    assert not np.allclose(first[~ones], second[~ones], atol=1e-3)


def test_half_width_is_a_quantile_of_sizes() -> None:
    assert half_width(np.array([-1.0, 2.0, -3.0, 4.0, np.nan]), 0.5) == 2.5


def test_a_row_without_a_measured_figure_is_predicted_within_its_interval(tmp_path: Path) -> None:
    path = table(tmp_path, [LOCAL, {**LOCAL, "bandwidth_gb_s": ""}, {**LOCAL, "phase": "idle"}])
    source = read_source(path)
    assert source.form is Form.SINGLE_USER
    rows = decoder_table(source)
    first, *others = rows_with(rows, predict_table(rows))
    assert first["low_tokens_per_s"] < first["predicted_tokens_per_s"] < first["high_tokens_per_s"]
    # Below what the bandwidth allows, above half of that.
    assert 1008 / 4.92 / 2 < first["predicted_tokens_per_s"] < 1008 / 4.92
    assert all(entry["predicted_tokens_per_s"] is None for entry in others)


def test_schemes_that_are_not_modelled_stay_empty_and_long_queues_have_a_lower_bound(
    tmp_path: Path,
) -> None:
    path = table(
        tmp_path,
        [
            SERVED, {**SERVED, "concurrency": 64}, {**SERVED, "model": "deepseek-ai/DeepSeek-V3"},
            {**SERVED, "parallelism": "expert"}, {**SERVED, "system": "abacus"},
        ],
    )  # fmt: skip
    rows = read_rows(path)
    first, queue, *others = rows_with(rows, predict_table(rows))
    assert first["low_tpot_ms"] < first["predicted_tpot_ms"] < first["high_tpot_ms"]
    assert first["low_ttft_ms"] < first["predicted_ttft_ms"] < first["high_ttft_ms"]
    assert queue["predicted_tpot_ms"] > first["predicted_tpot_ms"]
    assert queue["predicted_ttft_ms"] is None
    assert queue["low_ttft_ms"] > 0
    assert all(entry["predicted_tpot_ms"] is None for entry in others)


def test_requests_whose_caches_do_not_fit_wait_outside_the_step() -> None:
    from roofline.validate.evidence.served import serving_of

    # 64 GB beside 16 GB of weights hold 480 requests of 1,024 positions and 131,072 bytes each.
    some, many, more = (
        serving_of(
            {
                **{key: str(value) for key, value in SERVED.items()},
                "output_tokens": "1",
                "concurrency": count,
            }
        )
        for count in ("400", "500", "5000")
    )
    assert some is not None
    assert many is not None
    assert more is not None
    assert (some.fits, many.fits, more.fits) == (True, False, False)
    assert some.step < many.step == more.step
    assert more.queue > many.queue


def test_the_bound_has_no_interval(tmp_path: Path) -> None:
    rows = read_rows(table(tmp_path, [LOCAL]))
    (written,) = rows_with(rows, predict_table(rows, model="equation1"))
    assert written["predicted_tokens_per_s"] == pytest.approx(1008 / 4.92)
    assert written["low_tokens_per_s"] is None


def test_the_shipped_laws_are_of_all_quantities() -> None:
    assert set(shipped_laws()) == {"decode", "prefill", "tpot", "ttft", "several"}


@pytest.mark.skipif(
    not FACTS.is_dir(), reason="the tables of public runs are not beside this checkout"
)
@pytest.mark.parametrize(
    ("name", "quantity", "most"),
    [("llm_local.csv", "decode", 1.18), ("llm.csv", "tpot", 1.30), ("llm.csv", "ttft", 2.0)],
)
def test_machines_that_were_left_out_are_predicted_within_the_stated_factor(
    name: str, quantity: str, most: float
) -> None:
    rows = read_rows(FACTS / name)
    score = summary(rows, predict_table(rows, leave="silicon"), model="expected", leave="silicon")
    found = score["by_quantity"][quantity]
    assert set(score["by_devices"]) >= {"1", "2", "4", "8"}
    assert found["factor_rows"] <= most
    assert found["n"] > 100


def test_runs_that_are_no_steady_load_are_set_aside_by_their_own_times(tmp_path: Path) -> None:
    step = {"tpot_ms": 12.0, "concurrency": 16}
    steady = SERVED | step | {"ttft_ms": 500.0}
    # 1,024 tokens take 12.3 s: behind 20 s of waiting fewer than half of the requests write at a time.
    burst = SERVED | step | {"ttft_ms": 20_000.0}
    # The weights alone, 15 GB at 3.35 TB/s, take 4.5 ms.
    fast = SERVED | {"tpot_ms": 3.0, "concurrency": 16, "ttft_ms": 50.0}
    read = read_rows(table(tmp_path, [steady, burst, fast]))
    found = rows_with(read, predicted := predict_table(read))
    assert [row["set_aside"] for row in found] == ["", FEW_WRITE, ABOVE_BOUND]
    assert all(row["predicted_tpot_ms"] for row in found)
    said = summary(read, predicted, model="expected", leave="none")
    assert said["by_quantity"]["tpot"]["n"] == 1
    assert {count: entry["n"] for count, entry in said["by_devices"].items()} == {"1": 1}
    assert {name: entry["n"] for name, entry in said["set_aside"].items()} == {
        FEW_WRITE: 1,
        ABOVE_BOUND: 1,
    }


def test_errors_that_go_together_count_as_one_in_a_width() -> None:
    off = np.array([0.1] * 8 + [0.5, 0.9])
    together = ["one"] * 8 + ["two", "three"]
    assert half_width(off, 0.6) == pytest.approx(0.1)
    assert half_width(off, 0.6, together) == pytest.approx(0.5)


def test_one_figure_of_an_installation_lowers_the_error_on_its_other_runs() -> None:
    path = FACTS / "llm_local.csv"
    if not path.exists():
        pytest.skip(f"{path} is absent")
    scores = with_one_figure(decoder_table(read_source(path)))
    for quantity in ("decode", "prefill"):
        none, one = scores[quantity]["0"], scores[quantity]["1"]
        assert one["factor"] < none["factor"]
        assert one["width"] < 1.01 * none["width"]
        # 80 % inside the binomial 95 % band of its runs.
        assert abs(one["coverage"] - 0.8) < 1.96 * (0.16 / one["runs"]) ** 0.5


def test_a_class_of_few_runs_borrows_of_the_others() -> None:
    off = np.array([0.1] * 20 + [0.5, 0.5, 0.5])
    own = np.array([False] * 20 + [True] * 3)
    counts = np.ones(23)
    # Three wide runs outweigh all others, which count as two; nine out of ten narrow ones keep theirs.
    assert class_width(off, counts, own) == 0.5
    assert class_width(off, counts, ~own) == 0.1
    widths = nested_class_widths(off, [str(place) for place in range(23)], [str(x) for x in own])
    assert widths[-1] == 0.5
    # A single run has nothing of its class behind it: what the others say is all there is.
    alone = nested_class_widths(off, ["a"] * 20 + ["b"] * 3, [str(x) for x in own])
    assert alone[-1] == 0.1


def test_macs_are_judged_by_the_peak_of_their_platform_file(tmp_path: Path) -> None:
    row = LOCAL | {
        "key": "apple-m2-ultra", "machine_class": "apple", "phase": "prefill", "parameters_b": 8,
        "fp16_peak_op_s": 54.4e12,
    }  # fmt: skip
    given, own = (
        read_rows(table(tmp_path, [row | {"key": key}])).rows for key in ("apple-m2-ultra", "")
    )
    assert QuantityRows("prefill", (0,), tuple(given)).runs.terms["work"] == pytest.approx(
        16e9 / 27.2e12
    )
    assert QuantityRows("prefill", (0,), tuple(own)).runs.terms["work"] == pytest.approx(
        16e9 / 54.4e12
    )
