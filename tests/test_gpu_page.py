"""The page about GPUs shows what its benchmark prints of the committed records."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytest.importorskip("onnx")


@pytest.fixture(scope="module")
def benchmark():
    path = ROOT / "benchmarks" / "gpu_networks.py"
    spec = importlib.util.spec_from_file_location("gpu_networks", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_page_has_the_table(benchmark):
    from roofline.validate.records.files import import_csv

    runs = import_csv(benchmark.RUNS.read_text(encoding="utf-8"))
    page = (ROOT / "docs" / "gpu.md").read_text(encoding="utf-8")
    assert "\n".join(benchmark.table(runs)) in page


def test_no_run_is_faster_than_its_bound(benchmark):
    from roofline import load
    from roofline.model import predict
    from roofline.spec import platform
    from roofline.validate.records.files import import_csv

    for run in import_csv(benchmark.RUNS.read_text(encoding="utf-8")):
        assert run.ok
        bound = predict(
            load(run.job.network),
            platform(run.machine),
            datatype=run.operands,
            batch=run.job.batch,
        )
        assert run.throughput_fps < bound.throughput_fps
