"""The nine models inside the onnx package, against totals that two independent tools agree on.

Sources of the totals: MACs by hand and by onnxsim 0.8.1 (five also by qonnx 1.0.0), parameters by hand and by
onnx-tool 1.0.1 on the folded graphs; VGG-19, AlexNet and ResNet-50 are the textbook figures.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import onnx
import pytest

import roofline
from roofline.workload import Workload

from ..collected import rows

FOLDER = Path(onnx.__file__).parent / "backend/test/data/light"

#: MACs in convolutions and in matrix products, stored parameters, and those among them that are trained.
TOTALS = {
    "bvlc_alexnet": (595_938_432, 58_621_952, 60_965_224, 60_965_224),
    "densenet121": (2_834_161_664, 0, 8_146_152, 8_062_504),
    "inception_v1": (1_430_532_352, 1_024_000, 6_998_552, 6_998_552),
    "inception_v2": (2_017_827_840, 1_024_000, 11_234_792, 11_214_888),
    "resnet50": (4_087_136_256, 2_048_000, 25_610_152, 25_557_032),
    "shufflenet": (124_120_528, 544_000, 1_420_152, 1_393_320),
    "squeezenet": (349_151_936, 0, 1_235_496, 1_235_496),
    "vgg19": (19_508_428_800, 123_633_664, 143_667_240, 143_667_240),
    "zfnet512": (1_401_011_232, 80_715_776, 87_250_536, 87_250_536),
}
F32 = 4


@cache
def counted(name: str) -> Workload:
    path = FOLDER / f"light_{name}.onnx"
    if not path.is_file():
        pytest.skip(f"the installed onnx {onnx.__version__} has no {path.name}")
    return roofline.load(path)


@pytest.mark.parametrize("name", TOTALS)
def test_totals(name: str) -> None:
    conv, gemm, parameters, trainable = TOTALS[name]
    workload = counted(name)
    families: dict[str, int] = {}
    for layer in workload.layers:
        families[layer.op_type] = families.get(layer.op_type, 0) + layer.cost.macs
    assert workload.macs == conv + gemm
    assert families["Conv"] == conv
    assert families.get("Gemm", 0) == gemm
    assert workload.ops == 2 * workload.macs + workload.cost.other_ops
    assert workload.parameters == parameters
    assert workload.trainable_parameters == trainable
    assert workload.weight_bytes == F32 * parameters
    assert workload.coverage.nodes == workload.coverage.bytes == 1


@pytest.mark.parametrize("name", TOTALS)
def test_table(name: str) -> None:
    """Every column of the reference table that a count defines."""
    (row,) = [row for row in rows("light_models") if row["model"] == name]
    workload = counted(name)
    products = [layer for layer in workload.layers if layer.op_type in ("Conv", "Gemm")]
    outputs = sum(layer.cost.outputs for layer in products)
    moved = sum(layer.traffic_bytes for layer in products)
    ours = {
        "conv_macs": sum(layer.cost.macs for layer in products if layer.op_type == "Conv"),
        "gemm_macs": sum(layer.cost.macs for layer in products if layer.op_type == "Gemm"),
        "macs": workload.macs,
        "flops": 2 * workload.macs,
        "parameters": workload.parameters,
        "trainable": workload.trainable_parameters,
        "product_parameters": sum(layer.parameters for layer in products),
        "convs": sum(layer.op_type == "Conv" for layer in products),
        "gemms": sum(layer.op_type == "Gemm" for layer in products),
        "product_outputs": outputs,
        "weight_bytes": workload.weight_bytes,
        "product_bytes": moved,
    }
    theirs = {column: int(row[column]) for column in ours}
    if name == "inception_v1":
        # The reference leaves out the matrix that reaches the last product through a Reshape.
        theirs["product_parameters"] += 1024 * 1000
    assert ours == theirs
    intensity = 2 * workload.macs / moved
    assert f"{intensity:.3f}" == row["product_intensity"]
