"""Networks are predicted once for each datatype and batch that they ran at."""

from __future__ import annotations

import pytest

import roofline as rl
from roofline.validate.analysis.predicting import predict_measured
from roofline.validate.records.record import Measurement, Status
from roofline.validate.records.request import RunRequest
from roofline.workload import Workload
from roofline.workloads import build


def test_each_datatype_and_batch_of_the_runs_is_predicted_once() -> None:
    """Equation 1: the lesser of peak over operations and bandwidth over weights, which a batch shares."""
    runs = [
        Measurement(RunRequest("mlp", "onnxruntime", datatype="fp32", batch=batch), Status.OK, samples_s=(1.0,))
        for batch in (1, 64, 64)
    ]  # fmt: skip
    machine = rl.platform("rpi5")
    workload = Workload.from_onnx(build("mlp"), name="mlp")
    found = predict_measured([workload], runs, machine, ["equation1"], emulate=False).predictions
    assert [entry.batch for entry in found] == [1, 64]
    by_arithmetic, by_bytes = (
        machine.peak("fp32") / (2 * workload.macs), machine.bandwidth / (4 * workload.parameters)
    )  # fmt: skip
    assert [entry.throughput_fps for entry in found] == pytest.approx(
        [min(by_arithmetic, entry.batch * by_bytes) for entry in found]
    )
