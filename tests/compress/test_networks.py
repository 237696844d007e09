"""Every shipped network, and the models that onnx ships, at several shares of their channels."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from roofline.compress.channels import prune
from roofline.compress.request import Pruning
from roofline.workload import Workload
from roofline.workloads import build, networks

from .masking import assert_prunes

SMALL = ("cnv_25", "mlp_25", "mobilenet_v2_cifar10", "resnet18_cifar10")
SHARES = (0.8, 0.5, 0.3)
LIGHT = sorted((Path(onnx.__file__).parent / "backend/test/data/light").glob("light_*.onnx"))


def assert_agrees(predicted: Workload, written: Workload) -> None:
    assert [(layer.op_type, layer.cost, layer.weight_bytes) for layer in written.layers] == [
        (layer.op_type, layer.cost, layer.weight_bytes) for layer in predicted.layers
    ]
    assert (written.parameters, written.weight_bytes) == (
        predicted.parameters,
        predicted.weight_bytes,
    )
    assert (written.activation_bytes, written.peak_activation_bytes) == (
        predicted.activation_bytes, predicted.peak_activation_bytes,
    )  # fmt: skip


@pytest.mark.parametrize("key", SMALL)
@pytest.mark.parametrize("share", SHARES)
def test_the_written_file_counts_as_predicted(key: str, share: float, tmp_path: Path) -> None:
    path = tmp_path / "pruned.onnx"
    onnx.save(prune(build(key, weights="random"), share).model, path)
    assert_agrees(Workload.from_onnx(build(key)).under(pruning=share), Workload.from_onnx(path))


@pytest.mark.parametrize("key", SMALL)
def test_a_pruned_network_computes_what_the_masked_one_does(key: str) -> None:
    assert_prunes(build(key, weights="random"), 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("key", [key for key in networks if key not in SMALL])
def test_every_network_prunes_to_the_file_it_predicts(key: str) -> None:
    whole = build(key, weights="random")
    for share in SHARES:
        predicted = Workload.from_onnx(build(key)).under(pruning=share)
        assert_agrees(predicted, Workload.from_onnx(prune(whole, share).model))
    assert_prunes(whole, 0.5)


@pytest.mark.parametrize("key", networks)
def test_a_weightless_network_shrinks_the_same_way(key: str) -> None:
    dense = Workload.from_onnx(build(key))
    half = dense.under(pruning=0.5)
    assert half.macs < dense.macs
    assert half.parameters < dense.parameters
    assert [t.shape for t in half.outputs] == [t.shape for t in dense.outputs]
    assert [t.shape for t in half.inputs] == [t.shape for t in dense.inputs]
    assert half.variant == "keep-channels=0.5"


@pytest.mark.parametrize("path", LIGHT, ids=lambda path: path.stem)
def test_models_that_store_weights_as_shapes_prune_too(path: Path) -> None:
    model = onnx.load(path)
    dense = Workload.from_onnx(model)
    pruned = prune(model, Pruning(0.5, criterion="random")).model
    onnx.checker.check_model(pruned)
    assert_agrees(dense.under(pruning=0.5), Workload.from_onnx(pruned))
    assert Workload.from_onnx(pruned).macs < dense.macs
