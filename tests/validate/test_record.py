from __future__ import annotations

import errno
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roofline.errors import StoreError
from roofline.validate.records.compression import Compression
from roofline.validate.records.executed import Executed, StoredAs
from roofline.validate.records.failure import Failure, FailureKind, of_disk
from roofline.validate.records.flag import FlagKind
from roofline.validate.records.packing import pack
from roofline.validate.records.reading import from_dict
from roofline.validate.records.record import (
    SCHEMA_VERSION,
    Check,
    Environment,
    Measurement,
    Reported,
    Status,
)
from roofline.validate.records.request import Protocol, RunRequest

CHECKED = Check("onnxruntime", 1e-7, 1e-6, 1e-3)

samples = st.lists(st.floats(1e-6, 10, allow_nan=False), max_size=40).map(tuple)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def run(*values, **fields):
    job = fields.pop("job", RunRequest("mlp", "tvm"))
    return Measurement(job, Status.OK, samples_s=tuple(values), check=CHECKED, **fields)


@given(samples, text, st.sampled_from(Status), st.none() | st.floats(0, 1e3))
def test_a_record_survives_json(values, word, status, power):
    record = Measurement(
        RunRequest(word, "tvm", options={"a": 1, "b": word, "c": True}, protocol=Protocol(runs=7)),
        status, Failure(FailureKind.CRASH, word), samples_s=values, untuned_kernels=(word,), check=CHECKED,
        environment=Environment(host=word, versions={"tvm": word}),
        reported=Reported("table", power_w=power), notes=(word, word),
    )  # fmt: skip
    assert from_dict(json.loads(json.dumps(record.to_dict()))) == record


def test_the_median_and_quantiles_are_those_of_the_samples():
    record = run(4.0, 1.0, 2.0, 3.0)
    assert record.median_s == (2 + 3) / 2
    assert record.min_s == 1
    assert record.quantile_s(0) == 1
    assert record.quantile_s(1) == 4
    assert record.quantile_s(0.25) == 1 + 0.75 * (2 - 1)
    assert record.quantile_s(0.9) == pytest.approx(3 + 0.7 * (4 - 3))


@pytest.mark.parametrize(("batch", "items"), [(0, 1), (1, 1), (8, 8)])
def test_throughput_counts_the_items_of_a_batch(batch, items):
    assert run(0.5, job=RunRequest("mlp", "tvm", batch=batch)).throughput_fps == items / 0.5


def test_figures_of_a_row_have_their_units():
    record = run(
        2.0, job=RunRequest("mlp", "tvm", threads=4), cpu_s=6.0, wall_s=3.0, peak_rss_bytes=5_000_000,
        reported=Reported("table", accuracy=0.75),
    )  # fmt: skip
    row = record.to_row()
    wanted = {
        "median_ms": 2000.0,
        "cpu_per_wall": 6.0 / 3.0 / 4,
        "peak_rss_mb": 5.0,
        "accuracy": 75.0,
    }
    assert {name: row[name] for name in wanted} == wanted


@pytest.mark.parametrize(
    ("values", "drift"),
    [((1.0,) * 2, None), ((1.0,) * 3, None), ((1.0, 1.0, 1.5, 1.5), 0.5), ((2.0, 2.0, 1.0, 1.0), -0.5)],
)  # fmt: skip
def test_drift_needs_two_samples_in_each_half_and_goes_both_ways(values, drift):
    record = run(*values)
    assert record.drift == drift
    assert [flag.share for flag in record.flags if flag.kind is FlagKind.DRIFT] == [
        share for share in (drift,) if share is not None
    ]


