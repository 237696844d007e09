"""Models as ONNX Runtime saves them at its highest level: counted as the model they were made of."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

import roofline as rl
from roofline.layer import Layer
from roofline.validate.measuring.random_weights import fill
from roofline.workload import Workload
from roofline.workloads import networks

onnxruntime = pytest.importorskip("onnxruntime")


LIGHT = Path(onnx.__file__).parent / "backend/test/data/light"


def plain_model(key: str) -> onnx.ModelProto:
    """Return a shipped network, or one of those that come with onnx (``light_...``)."""
    if not key.startswith("light_"):
        return networks.get(key).build()
    if not (LIGHT / f"{key}.onnx").is_file():
        pytest.skip(f"the installed onnx {onnx.__version__} has no {key}.onnx")
    return onnx.load(LIGHT / f"{key}.onnx")


def saved(key: str, path: Path, *, inferred: bool = False) -> Workload:
    """Return a network counted after ONNX Runtime optimized it for this processor and wrote it down.

    With ``inferred`` the model states the shapes of its values before, as exporters write it.
    """
    model = plain_model(key)
    if inferred:
        model = onnx.shape_inference.infer_shapes(model)
    if not key.startswith("light_"):
        fill(model, seed=0)
    source = path / "source.onnx"
    onnx.save(model, source)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.optimized_model_filepath = str(path / "optimized.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
    return Workload.from_onnx(path / "optimized.onnx")


SCALED = ("_bn", "_mul")
"""How ONNX Runtime ends the names of convolutions it makes of BatchNormalization and of a product by channel."""


def convolutions(plain: Workload, counted: Workload) -> list[tuple[Layer, Layer]]:
    """Return the convolutions over blocks with those they were made of: ONNX Runtime keeps the results' names."""
    made_by = {tensor.name: layer for layer in plain.layers for tensor in layer.outputs}
    pairs: list[tuple[Layer, Layer]] = []
    for layer in counted.layers:
        if layer.domain == "com.microsoft.nchwc" and layer.op_type == "Conv":
            name = layer.name.removesuffix("_nchwc")
            if name.endswith(SCALED) and name not in made_by:
                # What scales channels, and nothing fuses, is written as a convolution of one product per element.
                scaled = made_by[name.rpartition("_")[0]]
                assert layer.cost.macs == scaled.outputs[0].elements
                continue
            before = made_by[name]
            while before.op_type != "Conv":
                before = made_by[before.inputs[0].name]
            pairs.append((before, layer))
    return pairs


FAST = ("resnet18_cifar10", "mobilenet_v3_small")
CONVOLUTIONAL = (
    *(key for key in networks if not key.startswith(("bert", "mlp", "vit"))),
    "light_bvlc_alexnet", "light_densenet121", "light_inception_v1", "light_inception_v2", "light_resnet50",
    "light_shufflenet", "light_squeezenet", "light_vgg19", "light_zfnet512",
)  # fmt: skip


@pytest.mark.parametrize(
    "key",
    [key if key in FAST else pytest.param(key, marks=pytest.mark.slow) for key in CONVOLUTIONAL],
)
def test_own_channels_are_counted(key: str, tmp_path: Path) -> None:
    """Layer by layer: as before saving, or called an upper limit where the file does not tell."""
    plain = Workload.from_onnx(plain_model(key))
    counted = saved(key, tmp_path)
    assert counted.coverage.unsupported == ()
    assert not counted.unknown_layers
    pairs = convolutions(plain, counted)
    if not pairs:
        pytest.skip("this processor has no blocks of channels")
    left = sum(
        layer.op_type in ("Conv", "FusedConv") and layer.domain != "com.microsoft.nchwc"
        for layer in counted.layers
    )
    convolved = sum(layer.op_type == "Conv" for layer in plain.layers)
    # All weights of a light model are alike, so ONNX Runtime merges layers that only weights tell apart.
    merged = key.startswith("light_") and len(pairs) + left < convolved
    assert merged or len(pairs) + left == convolved
    for before, after in pairs:
        if after.at_most:
            assert before.cost.macs <= after.cost.macs, after.name
            assert "may only fill up a block" in after.note
        else:
            assert before.cost.macs == after.cost.macs, after.name
    assert counted.at_most == any("at most" in note for note in counted.notes)
    if merged:
        return
    limited = sum(layer.cost.macs for layer in counted.layers if layer.at_most)
    exact = sum(before.cost.macs for before, after in pairs if not after.at_most)
    # What is not convolved is not in blocks: it is exact.
    scaled = sum(
        layer.cost.macs
        for layer in counted.layers
        if layer.name.removesuffix("_nchwc").endswith(SCALED) and not layer.at_most
    )
    rest = plain.macs - sum(before.cost.macs for before, _ in pairs) + scaled
    assert counted.macs == exact + limited + rest


@pytest.mark.parametrize(
    "key",
    [key if key in FAST else pytest.param(key, marks=pytest.mark.slow) for key in CONVOLUTIONAL],
)
def test_models_that_state_their_shapes_are_counted_exactly(key: str, tmp_path: Path) -> None:
    """Layer by layer, none at most: ONNX Runtime keeps the shapes of the values that its calls were made for."""
    plain = Workload.from_onnx(plain_model(key))
    counted = saved(key, tmp_path, inferred=True)
    pairs = convolutions(plain, counted)
    if not pairs:
        pytest.skip("this processor has no blocks of channels")
    assert not counted.at_most
    for before, after in pairs:
        assert before.cost.macs == after.cost.macs, after.name


def test_a_bound_is_claimed_of_exact_counts_only(tmp_path: Path) -> None:
    counted = saved("mobilenet_v3_small", tmp_path)
    predicted = rl.predict(counted, rl.platform("h100-sxm"), datatype="fp32")
    assert predicted.upper_bound != counted.at_most
