"""Rows are checked: what is wrong is refused with its place, what is doubtful is flagged, nothing is dropped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from roofline.errors import TableError
from roofline.report import load_rows
from roofline.report.data import check_rows

GOOD = {"platform": "p", "network": "n", "batch": "2", "measured_fps": "100", "latency_ms": "20"}


def test_numbers_given_as_text_become_numbers() -> None:
    (row,) = check_rows([GOOD], "t")
    assert (row["batch"], row["measured_fps"], row["pruning"]) == (2, 100.0, "dense")


def test_consistent_latency_is_not_flagged() -> None:
    # 2 items in 20 ms are 100 items a second.
    assert check_rows([GOOD], "t")[0]["flag"] is None


def test_latency_that_contradicts_throughput_is_flagged_with_what_it_implies() -> None:
    (row,) = check_rows([{**GOOD, "latency_ms": "10"}], "t")
    assert row["flag"] == "latency and batch imply 200 fps"
    # An item of a prompt is many tokens.
    (row,) = check_rows([{**GOOD, "latency_ms": "10", "rate": "tokens/s"}], "t")
    assert row["flag"] is None


def test_duplicates_are_kept_and_flagged() -> None:
    rows = check_rows([GOOD, GOOD], "t")
    assert [row["flag"] for row in rows] == [None, "configuration given more than once"]


def test_efficiency_is_measured_over_predicted() -> None:
    (row,) = check_rows([{**GOOD, "predicted_fps": 400}], "t")
    assert row["efficiency"] == 100 / 400


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"accuracy": "101"}, "t row 1: accuracy 101 is not within 0–100"),
        ({"measured_fps": "fast"}, "t row 1: measured_fps is 'fast'"),
        ({"measured_fps": "nan"}, "t row 1: measured_fps is 'nan'"),
        ({"latency_ms": "-1"}, "t row 1: latency_ms is '-1'"),
        ({"platform": ""}, "t row 1: no platform"),
        ({"latency_ms": "12 ms"}, "t row 1: latency_ms is '12 ms', a number with a unit"),
        ({"accuracy": "71%"}, "t row 1: accuracy is '71%', a number with a unit"),
        (
            {"predicted_low_fps": "9", "predicted_high_fps": "3"},
            "t row 1: predicted_low_fps is above predicted_high_fps",
        ),
    ],
)
def test_bad_values_are_refused_with_their_place(change: dict[str, str], message: str) -> None:
    with pytest.raises(TableError, match=message):
        check_rows([{**GOOD, **change}], "t")


def test_a_share_among_percentages_of_one_task_is_flagged() -> None:
    rows = [
        {**GOOD, "network": name, "task": "ImageNet", "accuracy": accuracy}
        for name, accuracy in (("a", 71.5), ("b", 0.73))
    ]
    flags = [row["flag"] for row in check_rows(rows, "t")]
    assert flags == [None, "accuracy looks like a share, not percent"]
    # Alone it may be what it says: a network that guesses among a thousand classes.
    assert check_rows([{**GOOD, "task": "ImageNet", "accuracy": 0.1}], "t")[0]["flag"] is None


def test_a_table_saved_by_a_spreadsheet_is_read(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    # Spreadsheets put a byte order mark before the first column's name.
    path.write_text("platform,network,measured_fps\np,n,3\n", encoding="utf-8-sig")
    (row,) = load_rows(path)
    assert (row["platform"], row["measured_fps"]) == ("p", 3.0)


def test_unknown_column_is_refused_with_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_text("platform,network,latency_s\np,n,1\n")
    with pytest.raises(
        TableError, match=r"unknown column 'latency_s'. Did you mean 'latency_ms'\?"
    ):
        load_rows(path)


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.json", "{"), ("a.json", "{}"), ("a.json", "[1]"), ("missing.csv", None)],
)
def test_files_that_hold_no_rows_are_refused(tmp_path: Path, name: str, text: str | None) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(TableError):
        load_rows(path)


def test_predictions_become_rows(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    entry = {
        "network": "n",
        "platform": "p",
        "datatype": "int8",
        "batch": 1,
        "throughput_fps": 7.0,
        "fits": True,
    }
    path.write_text(json.dumps({"schema_version": 1, "predictions": [entry]}))
    (row,) = load_rows(path)
    assert row["predicted_fps"] == 7.0


def test_intervals_of_predictions_become_columns(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    entry = {"network": "n", "platform": "p", "throughput_fps": 7.0, "interval_fps": [2.0, 5.0]}
    path.write_text(json.dumps({"predictions": [entry]}))
    (row,) = load_rows(path)
    assert (row["predicted_low_fps"], row["predicted_high_fps"]) == (2.0, 5.0)


DECODED = {
    "network": "d", "platform": "p", "datatype": "fp16", "pruning": "dense", "batch": 8, "throughput_fps": None,
    "upper_bound": True, "model": "equation1", "intensity": 4.0, "phase": "both", "context": 4096,
    "tokens_per_s": 400.0, "latency_ms": 9.0, "skipped": None,
}  # fmt: skip


@pytest.mark.parametrize("form", ["csv", "json"])
def test_decoders_have_rates_in_tokens_and_the_estimate_is_the_interval_of_its_bound(
    tmp_path: Path, form: str
) -> None:
    estimate = DECODED | {
        "upper_bound": False, "model": "expected", "tokens_per_s": 200.0, "interval_tokens_per_s": [150.0, 260.0],
    }  # fmt: skip
    from roofline.cli._output import as_csv, as_json

    path = tmp_path / f"p.{form}"
    rows = [DECODED, estimate]
    path.write_text(as_csv(rows) if form == "csv" else as_json({"predictions": rows}))
    (row,) = load_rows(path)
    assert row["network"] == "d both at 4,096"
    assert row["rate"] == "tokens/s"
    assert (row["predicted_fps"], row["predicted_low_fps"], row["predicted_high_fps"]) == (
        400, 150, 260,
    )  # fmt: skip
    assert row["latency_ms"] is None
    assert row["flag"] is None


def test_an_intensity_without_end_is_an_empty_cell_in_csv_as_in_json(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("network,platform,predicted_fps,intensity\nn,m,3,inf\nn,o,3,2\n")
    assert [row["intensity"] for row in load_rows(path)] == [None, 2]


def test_a_combination_that_was_left_out_is_no_row(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    gone = DECODED | {"skipped": "no unit", "tokens_per_s": None}
    path.write_text(json.dumps({"predictions": [DECODED, gone]}))
    assert len(load_rows(path)) == 1


def test_runs_are_of_the_machine_and_the_variant_that_their_records_name(tmp_path: Path) -> None:
    run = {
        "network": "n", "machine": "here", "variant": "keep-channels=0.5", "executed": "fp32", "samples": 3,
        "measured_fps": 10.0, "median_ms": 100.0, "batch": 1, "flags": "disturbed", "phase": "",
    }  # fmt: skip
    path = tmp_path / "m.csv"
    path.write_text(",".join(run) + "\n" + ",".join(map(str, run.values())) + "\n")
    (row,) = load_rows(path)
    assert (row["platform"], row["pruning"]) == ("here", "keep-channels=0.5")
    assert (row["measured_fps"], row["latency_ms"], row["flag"]) == (10, 100, "disturbed")