@pytest.mark.parametrize(
    ("slow", "share"),
    [(0, None), (9, None), (11, 0.3), (20, None)],
)  # fmt: skip
def test_samples_are_uneven_when_most_are_slower_than_the_fastest(slow, share):
    """Twenty samples of which some met an episode of 1.3 times the time; all of them are even again."""
    taken = [1.0 + 0.3 * (number * 7 % 20 < slow) for number in range(20)]
    flags = [flag for flag in run(*taken).disturbances if flag.kind is FlagKind.UNEVEN]
    assert [flag.share for flag in flags] == [pytest.approx(s) for s in (share,) if s is not None]
    assert [flag.label for flag in flags] == [
        f"uneven: median +{s:.0%} over the fastest twentieth" for s in (share,) if s is not None
    ]


def test_few_samples_are_never_uneven():
    assert run(1.0, 1.0, *[1.4] * 7).unevenness is None
    assert run(1.0, 1.0, *[1.4] * 8).unevenness == pytest.approx(0.4)


def test_shares_of_flags_are_those_of_what_they_tell():
    crowded = run(1.0, environment=Environment(cores=1, others_share=0.2, stolen_share=0.1))
    assert [flag.share for flag in crowded.flags] == [pytest.approx(0.2 + 0.1)]
    half_tuned = run(
        1.0, job=RunRequest("mlp", "tvm", tuning="tuned"), kernels=8, untuned_kernels=("a", "b")
    )
    assert [flag.share for flag in half_tuned.flags] == [2 / 8]


def test_a_reported_throughput_is_taken_as_it_stands():
    record = Measurement(
        RunRequest("mlp", "trtexec"), Status.OK,
        reported=Reported("paper", latency_s=0.01, throughput_fps=400.0, concurrency=4),
    )  # fmt: skip
    assert (record.median_s, record.throughput_fps) == (0.01, 400.0)


def test_every_choice_is_part_of_a_jobs_key():
    job = RunRequest("mlp", "tvm")
    changed = [
        replace(job, threads=2), replace(job, batch=2), replace(job, tuning="tuned"),
        replace(job, algorithm="winograd"), replace(job, options={"x": 1}),
        replace(job, protocol=Protocol(seed=1)), replace(job, model_sha256="ab"),
    ]  # fmt: skip
    assert len({job.key, *(other.key for other in changed)}) == 1 + len(changed)
    assert job.key == RunRequest("mlp", "tvm").key


@pytest.mark.parametrize(
    ("record", "flag"),
    [
        (run(1.0, environment=Environment(cores=2, others_share=0.6)), "disturbed"),
        (run(1.0, wall_s=10.0, cpu_s=5.0), "waited"),
        (run(*[1.0] * 10, *[1.5] * 10), "drift"),
        (run(1.0, job=RunRequest("mlp", "tvm", tuning="untuned")), "untuned"),
        (
            run(1.0, job=RunRequest("mlp", "tvm", tuning="tuned"), untuned_kernels=("conv2d",)),
            "kernels untuned",
        ),
        (replace(run(1.0), check=Check(why="no reference")), "not checked"),
        (replace(run(1.0), check=replace(CHECKED, informative=False)), "weak check"),
    ],
)
def test_what_makes_a_run_suspicious_is_flagged(record, flag):
    assert [found for found in record.flags if flag in found.label]


def test_a_quiet_checked_run_has_no_flags():
    quiet = Environment(cores=2, others_share=0.01, stolen_share=0.0)
    assert run(*[1.0] * 20, wall_s=20.0, cpu_s=19.9, environment=quiet).flags == ()


def test_other_load_on_idle_cores_is_no_disturbance():
    # One thread on two cores leaves half of the CPU time to others.
    assert run(1.0, environment=Environment(cores=2, others_share=0.5)).flags == ()


def test_a_newer_record_is_refused():
    document = {**run(1.0).to_dict(), "schema_version": SCHEMA_VERSION + 1}
    with pytest.raises(StoreError, match="schema version"):
        from_dict(document)


@pytest.mark.parametrize(
    "change",
    [
        {"status": "splendid"},
        {"samples_s": ["fast"]},
        {"unknown": 1},
        {"job": {"backend": "tvm"}},
        {"job": {"network": "mlp", "backend": "tvm", "colour": "red"}},
    ],
)
def test_a_damaged_record_is_one_clear_line(change):
    with pytest.raises(StoreError, match="damaged at"):
        from_dict({**run(1.0).to_dict(), **change})


