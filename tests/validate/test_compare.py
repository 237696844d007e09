from __future__ import annotations

from dataclasses import replace

import pytest

from roofline.model import predict
from roofline.spec import from_mapping, in_mode
from roofline.validate.analysis.compare import compare, frame
from roofline.validate.records.compression import parse_compression
from roofline.validate.records.executed import Executed
from roofline.validate.records.failure import Failure, FailureKind
from roofline.validate.records.record import Check, Measurement, Status
from roofline.validate.records.request import RunRequest
from roofline.workload import Workload

# 100 OP/s, 10 B/s outside and 50 B/s inside a cache of 40 B: the ridge lies at 10 OP/B.
QUANTITY = {"kind": "measured", "source": "here"}
MACHINE = {
    "schema_version": 1, "key": "box", "name": "Box", "vendor": "V", "kind": "cpu", "year": 2026,
    "peaks": {"fp32": {"value": 100, "unit": "OP/s", **QUANTITY}},
    "memories": [
        {"name": "DRAM", "bandwidth": {"value": 10, "unit": "B/s", **QUANTITY}},
        {"name": "L3", "on_chip": True, "bandwidth": {"value": 50, "unit": "B/s", **QUANTITY},
         "capacity": {"value": 40, "unit": "B", **QUANTITY}},
    ],
    "sources": {"here": {"title": "test"}},
}  # fmt: skip

# 100 operations on 20 weights of 4 bytes: 1.25 OP/B, memory-bound at 10 · 1.25 = 12.5 OP/s, 0.125 fps.
NETWORK = Workload.from_table("net", ops=100, weights=20, bits=32, source="test")


@pytest.fixture
def box():
    return in_mode(from_mapping(MACHINE), None)


def run(seconds, **fields):
    job = RunRequest(
        "net", "tvm", tuning=fields.pop("tuning", "tuned"), batch=fields.pop("batch", 1)
    )
    fields = {
        "machine": "box",
        "executed": Executed("fp32"),
        "check": Check("r", 0, 0, 1e-3),
        **fields,
    }
    status = fields.pop("status", Status.OK)
    return Measurement(job, status, samples_s=(seconds,), **fields)


def one(box, measurement, **options):
    prediction = predict(NETWORK, box, datatype="fp32", **options)
    (found,) = compare([prediction], [measurement], platforms={"box": box})
    return found


def test_efficiency_is_measured_over_predicted(box):
    found = one(box, run(16.0))
    assert found.predicted_fps == pytest.approx(10 * (100 / 80) / 100)
    assert found.efficiency == pytest.approx((1 / 16) / 0.125)
    assert found.error == pytest.approx(abs(0.125 - 1 / 16) / (1 / 16))
    assert not found.doubtful
    assert found.validates
    assert found.record()["measured_op_s"] == pytest.approx(100 / 16)


def test_only_the_same_configuration_is_compared(box):
    prediction = predict(NETWORK, box, datatype="fp32")
    others = [
        replace(run(1.0), machine="other"),
        replace(run(1.0), executed=Executed("int8")),
        run(1.0, batch=2),
        replace(
            run(1.0),
            job=RunRequest("net", "tvm", compression=parse_compression("keep-channels=0.5")),
        ),
        replace(run(1.0), job=RunRequest("other", "tvm")),
    ]
    assert compare([prediction], others) == ()


def test_weights_that_stay_in_the_cache_explain_a_faster_run(box):
    # 40 of the 80 bytes from the cache: at best 40/10 + 40/50 = 4.8 s instead of 8.
    found = one(box, run(5.0))
    assert found.efficiency == pytest.approx(8 / 5)
    assert "cache" in found.explanation
    assert not found.doubtful


def test_faster_than_the_cache_allows_is_doubtful(box):
    found = one(box, run(4.0))
    assert found.doubtful
    assert found.flag == "above the bound"


def test_faster_than_the_peak_is_a_wrong_peak_unit_or_datatype(box):
    found = one(box, run(0.5))
    assert found.doubtful
    assert "compute peak" in found.explanation


def test_reuse_across_the_batch_explains_the_papers_convention(box):
    # Charged per item: 8 s an item. The run reads the 80 bytes once for eight items: 10 s.
    found = one(box, run(10.0, batch=8), batch=8, weights_read="per-item")
    assert found.efficiency == pytest.approx(6.4)
    assert "batch" in found.explanation
    assert not found.doubtful


@pytest.mark.parametrize(
    ("batch", "seconds", "weights_read"), [(1, 5.0, "per-item"), (2, 5.0, "per-batch")]
)
def test_reuse_across_the_batch_needs_a_batch_and_weights_of_every_item(
    box, batch, seconds, weights_read
):
    found = one(box, run(seconds, batch=batch), batch=batch, weights_read=weights_read)
    assert "cache" in found.explanation


def test_untuned_code_validates_nothing(box):
    found = one(box, run(1000.0, tuning="untuned"))
    assert found.flag == "untuned"
    assert not found.validates


def test_a_failed_run_has_no_efficiency(box):
    found = one(
        box,
        run(
            1.0, status=Status.WRONG, failure=Failure(FailureKind.WRONG_OUTPUTS, "outputs differ")
        ),
    )
    assert found.efficiency is None
    assert found.record()["flag"] == "wrong"
    assert found.record()["explanation"] == "outputs differ"


def test_a_network_that_is_not_fully_counted_has_no_efficiency(box):
    prediction = replace(predict(NETWORK, box, datatype="fp32"), throughput_fps=None)
    (found,) = compare([prediction], [run(16.0)], platforms={"box": box})
    assert found.measured_fps == pytest.approx(1 / 16)
    assert (found.predicted_fps, found.efficiency, found.error) == (None, None, None)
    assert (found.doubtful, found.record()["efficiency"]) == (False, None)


def test_comparisons_as_a_table(box):
    pytest.importorskip("pandas")
    assert frame([one(box, run(16.0))]).efficiency.tolist() == [pytest.approx(0.5)]


def test_an_estimate_brings_its_interval_and_a_bound_none(box):
    bound = predict(NETWORK, box, datatype="fp32")
    estimate = replace(
        bound, model="expected", interval_fps=(0.05, 0.1), intervals={"latency_ms": (9.0, 20.0)}
    )
    first, second = (found.record() for found in compare([bound, estimate], [run(16.0)]))
    assert first["interval_fps"] is None
    assert (second["interval_fps"], second["interval_latency_ms"]) == ([0.05, 0.1], [9.0, 20.0])
