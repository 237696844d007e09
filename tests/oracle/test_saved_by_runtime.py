"""Models as ONNX Runtime saves them at its highest level: counted as the model they were made of."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from roofline.validate.measuring.random_weights import fill
from roofline.workload import Workload
from roofline.workloads import networks

onnxruntime = pytest.importorskip("onnxruntime")


def saved(key: str, path: Path) -> Workload:
    """Return a shipped network counted after ONNX Runtime optimized it for this processor and wrote it down."""
    model = networks.get(key).build()
    fill(model, seed=0)
    source = path / "source.onnx"
    onnx.save(model, source)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.optimized_model_filepath = str(path / "optimized.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
    return Workload.from_onnx(path / "optimized.onnx")


@pytest.mark.parametrize(
    "key",
    [
        "resnet18_cifar10", pytest.param("resnet50", marks=pytest.mark.slow),
        pytest.param("mobilenet_v2", marks=pytest.mark.slow), pytest.param("googlenet_v1", marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_blocks_of_channels_are_counted(key: str, tmp_path: Path) -> None:
    plain = Workload.from_onnx(networks.get(key).build())
    counted = saved(key, tmp_path)
    assert counted.coverage.unsupported == ()
    assert not counted.unknown_layers
    if "com.microsoft.nchwc" not in {layer.domain for layer in counted.layers}:
        pytest.skip("this processor has no blocks of channels")
    # Channels that fill up a block are multiplied too: never fewer than the plain layout has, and few more.
    assert plain.macs <= counted.macs <= 1.05 * plain.macs
