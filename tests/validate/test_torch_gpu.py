"""Networks run on a GPU by torch: the GPU is in the record, outputs are right, and no bound is broken."""

from __future__ import annotations

import pytest

from roofline import load
from roofline.model import predict
from roofline.spec import platform as find_platform
from roofline.spec.detecting import detect
from roofline.validate.measuring.measure import measure
from roofline.validate.records.request import Protocol, RunRequest

pytestmark = [pytest.mark.gpu, pytest.mark.torch]
torch = pytest.importorskip("torch", reason="torch is not installed")
if not torch.cuda.is_available():
    pytest.skip("torch finds no GPU", allow_module_level=True)

PROTOCOL = Protocol(runs=30, warmup=3, sampling_s=5)


@pytest.mark.parametrize("tuning", ["untuned", "tuned"])
@pytest.mark.parametrize(("network", "batch"), [("mlp", 1), ("cnv", 64), ("resnet18", 16)])
def test_run_is_right_and_slower_than_its_bound(network, batch, tuning, tmp_path):
    asked = RunRequest(
        network, "torch", batch=batch, tuning=tuning, protocol=PROTOCOL, options={"device": "cuda"}
    )
    run = measure(asked, folder=tmp_path)
    assert run.ok, run.reason
    assert run.environment.accelerator == torch.cuda.get_device_name()
    found = [entry.platform for entry in detect(None) if entry.platform]
    if not found:
        pytest.skip(f"no shipped machine is {run.environment.accelerator}")
    machine = find_platform(found[0])
    bound = predict(load(network), machine, datatype="fp32", batch=batch)
    assert bound.throughput_fps is not None
    assert run.throughput_fps < bound.throughput_fps