@pytest.mark.parametrize(
    ("executed", "operands"),
    [
        ("", "fp32"),
        ("int8, int32 sums", "int8"),
        ("fp16, emulated: converted to fp32 and back for every operation", "fp16"),
        ("fp32, of dequantized values", "fp32"),
        ("fp32 and int8, int32 sums", "int8"),
        ("w4a8", "w4a8"),
    ],
)
def test_operands_of_old_records_are_a_datatype_that_predictions_have(
    executed: str, operands: str
) -> None:
    document = {**run().to_dict(), "executed": executed, "schema_version": 1}
    document["job"].pop("compression")
    assert from_dict(document).operands == operands


@pytest.mark.parametrize(
    ("datatype", "executed", "emulated"),
    [
        ("int4", Executed("fp32", stored=StoredAs.PACKED), True),
        ("w4a16", Executed("fp32", stored=StoredAs.PACKED), True),
        ("w4a16", Executed("fp16"), False),
        ("w4a8", Executed("int8", "int32"), False),
        ("w4a8", Executed("w4a8"), False),
        ("int8", Executed("int8", "int32"), False),
        ("fp16", Executed("fp16", emulated=True), True),
        ("fp16", Executed("fp32"), True),
        ("int8", Executed(), False),
    ],
)
def test_a_record_says_what_was_asked_and_what_ran(datatype, executed, emulated):
    job = RunRequest("mlp", "onnxruntime", compression=Compression(datatypes=(datatype,)))
    record = run(1.0, job=job, executed=executed)
    assert record.to_row()["datatype"] == datatype
    assert record.to_row()["executed"] == executed.label
    assert record.operands == (executed.datatype or "fp32")
    assert record.is_emulated is emulated
    assert [flag.kind for flag in record.flags] == [FlagKind.OTHER_DATATYPE] * emulated


@pytest.mark.parametrize(
    ("asked", "title"),
    [
        ({}, "mlp, tvm"),
        ({"batch": 1}, "mlp, tvm"),
        ({"batch": 2, "threads": 1}, "mlp, tvm, batch 2, 1 thread"),
        ({"threads": 4, "target": "board"}, "mlp, tvm, 4 threads, on board"),
        ({"datatype": "int8", "algorithm": "gemm"}, "mlp, int8, tvm, gemm"),
        ({"compression": Compression(keep_channels=0.5)}, "mlp, keep-channels=0.5, tvm"),
    ],
)
def test_the_title_of_a_request_names_what_is_not_usual(asked, title):
    assert RunRequest("folder/mlp.onnx", "tvm", **asked).title == title


def test_a_full_disk_is_found_behind_what_was_made_of_it():
    full, other = OSError(errno.ENOSPC, "no space"), OSError(errno.EACCES, "no right")
    wrapped = RuntimeError("could not write")
    wrapped.__cause__ = full
    assert of_disk(full)
    assert of_disk(wrapped)
    assert not of_disk(other)
    assert not of_disk(None)


def test_records_of_one_content_are_one_in_whatever_order_their_fields_stand(monkeypatch):
    one = run(1.0, 2.0)
    packed = pack(one)
    swapped = dict(reversed(one.to_dict().items()))
    monkeypatch.setattr(type(one), "to_dict", lambda _: dict(swapped))
    assert pack(one).digest == packed.digest


@pytest.mark.parametrize(("cpu_s", "shares"), [(0.9, []), (0.89, [0.89])])
def test_a_run_waited_where_it_had_less_than_nine_tenths_of_a_core(cpu_s, shares):
    record = run(1.0, wall_s=1.0, cpu_s=cpu_s)
    assert [flag.share for flag in record.flags if flag.kind is FlagKind.WAITED] == shares
